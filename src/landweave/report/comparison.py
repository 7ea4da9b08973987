"""What the page of a comparison shows; `templates/comparison.html.j2` is the page, with its list of places."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import numpy as np

from landweave.report.drawing.images import data_uri, paint
from landweave.report.jinja import page_template


@dataclass(frozen=True, kw_only=True)
class PicturedPlace:
    """A place to look at."""

    row: Mapping[str, Any]
    """Its entry in the list: ``rank``, classes, hectares, ``evidence``, ``lon``, ``lat``."""
    day: str
    """Date of the image."""
    pictures: Mapping[str, np.ndarray]
    """``image`` uint8 (y, x, 3), ``register`` and ``map`` class values uint8 (y, x)."""
    outline: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), bool))
    """Where its outline runs, bool (y, x)."""


def render_comparison(
    figures: Mapping[str, Any],
    *,
    colors: Mapping[str, str],
    palette: Mapping[int, str],
    places: Sequence[PicturedPlace],
) -> str:
    """The page as one self-contained HTML file; its links lead into the view that it is opened from.

    Parameters
    ----------
    figures
        As :func:`landweave.runs.results.compare.compare` gives them. All text of theirs is escaped.
    colors, palette
        Class name, and class value, to ``#rrggbb``.
    places
        Those with pictures, in order.
    """
    shown = [
        {
            "row": place.row,
            "link": _link(place),
            "pictures": {name: _picture(place, picture, palette) for name, picture in place.pictures.items()},
            "day": place.day,
        }
        for place in places
    ]
    return page_template("comparison.html.j2").render(figures=figures, colors=colors, places=shown, spare="#999999")


def _link(place: PicturedPlace) -> str:
    lon, lat = place.row["lon"], place.row["lat"]
    told = {"view": "panels", "z": "15.5", "lon": lon, "lat": lat, "pixel": f"{lon},{lat}"}
    if place.day:
        told["date"] = place.day
    return f"./#{urlencode(told, safe=',')}"


def _picture(place: PicturedPlace, picture: np.ndarray, palette: Mapping[int, str]) -> str:
    photo = picture.ndim == 3
    shown = picture.copy() if photo else paint(picture, palette)
    # Black and white in turn, so that it shows on any ground.
    rows, columns = np.nonzero(place.outline)
    shown[rows, columns] = np.where(((rows + columns) // 3 % 2 == 0)[:, None], 0, 255).astype("uint8")
    return data_uri(shown, photo=photo)
