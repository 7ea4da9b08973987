"""What a run came to, and how it reports its progress."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from landweave.patch.summary import Shown, listed


class Progress(Protocol):
    """What the faces show while a run goes on."""

    def tell(self, line: str) -> None:
        """Something to know before the work begins."""
        ...

    def start(self, stage: str, total: int, todo: int) -> None:
        """A stage begins: so many patches in all, so many to be made; none where it works on all at once."""
        ...

    def once(self, stage: str) -> None:
        """What is done once in a stage, for all patches together, begins; not called where it is up to date."""
        ...

    def advance(self, stage: str, failed: bool) -> None:  # noqa: FBT001 - called by this module only
        """One patch is made, or has failed."""
        ...

    def finish(self, stage: str) -> None:
        """The stage is over."""
        ...


class Quiet:
    """Shows nothing."""

    def tell(self, line: str) -> None:
        """Nothing."""

    def start(self, stage: str, total: int, todo: int) -> None:
        """Nothing."""

    def once(self, stage: str) -> None:
        """Nothing."""

    def advance(self, stage: str, failed: bool) -> None:  # noqa: FBT001 - as in the protocol
        """Nothing."""

    def finish(self, stage: str) -> None:
        """Nothing."""


_: type[Progress] = Quiet


@dataclass(kw_only=True, repr=False)
class Result(Shown):
    """What became of a run."""

    status: int = 0
    """0 done, 1 something failed."""
    failures: list[tuple[str, str]] = field(default_factory=list)
    """Stage and patch, and the last line of the error."""
    stopped: str | None = None
    """Why the run stopped before its end."""
    notices: list[str] = field(default_factory=list)
    """What to know before trusting the figures."""
    agreement: dict[str, Any] | None = None
    """Overall agreement with the reference, as in ``accuracy.json``; None where nothing was measured."""
    made: dict[str, int] = field(default_factory=dict)
    """Stage to the number of things made; nothing stands for a stage that was fresh."""
    folder: Path = Path()
    """The output folder."""

    def _summary(self) -> Mapping[str, object]:
        score = (self.agreement or {}).get("value")
        return {
            "status": f"{self.status} ({'something failed' if self.status else 'done'})",
            "stopped": self.stopped or "no",
            "failures": listed([" ".join(failure) for failure in self.failures], 3),
            "notices": len(self.notices),
            "agreement": "not measured" if score is None else round(score, 4),
            "made": listed([f"{count} {stage}" for stage, count in self.made.items()], 10),
            "folder": self.folder,
        }
