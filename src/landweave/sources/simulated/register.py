"""The official register of the simulated land: polygons with codes, outdated and wrong in places."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.ndimage
from rasterio.features import shapes
from shapely.geometry import shape

from landweave.sources.simulated.country import Country
from landweave.sources.simulated.cover import KINDS, LEGEND, NUMBER
from landweave.sources.simulated.noise import hashed, uniform

if TYPE_CHECKING:
    import geopandas

CRS = "EPSG:3794"
CODE_COLUMN = "USE_CODE"
IGNORED = 1600


@dataclass(frozen=True, kw_only=True)
class Misfiling:
    """One way in which the register is wrong."""

    name: str
    """What happened."""

    of: tuple[str, ...]
    """Kinds of cover that it happens to."""

    code: int
    """What the register says instead."""

    chance: float
    """Share of such fields or stands."""


_CROPS = ("cereal", "maize", "roots", "ley")
_GRASS = ("meadow", "pasture")
_TREES = ("broadleaf", "mixed forest", "conifers")
MISFILINGS = (
    Misfiling(name="outdated field", of=_CROPS, code=1300, chance=0.030),
    Misfiling(name="outdated meadow", of=_GRASS, code=1100, chance=0.035),
    Misfiling(name="cleared bushes", of=_GRASS, code=1410, chance=0.010),
    Misfiling(name="grubbed orchard", of=("orchard", "vineyard"), code=1300, chance=0.05),
    Misfiling(name="overgrown meadow", of=("overgrown",), code=1300, chance=0.14),
    Misfiling(name="overgrown field", of=("overgrown",), code=1100, chance=0.08),
    Misfiling(name="clear-cut", of=("regrowth",), code=2000, chance=0.45),
    Misfiling(name="new forest", of=_TREES, code=1300, chance=0.012),
    Misfiling(name="grown bushes", of=_TREES, code=1500, chance=0.012),
    Misfiling(name="unmapped bog", of=("reed", "fen"), code=1321, chance=0.10),
    Misfiling(name="new quarry", of=("quarry",), code=2000, chance=0.30),
    Misfiling(name="moved bank", of=("gravel bank",), code=7000, chance=0.50),
)
"""Chances of one kind of cover add up; a field has at most one."""

_QUARTERS_CHANCE = 0.5
_HEDGES_CHANCE = 0.75
# Other codes of the same class, by kind of cover, for a third of its fields.
_OTHER_CODES = {"meadow": 1321, "overgrown": 1500, "roots": 1100, "pasture": 1800}


@dataclass(frozen=True, kw_only=True, eq=False)
class Register:
    """The register on the country's pixels, before its borders are smoothed; all (y, x)."""

    piece: np.ndarray
    """int32: number of the filed piece of ground; it has one code."""

    code: np.ndarray
    """int32: register code."""

    value: np.ndarray
    """uint8: class value that the code stands for, 0 where it is ignored."""

    error: np.ndarray
    """int32: 0 where the class is the true one or none is filed, else the number of the error in ``names``, from 1."""

    names: tuple[str, ...]
    """Names of the kinds of error."""


def make_register(country: Country) -> Register:
    """File every field, with the errors decided by the country's seed."""
    seed = country.seed
    units, first, inverse = np.unique(country.field_id, return_index=True, return_inverse=True)
    inverse = inverse.reshape(country.field_id.shape)
    kind = country.kind.ravel()[first]
    names = ("grass airfield", "new quarter", "merged hedge", *(misfiling.name for misfiling in MISFILINGS))
    codes = np.array([k.code for k in KINDS], "int32")[kind]
    for name, other in _OTHER_CODES.items():
        codes[(kind == NUMBER[name]) & (uniform(seed, 100, units) < 0.33)] = other
    reason = np.zeros(len(units), "int32")

    luck = uniform(seed, 101, units)
    passed = np.zeros(len(units))
    for number, misfiling in enumerate(MISFILINGS, start=4):
        is_of = np.isin(kind, [NUMBER[name] for name in misfiling.of])
        hit = is_of & (luck >= passed) & (luck < passed + misfiling.chance)
        codes[hit], reason[hit] = misfiling.code, number
        passed[is_of] += misfiling.chance
    waste = np.isin(kind, [NUMBER[name] for name in (*_CROPS, *_GRASS)]) & (luck > 0.99)
    codes[waste] = IGNORED
    new = np.isin(units, country.quarters) & (uniform(seed, 102, units) < _QUARTERS_CHANCE)
    codes[new], reason[new] = np.where(uniform(seed, 103, units) < 0.5, 1100, 1300)[new], 2
    for place in country.airfields[:1]:
        codes[units == place.field_id], reason[units == place.field_id] = 3000, 1

    filed = inverse
    hedge = (country.kind == NUMBER["hedge"]) & (uniform(seed, 104, units) < _HEDGES_CHANCE)[inverse]
    field = np.isin(country.kind, [NUMBER[name] for name in (*_CROPS, *_GRASS, "orchard", "vineyard")])
    if hedge.any() and field.any():
        nearest = scipy.ndimage.distance_transform_edt(~field, return_distances=False, return_indices=True)
        filed = np.where(hedge, inverse[nearest[0], nearest[1]], inverse)
    value = LEGEND.translate(codes)[0][filed]
    wrong = (value != country.truth) & (value != 0)
    error = np.where(wrong, np.where(filed != inverse, 3, reason[filed]), 0).astype("int32")
    return Register(
        piece=units[filed].astype("int32"), code=codes[filed].astype("int32"), value=value, error=error, names=names
    )


def register_frame(country: Country, register: Register, *, tolerance: float = 9.0) -> "geopandas.GeoDataFrame":
    """The register as polygons.

    Parameters
    ----------
    country, register
        The land and how it is filed.
    tolerance
        Square root, in metres, of the area by which a border may be moved at a corner; neighbours keep their
        common border, without gaps.

    Returns
    -------
    geopandas.GeoDataFrame
        EPSG:3794; ``USE_CODE`` (integer) and geometry.
    """
    import geopandas
    import shapely

    transform = country.geobox.transform
    found = list(shapes(register.piece, connectivity=4, transform=transform))
    geometry = np.array([shape(outline) for outline, _ in found])
    if tolerance > 0:
        geometry = shapely.coverage_simplify(geometry, tolerance, simplify_boundary=False)
    piece, first = np.unique(register.piece, return_index=True)
    where = np.searchsorted(piece, np.array([value for _, value in found], "int64"))
    frame = geopandas.GeoDataFrame(
        {CODE_COLUMN: register.code.ravel()[first][where]}, geometry=geometry, crs=country.geobox.crs.to_epsg()
    )
    return frame[~frame.geometry.is_empty].to_crs(CRS)


def error_frame(country: Country, register: Register) -> "geopandas.GeoDataFrame":
    """Every planted error.

    Returns
    -------
    geopandas.GeoDataFrame
        EPSG:3794; ``kind`` (what happened), ``true_class`` (name), ``register_code``, ``register_class`` (name),
        ``area_ha`` and geometry; the largest first.
    """
    import geopandas

    wrong = register.error > 0
    key = hashed(country.field_id, register.code, register.error) % np.uint64(2**31 - 2)
    label = np.where(wrong, key.astype("int32") + 1, 0).astype("int32")
    found = list(shapes(label, mask=wrong, connectivity=4, transform=country.geobox.transform))
    labels, first = np.unique(label, return_index=True)
    where = first[np.searchsorted(labels, np.array([value for _, value in found], "int64"))]
    geometry = [shape(outline) for outline, _ in found]
    names = LEGEND.names
    frame = geopandas.GeoDataFrame(
        {
            "kind": [register.names[number - 1] for number in register.error.ravel()[where]],
            "true_class": [names[int(value)] for value in country.truth.ravel()[where]],
            "register_code": register.code.ravel()[where],
            "register_class": [names[int(value)] for value in register.value.ravel()[where]],
            "area_ha": [round(outline.area / 1e4, 2) for outline in geometry],
        },
        geometry=geometry,
        crs=country.geobox.crs.to_epsg(),
    )
    return frame.sort_values("area_ha", ascending=False, kind="stable", ignore_index=True).to_crs(CRS)


def district_frame(country: Country) -> "geopandas.GeoDataFrame":
    """Six districts that share out the country.

    Returns
    -------
    geopandas.GeoDataFrame
        EPSG:3794; ``name`` and geometry.
    """
    import geopandas
    from shapely import box

    side = country.geobox.shape[0]
    rows, columns = np.rint(np.array([0, 0.46, 1]) * side), np.rint(np.array([0, 0.31, 0.7, 1]) * side)
    names, outlines = [], []
    for row, name in enumerate(("North", "South")):
        for column, part in enumerate(("west", "centre", "east")):
            left, top = country.geobox.transform * (columns[column], rows[row])
            right, bottom = country.geobox.transform * (columns[column + 1], rows[row + 1])
            names.append(f"{name} {part}")
            outlines.append(box(left, bottom, right, top).segmentize(500))
    frame = geopandas.GeoDataFrame({"name": names}, geometry=outlines, crs=country.geobox.crs.to_epsg())
    return frame.to_crs(CRS)
