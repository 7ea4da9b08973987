"""From ``[area]`` to cells: which ground, cut into which patches."""

import math
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import shapely
from odc.geo.crs import CRS
from odc.geo.geom import Geometry

from landweave.engine.machine import ignores_case
from landweave.errors import InputError
from landweave.patch.align import pixel_sides
from landweave.patch.area import read_area
from landweave.patch.grid import Cell, given_cells, native_cells, projected_cells, subset, utm_cells
from landweave.runs.project.settings import Project
from landweave.sources.protocol import Source

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry


def cells_of(project: Project, source: Source) -> list[Cell]:
    """The patches of a project, by name; InputError where area, grid and imagery do not fit together."""
    settings = project.area
    area = area_of(project)
    area_of_imagery = area is None and source.geobox is not None and not source.grids
    crs = settings.crs or ("native" if source.geobox is not None or source.grids else "utm")
    if crs == "native" and source.grids:
        cells = given_cells(source.grids, area=area, buffer=settings.buffer)
    elif crs == "native":
        if source.geobox is None:
            raise InputError(f'{project.file}: area.crs = "native", but the source has no grid; choose another CRS.')
        cells = native_cells(
            source.geobox, patch_size=settings.patch_size, area=area,
            buffer=settings.buffer if area is not None else 0.0,
        )  # fmt: skip
    else:
        buffer = settings.buffer
        if area is None and source.geobox is None:
            if source.extent is None:
                raise InputError(f"{project.file}: [area] needs aoi or bounds; the source has no extent.")
            area, buffer = shapely.box(*source.extent), 0.0
        elif area is None:
            assert source.geobox is not None
            # Half a pixel less, so that rounding makes no patch beyond the imagery's edge.
            inner = source.geobox.extent.buffer(-0.5 * abs(source.geobox.resolution.x))
            area, buffer = inner.to_crs("EPSG:4326").geom, 0.0
        options: dict[str, Any] = {
            "resolution": settings.resolution, "patch_size": settings.patch_size, "buffer": buffer
        }  # fmt: skip
        try:
            cells = utm_cells(area, **options) if crs == "utm" else projected_cells(area, crs=crs, **options)
        except InputError as error:
            raise InputError(f"{project.path(settings.aoi) if settings.aoi else project.file}: {error}") from None
        except Exception as error:  # noqa: BLE001 - pyproj has many ways to say that a CRS is unknown
            raise InputError(f"{project.file}: area.crs = {crs!r} is not usable: {error}".split("\n")[0]) from None
    if area_of_imagery:
        cells = _seen(cells, source)
    if settings.subset:
        cells = subset(cells, center=settings.subset.center, size=settings.subset.size)
    _check_names(project.folder, cells)
    return cells


def _seen(cells: list[Cell], source: Source) -> list[Cell]:
    """Without the cells that no image covers: the one grid of several tiles also holds what is between them."""
    dates = source.dates(None, None)
    return [cell for cell in cells if source.seen(cell.geobox, dates)] or cells


def _check_names(folder: Path, cells: Sequence[Cell]) -> None:
    """InputError where two patches would be one file in the output folder."""
    known: dict[str, str] = {}
    for cell in cells:
        # As file systems of macOS compare names.
        other = known.setdefault(unicodedata.normalize("NFC", cell.name).casefold(), cell.name)
        if other != cell.name and ignores_case(folder):
            raise InputError(
                f"{folder}: patches {other!r} and {cell.name!r} would overwrite each other, as this file system "
                "ignores case; rename one, or set output to a folder on another file system."
            )


def area_of(project: Project) -> "BaseGeometry | None":
    """The area of interest in longitude and latitude; None where the project names none."""
    settings = project.area
    if settings.aoi:
        return read_area(project.path(settings.aoi), layer=settings.layer)
    if settings.bounds:
        west, south, east, north = settings.bounds
        if east <= west or north <= south:
            across = settings.bounds_crs == "EPSG:4326" and -180 <= east < west <= 180 and south < north
            raise InputError(
                f"{project.file}: area.bounds {list(settings.bounds)} must be west, south, east, north"
                + ("; at the antimeridian, use one project for each side." if across else ".")
            )
        if settings.bounds_crs == "EPSG:4326" and not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
            raise InputError(
                f"{project.file}: area.bounds {list(settings.bounds)} are not valid longitude and latitude; "
                "set area.bounds_crs."
            )
        try:
            CRS(settings.bounds_crs)
        except Exception:  # noqa: BLE001 - pyproj has many ways to say that a CRS is unknown
            raise InputError(
                f"{project.file}: area.bounds_crs = {settings.bounds_crs!r} is unknown; write it as EPSG:32633."
            ) from None
        box = Geometry(shapely.box(west, south, east, north).segmentize((east - west) / 20), settings.bounds_crs)
        shape: BaseGeometry = box.to_crs("EPSG:4326").geom
        return shape
    return None


def pixel_metres(cell: Cell) -> float:
    """Side of a cell's pixel, metres; of a pixel that is no square, the side of a square as large."""
    along_x, along_y = pixel_sides(cell.geobox)
    return along_x if along_x == along_y else math.sqrt(along_x * along_y)
