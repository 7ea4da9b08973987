"""What lies on disk as pictures for the report: patches in detail, a block of patches, agreement patch by patch."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import rasterio
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from landweave.labels.draw import evenly
from landweave.legend import Legend
from landweave.patch.align import commonest_crs
from landweave.patch.grid import Cell
from landweave.patch.model import NODATA
from landweave.patch.painting import Piece, paint
from landweave.patch.staging import read_quicklook
from landweave.patch.store import read_raster
from landweave.report.report import Block, Panel
from landweave.report.sections.patches import WORST, PatchAgreement, most_confused, ranked
from landweave.report.words import percent
from landweave.runs import layout
from landweave.runs.results.compared import Compared
from landweave.runs.results.run import FinishedRun, stretch
from landweave.runs.sample.assignment import Assignment

MAP_SIDE, PANEL_SIDE, BLOCK_SIDE = 1000, 250, 640
"""Pixels of the drawn map's, a panel's and the block's longer side."""

PANELS = 3
"""Patches shown where there is no reference to tell the worst by."""

REACH = 1
"""Patches that the block has on either side of its middle: 3 x 3."""

_CANDIDATES = 50


def small_map(run: FinishedRun) -> np.ndarray:
    """The map, uint8 (y, x), shrunk by the commonest class and cut to where it holds one."""
    with rasterio.open(run.folder / layout.MAP) as file:
        shrink = max(1.0, max(file.shape) / MAP_SIDE)
        shape = tuple(max(1, round(side / shrink)) for side in file.shape)
        small: np.ndarray = file.read(1, out_shape=shape, resampling=rasterio.enums.Resampling.mode)
    rows, columns = (np.flatnonzero((small > 0).any(axis=axis)) for axis in (1, 0))
    return small[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else small


def agreements(run: FinishedRun) -> list[PatchAgreement]:
    """How every patch agrees with its reference, by a model that never saw it wherever there is one.

    Empty where there is no reference raster to compare with.
    """
    if run.plan.reference is None:
        return []
    outlines = _outlines(run.cells)
    legend = run.plan.legend
    return [
        PatchAgreement(
            name=cell.name,
            outline=outlines[cell.name],
            counts=_counts(run.compared(cell), legend),
            role=_role(cell, run.assignment),
        )
        for cell in run.cells
        if len(outlines[cell.name])
    ]


def panels(run: FinishedRun, patches: Sequence[PatchAgreement]) -> list[Panel]:
    """The worst patches, the best, and one at random (by the project's seed); without a reference some, evenly."""
    cells = {cell.name: cell for cell in run.cells}
    order = ranked(patches)
    if not order:
        return [_panel(run, run.cells[i]) for i in evenly(np.arange(len(run.cells)), PANELS)]
    seed = run.plan.project.sampling.seed
    titled = {patch.name: f"Worst, no. {n}" for n, patch in enumerate(order[:WORST], start=1)}
    rest = [patch for patch in order if patch.name not in titled]
    if rest:
        titled[rest[-1].name] = "The best"
    if len(rest) > 1:
        number = int(np.random.default_rng(seed).integers(len(rest) - 1))
        titled[rest[number].name] = f"At random (seed {seed})"
    by_name = {patch.name: patch for patch in order}
    return [_panel(run, cells[name], title=title, patch=by_name[name]) for name, title in titled.items()]


def acquisition_images(run: FinishedRun, importance: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The pictures that ``importance.json`` names for its hottest cells, by date; those that are gone are left out."""
    images = {}
    for cell in importance.get("hot_cells", []):
        path = run.folder / (cell.get("quicklook") or "")
        if path.is_file() and cell["heaviest"] not in images:
            images[cell["heaviest"]] = read_quicklook(path)
    return images


def block(run: FinishedRun) -> Block | None:
    """The 3 x 3 patches around the map's middle on their clearest common date; None without imagery.

    One stretch holds for all of it, and nothing is drawn between the patches: what shows at a seam is in the imagery.
    """
    cells = _middle_block(run.cells)
    # A patch that has no record of its dates speaks for none.
    shares = np.nan_to_num([run.valid_fractions(cell.name) for cell in cells]).sum(axis=0)
    day = run.plan.dates[int(np.argmax(shares))]
    geobox = cells[0].geobox
    corners = np.array([~geobox.affine * (cell.geobox.affine * (0, 0)) for cell in cells]).round().astype(int)
    left, top = corners.min(axis=0).tolist()
    right, bottom = (corners + [cell.geobox.shape[::-1] for cell in cells]).max(axis=0).tolist()
    grid = GeoBox((bottom - top, right - left), geobox.affine * Affine.translation(left, top), geobox.crs)
    image = _block_image(run, cells, grid, day)
    if image is None:
        return None
    classes = _painted(cells, grid, [_layer(run, layout.prediction(cell.name), cell)[None] for cell in cells], 0)[0]
    names = f"{len(cells)} patches around {cells[0].name}" if len(cells) > 1 else f"Patch {cells[0].name}"
    return Block(image=image, prediction=classes if classes.any() else None, caption=f"{names}, {day}, seamless.")


def _block_image(run: FinishedRun, cells: Sequence[Cell], grid: GeoBox, day: Any) -> np.ndarray | None:
    """The block in true colour, of quicklooks or of bands: each has one stretch for all patches."""

    def of_looks() -> np.ndarray | None:
        looks = [look for cell in cells if (look := run.quicklook(cell.name, day)) is not None]
        if len(looks) < len(cells):
            return None
        return np.moveaxis(_painted(cells, grid, [np.moveaxis(look, -1, 0) for look in looks], 255), 0, -1)

    def of_bands() -> np.ndarray | None:
        layers = [layer for cell in cells if (layer := run.colours(cell.name, day)) is not None]
        return stretch(_painted(cells, grid, layers, NODATA)) if len(layers) == len(cells) else None

    # A large block is shrunk anyway, and quicklooks are quicker; for a small one they are too coarse.
    first, second = (of_looks, of_bands) if max(grid.shape) >= 2 * BLOCK_SIDE else (of_bands, of_looks)
    image = first()
    return second() if image is None else image


def _painted(cells: Sequence[Cell], grid: GeoBox, layers: Sequence[np.ndarray], missing: int) -> np.ndarray:
    """What was read of each of the cells, (b, y, x), on one grid that holds them."""
    pieces = [
        Piece(geobox=cell.geobox, read=partial(np.asarray, layer)) for cell, layer in zip(cells, layers, strict=True)
    ]
    painted = paint(pieces, grid, missing=missing)
    assert painted is not None
    return painted


def _middle_block(cells: Sequence[Cell]) -> list[Cell]:
    """The fullest block of the zone with the most patches; of equals the one nearest to the zone's middle."""
    crs = commonest_crs(cell.geobox for cell in cells)
    own = [cell for cell in cells if str(cell.geobox.crs) == crs]
    boxes = [cell.geobox.boundingbox for cell in own]
    corners = np.array([(box.left, box.top) for box in boxes])
    # In steps of a full patch: the last ones of a grid may be smaller.
    sides = np.array([(box.right - box.left, box.top - box.bottom) for box in boxes]).max(axis=0)
    far = np.hypot(*(corners - corners.mean(axis=0)).T)
    best = np.zeros(len(own), bool)
    middle = 0
    for i in np.argsort(far, kind="stable")[:_CANDIDATES]:
        near = (np.abs(np.rint((corners - corners[i]) / sides)) <= REACH).all(axis=1)
        if near.sum() > best.sum():
            best, middle = near, int(i)
    # The middle one first: the block is named after it.
    return [own[middle], *(cell for i, cell in enumerate(own) if best[i] and i != middle)]


def _panel(run: FinishedRun, cell: Cell, *, title: str = "", patch: PatchAgreement | None = None) -> Panel:
    reference, shown = _pair(run, cell)
    words = f"Clearest date: {run.clearest_date(cell.name)}."
    if patch is not None:
        cost = most_confused(patch, list(run.plan.legend.names.values()))
        labelled = f"{patch.labelled:,}".replace(",", "\u202f")
        told = f"{percent(patch.agreement)} of {labelled} labelled pixels agree ({patch.role})."
        words = f"{told} {f'What costs most: {cost}.' if cost else ''} {words}"
    return Panel(
        name=cell.name, image=run.clearest_image(cell.name, side=PANEL_SIDE), reference=reference, prediction=shown,
        title=title, caption=words,
    )  # fmt: skip


def _pair(run: FinishedRun, cell: Cell) -> tuple[np.ndarray | None, np.ndarray]:
    """Reference and prediction of a patch: out of fold where the reference is compared, the map's elsewhere."""
    mapped = _layer(run, layout.prediction(cell.name), cell)
    if run.plan.reference is None:
        return None, mapped
    found = run.compared(cell)
    if found is None:
        return _layer(run, layout.labels(cell.name), cell), mapped
    return found.labels[0], np.where(found.reference[0] > 0, found.predicted, mapped)


def _layer(run: FinishedRun, name: str, cell: Cell) -> np.ndarray:
    path = run.folder / name
    return np.asarray(read_raster(path)[0]) if path.exists() else np.zeros(cell.geobox.shape, "uint8")


def _counts(found: Compared | None, legend: Legend) -> np.ndarray:
    k = len(legend.values)
    return np.zeros((k, k + 1), "int64") if found is None else _confusion(found.reference[0], found.predicted, legend)


def _confusion(reference: np.ndarray, predicted: np.ndarray, legend: Legend) -> np.ndarray:
    k = len(legend.values)
    column = np.full(256, k)
    column[list(legend.values)] = np.arange(k)
    use = column[reference] < k
    cells = column[reference[use]] * (k + 1) + column[predicted[use]]
    return np.bincount(cells, minlength=k * (k + 1)).reshape(k, k + 1)


def _role(cell: Cell, assignment: Assignment | None) -> str:
    if assignment is None:
        return ""
    if assignment.kind in {"given", "none"}:
        return {"given": "model from elsewhere", "none": "in-sample"}[assignment.kind]
    roles = {role for unit, role in assignment.roles.items() if unit.split("/")[0] == cell.name}
    if len(roles) > 1:
        return "partly test, partly training, out of fold"
    return {"test": "test", "train": "training, out of fold"}.get(next(iter(roles), ""), "no reference")


def _outlines(cells: Sequence[Cell]) -> Mapping[str, np.ndarray]:
    """Corners of each patch: in their CRS where they share one, else longitude and latitude, east-west narrowed."""
    return dict(_corners(cells))


def _corners(cells: Sequence[Cell]) -> Iterator[tuple[str, np.ndarray]]:
    if len({cell.geobox.crs for cell in cells}) == 1:
        for cell in cells:
            yield cell.name, _ring(cell)
        return
    shapes = {cell.name: shapely.Polygon(_in_degrees(cell)) for cell in cells}
    narrow = np.cos(np.radians(np.mean([shape.centroid.y for shape in shapes.values()])))
    for cell in cells:
        own = shapes[cell.name].intersection(shapely.box(max(cell.west, -180), -90, min(cell.east, 180), 90))
        ring = np.array(own.exterior.coords)[:-1] if isinstance(own, shapely.Polygon) else np.empty((0, 2))
        yield cell.name, ring.reshape(-1, 2) * (narrow, 1.0)


def _in_degrees(cell: Cell) -> np.ndarray:
    """Corners in longitude and latitude, (4, 2)."""
    return np.stack(cell.geobox.crs.transformer_to_crs("EPSG:4326")(*_ring(cell).T), axis=1)


def _ring(cell: Cell) -> np.ndarray:
    box = cell.geobox.boundingbox
    return np.array([(box.left, box.top), (box.right, box.top), (box.right, box.bottom), (box.left, box.bottom)])
