"""The stages, in order: what each reads, what it writes. No arithmetic stands here."""

from typing import Any

from landweave.patch.grid import Cell
from landweave.runs import learning, mapping, patchwork, tables
from landweave.runs.driver import Run, Stage, settings_print
from landweave.runs.ledger import fingerprint
from landweave.runs.notices import notices

Inputs = dict[str, str]


def grid_inputs(run: Run) -> Inputs:
    """Names and places of the patches."""
    return {"patches": fingerprint([_place(cell) for cell in run.cells])}


def make_grid(run: Run) -> dict[str, Any]:
    """Write ``grid.gpkg``."""
    return mapping.write_grid(run.plan, run.cells, roles={})


def fetch_inputs(run: Run, cell: Cell) -> Inputs:
    """Imagery, what is read of it, and how it is masked."""
    source = run.plan.project.source.model_dump(mode="json", exclude={"keep"})
    return {
        "imagery": run.imagery,
        "source": settings_print(source),
        "dates": fingerprint([run.plan.dates, run.plan.recipe.source_bands]),
        "patch": fingerprint(_place(cell)),
    }


def label_inputs(run: Run, cell: Cell) -> Inputs:
    """Reference, crosswalk and erosion; never colours."""
    classes = [(c.value, c.accepted_codes) for c in run.plan.legend.classes]
    return {
        "reference": run.reference,
        "legend codes": fingerprint([classes, run.plan.legend.ignore]),
        "reference settings": settings_print(run.plan.project.reference),
        "patch": fingerprint([_place(cell), run.plan.cut]),
    }


def sample_inputs(run: Run, cell: Cell) -> Inputs:
    """The patch's imagery and labels, and what is drawn from it."""
    return {
        "imagery": run.files_of(f"fetch/{cell.name}"),
        "labels": run.files_of(f"label/{cell.name}"),
        "draw": fingerprint([sample_task(run, cell).__dict__ | {"cell": cell.name}, run.plan.project.sampling.seed]),
        "static": tables.static_print(run.plan),
    }


def sample_task(run: Run, cell: Cell) -> patchwork.SampleTask:
    """Roles and quotas of the patch's units."""
    plan = run.assignment
    own = [unit for unit in plan.units if unit.split("/")[0] == cell.name]
    return patchwork.SampleTask(
        cell=cell,
        keep=run.keep(cell),
        units={unit: plan.units[unit] for unit in own},
        quotas={unit: plan.quotas[unit] for unit in own if unit in plan.quotas},
        test_rate=plan.test_rate,
    )


def samples_inputs(run: Run) -> Inputs:
    """All parts, or the table of series; and the recipe."""
    project = run.plan.project
    parts = [entry.files for _, entry in run.made("sample")] if project.training is None else run.reference
    return {
        "parts": fingerprint(parts),
        "features": fingerprint([run.plan.recipe.to_json(), [str(date) for date in (run.plan.start, run.plan.end)]]),
        "training": settings_print([project.training and project.training.model_dump(), _labels(run)]),
        "folds": settings_print([project.model.folds, project.sampling.seed]) if project.training else "",
    }


def make_samples(run: Run) -> dict[str, Any]:
    """Write ``samples.parquet`` and ``samples_series.parquet``."""
    if run.plan.project.training is not None:
        return tables.from_series_table(run.plan)
    roles = run.assignment.roles
    mapping.write_grid(run.plan, run.cells, roles=roles)
    return tables.from_parts(run.plan, [cell.name for cell, _ in run.made("sample")])


def train_inputs(run: Run) -> Inputs:
    """Samples, the estimator's settings, the classes' values and names."""
    model = run.plan.project.model.model_dump(include={"type", "params", "prior", "calibration", "refit", "path"})
    path = run.plan.project.model.path
    return {
        "samples": run.files_of("sample"),
        "model settings": settings_print(model),
        "classes": fingerprint(_labels(run)),
        "given model": learning.model_print(run.plan.project.path(path)) if path else "",
    }


def make_model(run: Run) -> dict[str, Any]:
    """Write ``model/``, ``folds/`` and ``samples_oof.parquet``."""
    if run.plan.project.model.path:
        return learning.apply_given(run.plan)
    missing = [cell.name for cell in run.cells if run.plan.reference is not None and run.of("sample", cell) is None]
    assignment = run.assignment if run.plan.reference is not None else None
    return learning.train(run.plan, assignment, missing=missing)


def validate_inputs(run: Run) -> Inputs:
    """Held-out probabilities, and the rule that turns them into classes."""
    model = run.plan.project.model.model_dump(include={"thresholds", "reject_below"})
    return {
        "held-out predictions": run.files_of("train"),
        "samples": run.files_of("sample"),
        "thresholds": settings_print(model),
        "truth": tables.truth_print(run.plan),
    }


def make_accuracy(run: Run) -> dict[str, Any]:
    """Write ``accuracy.json``."""
    assignment = run.assignment if run.plan.reference is not None else None
    return learning.validate(run.plan, assignment)


def predict_inputs(run: Run, cell: Cell) -> Inputs:
    """Imagery, model, the folds in use and the thresholds."""
    model = run.plan.project.model
    return {
        "imagery": run.files_of(f"fetch/{cell.name}"),
        "labels": run.files_of(f"label/{cell.name}") if run.plan.reference is not None else "",
        "model": run.files_of("train") if not model.path else learning.model_print(run.plan.project.path(model.path)),
        "valid dates": fingerprint(run.keep(cell)),
        "thresholds": settings_print(model.model_dump(include={"thresholds", "reject_below"})),
        "static": tables.static_print(run.plan),
    }


def predict_task(run: Run, cell: Cell) -> patchwork.PredictTask:
    """The model, and the fold models that never saw the patch's units."""
    model = run.plan.project.model.path
    folder = str(run.plan.project.path(model)) if model else "model"
    units = run.assignment.units if run.plan.reference is not None and not model else {}
    own = {unit: fold for unit, (_, fold) in units.items() if unit.split("/")[0] == cell.name and fold >= 0}
    folds = {unit: learning.fold_folder(fold, run.assignment.folds) for unit, fold in own.items()}
    return patchwork.PredictTask(cell=cell, keep=run.keep(cell), model=folder, folds=folds)


def mosaic_inputs(run: Run) -> Inputs:
    """All predictions, the legend with its colours, and the map's settings."""
    classes = [(c.value, c.name, c.color) for c in run.plan.legend.classes]
    return {
        "predictions": fingerprint([entry.files for _, entry in run.made("predict")]),
        "legend": fingerprint(classes),
        "map settings": settings_print(run.plan.project.map),
    }


def make_mosaic(run: Run) -> dict[str, Any]:
    """Write ``map.tif`` and ``confidence.tif``."""
    return mapping.write_mosaics(run.plan, [cell.name for cell, _ in run.made("predict")])


def report_inputs(run: Run) -> Inputs:
    """All that the report shows."""
    keys = ("sample", "train", "validate", "mosaic")
    shown = {key: run.files_of(key) for key in keys if run.ledger.get(key)}
    return {**shown, "project": settings_print(run.plan.project), "notices": fingerprint(notices(run))}


def make_report(run: Run) -> dict[str, Any]:
    """Write ``report.html``."""
    from landweave.runs import reporting

    assignment = run.assignment if run.plan.reference is not None else None
    mapped = [entry.info["mapped"] for _, entry in run.made("predict")]
    record: dict[str, Any] = reporting.write_report(
        run.plan, run.cells, assignment, mapped=mapped, warnings=notices(run)
    )
    return record


def learns(run: Run) -> bool:
    """Whether there is anything to learn from or to be measured by."""
    return run.plan.reference is not None or run.plan.project.training is not None


STAGES = (
    Stage(name="grid", once_inputs=grid_inputs, once=make_grid),
    Stage(name="fetch", inputs=fetch_inputs, work=patchwork.fetch),
    Stage(name="label", needed=lambda run: run.plan.reference is not None, inputs=label_inputs, work=patchwork.label),
    Stage(
        name="sample", needed=lambda run: learns(run) and run.plan.reference is not None,
        inputs=sample_inputs, task=sample_task, work=patchwork.sample,
        once_inputs=samples_inputs, once=make_samples,
    ),
    Stage(
        name="sample", needed=lambda run: run.plan.project.training is not None,
        once_inputs=samples_inputs, once=make_samples,
    ),
    Stage(name="train", needed=learns, once_inputs=train_inputs, once=make_model),
    Stage(name="validate", needed=learns, once_inputs=validate_inputs, once=make_accuracy),
    Stage(name="predict", inputs=predict_inputs, task=predict_task, work=patchwork.predict),
    Stage(name="mosaic", once_inputs=mosaic_inputs, once=make_mosaic),
    Stage(name="report", once_inputs=report_inputs, once=make_report),
)  # fmt: skip
"""In order. Samples come from patches or from a table, so ``sample`` has two rows, of which one is needed."""


def _place(cell: Cell) -> list[Any]:
    box = cell.geobox
    return [cell.name, str(box.crs), list(box.transform), list(box.shape)]


def _labels(run: Run) -> list[Any]:
    return [(c.value, c.name) for c in run.plan.legend.classes]
