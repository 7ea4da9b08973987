"""The server of ``landweave view``: the built page, tiles, dossiers, and nothing else.

It binds to 127.0.0.1 unless asked, answers only to the host names that it was given, so that no other site can reach it
through a renamed host, and shows what tables made at its start hold: requests choose among their rows.
"""

import asyncio
import errno
import hashlib
import ipaddress
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse, Response
from starlette.types import ASGIApp

from landweave.engine.machine import usable_cores
from landweave.engine.memory import share_one_heap
from landweave.errors import InputError
from landweave.runs import layout
from landweave.runs.results.layers import make_layers
from landweave.runs.results.pixel import pixel_dossier
from landweave.runs.results.record import read_record
from landweave.runs.results.run import FinishedRun, check_same_project, open_run
from landweave.viewer.connections import configured, connections_borne, workers
from landweave.viewer.description import describe, page_files, patches
from landweave.viewer.ground import routes
from landweave.viewer.guard import LOCAL, REPORT_POLICY, Door, Guard
from landweave.viewer.tiles import MapTile, Tiles, parse_day
from landweave.viewer.verdicts.routes import DOORS as VERDICT_DOORS
from landweave.viewer.verdicts.routes import Judging, judged

WAITING = 256
"""Tiles, and as many dossiers, that may wait for a core; further ones are told to come again."""

WATCHED = (layout.RECORD, layout.MAP, layout.CONFIDENCE, layout.REPORT, layout.COMPARISON)
"""Files of a run by which it is seen that it has changed."""

LOOK = 1.0
"""Seconds between two looks at them."""

VERSION = "Landweave-Version"
"""Header of a tile: of which version of the run it is."""

DOORS = {"/pixel": Door(query=rb"(lon=[-+.\deE]+&lat=[-+.\deE]+)?"), **routes.DOORS}
"""Paths that take more than the version of a run, or more than GET."""

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
}
_FOREVER = "private, max-age=31536000, immutable"


@dataclass(frozen=True, kw_only=True)
class View:
    """A run as it is shown; made by :func:`open_view`."""

    run: FinishedRun
    tiles: Tiles
    description: Mapping[str, Any]
    patches: Mapping[str, Any]
    ground: routes.OnTheMap
    stamp: tuple[Any, ...] = ()
    """Sizes and times of the run's files when they were opened, by :func:`stamp_of`."""
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def dossier(self, lon: float, lat: float) -> dict[str, Any]:
        """As :func:`landweave.runs.results.pixel.pixel_dossier`, one at a time: compiled kernels share their room."""
        with self._lock:
            return pixel_dossier(self.run, lon, lat)


def open_view(project: str | Path, *, allow_code: bool = False) -> View:
    """Open a project's outputs, and make the maps that are missing for a view of it.

    ``allow_code`` as for :func:`landweave.read_project`.

    Raises
    ------
    InputError
        When the project has no map yet, or is no longer that of its run.
    """
    run = open_run(project, allow_code=allow_code)
    check_same_project(run)
    return view_of(run)


def view_of(run: FinishedRun) -> View:
    """The same for a run that is open already."""
    stamp = stamp_of(run.folder)
    told = read_record(run.folder / layout.RECORD).get("patches", {})
    # Read once: a country's record is large, and every patch is asked for its share.
    run = replace(run, fractions={name: seen.get("valid_fraction", []) for name, seen in told.items()})
    layers = make_layers(run)
    tiles = Tiles(run=run, files=layers.files)
    ground = routes.ground_of(run, layers)
    described = describe(run, layers, tiles, ground)
    return View(run=run, tiles=tiles, description=described, patches=patches(run), ground=ground, stamp=stamp)


def stamp_of(folder: Path) -> tuple[Any, ...]:
    """What changes when a run, or a comparison, has written again: size and time of the files that it writes last."""
    found: list[tuple[str, int, int]] = []
    for name in WATCHED:
        with suppress(OSError):
            state = (folder / name).stat()
            found.append((name, state.st_size, state.st_mtime_ns))
    return tuple(found)


class _Showing:
    """The view that is shown, looked at again when its files have changed."""

    def __init__(self, view: View, pool: Executor) -> None:
        self._turn, self._pool = asyncio.Lock(), pool
        self._seen, self._looked = view.stamp, 0.0
        self._take(view)

    def _take(self, view: View) -> None:
        self.view, self._seen = view, view.stamp
        self.described, self.grid = (json.dumps(told).encode() for told in (view.description, view.patches))

    def changed(self, *, now: bool = False) -> bool:
        """Whether there is something new on disk; files are asked once a second, or ``now``."""
        if now or time.monotonic() - self._looked >= LOOK:
            self._looked = time.monotonic()
            stamp = stamp_of(self.view.run.folder)
            if stamp != self._seen:
                self._seen = stamp
                self.view.tiles.forget()
        return self._seen != self.view.stamp

    async def renew(self) -> None:
        """Open the run again if it has changed; InputError where it cannot be shown as it stands."""
        async with self._turn:
            if self.changed(now=True):
                project = self.view.run.plan.project
                work = partial(open_view, project.file, allow_code=project.allow_code)
                self._take(await asyncio.get_running_loop().run_in_executor(self._pool, work))

    def headers(self, version: str | None) -> dict[str, str]:
        """Of a tile that was asked for as one of a version: kept for ever only if it is what is shown now."""
        now = "changed" if self.changed() else str(self.view.description["version"])
        return {"Cache-Control": _FOREVER if version == now else "no-store", VERSION: now}


def make_app(view: View, *, hosts: Sequence[str] = LOCAL, judging: Judging | None = None) -> ASGIApp:
    """The application (ASGI) for a view.

    Parameters
    ----------
    view
        From :func:`open_view`.
    hosts
        Host names, without port, to which it answers.
    judging
        Verdicts that are asked for; None shows the run only.
    """
    app = FastAPI(title="landweave view", docs_url=None, redoc_url=None, openapi_url=None)
    get = partial(app.api_route, methods=["GET", "HEAD"])
    page = {name: path.read_bytes() for name, path in page_files().items()}
    pool = workers()
    showing = _Showing(view, pool)
    waiting = {"tiles": 0, "dossiers": 0, "polygons": 0}
    one = {queue: asyncio.Lock() for queue in waiting if queue != "tiles"}

    async def worked(work: Callable[[], Any], queue: str) -> Any:
        """Work in a thread, as many at a time as there are cores; a crowd is sent away."""
        if waiting[queue] >= WAITING:
            return JSONResponse({"detail": "busy; come again"}, 503, {"Retry-After": "1"})
        waiting[queue] += 1
        try:
            # Dossiers are made one at a time, as are polygons: who waits for another must not hold a core meanwhile.
            async with one.get(queue, nullcontext()):
                return await asyncio.get_running_loop().run_in_executor(pool, work)
        finally:
            waiting[queue] -= 1

    async def tile(make: Callable[[Tiles], MapTile | None], version: str | None) -> Response:
        headers = showing.headers(version)
        try:
            made = await worked(lambda: make(showing.view.tiles), "tiles")
        except KeyError:
            return JSONResponse({"detail": "no such tile"}, 404)
        if isinstance(made, Response):
            return made
        if made is None:
            return Response(status_code=204, headers=headers)
        return Response(made.content, media_type=made.media_type, headers=headers)

    @get("/")
    async def index() -> Response:
        return _page("index.html", page)

    @get("/page/{name}")
    async def asset(name: str) -> Response:
        return _page(name, page)

    @get("/view.json")
    async def description() -> Response:
        try:
            await showing.renew()
        except InputError as error:
            logging.getLogger("uvicorn.error").warning("%s", error)
            return JSONResponse({"detail": "The run cannot be shown as it stands now; the terminal says why."}, 409)
        return Response(showing.described, media_type="application/json", headers={"Cache-Control": "no-store"})

    @get("/alive")
    async def alive() -> Response:
        return JSONResponse({"version": showing.headers(None)[VERSION]}, headers={"Cache-Control": "no-store"})

    @get("/patches.json")
    async def patch_grid() -> Response:
        return Response(showing.grid, media_type="application/json", headers={"Cache-Control": "no-store"})

    @get("/tiles/{layer}/{z}/{x}/{y}")
    async def value_tile(layer: str, z: int, x: int, y: int, v: str | None = None) -> Response:
        return await tile(lambda tiles: tiles.values(layer, z, x, y), v)

    @get("/tiles/{layer}/{date}/{z}/{x}/{y}")
    async def dated_tile(layer: str, date: str, z: int, x: int, y: int, v: str | None = None) -> Response:
        return await tile(lambda tiles: tiles.image(layer, parse_day(date), z, x, y), v)

    @get("/pixel")
    async def pixel(
        lon: Annotated[float, Query(ge=-180, le=180)], lat: Annotated[float, Query(ge=-90, le=90)]
    ) -> Response:
        try:
            found = await worked(lambda: showing.view.dossier(lon, lat), "dossiers")
        except InputError as error:
            return JSONResponse({"detail": str(error)}, 404)
        headers = {"Cache-Control": "no-store"}
        return found if isinstance(found, Response) else JSONResponse(found, headers=headers)

    routes.add_routes(app, lambda: showing.view.ground, worked)

    async def document(name: str) -> Response:
        path = showing.view.run.folder / name
        if not path.exists():
            return JSONResponse({"detail": f"this run has no {name}"}, 404)
        content = await asyncio.get_running_loop().run_in_executor(pool, path.read_bytes)
        headers = {"Content-Security-Policy": REPORT_POLICY, "Cache-Control": "no-store"}
        return Response(content, media_type="text/html; charset=utf-8", headers=headers)

    @get("/report")
    async def report() -> Response:
        return await document(layout.REPORT)

    @get("/compare")
    async def comparison() -> Response:
        return await document(layout.COMPARISON_PAGE)

    @app.exception_handler(Exception)
    async def fault(_: Request, error: Exception) -> Response:
        # Neither a path nor a trace goes out; the terminal shows them.
        del error
        return JSONResponse({"detail": "this could not be made; the terminal says why"}, 500)

    # Around everything, so that answers to faults carry the headers too.
    names = tuple(host.lower() for host in hosts)
    inner: ASGIApp = app
    doors = DOORS
    if judging is not None:
        inner = judged(app, judging, view.run.plan.legend, images=view.tiles.image_zooms)
        doors = {**DOORS, **VERDICT_DOORS}
    return Guard(inner, hosts=names, doors=doors, elsewhere=lambda: showing.view.ground.outlines.hosts)


def serve(
    view: View,
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    names: Sequence[str] = (),
    judging: Judging | None = None,
) -> None:
    """Serve a view until interrupted.

    Parameters
    ----------
    view
        From :func:`open_view`.
    host
        Address to bind to. Any other than a loopback address shows the project to others.
    port
        Port; 0 takes any free one.
    names
        Host names, beside ``host`` and those of this machine's loopback, by which browsers may ask.
    judging
        As of :func:`make_app`.

    Raises
    ------
    InputError
        When the address cannot be bound.
    """
    import socket

    import uvicorn

    share_one_heap()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    door = socket.socket(family, socket.SOCK_STREAM)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind((host, port))
    except OSError as error:
        door.close()
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise InputError(
                f"--host {host}: not an address of this machine ({error.strerror}); give one, such as 127.0.0.1."
            ) from None
        raise InputError(f"{host}:{port} cannot be used ({error.strerror}); choose another with --port.") from None
    except (OverflowError, UnicodeError) as error:
        door.close()
        raise InputError(f"--host {host} --port {port} cannot be used: {error}.") from None
    shown = f"[{host}]" if ":" in host else host
    # The wildcard address is no name that a browser asks by.
    own = () if _is_wildcard(host) else (shown,)
    app = make_app(view, hosts=(*LOCAL, *own, *names), judging=judging)
    token = "" if judging is None or judging.token is None else f"?token={judging.token}"
    print("\n".join(_addresses(host, door.getsockname()[1], names, token)), flush=True)  # noqa: T201 - a command prints
    settings = configured(app, most=connections_borne(usable_cores()))
    with suppress(KeyboardInterrupt):
        uvicorn.Server(settings).run(sockets=[door])


def _addresses(host: str, port: int, names: Sequence[str], token: str = "") -> list[str]:
    """What is told of where the view is to be found: addresses that are answered, and who may ask beside."""
    if not _is_wildcard(host):
        return [f"http://{f'[{host}]' if ':' in host else host}:{port}/{token}  (Ctrl-C ends it)"]
    here = "[::1]" if ":" in host else "127.0.0.1"
    others = ", ".join(f"http://{name}:{port}/{token}" for name in names) or "none was given"
    # A full stop would be copied with the token.
    return [
        f"http://{here}:{port}/{token}  (Ctrl-C ends it)",
        f"Others may ask only by names given with --allow-host: {others}{'' if token else '.'}",
    ]


def _is_wildcard(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_unspecified
    return False


def _page(name: str, page: Mapping[str, bytes]) -> Response:
    content = page.get(name)
    if content is None:
        return JSONResponse({"detail": "no such page"}, 404)
    kind = _TYPES.get(Path(name).suffix, "text/plain; charset=utf-8")
    tag = hashlib.sha256(content).hexdigest()[:16]
    return Response(content, media_type=kind, headers={"Cache-Control": "no-cache", "ETag": f'"{tag}"'})
