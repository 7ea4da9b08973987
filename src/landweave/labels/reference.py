"""Where official polygons, points, a raster or masks of EOPatches lie, and their features."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.labels.codes_of_raster import chosen_band, is_raster, raster_codes
from landweave.legend import code_text
from landweave.patch.align import outline_bounds
from landweave.patch.eopatch.labels import LabelPart, codes_in, find_labels
from landweave.patch.summary import Shown, listed
from landweave.patch.tables.places import PlaceKeys
from landweave.patch.vectors.layers import (
    VectorLayer,
    kinds_of,
    layer_names,
    named_column,
    open_layer,
    parts_of,
    read_features,
)
from landweave.patch.vectors.placing import meets_grid
from landweave.patch.vectors.points import Points, is_point_table, table_points

DEFAULT_COLUMN = "label"
"""The column of codes where none is named."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Reference(Shown):
    """Where the reference lies; its features are read when a grid asks for them. Made by :func:`read_reference`."""

    path: Path
    """The file."""

    kind: str
    """``polygons``, ``points``, ``raster`` or ``eopatches``."""

    crs: str
    """Its coordinate reference system, as an authority's code or WKT."""

    bounds: tuple[float, float, float, float]
    """Left, bottom, right, top of all of it, in ``crs``."""

    column: str | None = None
    """The column of codes; None for a raster, whose values are the codes."""

    layer: str | None = None
    """The layer, where a vector file has layers; of EOPatches the feature."""

    parts: tuple[LabelPart, ...] = ()
    """Of EOPatches: the labels of each."""

    encoding: str | None = None
    """Encoding of its text, where the file does not state it rightly."""

    band: int = 1
    """Of a raster: the band of codes, from 1."""

    places: PlaceKeys | None = None
    """Of a table of points: what the user says of its columns of places; None where it is no table."""

    opened: VectorLayer | None = None
    """Of a vector file: its layer."""

    @property
    def vector(self) -> VectorLayer:
        """Its layer, where it is a vector file."""
        assert self.opened is not None
        return self.opened

    @property
    def dimension(self) -> int:
        """0 for points, 2 for polygons."""
        return 0 if self.kind == "points" else 2

    def _summary(self) -> Mapping[str, object]:
        return {
            "path": self.path,
            "kind": self.kind,
            "column": self.column or "",
            "layer": self.layer or "",
            "crs": self.crs,
            "bounds": listed([f"{bound:g}" for bound in self.bounds]),
        }


def read_reference(
    path: str | Path,
    *,
    column: str | None = None,
    layer: str | None = None,
    encoding: str | None = None,
    band: int | None = None,
    places: PlaceKeys | None = None,
) -> Reference:
    """Look at a reference without reading its features.

    Parameters
    ----------
    path
        Polygons or points in any vector file; a table of points (CSV, Parquet); a raster, whose values are the codes;
        or a folder of EOPatches with a mask of codes, where 0 is none.
    column
        The column of codes; ``label`` where it is None. Not used for a raster or EOPatches.
    layer
        Needed where the file has several layers; of EOPatches ``mask_timeless/NAME``.
    encoding
        Encoding of the text of a shapefile or CSV that does not state it.
    band
        Band of a raster, from 1; needed where it has several.
    places
        Columns and CRS of the places of a table of points, where they are not called longitude and latitude; the CRS
        also of a vector file that states none.

    Raises
    ------
    InputError
        For a file that is missing or unreadable, empty, without CRS, with neither polygons nor points or with both, or
        without that column, layer or band (what there is, is listed).
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such reference file.")
    if is_point_table(path):
        return _look_at_table(path, column or DEFAULT_COLUMN, encoding, places or PlaceKeys())
    layers = layer_names(path)
    strange = [] if places is None else [key for key in places.given if key != "crs" or not layers]
    if strange:
        raise InputError(
            f"{path}: {strange[0]} = {getattr(places, strange[0])!r} is for tables of points, and this is none; "
            "remove it."
        )
    if path.is_dir() and not layers:
        parts, bounds = find_labels(path, layer)
        return Reference(path=path, kind="eopatches", crs="EPSG:4326", bounds=bounds, layer=parts[0].layer, parts=parts)
    if not layers and is_raster(path):
        return _look_at_raster(path, band)
    if band is not None:
        raise InputError(f"{path}: band = {band} is for rasters, and this is a vector file; remove it.")
    opened = open_layer(
        path, what="the reference", layer=layer, encoding=encoding, column=column or DEFAULT_COLUMN,
        crs=None if places is None else places.crs,
    )  # fmt: skip
    return _look_at_vector(opened, column=column or DEFAULT_COLUMN, encoding=encoding)


def _look_at_table(path: Path, column: str, encoding: str | None, places: PlaceKeys) -> Reference:
    points = table_points(path, column, encoding=encoding, keys=places, of="reference.")
    bounds = float(points.x.min()), float(points.y.min()), float(points.x.max()), float(points.y.max())
    return Reference(
        path=path, kind="points", crs=points.crs, bounds=bounds, column=column, encoding=encoding, places=places
    )


def overlaps(reference: Reference, geobox: GeoBox) -> bool:
    """Whether the bounds of the reference and of a grid meet."""
    return meets_grid(reference.bounds, geobox, reference.crs)


def check_overlap(reference: Reference, geoboxes: Iterable[GeoBox]) -> None:
    """InputError when a reference meets none of the grids: where both lie, and whether x and y are swapped."""
    grids = list(geoboxes)
    try:
        found = any(overlaps(reference, geobox) for geobox in grids)
    except InputError as error:
        raise InputError(f"{reference.path}: {error}") from None
    if not found:
        left, bottom, right, top = reference.bounds
        turned = replace(reference, bounds=(bottom, left, top, right))
        try:
            swapped = any(overlaps(turned, geobox) for geobox in grids)
        except InputError:
            swapped = False
        advice = "x and y look swapped" if swapped else "check its location and its CRS"
        boxes = np.array([outline_bounds(geobox, "EPSG:4326") for geobox in grids])
        west, south = boxes[:, :2].min(axis=0)
        east, north = boxes[:, 2:].max(axis=0)
        raise InputError(
            f"{reference.path}: the reference ({left:g}, {bottom:g}, {right:g}, {top:g} in "
            f"{short_name(reference.crs)}) does not overlap the imagery (longitude {west:.4g} to {east:.4g}, latitude "
            f"{south:.4g} to {north:.4g}); {advice}."
        )


def short_name(crs: str) -> str:
    """A CRS in a few words: its code, or its name."""
    from pyproj import CRS

    known = CRS(crs)
    return ":".join(known.to_authority() or (known.name,))


def reference_codes(reference: Reference, near: Sequence[GeoBox] | None = None) -> list[str]:
    """All distinct codes as text, sorted, missing ones and a raster's nodata left out.

    Parameters
    ----------
    reference
        From :func:`read_reference`.
    near
        Grids that count: of a very large raster only what is on them is read, and on large ones not every pixel.

    Raises
    ------
    InputError
        For a very large raster without ``near``.
    """
    if reference.kind == "eopatches":
        return sorted(map(code_text, codes_in(reference.parts)))
    if reference.kind == "raster":
        found = {code_text(value) for value in raster_codes(reference.path, reference.band, near)}
    elif reference.places is not None:
        found = set(map(code_text, points_of_table(reference).values))
    else:
        found = {
            code_text(code)
            for code in _distinct(
                read_features(reference.vector, columns=[str(reference.column)], geometry=False).values[0]
            )
        }
    return sorted(found - {""})


def left_out(reference: Reference) -> list[str]:
    """What of the file can label nothing, counted, in sentences; none where all of it can."""
    if reference.kind not in {"polygons", "points"}:
        return []
    if reference.places is not None:
        points = points_of_table(reference)
        rows = len(points.x) + points.placeless
        lines = [f"{points.placeless} of {rows} points have no place and are left out."] if points.placeless else []
        return lines + _without_code(points.values, str(reference.column))
    word = reference.kind.removesuffix("s")
    kinds = kinds_of(reference.vector)
    others = {kind: n for kind, n in kinds.items() if kind.removeprefix("Multi") not in {word.title(), _COLLECTION}}
    bare, mixed = _within_collections(reference, kinds)
    if bare:
        others[_COLLECTION] = bare
    lines = [note] if (note := reference.vector.text.note) else []
    if others:
        named = ", ".join(f"{kind} {n}" for kind, n in sorted(others.items()))
        lines.append(
            f"{sum(others.values())} of {kinds.total()} features of the reference have no {word} ({named}) and are "
            "left out."
        )
    if mixed:
        lines.append(
            f"Of {mixed} geometry collections of the reference only the {reference.kind} are used; their other parts "
            "are left out."
        )
    codes = read_features(reference.vector, columns=[str(reference.column)], geometry=False).values[0]
    return lines + _without_code(codes, str(reference.column))


def _without_code(codes: np.ndarray, column: str) -> list[str]:
    # A column of integers has no empty cell.
    empty = 0 if codes.dtype.kind in "iu" else sum(not code_text(code) for code in codes.tolist())
    return [f"{empty} of {len(codes)} features of the reference have no code in {column} and count as none."] * (
        empty > 0
    )


_COLLECTION = "GeometryCollection"


def _within_collections(reference: Reference, kinds: Mapping[str, int]) -> tuple[int, int]:
    # Collections without any part of the reference's kind, and those with others beside it.
    if _COLLECTION not in kinds:
        return 0, 0
    import shapely

    shapes = read_features(reference.vector).shapes
    shapes = shapes[shapely.get_type_id(shapes) == _COLLECTION_ID]
    parts, dropped = parts_of(shapes, reference.dimension)
    bare = shapely.is_missing(parts)
    return int(bare.sum()), int((dropped & ~bare).sum())


_COLLECTION_ID = 7


def points_of_table(reference: Reference) -> Points:
    """The points of a reference that is a table."""
    return table_points(
        reference.path, str(reference.column), encoding=reference.encoding, keys=reference.places, of="reference."
    )


def _distinct(codes: np.ndarray) -> Iterable[Any]:
    return set(codes.tolist()) if codes.dtype == object else np.unique(codes)


def _look_at_vector(opened: VectorLayer, *, column: str, encoding: str | None) -> Reference:
    named = named_column(opened, column)
    if named is None:
        raise InputError(f"{opened.path}: no column {column!r}; it has {', '.join(opened.columns) or 'none'}.")
    return Reference(
        path=opened.path, kind=_kind(opened), crs=opened.crs, bounds=opened.bounds, column=named, layer=opened.name,
        encoding=encoding, opened=opened,
    )  # fmt: skip


def _kind(layer: VectorLayer) -> str:
    """Whether a layer's features are polygons or points, by all of them, not by the first."""
    stated = layer.kind.removeprefix("Multi")
    if stated in {"Polygon", "Point"}:
        return f"{stated.lower()}s"
    kinds = kinds_of(layer)
    counts = {word: kinds[word] + kinds[f"Multi{word}"] for word in ("Polygon", "Point")}
    if kinds[_COLLECTION]:
        import shapely

        shapes = read_features(layer).shapes
        shapes = shapes[shapely.get_type_id(shapes) == _COLLECTION_ID]
        whole = ~shapely.is_missing(parts_of(shapes, 2)[0])
        counts["Polygon"] += int(whole.sum())
        counts["Point"] += int((~shapely.is_missing(parts_of(shapes, 0)[0]) & ~whole).sum())
    if counts["Polygon"] and counts["Point"]:
        raise InputError(
            f"{layer.path}: the reference mixes {counts['Polygon']} polygons and {counts['Point']} points; keep one "
            "kind, or give each a layer of its own."
        )
    if not (counts["Polygon"] or counts["Point"]):
        raise InputError(
            f"{layer.path}: polygons or points are needed, but it has {', '.join(sorted(kinds)) or 'no geometry'}."
        )
    return "polygons" if counts["Polygon"] else "points"


def _look_at_raster(path: Path, band: int | None) -> Reference:
    from landweave.patch.raster.files import open_raster

    with open_raster(path) as file:
        # A raster may be south up, or run from east to west.
        (left, right), (bottom, top) = sorted(file.bounds[::2]), sorted(file.bounds[1::2])
        crs, bounds = file.crs, (left, bottom, right, top)
        band = chosen_band(file, path, band)
    if crs is None:
        raise InputError(f"{path}: the reference has no coordinate reference system; assign one to it.")
    return Reference(path=path, kind="raster", crs=crs.to_wkt(), bounds=bounds, band=band)
