"""Which versions of software made a run's outputs, in sentences."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from landweave.runs.pipeline.record import Maker, made_by, versions, working_versions

if TYPE_CHECKING:
    from landweave.runs.pipeline.state import Run


def of_versions(run: "Run") -> list[str]:
    """Where outputs were made by other versions than those of now, as a sentence: which, and what each of them made.

    The report, which is made of the other notices, does not have it: looking at a run changes none of its files.
    """
    own = working_versions()
    makers = made_by(run)
    known = [maker for maker in makers if maker.versions]
    others = [maker for maker in known if not maker.same(own)]
    lines = []
    if others:
        parts = [f"{_made(maker)} by {_differences(maker.versions, own)}" for maker in others]
        mixed = not all(maker.same(known[0].versions) for maker in known)
        lines.append(
            f"Made by other versions than the installed ones: {'; '.join(parts)}. "
            + (
                "The outputs mix versions; to make all by one, run in a new output folder."
                if mixed
                else "They are kept; to make them by the installed versions, run in a new output folder."
            )
        )
    unknown = [_made(maker) for maker in makers if not maker.versions]
    if unknown:
        lines.append(f"Made by unknown versions, as an older landweave noted none: {'; '.join(unknown)}.")
    return lines


def _made(maker: Maker) -> str:
    return ", ".join(f"{stage} ({count})" for stage, count in maker.entries.items())


def _differences(there: Mapping[str, str], here: Mapping[str, str]) -> str:
    """Names and versions that differ, at most five; the platform and patch levels of Python decide nothing."""
    names = [name for name in versions() if there.get(name) != here.get(name)]
    some = ", ".join(f"{name} {there.get(name, 'absent')} (now {here[name]})" for name in names[:5])
    return f"{some} and {len(names) - 5} more" if len(names) > 5 else some
