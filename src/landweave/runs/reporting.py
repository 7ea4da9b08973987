"""Gather what lies on disk into ``report.html``."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from landweave.accuracy.figures import Curve
from landweave.accuracy.report import Panel, ReportContent, Stage, render_report
from landweave.legend import Legend
from landweave.patch.grid import Cell
from landweave.patch.store import write_whole
from landweave.runs.assignment import Assignment
from landweave.runs.observations import observed
from landweave.runs.opening import Plan
from landweave.runs.reading import FinishedRun
from landweave.runs.record import read_record

PANELS = 3
"""Patches that are shown image, reference and prediction side by side."""

MAP_SIDE = 1200
"""Pixels of the drawn map's longer side."""


def write_report(
    plan: Plan,
    cells: Sequence[Cell],
    assignment: Assignment | None,
    *,
    mapped: Sequence[Mapping[str, int]],
    seen: Mapping[Cell, Sequence[int]],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Write ``report.html``.

    Parameters
    ----------
    plan, cells, assignment
        The run.
    mapped
        Per patch, class value to mapped pixels.
    seen
        Fetched patch to its pixels that were seen 0, 1, ... times.
    warnings
        From :func:`landweave.runs.notices.notices`.
    """
    run = FinishedRun(plan=plan, cells=tuple(cells))
    accuracy = run.accuracy if run.has_accuracy else None
    record = read_record(plan.folder / "run.json")
    shares = _shares(plan.legend, mapped, assignment)
    content = ReportContent(
        title=plan.project.name,
        subtitle=f"Land cover, {plan.start} to {plan.end}: {len(cells)} patches, {len(plan.dates)} acquisition dates.",
        accuracy=accuracy,
        legend=[(c.value, c.name, c.color) for c in plan.legend.classes],
        warnings=warnings,
        map_image=_small_map(plan.folder / "map.tif"),
        map_caption="The map, fitted on all labelled patches." if plan.project.model.refit else "The map.",
        training=_known(accuracy, "training_rows"),
        land={name: share for name, _, share in shares if share is not None},
        curves=curves_of(accuracy),
        shares=shares if assignment is not None else [],
        panels=[_panel(run, cell) for cell in _chosen(cells, assignment)],
        settings=_settings(plan),
        stages=_stages(record),
        notes=_notes(accuracy),
        observed=observed(plan, list(seen), list(seen.values())) if seen else None,
    )
    html = render_report(content)

    def write(part: Path) -> None:
        part.write_text(html, encoding="utf-8")

    write_whole(plan.folder / "report.html", write)
    return {"files": ["report.html"], "info": {"bytes": len(html.encode())}}


def evaluation_report(figures: Mapping[str, Any], legend: Legend, table: Path) -> str:
    """The report of ``landweave evaluate``: figures without a map."""
    return render_report(
        ReportContent(
            title=f"Evaluation of {table.name}",
            subtitle=f"{figures['model']} on {sum(figures['training_rows'].values())} samples; no map is involved.",
            accuracy=figures,
            legend=[(c.value, c.name, c.color) for c in legend.classes],
            training=figures["training_rows"],
            curves=curves_of(figures),
            settings={"model": figures["model"], "seed": str(figures["seed"]), "split": figures["split"]["how"]},
        )
    )


def curves_of(accuracy: Mapping[str, Any] | None) -> list[Curve]:
    """The ROC curves that ``accuracy.json`` holds."""
    drawn = (accuracy or {}).get("roc", {})
    return [
        Curve(
            name=name,
            auc=(accuracy or {})["classes"][name]["auc"]["value"],
            fpr=np.array(curve["false_positive_rate"]),
            tpr=np.array(curve["true_positive_rate"]),
        )
        for name, curve in drawn.items()
    ]


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


def _known(accuracy: Mapping[str, Any] | None, key: str) -> dict[str, int]:
    return dict((accuracy or {}).get(key, {}))


def _small_map(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        shrink = max(1.0, max(file.shape) / MAP_SIDE)
        shape = tuple(max(1, round(side / shrink)) for side in file.shape)
        small: np.ndarray = file.read(1, out_shape=shape, resampling=rasterio.enums.Resampling.mode)
    return small


def _chosen(cells: Sequence[Cell], assignment: Assignment | None) -> list[Cell]:
    """Test patches first: they show what the figures speak of. Evenly spread over the names, the same each time."""
    testers = {unit.split("/")[0] for unit, role in (assignment.roles.items() if assignment else ()) if role == "test"}
    pool = [cell for cell in cells if cell.name in testers] or list(cells)
    at = np.unique(np.linspace(0, len(pool) - 1, min(PANELS, len(pool))).round().astype(int))
    return [pool[i] for i in at]


def _panel(run: FinishedRun, cell: Cell) -> Panel:
    from landweave.patch.store import read_raster

    shape = cell.geobox.shape
    reference, prediction = (run.folder / kind / f"{cell.name}.tif" for kind in ("labels", "predictions"))
    return Panel(
        name=cell.name,
        image=run.clearest_image(cell.name),
        reference=read_raster(reference)[0] if reference.exists() else np.zeros(shape, "uint8"),
        prediction=read_raster(prediction)[0] if prediction.exists() else np.zeros(shape, "uint8"),
        caption=f"clearest date: {run.clearest_date(cell.name)}",
    )


def _settings(plan: Plan) -> dict[str, str]:
    project = plan.project
    rows = {
        "area": project.area, "source": project.source, "features": project.features, "reference": project.reference,
        "training": project.training, "sampling": project.sampling, "model": project.model,
    }  # fmt: skip
    return {
        name: ", ".join(f"{k} = {_plain(v)}" for k, v in part.model_dump(mode="json", exclude_defaults=True).items())
        or "defaults"
        for name, part in rows.items()
        if part is not None
    }


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _stages(record: Mapping[str, Any]) -> list[Stage]:
    return [
        Stage(name=name, seconds=row["seconds"], cpu_seconds=row["cpu_seconds"], peak_bytes=row["peak_bytes"])
        for name, row in record.get("stages", {}).items()
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
        "Accuracy against the truth is agreement with the reference plus the first share less the second.",
    ]
