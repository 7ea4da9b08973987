"""What an interpreter of a sample may see before the verdict: images and series, and nothing of map or register."""

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_OPEN = re.compile(r"/|/page/[\w.-]+|/view\.json|/patches\.json|/pixel|/alive|/verdicts(/[\w]+)*")
"""Paths that are answered; whatever else the server learns to answer stays closed."""

_TILE = re.compile(r"/tiles/([\w-]+)/\d{4}[^/]*/\d+/\d+/\d+")
"""A tile of an image of a date."""

_KEPT = (
    "name", "mode", "version", "bounds", "area", "period", "pixel_metres", "natural_zoom", "dates", "places", "dossier",
    "verdicts", "crs",
)  # fmt: skip


Part = Callable[[Mapping[str, Any]], dict[str, Any]]


class Blind:
    """Around an application (ASGI): lets through what shows neither map nor register.

    Parameters
    ----------
    app
        The view's application.
    images
        Names of the layers that are images of a date.
    """

    def __init__(self, app: ASGIApp, *, images: Collection[str]) -> None:
        self.app, self._images = Rewritten(app, {"/view.json": blind_description, "/pixel": blind_dossier}), images

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse."""
        path = scope.get("path", "/")
        tile = _TILE.fullmatch(path)
        if scope["type"] == "http" and not (tile and tile[1] in self._images) and not _OPEN.fullmatch(path):
            refusal = JSONResponse({"detail": "not shown while a sample is labelled; see --show-map"}, 404)
            await refusal(scope, receive, send)
            return
        await self.app(scope, receive, send)


class Rewritten:
    """Around an application (ASGI): answers of JSON with other content.

    Parameters
    ----------
    app
        The application.
    parts
        By path, what is made of its answer.
    """

    def __init__(self, app: ASGIApp, parts: Mapping[str, Part]) -> None:
        self.app, self._parts = app, parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        part = self._parts.get(scope.get("path", "/"))
        await self.app(scope, receive, send if part is None else _Collected(send, part))


class _Collected:
    """Collects an answer, and sends what is made of it."""

    def __init__(self, send: Send, part: Part) -> None:
        self._send, self._part = send, part
        self._start: Message = {}
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if message.get("more_body"):
            return
        if self._start["status"] == 200 and self._body:
            self._body = json.dumps(self._part(json.loads(self._body))).encode()
        headers = [(key, value) for key, value in self._start["headers"] if key.lower() != b"content-length"]
        size = (b"content-length", str(len(self._body)).encode())
        await self._send({**self._start, "headers": [*headers, size]})
        await self._send({"type": "http.response.body", "body": self._body})


def blind_description(told: Mapping[str, Any]) -> dict[str, Any]:
    """The description of a run without what comes from map or register; unknown parts are emptied."""
    legend = [
        {"value": entry["value"], "name": entry["name"], "color": entry["color"], "pixels": 0, "area_ha": 0.0,
         "estimate": None}
        for entry in told["legend"]
    ]  # fmt: skip
    layers = [layer for layer in told["layers"] if layer.get("dated")]
    kept = {key: value if key in _KEPT else _emptied(value) for key, value in told.items()}
    return {**kept, "layers": layers, "legend": legend}


def blind_dossier(told: Mapping[str, Any]) -> dict[str, Any]:
    """What was seen of a pixel, without what was made of it or what it is called."""
    patch = {key: told["patch"][key] for key in ("name", "row", "column")}
    nothing = dict.fromkeys(("probabilities", "prediction", "out_of_fold", "reference"))
    kept = {key: told[key] for key in ("project", "place", "observations", "curve")}
    return {**kept, **nothing, "patch": {**patch, "record": {"seen": {}, "failures": []}}, "blind": True}


def _emptied(value: Any) -> Any:
    return type(value)() if isinstance(value, bool | int | float | str | list | dict) else None
