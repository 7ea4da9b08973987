"""``landweave compare``: the register against the map, and the places where the register is likely wrong."""

import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from landweave.engine.fingerprint import fingerprint, fingerprint_of
from landweave.errors import InputError
from landweave.maps.areas import PixelAreas
from landweave.maps.compare import Doubt, area_matrix, comparison, order_places
from landweave.patch.align import commonest_crs
from landweave.patch.grid import Cell
from landweave.patch.model import NODATA
from landweave.patch.painting import Piece, paint
from landweave.patch.store import sweep, write_json, write_text
from landweave.patch.summary import Shown, listed
from landweave.patch.vectors.writing import write_layers
from landweave.report.comparison import PicturedPlace, render_comparison
from landweave.runs import layout
from landweave.runs.estimate.districts import read_districts
from landweave.runs.mapping.places_style import ALIASES, doubtful_style
from landweave.runs.results.compared import Compared
from landweave.runs.results.pixel import find_cell
from landweave.runs.results.record import read_record
from landweave.runs.results.run import FinishedRun, check_same_project, open_run, stretch

if TYPE_CHECKING:
    import geopandas

SHOWN = 20
"""Places with pictures."""

_AS_CLEAR, _MIDSUMMER, _HALF_YEAR = 0.9, 196, 183
"""Share of the clearest date's valid pixels that makes another as clear; days of the year, mid-July in the north."""

_AROUND, _MARGIN, _LEAST_SIDE, _PICTURE = 60, 12, 40, 240
"""Pixels of land that brighten a picture, and that it shows around a place; least side of a picture in pixels of land,
and in pixels of the page."""

_TO_FILL_IN = ("finding", "inspector", "inspected_on")
"""Columns for an inspector, empty."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Comparison(Shown):
    """What a comparison found."""

    figures: dict[str, Any]
    files: tuple[Path, ...]

    def _summary(self) -> Mapping[str, object]:
        return {
            "title": self.figures.get("title", ""),
            "compared with": self.figures.get("compared_with", ""),
            "places": self.figures.get("listed", ""),
            "files": listed([path.name for path in self.files]),
        }


def compare(
    project: str | Path | FinishedRun,
    *,
    progress: Callable[[int, int], None] | None = None,
    allow_code: bool = False,
) -> Comparison:
    """Hold the register against the map; write ``compare.html``, ``compare.json`` and ``compare.gpkg``.

    Parameters
    ----------
    project
        A project file, its folder, or a finished run.
    progress
        Called with patches done and in all.
    allow_code
        As for :func:`landweave.read_project`.

    Returns
    -------
    Comparison
        ``figures`` as :func:`landweave.maps.compare.comparison` gives them, with ``title``, ``compared_with``,
        ``places`` (the first, ranked) and ``edges`` (how many the buffer explains).

    Raises
    ------
    InputError
        When the project has no reference, or no predictions or list of label errors yet.
    """
    run = project if isinstance(project, FinishedRun) else open_run(project, allow_code=allow_code)
    plan = run.plan
    if plan.reference is None:
        raise InputError(f"{plan.project.file}: no [reference] to compare the map with.")
    check_same_project(run)
    # A run may be under way in the same folder: only what an earlier comparison left goes.
    sweep(plan.folder, Path(layout.COMPARISON).stem)
    figures = {"made_from": made_from(run), **_figures(run, progress)}
    ranked, edges = _places(run)
    first = ranked.head(SHOWN)
    inside = first.geometry.representative_point().to_crs("EPSG:4326")
    figures["places"] = [
        {**row, "lon": round(point.x, 6), "lat": round(point.y, 6)}
        for row, point in zip(json.loads(first.drop(columns="geometry").to_json(orient="records")), inside, strict=True)
    ]
    figures |= {"listed": len(ranked), "edges": len(edges)}
    files = tuple(plan.folder / name for name in (layout.COMPARISON_PAGE, layout.COMPARISON, layout.COMPARISON_PLACES))
    _write_places(files[2], ranked, edges, {c.name: c.color for c in plan.legend.classes})
    write_json(files[1], figures)
    shapes = first.geometry.to_crs("EPSG:4326")
    shown = [_pictured(run, row, shape) for row, shape in zip(figures["places"], shapes, strict=True)]
    colors = {c.name: c.color for c in plan.legend.classes}
    page = render_comparison(figures, colors=colors, palette=plan.legend.colors, places=shown)
    write_text(files[0], page)
    return Comparison(figures=figures, files=files)


def comparison_lines(found: Comparison) -> list[str]:
    """The comparison in a few lines, for a terminal."""
    figures, whole = found.figures, found.figures["all"]
    share = 100 * (whole["differs"] or 0)
    told = f"they differ on {whole['differs_ha']:.1f} ha ({share:.1f} %), {whole['edge_ha']:.1f} ha of it at edges"
    lines = [
        f"{figures['title']}: {whole['compared_ha']:.1f} ha, compared with {figures['compared_with']}",
        f"  {told}",
        f"  {figures['listed']} places to look at, and {figures['edges']} that the register's buffer explains",
    ]
    lines += [
        f"  {row['rank']:>3}  {row['reference_class']} -> {row['suggested_class']}, {row['area_ha']:.2f} ha "
        f"at {row['lon']:.5f}, {row['lat']:.5f}"
        for row in figures["places"][:5]
    ]
    return [*lines, *(str(path) for path in found.files)]


def _figures(run: FinishedRun, progress: Callable[[int, int], None] | None) -> dict[str, Any]:
    plan, held_out = run.plan, 0
    settings = plan.project.districts
    total: np.ndarray | None = None
    names: tuple[str, ...] = ()
    for number, cell in enumerate(run.cells, start=1):
        found = run.compared(cell)
        if found is None:
            continue
        held_out += found.held_out
        geobox = cell.geobox
        zones, names = None, ()
        if settings is not None:
            districts = read_districts(
                plan.project.path(settings.path), settings.column, crs=str(geobox.crs), near=geobox,
                layer=settings.layer, encoding=settings.encoding,
            )  # fmt: skip
            zones, names = _numbers(districts.shapes, cell), districts.names
        areas = PixelAreas(str(geobox.crs), geobox.transform, geobox.shape)
        whole = areas.window(slice(0, geobox.shape[0]), slice(0, geobox.shape[1]))
        part = area_matrix(
            found.reference[0],
            found.reference[1],
            found.predicted,
            whole,
            values=plan.legend.values,
            zones=zones,
            count=len(names),
        )  # fmt: skip
        total = part if total is None else total + part
        if progress is not None:
            progress(number, len(run.cells))
    if total is None:
        raise InputError(f"{plan.folder}: there are no predictions; make them with `landweave run`.")
    return {
        "title": f"Register against map: {plan.project.name}",
        "compared_with": "predictions by models that never saw the patch" if held_out else "the map",
        **comparison(total, list(plan.legend.names.values()), names),
    }


def _numbers(shapes: Sequence[Any], cell: Cell) -> np.ndarray:
    from rasterio.features import rasterize

    numbered = [(shape, number) for number, shape in enumerate(shapes, start=1) if not shape.is_empty]
    if not numbered:
        return np.zeros(cell.geobox.shape, "int32")
    shape: tuple[int, int] = cell.geobox.shape
    return np.asarray(rasterize(numbered, out_shape=shape, transform=cell.geobox.transform, dtype="int32"))


def _places(run: FinishedRun) -> "tuple[geopandas.GeoDataFrame, geopandas.GeoDataFrame]":
    """The list of label errors as places to look at, and those that the buffer explains, each ranked."""
    import geopandas as gpd

    plan = run.plan
    path = plan.folder / layout.LABEL_ERRORS
    if not path.exists():
        raise InputError(f"{path}: the list of label errors is missing; make it with `landweave run`.")
    frame = gpd.read_file(path)
    # Metres: the reference may lie in degrees.
    crs = commonest_crs(cell.geobox for cell in run.cells)
    metres = plan.pixel_metres * (plan.project.reference.erosion if plan.project.reference else 0)
    shapes = frame.geometry.to_crs(crs)
    points = (shapes.area == 0).to_numpy()
    shrunk = shapes.buffer(-metres).area.to_numpy() / np.maximum(shapes.area.to_numpy(), 1e-9)
    # A point has no outline to be wrong about.
    inside = np.where(points, np.maximum(frame["area_ha"], plan.pixel_metres**2 / 1e4), frame["area_ha"] * shrunk)
    doubts = {
        i: Doubt(score=row.score, confidence=row.looks_suggested, inside_ha=float(inside[i]))
        for i, row in enumerate(frame.itertuples(index=False))
    }
    frame = frame.assign(inside_ha=np.round(inside, 3)).rename(columns={"rank": "rank_of_doubt"})
    parts = []
    for keys in order_places(doubts):
        part = frame.iloc[keys].reset_index(drop=True)
        part.insert(0, "rank", np.arange(1, len(part) + 1))
        parts.append(part.assign(**dict.fromkeys(_TO_FILL_IN, "")))
    return parts[0], parts[1]


def _write_places(
    path: Path, ranked: "geopandas.GeoDataFrame", edges: "geopandas.GeoDataFrame", colors: Mapping[str, str]
) -> None:
    layers = {"places": ranked, "edges": edges}
    # Inspectors choose a class, and an empty text stands for what they have not seen yet.
    styles = {
        name: doubtful_style(frame, colors, choices={_TO_FILL_IN[0]: ("", *colors)}) for name, frame in layers.items()
    }
    write_layers(path, list(layers.items()), styles=styles, aliases=ALIASES)


def _pictured(run: FinishedRun, row: dict[str, Any], shape: Any) -> PicturedPlace:
    """Image, register and held-out prediction around a place, with its outline; over as many patches as it lies in."""
    import shapely
    from odc.geo.geom import Geometry
    from rasterio.features import rasterize

    found = find_cell(run.cells, row["lon"], row["lat"])
    if found is None:
        return PicturedPlace(row=row, day="", pictures={})
    middle = found[0]
    a, b, c, d, e, f = tuple(~middle.geobox.affine)[:6]
    moved = Geometry(shape, "EPSG:4326").to_crs(middle.geobox.crs).geom
    outline = shapely.affinity.affine_transform(moved, (a, b, d, e, c, f))
    left, top, right, bottom = outline.bounds
    (first_row, height), (first_column, width) = _window(top, bottom), _window(left, right)
    affine = middle.geobox.affine * Affine.translation(first_column, first_row)
    window = GeoBox((height, width), affine, middle.geobox.crs)
    day = _date_to_show(run, middle, south=row["lat"] < 0)
    # Brightened with the land around, so that a dark place looks dark.
    own = (slice(_AROUND, _AROUND + height), slice(_AROUND, _AROUND + width))
    pictures = {name: picture[own] for name, picture in _land(run, window.pad(_AROUND), day).items()}
    scale = max(1, _PICTURE // max(height, width))
    line = shapely.affinity.affine_transform(
        outline.boundary, (scale, 0, 0, scale, -scale * first_column, -scale * first_row)
    )
    drawn = np.zeros((scale * height, scale * width), "uint8")
    if not line.is_empty:
        drawn = rasterize([line], out_shape=drawn.shape, all_touched=True)
    large = {name: picture.repeat(scale, axis=0).repeat(scale, axis=1) for name, picture in pictures.items()}
    return PicturedPlace(row=row, day=day.isoformat().replace(":", ""), pictures=large, outline=drawn > 0)


def _date_to_show(run: FinishedRun, cell: Cell, *, south: bool) -> datetime.date:
    """Of the dates that are about as clear as the clearest the one nearest to midsummer, when classes differ most."""
    shares = np.nan_to_num(run.valid_fractions(cell.name))
    clear = [day for day, share in zip(run.plan.dates, shares, strict=True) if share >= _AS_CLEAR * shares.max()]

    def away(day: datetime.date) -> int:
        apart = abs(day.timetuple().tm_yday - (_MIDSUMMER + (_HALF_YEAR if south else 0)) % (2 * _HALF_YEAR))
        return min(apart, 2 * _HALF_YEAR - apart)

    return min(clear, key=away)


def _land(run: FinishedRun, window: GeoBox, day: datetime.date) -> dict[str, np.ndarray]:
    """``image`` uint8 (y, x, 3), ``register`` and what it is compared with as uint8 (y, x), of all patches there."""
    pairs: dict[str, Compared | None] = {}

    def pair(cell: Cell) -> Compared | None:
        if cell.name not in pairs:
            pairs[cell.name] = run.compared(cell)
        return pairs[cell.name]

    def image(cell: Cell) -> np.ndarray | None:
        return run.colours(cell.name, day) if day in run.plan.dates else None

    def register(cell: Cell) -> np.ndarray | None:
        return None if (found := pair(cell)) is None else found.labels[:1]

    def predicted(cell: Cell) -> np.ndarray | None:
        return None if (found := pair(cell)) is None else found.predicted[None]

    bands = paint([Piece(geobox=cell.geobox, read=partial(image, cell)) for cell in run.cells], window, missing=NODATA)
    layers = {} if bands is None else {"image": stretch(bands)}
    for name, read in (("register", register), ("", predicted)):
        pieces = [Piece(geobox=cell.geobox, read=partial(read, cell), beyond=cell) for cell in run.cells]
        classes = paint(pieces, window, missing=0)
        if classes is not None:
            first = next(found for found in pairs.values() if found is not None)
            layers[name or ("held-out prediction" if first.held_out else "map")] = classes[0]
    return layers


def _window(least: float, greatest: float) -> tuple[int, int]:
    """First row or column of a picture, and how many: the place and some land around."""
    first, last = int(np.floor(least)) - _MARGIN, int(np.ceil(greatest)) + _MARGIN
    if last - first < _LEAST_SIDE:
        first = (first + last) // 2 - _LEAST_SIDE // 2
        last = first + _LEAST_SIDE
    return first, last - first


def made_from(run: FinishedRun) -> str:
    """Fingerprint of what a comparison is made from: the list of label errors, the run's figures, the crosswalk."""
    legend = run.plan.legend
    codes = [[c.value, c.name, sorted(c.accepted_codes)] for c in legend.classes]
    files = [run.folder / name for name in (layout.LABEL_ERRORS, layout.ACCURACY)]
    return fingerprint([codes, [fingerprint_of(path) if path.exists() else None for path in files]])


def comparison_of(run: FinishedRun) -> dict[str, Any] | None:
    """The figures of a comparison that was made of this run as it is; None without one, or where it is older."""
    figures = read_record(run.folder / layout.COMPARISON)
    fresh = (
        bool(figures) and figures.get("made_from") == made_from(run) and (run.folder / layout.COMPARISON_PAGE).exists()
    )
    return figures if fresh else None
