"""What the models that never saw a place were taught: ``taught.npz``, by which pixels that they know are left out."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from landweave.labels.leakage import known_by, prints_of
from landweave.patch.model import NODATA
from landweave.patch.store import write_whole
from landweave.runs import layout


@dataclass(frozen=True, kw_only=True)
class Taught:
    """Training rows, by what identifies them."""

    prints: np.ndarray
    """uint64 (n,): fingerprints of features."""
    told: np.ndarray
    """bool (n,): whether so many features are known that equal ones are no chance."""
    polygons: np.ndarray
    """int64 (n,): number of the polygon that labels each row, 0 for none."""
    folds: np.ndarray
    """int64 (n,): the fold whose model was not taught the row, -1 for none."""

    def without(self, fold: int) -> tuple[np.ndarray, np.ndarray]:
        """Fingerprints and polygons that the model of a fold was taught; -1 leaves nothing out."""
        use = (self.folds != fold) | (fold < 0)
        return np.unique(self.prints[use & self.told]), np.unique(self.polygons[use])


def taught_rows(matrix: np.ndarray, polygons: np.ndarray, folds: np.ndarray) -> Taught:
    """Of the features (n, f) of training rows, their polygons (n,) and folds (n,)."""
    prints, told = prints_of(matrix, missing=NODATA)
    return Taught(prints=prints, told=told, polygons=polygons.astype("int64"), folds=folds.astype("int64"))


def write_taught(folder: Path, taught: Taught) -> str:
    """Write ``taught.npz``; its path relative to the folder."""

    def save(part: Path) -> None:
        with part.open("wb") as file:
            np.savez(file, allow_pickle=False, **vars(taught))

    write_whole(folder / layout.TAUGHT, save)
    return layout.TAUGHT


def known_pixels(folder: Path, fold: int, features: np.ndarray, polygons: np.ndarray | None) -> np.ndarray:
    """What the model of a fold knows of pixels, as :func:`landweave.labels.leakage.known_rows` says it; uint8 (n,).

    Parameters
    ----------
    folder
        The run's. Without ``taught.npz`` the model comes from elsewhere and knows nothing of this land.
    fold
        Of the model: it was taught the rows of the others, and all of them for -1.
    features, polygons
        (n, f), and the number of the polygon that labels each, (n,); None without polygons.
    """
    path = folder / layout.TAUGHT
    if not path.exists():
        return np.zeros(len(features), "uint8")
    status = path.stat()
    prints, taught = _without(path, status.st_mtime_ns, status.st_size, fold)
    return known_by(*prints_of(features, missing=NODATA), prints, polygons=polygons, taught=taught)


@lru_cache(maxsize=16)
def _without(path: Path, _when: int, _size: int, fold: int) -> tuple[np.ndarray, np.ndarray]:
    # Every strip of a patch asks for it.
    with np.load(path, allow_pickle=False) as arrays:
        return Taught(**dict(arrays)).without(fold)
