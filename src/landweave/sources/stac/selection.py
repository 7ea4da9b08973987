"""Which scenes are used: without those that the user excludes, and a sentence for each reason to leave scenes out."""

import difflib
from collections.abc import Iterable, Mapping, Sequence

from landweave.errors import InputError
from landweave.sources.stac.scenes import Scene

EXCLUDED = "excluded by source.exclude"
OLDER = "older processing of the same acquisition"
INCOMPLETE = "a band or mask is missing"

_SHOWN = 5


def without(
    scenes: Sequence[Scene], exclude: Iterable[str], *, first: str = "", last: str = "9999"
) -> tuple[list[Scene], tuple[str, ...]]:
    """Leave out scenes by their ids or solar days.

    Parameters
    ----------
    scenes
        All scenes of the period.
    exclude
        Ids, and days such as ``2021-06-17``.
    first, last
        The period: days before and after it need not be known.

    Returns
    -------
    kept, excluded
        The others, and the ids of those that were left out.

    Raises
    ------
    InputError
        For an entry that is neither the id nor the day of a scene: the nearest ones.
    """
    unwanted = set(exclude)
    days = {str(scene.day) for scene in scenes}
    ids = {scene.id for scene in scenes}
    for entry in sorted(unwanted - days - ids):
        if _is_day(entry) and not first <= entry <= last:
            continue
        near = difflib.get_close_matches(entry, sorted(days if _is_day(entry) else ids), n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "remove it, or write it as in radiometry.json."
        raise InputError(f"source.exclude: {entry} is neither the id nor the date of a scene; {hint}")
    kept = [scene for scene in scenes if scene.id not in unwanted and str(scene.day) not in unwanted]
    return kept, tuple(sorted(ids - {scene.id for scene in kept}))


def sentences(left_out: Mapping[str, Sequence[str]]) -> list[str]:
    """One sentence for each reason to leave scenes out.

    >>> sentences({"no datetime": ["b", "a"]})
    ['2 scenes of the archive are left out (no datetime): a, b.']
    """
    lines = []
    for why, ids in left_out.items():
        some = ", ".join(sorted(ids)[:_SHOWN]) + (f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else "")
        which = "1 scene of the archive is" if len(ids) == 1 else f"{len(ids)} scenes of the archive are"
        lines.append(f"{which} left out ({why}): {some}.")
    return lines


def lacking(scenes: Sequence[Scene], needed: Sequence[str]) -> str:
    """Why no scene has all that is needed, and what to do."""
    there = sorted({name for scene in scenes for name in scene.assets})
    missing = [name for name in needed if name not in there] or list(needed)
    unread = next((f"{s.id}: {s.unread[n]}" for s in scenes for n in missing if n in s.unread), None)
    if unread:
        return f"no scene has {', '.join(missing)} that can be read; item {unread}."
    return (
        f"no scene has {', '.join(missing)}; there are {', '.join(there) or 'no known bands'}. "
        'Name the assets of an unknown catalogue with bands.B04 = "…".'
    )


def _is_day(entry: str) -> bool:
    parts = entry.split("-")
    return [len(part) for part in parts] == [4, 2, 2] and all(part.isdigit() for part in parts)
