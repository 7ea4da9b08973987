"""What the page asks of the server where verdicts are given: the queue, outlines, verdicts and their undoing."""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from starlette.types import ASGIApp

from landweave.errors import InputError
from landweave.labels.verdicts.agreement import progress_of
from landweave.labels.verdicts.store import (
    IN_FILE,
    MOST_NAME,
    MOST_NOTE,
    SAMPLE,
    PlaceVerdict,
)
from landweave.legend import Legend
from landweave.runs.results.queue import Queue, QueuedPlace, open_queue, outline
from landweave.runs.results.run import FinishedRun
from landweave.viewer.guard import Door, bare
from landweave.viewer.verdicts.blind import Blind, Rewritten
from landweave.viewer.verdicts.token import QUERY, TokenGate, new_token, token_needed

DOORS = {
    "/": Door(query=QUERY),
    **{path: Door(most=32_768) for path in ("/verdicts", "/verdicts/queue", "/verdicts/undo")},
}
"""Paths that take a token, or that verdicts are sent to."""

MOST_WAITING = 64
"""Requests that may wait for the file of verdicts, which one at a time can use; others are asked to come again."""

TITLES = {
    "compare": "Places where register and map differ, as `landweave compare` ranked them",
    "label_errors": "Places where the reference is likely wrong",
    SAMPLE: "Units of a sample for accuracy and area",
}


@dataclass(frozen=True, kw_only=True)
class Judging:
    """Verdicts that are asked for in the view."""

    open: Callable[[], Queue]
    """Reads the queue, again where a run has changed it."""
    show_map: bool = False
    """Whether map and register are shown to the interpreter of a sample."""
    token: str | None = None
    """What whoever asks must bring; None where only this machine can ask."""
    queue: Queue
    places: dict[str, QueuedPlace] = field(default_factory=dict)
    """By name, also those that a later run no longer lists: a page may still show them."""

    @property
    def blind(self) -> bool:
        """Whether the interpreter must see nothing of map and register."""
        return self.queue.name == SAMPLE and not self.show_map

    @property
    def described(self) -> dict[str, Any]:
        """What the page is told before anybody has given a name."""
        return {"queue": self.queue.name, "title": TITLES[self.queue.name], "blind": self.blind}


def judging_of(open_it: Callable[[], Queue], *, show_map: bool = False, token: str | None = None) -> Judging:
    """Read the queue, and be ready for verdicts.

    Parameters
    ----------
    open_it
        Reads the queue, as :func:`landweave.runs.results.queue.open_queue` does.
    show_map, token
        As in :class:`Judging`.

    Raises
    ------
    InputError
        When there is no queue, or nothing in it.
    """
    queue = open_it()
    if not queue.places:
        raise InputError(f"{queue.file.path}: there is nothing to judge: the list of places is empty.")
    places = {place.id: place for place in queue.places}
    return Judging(open=open_it, show_map=show_map, token=token, queue=queue, places=places)


def judging_for(
    run: FinishedRun, which: str | None, *, file: Path | None, show_map: bool, host: str, names: Sequence[str]
) -> Judging | None:
    """What ``landweave view --verdicts`` asks for; None without it.

    Parameters
    ----------
    run
        The run that is shown.
    which, file
        As for :func:`landweave.runs.results.queue.open_queue`.
    show_map
        As in :class:`Judging`.
    host, names
        Where the view is served: others than this machine need a token.
    """
    if which is None:
        if file is not None or show_map:
            raise InputError("--verdicts-file and --show-map are for --verdicts; add --verdicts places or sample.")
        return None
    token = new_token() if token_needed(host, names) else None
    return judging_of(partial(open_queue, run, which, file=file), show_map=show_map, token=token)


def _cleaned(text: str) -> str:
    text = " ".join(text.split())
    if not text or text == IN_FILE or not text.isprintable():
        raise ValueError("give the name of the interpreter")
    return text


Interpreter = Annotated[str, Field(max_length=MOST_NAME), AfterValidator(_cleaned)]
Uid = Annotated[str, Field(pattern=r"^[0-9a-zA-Z-]{8,64}$")]


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid")
    interpreter: Interpreter


class _Asked(_Sent):
    """Who asks for the queue."""


class _Undone(_Sent):
    """Which verdict to take back."""

    uid: Uid


class _Given(_Sent):
    """A verdict as the page sends it."""

    uid: Uid
    place: Annotated[str, Field(max_length=64)]
    name: str | None = None
    alternate: str | None = None
    unsure: bool = False
    note: Annotated[str, Field(max_length=MOST_NOTE)] = ""

    @model_validator(mode="after")
    def _says_something(self) -> "_Given":
        if (self.name is None) != self.unsure:
            raise ValueError("a verdict names a class, or is unsure")
        if self.alternate is not None and self.alternate == self.name:
            raise ValueError("the alternate is another class")
        return self


def verdict_routes(judging: Judging, legend: Legend) -> APIRouter:
    """The addresses below ``/verdicts``.

    Parameters
    ----------
    judging
        From :func:`judging_of`.
    legend
        Its classes can be named.
    """
    router, known = APIRouter(), set(legend.names.values())
    # One at a time: SQLite would let them wait for each other all the same.
    hand = ThreadPoolExecutor(1, thread_name_prefix="verdicts")
    waiting = 0

    async def worked(work: Callable[[], dict[str, Any]]) -> Response:
        nonlocal waiting
        if waiting >= MOST_WAITING:
            detail = "too many requests wait for the file of verdicts; try again"
            return JSONResponse({"detail": detail}, 503, {"Cache-Control": "no-store", "Retry-After": "5"})
        waiting += 1
        try:
            told = await asyncio.get_running_loop().run_in_executor(hand, work)
        except InputError as error:
            logging.getLogger("uvicorn.error").warning("%s", error)
            return JSONResponse({"detail": bare(str(error))}, 503, {"Cache-Control": "no-store"})
        finally:
            waiting -= 1
        return JSONResponse(told, headers={"Cache-Control": "no-store"})

    @router.post("/verdicts/queue")
    async def queue(asked: _Asked) -> Response:
        return await worked(lambda: _queue(judging, asked.interpreter))

    @router.get("/verdicts/outline/{name}")
    async def shape(name: str) -> Response:
        place = judging.places.get(name)
        if place is None:
            return JSONResponse({"detail": "no such place"}, 404)
        return JSONResponse(outline(judging.queue, place), headers={"Cache-Control": "no-store"})

    @router.post("/verdicts")
    async def give(given: _Given) -> Response:
        place = judging.places.get(given.place)
        if place is None:
            return JSONResponse({"detail": "no such place"}, 404)
        strange = {given.name, given.alternate} - known - {None}
        if strange:
            return JSONResponse({"detail": "no such class"}, 400)
        verdict = PlaceVerdict(
            uid=given.uid, interpreter=given.interpreter, name=given.name, alternate=given.alternate,
            unsure=given.unsure, note=given.note.strip(), place=place.place,
        )  # fmt: skip

        def keep() -> dict[str, Any]:
            judging.queue.file.put(verdict)
            return {"saved": given.uid, "progress": _progress(judging, given.interpreter)}

        return await worked(keep)

    @router.post("/verdicts/undo")
    async def undo(undone: _Undone) -> Response:
        def take_back() -> dict[str, Any]:
            judging.queue.file.undo(undone.interpreter, undone.uid)
            return _queue(judging, undone.interpreter, again=False)

        return await worked(take_back)

    return router


def judged(app: FastAPI, judging: Judging, legend: Legend, *, images: Collection[str]) -> ASGIApp:
    """The view's application, with verdicts, without what is not to be seen, and behind its token.

    Parameters
    ----------
    app
        The application; it learns the addresses of :func:`verdict_routes`.
    judging, legend
        As of :func:`verdict_routes`.
    images
        Names of the layers that are images of a date.
    """
    app.include_router(verdict_routes(judging, legend))
    shown: ASGIApp = Blind(app, images=images) if judging.blind else app
    shown = Rewritten(shown, {"/view.json": lambda told: {**told, "verdicts": judging.described}})
    return shown if judging.token is None else TokenGate(shown, judging.token)


def _queue(judging: Judging, interpreter: str, *, again: bool = True) -> dict[str, Any]:
    """The places in order, the interpreter's own verdicts, and progress; nothing of what others say."""
    listed = {place.id: place for place in judging.open().places} if again else {}
    # In the order of the newest list; what it no longer has comes last, since an open page may still show it.
    places = {**listed, **{name: place for name, place in judging.places.items() if name not in listed}}
    judging.places.update(places)
    own = {v.place.key: v for v in judging.queue.file.current() if v.interpreter == interpreter}
    ids = {place.place.key: place.id for place in judging.places.values()}
    mine = {
        ids[key]: {"uid": v.uid, "name": v.name, "alternate": v.alternate, "unsure": v.unsure, "note": v.note}
        for key, v in own.items()
        if key in ids
    }
    told = {"places": [_told(judging, place) for place in places.values()]} if again else {}
    return {**judging.described, **told, "mine": mine, "progress": _progress(judging, interpreter)}


def _told(judging: Judging, place: QueuedPlace) -> dict[str, Any]:
    # The register's code and class are what a sample's interpreter must not see; a sample has none of them.
    shown = {} if judging.queue.name == SAMPLE else dict(place.place.told)
    return {"id": place.id, "lon": place.lon, "lat": place.lat, **shown}


def _progress(judging: Judging, interpreter: str) -> dict[str, Any]:
    by_key = {place.place.key: place.id for place in judging.places.values()}
    file = judging.queue.file
    now, first = ([row for row in rows if row[1] != IN_FILE] for rows in (file.rows(), file.first_rows()))
    found = progress_of(now, interpreter, by_key, first=first)
    return {**asdict(found), "of": len(by_key), "differ": [by_key[key] for key in found.differ]}
