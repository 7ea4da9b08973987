"""Districts: named polygons, which pixels and points lie in them, and how large they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.legend import code_text
from landweave.patch.align import to_crs
from landweave.patch.vectors.layers import VectorLayer, named_column, open_layer, parts_of, read_features
from landweave.patch.vectors.placing import any_wide, bounds_near, place, unrolled


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

    def classes(self, found: Sequence[Mapping[int, tuple[int, float]]]) -> dict[str, dict[int, tuple[float, float]]]:
        """Pixels and hectares of each class by name, from the pixels and square metres of each shape."""
        total: dict[str, dict[int, tuple[float, float]]] = {}
        for name, classes in zip(self.names, found, strict=True):
            here = total.setdefault(name, {})
            for value, (pixels, area) in classes.items():
                before = here.get(value, (0.0, 0.0))
                here[value] = (before[0] + pixels, before[1] + area / 1e4)
        return total


def read_districts(
    path: Path,
    column: str | None,
    *,
    crs: str | None,
    near: GeoBox | None = None,
    layer: str | None = None,
    encoding: str | None = None,
) -> Districts:
    """Read districts into a CRS.

    Parameters
    ----------
    path, layer, encoding
        A vector file, its layer where it has several, and the encoding of its text where it does not state it.
    column
        The column of names.
    crs
        Of the sample or of the map.
    near
        The map: districts that reach far beyond it are cut to its surroundings. Without, all districts stay in their
        own CRS where one is very large.

    Raises
    ------
    InputError
        When the file or the column is missing, a shape is no polygon, or a district has no name.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file of districts.")
    status = path.stat()
    found, names, shapes = _districts(path, column, layer, encoding, status.st_mtime_ns, status.st_size)
    if crs is None:
        raise InputError("the sample: no coordinate reference system; assign one.")
    if near is None and any_wide(shapes, found.crs):
        return Districts(names=names, shapes=tuple(shapes), crs=found.crs)
    bounds = bounds_near(near, found.crs) if near is not None else (-np.inf, -np.inf, np.inf, np.inf)
    placed, lost = place(shapes, source=found.crs, target=crs, near=bounds)
    if lost.any():
        name = names[int(np.flatnonzero(lost)[0])]
        raise InputError(f"{path}: district {name!r} has no place in the CRS of the map; correct its outline.")
    return Districts(names=names, shapes=tuple(shapely.make_valid(placed)), crs=crs)


@lru_cache(maxsize=2)
def _districts(
    path: Path, column: str | None, layer: str | None, encoding: str | None, _when: int, _size: int
) -> tuple[VectorLayer, tuple[str, ...], np.ndarray]:
    # Once a process: they are asked for by every patch.
    found = open_layer(path, what="the file of districts", layer=layer, encoding=encoding, column=column)
    named = named_column(found, column)
    if named is None:
        given = "say which column holds the districts' names" if column is None else f"no column {column!r}"
        raise InputError(f"{path}: {given}; it has {', '.join(found.columns)}.")
    features = read_features(found, columns=[named])
    names = tuple(code_text(value) for value in features.values[0])
    if "" in names:
        raise InputError(f"{path}, row {names.index('') + 1}: the district has no name in {named!r}; give it one.")
    shapes = parts_of(unrolled(features.shapes, found.crs), 2)[0]
    lacking = np.flatnonzero(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    if len(lacking):
        raise InputError(
            f"{path}, row {lacking[0] + 1}: all district geometries must be polygons; {names[lacking[0]]!r} has none."
        )
    return found, names, shapely.make_valid(shapes)
