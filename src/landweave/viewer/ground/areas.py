"""What lies within a polygon: areas by class, agreement with the reference, and the map cut out of it.

A polygon comes from a browser: it is read as numbers, bounded in size, and never as a path.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import rasterio
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from pydantic import BaseModel, ConfigDict, Field
from rasterio.enums import ColorInterp
from rasterio.features import rasterize
from rasterio.windows import Window

from landweave.errors import InputError
from landweave.maps.areas import MapGrid, PixelAreas, open_map
from landweave.patch.strips import strip_rows
from landweave.patch.vectors.placing import bounds_near, place
from landweave.runs.results.layers import AGREE, DIFFER, EDGE
from landweave.runs.results.run import FinishedRun
from landweave.viewer.ground.outlines import Outlines

MOST_PIXELS, MOST_CLIPPED = 100_000_000, 16_000_000
"""Pixels of a polygon's bounding box: of which areas are counted, and which are cut out."""

MOST_VERTICES = 20_000
MOST_CROSSED = 100
"""Vertices of a polygon whose edges cross: repairing it finds every crossing, which may be the square of them."""
MOST_BYTES = 1_000_000
"""Of a request."""

_STRIP = 2_000_000
_MOST_BENT = 1_000_000
"""Points of a polygon whose edges are bent."""
_BENDS = 400
"""An edge as long as the map is bent in so many places, as the map's projection bends it."""


class Asked(BaseModel):
    """What is asked of a polygon: exactly one of a geometry, a district and a patch."""

    model_config = ConfigDict(extra="forbid")

    geometry: dict[str, Any] | None = None
    """A polygon or several, GeoJSON."""
    crs: str = Field("EPSG:4326", pattern=r"^EPSG:\d{4,6}$")
    """Of the geometry."""
    district: str | None = Field(None, max_length=1000)
    patch: str | None = Field(None, max_length=200)
    layer: str = Field("prediction", max_length=40)
    """What is cut out."""
    form: str = Field("tif", pattern="^(tif|png)$")


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A file for the browser to save."""

    name: str
    content: bytes
    media_type: str


@dataclass(frozen=True, kw_only=True)
class Areas:
    """Answers for a run's polygons."""

    run: FinishedRun
    files: Mapping[str, Path]
    """The run's maps by name, uint8."""
    outlines: Outlines

    @cached_property
    def _grids(self) -> dict[str, MapGrid]:
        return {name: open_map(path) for name, path in self.files.items()}

    def within(self, asked: Asked) -> dict[str, Any]:
        """Areas within a polygon.

        Returns
        -------
        dict
            ``title``; ``outline`` (GeoJSON, degrees); ``total_ha`` of all classes; ``classes``: value, name, pixels,
            ``area_ha`` on the map and ``reference_ha``, None without a reference; ``agreement``: hectares that
            ``agree``, ``differ`` and differ at an ``edge``, and the ``share`` that agrees; None without a reference
            there; ``layers`` that can be cut out.

        Raises
        ------
        InputError
            When the polygon is none, is too large, or lies outside the map.
        """
        title, shape = self._shape(asked)
        mapped = self._counted("prediction", shape)
        if mapped is None:
            raise InputError("The polygon contains no pixel centre of the map; draw a larger one, or another place.")
        reference = self._counted("reference", shape)
        codes = self._counted("disagreement", shape)
        classes = [
            {
                "value": c.value, "name": c.name, "pixels": int(mapped[0][c.value]),
                "area_ha": round(float(mapped[1][c.value]) / 1e4, 4),
                "reference_ha": None if reference is None else round(float(reference[1][c.value]) / 1e4, 4),
            }
            for c in self.run.plan.legend.classes
        ]  # fmt: skip
        agreement = None
        if codes is not None and codes[0][1:].any():
            land = {name: float(codes[1][code]) for name, code in _CODES.items()}
            agreement = {f"{name}_ha": round(area / 1e4, 4) for name, area in land.items()}
            agreement["share"] = land["agree"] / sum(land.values())
        there = [name for name in _CLIPPED if name in self.files]
        outline = json.loads(shapely.to_geojson(shapely.set_precision(shapely.simplify(shape, 1e-5), 1e-7)))
        total = round(float(mapped[1][1:].sum()) / 1e4, 4)
        return {
            "title": title, "outline": outline, "total_ha": total, "classes": classes, "agreement": agreement,
            "layers": there,
        }  # fmt: skip

    def clip(self, asked: Asked) -> Clip:
        """A layer cut out by a polygon, on the map's own pixels; nothing (0) outside.

        Raises
        ------
        InputError
            As for :meth:`within`, and when the layer is unknown or more than :data:`MOST_CLIPPED` pixels.
        """
        if asked.layer not in _CLIPPED or asked.layer not in self.files:
            raise InputError(f"layer {asked.layer!r} cannot be cut out here.")
        title, shape = self._shape(asked)
        grid = self._grids[asked.layer]
        window = self._window(grid, shape, MOST_CLIPPED, "cut out")
        if window is None:
            raise InputError("The polygon lies outside the map.")
        placed = self._placed(grid, shape)
        with rasterio.open(grid.path) as file:
            values = file.read(1, window=window)
            colors = file.colormap(1) if file.colorinterp[0] is ColorInterp.palette else None
            tags = file.tags(1)
        transform = grid.transform * Affine.translation(window.col_off, window.row_off)
        values[rasterize([placed], out_shape=values.shape, transform=transform, dtype="uint8") == 0] = 0
        name = f"{_safe(self.run.plan.project.name)}_{_safe(title)}_{asked.layer}.{asked.form}"
        if asked.form == "png":
            return Clip(name=name, content=self._picture(values, asked.layer), media_type="image/png")
        profile = {
            "driver": "GTiff", "count": 1, "dtype": "uint8", "height": values.shape[0], "width": values.shape[1],
            "crs": grid.crs, "transform": transform, "nodata": 0, "compress": "deflate", "tiled": True,
            "blockxsize": 256, "blockysize": 256,
        }  # fmt: skip
        with rasterio.MemoryFile() as memory:
            with memory.open(**profile) as file:
                file.write(values, 1)
                if colors is not None:
                    file.write_colormap(1, colors)
                file.update_tags(1, **{key: text for key, text in tags.items() if key.startswith("class_")})
            return Clip(name=name, content=memory.read(), media_type="image/tiff")

    def _picture(self, values: np.ndarray, layer: str) -> bytes:
        """PNG with transparency: classes in their colours, a quantity in grey."""
        from rio_tiler.utils import render

        table = np.zeros((256, 3), "uint8")
        if layer == "confidence":
            table[:] = np.minimum(np.arange(256) * 255 // 100, 255)[:, None]
        else:
            for c in self.run.plan.legend.classes:
                table[c.value] = [int(c.color[i : i + 2], 16) for i in (1, 3, 5)]
        mask = np.where(values > 0, 255, 0).astype("uint8")
        return bytes(render(np.moveaxis(table[values], -1, 0), mask=mask, img_format="PNG", zlevel=6))

    def _shape(self, asked: Asked) -> tuple[str, Any]:
        """Title and polygon in degrees."""
        given = [key for key in ("geometry", "district", "patch") if getattr(asked, key) is not None]
        if len(given) != 1:
            raise InputError("give one of geometry, district and patch.")
        if asked.district is not None:
            return asked.district, self.outlines.district(asked.district)
        if asked.patch is not None:
            cells = [cell for cell in self.run.cells if cell.name == asked.patch]
            if not cells:
                raise InputError(f"there is no patch {asked.patch!r}.")
            return asked.patch, cells[0].geobox.extent.to_crs("EPSG:4326").geom
        assert asked.geometry is not None
        return "polygon", read_polygon(asked.geometry, asked.crs)

    def _placed(self, grid: MapGrid, shape: Any) -> Any:
        """A polygon in the CRS of a map; what reaches far beyond the map is cut off before its edges are bent."""
        ground = bounds_near(GeoBox(grid.shape, grid.transform, grid.crs), "EPSG:4326")
        # Edges that reach far beyond the map are bent at fewer points, so that no polygon becomes too large.
        edge = max(max(ground[2] - ground[0], ground[3] - ground[1]) / _BENDS, shapely.length(shape) / _MOST_BENT)
        shapes, lost = place(np.array([shape], object), source="EPSG:4326", target=grid.crs, near=ground, edge=edge)
        if lost.any():
            raise InputError("The polygon has no place in the CRS of the map.")
        return shapely.make_valid(shapes[0])

    def _window(self, grid: MapGrid, shape: Any, most: int, what: str) -> Window | None:
        """The pixels of a polygon's bounding box; None where it has none."""
        placed = self._placed(grid, shape)
        if placed.is_empty:
            return None
        left, bottom, right, top = placed.bounds
        corners = [~grid.transform * corner for corner in ((left, bottom), (left, top), (right, bottom), (right, top))]
        columns, rows = np.array(corners).T
        first = max(0, int(np.floor(columns.min()))), max(0, int(np.floor(rows.min())))
        last = min(grid.shape[1], int(np.ceil(columns.max()))), min(grid.shape[0], int(np.ceil(rows.max())))
        width, height = last[0] - first[0], last[1] - first[1]
        if width <= 0 or height <= 0:
            return None
        if width * height > most:
            raise InputError(
                f"The polygon spans {width * height / 1e6:,.0f} million pixels; at most {most / 1e6:,.0f} million are "
                f"{what} here. Take a smaller one, or use map.tif itself."
            )
        return Window(first[0], first[1], width, height)

    def _counted(self, layer: str, shape: Any) -> tuple[np.ndarray, np.ndarray] | None:
        """Pixels and square metres by value, (256,) each; None where the layer has nothing of the polygon."""
        if layer not in self.files:
            return None
        grid = self._grids[layer]
        window = self._window(grid, shape, MOST_PIXELS, "counted")
        if window is None:
            return None
        placed, sizes = self._placed(grid, shape), PixelAreas(grid.crs, grid.transform, grid.shape)
        pixels, areas = np.zeros(256, "int64"), np.zeros(256)
        with rasterio.open(grid.path) as file:
            for part in _strips(window):
                values = file.read(1, window=part)
                corner = Affine.translation(part.col_off, part.row_off)
                inside = rasterize([placed], out_shape=values.shape, transform=grid.transform * corner, dtype="uint8")
                rows = slice(part.row_off, part.row_off + part.height)
                columns = slice(part.col_off, part.col_off + part.width)
                land = np.broadcast_to(sizes.window(rows, columns), values.shape)[inside > 0]
                here = values[inside > 0]
                pixels += np.bincount(here, minlength=256)
                areas += np.bincount(here, land, minlength=256)
        return (pixels, areas) if pixels.any() else None


_CODES = {"agree": AGREE, "differ": DIFFER, "edge": EDGE}
_CLIPPED = ("prediction", "confidence", "reference")


def _strips(window: Window) -> Iterator[Window]:
    for rows in strip_rows(window.height, max(1, _STRIP // window.width)):
        yield Window(window.col_off, window.row_off + rows.start, window.width, rows.stop - rows.start)


def read_polygon(geometry: Mapping[str, Any], crs: str = "EPSG:4326") -> Any:
    """A polygon, or several, of GeoJSON: valid, in degrees.

    Raises
    ------
    InputError
        When it is no polygon, is empty, has too many vertices, or lies outside the world.
    """

    def refuse(reason: str) -> NoReturn:
        raise InputError(f"This is no polygon that can be used: {reason}.")

    if geometry.get("type") not in {"Polygon", "MultiPolygon"}:
        refuse(f"its type is {str(geometry.get('type'))[:40]!r}; give a Polygon or a MultiPolygon")
    try:
        shape = shapely.force_2d(shapely.from_geojson(json.dumps(geometry)))
    except (shapely.errors.ShapelyError, ValueError, TypeError):
        refuse("its coordinates are damaged")
    count = int(shapely.get_num_coordinates(shape))
    if count > MOST_VERTICES:
        refuse(f"it has {count:,} vertices; simplify it to {MOST_VERTICES:,}")
    if not np.isfinite(shapely.get_coordinates(shape)).all():
        refuse("its coordinates are not finite")
    if count > MOST_CROSSED and not shapely.is_valid(shape):
        refuse("its edges cross or touch one another; draw it without crossings, or repair it")
    shape = shapely.make_valid(shape)
    if crs != "EPSG:4326":
        try:
            placed, lost = place(np.array([shape], object), source=crs, target="EPSG:4326", near=shape.bounds)
        except Exception as error:  # noqa: BLE001 - PROJ has many ways to refuse a CRS
            refuse(f"its CRS {crs} has no place on Earth ({type(error).__name__})")
        if lost.any():
            refuse(f"it has no place in {crs}")
        shape = shapely.make_valid(placed[0])
    shape = shapely.union_all([part for part in shapely.get_parts(shape) if shapely.get_dimensions(part) == 2])
    if shape.is_empty or shape.area == 0:
        refuse("it has no area")
    west, south, east, north = shape.bounds
    if west < -180 or east > 180 or south < -90 or north > 90:
        refuse("its coordinates are not degrees; GeoJSON has longitude and latitude unless it names another CRS")
    return shape


def _safe(text: str) -> str:
    """Part of a file's name.

    >>> _safe("Bled / Bohinj: x")
    'Bled_Bohinj_x'
    """
    return re.sub(r"[^\w.-]+", "_", text, flags=re.ASCII).strip("_.")[:60] or "area"
