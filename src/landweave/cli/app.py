"""The command line: one command per verb."""

import errno
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from landweave.cli.dataset import publish_dataset, verify
from landweave.cli.estimate import app as estimate_app
from landweave.cli.init import init
from landweave.cli.progress import Bars
from landweave.errors import InputError, meant
from landweave.runs import layout

app = typer.Typer(
    name="landweave",
    help="From a year of satellite images and a reference map to a validated land cover map.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(estimate_app, name="estimate")

ProjectFile = Annotated[Path, typer.Argument(help="Project file, or the folder that holds landweave.toml.")]

Workers = Annotated[
    int | None,
    typer.Option(
        min=1, help="Number of processes (default: one per core, limited by memory); 1 works in this process."
    ),
]

AllowCode = Annotated[
    bool, typer.Option("--allow-code", help="Import any function or class that the project names; it may do anything.")
]

CheckFiles = Annotated[
    bool, typer.Option("--check-files", help="Read all files, not only those whose size or times have changed.")
]


_MENDABLE = {
    errno.EACCES: "check the name and the permissions",
    errno.EPERM: "check the name and the permissions",
    errno.EROFS: "choose another place",
    errno.ENOENT: "check the name and its folder",
    errno.ENOTDIR: "a part of it is a file, not a folder",
    errno.EISDIR: "it is a folder; give a file",
    errno.EEXIST: "give another name",
    errno.ENAMETOOLONG: "give a shorter name",
}
"""Errors of the system that whoever gave the name can mend, to what may be done."""


def main() -> None:
    """Run the command line; wrong use or input ends with status 2 and one line on stderr."""
    try:
        app()
    except InputError as error:
        _stop(str(error), 2)
    except SystemExit as end:
        if end.code == 130:  # what typer makes of an interrupt
            _stop("Interrupted; run the same command again to resume.", 130)
        raise
    except OSError as error:
        place = meant(error.filename) if error.filename else ""
        if error.errno in _MENDABLE:
            _stop(f"{place}: {error.strerror}; {_MENDABLE[error.errno]}.", 2)
        _stop(f"{error.strerror or error}{f': {place}' if place else ''}", 1)
    except RuntimeError as error:
        if "LedgerError" not in {kind.__name__ for kind in type(error).__mro__}:
            raise
        _stop(str(error), 2)


def _stop(line: str, status: int) -> None:
    typer.echo(f"landweave: {' '.join(line.split())}", err=True)
    sys.exit(status)


def _version(show: bool) -> None:
    if show:
        from landweave import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Output folder; created if missing.")] = Path("landweave-demo"),
    size_km: Annotated[float, typer.Option(min=2, max=60, help="Side of the simulated country in km.")] = 8,
    dates: Annotated[int, typer.Option(min=4, max=120, help="Acquisitions in the simulated year.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Random seed; each seed gives another country.")] = 42,
    workers: Workers = None,
) -> None:
    """Simulate a small country with its archive and register, and run everything on it."""
    from landweave.cli.demo import run_demo

    with Bars() as bars:
        result, lines = run_demo(
            folder, size_km=size_km, dates=dates, seed=seed, workers=workers or _planned(), progress=bars
        )
    for line in lines:
        typer.echo(line)
    _finish(result)


@app.command()
def simulate(
    folder: Annotated[Path, typer.Argument(help="Output folder; created if missing.")],
    size_km: Annotated[float, typer.Option("--size-km", min=0.6, max=60, help="Side of the country in km.")] = 8,
    dates: Annotated[int, typer.Option(min=2, max=200, help="Acquisitions in the year.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Random seed; each seed gives another country.")] = 42,
    l1c: Annotated[
        bool, typer.Option("--l1c", help="Also write scenes at the top of the atmosphere (sentinel-2-l1c).")
    ] = False,
    snow_texture: Annotated[
        bool, typer.Option("--snow-texture", help="Make a country where grass and bushes differ only under snow.")
    ] = False,
) -> None:
    """Write the archive, the register and the true cover of a simulated country."""
    from landweave.sources.simulated.archive.archive import write_archive

    with Bars() as bars:
        write_archive(
            folder, size_km=size_km, dates=dates, seed=seed, l1c=l1c, snow_texture=snow_texture,
            progress=bars.counter("simulate"),
        )  # fmt: skip
    typer.echo(f"Simulated country in {folder}; next: landweave run {folder / 'landweave.toml'}")


app.command()(init)


@app.command()
def check(project: ProjectFile, allow_code: AllowCode = False) -> None:
    """Check a project file and its inputs without writing anything."""
    from landweave.runs.pipeline.check import check_project
    from landweave.runs.project.settings import read_project

    for line in check_project(read_project(project, allow_code=allow_code)):
        typer.echo(line)


@app.command()
def forecast(
    project: ProjectFile,
    workers: Workers = None,
    memory: Annotated[str | None, typer.Option(help="Memory limit per worker, such as 2GB.")] = None,
    allow_code: AllowCode = False,
) -> None:
    """Forecast dates, bytes, disk, memory and hours of a run; measures the speed of this machine on a small part."""
    from landweave.runs.pipeline.forecast import forecast as forecast_project
    from landweave.runs.pipeline.forecast import forecast_lines
    from landweave.runs.project.settings import read_project

    opened = read_project(project, allow_code=allow_code)
    for line in forecast_lines(forecast_project(opened, workers=workers or _planned(memory)), opened.folder):
        typer.echo(line)


@app.command()
def run(
    project: ProjectFile,
    only: Annotated[list[str] | None, typer.Option(help="Name of a patch to work on; repeat for several.")] = None,
    until: Annotated[str | None, typer.Option(help="Last stage to run.")] = None,
    retrain: Annotated[bool, typer.Option("--retrain", help="Train again, even if the model is frozen.")] = False,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Train even if patches failed; freezes the model.")
    ] = False,
    workers: Workers = None,
    memory: Annotated[str | None, typer.Option(help="Memory limit per worker, such as 2GB.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a dask scheduler.")] = None,
    check_files: CheckFiles = False,
    allow_code: AllowCode = False,
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
            read_project(project, allow_code=allow_code), options=options, workers=workers or _planned(memory),
            memory=memory, scheduler=scheduler, progress=bars,
        )  # fmt: skip
    _finish(result)


@app.command()
def status(project: ProjectFile, check_files: CheckFiles = False, allow_code: AllowCode = False) -> None:
    """List what is done, what failed, and what is out of date and why."""
    from landweave.runs.pipeline.status import status_lines
    from landweave.runs.project.settings import read_project

    for line in status_lines(read_project(project, allow_code=allow_code), check_files=check_files):
        typer.echo(line)


@app.command()
def report(project: ProjectFile, allow_code: AllowCode = False) -> None:
    """Write the report again from the stored results."""
    from landweave.runs.pipeline.status import remake_report
    from landweave.runs.project.settings import read_project

    typer.echo(f"Report: {remake_report(read_project(project, allow_code=allow_code))}")


@app.command()
def compare(project: ProjectFile, allow_code: AllowCode = False) -> None:
    """Compare the register with the map, and rank the places where the register is likely wrong."""
    from landweave.runs.results.compare import compare as compare_project
    from landweave.runs.results.compare import comparison_lines

    with Bars() as bars:
        found = compare_project(project, progress=bars.counter("compare"), allow_code=allow_code)
    for line in comparison_lines(found):
        typer.echo(line)


@app.command()
def view(
    project: ProjectFile,
    host: Annotated[
        str, typer.Option(help="Address to listen on; other addresses than 127.0.0.1 show the project to others.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 chooses a free one.")] = 8765,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Another host name to accept from browsers; repeat for several.")
    ] = None,
    allow_code: AllowCode = False,
) -> None:
    """Show a project's map, images and pixels in a browser; stop with Ctrl-C."""
    _needs_viewer()
    from landweave.viewer.server import open_view, serve

    typer.echo(
        "Opening the run. The first view makes maps of reference and disagreement; this may take a while.", err=True
    )
    serve(open_view(project, allow_code=allow_code), host=host, port=port, names=tuple(allow_host or ()))


@app.command()
def publish(
    project: ProjectFile,
    folder: Annotated[Path, typer.Argument(help="Output folder; a page published there before is replaced.")],
    dataset: Annotated[
        bool, typer.Option("--dataset", help="Write the open data set instead of a page: imagery, masks, labels, map.")
    ] = False,
    eopatches: Annotated[
        bool, typer.Option("--eopatches", help="Write the patches of the data set as EOPatch folders.")
    ] = False,
    tiles: Annotated[
        str, typer.Option(help="pmtiles, or folder for servers that cannot send parts of files.")
    ] = "pmtiles",
    images: Annotated[int, typer.Option(min=0, help="Number of dates in true colour, the clearest first.")] = 4,
    attribution: Annotated[str | None, typer.Option(help="Owner of the data; shown on the page.")] = None,
    licence: Annotated[str | None, typer.Option(help="Terms of use; shown on the page.")] = None,
    allow_code: AllowCode = False,
) -> None:
    """Write a project's map as a static page for any web server, or its data as an open data set."""
    if dataset:
        publish_dataset(project, folder, eopatches=eopatches, licence=licence, allow_code=allow_code)
        return
    if eopatches:
        raise InputError("landweave publish: --eopatches is an option for data sets; add --dataset.")
    _needs_viewer()
    from landweave.viewer.publishing import Publication
    from landweave.viewer.publishing import publish as write_page

    request = Publication(tiles=tiles, images=images, attribution=attribution, licence=licence)
    with Bars() as bars:
        page = write_page(project, folder, request, progress=bars.counter("tiles"), allow_code=allow_code)
    for option, text in {"--attribution": attribution, "--licence": licence}.items():
        if text is None:
            typer.echo(f"note: {option} is missing; the page says that it is not stated.", err=True)
    typer.echo(
        f"Page: {page}; put the folder on a web server. "
        "To try it locally, publish with --tiles folder and use python -m http.server."
    )


app.command()(verify)


@app.command()
def evaluate(
    table: Annotated[Path, typer.Argument(help="Labelled series (long) or features (wide), Parquet or CSV.")],
    samples: Annotated[
        Path | None, typer.Option(help="Table of labels for the long form (default: found by file name).")
    ] = None,
    label: Annotated[str, typer.Option(help="Column of the labels.")] = "label",
    group: Annotated[str | None, typer.Option(help="Column of groups that are held out as a whole.")] = None,
    split: Annotated[str | None, typer.Option(help="random, group or block (default random).")] = None,
    block_size: Annotated[float, typer.Option(min=1e-6, help="Side of the blocks in degrees.")] = 0.1,
    folds: Annotated[int, typer.Option(min=2, help="Number of folds of the cross-validation.")] = 5,
    model: Annotated[str, typer.Option(help="lightgbm, random_forest or the import path of a class.")] = "lightgbm",
    test: Annotated[Path | None, typer.Option(help="Table to test on, instead of folds.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of folds and model.")] = 42,
    output: Annotated[Path | None, typer.Option(help="Write the figures to this JSON file.")] = None,
    report_path: Annotated[Path | None, typer.Option("--report", help="Write a report to this HTML file.")] = None,
    allow_code: Annotated[bool, typer.Option("--allow-code", help="Let --model name any class.")] = False,
) -> None:
    """Cross-validate on a table of labelled pixel series, without any raster."""
    from landweave.runs.evaluate import Evaluation, evaluate_table, evaluation_lines

    request = Evaluation(
        table=table, samples=samples, label=label, group=group, split=split, block_size=block_size,
        folds=folds, model=model, test=test, seed=seed, allow_code=allow_code,
    )  # fmt: skip
    with Bars() as bars:
        figures = evaluate_table(request, output=output, report=report_path, progress=bars.counter("evaluate"))
    for line in evaluation_lines(figures):
        typer.echo(line)


def _needs_viewer() -> None:
    from importlib.util import find_spec

    if any(find_spec(name) is None for name in ("fastapi", "uvicorn", "rio_tiler", "pmtiles")):
        raise InputError("the view needs more packages: pip install 'landweave[viewer]'.")


def _planned(memory: str | None = None) -> int:
    from landweave.engine.machine import planned_workers

    return planned_workers(memory)


def _finish(result: Any) -> None:
    for what, error in result.failures[:20]:
        typer.echo(f"failed: {what}: {error}", err=True)
    if len(result.failures) > 20:
        typer.echo(f"and {len(result.failures) - 20} more; `landweave status` lists them", err=True)
    for line in (line for line in result.notices if not line.startswith("Failed")):
        typer.echo(f"note: {line}", err=True)
    if result.stopped:
        typer.echo(f"stopped: {result.stopped}", err=True)
    elif not result.made:
        typer.echo(f"Nothing to do: everything in {result.folder} is up to date.")
    elif result.agreement:
        low, high = result.agreement["low"], result.agreement["high"]
        interval = f" ({low:.3f} to {high:.3f})" if low is not None else ""
        typer.echo(f"agreement with the reference: {result.agreement['value']:.3f}{interval}; the report explains it")
    for name in (layout.MAP, layout.REPORT):
        if (result.folder / name).exists():
            typer.echo(f"{name.split('.')[0]}: {result.folder / name}")
    raise typer.Exit(result.status)
