"""The command ``landweave evaluate``."""

from pathlib import Path
from typing import Annotated

import typer

from landweave.cli.terminal.options import Json
from landweave.cli.terminal.progress import Bars
from landweave.cli.terminal.speech import SPEECH


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
    param: Annotated[
        list[str] | None, typer.Option(help="Parameter of the model, name=value; may be repeated.", show_default=False)
    ] = None,
    step_days: Annotated[
        int | None, typer.Option(min=1, help="Interpolate series to days this far apart (default: as they are).")
    ] = None,
    test: Annotated[Path | None, typer.Option(help="Table to test on, instead of folds.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of folds and model.")] = 42,
    output: Annotated[Path | None, typer.Option(help="Write the figures to this JSON file.")] = None,
    report_path: Annotated[Path | None, typer.Option("--report", help="Write a report to this HTML file.")] = None,
    allow_code: Annotated[bool, typer.Option("--allow-code", help="Let --model name any class.")] = False,
    as_json: Json = False,
) -> None:
    """Cross-validate on a table of labelled pixel series, without any raster."""
    from landweave.runs.evaluate import Evaluation, evaluate_table, evaluation_lines, parse_params

    request = Evaluation(
        table=table, samples=samples, label=label, group=group, split=split, block_size=block_size,
        folds=folds, model=model, test=test, seed=seed, allow_code=allow_code, params=parse_params(param or ()),
        step_days=step_days,
    )  # fmt: skip
    with Bars() as bars:
        figures = evaluate_table(request, output=output, report=report_path, progress=bars.counter("evaluate"))
    SPEECH.answer("evaluate", figures, evaluation_lines(figures), as_json=as_json)
