"""A model: an estimator with its recipe, classes and calibration, kept as text and JSON."""

import hashlib
import json
import math
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from landweave.classifier.calibration import apply_prior, apply_temperature
from landweave.classifier.estimators import Boosted, Estimator, restore
from landweave.errors import MACHINE, InputError, named
from landweave.patch.store import write_whole
from landweave.patch.summary import Shown, listed

FORMAT = "landweave model 1"
_RECIPE_KEYS = ("bands", "indices", "custom", "static", "days")
MOST_JSON, MOST_BYTES = 1 << 26, 1 << 33
"""Bytes of ``model.json``, and of the estimator's own file, that are read."""

_CHUNK = 65536


@dataclass(frozen=True, kw_only=True, repr=False)
class Model(Shown):
    """What turns features into classes.

    Raises
    ------
    InputError
        When prior, temperature, thresholds or reject_below make no sense for the classes.
    """

    estimator: Estimator = field(repr=False)
    """The fitted classifier; rooms outside use :meth:`probabilities`."""

    class_names: Mapping[int, str]
    """Class value to name, of the whole legend; the trained classes must be among them."""

    recipe: Mapping[str, Any] | None = None
    """The features' recipe as JSON values; None for a table whose values are taken as they are."""

    training_temperature: float = 1.0
    """Applied before the prior: probabilities must be right about the training rows, where rare classes are many,
    before the prior can move them to the land's shares."""

    prior: tuple[float, ...] | None = None
    """Land share / training share by class; None: as trained."""

    temperature: float = 1.0
    """Over 1 makes probabilities less sure."""

    thresholds: Mapping[int, float] = field(default_factory=dict)
    """Class value to t_k; classes that are not named have 1."""

    reject_below: float | None = None
    """Least probability of the class shown; below it the class is 0."""

    provenance: Mapping[str, Any] = field(default_factory=dict)
    """JSON values that say where the model comes from: versions, settings, patches, counts. No times."""

    def _summary(self) -> Mapping[str, object]:
        return {
            "kind": self.kind,
            "classes": listed([self.class_names[value] for value in self.classes], 10),
            "features": len(self.feature_names),
            "temperature": round(self.temperature, 4),
            "prior": "as trained" if self.prior is None else "area",
            "thresholds": len(self.thresholds),
            "project": self.provenance.get("project", ""),
        }

    def __post_init__(self) -> None:
        unnamed = [value for value in self.classes if value not in self.class_names]
        if unnamed:
            raise InputError(f"The model was trained on class {unnamed[0]}, which has no name in the legend.")
        if self.prior is not None:
            if len(self.prior) != len(self.classes) or not all(math.isfinite(r) and r >= 0 for r in self.prior):
                raise InputError(f"The model's prior {self.prior} must be {len(self.classes)} ratios of 0 or more.")
            if not any(self.prior):
                raise InputError("The model's prior is 0 for all classes.")
        for temperature in (self.training_temperature, self.temperature):
            if not (math.isfinite(temperature) and temperature > 0):
                raise InputError(f"The model's temperature is {temperature}; it must be above 0.")
        for value, threshold in self.thresholds.items():
            if value not in self.class_names:
                raise InputError(f"[model] thresholds names class {value}; there are {sorted(self.class_names)}.")
            if not (math.isfinite(threshold) and threshold > 0):
                raise InputError(
                    f"[model] thresholds of {self.class_names[value]!r} is {threshold}; it must be above 0."
                )
        if self.reject_below is not None and not 0 <= self.reject_below <= 1:
            raise InputError(f"[model] reject_below = {self.reject_below}; it must be from 0 to 1.")

    @property
    def kind(self) -> str:
        """``"lightgbm"``, ``"sklearn"`` or ``"constant"``."""
        return self.estimator.kind

    @property
    def classes(self) -> tuple[int, ...]:
        """Values of the trained classes, rising: the columns of probabilities."""
        return self.estimator.classes

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The columns of X."""
        return self.estimator.feature_names

    @property
    def slow_because(self) -> str | None:
        """Why LightGBM itself predicts with a model of its trees; None where it need not, and for other kinds."""
        return self.estimator.slow_because if isinstance(self.estimator, Boosted) else None

    def probabilities(self, X: np.ndarray, *, threads: int = 1) -> np.ndarray:
        """softmax((log(prior) + log(p) / training_temperature) / temperature), p the estimator's.

        Parameters
        ----------
        X
            (n, f) int16, -32768 missing, or floating point, NaN missing; columns as ``feature_names``. Rows whose
            dated features are all missing get some answer: the caller masks them.
        threads
            For LightGBM, where the trees cannot be evaluated without it.

        Returns
        -------
        numpy.ndarray
            float32 (n, len(classes)); rows sum to 1.

        Raises
        ------
        ValueError
            When the number of columns is another.
        """
        if X.ndim != 2 or X.shape[1] != len(self.feature_names):
            raise ValueError(f"features {X.shape} do not fit a model of {len(self.feature_names)} features.")
        out = np.empty((X.shape[0], len(self.classes)), "float32")
        for start in range(0, X.shape[0], _CHUNK):
            part = slice(start, start + _CHUNK)
            out[part] = self._calibrated(X[part], threads)
        return out

    def _calibrated(self, X: np.ndarray, threads: int) -> np.ndarray:
        if isinstance(self.estimator, Boosted):
            with np.errstate(divide="ignore"):
                offset = np.log(np.ones(len(self.classes)) if self.prior is None else self.prior) / self.temperature
            slope = 1 / (self.training_temperature * self.temperature)
            p = self.estimator.calibrated(X, slope=slope, offset=offset)
            if p is not None:
                return p
        p = apply_temperature(self.estimator.predict(X, threads=threads), self.training_temperature)
        if self.prior is not None:
            p = apply_prior(p, self.prior)
        return apply_temperature(p, self.temperature)

    def classify(self, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Class and confidence, uint8 (n,) each, of ``p`` (n, len(classes)), as :func:`decide` says."""
        return decide(p, self.classes, thresholds=self.thresholds, reject_below=self.reject_below)

    def save(self, folder: str | Path) -> Path:
        """Write ``model.json`` and the estimator's own file into ``folder``, whole or not at all.

        Equal models give equal bytes.

        Raises
        ------
        InputError
            For an estimator that cannot be kept without pickle.
        """
        files = self.estimator.files()
        content = {
            "format": FORMAT,
            "kind": self.kind,
            "classes": list(self.classes),
            "class_names": {str(value): name for value, name in self.class_names.items()},
            "feature_names": list(self.feature_names),
            "recipe": self.recipe,
            "training_temperature": self.training_temperature,
            "prior": None if self.prior is None else list(self.prior),
            "temperature": self.temperature,
            "thresholds": {str(value): float(self.thresholds[value]) for value in sorted(self.thresholds)},
            "reject_below": self.reject_below,
            "provenance": self.provenance,
            "files": {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)},
        }
        text = json.dumps({**content, "sha256": _digest(content)}, indent=1, ensure_ascii=False, allow_nan=False)

        def write(part: Path) -> None:
            part.mkdir()
            for name, data in files.items():
                (part / name).write_bytes(data)
            (part / "model.json").write_text(text + "\n", encoding="utf-8")

        return write_whole(folder, write)

    @classmethod
    def load(cls, folder: str | Path) -> "Model":
        """Read what :meth:`save` wrote.

        Raises
        ------
        InputError
            Naming the folder: when something is missing, was changed, is no model, or holds types beyond the closed
            list.
        """
        folder = Path(folder)
        try:
            return cls._read(folder)
        except FileNotFoundError as error:
            name = Path(error.filename).name if error.filename else "model.json"
            raise InputError(
                f"{folder}: no model in this folder ({name} is missing); "
                "give a model folder written by `landweave run`."
            ) from None
        except OSError as error:
            if error.errno in MACHINE:
                raise
            raise InputError(f"{folder}: the model cannot be read: {error.strerror}.") from None
        except InputError as error:
            raise InputError(f"{folder}: {' '.join(str(error).split())}") from None
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, MemoryError) as error:
            words = " ".join(str(error).split())[:200]
            raise InputError(f"{folder}: model.json is malformed ({type(error).__name__}: {words}).") from None

    @classmethod
    def _read(cls, folder: Path) -> "Model":
        try:
            with named(folder / "model.json"):
                content = json.loads(_content(folder / "model.json", MOST_JSON).decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise InputError(f"model.json is not valid JSON: {error}.") from None
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise InputError(f'model.json is not of the format "{FORMAT}".')
        if content.pop("sha256", None) != _digest(content):
            raise InputError("model.json was changed after it was written; train the model again.")
        files = {}
        for name, digest in content["files"].items():
            if Path(name).name != name or "\0" in name:
                raise InputError(f"model.json names a file outside its folder: {name!r}.")
            with named(folder / name):
                files[name] = _content(folder / name, MOST_BYTES)
            if hashlib.sha256(files[name]).hexdigest() != digest:
                raise InputError(f"{name} was changed after it was written; train the model again.")
        _check_types(content)
        classes = tuple(content["classes"])
        if sorted(set(classes)) != list(classes) or not classes or classes[0] < 1 or classes[-1] > 255:
            raise InputError(f"model.json has the classes {classes}; they must be strictly increasing, from 1 to 255.")
        names = tuple(content["feature_names"])
        estimator = restore(content["kind"], classes, names, files)
        if isinstance(estimator, Boosted):
            # Read now, so that a broken text is found at the door.
            _ = estimator.forest
        return cls(
            estimator=estimator,
            class_names={int(value): str(name) for value, name in content["class_names"].items()},
            recipe=content["recipe"],
            training_temperature=float(content["training_temperature"]),
            prior=None if content["prior"] is None else tuple(float(ratio) for ratio in content["prior"]),
            temperature=float(content["temperature"]),
            thresholds={int(value): float(t) for value, t in content["thresholds"].items()},
            reject_below=None if content["reject_below"] is None else float(content["reject_below"]),
            provenance=content["provenance"],
        )


def _check_types(content: Mapping[str, Any]) -> None:
    lists = (("classes", int), ("feature_names", str))
    for key, kind in lists:
        if not isinstance(content[key], list) or not all(type(value) is kind for value in content[key]):
            raise InputError(f"model.json: {key} must be a list of {kind.__name__}.")
    names = content["feature_names"]
    if not names or len(set(names)) != len(names):
        raise InputError("model.json: feature_names must name every feature, each once.")
    for key, kinds in (("class_names", dict), ("thresholds", dict), ("provenance", dict), ("recipe", dict | None)):
        if not isinstance(content[key], kinds):
            raise InputError(f"model.json: {key} must be a table.")


def _content(path: Path, most: int) -> bytes:
    """The bytes of an ordinary file that is not over a size: a pipe would never end, and zeros fill the memory."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path.name} is not a file.")
    if status.st_size > most:
        raise InputError(f"{path.name} has {status.st_size} bytes; at most {most} are allowed.")
    return path.read_bytes()


def decide(
    p: np.ndarray,
    classes: Sequence[int],
    *,
    thresholds: Mapping[int, float] | None = None,
    reject_below: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """argmax p_k / t_k, and the probability of that class in percent.

    Parameters
    ----------
    p
        (n, len(classes)) calibrated probabilities.
    classes
        Class value of each column.
    thresholds
        Class value to t_k; classes that are not named have 1. Equal thresholds are no thresholds.
    reject_below
        Least probability of the class shown.

    Returns
    -------
    label
        uint8 (n,) class value; the first column of equals; 0 below ``reject_below``.
    confidence
        uint8 (n,) percent, rounded half to even, at least 1, kept for rejected rows. Both are 0 where ``p`` is NaN.

    >>> decide(np.array([[0.7, 0.3], [0.9, 0.1]]), (1, 5), thresholds={5: 0.3})
    (array([5, 1], dtype=uint8), array([30, 90], dtype=uint8))
    """
    p = np.asarray(p)
    t = np.array([(thresholds or {}).get(value, 1.0) for value in classes])
    # Equal thresholds must not even round differently.
    best = np.argmax(p if np.all(t == t[0]) else p.astype("float64") / t, axis=1)
    chosen = np.take_along_axis(p, best[:, None], axis=1)[:, 0].astype("float64")
    known = np.isfinite(p).all(axis=1)
    label = np.array(classes, "uint8")[best]
    confidence = np.clip(np.rint(100 * np.where(known, chosen, 0)), 1, 100).astype("uint8")
    if reject_below is not None:
        # Rounded as the probabilities are, or 0.2 would lie below 0.2.
        label[chosen < p.dtype.type(reject_below)] = 0
    return np.where(known, label, 0).astype("uint8"), np.where(known, confidence, 0).astype("uint8")


def recipe_mismatch(model_recipe: Mapping[str, Any] | None, project_recipe: Mapping[str, Any] | None) -> str | None:
    """What differs between the features that a model was trained on and those of a project, in one line.

    Parameters
    ----------
    model_recipe, project_recipe
        Recipes as JSON values. Their int16 scales are not compared: features for a model are made with the model's.

    Returns
    -------
    str or None
        None where the model fits.

    >>> recipe_mismatch({"days": [0, 16]}, {"days": [0, 10]})
    'the model was trained with days 0, 16 and the project has 0, 10; make them the same or train a new model'
    """
    if model_recipe is None or project_recipe is None:
        if model_recipe is project_recipe:
            return None
        return "the model was trained on a table of values as they are, not on features of imagery; train a new model"
    for key in _RECIPE_KEYS:
        ours, theirs = (_plain(recipe.get(key)) for recipe in (model_recipe, project_recipe))
        if ours != theirs:
            return (
                f"the model was trained with {key} {_shown(ours)} and the project has {_shown(theirs)}; "
                "make them the same or train a new model"
            )
    return None


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _shown(value: Any) -> str:
    if not value:
        return "none"
    return ", ".join(" = ".join(map(str, item)) if isinstance(item, list) else str(item) for item in value)


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
