"""A run as a folder for any web server: the page of the view, tiles, report and downloads; nothing computes there."""

import html
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import escape
from rio_tiler.utils import render

from landweave.engine.machine import usable_cores
from landweave.errors import InputError
from landweave.patch.store import sweep, write_json, write_whole
from landweave.runs import layout
from landweave.runs.pipeline.status import refuse_stale
from landweave.runs.results.layers import make_layers
from landweave.runs.results.record import read_record
from landweave.runs.results.run import FinishedRun, check_same_project, open_run
from landweave.viewer.description import describe, page_files, patches
from landweave.viewer.ground.routes import OnTheMap, ground_of
from landweave.viewer.guard import bare, with_pictures_of
from landweave.viewer.mercator import SIDE, tiles_over
from landweave.viewer.tiles import MapTile, Tiles, parse_day

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)

DOWNLOADS = (layout.MAP, layout.MAP_NAMES, layout.MAP_STYLE, layout.MAP_ITEM, layout.CONFIDENCE, layout.ACCURACY)
"""The register's own polygons, as in ``compare.gpkg`` and ``label_errors.gpkg``, may not be ours to give."""

WORLD_BOUNDS = (-180.0, -90.0, 180.0, 90.0)

MARK = "published.txt"
"""Stands in every published folder: only such a one is ever replaced."""

_AHEAD = 64


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What is asked of :func:`publish`."""

    tiles: str = "pmtiles"
    """``pmtiles``: a file a layer, for servers that send parts of files; ``folder``: a file a tile, for the others."""
    images: int = 4
    """So many dates, the clearest, are shown in true colour."""
    attribution: str | None = None
    """Whose data and work it is."""
    licence: str | None = None
    """Under which terms it may be used."""


def publish(
    project: str | Path,
    folder: str | Path,
    request: Publication | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    allow_code: bool = False,
) -> Path:
    """Write a run as a static page, whole or not at all.

    Parameters
    ----------
    project
        Project file, or its folder.
    folder
        Where; a folder that was published before is replaced, any other that holds something is refused.
    request
        What goes along.
    progress
        Called with tiles done and in all.
    allow_code
        As for :func:`landweave.read_project`.

    Returns
    -------
    pathlib.Path
        The folder's ``index.html``.

    Raises
    ------
    InputError
        When there is no map yet, when the project or what it reads has changed since the run, or when the folder is
        somebody's.
    """
    request, folder = request or Publication(), Path(folder).resolve()
    if request.tiles not in {"pmtiles", "folder"}:
        raise InputError(f"--tiles {request.tiles}: choose pmtiles or folder.")
    if folder == Path.cwd():
        raise InputError(f"{folder}: the current folder cannot be replaced; name a folder inside it.")
    if folder.exists() and not (folder / MARK).exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: contains files that landweave did not publish; give a new or empty folder.")
    run = open_run(project, allow_code=allow_code)
    check_same_project(run)
    if (run.folder / layout.MAP).exists():
        refuse_stale(run, with_holes=True)
    layers = make_layers(run)
    tiles = Tiles(run=run, files=layers.files, pictures="WEBP")
    ground = ground_of(run, layers)
    told = _static(describe(run, layers, tiles, ground), request, files=_published(ground))

    def write(part: Path) -> None:
        (part / "tiles").mkdir(parents=True)
        (part / "data").mkdir()
        told["downloads"] = list(_downloads(run.folder, part / "data"))
        _write_page(part, str(told["name"]), ground.outlines.hosts)
        for name, there in {layout.REPORT: told["report"], layout.COMPARISON_PAGE: told["comparison"]}.items():
            if there:
                (part / name).write_text(_public(run, run.folder / name), encoding="utf-8")
        _write_tiles(tiles, told, part / "tiles", request.tiles, progress)
        write_json(part / "view.json", told, indent=None, allow_nan=True)
        write_json(part / "patches.json", patches(run), indent=None, allow_nan=True)
        for kind, content in _beside(ground):
            (part / kind).parent.mkdir(exist_ok=True)
            write_json(part / f"{kind}.json", content, indent=None)
        (part / MARK).write_text(
            "Published by landweave; it may be replaced by `landweave publish`.\n", encoding="utf-8"
        )

    sweep(folder.parent, folder.stem)
    write_whole(folder, write)
    return folder / "index.html"


def _beside(ground: OnTheMap) -> Iterator[tuple[str, dict[str, Any]]]:
    """What lies on the map beside its layers, by the name of its file."""
    for kind in ("points", "samples"):
        points = ground.places.of(kind)
        if points is not None:
            yield kind, points.within(WORLD_BOUNDS)
    for number in _published(ground):
        yield f"overlay/{number}", ground.outlines.overlay(number)
    yield "outline", ground.outlines.area
    if ground.outlines.district_names:
        yield "districts", ground.outlines.districts


def _public(run: FinishedRun, page: Path) -> str:
    """A page without the paths of this machine."""
    text = page.read_text(encoding="utf-8")
    for failure in read_record(run.folder / layout.RECORD).get("failures", []):
        for part in (str(failure["error"]), str(failure.get("log", ""))):
            text = text.replace(str(escape(part)), str(escape(bare(part)))) if part else text
    for place in (run.folder, run.plan.project.file.parent.resolve()):
        text = text.replace(f"{place}/", "")
    return text


def _published(ground: OnTheMap) -> list[int]:
    """Numbers of the overlays whose files may be given to everybody: only the user can know."""
    overlays = ground.outlines.run.plan.project.view.overlays
    return [number for number, overlay in enumerate(overlays) if overlay.path and overlay.publish]


def _static(described: Mapping[str, Any], request: Publication, *, files: Sequence[int]) -> dict[str, Any]:
    """The description of a published page: what stands in the folder, and nothing that asks a server."""
    clearest = sorted(described["dates"], key=lambda day: (-(day["valid"] or 0), day["date"]))[: request.images]
    dates = sorted(clearest, key=lambda day: str(day["date"]))
    shown = []
    for layer in described["layers"]:
        if layer.get("dated") and (layer["id"] != "true-colour" or not dates):
            continue
        # Nearer than this the page enlarges a tile.
        greatest = described["natural_zoom"]
        suffix = "webp" if layer["kind"] == "picture" else "png"
        least = min(layer["min_zoom"], greatest)
        archive = request.tiles == "pmtiles"
        shown.append({**layer, "min_zoom": least, "max_zoom": greatest, "archive": archive, "suffix": suffix})
    return {
        **described, "mode": "static", "layers": shown, "dates": dates, "dossier": False, "areas": False,
        # The project's own files may not be ours to give.
        "overlays": [o for o in described["overlays"] if o["type"] != "file" or o["id"] in files],
        "attribution": request.attribution or "Whose data this is was not stated.",
        "licence": request.licence or "Under which licence it may be used was not stated.",
    }  # fmt: skip


def _write_tiles(
    tiles: Tiles, told: Mapping[str, Any], folder: Path, form: str, progress: Callable[[int, int], None] | None
) -> None:
    jobs = []
    for layer in told["layers"]:
        for day in told["dates"] if layer.get("dated") else [None]:
            places = list(tiles_over(tiles.bounds, layer["min_zoom"], layer["max_zoom"]))
            jobs.append((layer, day["date"] if day else None, places))
    done, total = 0, sum(len(places) for _, _, places in jobs)
    for layer, day, places in jobs:
        made = _made(tiles, layer["id"], day, places)
        key = layer["id"] if day is None else f"{layer['id']}/{day}"
        if form == "folder":
            _write_files(folder / key, layer["suffix"], made)
        else:
            _write_archive(folder / f"{key.replace('/', '-')}.pmtiles", layer, tiles.bounds, made)
        done += len(places)
        if progress is not None:
            progress(done, total)


def _made(
    tiles: Tiles, layer: str, day: str | None, places: Sequence[tuple[int, int, int]]
) -> Iterator[tuple[tuple[int, int, int], MapTile | None]]:
    """Tiles in the order of their places, made by as many threads as there are cores, a few ahead."""

    def one(place: tuple[int, int, int]) -> MapTile | None:
        return tiles.values(layer, *place) if day is None else tiles.image(layer, parse_day(day), *place)

    with ThreadPoolExecutor(usable_cores()) as pool:
        for first in range(0, len(places), _AHEAD):
            some = places[first : first + _AHEAD]
            yield from zip(some, pool.map(one, some), strict=True)


def _write_archive(
    path: Path,
    layer: Mapping[str, Any],
    bounds: tuple[float, float, float, float],
    made: Iterator[tuple[tuple[int, int, int], MapTile | None]],
) -> None:
    from pmtiles.tile import Compression, TileType, zxy_to_tileid
    from pmtiles.writer import Writer

    west, south, east, north = (round(degrees * 1e7) for degrees in bounds)
    header = {
        "tile_type": TileType.WEBP if layer["suffix"] == "webp" else TileType.PNG,
        "tile_compression": Compression.NONE, "min_lon_e7": west, "min_lat_e7": south, "max_lon_e7": east,
        "max_lat_e7": north, "center_zoom": layer["min_zoom"], "center_lon_e7": (west + east) // 2,
        "center_lat_e7": (south + north) // 2,
    }  # fmt: skip
    with path.open("wb") as file:
        writer, empty = Writer(file), True
        for place, tile in made:
            if tile is not None:
                writer.write_tile(zxy_to_tileid(*place), tile.content)
                empty = False
        if empty:
            # An archive must hold a tile; a blank one shows as much as none.
            writer.write_tile(zxy_to_tileid(layer["min_zoom"], 0, 0), _blank(layer["suffix"]))
        writer.finalize(header, {"name": layer["title"]})


def _write_files(folder: Path, suffix: str, made: Iterator[tuple[tuple[int, int, int], MapTile | None]]) -> None:
    blank = _blank(suffix)
    for (z, x, y), tile in made:
        path = folder / str(z) / str(x) / f"{y}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        # A tile that is not there would be an error in every visitor's browser.
        path.write_bytes(blank if tile is None else tile.content)


def _blank(suffix: str) -> bytes:
    nothing = np.zeros((SIDE, SIDE), "uint8")
    if suffix == "png":
        return bytes(render(nothing[None], img_format="PNG"))
    return bytes(render(np.zeros((3, SIDE, SIDE), "uint8"), mask=nothing, img_format="WEBP"))


def _downloads(source: Path, target: Path) -> Iterator[dict[str, str]]:
    for name in DOWNLOADS:
        path = source / name
        if path.exists():
            shutil.copyfile(path, target / name)
            yield {"name": name, "href": f"data/{name}", "size": _size(path.stat().st_size)}


def _write_page(folder: Path, name: str, hosts: Sequence[str]) -> None:
    (folder / "page").mkdir()
    for file, path in page_files().items():
        if file != "index.html":
            shutil.copyfile(path, folder / "page" / file)
    text = page_files()["index.html"].read_text(encoding="utf-8")
    charset = '<meta charset="utf-8">'
    policy = f'{charset}\n<meta http-equiv="Content-Security-Policy" content="{with_pictures_of(POLICY, hosts)}">'
    text = text.replace(charset, policy).replace("<title>landweave</title>", f"<title>{html.escape(name)}</title>")
    (folder / "index.html").write_text(text, encoding="utf-8")


def _size(count: int) -> str:
    value, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}"
