"""Fitted estimators behind one face: probabilities from features, and the files that keep them."""

import io
import json
import logging
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from landweave.classifier.archive import TRUSTED, check_archive
from landweave.errors import InputError
from landweave.patch.model import NODATA
from landweave.tree_models.shallow import ShallowForest, probabilities, shallow_forest
from landweave.tree_models.text import NotCovered, lightgbm_text, read_forest

_LOG = logging.getLogger(__name__)


class Estimator(Protocol):
    """A fitted classifier."""

    @property
    def kind(self) -> str:
        """``"lightgbm"``, ``"sklearn"`` or ``"constant"``."""
        ...

    @property
    def classes(self) -> tuple[int, ...]:
        """Class values, rising; the columns of probabilities."""
        ...

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The columns of X."""
        ...

    def predict(self, X: np.ndarray, *, threads: int = 1) -> np.ndarray:
        """Probabilities float64 (n, k); X as for :func:`as_floats`; not calibrated."""
        ...

    def files(self) -> dict[str, bytes]:
        """File name to content; what :func:`restore` needs besides kind, classes and names."""
        ...


@dataclass(frozen=True, kw_only=True)
class Constant:
    """The only class that there was, with certainty."""

    classes: tuple[int, ...]
    feature_names: tuple[str, ...]
    kind: str = "constant"

    def predict(self, X: np.ndarray, *, threads: int = 1) -> np.ndarray:  # noqa: ARG002
        """Ones, float64 (n, 1)."""
        return np.ones((X.shape[0], 1))

    def files(self) -> dict[str, bytes]:
        """No files: the class is all there is."""
        return {}


@dataclass(frozen=True, kw_only=True)
class Boosted:
    """LightGBM's trees, kept as their text, so that a model is the same before and after it is saved."""

    classes: tuple[int, ...]
    feature_names: tuple[str, ...]
    text: str
    kind: str = "lightgbm"
    _parsed: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def predict(self, X: np.ndarray, *, threads: int = 1) -> np.ndarray:
        """Probabilities float64 (n, k); ``threads`` are LightGBM's, where it is needed."""
        if X.shape[0] == 0:
            return np.zeros((0, len(self.classes)))
        if self.forest is not None:
            p = probabilities(self.forest, X if X.dtype == np.int16 else as_floats(X))
        else:
            p = self.booster.predict(as_floats(X), num_threads=threads)
        # One-against-all objectives do not sum to one.
        return np.asarray(p / p.sum(axis=1, keepdims=True))

    def calibrated(self, X: np.ndarray, *, slope: float, offset: np.ndarray) -> np.ndarray | None:
        """softmax(slope * s + offset) of the scores s, float64 (n, k); None where scores are not at hand as such."""
        if self.forest is None or self.forest.objective != "multiclass":
            return None
        return probabilities(self.forest, X if X.dtype == np.int16 else as_floats(X), slope=slope, offset=offset)

    def files(self) -> dict[str, bytes]:
        """LightGBM's text."""
        return {"model.txt": self.text.encode()}

    @property
    def forest(self) -> ShallowForest | None:
        """The trees, read without LightGBM; None, and the reason logged once, where only LightGBM can evaluate them."""
        if "forest" not in self._parsed:
            self._parsed["forest"] = None
            try:
                forest = read_forest(self.text)
                self._check(forest.n_features, forest.n_classes)
                self._parsed["forest"] = shallow_forest(forest)
            except NotCovered as reason:
                self._parsed["not covered"] = str(reason)
                _LOG.warning("LightGBM itself predicts with this model, which is slow: %s.", reason)
                _ = self.booster
        return self._parsed["forest"]  # type: ignore[no-any-return]

    @property
    def slow_because(self) -> str | None:
        """Why only LightGBM can evaluate the trees; None where it need not."""
        return None if self.forest is not None else self._parsed["not covered"]

    @property
    def booster(self) -> Any:
        """LightGBM's own object, made from the text when first asked for."""
        if "booster" not in self._parsed:
            import lightgbm

            try:
                booster = lightgbm.Booster(model_str=lightgbm_text(self.text))
            except (lightgbm.basic.LightGBMError, ValueError) as error:
                raise InputError(f"The model file is not a LightGBM text file: {error}.") from None
            self._check(booster.num_feature(), booster.num_model_per_iteration())
            self._parsed["booster"] = booster
        return self._parsed["booster"]

    def _check(self, features: int, classes: int) -> None:
        if (features, classes) != (len(self.feature_names), len(self.classes)):
            raise InputError("The number of features or classes in the model file differs from model.json.")

    def __getstate__(self) -> dict[str, Any]:
        # The text says it all; another process parses its own.
        return {**self.__dict__, "_parsed": {}}


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """A scikit-learn classifier, or one that behaves like it."""

    classes: tuple[int, ...]
    feature_names: tuple[str, ...]
    estimator: Any
    kind: str = "sklearn"

    def predict(self, X: np.ndarray, *, threads: int = 1) -> np.ndarray:  # noqa: ARG002
        """Probabilities float64 (n, k); InputError where the estimator fails."""
        if X.shape[0] == 0:
            return np.zeros((0, len(self.classes)))
        try:
            p = np.asarray(self.estimator.predict_proba(as_floats(X)), "float64")
        except Exception as error:
            raise InputError(f"{type(self.estimator).__name__} cannot predict: {_one_line(error)}.") from error
        if p.shape != (X.shape[0], len(self.classes)):
            raise InputError(f"{type(self.estimator).__name__} gives {p.shape} probabilities of {len(X)} rows.")
        return p

    def files(self) -> dict[str, bytes]:
        """Skops's archive; InputError for an estimator that skops or the closed list does not cover."""
        import skops.io

        name = type(self.estimator).__name__
        try:
            content = settle(skops.io.dumps(self.estimator))
            untrusted = set(skops.io.get_untrusted_types(data=content)) - TRUSTED
        except Exception as error:
            raise InputError(
                f"{name} cannot be stored without pickle: {_one_line(error)}; choose another classifier."
            ) from error
        if untrusted:
            raise InputError(
                f"{name} cannot be stored: it contains {min(untrusted)}, which is not part of scikit-learn; "
                "choose another classifier."
            )
        return {"model.skops": content}


def as_floats(X: np.ndarray) -> np.ndarray:
    """Features float32 (n, f), NaN missing: int16 -32768 becomes NaN, floating point stays as it is."""
    X = np.asarray(X)
    if X.dtype == np.int16:
        out = X.astype("float32")
        out[X == NODATA] = np.nan
        return out
    if np.issubdtype(X.dtype, np.floating):
        return X.astype("float32", copy=False)
    raise ValueError(f"features are int16 or floating point, not {X.dtype}.")


def restore(
    kind: str, classes: tuple[int, ...], feature_names: tuple[str, ...], files: Mapping[str, bytes]
) -> Estimator:
    """The estimator that wrote ``files``; InputError when they are missing, broken or hold what is not trusted."""
    if kind not in _RESTORERS:
        raise InputError(f"kind {kind!r} is unknown; use one of {', '.join(_RESTORERS)}.")
    name, make = _RESTORERS[kind]
    if set(files) != ({name} if name else set()):
        raise InputError(f"a {kind} model has {name or 'no file'} beside model.json, not {sorted(files)}.")
    return make(classes, feature_names, files[name] if name else b"")


def settle(archive: bytes) -> bytes:
    """A skops archive without clock and memory addresses: equal estimators give equal bytes.

    Skops numbers objects by their address, which also names the arrays' files, and stamps files with the time.
    """
    with zipfile.ZipFile(io.BytesIO(archive)) as old:
        schema = json.loads(old.read("schema.json"))
        numbers: dict[str, str] = {}

        def walk(node: Any) -> Any:
            if isinstance(node, list):
                return [walk(item) for item in node]
            if not isinstance(node, dict):
                return node
            out = {key: walk(value) for key, value in node.items() if key not in {"__id__", "file"}}
            if isinstance(node.get("file"), str):
                stem, _, suffix = node["file"].partition(".")
                out["file"] = f"{numbers.setdefault(stem, str(len(numbers) + 1))}.{suffix}"
            elif "file" in node:
                out["file"] = walk(node["file"])
            if isinstance(node.get("__id__"), int):
                out["__id__"] = int(numbers.setdefault(str(node["__id__"]), str(len(numbers) + 1)))
            elif "__id__" in node:
                out["__id__"] = walk(node["__id__"])
            return out

        settled = walk(schema)
        renamed = {}
        for name in old.namelist():
            stem, _, suffix = name.partition(".")
            renamed[f"{numbers.get(stem, stem)}.{suffix}"] = old.read(name)
    renamed["schema.json"] = json.dumps(settled, indent=1).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in sorted(renamed):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, renamed[name])
    return buffer.getvalue()


def plain_names(names: tuple[str, ...]) -> list[str]:
    """Names that LightGBM's text can hold; numbers where they would no longer differ.

    >>> plain_names(("B04 d000", "nir"))
    ['B04_d000', 'nir']
    """
    plain = [re.sub(r"[^A-Za-z0-9_.\-]", "_", name) for name in names]
    return plain if len(set(plain)) == len(plain) and all(plain) else [f"feature_{i}" for i in range(len(names))]


def settle_text(text: str) -> str:
    """LightGBM's text without the number of threads, which changes nothing but the text.

    >>> settle_text("[num_threads: 2]")
    '[num_threads: 0]'
    """
    return re.sub(r"(?m)^\[num_threads: -?\d+\]$", "[num_threads: 0]", text)


def _restore_constant(classes: tuple[int, ...], names: tuple[str, ...], content: bytes) -> Estimator:  # noqa: ARG001
    if len(classes) != 1:
        raise InputError(f"a constant model has one class, not {len(classes)}.")
    return Constant(classes=classes, feature_names=names)


def _restore_boosted(classes: tuple[int, ...], names: tuple[str, ...], content: bytes) -> Estimator:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise InputError("model.txt is not a text file.") from None
    if not text.startswith("tree\n"):
        raise InputError("model.txt is not a LightGBM text file.")
    _check_names(text, names)
    return Boosted(classes=classes, feature_names=names, text=text)


def _check_names(text: str, names: tuple[str, ...]) -> None:
    """Features in another order give a wrong map in silence; LightGBM's own names for columns say nothing."""
    line = re.search(r"(?m)^feature_names=(.*)$", text)
    found = line[1].split() if line else []
    if found not in (plain_names(names), [f"Column_{number}" for number in range(len(names))]):
        wrong = next((pair for pair in zip(found, plain_names(names), strict=False) if pair[0] != pair[1]), None)
        told = f"{wrong[0][:80]!r} where model.json has {wrong[1][:80]!r}" if wrong else f"{len(found)} features"
        raise InputError(f"model.txt has other features than model.json: {told}.")


def _restore_learnt(classes: tuple[int, ...], names: tuple[str, ...], content: bytes) -> Estimator:
    import skops.io
    from sklearn.base import BaseEstimator

    from landweave.classifier.compiled import check_estimator

    try:
        check_archive(content)
        untrusted = set(skops.io.get_untrusted_types(data=content))
        if untrusted <= TRUSTED:
            estimator = skops.io.loads(content, trusted=sorted(untrusted))
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"model.skops cannot be read: {_one_line(error)}.") from error
    if not untrusted <= TRUSTED:
        raise InputError(
            f"model.skops contains {min(untrusted - TRUSTED)}, which is not trusted; train the model again."
        )
    if not isinstance(estimator, BaseEstimator) or not hasattr(estimator, "predict_proba"):
        raise InputError(f"model.skops contains a {type(estimator).__name__}, not a classifier.")
    try:
        check_estimator(estimator)
        _try(estimator, names, classes)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"model.skops cannot predict: {_one_line(error)}.") from error
    return Learnt(classes=classes, feature_names=names, estimator=estimator)


def _try(estimator: Any, names: tuple[str, ...], classes: tuple[int, ...]) -> None:
    """Predict a few rows now: numpy finds what does not fit, and should not find it after hours."""
    found = (tuple(int(value) for value in estimator.classes_), int(estimator.n_features_in_))
    if found != (classes, len(names)):
        raise InputError("model.skops has other classes or another number of features than model.json.")
    rows = np.array([[0.0], [1.0], [3000.0]], "float32").repeat(len(names), axis=1)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            p = np.asarray(estimator.predict_proba(rows), "float64")
        except ValueError as error:
            # Far from all rows of training, which is no fault.
            if "No neighbors found" in str(error):
                return
            raise
    if p.shape != (len(rows), len(classes)) or not (np.isfinite(p).all() and (p >= 0).all()):
        raise InputError("model.skops predicts no probabilities of its classes.")


_RESTORERS: dict[str, tuple[str, Callable[[tuple[int, ...], tuple[str, ...], bytes], Estimator]]] = {
    "lightgbm": ("model.txt", _restore_boosted),
    "sklearn": ("model.skops", _restore_learnt),
    "constant": ("", _restore_constant),
}


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
