"""Area of applicability: how unlike its training rows is a place to a model, and how many of them are near."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from landweave.errors import InputError
from landweave.patch.model import NODATA

MOST_NEAR = 100
"""Training rows that are counted near a place: more say nothing new."""

_ROUNDS = 5
_CHUNK = 2048
_NO_FOLD = -1


@dataclass(frozen=True, kw_only=True)
class Applicability:
    """Training rows in the space in which distances are taken; made by :func:`fit_applicability`.

    The space of Meyer and Pebesma (2021, Methods in Ecology and Evolution 12:1620): every feature centred and scaled by
    its mean and standard deviation over the training rows, times its importance. A missing value is the mean.
    """

    columns: np.ndarray
    """int64 (f,): features that count, the most important first."""

    centre: np.ndarray
    """float64 (f,): mean of each over the training rows."""

    factor: np.ndarray
    """float64 (f,): importance over standard deviation."""

    members: np.ndarray
    """float32 (n, f): the training rows, cluster by cluster."""

    folds: np.ndarray
    """int64 (n,): fold of each row."""

    starts: np.ndarray
    """int64 (c + 1,): where each cluster begins."""

    centres: np.ndarray
    """float32 (c, f)."""

    radius: np.ndarray
    """float32 (c,): distance of a cluster's farthest row from its centre."""

    mean_distance: float
    """Mean distance of two training rows: the unit of the dissimilarity index."""

    threshold: float
    """Of the dissimilarity index: what is above it is outside the area of applicability."""

    training: np.ndarray
    """float64 (n,): dissimilarity index of every training row to the rows of other folds, in rising order."""

    def dissimilarity(self, X: np.ndarray, *, folds: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Dissimilarity index and local point density.

        The index is the distance to the nearest training row over the mean distance of training rows. The density is
        the number of training rows nearer than the threshold (Meyer et al. 2024, local point density), at most
        :data:`MOST_NEAR`. The nearest row is found exactly: clusters of training rows are passed over only where the
        triangle inequality shows that none of their rows can be nearer.

        Parameters
        ----------
        X
            Features (n, all features), int16 with -32768 missing, or floating point with NaN missing.
        folds
            (n,): training rows of this fold do not count, -1 leaves none out; None leaves none out anywhere.

        Returns
        -------
        index
            float64 (n,); infinite where no training row counts.
        density
            int64 (n,).
        """
        from landweave.accuracy.trust import search_kernels

        apart = np.full(len(X), _NO_FOLD, "int64") if folds is None else np.asarray(folds, "int64")
        index, density = np.full(len(X), np.inf), np.zeros(len(X), "int64")
        reach = np.float32(self.threshold * self.mean_distance)
        for start in range(0, len(X), _CHUNK):
            part = slice(start, start + _CHUNK)
            rows = self._placed(X[part])
            at, near = np.empty(len(rows), "int64"), np.empty(len(rows), "int64")
            search_kernels.run(
                search_kernels.nearest, rows, apart[part], self.members, self.folds, self.starts, self.centres,
                self.radius, reach, np.int64(MOST_NEAR), at, near,
            )  # fmt: skip
            # The nearest one is chosen in single precision; its distance is that of double.
            away = np.empty(len(rows))
            search_kernels.run(
                search_kernels.distances, X[part], self.columns, self.centre, self.factor, _missing(X), self.members,
                at, away,
            )  # fmt: skip
            index[part], density[part] = away / self.mean_distance, near
        return index, density

    def among(self, X: np.ndarray, folds: np.ndarray) -> "Applicability":
        """The same space, unit and threshold with other training rows, (n, all features), and their folds, (n,)."""
        rows = self._placed(np.asarray(X))
        order, starts, centres, radius = _clusters(rows)
        own = np.asarray(folds).astype("int64")[order]
        changed = {"members": rows[order], "folds": own, "starts": starts, "centres": centres, "radius": radius}
        return Applicability(**{**vars(self), **changed})

    def inside(self, index: np.ndarray) -> np.ndarray:
        """Whether places of these dissimilarity indices lie within the area of applicability, bool (n,)."""
        return np.asarray(np.asarray(index) <= self.threshold)

    def _placed(self, X: np.ndarray) -> np.ndarray:
        return _placed(X, self.columns, self.centre, self.factor)

    def arrays(self) -> dict[str, np.ndarray]:
        """All that it holds, as arrays by name; :meth:`from_arrays` reads them back."""
        return {name: np.asarray(value) for name, value in vars(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> "Applicability":
        """What :meth:`arrays` gave."""
        names = list(cls.__dataclass_fields__)
        numbers: Any = {name: float(arrays[name]) for name in ("mean_distance", "threshold")}
        return cls(**{name: arrays[name] for name in names if name not in numbers}, **numbers)


def fit_applicability(X: np.ndarray, *, importance: np.ndarray, folds: np.ndarray) -> Applicability:
    """The area of applicability of a model.

    The threshold is the upper whisker of the training rows' own dissimilarity indices, each to the rows of other
    folds: the smaller of the third quartile plus 1.5 interquartile ranges, and the largest index.

    Parameters
    ----------
    X
        Features of the training rows, (n, f), int16 with -32768 missing, or floating point with NaN missing.
    importance
        Of each feature, (f,); below 0 counts as 0. Only ratios matter. All 0: every feature counts alike.
    folds
        Fold of each row, (n,), whole numbers of 0 or more. With one fold, each row is a fold of its own.

    Raises
    ------
    InputError
        With fewer than two rows, or where no two rows differ, or every row is repeated in another fold.
    ValueError
        When shapes do not fit, or an importance is not finite.

    Examples
    --------
    >>> X = np.array([[0.0], [1.0], [3.0]])
    >>> fitted = fit_applicability(X, importance=np.ones(1), folds=np.zeros(3))
    >>> round(float(fitted.dissimilarity(np.array([[4.0]]))[0][0]), 6)
    0.5
    """
    from landweave.accuracy.trust import search_kernels

    X, importance, fold = np.asarray(X), np.asarray(importance, "float64"), np.asarray(folds).astype("int64")
    if X.ndim != 2 or importance.shape != X.shape[1:] or fold.shape != X.shape[:1]:
        raise ValueError(f"rows {X.shape}, importance {importance.shape} and folds {fold.shape} do not fit.")
    if not np.isfinite(importance).all() or (fold < 0).any():
        raise ValueError("an importance is not finite, or a fold is below 0.")
    if len(X) < 2:
        raise InputError(f"{len(X)} training rows; the area of applicability needs two or more.")
    columns, centre, factor = _space(X, importance)
    rows = _placed(X, columns, centre, factor)
    sums = np.zeros(len(rows))
    search_kernels.run(search_kernels.sum_of_distances, rows, sums)
    mean = float(sums.sum() / (len(rows) * (len(rows) - 1) / 2))
    if not mean > 0:
        raise InputError("no two training rows differ in a feature, so nothing can be said of likeness to them.")
    if len(np.unique(fold)) == 1:
        fold = np.arange(len(rows))
    order, starts, centres, radius = _clusters(rows)
    found = Applicability(
        columns=columns, centre=centre, factor=factor, members=rows[order], folds=fold[order], starts=starts,
        centres=centres, radius=radius, mean_distance=mean, threshold=0.0, training=np.zeros(0),
    )  # fmt: skip
    own = np.sort(found.dissimilarity(X, folds=fold)[0])
    known = own[np.isfinite(own)]
    low, high = np.quantile(known, [0.25, 0.75])
    threshold = float(min(high + 1.5 * (high - low), known[-1]))
    if not threshold > 0:
        raise InputError("the training rows repeat each other from fold to fold, so no place can be unlike them.")
    return Applicability(**{**vars(found), "threshold": threshold, "training": known})


def _space(X: np.ndarray, importance: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    weight = np.clip(importance, 0, None)
    centre, spread = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    for j in range(X.shape[1]):
        known = _floats(X[:, j])
        known = known[np.isfinite(known)]
        if len(known) > 1:
            centre[j], spread[j] = known.mean(), known.std(ddof=1)
    if not (weight[spread > 0] > 0).any():
        weight = np.ones_like(weight)
    weight = np.where(spread > 0, weight, 0.0)
    columns = np.argsort(-weight, kind="stable")[: int((weight > 0).sum())]
    # Any scale of the weights gives the same index; with this one, numbers are neither tiny nor huge.
    factor = weight[columns] / (weight.max() or 1.0) / spread[columns]
    return columns.astype("int64"), centre[columns], factor


def _placed(X: np.ndarray, columns: np.ndarray, centre: np.ndarray, factor: np.ndarray) -> np.ndarray:
    from landweave.accuracy.trust import search_kernels

    rows = np.empty((len(X), len(columns)), "float32")
    search_kernels.run(search_kernels.place, X, columns, centre, factor, _missing(X), rows)
    return rows


def _missing(X: np.ndarray) -> float:
    return float(NODATA) if np.issubdtype(X.dtype, np.integer) else float("nan")


def _floats(X: np.ndarray) -> np.ndarray:
    values = np.asarray(X, "float64")
    return np.where(X == NODATA, np.nan, values) if np.issubdtype(X.dtype, np.integer) else values


def _clusters(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Some rounds of k-means: the rows' order by cluster, where clusters begin, their centres and radii."""
    from landweave.accuracy.trust import search_kernels

    count = max(1, round(len(rows) ** 0.5))
    centres = rows[np.linspace(0, len(rows) - 1, count).astype("int64")].copy()
    nobody, at, near = np.full(len(rows), _NO_FOLD, "int64"), np.empty(len(rows), "int64"), np.empty(len(rows), "int64")
    for number in range(_ROUNDS):
        search_kernels.run(
            search_kernels.nearest, rows, nobody, centres, np.arange(count), np.arange(count + 1),
            centres, np.zeros(count, "float32"), np.float32(0), np.int64(0), at, near,
        )  # fmt: skip
        if number == _ROUNDS - 1:
            break
        for c in np.unique(at).tolist():
            centres[c] = rows[at == c].mean(axis=0, dtype="float64")
    order = np.argsort(at, kind="stable")
    starts = np.searchsorted(at[order], np.arange(count + 1)).astype("int64")
    far = np.sqrt(((rows - centres[at]).astype("float64") ** 2).sum(axis=1))
    radius = np.zeros(count)
    np.maximum.at(radius, at, far)
    return order, starts, centres, radius.astype("float32")
