"""The classifier of a run as a scikit-learn estimator."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from landweave.classifier.calibration import fit_prior
from landweave.classifier.cross_calibration import cross_calibrate
from landweave.classifier.fit import fit_parts
from landweave.classifier.model import Model
from landweave.errors import InputError
from landweave.import_rule import ImportRule

PRIORS = ("balanced", "area")
CALIBRATIONS = ("temperature", "none")

_MODEL = "model"


class LandCoverClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Train as ``landweave run`` trains, on any table: prior correction and temperature calibration included.

    It works wherever scikit-learn takes a classifier: ``clone``, ``Pipeline``, ``cross_validate``,
    ``cross_val_predict``, ``GridSearchCV``.

    Parameters
    ----------
    type
        ``"lightgbm"``, ``"random_forest"``, or the import path of a scikit-learn class such as ``"sklearn.svm.SVC"``.
    params
        Passed to that class; for LightGBM its own names or scikit-learn's.
    prior
        ``"balanced"``: probabilities as trained. ``"area"``: probabilities corrected to each class's share of the
        land, for a training set in which rare classes are more frequent than on the land. Needs ``class_shares`` or
        ``sample_weight``.
    class_shares
        Class to its share of the land (or area, or number of pixels). Used by ``prior="area"``.
    calibration
        ``"temperature"``: fit a temperature on rows held out in turn, so that probabilities are neither too sure nor
        too unsure. ``"none"``: keep the probabilities.
    folds
        Number of folds that are held out for the temperature, at least 2, or a splitter such as
        :class:`landweave.PatchSplit`. A number is reduced to the number of groups, or of rows.
    seed
        For everything random.
    threads
        Threads to train with; None: all cores. The model does not depend on it.

    Attributes
    ----------
    classes_ : numpy.ndarray
        The classes, sorted: the columns of :meth:`predict_proba`.
    model_ : Model
        The fitted model: estimator, prior and temperatures. ``model_.save(folder)`` writes it as text and JSON.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : numpy.ndarray
        Names of the features, where X was a DataFrame with text columns.

    Notes
    -----
    X is (n, f), int16 with -32768 for missing, or any number with NaN for missing. Floating point is used as float32.

    With ``prior="balanced"`` ``sample_weight`` weights the rows in training, as elsewhere in scikit-learn, and in the
    temperature. With ``prior="area"`` it is the land that each row stands for, such as 1 / inclusion probability: the
    classifier is trained on rows of equal weight, and the weights serve the prior and the temperature.

    References
    ----------
    Saerens, Latinne and Decaestecker (2002) for the prior, Guo et al. (2017) for the temperature.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (200, 3)), rng.normal(2, 1, (200, 3))])
    >>> y = np.repeat(["forest", "water"], 200)
    >>> shares = {"forest": 0.9, "water": 0.1}
    >>> plain = LandCoverClassifier(params={"n_estimators": 20}).fit(X, y)
    >>> area = LandCoverClassifier(params={"n_estimators": 20}, prior="area", class_shares=shares).fit(X, y)
    >>> between = np.full((1, 3), 1.0)
    >>> bool(area.predict_proba(between)[0, 0] > plain.predict_proba(between)[0, 0])
    True
    """

    def __init__(
        self,
        type: str = "lightgbm",  # noqa: A002 - the key of the project file
        params: Mapping[str, Any] | None = None,
        *,
        prior: str = "balanced",
        class_shares: Mapping[Any, float] | None = None,
        calibration: str = "temperature",
        folds: Any = 5,
        seed: int = 42,
        threads: int | None = 1,
    ) -> None:
        self.type = type
        self.params = params
        self.prior = prior
        self.class_shares = class_shares
        self.calibration = calibration
        self.folds = folds
        self.seed = seed
        self.threads = threads

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Train on a table.

        Parameters
        ----------
        X
            (n, f) features.
        y
            (n,) classes, numbers or text, at most 255 different ones.
        sample_weight
            (n,) weights of the rows, 0 or more; see the notes of the class.
        groups
            (n,) patch, block or group of each row: held out as a whole when the temperature is fitted. Without groups
            neighbouring pixels are in different folds, and the temperature is too low.

        Raises
        ------
        InputError
            For a parameter that is not valid, or ``prior="area"`` without class shares.
        ValueError
            Scikit-learn's own, where X and y do not fit.
        """
        self._check_choices()
        X, y = validate_data(self, X, y, dtype=[np.float32, np.int16], ensure_all_finite="allow-nan")
        check_classification_targets(y)
        self.classes_, index = np.unique(y, return_inverse=True)
        if len(self.classes_) > 255:
            raise InputError(f"y has {len(self.classes_)} classes; at most 255 are possible.")
        values = self._values()
        encoded = np.array(values, "uint8")[index]
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        land = self._land(index, weights)
        in_training = weights if self.prior == "balanced" else None
        if in_training is not None and not (used := in_training > 0).all():
            # Rows of weight 0 do not exist: LightGBM would still count them in its leaves.
            X, encoded, index, land, in_training = (part[used] for part in (X, encoded, index, land, in_training))
            groups = None if groups is None else np.asarray(groups)[used]
            if len(np.unique(index)) < len(self.classes_):
                self.classes_, values = self.classes_[np.unique(index)], tuple(np.unique(encoded).tolist())
        everything = np.ones(len(X), bool)
        parts: dict[str, np.ndarray] = {}
        if self.calibration == "temperature" or self.prior == "area":
            parts = {str(n): part for n, part in enumerate(self._held_out_rows(X, encoded, groups))}
        taught = {**{name: ~part for name, part in parts.items()}, _MODEL: everything}
        models = self._fit_all(X, encoded, land, in_training, taught, values)
        if parts:
            models, _ = cross_calibrate(
                models, parts, X, encoded, classes=values, weights=land,
                soften=self.calibration == "temperature", threads=self._threads,
            )  # fmt: skip
        self.model_ = models[_MODEL]
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Calibrated probabilities, float32 (n, number of classes); rows sum to 1."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float32, np.int16], ensure_all_finite="allow-nan", reset=False)
        return self.model_.probabilities(X, threads=self._threads)

    def predict(self, X: Any) -> np.ndarray:
        """The class of the highest probability, (n,), of the type of ``y``; the first of equals."""
        p = self.predict_proba(X)
        return np.asarray(self.classes_[p.argmax(axis=1)])

    @property
    def _threads(self) -> int:
        return 0 if self.threads is None else self.threads

    def _check_choices(self) -> None:
        for name, value, choices in (
            ("prior", self.prior, PRIORS),
            ("calibration", self.calibration, CALIBRATIONS),
        ):
            if value not in choices:
                raise InputError(f"LandCoverClassifier: {name} = {value!r}; choose one of {', '.join(choices)}.")
        if not hasattr(self.folds, "split") and not (isinstance(self.folds, int | np.integer) and self.folds >= 2):
            raise InputError(
                f"LandCoverClassifier: folds = {self.folds!r}; give a number of at least 2 or a splitter with split()."
            )

    def _values(self) -> tuple[int, ...]:
        """Class values 1..255: those of ``y`` where it has such numbers, else 1, 2, 3, ..."""
        if self.classes_.dtype.kind in "iu" and self.classes_[0] >= 1 and self.classes_[-1] <= 255:
            return tuple(int(value) for value in self.classes_)
        return tuple(range(1, len(self.classes_) + 1))

    def _land(self, index: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
        """Land that each row stands for, float64 (n,): weights, scaled so that each class has its share."""
        land = np.ones(len(index)) if weights is None else weights.astype("float64")
        if self.prior != "area":
            return land
        if self.class_shares is None:
            if weights is None:
                raise InputError(
                    'LandCoverClassifier: prior = "area" needs the shares of the land: give class_shares, '
                    "or sample_weight to fit."
                )
            return land
        shares = [self.class_shares.get(name, math.nan) for name in self.classes_.tolist()]
        for name, share in zip(self.classes_.tolist(), shares, strict=True):
            if not (math.isfinite(share) and share >= 0):
                raise InputError(
                    f"LandCoverClassifier: class_shares gives class {name!r} the share {share}; "
                    f"give each class of y a number of 0 or more."
                )
        sums = np.bincount(index, land, len(shares))
        per_weight = np.divide(shares, sums, out=np.zeros(len(shares)), where=sums > 0)
        return np.asarray(land * per_weight[index])

    def _held_out_rows(self, X: np.ndarray, y: np.ndarray, groups: Any) -> Iterator[np.ndarray]:
        """Rows, bool (n,), that one model after the other does not see; none where there are too few rows."""
        groups = None if groups is None else np.asarray(groups)
        if groups is not None and groups.shape != y.shape:
            raise InputError(f"groups has shape {groups.shape}; give one group for each of the {len(y)} rows.")
        tests: Iterable[Any]
        if hasattr(self.folds, "split"):
            tests = [test for _, test in self.folds.split(X, y, groups)]
        else:
            number = _fold_of_each(y, groups, k=int(self.folds), seed=self.seed)
            tests = [number == n for n in range(number.max() + 1)] if number.any() else []
        for test in tests:
            part = np.zeros(len(y), bool)
            part[test] = True
            # A splitter may leave nothing to train on.
            if part.any() and not part.all():
                yield part

    def _fit_all(
        self,
        X: np.ndarray,
        y: np.ndarray,
        land: np.ndarray,
        weights: np.ndarray | None,
        parts: Mapping[str, np.ndarray],
        values: tuple[int, ...],
    ) -> dict[str, Model]:
        names = getattr(self, "feature_names_in_", [f"x{i}" for i in range(X.shape[1])])
        estimators = fit_parts(
            X, y, parts, type=self.type, params=self.params, seed=self.seed, threads=self.threads,
            feature_names=[str(name) for name in names], weights=weights,
            # Named by a program, not by a file: it could import the class itself.
            rule=ImportRule(anything=True),
        )  # fmt: skip
        models = {}
        for name, rows in parts.items():
            prior = None
            if self.prior == "area":
                own = {value: rows & (y == value) for value in estimators[name].classes}
                prior = fit_prior(
                    {value: float(land[part].sum()) for value, part in own.items()},
                    {value: int(part.sum()) for value, part in own.items()},
                )
            models[name] = Model(
                estimator=estimators[name],
                class_names=dict(zip(values, map(str, self.classes_.tolist()), strict=True)),
                prior=prior,
                provenance={"rows": int(rows.sum())},
            )
        return models


def _fold_of_each(y: np.ndarray, groups: np.ndarray | None, *, k: int, seed: int) -> np.ndarray:
    """Fold of each row, int64 (n,): classes spread evenly, groups whole; all 0 where there are no two folds."""
    if groups is None:
        order = np.random.default_rng(seed).permutation(len(y))
        order = order[np.argsort(y[order], kind="stable")]
        fold = np.empty(len(y), "int64")
        fold[order] = np.arange(len(y)) % min(k, len(y))
        return fold
    names = np.unique(groups, return_inverse=True)[1].ravel()
    if names.max() == 0:
        raise InputError(
            'groups holds a single group, and the temperature needs two; give more groups or set calibration = "none".'
        )
    from sklearn.model_selection import GroupKFold

    fold = np.zeros(len(y), "int64")
    splits = GroupKFold(min(k, int(names.max()) + 1), shuffle=True, random_state=seed).split(y, y, names)
    for number, (_, test) in enumerate(splits):
        fold[test] = number
    return fold
