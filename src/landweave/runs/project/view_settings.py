"""``[view]`` and ``[[places]]`` of the project file: what the browser view shows beside the project's own maps."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from landweave.runs.project.source_settings import Settings


class PlaceSettings(Settings):
    """A named place."""

    name: str
    lon: float = Field(ge=-180, le=180)
    lat: float = Field(ge=-90, le=90)


class OverlaySettings(Settings):
    """Something to draw over the maps: a vector file of the project, or tiles or a WMS from elsewhere."""

    name: str = Field(min_length=1, max_length=100)
    path: str | None = None
    """A vector file."""
    layer: str | None = None
    """Layer of a file that has several."""
    url: str | None = None
    """Address of tiles with {z}, {x} and {y}, or of a WMS."""
    type: Literal["xyz", "wms"] = "xyz"
    layers: str | None = None
    """Of a WMS: names of its layers, separated by commas."""
    attribution: str = Field("", max_length=300)
    """Whose it is; tiles of others usually ask for that."""
    publish: bool = False
    """Whether a published page holds a copy of the file, which everybody can then load."""

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        if (self.path is None) == (self.url is None):
            raise ValueError(f"overlay {self.name!r}: give either path (a file) or url (tiles or a WMS)")
        if self.url is None:
            return self
        if self.publish:
            raise ValueError(f"overlay {self.name!r}: publish = true is for files; tiles are always on published pages")
        # The host goes into the page's security policy: nothing but a host may stand there.
        if not re.fullmatch(r"https?://(\{[a-z0-9]-[a-z0-9]\}\.)?[A-Za-z0-9.-]+(:\d{1,5})?/[^\s\"'<>\\]*", self.url):
            raise ValueError(f"overlay {self.name!r}: {self.url!r} is not an address that begins with http(s)://host/")
        if self.type == "xyz" and not all(part in self.url for part in ("{z}", "{x}", "{y}")):
            raise ValueError(f"overlay {self.name!r}: the url of tiles contains {{z}}, {{x}} and {{y}}")
        if self.type == "wms" and not self.layers:
            raise ValueError(f"overlay {self.name!r}: name the WMS's layers, such as layers = 'DOF'")
        return self

    @property
    def host(self) -> str | None:
        """Where it is loaded from, as security policies name it; None for a file.

        >>> OverlaySettings(name="a", url="https://{a-c}.tile.example.org/{z}/{x}/{y}.png").host
        'https://*.tile.example.org'
        """
        if self.url is None:
            return None
        parts = urlsplit(re.sub(r"//\{[a-z0-9]-[a-z0-9]\}\.", "//any.", self.url))
        some = "{" in self.url.split("/")[2]
        return f"{parts.scheme}://{'*.' + parts.netloc.removeprefix('any.') if some else parts.netloc}"


class ViewSettings(Settings):
    """The browser view."""

    overlays: tuple[OverlaySettings, ...] = Field((), max_length=50)
    """Off until they are switched on in the page."""


def check_overlays(settings: ViewSettings, path: Callable[[str], Path]) -> None:
    """Open the files of overlays; ``path`` gives the place of what the project file names.

    Raises
    ------
    InputError
        When one is missing or cannot be read as a vector file.
    """
    from landweave.patch.vectors.layers import open_layer

    for overlay in settings.overlays:
        if overlay.path is not None:
            open_layer(path(overlay.path), what=f"the overlay {overlay.name!r}", layer=overlay.layer)
