"""Frame, levels and labels of the report's wide plots."""

import math

from markupsafe import escape

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 720, 52, 14, 12, 46
"""Of a wide plot, and the room around what is drawn."""


def frame(height: int, what: str) -> str:
    """The opening tag of a plot, ``height`` being that of what is drawn and ``what`` for those who hear it."""
    box = f"0 0 {WIDTH} {height + TOP + BOTTOM}"
    return f'<svg class="wide" viewBox="{box}" role="img" aria-label="{escape(what)}">'


def level(y: float, label: str) -> str:
    """A line across, and what it stands for."""
    line = f'<path class="grid" d="M{LEFT} {y:.1f}h{WIDTH - LEFT - RIGHT}"/>'
    return f'{line}<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(label)}</text>'


def below(x: float, y: float, label: str) -> str:
    """A label in the middle of a place."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{escape(label)}</text>'


def nice(step: float) -> float:
    """The next of 1, 2, 5, 10, 20, ... (and their tenths) that is not below.

    >>> nice(3.1), nice(0.2), nice(12)
    (5.0, 0.2, 20.0)
    """
    unit = 10.0 ** math.floor(math.log10(step) + 1e-9)
    return next(round(unit * n, 9) for n in (1, 2, 5, 10) if unit * n >= step * (1 - 1e-9))
