"""``run.json``: versions, settings, seconds, CPU seconds, peak memory and bytes read."""

import json
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import landweave
from landweave.patch.store import write_whole
from landweave.runs.executor import peak_bytes
from landweave.runs.forecasting import FORECAST, outcome
from landweave.sources.remote import readable

if TYPE_CHECKING:
    from landweave.runs.driver import Result
    from landweave.runs.project import Project
    from landweave.runs.state import Run

PACKAGES = (
    "numpy", "pandas", "xarray", "rasterio", "pyproj", "shapely", "geopandas", "odc-geo", "zarr",
    "numba", "lightgbm", "scikit-learn", "distributed",
)  # fmt: skip


def write_record(run: "Run", result: "Result", *, seconds: float) -> None:
    """Write ``run.json``; of stages that were fresh the measures of the run that made them are kept."""
    path = run.plan.folder / "run.json"
    before = read_record(path)
    stages = {**before.get("stages", {}), **run.measured}
    record = {
        "landweave": landweave.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _version(name) for name in PACKAGES},
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
    }  # fmt: skip
    text = json.dumps(record, indent=1) + "\n"

    def write(part: Any) -> None:
        part.write_text(text, encoding="utf-8")

    write_whole(path, write)


def versions() -> dict[str, str]:
    """What must be the same on every machine that works on one map."""
    return {
        "landweave": landweave.__version__,
        "Python": ".".join(platform.python_version_tuple()[:2]),
        **{name: _version(name) or "none" for name in PACKAGES},
    }


def log_path(folder: Path, key: str) -> Path:
    """Where the whole log of a failure lies, as long as it is one."""
    return folder / "logs" / f"{key.replace('/', '_')}.txt"


def keep_log(folder: Path, key: str, log: str) -> None:
    """Keep the log of a failure; where there is no room for it, its last line in the ledger must do."""

    def write(part: Any) -> None:
        part.write_text(log, encoding="utf-8")

    with suppress(OSError):
        write_whole(log_path(folder, key), write)


def _compared(run: "Run", stages: dict[str, Any]) -> dict[str, Any] | None:
    """What was forecast beside what it came to, once everything is made; None without a forecast."""
    told = read_record(run.plan.folder / FORECAST)
    if not told or run.done("report") is None:
        return None
    return outcome(run.plan.folder, told, stages)


def told_settings(project: "Project", **options: Any) -> dict[str, Any]:
    """A project's settings for records and reports, which go to others than those who may know a key in an address."""
    settings: dict[str, Any] = project.model_dump(mode="json", **options)
    url = settings.get("source", {}).get("url")
    if url:
        settings["source"]["url"] = readable(url)
    return settings


def read_record(path: Any) -> dict[str, Any]:
    """An earlier ``run.json``; empty where there is none that can be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
