"""The command group ``landweave estimate``: size, draw, accuracy."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Accuracy and area with intervals, from a random sample that somebody labels.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
MapOrProject = Annotated[Path, typer.Argument(help="A map (raster of classes), or a project whose map it is.")]
LegendFile = Annotated[Path | None, typer.Option(help="legend.toml, where the map does not name its classes.")]
Units = Annotated[int | None, typer.Option("--n", min=4, help="Units in all (default: as many as --target needs).")]
Target = Annotated[float, typer.Option(help="Standard error of the overall accuracy to plan for.")]
ClassTarget = Annotated[float | None, typer.Option(help="Standard error of each user's accuracy to plan for.")]
Minimum = Annotated[int, typer.Option(min=2, help="Fewest units of a class.")]
Allocation = Annotated[str, typer.Option(help="proportional, equal or neyman: how the units are divided.")]
Expect = Annotated[
    list[str] | None,
    typer.Option(help="User's accuracy to expect: 0.9 for all, forest=0.95 for one class; may be given again."),
]


@app.command()
def size(
    source: Annotated[Path | None, typer.Argument(help="A map or a project; or give --share.")] = None,
    share: Annotated[list[str] | None, typer.Option(help="Share of a class, as forest=0.32; one for each.")] = None,
    n: Units = None,
    target: Target = 0.01,
    class_target: ClassTarget = None,
    minimum: Minimum = 50,
    allocation: Allocation = "proportional",
    expect: Expect = None,
    legend: LegendFile = None,
    output: Annotated[Path | None, typer.Option(help="Write the answer as JSON.")] = None,
) -> None:
    """How many units to label, and how to divide them over the classes."""
    from landweave.maps.areas import count_classes
    from landweave.report.estimate_lines import size_lines
    from landweave.runs.estimate.accuracy import write_figures
    from landweave.runs.estimate.draw import SizeRequest, plan_size
    from landweave.runs.estimate.map import find_map

    request = SizeRequest(
        n=n, target=target, class_target=class_target, minimum=minimum, allocation=allocation, expected=expect or ()
    )
    found = None if source is None else find_map(source, legend=legend)
    plan = plan_size(
        request, source=found, counted=None if found is None else count_classes(found.grid), shares=share or ()
    )
    write_figures(plan, output=output)
    for line in size_lines(plan):
        typer.echo(line)


@app.command()
def draw(
    source: MapOrProject,
    output: Annotated[Path, typer.Argument(help="GeoPackage to write, such as sample.gpkg; never overwritten.")],
    n: Units = None,
    target: Target = 0.01,
    class_target: ClassTarget = None,
    minimum: Minimum = 50,
    allocation: Allocation = "proportional",
    expect: Expect = None,
    per_class: Annotated[
        list[str] | None, typer.Option(help="Instead: units of a class, as forest=150; one for each.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws another sample.")] = 42,
    blind: Annotated[bool, typer.Option("--blind", help="Keep the map's class out of the points' columns.")] = False,
    legend: LegendFile = None,
) -> None:
    """Draw a stratified random sample of a map's pixels, ready to be labelled in QGIS."""
    from landweave.runs.estimate.draw import SizeRequest, draw_sample
    from landweave.runs.estimate.map import find_map

    request = SizeRequest(
        n=n, target=target, class_target=class_target, minimum=minimum, allocation=allocation, expected=expect or ()
    )
    drawn = draw_sample(
        find_map(source, legend=legend), output, request=request, per_class=per_class or (), seed=seed, blind=blind
    )
    for name, units in drawn["sizes"].items():
        typer.echo(f"{name:<24} {units:>6}")
    typer.echo(f"{drawn['n']} units; fill in the column reference, then: landweave estimate accuracy {output}")


@app.command()
def accuracy(
    source: Annotated[Path, typer.Argument(help="The labelled sample, or a project with [estimate] sample.")],
    map_path: Annotated[
        Path | None, typer.Option("--map", help="The map to judge (default: the one that the sample was drawn from).")
    ] = None,
    districts: Annotated[Path | None, typer.Option(help="Polygons, for figures by district.")] = None,
    column: Annotated[str | None, typer.Option(help="Column of the districts' names.")] = None,
    label: Annotated[str, typer.Option(help="Column of the labels.")] = "reference",
    design: Annotated[Path | None, typer.Option(help="The drawn file, where the labelled one lost its design.")] = None,
    drop_unlabelled: Annotated[
        bool, typer.Option("--drop-unlabelled", help="Leave out units without a label, as if missing at random.")
    ] = False,
    legend: LegendFile = None,
    output: Annotated[Path | None, typer.Option(help="Write the figures as JSON.")] = None,
    report_path: Annotated[Path | None, typer.Option("--report", help="Write them as a page of HTML.")] = None,
) -> None:
    """Accuracy and area of the classes with 95 % intervals, from a labelled sample."""
    from landweave.report.estimate_lines import accuracy_lines
    from landweave.runs.estimate.accuracy import AccuracyRequest, estimate_request, write_figures

    figures = estimate_request(
        AccuracyRequest(
            source=source, map=map_path, districts=districts, column=column, label=label, design=design,
            drop_unlabelled=drop_unlabelled, legend=legend,
        )
    )  # fmt: skip
    write_figures(figures, output=output, report=report_path)
    for line in accuracy_lines(figures):
        typer.echo(line)
