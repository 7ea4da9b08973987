"""A patch's reference beside the prediction that it is compared with."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from landweave.patch.store import read_raster


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A patch's reference and the prediction that it is compared with; chosen by :meth:`.FinishedRun.compared`."""

    labels_file: Path
    """The reference on the patch's grid."""

    predicted_file: Path
    """The prediction that it is compared with."""

    held_out: bool
    """Whether that is of models of this run that never saw the patch; else it is the map's."""

    left_out: np.ndarray | None = None
    """Pixels, bool (y, x), of units that no model can be asked about: each model has seen them. None for no pixel."""

    @cached_property
    def labels(self) -> np.ndarray:
        """The reference, whole and eroded, uint8 (2, y, x), 0 none."""
        return read_raster(self.labels_file)[:2]

    @cached_property
    def reference(self) -> np.ndarray:
        """What of :attr:`labels` is compared: uint8 (2, y, x), 0 also where a unit is left out."""
        return self.labels if self.left_out is None else np.where(self.left_out, 0, self.labels).astype("uint8")

    @cached_property
    def predicted(self) -> np.ndarray:
        """Class values of the prediction, uint8 (y, x), 0 none."""
        return np.asarray(read_raster(self.predicted_file)[0])
