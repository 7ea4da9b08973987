"""`[reference]`, `[training]`, `[districts]` and `[estimate]` of the project file: what is known of the land."""

from pydantic import Field

from landweave.patch.tables.places import PlaceKeys
from landweave.runs.project.source_settings import Settings


class PointFileSettings(Settings):
    """How a file of points is read, where it does not say so itself."""

    layer: str | None = None
    """Layer of a vector file that has several."""
    encoding: str | None = None
    """Encoding of the text of a shapefile or CSV that does not state it."""
    x: str | None = None
    y: str | None = None
    """Columns of the places of a table, where they are not called longitude and latitude."""
    crs: str | None = None
    """CRS of these columns, or of a vector file that states none."""

    @property
    def places(self) -> PlaceKeys:
        """What the user says of the places of a table."""
        return PlaceKeys(x=self.x, y=self.y, crs=self.crs)


class ReferenceSettings(PointFileSettings):
    """The official map."""

    path: str
    column: str | None = None
    """Column of the codes (default ``label``); a raster's values are its codes."""
    band: int | None = Field(None, ge=1)
    """Band of a raster that has several, from 1."""
    legend: str | None = None
    """Classes and crosswalk; without it the classes are the sorted codes."""
    erosion: int = Field(1, ge=0, le=50)
    """Pixels taken off each class's edge for training; points are never eroded."""
    truth: str | None = None
    """Raster of class values of the true cover, where it is known: a simulated country."""
    label_errors_precision: float = Field(0.5, ge=0, le=1)
    """Share of the list of label errors that must be wrong, as estimated; the list ends where it falls below."""
    verdicts: str | None = None
    """What `landweave view --verdicts places` wrote: it corrects the labels."""


class TrainingSettings(Settings):
    """A table of labelled series, instead of a reference map."""

    table: str
    samples: str | None = None
    legend: str | None = None
    label: str = "label"
    block_size: float = Field(0.1, gt=0)
    """Degrees; side of the spatial blocks that cross-validate the table."""


class DistrictSettings(Settings):
    """Areas to report on."""

    path: str
    column: str
    layer: str | None = None
    """Layer of a file that has several."""
    encoding: str | None = None
    """Encoding of the text of a shapefile that does not state it."""


class EstimateSettings(PointFileSettings):
    """A labelled probability sample, from which accuracy and areas are estimated."""

    sample: str
    """What ``landweave estimate draw`` wrote, with its labels."""
    label: str = "reference"
    """Column of the labels."""
    drop_unlabelled: bool = False
    """Leave out units without a label, instead of refusing them."""
