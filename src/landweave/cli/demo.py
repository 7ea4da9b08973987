"""``landweave demo``: simulate a small country, run everything on it, and print figures beside the truth."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from landweave.runs import layout
from landweave.runs.pipeline.driver import run
from landweave.runs.pipeline.outcome import Progress, Result
from landweave.runs.project.settings import read_project
from landweave.sources.simulated.archive.archive import is_archive, write_archive


class DemoProgress(Progress, Protocol):
    """Progress of a run, and a bar for the simulation before it."""

    def counter(self, stage: str) -> Callable[[int, int], None]:
        """Return a function to call with done and total."""
        ...


def run_demo(
    folder: Path, *, size_km: float, dates: int, seed: int, workers: int, progress: DemoProgress
) -> tuple[Result, list[str]]:
    """Simulate a country into a folder and run its project; a second call resumes the first.

    Returns
    -------
    result, lines
        Result of the run, and lines to print about it.
    """
    arguments: dict[str, Any] = {"size_km": size_km, "dates": dates, "seed": seed}
    if not is_archive(folder, **arguments):
        write_archive(folder, **arguments, progress=progress.counter("simulate"))
    project = read_project(folder / "landweave.toml")
    result = run(project, workers=workers, progress=progress)
    return result, _lines(project.folder / layout.ACCURACY) if result.status == 0 else []


def _lines(path: Path) -> list[str]:
    figures = json.loads(path.read_text(encoding="utf-8"))
    truth, split = figures["against_truth"], figures["split"]
    agreement, accuracy = figures["overall_accuracy"], truth["overall_accuracy"]
    gained, repeated = truth["reference_wrong_map_right"], truth["map_repeats_reference_error"]
    sources = f"{gained:.4f} (register wrong, map right) - {repeated:.4f} (both wrong in the same way)"
    return [
        f"A simulated country; figures from {split['tested']} patches, each predicted by a model not trained on it:",
        f"  agreement with the register  {_figure(agreement)}",
        f"  accuracy against the truth   {_figure(accuracy)}   (known only because it is simulated)",
        f"  the register is wrong on     {truth['reference_error']:.2%} of that land",
        f"  accuracy minus agreement     {accuracy['value'] - agreement['value']:+.4f} = {sources}",
    ]


def _figure(score: dict[str, Any]) -> str:
    if score["low"] is None:
        return f"{score['value']:.4f}"
    return f"{score['value']:.4f} ({score['low']:.4f} to {score['high']:.4f})"
