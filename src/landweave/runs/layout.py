"""What an output folder holds: the only place that spells these names.

Every name is relative to the output folder, as the ledger records it: ``plan.folder / layout.prediction(cell.name)``.
"""

from datetime import date

GRID = "grid.gpkg"
LEDGER = "ledger.sqlite"
RECORD = "run.json"
FORECAST = "forecast.json"
SCENES = "scenes.json"
"""What an archive's search found."""

HEADERS = "headers"
"""Headers of an archive's files on servers."""

RADIOMETRY = "radiometry.json"
SAMPLES = "samples.parquet"
SERIES = "samples_series.parquet"
"""The masked observations behind each row of ``SAMPLES``."""

HELD_OUT = "samples_oof.parquet"
"""Every row's probabilities by a model that never saw its unit."""

MODEL = "model"
FOLDS = "folds"
TESTER = f"{FOLDS}/test"
"""The model that was trained on all training units and on no test unit."""

SPLITS = "splits.json"
ACCURACY = "accuracy.json"
IMPORTANCE = "importance.json"
LABEL_ERRORS = "label_errors.gpkg"
LABEL_ERRORS_SUMMARY = "label_errors.json"
SEAMS = "seams.json"
MAP = "map.tif"
MAP_NAMES = "map.tif.aux.xml"
MAP_STYLE = "map.qml"
MAP_ITEM = "map.stac.json"
CONFIDENCE = "confidence.tif"
CONFIDENCE_STYLE = "confidence.qml"
GRID_STYLE = "grid.qml"
LABEL_ERRORS_STYLE = "label_errors.qml"
TRUST = "trust.tif"
TRUST_SUMMARY = "trust.json"
APPLICABILITY = "applicability.npz"
TAUGHT = "taught.npz"
"""The training rows that a map is likened to."""

AGREEMENT = "agreement.json"
REPORT = "report.html"
COMPARISON = "compare.json"
COMPARISON_PAGE = "compare.html"
COMPARISON_PLACES = "compare.gpkg"
LAYERS = "view/layers.json"
"""What the maps of the browser view were made from."""

PATCHES = "patches"
PIECES_SUFFIX = "_pieces.parquet"


def fold(number: int) -> str:
    """Model that never saw this fold."""
    return f"{FOLDS}/{number}"


def stack(patch: str) -> str:
    """Imagery of a patch, Zarr."""
    return f"{PATCHES}/{patch}.zarr"


def staging(patch: str) -> str:
    """Dates of a patch that were read before all were."""
    return f"{PATCHES}/{patch}.part"


def quicklooks(patch: str) -> str:
    """True-colour pictures of a patch, a file a date."""
    return f"{PATCHES}/{patch}_quicklooks"


def quicklook(patch: str, day: date) -> str:
    """True-colour picture of a patch on a date."""
    return f"{quicklooks(patch)}/{day_text(day)}.tif"


def observations(patch: str) -> str:
    """Valid observations and mean cloudiness of each pixel."""
    return f"observations/{patch}.tif"


def ndvi(patch: str) -> str:
    """NDVI of a patch through the year, counted."""
    return f"observations/{patch}.npz"


def labels(patch: str) -> str:
    """Reference on a patch's grid: whole, eroded, thin parts."""
    return f"labels/{patch}.tif"


def label_pieces(patch: str) -> str:
    """Which piece of the reference each pixel is in."""
    return f"labels/{patch}_pieces.tif"


def rows(patch: str) -> str:
    """Samples of a patch."""
    return f"parts/{patch}.parquet"


def row_series(patch: str) -> str:
    """The masked observations behind the samples of a patch."""
    return f"parts/{patch}_series.parquet"


def pieces(patch: str) -> str:
    """What models that never saw a patch say about each piece of its reference."""
    return f"parts/{patch}{PIECES_SUFFIX}"


def prediction(patch: str) -> str:
    """Class and confidence of a patch."""
    return f"predictions/{patch}.tif"


def out_of_fold(patch: str) -> str:
    """Class and probability from the model that never saw the patch."""
    return f"predictions/{patch}_oof.tif"


def trust_layers(patch: str) -> str:
    """What the bands of ``TRUST`` are made of, of a patch."""
    return f"predictions/{patch}_trust.tif"


def trust_rows(patch: str) -> str:
    """Labelled pixels of a patch by models that never saw it, on which sets of classes are calibrated."""
    return f"parts/{patch}_trust.parquet"


def trust_style(band: str) -> str:
    """QGIS style of a band of ``TRUST``; the one named like the raster is taken by itself.

    >>> trust_style("margin")
    'trust_margin.qml'
    """
    return f"{TRUST.removesuffix('.tif')}_{band}.qml"


def view_band(band: str) -> str:
    """A band of ``TRUST`` as a map of its own for the browser view."""
    return f"view/trust_{band}.vrt"


def style(raster: str) -> str:
    """QGIS style of a patch's raster, beside it.

    >>> style("predictions/x0001y0002.tif")
    'predictions/x0001y0002.qml'
    """
    return f"{raster.removesuffix('.tif')}.qml"


def log(key: str) -> str:
    """The whole log of a failure."""
    return f"logs/{key.replace('/', '_')}.txt"


def view_map(layer: str) -> str:
    """A map that the browser view shows and a run does not make."""
    return f"view/{layer}.tif"


def view_image(day: date) -> str:
    """One small true-colour picture of the whole area on a date."""
    return f"view/images/{day.isoformat().replace(':', '')}.tif"


def day_text(day: date) -> str:
    """A date, or a moment where a day has two passes, as part of a file's name."""
    return str(day).replace(" ", "T").replace(":", "")
