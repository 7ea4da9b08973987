"""Section of the report on patch borders."""

from collections.abc import Mapping
from typing import Any

from landweave.report.words import percent


def seam_section(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Section on seams; None if no border was examined.

    Returns
    -------
    dict
        ``rows`` (``name``, ``share``, ``pairs``), ``words``, ``shows`` (whether the borders are visible).
    """
    if not found or found["excess"]["value"] is None:
        return None
    names = {"across": "Across patch borders", "inside": f"Inside patches, up to {found['reach']} pixels away"}
    rows = [
        {"name": name, "share": percent(found[key]["share"]), "pairs": found[key]["pairs"]}
        for key, name in names.items()
    ]
    shows = seams_show(found)
    return {"rows": rows, "words": _words(found["excess"], shows=shows), "shows": shows}


def seams_show(found: Mapping[str, Any] | None) -> bool:
    """Whether the whole interval of the excess is above 0."""
    low = (found or {}).get("excess", {}).get("low")
    return low is not None and low > 0


def seam_warnings(found: Mapping[str, Any] | None) -> list[str]:
    """One sentence if the borders are visible, else none."""
    return (
        ["Patch borders are visible on the map: see how often neighbours differ across them."]
        if seams_show(found)
        else []
    )


def _words(excess: Mapping[str, Any], *, shows: bool) -> str:
    points = f"{100 * excess['value']:+.2f} points"
    if excess["low"] is None:
        return f"The difference is {points}; no interval: {excess['reason']}."
    between = f"{points} (95 % interval: {100 * excess['low']:+.2f} to {100 * excess['high']:+.2f})"
    if shows:
        return (
            f"The difference is {between}: patch borders are visible. Input, masks or predictions differ on their two "
            "sides; look at the patches along them. By chance, one map in forty shows such a difference."
        )
    return f"The difference is {between}: patch borders are not visible in these pixels."
