"""What the command `landweave init` does in a terminal."""

from pathlib import Path
from typing import Annotated

import typer

from landweave.cli.terminal.speech import SPEECH
from landweave.errors import InputError


def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the project; created if missing.")] = Path(),
    images: Annotated[
        str | None,
        typer.Option(help="Folder of images, EOPatches or a data set; a table or a pattern of images; a single image."),
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Polygons, points, a raster of codes, or EOPatches with labels.")
    ] = None,
    points: Annotated[Path | None, typer.Option(help="Labelled points: CSV, Parquet or a vector file.")] = None,
    table: Annotated[Path | None, typer.Option(help="Table of labelled series, instead of a reference.")] = None,
    stac: Annotated[str | None, typer.Option(help="Address or path of a STAC catalogue, instead of images.")] = None,
    bounds: Annotated[str | None, typer.Option(help="Area as west,south,east,north in degrees.")] = None,
    period: Annotated[str | None, typer.Option(help="Such as 2023, 2023-05 or 2023-03-01/2023-10-31.")] = None,
    column: Annotated[
        str | None, typer.Option(help="Column of the classes (default: found by name and values).")
    ] = None,
    crs: Annotated[str | None, typer.Option(help="CRS of labels that do not state it, such as EPSG:32633.")] = None,
    x: Annotated[str | None, typer.Option(help="Column of longitude or easting of --points.")] = None,
    y: Annotated[str | None, typer.Option(help="Column of latitude or northing of --points.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the files of an earlier init.")] = False,
) -> None:
    """Write landweave.toml and legend.toml, filled in with what is found in the given files."""
    from landweave.api.period import read_period
    from landweave.runs.project.starter.write import Given, start_project

    given = Given(
        images=images, reference=reference, points=points, table=table, stac=stac, bounds=_bounds(bounds),
        period=read_period(period) if period else (None, None), column=column, x=x, y=y, crs=crs, force=force,
    )  # fmt: skip
    SPEECH.say(start_project(folder, given))


def _bounds(text: str | None) -> tuple[float, float, float, float] | None:
    if text is None:
        return None
    try:
        west, south, east, north = (float(part) for part in text.strip("[]() ").replace(";", ",").split(","))
    except ValueError:
        raise InputError(f"init: --bounds {text!r} must be four numbers: west,south,east,north in degrees.") from None
    return west, south, east, north
