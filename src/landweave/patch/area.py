"""The area of interest: read from a vector file, widened, and cut to a grid."""

from pathlib import Path

import shapely
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from odc.geo.geom import Geometry
from shapely.affinity import scale
from shapely.geometry.base import BaseGeometry

from landweave.errors import InputError
from landweave.patch.align import metres_per_unit


def read_area(path: str | Path) -> BaseGeometry:
    """The outline in a vector file: all its geometries as one, in longitude and latitude.

    Raises
    ------
    InputError
        For a file that is missing, unreadable, empty or without CRS.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file for the area of interest.")
    import geopandas as gpd

    try:
        frame = gpd.read_file(path)
    except Exception as error:  # noqa: BLE001 - drivers fail in many ways
        raise InputError(f"{path}: not readable as a vector file: {str(error).splitlines()[0]}.") from None
    if frame.crs is None:
        raise InputError(f"{path}: the area of interest has no CRS; save it again with one.")
    shapes = frame.to_crs("EPSG:4326").geometry.dropna()
    if shapes.empty:
        raise InputError(f"{path}: the area of interest has no geometry.")
    return shapely.union_all(shapely.make_valid(shapes.to_numpy()))


def outline_of(area: BaseGeometry, crs: CRS, buffer: float) -> BaseGeometry:
    """The area in the grid's CRS, widened by so many metres."""
    # Densified first, so that a long straight edge in degrees is not cut short in metres.
    outline: BaseGeometry = Geometry(area.segmentize(0.05), "EPSG:4326").to_crs(crs).geom
    west, south, east, north = area.bounds if not area.is_empty else (0.0, 0.0, 0.0, 0.0)
    # Where a degree of longitude is shortest, so that the buffer is nowhere too narrow.
    latitude = (south + north) / 2 if not crs.geographic else max(south, north, key=abs)
    across, along = metres_per_unit(crs, (west + east) / 2, latitude)
    if not buffer or across == along == 1.0:
        return outline.buffer(buffer)
    wide = scale(outline, across, along, origin=(0, 0)).buffer(buffer)
    return scale(wide, 1 / across, 1 / along, origin=(0, 0))


def inner_of(outline: BaseGeometry, resolution: float) -> BaseGeometry:
    """The outline less a thousandth of a pixel: pixels that it only meets at an edge must not depend on the cells."""
    return outline if (inner := outline.buffer(-1e-3 * resolution)).is_empty else inner


def part_of(outline: BaseGeometry, geobox: GeoBox, inner: BaseGeometry | None = None) -> BaseGeometry | None:
    """What of the outline, or of its inner part, lies in a cell; None where the outline holds all of it."""
    return None if outline.covers(square := geobox.extent.geom) else (inner or outline).intersection(square)
