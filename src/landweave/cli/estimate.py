"""The command group ``landweave estimate``: size, draw, accuracy, compare."""

from pathlib import Path
from typing import Annotated

import typer

from landweave.cli.terminal.commands import Commands
from landweave.cli.terminal.options import Json
from landweave.cli.terminal.speech import SPEECH

app = Commands(
    name="estimate",
    help="Estimate accuracy and area with intervals from a labelled random sample.",
    path="landweave estimate",
)
MapOrProject = Annotated[Path, typer.Argument(help="A map (raster of classes), or a project that has a map.")]
LegendFile = Annotated[Path | None, typer.Option(help="legend.toml, if the map does not name its classes.")]
Units = Annotated[
    int | None, typer.Option("--n", min=4, help="Total number of units (default: as many as --target needs).")
]
Target = Annotated[float, typer.Option(help="Standard error of the overall accuracy to plan for.")]
ClassTarget = Annotated[float | None, typer.Option(help="Standard error of each user's accuracy to plan for.")]
Minimum = Annotated[int, typer.Option(min=2, help="Minimum number of units per class.")]
Allocation = Annotated[str, typer.Option(help="How to divide the units: proportional, equal, neyman or power.")]
Expect = Annotated[
    list[str] | None,
    typer.Option(help="Expected user's accuracy: 0.9 for all classes, forest=0.95 for one; repeat for several."),
]


@app.command()
def size(
    source: Annotated[Path | None, typer.Argument(help="A map or a project; otherwise use --share.")] = None,
    share: Annotated[
        list[str] | None,
        typer.Option(help="Share of a class; repeat for every class: --share forest=0.32 --share other=0.68."),
    ] = None,
    n: Units = None,
    target: Target = 0.01,
    class_target: ClassTarget = None,
    minimum: Minimum = 50,
    allocation: Allocation = "proportional",
    expect: Expect = None,
    omission: Annotated[
        float,
        typer.Option(help="Share of each class that the map may miss; for the number of omitted units to expect."),
    ] = 0.1,
    legend: LegendFile = None,
    output: Annotated[Path | None, typer.Option(help="Write the result to this JSON file.")] = None,
    as_json: Json = False,
) -> None:
    """Compute how many units to label, and how to divide them over the classes."""
    from landweave.maps.areas import count_classes
    from landweave.report.estimate_lines import size_lines
    from landweave.runs.estimate.accuracy import write_figures
    from landweave.runs.estimate.draw import SizeRequest, plan_size
    from landweave.runs.estimate.map import find_map

    request = SizeRequest(
        n=n, target=target, class_target=class_target, minimum=minimum, allocation=allocation, expected=expect or (),
        omission=omission,
    )  # fmt: skip
    found = None if source is None else find_map(source, legend=legend)
    plan = plan_size(
        request, source=found, counted=None if found is None else count_classes(found.grid), shares=share or ()
    )
    write_figures(plan, output=output)
    SPEECH.answer("estimate size", plan, size_lines(plan), as_json=as_json)


@app.command()
def draw(
    source: MapOrProject,
    output: Annotated[
        Path, typer.Argument(help="GeoPackage to write, such as sample.gpkg; an existing file is never overwritten.")
    ],
    n: Units = None,
    target: Target = 0.01,
    class_target: ClassTarget = None,
    minimum: Minimum = 50,
    allocation: Allocation = "proportional",
    expect: Expect = None,
    per_class: Annotated[
        list[str] | None, typer.Option(help="Instead: units of a class, such as forest=150; repeat for each class.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed; each seed draws another sample.")] = 42,
    blind: Annotated[bool, typer.Option("--blind", help="Do not show the map's class to the interpreter.")] = False,
    sampling: Annotated[
        str, typer.Option(help="How to draw: stratified, or systematic or two-stage, which need --n.")
    ] = "stratified",
    clusters: Annotated[int, typer.Option(min=3, help="Blocks of a two-stage sample.")] = 50,
    block: Annotated[int, typer.Option(min=1, help="Side of such a block in pixels.")] = 100,
    extend: Annotated[
        Path | None, typer.Option(help="Sample of this map to extend; its units and labels stay, its seed is used.")
    ] = None,
    legend: LegendFile = None,
    as_json: Json = False,
) -> None:
    """Draw a random sample of a map's pixels, to be labelled in QGIS or in the browser."""
    from landweave.runs.estimate.draw import SizeRequest, draw_sample
    from landweave.runs.estimate.map import find_map

    request = SizeRequest(
        n=n, target=target, class_target=class_target, minimum=minimum, allocation=allocation, expected=expect or ()
    )
    drawn = draw_sample(
        find_map(source, legend=legend), output, request=request, per_class=per_class or (), seed=seed, blind=blind,
        extend=extend, sampling=sampling, clusters=clusters, block=block,
    )  # fmt: skip
    lines = [f"{name:<24} {units:>6}" for name, units in drawn["sizes"].items()]
    added = "" if extend is None else f", {drawn['new']} of them new"
    lines.append(
        f"{drawn['n']} units{added}; fill in the column reference, then run: landweave estimate accuracy {output}"
    )
    SPEECH.answer("estimate draw", {"file": str(output), **drawn}, lines, as_json=as_json)


@app.command()
def accuracy(
    source: Annotated[Path, typer.Argument(help="The labelled sample, or a project with [estimate] sample.")],
    map_path: Annotated[
        Path | None, typer.Option("--map", help="Map to judge (default: the map that the sample was drawn from).")
    ] = None,
    districts: Annotated[Path | None, typer.Option(help="Polygons, for figures by district.")] = None,
    column: Annotated[str | None, typer.Option(help="Column of district names.")] = None,
    district_layer: Annotated[
        str | None, typer.Option(help="Layer of the districts, if their file has several.")
    ] = None,
    label: Annotated[str, typer.Option(help="Column of the labels.")] = "reference",
    layer: Annotated[str | None, typer.Option(help="Layer of the sample, if its file has several.")] = None,
    design: Annotated[
        Path | None, typer.Option(help="The drawn file, if the labelled file has lost its design.")
    ] = None,
    drop_unlabelled: Annotated[
        bool,
        typer.Option("--drop-unlabelled", help="Leave out units without a label; they count as missing at random."),
    ] = False,
    map_column: Annotated[
        str | None, typer.Option(help="Column of the map's classes, if there is no raster of the map.")
    ] = None,
    interpreter: Annotated[
        list[str] | None,
        typer.Option(help="Whose labels count: a column of labels or a name in the verdicts; of several the majority."),
    ] = None,
    estimator: Annotated[
        str, typer.Option(help="Of the areas: design, or difference or regression, which use the areas of the map.")
    ] = "design",
    legend: LegendFile = None,
    output: Annotated[Path | None, typer.Option(help="Write the figures to this JSON file.")] = None,
    report_path: Annotated[Path | None, typer.Option("--report", help="Write the figures to this HTML page.")] = None,
    as_json: Json = False,
) -> None:
    """Estimate accuracy and area of the classes with 95 % intervals from a labelled sample."""
    from landweave.report.estimate_lines import accuracy_lines
    from landweave.runs.estimate.accuracy import AccuracyRequest, estimate_request, write_figures

    figures = estimate_request(
        AccuracyRequest(
            source=source, map=map_path, districts=districts, column=column, label=label, layer=layer,
            district_layer=district_layer, design=design,
            drop_unlabelled=drop_unlabelled, map_column=map_column, estimator=estimator,
            interpreters=tuple(interpreter or ()), legend=legend,
        )
    )  # fmt: skip
    write_figures(figures, output=output, report=report_path)
    SPEECH.answer("estimate accuracy", figures, accuracy_lines(figures), as_json=as_json)


@app.command()
def compare(
    source: Annotated[Path, typer.Argument(help="The labelled sample.")],
    maps: Annotated[
        list[Path] | None, typer.Option("--map", help="One of the two maps; give the option twice.")
    ] = None,
    map_column: Annotated[
        list[str] | None, typer.Option(help="Instead of a map: a column of the sample with its classes.")
    ] = None,
    label: Annotated[str, typer.Option(help="Column of the labels.")] = "reference",
    layer: Annotated[str | None, typer.Option(help="Layer of the sample, if its file has several.")] = None,
    design: Annotated[
        Path | None, typer.Option(help="The drawn file, if the labelled file has lost its design.")
    ] = None,
    drop_unlabelled: Annotated[
        bool,
        typer.Option("--drop-unlabelled", help="Leave out units without a label; they count as missing at random."),
    ] = False,
    legend: LegendFile = None,
    output: Annotated[Path | None, typer.Option(help="Write the figures to this JSON file.")] = None,
    as_json: Json = False,
) -> None:
    """Compare the accuracies of two maps by one labelled sample."""
    from landweave.errors import InputError
    from landweave.report.map_comparison_lines import compare_lines
    from landweave.runs.estimate.accuracy import write_figures
    from landweave.runs.estimate.compare_maps import JudgedMap, compare_maps
    from landweave.runs.estimate.map import find_map

    given = [JudgedMap(source=find_map(path, legend=legend)) for path in maps or ()]
    given += [JudgedMap(column=name) for name in map_column or ()]
    if len(given) != 2:
        raise InputError(
            f"{len(given)} maps are given; give two, such as --map old.tif --map new.tif, or --map new.tif "
            "--map-column old."
        )
    figures = compare_maps(
        source, given[0], given[1], legend=legend, label=label, layer=layer, design=design,
        drop_unlabelled=drop_unlabelled,
    )  # fmt: skip
    write_figures(figures, output=output)
    SPEECH.answer("estimate compare", figures, compare_lines(figures), as_json=as_json)
