"""The text of a project file and of a legend, by what was found or, where nothing was given, as an example."""

import datetime
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from landweave.features.indices import NORM, index_bands
from landweave.legend import Legend
from landweave.runs.project.starter.archive import BANDS
from landweave.runs.project.starter.found import ImagesFound, KeyLine, LabelsFound, toml_value

INDICES = ("ndvi", "ndwi", NORM)
STEP_DAYS, PATCHES, PATCH_SIZE = 16, 25, 500
"""Days between target dates; so many patches, of at most so many pixels a side, an area is cut into."""

_SMALLEST = 16
_HEAD = "# A landweave project. Keys that are left out have defaults; docs/project-file.md lists all of them.\n"
_LEGEND_HEAD = '# Class values are 1 to 255; 0 is reserved for "none".\n'

EXAMPLE_SOURCE = (
    KeyLine(key="type", value="rasters", comment="rasters | stac | eopatches"),
    KeyLine(key="table", value="images.csv", comment="a row a file or band: date, variable, path[, band, scale, ...]"),
    KeyLine(key="pattern", value="images/S2_{date:%Y-%m-%d}_{variable}.tif", comment="instead of table: names of files",
          off=True),
    KeyLine(key="scale", value=1e-4, comment="reflectance = number * scale + offset", off=True),
    KeyLine(key="nodata", value=0, comment="number of missing pixels", off=True),
    KeyLine(key="clouds", value="scl", comment="scl | s2cloudless (L1C) | mask | none", off=True),
    KeyLine(key="mask", value="CLM", comment='with clouds = "mask": masked where this variable is not 0', off=True),
)  # fmt: skip
EXAMPLE_REFERENCE = (
    KeyLine(key="path", value="register.gpkg", comment="polygons, points, or a raster of codes"),
    KeyLine(key="column", value="CODE", comment="column of the classes"),
)
EXAMPLE_CODES = {"cultivated land": 1100, "forest": 2000, "grassland": 1300}


def project_text(
    name: str,
    *,
    images: ImagesFound | None,
    labels: LabelsFound | None,
    area: Sequence[KeyLine] = (),
    period: tuple[datetime.date, datetime.date] | None = None,
) -> str:
    """The project file.

    Parameters
    ----------
    name
        Of the project.
    images, labels
        What was found; None writes an example.
    area
        Further keys of ``[area]``.
    period
        First and last day; None: the example's.
    """
    start, end = period or (datetime.date(2017, 1, 1), datetime.date(2017, 12, 31))
    clouds = {entry.key: entry.value for entry in (images.source if images else ())}.get("clouds")
    source = [*(images.source if images else EXAMPLE_SOURCE)]
    if clouds != "decided":
        source.append(KeyLine(key="dilation", value=60, comment="metres around clouds that are masked too", off=True))
    sections: list[tuple[str, Iterable[KeyLine]]] = [
        ("[area]", _area(images, area)),
        ("[period]", (KeyLine(key="start", value=start, comment="first day; features are of days from here on"),
                      KeyLine(key="end", value=end, comment="last day"))),
        ("[source]", source),
        ("[features]", _features(images)),
        *_labels(labels),
        ("[sampling]", (
            KeyLine(key="per_class", value=20000, comment="training pixels of each class, where there are so many"),
            KeyLine(key="seed", value=42, comment="of splits, draws and model"))),
        ("[model]", (
            KeyLine(key="type", value="lightgbm", comment='lightgbm | random_forest | such as "sklearn.svm.SVC"'),
            KeyLine(key="test_fraction", value=0.2, comment="share of the patches that are kept for the test"))),
    ]  # fmt: skip
    head = [KeyLine(key="name", value=name, comment="title of report and view"),
            KeyLine(key="output", value=f"out/{name}", comment="output folder, relative to this file")]  # fmt: skip
    parts = [_HEAD + _lines(head)]
    parts += [f"{title}\n{_lines(entries)}" for title, entries in sections]
    return "\n".join([*parts, _OPTIONAL])


_OPTIONAL = """\
# [map]
# crs = "EPSG:3035"                  # CRS of the map, where it is not that of the patches

# [districts]
# path = "districts.gpkg"            # polygons to give areas for
# column = "name"                    # column of their names

# [estimate]
# sample = "sample.gpkg"             # drawn by `landweave estimate draw`, and labelled

# [[places]]
# name = "Levec"                     # a place that the view lists
# lon = 15.22                        # degrees
# lat = 46.24
"""


def legend_text(labels: LabelsFound | None) -> str:
    """The legend: a class for each code, or for each name of codes, with the number of features as a comment."""
    codes = labels.codes if labels else dict.fromkeys(map(str, EXAMPLE_CODES.values()), 0)
    names = labels.names if labels else {str(code): name for name, code in EXAMPLE_CODES.items()}
    ignored = labels.ignored if labels else ()
    classes: dict[str, list[str]] = {}
    for code in codes:
        if code not in ignored:
            classes.setdefault(_printable(names.get(code) or code), []).append(code)
    colors = Legend.of_names(dict(enumerate(classes, start=1))).colors
    own = labels.colors if labels else {}
    counted = ", ".join(f"{code}: {codes[code]} {labels.unit}" for code in ignored if code in codes) if labels else ""
    said = f"codes that mean no data{f' ({counted})' if counted else ''}"
    parts = [_LEGEND_HEAD + KeyLine(key="ignore", value=[_code(c) for c in ignored], comment=said).line + "\n"]
    for value, (name, its) in enumerate(classes.items(), start=1):
        first = value == 1
        number = sum(codes[code] for code in its)
        entries = (
            KeyLine(key="value", value=value, comment="pixel value of the map, 1 to 255" if first else ""),
            KeyLine(key="name", value=name, comment="what report and view call it" if first else ""),
            KeyLine(key="color", value=own.get(its[0]) or colors[value], comment="as #rrggbb" if first else ""),
            KeyLine(key="codes", value=[_code(code) for code in its],
                  comment=f"{number} {labels.unit}" if labels else "codes of the register, numbers or text" * first),
        )  # fmt: skip
        parts.append(f"[[class]]\n{_lines(entries)}")
    return "\n".join(parts)


def step_of(days: Sequence[datetime.date]) -> int:
    """Days between target dates: 16, or the usual gap between images where that is much longer."""
    gaps = sorted((b - a).days for a, b in pairwise(days))
    usual = gaps[len(gaps) // 2] if gaps else STEP_DAYS
    return usual if usual > 1.5 * STEP_DAYS else STEP_DAYS


def patch_size_of(shape: Sequence[int]) -> int:
    """Pixels along a patch's side: an area of so many rows and columns is cut into some 25 patches if large enough."""
    height, width = shape
    side = math.sqrt(height * width / PATCHES)
    return min(PATCH_SIZE, max(_SMALLEST, round(side / 10) * 10))


def _area(images: ImagesFound | None, more: Sequence[KeyLine]) -> list[KeyLine]:
    what = "the extent of the imagery" if images is None or images.grids else "the bounds"
    entries = [*more] if more else [
        KeyLine(key="aoi", value="aoi.geojson", comment=f"a vector file; left out: {what}", off=True)
    ]  # fmt: skip
    entries.append(KeyLine(key="buffer", value=500, comment="metres around aoi or bounds", off=True))
    if images is None or not images.patches:
        size = patch_size_of(images.grids[0].shape) if images is not None and images.grids else PATCH_SIZE
        if not any(entry.key == "patch_size" for entry in more):
            entries.append(patch_entry(size))
    return entries


def patch_entry(size: int) -> KeyLine:
    """The key of the patches' size."""
    comment = "pixels along a patch's side; smaller patches: less memory, more units to test on"
    return KeyLine(key="patch_size", value=size, comment=comment)


def _features(images: ImagesFound | None) -> list[KeyLine]:
    bands = images.bands if images is not None else BANDS
    found = {band.lower(): band for band in bands}
    # The norm is of reflectances, not of indices that come as images.
    indices = [
        name for name in INDICES
        if name not in found and set(index_bands("ndvi" if name == NORM else name, bands)) <= set(bands)
    ]  # fmt: skip
    red, nir = found.get("red"), found.get("nir")
    entries = [
        KeyLine(key="bands", value=list(bands), comment="bands used as features"),
        KeyLine(key="indices", value=indices, comment="such as ndvi, ndwi, ndmi, nbr, evi, savi; norm"),
    ]
    entries.append(KeyLine(key="step_days", value=step_of(images.days) if images else STEP_DAYS,
                         comment="days between the dates of features"))  # fmt: skip
    static = list(images.static) if images is not None else []
    entries.append(KeyLine(key="static", value=static or ["dem.tif"], comment="layers without time", off=not static))
    custom = f"({nir} - {red}) / ({nir} + {red})" if red and nir and re.fullmatch(r"\w+", red + nir) else None
    example = "2.5*(B08-B04)/(B08+6*B04-7.5*B02+1)"
    entries.append(
        KeyLine(key="custom.ndvi", value=custom, comment="arithmetic of bands")
        if custom
        else KeyLine(key="custom.evi", value=example, comment="arithmetic of bands", off=True)
    )
    return entries


def _labels(labels: LabelsFound | None) -> list[tuple[str, Iterable[KeyLine]]]:
    legend = KeyLine(key="legend", value="legend.toml", comment="classes, colours, and the codes that they have")
    if labels is not None and labels.table == "training":
        return [("[training]", (*labels.entries, legend))]
    erosion = KeyLine(key="erosion", value=1, comment="pixels off each class's edge, for training only; not for points")
    return [("[reference]", (*(labels.entries if labels else EXAMPLE_REFERENCE), legend, erosion))]


def _lines(entries: Iterable[KeyLine]) -> str:
    return "".join(f"{entry.line}\n" for entry in entries)


def _code(code: str) -> int | str:
    return int(code) if re.fullmatch(r"-?(0|[1-9]\d*)", code) else code


def _printable(name: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in name).strip() or toml_value(name)


def counted(codes: Mapping[str, int], names: Mapping[str, str], ignored: Sequence[str]) -> str:
    """Codes and how often they occur, in one line."""
    words = [
        f"{code}{f' {names[code]}' if names.get(code) else ''} ({number}{', no data' if code in ignored else ''})"
        for code, number in codes.items()
    ]
    return ", ".join(words[:12]) + (f" and {len(words) - 12} more" if len(words) > 12 else "")
