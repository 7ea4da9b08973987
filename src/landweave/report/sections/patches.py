"""Agreement of map and reference, patch by patch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup, escape

from landweave.report.words import percent

STEPS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Agreements at which the colour changes."""

COLORS = ("#8c2d04", "#d94801", "#fd8d3c", "#fdd0a2", "#c6dbef", "#6baed6", "#08519c")
"""Colours of patches from least to most agreement: brown to blue, safe for colour-blind readers."""

WORST = 10
"""Patches that are listed."""

FEW = 100
"""A patch with fewer labelled pixels is drawn but not ranked."""

_WIDTH = 640


@dataclass(frozen=True, kw_only=True)
class PatchAgreement:
    """Agreement of a patch's prediction, by a model that never saw it, with its reference."""

    name: str
    """The patch."""

    outline: np.ndarray
    """Its corners (n, 2), rightward and upward, in any unit that all patches share."""

    counts: np.ndarray
    """Labelled pixels by reference class (rows) and prediction (columns, the last "no class"), int64 (k, k + 1)."""

    role: str = ""
    """Such as ``test`` or ``training, out of fold``."""

    @property
    def labelled(self) -> int:
        """Pixels that were compared."""
        return int(self.counts.sum())

    @property
    def agreement(self) -> float | None:
        """Share of labelled pixels that agree, 0..1; None without any."""
        return float(np.trace(self.counts) / self.labelled) if self.labelled else None


def ranked(patches: Sequence[PatchAgreement]) -> list[PatchAgreement]:
    """Patches with enough labelled pixels, the worst first; equals in the order of their names."""
    enough = [patch for patch in patches if patch.labelled >= FEW]
    return sorted(enough, key=lambda patch: (patch.agreement or 0.0, patch.name))


def space_section(patches: Sequence[PatchAgreement], labels: Sequence[str]) -> dict[str, Any] | None:
    """The map of agreement and the list of the worst patches; None if no patch was compared.

    Parameters
    ----------
    patches
        All patches, also those without a reference.
    labels
        Names of the classes, in the order of ``counts``.

    Returns
    -------
    dict
        ``svg``; ``key``: colour and meaning; ``rows`` of the worst; ``words``.
    """
    order = ranked(patches)
    known = [patch for patch in patches if patch.agreement is not None]
    if not known:
        return None
    worst = order[:WORST]
    used = sorted({_step(patch.agreement or 0.0) for patch in known})
    bounds = ("0", *(f"{100 * step:g}" for step in STEPS), "100")
    unknown = len(patches) > len(known)
    return {
        "svg": agreement_svg(patches, worst),
        "key": [(COLORS[i], f"{bounds[i]} to {bounds[i + 1]} %") for i in used],
        "unknown": unknown,
        "rows": [_row(number, patch, labels) for number, patch in enumerate(worst, start=1)],
        "words": _words(order, known),
    }


def agreement_svg(patches: Sequence[PatchAgreement], worst: Sequence[PatchAgreement]) -> Markup:
    """The grid, each patch in the colour of its agreement, the worst ones numbered."""
    corners = np.concatenate([patch.outline for patch in patches])
    left, bottom = corners.min(axis=0)
    right, top = corners.max(axis=0)
    scale = _WIDTH / max(right - left, (top - bottom) / 0.8)
    width, height = scale * (right - left), scale * (top - bottom)

    def place(points: np.ndarray) -> np.ndarray:
        return np.stack([(points[:, 0] - left) * scale, (top - points[:, 1]) * scale], axis=1)

    paths: dict[int, list[str]] = {}
    for patch in patches:
        step = -1 if patch.agreement is None else _step(patch.agreement)
        corner = "L".join(f"{x:.1f} {y:.1f}" for x, y in place(patch.outline))
        paths.setdefault(step, []).append(f"M{corner}Z")
    what = "Map of the patches by their agreement with the reference; the worst are numbered"
    parts = [f'<svg class="patches" viewBox="-2 -2 {width + 4:.0f} {height + 4:.0f}" role="img" aria-label="{what}">']
    for step, outlines in sorted(paths.items()):
        style = 'class="unknown"' if step < 0 else f'class="patch" style="fill:{COLORS[step]}"'
        parts.append(f'<path {style} d="{"".join(outlines)}"/>')
    for number, patch in enumerate(worst, start=1):
        x, y = place(patch.outline).mean(axis=0)
        words = f"{escape(patch.name)}: {percent(patch.agreement)}"
        parts.append(
            f'<text class="mark" x="{x:.1f}" y="{y + 5:.1f}" text-anchor="middle">{number}<title>{words}</title></text>'
        )
    return Markup("".join(parts) + "</svg>")  # noqa: S704


def most_confused(patch: PatchAgreement, labels: Sequence[str]) -> str:
    """The most costly confusion as a phrase; "" if nothing is wrong.

    >>> counts = np.array([[5, 3, 0], [0, 4, 0]])
    >>> patch = PatchAgreement(name="a", outline=np.zeros((4, 2)), counts=counts)
    >>> most_confused(patch, ["forest", "scrub"])
    'forest mapped as scrub (25.0 % of the patch)'
    """
    wrong = patch.counts.copy()
    np.fill_diagonal(wrong, 0)
    if not wrong.any():
        return ""
    i, j = (int(n) for n in np.unravel_index(int(wrong.argmax()), wrong.shape))
    shown = [*labels, "no class"]
    return f"{labels[i]} mapped as {shown[j]} ({percent(float(wrong[i, j] / patch.labelled))} of the patch)"


def to_json(patches: Sequence[PatchAgreement]) -> dict[str, Any]:
    """Name to ``agreement``, ``labelled`` pixels and ``role``, for ``agreement.json``."""
    return {p.name: {"agreement": p.agreement, "labelled": p.labelled, "role": p.role} for p in patches}


def _step(agreement: float) -> int:
    return int(np.searchsorted(STEPS, agreement, side="right"))


def _row(number: int, patch: PatchAgreement, labels: Sequence[str]) -> dict[str, Any]:
    return {
        "number": number, "name": patch.name, "agreement": percent(patch.agreement), "labelled": patch.labelled,
        "role": patch.role, "confused": most_confused(patch, labels) or "—",
    }  # fmt: skip


def _words(order: Sequence[PatchAgreement], known: Sequence[PatchAgreement]) -> str:
    left_out = len(known) - len(order)
    words = f"{left_out} with fewer than {FEW} labelled pixels are drawn but not ranked." if left_out else ""
    if not order:
        return words
    shares = np.array([patch.agreement for patch in order])
    middle = float(np.median(shares))
    spread = (
        f"Agreement by patch ranges from {percent(float(shares[0]))} ({order[0].name}) to {percent(float(shares[-1]))} "
        f"({order[-1].name}); the median is {percent(middle)}."
        if len(order) > 1
        else f"The one patch agrees on {percent(middle)} of its labelled pixels."
    )
    return f"{spread} {words}".strip()
