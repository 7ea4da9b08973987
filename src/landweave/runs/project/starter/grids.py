"""Which raster files of a folder show the same ground, and the grid that stands for them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.patch.raster.header import Header
from landweave.runs.project.starter.found import some_things
from landweave.sources.file_grids import footprint, grid_of_all, pixel_size
from landweave.sources.files.opened import header_at

_COARSEST = 6.5
"""Times the pixel of most bands: Sentinel-2 has 10, 20 and 60 m; previews and thumbnails are coarser."""


def headers_of(root: Path, names: Sequence[str]) -> tuple[dict[str, Header], list[str]]:
    """Headers of the files that share ground with most bands, in any size of pixels, tile or CRS.

    Parameters
    ----------
    root, names
        A folder, and paths in it.

    Returns
    -------
    headers, notes
        Name to header, in the order of the names; and sentences on files that are left out.
    """
    groups: dict[Any, dict[str, Header]] = defaultdict(dict)
    notes: list[str] = []
    for name in names:
        try:
            header = header_at(root / name)
            grid = header.grid
        except InputError as error:
            notes.append(f"left out: {str(error).removeprefix(str(root)).lstrip('/')}")
            continue
        if header.bands:
            place = tuple(round(float(number), 6) for number in tuple(grid.affine)[:6])
            groups[(tuple(grid.shape), place, str(grid.crs))][name] = header
    order = sorted(groups.values(), key=lambda group: -sum(len(header.bands) for header in group.values()))
    used, left = _together(order)
    if left:
        name, header = next(iter(left[0].items()))
        notes.append(
            f"left out: {some_things(sum(map(len, left)), 'file')} of other ground or much coarser pixels, such as "
            f"{name} ({header.shape[1]} x {header.shape[0]} pixels)"
        )
    found = {name: header for group in used for name, header in group.items()}
    return {name: found[name] for name in names if name in found}, notes


def common_grid(headers: Iterable[Header]) -> GeoBox:
    """The grid that a source of these files has."""
    return grid_of_all([header.grid for header in headers])


def _together(order: Sequence[dict[str, Header]]) -> tuple[list[dict[str, Header]], list[dict[str, Header]]]:
    """Groups that share ground with the first, or with one that does; and the others."""
    if not order:
        return [], []
    base = _grid_of(order[0])
    grounds = [footprint(_grid_of(group), base.crs) for group in order]
    sizes = [pixel_size(_grid_of(group)) / pixel_size(base) for group in order]
    left = [i for i in range(1, len(order)) if 1 / _COARSEST <= sizes[i] <= _COARSEST]
    used, near = [0], [0]
    while near:
        # Tiles may meet at an edge.
        near = [i for i in left if any(grounds[i].distance(grounds[k]) <= abs(base.resolution.x) for k in near)]
        used, left = used + near, [i for i in left if i not in near]
    return [order[i] for i in used], [group for i, group in enumerate(order) if i not in used]


def _grid_of(group: dict[str, Header]) -> GeoBox:
    return next(iter(group.values())).grid
