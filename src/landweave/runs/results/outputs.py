"""What a run has made, as arrays, tables and pictures: the part of a finished run that people look at."""

import datetime
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from landweave.errors import InputError
from landweave.runs import layout
from landweave.runs.fetch.strips import reasons_of
from landweave.runs.project.area import area_of
from landweave.runs.project.plan import Plan

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class RunOutputs(ABC):
    """Maps, figures and pictures of a run, read from its output folder when asked for.

    Each raises InputError, with the name of the file, where the run has not made it.
    """

    plan: Plan

    @property
    @abstractmethod
    def folder(self) -> Path:
        """The output folder."""

    @property
    @abstractmethod
    def accuracy(self) -> dict[str, Any]:
        """The content of ``accuracy.json``."""

    @property
    @abstractmethod
    def importance(self) -> dict[str, Any]:
        """The content of ``importance.json``."""

    @abstractmethod
    def patch(self, name: str) -> "xr.Dataset":
        """All that is known of a patch."""

    @abstractmethod
    def layers(self, name: str) -> dict[str, np.ndarray]:
        """Reference and predictions of a patch."""

    @abstractmethod
    def clearest_date(self, name: str) -> datetime.date:
        """The date with the largest share of valid pixels in a patch."""

    @abstractmethod
    def clearest_image(self, name: str, *, side: int | None = None) -> np.ndarray | None:
        """True colour of a patch's clearest date, uint8 (y, x, 3)."""

    @property
    def map(self) -> "xr.DataArray":
        """The map of classes: uint8 (y, x), 0 none, as :func:`.map_array`; a slice of it reads that part alone."""
        from landweave.runs.results.rasters import map_array

        return map_array(self.folder / layout.MAP, self.plan.legend)

    @property
    def confidence(self) -> "xr.DataArray":
        """Calibrated probability of the class shown: uint8 (y, x), 1 to 100 %, 0 none; read as :attr:`map` is."""
        from landweave.runs.results.rasters import confidence_array

        return confidence_array(self.folder / layout.CONFIDENCE)

    @property
    def grid(self) -> "gpd.GeoDataFrame":
        """The patches: polygons in EPSG:4326 with ``role`` (train, test) and ``state``, by name."""
        from landweave.runs.results.tables import grid_table

        return grid_table(self.folder / layout.GRID)

    @property
    def outline(self) -> "gpd.GeoDataFrame | None":
        """The outline that ``[area]`` gives, without its buffer, in EPSG:4326; None where it gives none."""
        import geopandas as gpd

        area = area_of(self.plan.project)
        return None if area is None else gpd.GeoDataFrame(geometry=[area], crs="EPSG:4326")

    @property
    def scores(self) -> "pd.DataFrame":
        """Scores of the classes with their 95 % intervals, as :func:`.scores_table`: ``scores["f1"]`` is a frame.

        ``scores.attrs`` holds ``overall_accuracy``, ``weighted_f1`` and ``split``.
        """
        from landweave.runs.results.tables import scores_table

        return scores_table(self.accuracy)

    @property
    def confusion(self) -> "pd.DataFrame":
        """Test pixels by true class (rows) and predicted class (columns), int64, in the legend's order."""
        from landweave.runs.results.tables import confusion_table

        return confusion_table(self.accuracy)

    def valid(self, name: str) -> "xr.DataArray":
        """Which observations of a patch count: bool (time, y, x), False for clouds, missing data and what is masked.

        Raises
        ------
        InputError
            For a patch that the run does not have.
        """
        patch = self.patch(name)
        return patch[self.plan.recipe.source_bands[0]].copy(data=reasons_of(self.plan, patch) == 0).rename("valid")

    def plot_map(self, *, ax: "Axes | None" = None, side: int = 1000) -> "Axes":
        """Draw the map in the legend's colours.

        Parameters
        ----------
        ax
            Where to draw; None makes a new figure.
        side
            Pixels along the longer side, at most; a larger map is shrunk by the commonest value.
        """
        from landweave.runs.results.plots import draw_map
        from landweave.runs.results.rasters import small

        values = small(self.folder / layout.MAP, side)
        grid = self.map.odc.geobox
        box = grid.boundingbox
        return draw_map(
            values, self.plan.legend, extent=(box.left, box.right, box.bottom, box.top), crs=_name(grid.crs),
            title=f"Land cover, {self.plan.project.name}", ax=ax,
        )  # fmt: skip

    def plot_confusion(self, *, ax: "Axes | None" = None, share: str | None = "true") -> "Axes":
        """Draw the confusion matrix of the test pixels.

        Parameters
        ----------
        ax
            Where to draw; None makes a new figure.
        share
            ``"true"``: per cent of each true class, with recall on the diagonal. ``"predicted"``: of each predicted
            class, with precision on the diagonal. None: numbers of pixels.
        """
        from landweave.runs.results.plots import draw_confusion

        return draw_confusion(self.confusion, share=share, ax=ax)

    def plot_importance(self, *, ax: "Axes | None" = None) -> "Axes":
        """Draw the share that each layer and date have in the model's decisions.

        Dots mark dates whose values come mostly from images with snow. ``ax``: where to draw; None makes a new figure.
        InputError where the importance was not measured.
        """
        from landweave.runs.results.plots import draw_importance

        importance = self.importance
        if "reason" in importance:
            raise InputError(f"{self.folder / layout.IMPORTANCE}: importance was not measured: {importance['reason']}.")
        return draw_importance(importance, ax=ax)

    def plot_patch(self, name: str, *, ax: "Any | None" = None) -> "Figure":
        """Draw a patch: its clearest image, the reference, and the prediction.

        Parameters
        ----------
        name
            Of the patch, as in :attr:`grid`.
        ax
            One axes for each panel; None makes a new figure. A panel is left out where there is no image or no
            reference. The prediction is by a model that never saw the patch, where there is one.

        Raises
        ------
        InputError
            For a patch that the run does not have, or has not mapped.
        """
        from landweave.runs.results.plots import draw_patch

        layers = self.layers(name)
        if "prediction" not in layers:
            raise InputError(f"{self.folder / layout.prediction(name)}: not mapped; `landweave run` maps this patch.")
        image = self.clearest_image(name)
        panels = {} if image is None else {f"image, {self.clearest_date(name)}": image}
        panels |= {"reference": layers["reference"]} if "reference" in layers else {}
        held_out = "prediction_oof" in layers
        panels |= (
            {"prediction, held out": layers["prediction_oof"]} if held_out else {"prediction": layers["prediction"]}
        )
        return draw_patch(panels, self.plan.legend, title=f"Patch {name}", ax=ax)


def _name(crs: Any) -> str:
    """What an axis calls a CRS: its EPSG code where it has one, else nothing long."""
    number = None if crs is None else crs.to_epsg()
    return "CRS of the map" if number is None else f"EPSG:{number}"
