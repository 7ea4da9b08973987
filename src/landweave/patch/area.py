"""The area of interest, read from a vector file."""

from pathlib import Path

import shapely
from shapely.geometry.base import BaseGeometry

from landweave.errors import InputError


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
