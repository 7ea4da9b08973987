"""Offsets by the pixels, where these are trusted more than the metadata: also of scenes that show no dark ground."""

from collections.abc import Sequence

from landweave.sources.stac.radiometry import Check
from landweave.sources.stac.scenes import Scene


def trusted(scenes: Sequence[Scene], checks: Sequence[Check]) -> tuple[dict[str, float], list[str], list[str]]:
    """Offsets by the pixels, also of scenes whose own pixels do not tell.

    Such a scene follows the scenes of its archive, collection and baseline that say the same of themselves, where all
    of those that could be judged agree with each other; where none of that baseline could be judged, those of any.

    Returns
    -------
    offsets, followed, untold
        Scene to offset where it is not that of the metadata; scenes that took it from others; and those whose fellows
        contradict each other, or contradict their metadata elsewhere in the archive.
    """
    judged: dict[tuple[object, ...], set[float]] = {}
    offsets: dict[str, float] = {}
    for scene, seen in zip(scenes, checks, strict=True):
        told = _told(scene)
        if told is None or seen.verdict == "undecided":
            continue
        true = told if seen.better is None else seen.better
        if seen.verdict == "contradicts" and seen.better is not None:
            offsets[scene.id] = seen.better
        for key in _fellows(scene):
            judged.setdefault(key, set()).add(true)
    followed, untold = [], []
    doubted = bool(offsets)
    for scene, seen in zip(scenes, checks, strict=True):
        told = _told(scene)
        if told is None or seen.verdict != "undecided" or not doubted:
            continue
        said = next((judged[key] for key in _fellows(scene) if key in judged), set[float]())
        if len(said) != 1:
            untold.append(scene.id)
        elif (offset := next(iter(said))) != told:
            offsets[scene.id] = offset
            followed.append(scene.id)
    return offsets, sorted(followed), sorted(untold)


def _fellows(scene: Scene) -> tuple[tuple[object, ...], ...]:
    """Groups of scenes whose numbers mean the same, the closest first."""
    archive = (scene.catalogue, scene.collection, _told(scene))
    return (*archive, scene.baseline), archive


def _told(scene: Scene) -> float | None:
    """The offset by the metadata; None without a spectral band."""
    return next((asset.offset for name, asset in scene.assets.items() if name.startswith("B")), None)
