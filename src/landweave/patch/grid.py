"""From an area of interest to cells: a name and a geobox each, across UTM zones or on the imagery's own grid."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from odc.geo.geom import Geometry
from shapely.geometry.base import BaseGeometry

from landweave.errors import InputError
from landweave.patch.align import DEGREE
from landweave.patch.area import inner_of, outline_near, outline_of, part_of
from landweave.patch.summary import Shown

OVERLAP = 3
"""Pixels by which the maps of neighbouring UTM zones overlap."""

MOST_CELLS = 200_000
"""Cells of a grid: with the usual 5 km, half of Europe."""

_MOST_SEARCHED = 1_000_000
"""Squares of a grid that are looked at, whether they touch the area."""

LONGEST_SIDE = 50_000
"""Pixels along the side of a cell that is cut from an area."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Cell(Shown):
    """One square of the country: the unit of download, work and resumption."""

    name: str
    """Column and row in the grid, such as ``x0012y0034``, after the UTM zone where the grid has several."""

    geobox: GeoBox
    """Pixel grid, shape (y, x)."""

    west: float = -math.inf
    east: float = math.inf
    """Longitudes, degrees, that this cell answers for where zones overlap: the same ground must not count twice."""

    overlap: float = 0.0
    """Degrees beyond ``west`` and ``east`` that it maps too, so that no gap opens where the grids of two zones meet."""

    area: BaseGeometry | None = None
    """The part of the area of interest within the cell, in its CRS; None where all of the cell belongs to it."""

    def _summary(self) -> Mapping[str, object]:
        return {
            "name": self.name,
            "pixels": " x ".join(map(str, self.geobox.shape)),
            "resolution": abs(self.geobox.resolution.x),
            "crs": str(self.geobox.crs),
            "within the area": "all" if self.area is None else f"{self.area.area / self.geobox.extent.geom.area:.0%}",
        }

    def inside(self) -> np.ndarray | None:
        """Pixels that the area of interest touches, bool (y, x); None where it touches all."""
        if self.area is None:
            return None
        if self.area.is_empty:
            return np.zeros(self.geobox.shape, bool)
        from rasterio.features import geometry_mask

        shape, transform = tuple(self.geobox.shape), self.geobox.transform
        mask = geometry_mask([self.area], out_shape=shape, transform=transform, invert=True, all_touched=True)
        return np.asarray(mask)

    def own(self) -> np.ndarray | None:
        """Those ``inside`` whose centre lies within ``west`` and ``east``, bool (y, x); None where all do."""
        return self._between(self.west, self.east)

    def mapped(self) -> np.ndarray | None:
        """Those ``own`` and those of the overlap, bool (y, x); None where all are."""
        return self._between(self.west - self.overlap, self.east + self.overlap)

    def _between(self, west: float, east: float) -> np.ndarray | None:
        inside = self.inside()
        if math.isinf(west) and math.isinf(east):
            return inside
        rows, columns = np.mgrid[: self.geobox.shape[0], : self.geobox.shape[1]]
        x, y = self.geobox.affine * (columns + 0.5, rows + 0.5)
        longitude, _ = self.geobox.crs.transformer_to_crs("EPSG:4326")(x, y)
        own: np.ndarray = (longitude >= west) & (longitude < east)
        return own if inside is None else own & inside

    @property
    def rows(self) -> int:
        """Height in pixels."""
        return int(self.geobox.shape[0])


def crs_name(geobox: GeoBox) -> str:
    """A grid's CRS as ``EPSG:32633`` where it has such a number, else as WKT."""
    number = geobox.crs.epsg
    return str(geobox.crs) if number is None else f"EPSG:{number}"


def strip_geobox(geobox: GeoBox, rows: slice) -> GeoBox:
    """The geobox of some rows of a geobox."""
    return geobox[rows, :]


def utm_cells(
    area: BaseGeometry, *, resolution: float = 10.0, patch_size: int = 500, buffer: float = 0.0
) -> list[Cell]:
    """Cells of one or several UTM zones that touch the area.

    Parameters
    ----------
    area
        Area of interest in longitude and latitude (EPSG:4326).
    resolution
        Pixel size in metres.
    patch_size
        Pixels along a cell's side. Cells snap to multiples of ``resolution * patch_size`` in the zone's
        coordinates, so a cell keeps its name and place when the area changes.
    buffer
        Metres added around the area.

    Returns
    -------
    list of Cell
        Sorted by name. A cell belongs to the zone whose 6-degree strip, cut from the area and wider by
        :data:`OVERLAP` pixels where the next zone begins, it touches; cells of neighbouring zones overlap along
        the zones' border.

    Raises
    ------
    InputError
        For an area that is empty, crosses the antimeridian or reaches beyond 84 N or 80 S, where UTM ends.
    """
    west, south, east, north = checked_bounds(area)
    cells = []
    first_zone, last_zone = (math.floor((min(end, 179.999999) + 180) / 6) for end in (west, east))
    strips = {zone: shapely.box(zone * 6 - 180, -80, zone * 6 - 174, 84) for zone in range(first_zone, last_zone + 1)}
    met = [zone for zone, strip in strips.items() if strip.intersects(area)]
    # An area that ends on the border of two zones has nothing in the second, unless that border is all of it.
    zones = [zone for zone in met if not strips[zone].touches(area)] or met[:1]
    overlap = _overlap(resolution, south, north)
    for zone in zones:
        north_side = (south + north) / 2 >= 0
        first, last = zone == zones[0], zone == zones[-1]
        # Whatever the size of cells, those of both zones hold the whole overlap.
        wide = shapely.box(
            zone * 6 - 180 - (0 if first else overlap), -80, zone * 6 - 174 + (0 if last else overlap), 84
        )
        strip = area.intersection(wide)
        epsg = (32601 if north_side else 32701) + zone
        prefix = f"{zone + 1:02d}{'N' if north_side else 'S'}_"
        found = projected_cells(
            strip, crs=f"EPSG:{epsg}", resolution=resolution, patch_size=patch_size, buffer=buffer, prefix=prefix
        )
        west_end, east_end = (-math.inf if first else zone * 6 - 180), (math.inf if last else zone * 6 - 174)
        # Beyond the zone's own strip too, where its cells reach over the border.
        near = area.intersection(shapely.box(zone * 6 - 181, -80, zone * 6 - 173, 84))
        outline = outline_of(near, CRS(f"EPSG:{epsg}"), buffer)
        ends: dict[str, float] = {"west": west_end, "east": east_end, "overlap": 0.0 if first and last else overlap}
        inner = inner_of(outline, resolution)
        cells += [replace(c, **ends, area=part_of(outline, c.geobox, inner)) for c in found]  # type: ignore[arg-type]
    return sorted(cells, key=lambda cell: cell.name)


def projected_cells(
    area: BaseGeometry,
    *,
    crs: str,
    resolution: float = 10.0,
    patch_size: int = 500,
    buffer: float = 0.0,
    prefix: str = "",
) -> list[Cell]:
    """Cells in one projected CRS that touch the area; arguments as for :func:`utm_cells`.

    Columns and rows are counted from the CRS's own origin, eastward and northward; negative ones are written
    with an ``m``.
    """
    if patch_size < 1 or resolution <= 0:
        raise InputError(f"A grid of {patch_size} pixels of {resolution} m has no cells; both must be positive.")
    target = CRS(crs)
    if target.geographic:
        raise InputError(f"The grid needs a CRS in metres; {crs} is in degrees.")
    unit = target.proj.axis_info[0] if target.proj.axis_info else None
    if unit is not None and not math.isclose(unit.unit_conversion_factor or 1.0, 1.0, rel_tol=1e-9):
        raise InputError(f"The grid needs a CRS in metres; the unit of {crs} is the {unit.unit_name}.")
    outline = outline_of(area, target, buffer)
    if outline.is_empty:
        raise InputError(
            "The area of interest has no extent, as points and lines have none; give a polygon, or set area.buffer."
        )
    side = resolution * patch_size
    left, bottom, right, top = outline.bounds
    if not all(math.isfinite(bound) for bound in outline.bounds):
        raise InputError(f"The area of interest is outside the range of {crs}; choose another CRS for the grid.")
    squares = (math.ceil(right / side) - math.floor(left / side)) * (math.ceil(top / side) - math.floor(bottom / side))
    if squares > _MOST_SEARCHED or patch_size > LONGEST_SIDE:
        raise InputError(
            f"Patches of {patch_size} pixels of {resolution:g} m have a side of {side:g} m: {squares} of them would be "
            "needed. resolution is in metres, not in degrees, and patch_size in pixels; correct them."
        )
    inner = inner_of(outline, resolution)
    shapely.prepare([outline, inner])
    cells = []
    for column in range(math.floor(left / side), math.ceil(right / side)):
        for row in range(math.floor(bottom / side), math.ceil(top / side)):
            square = shapely.box(column * side, row * side, (column + 1) * side, (row + 1) * side)
            if inner.intersects(square) and not inner.touches(square):
                box = GeoBox.from_bbox(square.bounds, target, resolution=resolution, tight=True)
                name = f"{prefix}x{_index(column)}y{_index(row)}"
                cells.append(Cell(name=name, geobox=box, area=part_of(outline, box, inner)))
                if len(cells) > MOST_CELLS:
                    raise InputError(
                        f"The area has more than {MOST_CELLS} patches of {side:g} m; choose a larger patch_size."
                    )
    return sorted(cells, key=lambda cell: cell.name)


def native_cells(
    geobox: GeoBox, *, patch_size: int = 500, area: BaseGeometry | None = None, buffer: float = 0.0
) -> list[Cell]:
    """Cells cut from the imagery's own grid, from its upper left corner; the last ones may be smaller.

    Parameters
    ----------
    geobox
        Grid of the imagery.
    patch_size
        Pixels along a cell's side.
    area
        In longitude and latitude; only cells that touch it are kept.
    buffer
        Metres added around the area.

    Raises
    ------
    InputError
        When the area and the imagery do not overlap, and for more than :data:`MOST_CELLS` cells.
    """
    if patch_size < 1:
        raise InputError(f"A grid of {patch_size} pixels has no cells; patch_size must be positive.")
    height, width = geobox.shape
    squares = math.ceil(height / patch_size) * math.ceil(width / patch_size)
    if squares > (MOST_CELLS if area is None else _MOST_SEARCHED):
        raise InputError(
            f"The imagery of {width} x {height} pixels has {squares} patches of {patch_size} pixels; choose a larger "
            "patch_size."
        )
    outline = None
    if area is not None:
        outline = outline_near(area, geobox, buffer)
        shapely.prepare(outline)
    cells = []
    for row, top in enumerate(range(0, height, patch_size)):
        for column, left in enumerate(range(0, width, patch_size)):
            part = geobox[top : min(top + patch_size, height), left : min(left + patch_size, width)]
            if outline is None or outline.intersects(part.extent.geom):
                within = None if outline is None else part_of(outline, part)
                cells.append(Cell(name=f"x{column:04d}y{row:04d}", geobox=part, area=within))
    if not cells:
        raise InputError("The area of interest and the imagery do not overlap; check the area and its CRS.")
    return sorted(cells, key=lambda cell: cell.name)


def given_cells(grids: Mapping[str, GeoBox], *, area: BaseGeometry | None = None, buffer: float = 0.0) -> list[Cell]:
    """Cells of imagery that comes in patches: each is one, whatever its size.

    Parameters
    ----------
    grids
        Name to pixel grid, in any CRS each.
    area
        In longitude and latitude; only patches that touch it are kept.
    buffer
        Metres added around the area.

    Returns
    -------
    list of Cell
        Sorted by name. A patch in UTM that overlaps one of another zone answers for its own zone's 6 degrees alone,
        so that the same ground does not count twice; it maps as much beyond as those of :func:`utm_cells`.

    Raises
    ------
    InputError
        When the area and the patches do not overlap.
    """
    cells = []
    for name, geobox in sorted(grids.items()):
        within = None
        if area is not None:
            outline = outline_near(area, geobox, buffer)
            inner = inner_of(outline, abs(geobox.resolution.x))
            if not inner.intersects(geobox.extent.geom):
                continue
            within = part_of(outline, geobox, inner)
        cells.append(Cell(name=name, geobox=geobox, area=within))
    if not cells:
        raise InputError("The area of interest and the imagery do not overlap; check the area and its CRS.")
    if len({cell.geobox.crs for cell in cells}) == 1:
        return cells
    extents = [cell.geobox.extent.to_crs("EPSG:4326").geom for cell in cells]
    pairs = shapely.STRtree(extents).query(extents, predicate="intersects").T
    shared = {int(one) for one, other in pairs if cells[one].geobox.crs != cells[other].geobox.crs}
    _, south, _, north = shapely.total_bounds(extents) if area is None else area.bounds
    return [_of_its_zone(cell, south, north) if number in shared else cell for number, cell in enumerate(cells)]


def _overlap(resolution: float, south: float, north: float) -> float:
    return OVERLAP * resolution / (DEGREE * math.cos(math.radians(max(abs(south), abs(north)))))


def _of_its_zone(cell: Cell, south: float, north: float) -> Cell:
    code = cell.geobox.crs.epsg or 0
    zone = code % 100
    if code // 100 not in {326, 327} or not 1 <= zone <= 60:
        return cell
    overlap = _overlap(abs(cell.geobox.resolution.x), south, north)
    return replace(cell, west=zone * 6 - 186, east=zone * 6 - 180, overlap=overlap)


def subset(cells: Sequence[Cell], *, center: tuple[float, float], size: str) -> list[Cell]:
    """The block of cells around the one at ``center``.

    Parameters
    ----------
    cells
        The whole grid.
    center
        Longitude and latitude, degrees.
    size
        Columns by rows, such as ``"3x3"``.

    Raises
    ------
    InputError
        When the size is not readable or no cell lies at the centre.
    """
    try:
        columns, rows = (int(part) for part in size.lower().split("x"))
    except ValueError:
        raise InputError(f'subset.size is {size!r}; write columns x rows, such as "3x3".') from None
    if columns < 1 or rows < 1:
        raise InputError(f"subset.size is {size!r}; it needs at least one column and one row.")
    for middle in cells:
        point = Geometry(shapely.Point(center), "EPSG:4326").to_crs(middle.geobox.crs)
        if middle.geobox.extent.contains(point):
            break
    else:
        raise InputError(f"subset.center {list(center)} (longitude, latitude) is not in any patch of the grid.")
    same = [cell for cell in cells if cell.geobox.crs == middle.geobox.crs]
    # From corner to corner, in steps of a full cell: the last cells of a native grid may be smaller.
    side_x = max(cell.geobox.boundingbox.span_x for cell in same)
    side_y = max(cell.geobox.boundingbox.span_y for cell in same)
    left, top = _corner(middle)
    placed = [(cell, *_corner(cell)) for cell in same]
    return [cell for cell, x, y in placed if _reach(x - left, side_x, columns) and _reach(top - y, side_y, rows)]


def _reach(distance: float, side: float, count: int) -> bool:
    # For an even count the block leans up and left, so that "2x2" has four cells and not nine.
    steps = round(distance / side)
    return -(count // 2) <= steps <= (count - 1) // 2


def _corner(cell: Cell) -> tuple[float, float]:
    box = cell.geobox.boundingbox
    return box.left, box.top


def _index(number: int) -> str:
    return f"{number:04d}" if number >= 0 else f"m{-number:04d}"


def checked_bounds(area: BaseGeometry, *, utm: bool = True) -> tuple[float, float, float, float]:
    """West, south, east, north of an area in longitude and latitude.

    Raises
    ------
    InputError
        For an area that is empty, crosses the antimeridian, goes around a pole or, with ``utm``, reaches beyond
        84 N or 80 S, where UTM ends.
    """
    if area.is_empty:
        raise InputError("The area of interest is empty; give a polygon with an area, or area.buffer.")
    west, south, east, north = area.bounds
    if west < -180 or east > 180 or east - west > 180:
        raise InputError(
            f"The area extends from longitude {west:g} to {east:g}; "
            "areas across the antimeridian or around a pole are not supported: use one project for each side."
        )
    if utm and (south < -80 or north > 84):
        raise InputError(f"The area extends from latitude {south:g} to {north:g}; UTM ends at 80 S and 84 N.")
    return west, south, east, north
