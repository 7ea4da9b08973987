"""``run.json``: versions, settings, seconds, CPU seconds, peak memory and bytes read."""

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import landweave
from landweave.engine.ledger import Ledger
from landweave.engine.memory import peak_bytes
from landweave.patch.store import write_json, write_text
from landweave.runs import layout
from landweave.runs.pipeline.forecast import outcome

if TYPE_CHECKING:
    from landweave.runs.pipeline.outcome import Result
    from landweave.runs.pipeline.state import Run
from landweave.runs.results.record import read_record, told_settings

PACKAGES = (
    "numpy", "pandas", "xarray", "rasterio", "pyproj", "shapely", "geopandas", "odc-geo", "zarr",
    "numba", "lightgbm", "scikit-learn", "distributed",
)  # fmt: skip


def write_record(run: "Run", result: "Result", *, seconds: float) -> None:
    """Write ``run.json``; of stages that were fresh the measures of the run that made them are kept."""
    path = run.plan.folder / layout.RECORD
    before = read_record(path)
    stages = {**before.get("stages", {}), **run.measured}
    makers = made_by(run)
    record = {
        **_told(makers),
        "made_by": [{**_told([maker]), "entries": maker.entries} for maker in makers],
        "settings": told_settings(run.plan.project),
        "seconds": seconds,
        "workers": run.engine.workers,
        "scheduler": run.engine.scheduler,
        "forecast": _compared(run, stages),
        "peak_bytes": peak_bytes(),
        "made": result.made,
        "stages": stages,
        "failures": [
            {"what": what, "error": error, "log": str(log_path(Path(), what))} for what, error in result.failures
        ],
        "stopped": result.stopped,
        "patches": {cell.name: entry.info for cell, entry in run.made("fetch")},
        "dates": [str(date) for date in run.plan.dates],
        "left_out": list(run.plan.source.notes),
    }  # fmt: skip
    decided = run.done("fetch") if run.plan.source.scenes else None
    scenes = decided.info.get("scenes", {}) if decided else {}
    if differ := {name: scene["differs"] for name, scene in scenes.items() if scene.get("differs")}:
        record["differs"] = differ
    write_json(path, record, allow_nan=True)


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Versions of software, and what they made."""

    versions: Mapping[str, str]
    """As of :func:`working_versions`; empty where nobody knows them."""

    entries: Mapping[str, int]
    """Stage to the number of patches, or 1 for what is made once."""

    def same(self, other: Mapping[str, str]) -> bool:
        """Whether all that decides output has the same version; patch levels of Python and the platform do not."""
        return all(self.versions.get(name) == other.get(name) for name in versions())


def made_by(run: "Run") -> list[Maker]:
    """Which versions made the outputs of a run, as far as it has come; the one that made most comes first."""
    from landweave.runs.pipeline.stages import STAGES

    told = run.ledger.versions()
    # Entries of the same versions share one dictionary.
    counts: dict[int, tuple[Mapping[str, str], Counter[str]]] = {}
    for stage in STAGES:
        keys = [f"{stage.name}/{cell.name}" for cell in run.cells] if stage.work else []
        keys += [stage.key] if stage.once_inputs else []
        for key in keys if stage.needed(run) else ():
            if key in told:
                counts.setdefault(id(told[key]), (told[key], Counter()))[1][stage.name] += 1
    found = [Maker(versions=versions, entries=dict(count)) for versions, count in counts.values()]
    return sorted(found, key=lambda maker: (-sum(maker.entries.values()), str(maker.versions)))


def adopt_record(ledger: Ledger, folder: Path) -> bool:
    """Give entries of an older ledger the versions that ``run.json`` names; whether there were any such entries."""
    record = read_record(folder / layout.RECORD)
    known = {
        "landweave": record.get("landweave"), "python": record.get("python"), "platform": record.get("platform"),
        "Python": ".".join(str(record.get("python")).split(".")[:2]), **record.get("versions", {}),
    }  # fmt: skip
    if not record.get("landweave") or "made_by" in record:
        return False
    return ledger.adopt({name: str(text) for name, text in known.items() if text is not None}) > 0


def working_versions() -> dict[str, str]:
    """Versions as the ledger keeps them: those of :func:`versions`, with Python's patch level and the platform."""
    return {**versions(), "python": platform.python_version(), "platform": platform.platform()}


def _told(makers: Sequence[Maker]) -> dict[str, Any]:
    """The keys of ``run.json`` that name versions: those that made the outputs, not those that looked at them last."""
    known = [maker.versions for maker in makers if maker.versions] or [working_versions()]

    def joined(name: str) -> str:
        return ", ".join(dict.fromkeys(one[name] for one in known if name in one)) or "unknown"

    return {
        **{name: joined(name) for name in ("landweave", "python", "platform")},
        "versions": {name: joined(name) for name in PACKAGES},
    }


def versions() -> dict[str, str]:
    """What must be the same on every machine that works on one map."""
    return {
        "landweave": landweave.__version__,
        "Python": ".".join(platform.python_version_tuple()[:2]),
        **{name: _version(name) or "none" for name in PACKAGES},
    }


def log_path(folder: Path, key: str) -> Path:
    """Where the whole log of a failure lies, as long as it is one."""
    return folder / layout.log(key)


def keep_log(folder: Path, key: str, log: str) -> None:
    """Keep the log of a failure; where there is no room for it, its last line in the ledger must do."""
    with suppress(OSError):
        write_text(log_path(folder, key), log)


def _compared(run: "Run", stages: dict[str, Any]) -> dict[str, Any] | None:
    """What was forecast beside what it came to, once everything is made; None without a forecast."""
    told = read_record(run.plan.folder / layout.FORECAST)
    if not told or run.done("report") is None:
        return None
    return outcome(run.plan.folder, told, stages)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
