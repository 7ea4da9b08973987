"""The commands that work on a project: check, forecast, run, status, report, compare."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landweave.cli.terminal.options import AllowCode, CheckFiles, Json, Memory, ProjectFile, Workers, planned
from landweave.cli.terminal.progress import Bars
from landweave.cli.terminal.speech import SPEECH
from landweave.runs import layout

if TYPE_CHECKING:
    from landweave.runs.pipeline.outcome import Result

_SHOWN = 20
"""Failures that are printed."""


def check(project: ProjectFile, allow_code: AllowCode = False, as_json: Json = False) -> None:
    """Check a project file and its inputs without writing anything."""
    from landweave.runs.pipeline.check import check_facts
    from landweave.runs.pipeline.check_lines import check_lines
    from landweave.runs.project.settings import read_project

    facts = check_facts(read_project(project, allow_code=allow_code))
    SPEECH.answer("check", facts, check_lines(facts), as_json=as_json)


def forecast(
    project: ProjectFile,
    workers: Workers = None,
    memory: Memory = None,
    allow_code: AllowCode = False,
    as_json: Json = False,
) -> None:
    """Forecast dates, bytes, disk, memory and hours of a run; measures the speed of this machine on a small part."""
    from landweave.engine.machine import free_disk, usable_memory
    from landweave.runs.pipeline.forecast import forecast as forecast_project
    from landweave.runs.pipeline.forecast import forecast_lines, shortages
    from landweave.runs.project.settings import read_project

    opened = read_project(project, allow_code=allow_code)
    told = forecast_project(opened, workers=workers or planned(memory))
    here = {"free_disk_bytes": free_disk(opened.folder), "usable_memory_bytes": usable_memory()}
    facts = {"project": str(opened.file), **asdict(told), **here, "shortages": shortages(told, opened.folder)}
    SPEECH.answer("forecast", facts, forecast_lines(told, opened.folder), as_json=as_json)


def run(
    project: ProjectFile,
    only: Annotated[list[str] | None, typer.Option(help="Name of a patch to work on; repeat for several.")] = None,
    until: Annotated[str | None, typer.Option(help="Last stage to run.")] = None,
    retrain: Annotated[bool, typer.Option("--retrain", help="Train again, even if the model is frozen.")] = False,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Train even if patches failed; freezes the model.")
    ] = False,
    workers: Workers = None,
    memory: Memory = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a dask scheduler.")] = None,
    check_files: CheckFiles = False,
    allow_code: AllowCode = False,
    as_json: Json = False,
) -> None:
    """Run the stages that are missing or out of date."""
    from landweave.runs.pipeline.driver import run as run_project
    from landweave.runs.pipeline.state import Options
    from landweave.runs.project.settings import read_project

    options = Options(
        only=tuple(only or ()), until=until, retrain=retrain, allow_missing=allow_missing, check_files=check_files
    )
    with Bars() as bars:
        result = run_project(
            read_project(project, allow_code=allow_code), options=options, workers=workers or planned(memory),
            memory=memory, scheduler=scheduler, progress=bars,
        )  # fmt: skip
    finish(result, project, as_json=as_json)


def status(
    project: ProjectFile,
    check_files: CheckFiles = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with status 1 if anything is missing, failed or out of date.")
    ] = False,
    allow_code: AllowCode = False,
    as_json: Json = False,
) -> None:
    """List what is done, what failed, what is out of date and why, and how far a run has come that works now."""
    from landweave.runs.pipeline.status import lines_of, status_facts
    from landweave.runs.project.settings import read_project

    facts = status_facts(read_project(project, allow_code=allow_code), check_files=check_files)
    SPEECH.answer("status", facts, lines_of(facts), as_json=as_json)
    if exit_code and not facts["up_to_date"]:
        raise typer.Exit(1)


def report(project: ProjectFile, allow_code: AllowCode = False) -> None:
    """Write the report again from the stored results."""
    from landweave.runs.pipeline.status import remake_report
    from landweave.runs.project.settings import read_project

    SPEECH.say(f"Report: {remake_report(read_project(project, allow_code=allow_code))}")


def compare(project: ProjectFile, allow_code: AllowCode = False, as_json: Json = False) -> None:
    """Compare the register with the map, and rank the places where the register is likely wrong."""
    from landweave.runs.results.compare import compare as compare_project
    from landweave.runs.results.compare import comparison_lines

    with Bars() as bars:
        found = compare_project(project, progress=bars.counter("compare"), allow_code=allow_code)
    facts = {**found.figures, "files": [str(path) for path in found.files]}
    SPEECH.answer("compare", facts, comparison_lines(found), as_json=as_json)


def finish(result: "Result", project: Path, *, as_json: bool = False) -> None:
    """Print what became of a run and where to look, and end with its status."""
    for what, error in result.failures[:_SHOWN]:
        SPEECH.warn(f"failed: {what}: {error}")
        if SPEECH.verbose:
            SPEECH.note(f"  log: {result.folder / layout.log(what)}")
    if len(result.failures) > _SHOWN:
        SPEECH.warn(f"and {len(result.failures) - _SHOWN} more; `landweave status` lists them")
    for line in (line for line in result.notices if not line.startswith("Failed")):
        SPEECH.note(f"note: {line}")
    if result.stopped:
        SPEECH.warn(f"stopped: {result.stopped}")
    facts = _facts(result, project)
    SPEECH.answer("run", facts, _lines(result, facts), as_json=as_json)
    raise typer.Exit(result.status)


def _facts(result: "Result", project: Path) -> dict[str, Any]:
    page = result.folder / layout.REPORT
    return {
        "project": str(project),
        "folder": str(result.folder),
        "status": result.status,
        "stopped": result.stopped,
        "made": result.made,
        "failures": [{"what": what, "error": error} for what, error in result.failures],
        "notices": result.notices,
        "agreement": result.agreement,
        "map": _map_facts(result.folder / layout.MAP),
        "report": str(page) if page.exists() else None,
    }


def _map_facts(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    import rasterio

    with rasterio.open(path) as file:
        return {
            "path": str(path), "width": file.width, "height": file.height, "pixel_size": abs(file.res[0]),
            "unit": file.crs.units_factor[0], "crs": str(file.crs), "bytes": path.stat().st_size,
        }  # fmt: skip


def _lines(result: "Result", facts: dict[str, Any]) -> list[str]:
    from landweave.cli.extras import install_line
    from landweave.engine.machine import size_text

    lines = []
    if not result.made and not result.stopped:
        lines.append(f"Nothing to do: everything in {result.folder} is up to date.")
    elif result.agreement and not result.stopped:
        low, high = result.agreement["low"], result.agreement["high"]
        reason = result.agreement.get("reason", "")
        interval = f" ({low:.3f} to {high:.3f})" if low is not None else f" (no interval: {reason})" * bool(reason)
        lines.append(f"agreement with the reference: {result.agreement['value']:.3f}{interval}; the report explains it")
    if made := facts["map"]:
        unit = {"metre": "m"}.get(made["unit"], made["unit"])
        size = f"{made['width']} x {made['height']} pixels of {made['pixel_size']:.4g} {unit}"
        lines.append(f"map:       {made['path']} ({size}, {size_text(made['bytes'])})")
    if facts["report"]:
        lines.append(f"report:    {facts['report']} (open it in a browser)")
    if facts["map"]:
        lack = install_line("viewer")
        first = f"{lack}, then " if lack else ""
        lines.append(f"view:      {first}landweave view {facts['project']}")
    return lines
