"""What the server answers beside tiles and dossiers: points, outlines, areas within polygons, and clips."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response

from landweave.errors import InputError
from landweave.runs.results.layers import Layers
from landweave.runs.results.run import FinishedRun
from landweave.viewer.ground.areas import MOST_BYTES, Areas, Asked
from landweave.viewer.ground.outlines import Outlines
from landweave.viewer.ground.places import RunPlaces, bounds_of
from landweave.viewer.guard import Door, bare

_BOUNDS = Door(query=rb"bounds=-?[\d.]+(,-?[\d.]+){3}")
_POLYGON = Door(query=rb"", most=MOST_BYTES)

DOORS = {"/points": _BOUNDS, "/samples": _BOUNDS, "/areas": _POLYGON, "/clip": _POLYGON}

_FRESH = {"Cache-Control": "no-store"}

Worked = Callable[[Callable[[], Any], str], Awaitable[Any]]
"""Does work in a thread, in a queue; an answer instead where the queue is full."""


@dataclass(frozen=True, kw_only=True)
class OnTheMap:
    """What of a run lies on the map beside its layers; made by :func:`ground_of`."""

    places: RunPlaces
    outlines: Outlines
    areas: Areas


def ground_of(run: FinishedRun, layers: Layers) -> OnTheMap:
    """The same for a run; nothing is read yet."""
    outlines = Outlines(run=run)
    return OnTheMap(
        places=RunPlaces(run=run), outlines=outlines, areas=Areas(run=run, files=layers.files, outlines=outlines)
    )


def add_routes(app: FastAPI, ground: Callable[[], OnTheMap], worked: Worked) -> None:
    """Add them to the application.

    Parameters
    ----------
    app
        The application.
    ground
        Gives what is shown at the moment.
    worked
        Does work in a thread.
    """
    get = partial(app.api_route, methods=["GET", "HEAD"])

    async def answered(work: Callable[[], Any], queue: str) -> Any:
        try:
            return await worked(work, queue)
        except InputError as error:
            return JSONResponse({"detail": bare(str(error))}, 400)

    async def marked(kind: str, bounds: str) -> Response:
        try:
            box = bounds_of(bounds)
        except KeyError:
            return JSONResponse({"detail": "four numbers are expected: west, south, east, north"}, 400)

        def found() -> dict[str, Any] | None:
            points = ground().places.of(kind)
            return None if points is None else points.within(box)

        told = await answered(found, "tiles")
        if told is None:
            return JSONResponse({"detail": f"this run has no {kind}"}, 404)
        return told if isinstance(told, Response) else JSONResponse(told, headers=_FRESH)

    @get("/points")
    async def points(bounds: str) -> Response:
        return await marked("points", bounds)

    @get("/samples")
    async def samples(bounds: str) -> Response:
        return await marked("samples", bounds)

    async def outline(make: Callable[[], Any]) -> Response:
        told = await answered(lambda: json.dumps(make()).encode(), "tiles")
        return told if isinstance(told, Response) else Response(told, media_type="application/json", headers=_FRESH)

    @get("/outline.json")
    async def area() -> Response:
        return await outline(lambda: ground().outlines.area)

    @get("/districts.json")
    async def districts() -> Response:
        return await outline(lambda: ground().outlines.districts)

    @get("/overlay/{number}")
    async def overlay(number: int) -> Response:
        return await outline(lambda: ground().outlines.overlay(number))

    @app.post("/areas")
    async def areas(asked: Asked) -> Response:
        told = await answered(lambda: ground().areas.within(asked), "polygons")
        return told if isinstance(told, Response) else JSONResponse(told, headers=_FRESH)

    @app.post("/clip")
    async def clip(asked: Asked) -> Response:
        made = await answered(lambda: ground().areas.clip(asked), "polygons")
        if isinstance(made, Response):
            return made
        named = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(made.name)}", **_FRESH}
        return Response(made.content, media_type=made.media_type, headers=named)
