"""Districts: named polygons, which pixels and points lie in them, and how large they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from landweave.errors import InputError
from landweave.legend import code_text
from landweave.patch.align import to_crs
from landweave.patch.vectors import damage_is_input_error


@dataclass(frozen=True, kw_only=True)
class Districts:
    """Made by :func:`read_districts`."""

    names: tuple[str, ...]
    """Name of each shape; several may share one."""

    shapes: tuple[Any, ...]
    """Polygons (shapely), in ``crs``."""

    crs: str

    def of_points(self, x: np.ndarray, y: np.ndarray, *, crs: str | None) -> np.ndarray:
        """Name of the district of each point, (n,) of text; "" for none; where shapes overlap the last one's."""
        import shapely

        x, y = to_crs(x, y, source=crs, target=self.crs)
        number = np.full(len(x), -1)
        tree = shapely.STRtree(np.asarray(shapely.points(x, y)))
        shape, point = tree.query(np.array(self.shapes), predicate="intersects")
        np.maximum.at(number, point, shape)
        return np.array([self.names[i] if i >= 0 else "" for i in number.tolist()], dtype=object)

    def sizes(self, areas: Sequence[float]) -> dict[str, float]:
        """Hectares by name, from the square metres of each shape."""
        total: dict[str, float] = {}
        for name, area in zip(self.names, areas, strict=True):
            total[name] = total.get(name, 0.0) + area / 1e4
        return total


def read_districts(path: Path, column: str | None, *, crs: str | None) -> Districts:
    """Read districts into a CRS.

    Raises
    ------
    InputError
        When the file or the column is missing, a shape is no polygon, or a district has no name.
    """
    import pyogrio
    import shapely

    with damage_is_input_error(path, "not readable as districts; give polygons in a vector file"):
        frame = pyogrio.read_dataframe(path)
    fields = [name for name in frame.columns if name != "geometry"]
    if column is None or column not in fields:
        given = "say which column holds the districts' names" if column is None else f"no column {column!r}"
        raise InputError(f"{path}: {given}; it has {', '.join(fields)}.")
    if frame.crs is None or crs is None:
        raise InputError(f"{path if frame.crs is None else 'the sample'}: no coordinate reference system; assign one.")
    names = [code_text(value) for value in frame[column]]
    if "" in names:
        raise InputError(f"{path}, row {names.index('') + 1}: the district has no name in {column!r}; give it one.")
    shapes = shapely.make_valid(np.asarray(frame.geometry.to_crs(crs)))
    if not (shapely.get_dimensions(shapes) == 2).all():
        raise InputError(f"{path}: all district geometries must be polygons.")
    return Districts(names=tuple(names), shapes=tuple(shapes), crs=crs)
