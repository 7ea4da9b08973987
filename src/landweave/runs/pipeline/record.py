"""``run.json``: versions, settings, seconds, CPU seconds, peak memory and bytes read."""

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import landweave
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
        "left_out": list(run.plan.source.notes),
    }  # fmt: skip
    write_json(path, record, allow_nan=True)


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
