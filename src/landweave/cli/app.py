"""The command line: one command per verb."""

import errno
import sys
from pathlib import Path
from typing import Annotated

import typer

from landweave.cli.dataset import publish_dataset, verify
from landweave.cli.estimate import app as estimate_app
from landweave.cli.evaluate import evaluate
from landweave.cli.extras import need_viewer
from landweave.cli.init import init
from landweave.cli.project import check, compare, finish, forecast, report, run, status
from landweave.cli.schema import schema
from landweave.cli.terminal.commands import Commands, usage_line
from landweave.cli.terminal.options import AllowCode, ProjectFile, Workers, planned
from landweave.cli.terminal.progress import Bars
from landweave.cli.terminal.speech import SPEECH
from landweave.errors import InputError, meant

app = Commands(
    name="landweave",
    help="From a year of satellite images and a reference map to a validated land cover map.",
    path="landweave",
    completion=True,
)

app.add_typer(estimate_app, name="estimate")


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
        status = app(prog_name="landweave", standalone_mode=False)
    except InputError as error:
        _stop(str(error), 2)
    except OSError as error:
        place = meant(error.filename) if error.filename else ""
        if error.errno in _MENDABLE:
            _stop(f"{place}: {error.strerror}; {_MENDABLE[error.errno]}.", 2)
        _stop(f"{error.strerror or error}{f': {place}' if place else ''}", 1)
    except typer.Abort:
        _stop("Aborted.", 1)
    except RuntimeError as error:
        if "LedgerError" not in {kind.__name__ for kind in type(error).__mro__}:
            raise
        _stop(str(error), 2)
    except Exception as error:
        # Typer brings its own copy of click or uses the installed one: its errors are known by what they can do.
        if not hasattr(error, "format_message"):
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            typer.echo(error.format_message(), err=True)
            sys.exit(2)
        _stop_as(usage_line(error), getattr(error, "exit_code", 2))
    if status == _INTERRUPTED:
        _stop("Interrupted; run the same command again to resume.", _INTERRUPTED)
    sys.exit(status if isinstance(status, int) else 0)


_INTERRUPTED = 130
"""What typer makes of an interrupt."""


def _stop(line: str, status: int) -> None:
    _stop_as(f"landweave: {' '.join(line.split())}", status)


def _stop_as(line: str, status: int) -> None:
    typer.echo(line, err=True)
    sys.exit(status)


def _version(show: bool) -> None:
    if show:
        from landweave.cli.versions import version_lines

        for line in version_lines():
            typer.echo(line)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print landweave's version and those that matter to it."
        ),
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
            folder, size_km=size_km, dates=dates, seed=seed, workers=workers or planned(), progress=bars
        )
    SPEECH.say(lines)
    finish(result, folder)


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
    SPEECH.say(f"Simulated country in {folder}; next: landweave run {folder / 'landweave.toml'}")


app.command()(init)
app.command()(check)
app.command()(forecast)
app.command()(run)
app.command()(status)
app.command()(report)
app.command()(compare)


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
    verdicts: Annotated[
        str | None,
        typer.Option(
            help="Judge in the view: places (doubtful places of the reference), audit (label errors drawn at random), "
            "sample (units of [estimate] sample), or a sample's .gpkg file."
        ),
    ] = None,
    verdicts_file: Annotated[
        Path | None,
        typer.Option(help="GeoPackage for verdicts on places; default: reference.verdicts, else verdicts.gpkg."),
    ] = None,
    show_map: Annotated[
        bool, typer.Option("--show-map", help="Show map and register to the interpreter of a sample.")
    ] = False,
    allow_code: AllowCode = False,
) -> None:
    """Show a project's map, images and pixels in a browser; stop with Ctrl-C."""
    need_viewer()
    from landweave.viewer.server import open_view, serve
    from landweave.viewer.verdicts.routes import judging_for

    SPEECH.note("Opening the run. The first view makes maps of reference and disagreement; this may take a while.")
    shown = open_view(project, allow_code=allow_code)
    names = tuple(allow_host or ())
    judging = judging_for(shown.run, verdicts, file=verdicts_file, show_map=show_map, host=host, names=names)
    serve(shown, host=host, port=port, names=names, judging=judging)


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
    need_viewer()
    from landweave.viewer.publishing import Publication
    from landweave.viewer.publishing import publish as write_page

    request = Publication(tiles=tiles, images=images, attribution=attribution, licence=licence)
    with Bars() as bars:
        page = write_page(project, folder, request, progress=bars.counter("tiles"), allow_code=allow_code)
    for option, text in {"--attribution": attribution, "--licence": licence}.items():
        if text is None:
            SPEECH.note(f"note: {option} is missing; the page says that it is not stated.")
    SPEECH.say(
        f"Page: {page}; put the folder on a web server. "
        "To try it locally, publish with --tiles folder and use python -m http.server."
    )


app.command()(verify)


app.command()(evaluate)
app.command()(schema)
