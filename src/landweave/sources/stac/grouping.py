"""Scenes as dates: which are the same acquisition processed twice, which are one pass of the satellite."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

from landweave.sources.stac.scenes import Scene

PASS = timedelta(minutes=25)
"""Scenes of one pass follow each other within minutes; two orbits are at least 50 minutes apart."""

SAME = timedelta(seconds=15)
"""Datastrips of one acquisition begin within seconds of each other, however they were cut; the next part of a tile
begins later."""


def newest_of_duplicates(scenes: Iterable[Scene]) -> list[Scene]:
    """Leave out older processings of an acquisition.

    Two scenes are the same acquisition where collection, platform, tile, day and orbit agree and their datastrips
    begin within :data:`SAME`; where one does not tell its datastrip, its time of sensing counts. The newest baseline
    stays, then the latest processing, then the greatest id; where no datastrip is told, all scenes of the newest
    baseline stay, since they may be two parts of a tile. The answer is in the order of day, moment and id, whatever
    the order given.
    """
    groups: dict[tuple[object, ...], list[Scene]] = {}
    for scene in scenes:
        key: tuple[object, ...] = (scene.collection, scene.id)
        if scene.tile:
            key = (scene.collection, scene.platform, scene.tile, scene.day, scene.orbit)
        groups.setdefault(key, []).append(scene)
    kept = [scene for same in groups.values() for scene in (same if len(same) == 1 else _newest(same))]
    return sorted(kept, key=lambda scene: (scene.day, scene.moment, scene.id))


def _newest(scenes: Sequence[Scene]) -> list[Scene]:
    """Of scenes of one tile in one orbit, those that no other one replaces."""
    once = {scene.id: scene for scene in sorted(scenes, key=_age)}
    if not any(scene.strip for scene in scenes):
        newest = max(scene.baseline or (0, 0) for scene in scenes)
        return [scene for scene in once.values() if (scene.baseline or (0, 0)) == newest]
    kept: list[Scene] = []
    # From the newest on: what is kept replaces all that is older.
    for scene in sorted(once.values(), key=_age, reverse=True):
        if not any(_replaces(other, scene) for other in kept):
            kept.append(scene)
    return kept


def _age(scene: Scene) -> tuple[object, ...]:
    return scene.baseline or (0, 0), scene.processed, scene.id


def _replaces(newer: Scene, older: Scene) -> bool:
    if newer.strip and older.strip:
        starts = [datetime.fromisoformat(f"{scene.strip}+00:00") for scene in (newer, older)]
        return abs(starts[0] - starts[1]) <= SAME
    # Without their datastrips, two scenes of one baseline may be two parts of a tile.
    return newer.baseline != older.baseline and abs(newer.moment - older.moment) <= SAME


def passes(scenes: Sequence[Scene]) -> dict[date, list[Scene]]:
    """Group scenes to dates: one solar day and orbit is one date.

    Returns
    -------
    dict
        Date to its scenes in the order of their ids, which is the order they are fused in, everywhere; of one tile the
        newest processing comes first. Where a day has several passes (only near the poles), the later ones are keyed
        by the moment of their first scene, a ``datetime`` without time zone.
    """
    days: dict[date, list[Scene]] = {}
    for scene in newest_of_duplicates(scenes):
        days.setdefault(scene.day, []).append(scene)
    grouped: dict[date, list[Scene]] = {}
    for day in sorted(days):
        of_day: list[list[Scene]] = []
        for scene in days[day]:
            home = next((group for group in of_day if _one_pass(group[-1], scene)), None)
            if home is None:
                of_day.append([scene])
            else:
                home.append(scene)
        for number, group in enumerate(of_day):
            key = day if number == 0 else datetime.combine(day, group[0].moment.time().replace(microsecond=0))
            grouped[key] = _newest_on_top(group)
    return grouped


def _newest_on_top(scenes: Sequence[Scene]) -> list[Scene]:
    """In the order of ids; among the places of a tile its scenes stand by baseline, newest first."""
    ordered = sorted(scenes, key=lambda scene: scene.id)
    tiles: dict[object, list[Scene]] = {}
    for scene in ordered:
        tiles.setdefault(scene.tile or scene.id, []).append(scene)
    turns = {
        tile: iter(sorted(same, key=lambda scene: scene.baseline or (0, 0), reverse=True))
        for tile, same in tiles.items()
    }
    return [next(turns[scene.tile or scene.id]) for scene in ordered]


def _one_pass(one: Scene, other: Scene) -> bool:
    if one.orbit is not None and other.orbit is not None:
        return (one.orbit, one.platform) == (other.orbit, other.platform)
    return abs(other.moment - one.moment) <= PASS
