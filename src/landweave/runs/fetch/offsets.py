"""Once per scene: does the offset that the metadata tell agree with the pixels?"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from landweave.errors import InputError
from landweave.patch.store import write_json
from landweave.runs import layout
from landweave.runs.project.plan import Plan
from landweave.sources.files.opened import keep_open
from landweave.sources.scene_files import differences, overview
from landweave.sources.stac.hrefs import named_place
from landweave.sources.stac.radiometry import CIRRUS, VISIBLE, Check
from landweave.sources.stac.scenes import Scene
from landweave.sources.stac.trust import trusted

_READERS = 8
_FEW_SCENES = 12


def facts(plan: Plan) -> list[Any]:
    """What the metadata say of every scene."""
    return [[s.id, sorted((n, named_place(a.href), a.scale, a.offset, str(a.nodata)) for n, a in s.assets.items())]
            for s in plan.source.scenes]  # fmt: skip


def rule_of(plan: Plan) -> str:
    """Whose word holds, as the ledger remembers it."""
    rule = plan.project.source.radiometry
    return f"{rule}, undecided scenes follow" if rule == "trust-pixels" else rule


def check_scenes(plan: Plan) -> dict[str, Any]:
    """Decide every scene's offset and write the decisions to ``radiometry.json``.

    Raises
    ------
    InputError
        When pixels contradict the metadata and ``source.radiometry`` is ``check``: which scenes, and what to do.
        When no image can be had from the archive.
    """
    source = plan.source
    rule = plan.project.source.radiometry
    source.reach()
    readers = _READERS if source.remote else 2
    compared = _compared(plan, rule)

    def one(scene: Scene) -> tuple[Check, dict[str, str]]:
        seen = _look(scene, rule)
        return seen, _spoken(scene, plan) if scene.id in compared else {}

    # Every file is read once: none need be kept open.
    with ThreadPoolExecutor(readers, initializer=keep_open, initargs=(1,)) as pool:
        found = list(pool.map(one, source.scenes))
    checks = [check for check, _ in found]
    wrong = {s.id: c for s, c in zip(source.scenes, checks, strict=True) if c.verdict == "contradicts"}
    if wrong and rule == "check":
        raise InputError(_contradiction(plan, wrong))
    offsets, followed, untold = trusted(source.scenes, checks) if rule == "trust-pixels" else ({}, [], [])
    decisions = {
        s.id: _decision(s, check, offsets, followed) | ({"differs": words} if words else {})
        for s, (check, words) in zip(source.scenes, found, strict=True)
    }
    write_json(plan.folder / layout.RADIOMETRY, decisions, allow_nan=True)
    verdicts = [c.verdict for c in checks]
    return {
        "files": [layout.RADIOMETRY],
        "info": {
            "offsets": offsets,
            "scenes": decisions,
            "left_out": list(source.incomplete),
            "followed": followed,
            "untold": untold,
            "compared": len(compared),
            **{verdict: verdicts.count(verdict) for verdict in ("agrees", "contradicts", "undecided")},
        },
    }


def difference_notes_of_some(plan: Plan) -> list[str]:
    """:func:`difference_notes` of a few scenes, first of different kinds: what `check` can say in a moment."""
    scenes = plan.source.scenes
    most = _FEW_SCENES // 4 if plan.source.remote else _FEW_SCENES
    spread = [*_kinds(scenes, plan).values(), *scenes[:: max(1, len(scenes) // most)]]
    chosen = list({scene.id: scene for scene in spread}.values())[:most]
    found = {scene.id: _spoken(scene, plan) for scene in chosen}
    return difference_notes({name: words for name, words in found.items() if words}, scenes=len(chosen))


def difference_notes(found: Mapping[str, Mapping[str, str]], *, scenes: int) -> list[str]:
    """A sentence of what items and files say differently.

    Parameters
    ----------
    found
        Id of a scene to variable to words, of scenes where there is a difference.
    scenes
        How many scenes were compared.
    """
    if not found:
        return []
    name, words = next(iter(found.items()))
    alike = [band for band, said in words.items() if said == next(iter(words.values()))]
    shown = f"{', '.join(alike)} of {name}: {next(iter(words.values()))}"
    said = f"Items and files disagree in {len(found)} of {scenes} scenes: {shown}"
    return [f"{said}; if the files are right, correct the items."]


def _compared(plan: Plan, rule: str) -> set[str]:
    """Ids of the scenes whose items are compared with their files; on servers, where nothing else is read, a few."""
    if rule == "trust-metadata" and plan.source.remote:
        return {scene.id for scene in _kinds(plan.source.scenes, plan).values()}
    return {scene.id for scene in plan.source.scenes}


def _kinds(scenes: Sequence[Scene], plan: Plan) -> dict[Any, Scene]:
    """The first scene of each kind: alike in collection, baseline, and in what the items say of numbers."""
    kinds: dict[Any, Scene] = {}
    for scene in scenes:
        said = [(n, a.scale, a.offset, str(a.nodata)) for n, a in sorted(scene.assets.items()) if n in plan.variables]
        kinds.setdefault((scene.collection, scene.baseline, tuple(said)), scene)
    return kinds


def _spoken(scene: Scene, plan: Plan) -> dict[str, str]:
    # On a server: the files that were read just now, whose heads GDAL still has.
    names = [n for n in plan.variables if n in {*VISIBLE, "B08", CIRRUS}] if plan.source.remote else plan.variables
    try:
        return differences(scene, names or plan.variables)
    except (OSError, InputError):
        # The fetch tells which files cannot be read.
        return {}


def _look(scene: Scene, rule: str) -> Check:
    if rule == "trust-metadata":
        return Check(verdict="undecided", reason="not looked at: trust-metadata")
    try:
        return overview(scene)
    except (OSError, InputError) as error:
        # The fetch tells which dates cannot be read; here the metadata hold.
        return Check(verdict="undecided", reason=f"not read: {error}")


def _decision(scene: Scene, seen: Check, offsets: dict[str, float], followed: Sequence[str]) -> dict[str, Any]:
    spectral = next((a for n, a in scene.assets.items() if n.startswith("B")), None)
    return {
        "date": str(scene.day), "catalogue": scene.catalogue, "collection": scene.collection,
        "baseline": None if scene.baseline is None else f"{scene.baseline[0]:02d}.{scene.baseline[1]:02d}",
        "scale": spectral.scale if spectral else None,
        "offset": offsets.get(scene.id, spectral.offset if spectral else None),
        "decided_by": _decided_by(scene, offsets, followed),
        "pixels": seen.verdict, "seen": seen.reason,
    }  # fmt: skip


def _decided_by(scene: Scene, offsets: dict[str, float], followed: Sequence[str]) -> str:
    if scene.id in followed:
        return "pixels of other scenes"
    if scene.id in offsets:
        return "pixels"
    return next((a.reason for n, a in scene.assets.items() if n.startswith("B")), "no spectral band")


def _contradiction(plan: Plan, wrong: dict[str, Check]) -> str:
    shown = "; ".join(f"{name}: {c.reason}" for name, c in list(wrong.items())[:3])
    more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return (
        f"{plan.project.file}: the pixels of {len(wrong)} scenes contradict their offset ({shown}{more}); "
        'set source.radiometry = "trust-metadata" or "trust-pixels".'
    )
