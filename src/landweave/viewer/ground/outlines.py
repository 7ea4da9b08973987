"""Outlines that the page draws: of the area, of districts, and of the project's own overlays."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.patch.align import outline_bounds
from landweave.patch.vectors.layers import open_layer
from landweave.patch.vectors.placing import bounds_near, place, read_near
from landweave.runs.estimate.districts import Districts, read_districts
from landweave.runs.results.run import FinishedRun

MOST_SHAPES, MOST_VERTICES = 20_000, 400_000
"""Of one layer of outlines: what a browser draws without effort."""

_TOLERANCE = 2e-5
"""Degrees, about two metres, that drawn outlines may be off."""


@dataclass(frozen=True, kw_only=True)
class Outlines:
    """What a run has of them; read when first asked for."""

    run: FinishedRun

    @cached_property
    def district_names(self) -> tuple[str, ...]:
        """Names of the project's districts, sorted; empty without any, or where their file cannot be read now."""
        try:
            found = self._districts
        except InputError:
            return ()
        return () if found is None else tuple(sorted(set(found.names)))

    @cached_property
    def _districts(self) -> Districts | None:
        settings = self.run.plan.project.districts
        if settings is None:
            return None
        return read_districts(
            self.run.plan.project.path(settings.path), settings.column, crs="EPSG:4326", layer=settings.layer,
            encoding=settings.encoding,
        )  # fmt: skip

    def district(self, name: str) -> Any:
        """The polygon of a district, degrees; InputError where there is none of that name."""
        found = self._districts
        if found is None or name not in found.names:
            raise InputError(f"there is no district {name!r}.")
        shapes = np.array([shape for own, shape in zip(found.names, found.shapes, strict=True) if own == name], object)
        placed, _ = _in_degrees(shapes, found.crs)
        return shapely.union_all(placed)

    @cached_property
    def area(self) -> dict[str, Any]:
        """The outline of the area of interest, GeoJSON: the patches' parts of it, joined."""
        parts = []
        for cell in self.run.cells:
            shape = cell.geobox.extent.geom if cell.area is None else cell.area
            if not shape.is_empty:
                # A little wider, so that no seam stays open between patches.
                grown = shapely.buffer(shape, abs(cell.geobox.resolution.x) / 20, join_style="mitre")
                parts.append(_in_degrees(np.array([grown], object), str(cell.geobox.crs))[0][0])
        return _collection([shapely.union_all(parts)], ["area"])

    @cached_property
    def districts(self) -> dict[str, Any]:
        """Districts with their names, GeoJSON."""
        found = self._districts
        if found is None:
            return _collection([], [])
        placed, _ = _in_degrees(np.array(found.shapes, object), found.crs)
        return _collection(list(placed), list(found.names))

    @property
    def hosts(self) -> list[str]:
        """Where overlays are loaded from, sorted."""
        return sorted({overlay.host for overlay in self.run.plan.project.view.overlays if overlay.host})

    def overlays(self, *, files: bool = True) -> list[dict[str, Any]]:
        """What the page is told of the project's overlays; without those of files on request."""
        return [
            {
                "id": number, "name": overlay.name, "type": "file" if overlay.path else overlay.type,
                "url": overlay.url, "layers": overlay.layers, "attribution": overlay.attribution,
                "host": overlay.host and overlay.host.partition("//")[2],
            }
            for number, overlay in enumerate(self.run.plan.project.view.overlays)
            if files or not overlay.path
        ]  # fmt: skip

    def overlay(self, number: int) -> dict[str, Any]:
        """An overlay's file as GeoJSON, cut to the surroundings of the map; InputError where it cannot be shown."""
        named = self.run.plan.project.view.overlays
        if not 0 <= number < len(named) or named[number].path is None:
            raise InputError(f"this project has no file for overlay {number}.")
        found = open_layer(
            self.run.plan.project.path(str(named[number].path)), what=f"the overlay {named[number].name!r}",
            layer=named[number].layer,
        )  # fmt: skip
        cells = self.run.cells
        west, south, east, north = np.array([outline_bounds(cell.geobox, "EPSG:4326") for cell in cells]).T
        bounds = float(west.min()), float(south.min()), float(east.max()), float(north.max())
        near = GeoBox.from_bbox(bounds, "EPSG:4326", shape=(100, 100))
        shapes = read_near(found, near).shapes
        shapes = shapes[~(shapely.is_missing(shapes) | shapely.is_empty(shapes))]
        if len(shapes) > MOST_SHAPES:
            raise InputError(
                f"the overlay {named[number].name!r} has {len(shapes):,} features here; at most {MOST_SHAPES:,} are "
                "drawn. Give a smaller file."
            )
        placed, _ = place(
            shapely.make_valid(shapes), source=found.crs, target="EPSG:4326", near=bounds_near(near, found.crs)
        )
        return _collection(list(placed), [""] * len(placed))


def _in_degrees(shapes: np.ndarray, crs: str) -> tuple[np.ndarray, np.ndarray]:
    bounds = shapely.total_bounds(shapes)
    near = (float(bounds[0]), float(bounds[1]), float(bounds[2]), float(bounds[3]))
    placed, lost = place(shapes, source=crs, target="EPSG:4326", near=near)
    return shapely.make_valid(placed), lost


def _collection(shapes: list[Any], names: list[str]) -> dict[str, Any]:
    """GeoJSON of shapes in degrees, simplified as much as drawing bears."""
    drawn = shapely.simplify(np.array(shapes, object), _TOLERANCE)
    tolerance = _TOLERANCE
    while len(drawn) and shapely.get_num_coordinates(drawn).sum() > MOST_VERTICES and tolerance < 1:
        tolerance *= 4
        drawn = shapely.simplify(drawn, tolerance)
    features = [
        {"type": "Feature", "properties": {"name": name}, "geometry": json.loads(shapely.to_geojson(_rounded(shape)))}
        for shape, name in list(zip(drawn, names, strict=True))[:MOST_SHAPES]
        if shape is not None and not shape.is_empty
    ]
    return {"type": "FeatureCollection", "features": features}


def _rounded(shape: Any) -> Any:
    # Only the vertices: what is drawn need not be valid.
    return shapely.transform(shape, lambda places: np.round(places, 6))
