"""Once per scene: does the offset that the metadata tell agree with the pixels?"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from landweave.errors import InputError
from landweave.patch.store import write_json
from landweave.runs import layout
from landweave.runs.project.plan import Plan
from landweave.sources.pixels import keep_open
from landweave.sources.scene_files import overview
from landweave.sources.stac.hrefs import named_place
from landweave.sources.stac.radiometry import Check
from landweave.sources.stac.scenes import Scene
from landweave.sources.stac.trust import trusted

_READERS = 8


def facts(plan: Plan) -> list[Any]:
    """What the metadata say of every scene."""
    return [[s.id, sorted((n, named_place(a.href), a.scale, a.offset) for n, a in s.assets.items())]
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
    # Every file is read once: none need be kept open.
    with ThreadPoolExecutor(readers, initializer=keep_open, initargs=(1,)) as pool:
        checks = list(pool.map(lambda scene: _look(scene, rule), source.scenes))
    wrong = {s.id: c for s, c in zip(source.scenes, checks, strict=True) if c.verdict == "contradicts"}
    if wrong and rule == "check":
        raise InputError(_contradiction(plan, wrong))
    offsets, followed, untold = trusted(source.scenes, checks) if rule == "trust-pixels" else ({}, [], [])
    decisions = {s.id: _decision(s, c, offsets, followed) for s, c in zip(source.scenes, checks, strict=True)}
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
            **{verdict: verdicts.count(verdict) for verdict in ("agrees", "contradicts", "undecided")},
        },
    }


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
