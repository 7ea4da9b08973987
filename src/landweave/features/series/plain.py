"""Plain numpy for what the kernels compute, pixel by pixel: the oracle of their tests."""

import numpy as np

from landweave.features.series.kernels import IQR, MEAN, PERCENTILE, RANGE, SMALLEST_PIVOT, STD
from landweave.patch.model import NODATA


def window_statistics(
    values: np.ndarray, first: np.ndarray, after: np.ndarray, kinds: np.ndarray, shares: np.ndarray, out: np.ndarray
) -> None:
    """As :func:`landweave.features.series.kernels.window_statistics`."""
    for w, layer, j in np.ndindex(first.size, *values.shape[::2]):
        held = values[layer, first[w] : after[w], j]
        held = held[np.isfinite(held)]
        for s, (kind, share) in enumerate(zip(kinds.tolist(), shares.tolist(), strict=True)):
            out[w, s, layer, j] = np.nan
            if held.size:
                out[w, s, layer, j] = {
                    PERCENTILE: lambda held=held, share=share: np.percentile(held, share * 100),
                    MEAN: held.mean,
                    STD: held.std,
                    RANGE: lambda held=held: held.max() - held.min(),
                    IQR: lambda held=held: np.subtract(*np.percentile(held, [75, 25])),
                }[kind]()


def medoids(bands: np.ndarray, valid: np.ndarray, first: np.ndarray, after: np.ndarray, out: np.ndarray) -> None:
    """As :func:`landweave.features.series.kernels.medoids`."""
    for w, j in np.ndindex(out.shape):
        whole = valid[:, j] & (bands[:, :, j] != NODATA).all(axis=0)
        there = np.flatnonzero(whole[first[w] : after[w]]) + first[w]
        points = bands[:, there, j].astype("float64")
        distances = np.sqrt(((points[:, :, None] - points[:, None, :]) ** 2).sum(axis=0)).sum(axis=0)
        out[w, j] = there[np.argmin(distances)] if there.size else -1


def whittaker(
    values: np.ndarray, seen_at: np.ndarray, asked_at: np.ndarray, penalty: np.ndarray, out: np.ndarray
) -> None:
    """As :func:`landweave.features.series.kernels.whittaker`."""
    n = penalty.shape[1]
    matrix = np.diag(penalty[0]) + sum(
        np.diag(penalty[k, : n - k], k) + np.diag(penalty[k, : n - k], -k) for k in (1, 2) if k < n
    )
    for layer, j in np.ndindex(*values.shape[::2]):
        known = np.isfinite(values[layer, :, j])
        out[:, layer, j] = np.nan
        if known.sum() < 2:
            continue
        weight, right = np.zeros(n), np.zeros(n)
        weight[seen_at[known]], right[seen_at[known]] = 1.0, values[layer, known, j]
        curve = np.linalg.solve(matrix + np.diag(weight), right)
        inside = (asked_at >= seen_at[known].min()) & (asked_at <= seen_at[known].max())
        out[inside, layer, j] = curve[asked_at[inside]]


def polynomials(curves: np.ndarray, hat: np.ndarray, out: np.ndarray) -> None:
    """As :func:`landweave.features.series.kernels.polynomials`."""
    points = len(hat)
    out[:] = curves
    for layer, j in np.ndindex(*curves.shape[1:]):
        known = np.flatnonzero(np.isfinite(curves[:, layer, j]))
        if known.size and known[-1] - known[0] + 1 >= points:
            for k in range(known[0], known[-1] + 1):
                start = np.clip(k - points // 2, known[0], known[-1] - points + 1)
                out[k, layer, j] = hat[k - start] @ curves[start : start + points, layer, j]


def harmonics(values: np.ndarray, waves: np.ndarray, out: np.ndarray) -> None:
    """As :func:`landweave.features.series.kernels.harmonics`."""
    m = waves.shape[1]
    for layer, j in np.ndindex(*values.shape[::2]):
        known = np.isfinite(values[layer, :, j])
        out[:, layer, j] = np.nan
        count = int(known.sum())
        if count <= m:
            continue
        own, right = waves[known], values[layer, known, j]
        try:
            pivots = np.diag(np.linalg.cholesky(own.T @ own)) ** 2 / count
        except np.linalg.LinAlgError:
            continue
        if not (pivots > SMALLEST_PIVOT).all():
            continue
        answer = np.linalg.lstsq(own, right, rcond=None)[0]
        out[:m, layer, j] = answer
        out[m, layer, j] = np.sqrt(np.mean((right - own @ answer) ** 2))


def seasons(curves: np.ndarray, days: np.ndarray, threshold: float, out: np.ndarray) -> None:
    """As :func:`landweave.features.series.kernels.seasons`."""
    out[:] = np.nan
    for j in range(curves.shape[1]):
        known = np.isfinite(curves[:, j])
        if not known.any():
            continue
        y, t = curves[known, j], days[known].astype("float64")
        peak = int(np.argmax(y))
        low, high = y[: peak + 1].min(), y[peak:].min()
        out[1, j], out[3, j] = t[peak], y[peak] - (low + high) / 2
        start = _walk(t[peak::-1], y[peak::-1], low + threshold * (y[peak] - low))
        end = _walk(t[peak:], y[peak:], high + threshold * (y[peak] - high))
        out[0, j], out[2, j] = start, end
        if np.isfinite(start) and np.isfinite(end):
            at = np.unique([start, end, *t[(t > start) & (t < end)]])
            out[4, j] = np.trapezoid(np.interp(at, t, y), at)


def _walk(t: np.ndarray, y: np.ndarray, level: float) -> float:
    below = np.flatnonzero(y < level)
    if not below.size:
        return np.nan
    k = below[0]
    return float(np.interp(level, [y[k], y[k - 1]], [t[k], t[k - 1]]))
