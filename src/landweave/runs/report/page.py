"""The title, subtitle and all content of ``report.html``, gathered from a run's files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import landweave
from landweave.errors import InputError
from landweave.legend import Legend
from landweave.patch.grid import Cell
from landweave.patch.store import write_json, write_text
from landweave.report.report import ReportContent, Section, StageCost, render_report
from landweave.report.sections.patches import to_json
from landweave.runs import layout
from landweave.runs.estimate.accuracy import estimate_project
from landweave.runs.project.plan import Plan
from landweave.runs.report.coverage import observed
from landweave.runs.report.pictures import acquisition_images, agreements, block, panels, small_map
from landweave.runs.report.provenance import checksum, provenance
from landweave.runs.results.record import read_record, told_settings
from landweave.runs.results.run import FinishedRun
from landweave.runs.sample.assignment import Assignment

NOT_TRUTH = (
    "A reference is not the truth: land has changed since it was surveyed, its labels are more general than pixels, "
    "its classes overlap, and there are mistakes. A map that is right in such places counts as wrong."
)
"""Why agreement is not accuracy."""

POINTS = (
    "The reference consists of points. Unless they were drawn at random, the figures hold for places like these "
    "points, not for the whole map."
)
"""What points that were chosen by hand do not show."""


def write_report(
    plan: Plan,
    cells: Sequence[Cell],
    assignment: Assignment | None,
    *,
    mapped: Sequence[Mapping[str, int]],
    seen: Mapping[Cell, Mapping[str, Any]],
    measured: Mapping[str, Mapping[str, Any]],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Write ``report.html``, and ``agreement.json`` with what its map of patches shows.

    Parameters
    ----------
    plan, cells, assignment
        The run.
    mapped
        Per patch, class value to mapped pixels.
    seen
        Fetched patch to its record of the fetch stage.
    measured
        Stage to what it took in this run; of the others the record of earlier runs is told.
    warnings
        From :func:`landweave.runs.pipeline.notices.notices`.
    """
    fractions = {cell.name: info["valid_fraction"] for cell, info in seen.items()}
    run = FinishedRun(plan=plan, cells=tuple(cells), fractions=fractions, taught=assignment)
    patches = agreements(run)
    accuracy = run.accuracy if run.has_accuracy else None
    record = read_record(plan.folder / layout.RECORD)
    shares = _shares(plan.legend, mapped, assignment)
    points = plan.reference is not None and plan.reference.kind == "points"
    stages = {**record.get("stages", {}), **measured}
    facts, hectares = provenance(plan, stages, version=record.get("landweave"))
    estimated, unusable = _estimated(plan)
    importance = (read_record(plan.folder / layout.IMPORTANCE) or None) if accuracy is not None else None
    content = ReportContent(
        title=plan.project.name,
        subtitle=(
            f"Land cover, {_when(plan)}: {_counted(len(cells), 'patch', 'patches')}, "
            f"{_counted(len(plan.dates), 'acquisition date', 'acquisition dates')}."
        ),
        accuracy=accuracy,
        legend=[(c.value, c.name, c.color) for c in plan.legend.classes],
        warnings=[*warnings, *unusable],
        design_based=estimated,
        importance=importance,
        sections=[] if accuracy is None else [_suspicion(read_record(plan.folder / layout.LABEL_ERRORS_SUMMARY))],
        acquisitions=acquisition_images(run, importance or {}),
        map_image=small_map(run),
        map_caption="The map, fitted on all labelled patches." if plan.project.model.refit else "The map.",
        land={name: share for name, _, share in shares if share is not None},
        shares=shares if assignment is not None else [],
        land_is_area=not points,
        patches=patches,
        panels=panels(run, patches),
        block=block(run),
        settings=_settings(plan),
        stages=_stages(stages),
        facts=facts,
        hectares=hectares,
        notes=[*([POINTS] if points and accuracy is not None else []), *_notes(accuracy)],
        seams=read_record(plan.folder / layout.SEAMS) or None,
        trust=read_record(plan.folder / layout.TRUST_SUMMARY) or None if plan.project.map.trust else None,
        observed=observed(plan, list(seen), [info["valid_counts"] for info in seen.values()]) if seen else None,
    )
    html = _undated(render_report(content), plan)
    write_text(plan.folder / layout.REPORT, html)
    write_json(plan.folder / layout.AGREEMENT, to_json(patches), allow_nan=True)
    return {"files": [layout.REPORT, layout.AGREEMENT], "info": {"bytes": len(html.encode())}}


def _undated(html: str, plan: Plan) -> str:
    """The page without a date that was invented; whatever names a date, names this one where there is no other."""
    if not plan.project.source.undated:
        return html
    for day in {str(day)[:10] for day in (*plan.dates, plan.start, plan.end)}:
        html = html.replace(day, "date not known")
    return html


def _when(plan: Plan) -> str:
    return "date of the images not known" if plan.project.source.undated else f"{plan.start} to {plan.end}"


def _counted(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def _suspicion(listed: Mapping[str, Any]) -> Section:
    """Why the reference is not the truth, and where it is likely wrong, as far as ``label_errors.json`` says so."""
    words = [NOT_TRUTH]
    rows = listed.get("first", [])
    if rows:
        words.append(
            f"{listed['listed']} places, {listed['hectares']:g} ha, look more like another class than like their own "
            "to models that never saw them. They are listed in label_errors.gpkg; the most doubtful:"
        )
    if rows and listed.get("precision") is not None:
        words.append(
            f"About {listed['precision']:.0%} of the list is estimated to be wrong in the reference. The list ends "
            f"where this estimate falls below {listed['least_precision']:.0%}; {listed['candidates']} places were "
            f"candidates. {listed['audit']} entries were drawn at random (column audit): judge them to measure the "
            "share."
        )
    elif listed.get("candidates"):
        words.append(
            f"No place is listed: of {listed['candidates']} candidates, fewer than {listed['least_precision']:.0%} are "
            "estimated to be wrong."
        )
    return Section(
        title="The reference under suspicion",
        paragraphs=words,
        header=("No.", "Reference", "Looks like", "Hectares", "Longitude, latitude") if rows else (),
        rows=[
            (
                str(row["rank"]), row["reference_class"], row["suggested_class"], f"{row['area_ha']:.2f}",
                f"{row['lon']:.4f}, {row['lat']:.4f}",
            )
            for row in rows[:10]
        ],
    )  # fmt: skip


def _estimated(plan: Plan) -> tuple[dict[str, Any] | None, list[str]]:
    """What the project's labelled sample says of the map, or why it says nothing: no reason to have no report."""
    try:
        return estimate_project(plan), []
    except InputError as error:
        return None, [f"No estimate from a probability sample: {error}"]


def evaluation_report(figures: Mapping[str, Any], legend: Legend, table: Path) -> str:
    """The report of ``landweave evaluate``: figures without a map."""
    return render_report(
        ReportContent(
            title=f"Evaluation of {table.name}",
            subject="model",
            subtitle=f"{figures['model']} on {sum(figures['training_rows'].values())} samples; no map is involved.",
            accuracy=figures,
            legend=[(c.value, c.name, c.color) for c in legend.classes],
            facts={"Made with": f"landweave {landweave.__version__}", f"SHA-256 of {table.name}": checksum(table)},
            settings={
                "model": figures["model"],
                "parameters": ", ".join(f"{k} = {v}" for k, v in figures["params"].items()) or "defaults",
                "seed": str(figures["seed"]),
                "split": figures["split"]["how"],
                "features": ", ".join(figures["features"]),
                "columns that are no features": "; ".join(f"{k}: {v}" for k, v in figures["left_out"].items())
                or "none",
            },
        )
    )


def _shares(
    legend: Legend, mapped: Sequence[Mapping[str, int]], assignment: Assignment | None
) -> list[tuple[str, float | None, float | None]]:
    pixels = {value: sum(int(part.get(str(value), 0)) for part in mapped) for value in legend.values}
    land = assignment.land("train", "test", "both") if assignment is not None else {}
    all_mapped, all_land = sum(pixels.values()), sum(land.values())
    return [
        (
            name,
            pixels[value] / all_mapped if all_mapped else None,
            land.get(value, 0) / all_land if all_land else None,
        )
        for value, name in legend.names.items()
    ]


def _settings(plan: Plan) -> dict[str, str]:
    told = told_settings(plan.project, exclude_defaults=True)
    names = ("area", "source", "features", "reference", "training", "sampling", "model")
    return {
        name: ", ".join(f"{k} = {_plain(v)}" for k, v in told.get(name, {}).items()) or "defaults"
        for name in names
        if getattr(plan.project, name) is not None
    }


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _stages(stages: Mapping[str, Mapping[str, Any]]) -> list[StageCost]:
    return [
        StageCost(name=name, seconds=row["seconds"], cpu_seconds=row["cpu_seconds"], peak_bytes=row["peak_bytes"])
        for name, row in stages.items()
    ]


def _notes(accuracy: Mapping[str, Any] | None) -> list[str]:
    truth = (accuracy or {}).get("against_truth")
    if not truth:
        return []
    wrong, gained, repeated = (
        f"{truth[key]:.2%}" for key in ("reference_error", "reference_wrong_map_right", "map_repeats_reference_error")
    )
    return [
        f"Simulated: the truth is known here. The reference is wrong on {wrong} of the tested land.",
        f"On {gained} of the land the reference is wrong and the map right; on {repeated} the map repeats its error.",
        "Accuracy against the truth is agreement with the reference plus the first share minus the second.",
    ]
