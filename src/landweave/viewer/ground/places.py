"""Points that the page marks: those of the reference, and the pixels that a model learned from or was tested on."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox

from landweave.labels.on_grid import points_table
from landweave.patch.align import to_crs
from landweave.runs import layout
from landweave.runs.results.run import FinishedRun

MOST = 1500
"""Points of a role that are sent at a time; of more, every so-manieth."""

LEARNED, TESTED = 1, 2
"""Roles of samples; 0 for points of the reference."""

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class MarkedPoints:
    """Points with class and role, arrays (n,)."""

    lon: np.ndarray
    lat: np.ndarray
    value: np.ndarray
    """Class, uint8; 0 for a code that the legend does not know."""
    role: np.ndarray
    """uint8: 0, :data:`LEARNED` or :data:`TESTED`."""

    def within(self, bounds: Bounds, most: int = MOST) -> dict[str, Any]:
        """Those within west, south, east, north, degrees.

        Returns
        -------
        dict
            ``total``: how many there are; ``points``: longitude, latitude, class value and role of at most ``most``
            of each role, evenly thinned in their order.

        >>> one = np.ones(4)
        >>> some = MarkedPoints(lon=np.arange(4) + 0.5, lat=one, value=one.astype("uint8"), role=one.astype("uint8"))
        >>> some.within((0, 0, 3, 2), most=2)
        {'total': 3, 'points': [[0.5, 1.0, 1, 1], [2.5, 1.0, 1, 1]]}
        """
        west, south, east, north = bounds
        inside = (self.lon >= west) & (self.lon <= east) & (self.lat >= south) & (self.lat <= north)
        chosen = [_thinned(np.flatnonzero(inside & (self.role == role)), most) for role in (0, LEARNED, TESTED)]
        told = [
            [round(float(self.lon[i]), 6), round(float(self.lat[i]), 6), int(self.value[i]), int(self.role[i])]
            for i in np.concatenate(chosen)
        ]
        return {"total": int(inside.sum()), "points": told}


@dataclass(frozen=True, kw_only=True)
class RunPlaces:
    """What a run has of them; read when first asked for."""

    run: FinishedRun

    @property
    def has_points(self) -> bool:
        """Whether the reference consists of points."""
        return self.run.plan.reference is not None and self.run.plan.reference.kind == "points"

    @property
    def has_samples(self) -> bool:
        """Whether a model was trained here."""
        return (self.run.folder / layout.SAMPLES).exists()

    def of(self, kind: str) -> MarkedPoints | None:
        """``points`` of the reference or ``samples``; None where the run has none."""
        if kind == "points":
            return self._points if self.has_points else None
        return self._samples if self.has_samples else None

    @cached_property
    def _points(self) -> MarkedPoints:
        reference = self.run.plan.reference
        assert reference is not None
        world = GeoBox.from_bbox((-180.0, -90.0, 180.0, 90.0), "EPSG:4326", shape=(180, 360))
        table = points_table(reference, self.run.plan.legend, world)
        return _of(table["x"].to_numpy(), table["y"].to_numpy(), table["label"].to_numpy(), np.zeros(len(table)))

    @cached_property
    def _samples(self) -> MarkedPoints:
        from landweave.patch.store import read_table

        table = read_table(self.run.folder / layout.SAMPLES, columns=["patch", "x", "y", "label", "split"])
        # Pixels of all land, asked out of fold, would hide those that a model learned from.
        table = table[table["split"] != "land"]
        lon, lat = table["x"].to_numpy().copy(), table["y"].to_numpy().copy()
        crs = {cell.name: str(cell.geobox.crs) for cell in self.run.cells}
        # The samples of a table have degrees and no patch.
        of = table["patch"].map(crs).fillna("").to_numpy()
        for name in set(of.tolist()) - {""}:
            here = of == name
            lon[here], lat[here] = to_crs(lon[here], lat[here], source=name, target="EPSG:4326")
        role = np.where(table["split"].to_numpy() == "test", TESTED, LEARNED)
        return _of(lon, lat, table["label"].to_numpy(), role)


def _of(lon: np.ndarray, lat: np.ndarray, value: np.ndarray, role: np.ndarray) -> MarkedPoints:
    known = np.isfinite(lon) & np.isfinite(lat)
    return MarkedPoints(
        lon=lon[known], lat=lat[known], value=value[known].astype("uint8"), role=role[known].astype("uint8")
    )


def _thinned(found: np.ndarray, most: int) -> np.ndarray:
    return found[:: max(1, -(-len(found) // most))] if len(found) > most else found


def bounds_of(text: str) -> Bounds:
    """West, south, east, north as the page writes them; KeyError for anything else.

    >>> bounds_of("14.5,46,15,46.5")
    (14.5, 46.0, 15.0, 46.5)
    """
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise KeyError(text) from None
    return west, south, east, north
