"""The CRS of a map for a page that has no projections: polynomials that turn web Mercator into it, and back.

Their error is measured; where it is too large to be shown, the page has degrees only.
"""

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from pyproj import CRS, Transformer

from landweave.viewer.mercator import WEB, to_web

ERROR = 0.05
"""Metres that the polynomials may be wrong by."""

_DEGREES = (3, 5, 7, 9)


def describe_crs(path: Path, bounds: tuple[float, float, float, float]) -> dict[str, Any] | None:
    """What the page needs to show and read coordinates in a map's CRS.

    Parameters
    ----------
    path
        The map.
    bounds
        West, south, east, north of the ground, degrees.

    Returns
    -------
    dict or None
        ``name``; ``to`` and ``back``, each with ``box`` (left, bottom, right, top of what goes in) and ``x``, ``y``:
        coefficients of Chebyshev polynomials in both of its coordinates, scaled to -1 to 1 in the box. ``to`` goes
        from web Mercator to the CRS. None where the CRS has degrees, or bends too much for polynomials.
    """
    with rasterio.open(path) as file:
        written = file.crs
    crs = CRS.from_user_input(written)
    if not crs.is_projected:
        return None
    epsg = written.to_epsg()
    low, high = to_web(*bounds[:2]), to_web(*bounds[2:])
    web = (*low, *high)
    forth = Transformer.from_crs(WEB, crs, always_xy=True)
    edges = np.array(forth.transform(*_grid(web, np.linspace(-1, 1, 33))))
    if not np.isfinite(edges).all():
        return None
    own = (*edges.min(axis=1).tolist(), *edges.max(axis=1).tolist())
    back = Transformer.from_crs(crs, WEB, always_xy=True)
    unit = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
    found = _fitted(forth, web, ERROR / unit), _fitted(back, own, ERROR)
    if None in found:
        return None
    return {"name": f"EPSG:{epsg}" if epsg else crs.name, "to": found[0], "back": found[1]}


def _fitted(transform: Transformer, box: tuple[float, float, float, float], error: float) -> dict[str, Any] | None:
    """Polynomials of the lowest degree whose error is small enough."""
    between = np.linspace(-1, 1, 23)
    true = np.array(transform.transform(*_grid(box, between)))
    for degree in _DEGREES:
        nodes = np.cos(np.pi * (np.arange(2 * degree) + 0.5) / (2 * degree))
        values = np.array(transform.transform(*_grid(box, nodes)))
        if not (np.isfinite(values).all() and np.isfinite(true).all()):
            return None
        known, asked = (_terms(degree, at) for at in (nodes, between))
        coefficients = np.linalg.lstsq(known, values.T, rcond=None)[0]
        if np.abs(asked @ coefficients - true.T).max() < error:
            x, y = coefficients.T.reshape(2, degree + 1, degree + 1).tolist()
            return {"box": list(box), "x": x, "y": y}
    return None


def _terms(degree: int, at: np.ndarray) -> np.ndarray:
    u, v = (part.ravel() for part in np.meshgrid(at, at))
    return np.asarray(np.polynomial.chebyshev.chebvander2d(u, v, [degree, degree])).reshape(len(u), -1)


def _grid(box: tuple[float, float, float, float], at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    left, bottom, right, top = box
    u, v = np.meshgrid(at, at)
    return (left + right + u * (right - left)).ravel() / 2, (bottom + top + v * (top - bottom)).ravel() / 2
