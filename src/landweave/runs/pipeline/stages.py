"""The stages, in order: what each reads and writes, and which settings and inputs make it out of date."""

from typing import Any

from landweave.engine.fingerprint import fingerprint
from landweave.patch.grid import Cell
from landweave.runs.estimate.accuracy import sample_print
from landweave.runs.fetch import offsets
from landweave.runs.fetch.imagery import FetchTask, delete_imagery
from landweave.runs.fetch.task import fetch
from landweave.runs.mapping.grid import write_grid
from landweave.runs.mapping.label_errors import list_suspects
from landweave.runs.mapping.seams import write_seams
from landweave.runs.mapping.task import PredictTask, pieces_of, predict
from landweave.runs.pipeline import map_stages
from landweave.runs.pipeline.notices import failures, notices
from landweave.runs.pipeline.state import Run, Stage
from landweave.runs.report.page import write_report
from landweave.runs.results.layers import slow_to_make
from landweave.runs.sample.assignment import fold_folders
from landweave.runs.sample.labels import label, verdicts_print
from landweave.runs.sample.table import custom_code, from_parts, from_series_table, truth_print
from landweave.runs.sample.task import SampleTask, sample
from landweave.runs.train.models import apply_given, train
from landweave.runs.validate.accuracy import validate
from landweave.runs.validate.importance import importance_settings, write_importance
from landweave.runs.validate.splits import write_splits

Inputs = dict[str, str]

NOT_PIXELS = {
    "keep",
    "url",
    "max_cloud_cover",
    "radiometry",
    "exclude",
    "max_lost",
    "hosts",
    "timeout",
    "connections",
    "attribution",
    "licence",
    "undated",
    # The stamp of the source has them.
    "mask_bits",
    "mask_values",
}
"""Keys of ``[source]`` that decide which scenes there are, or what is done with them later, but no pixel of them."""


def grid_inputs(run: Run) -> Inputs:
    """Names and places of the patches."""
    return {"patches": fingerprint([_place(cell) for cell in run.cells])}


def make_grid(run: Run) -> dict[str, Any]:
    """Write ``grid.gpkg``; roles and states come at the run's end."""
    return write_grid(run.plan, run.cells, roles={}, states={})


def write_states(run: Run) -> None:
    """Write ``grid.gpkg`` again, with every patch's role and state."""
    failed = {key.split("/", 1)[1]: f"failed: {key.split('/', 1)[0]}" for key, _ in failures(run) if "/" in key}
    predicted = {cell.name: "done" for cell, _ in run.made("predict")}
    roles = run.taught.roles if run.taught else {}
    write_grid(run.plan, run.cells, roles=roles, states=predicted | failed)


def fetch_inputs(run: Run, cell: Cell) -> Inputs:
    """Imagery, what is read of it, and how it is masked."""
    return {
        "imagery": run.imagery_of(cell),
        "radiometry": fingerprint(run.offsets),
        "source": fingerprint(run.plan.project.source.model_dump(mode="json", exclude=NOT_PIXELS)),
        "least valid": fingerprint(run.least_read),
        "dates": fingerprint([run.plan.dates, run.plan.recipe.source_bands]),
        "patch": fingerprint(_place(cell)),
    }


def fetch_task(run: Run, cell: Cell) -> FetchTask:
    """The patch, and what decides its pixels beside the source's own stamp."""
    return FetchTask(cell=cell, files=run.imagery, offsets=run.offsets)


def radiometry_inputs(run: Run) -> Inputs:
    """Scenes, their scale and offset, and whose word holds."""
    return {
        "scenes": fingerprint(offsets.facts(run.plan)),
        "radiometry": offsets.rule_of(run.plan),
    }


def make_radiometry(run: Run) -> dict[str, Any]:
    """Hold every scene's scale and offset against its pixels; write ``radiometry.json``."""
    return offsets.check_scenes(run.plan)


def label_inputs(run: Run, cell: Cell) -> Inputs:
    """Reference, crosswalk and erosion; never colours."""
    settings = run.plan.project.reference
    verdicts = verdicts_print(run.plan, cell)
    return {
        "reference": run.reference,
        # Left out where there are none, so that patches without verdicts stay up to date.
        **({"verdicts": verdicts} if verdicts else {}),
        "legend codes": _codes(run),
        "reference settings": fingerprint(settings and _of_reference(settings.model_dump(mode="json"))),
        "patch": fingerprint([_place(cell), cell.west, cell.east, run.plan.cut]),
    }


_NOT_LABELS = {"legend", "truth", "verdicts", "label_errors_precision"}
"""Keys of ``[reference]`` that change no label, or have a fingerprint of their own."""


def _of_reference(settings: dict[str, Any]) -> dict[str, Any]:
    # Keys that came later are left out where they are not set, so that runs from before them stay up to date.
    later = {name for name in ("encoding", "band", "x", "y", "crs") if settings[name] is None}
    return {name: value for name, value in settings.items() if name not in {*_NOT_LABELS, *later}}


def sample_inputs(run: Run, cell: Cell) -> Inputs:
    """The patch's imagery and labels, and what is drawn from it."""
    return {
        "imagery": run.pixels_of(cell),
        "labels": run.files_of(f"label/{cell.name}"),
        "draw": fingerprint(
            [sample_task(run, cell).__dict__ | {"cell": cell.name, "fetch": ""}, run.plan.project.sampling.seed]
        ),
        "static": run.static,
    }


def sample_task(run: Run, cell: Cell) -> SampleTask:
    """Roles and quotas of the patch's units."""
    plan, own = run.assignment, run.units_of.get(cell.name, [])
    return SampleTask(
        cell=cell,
        keep=run.keep(cell),
        units={unit: plan.units[unit] for unit in own},
        quotas={unit: plan.quotas[unit] for unit in own if unit in plan.quotas},
        test_rate=plan.test_rate,
        fetch=fetch_task(run, cell),
        factors=plan.factors,
    )


def samples_inputs(run: Run) -> Inputs:
    """All parts, or the table of series; and the recipe."""
    project, recipe = run.plan.project, run.plan.recipe
    training = project.training
    return {
        "parts": fingerprint([entry.files for _, entry in run.made("sample")]) if training is None else run.reference,
        "features": fingerprint([recipe.to_json(), custom_code(recipe), run.plan.days, run.plan.start]),
        "training": fingerprint([training and training.model_dump(mode="json"), _codes(run)]) if training else "",
        "folds": fingerprint([project.model.folds, project.sampling.seed]) if training else "",
        "given model": run.given,
    }


def make_samples(run: Run) -> dict[str, Any]:
    """Write ``samples.parquet`` and ``samples_series.parquet``."""
    if run.plan.project.training is not None:
        return from_series_table(run.plan)
    return from_parts(run.plan, [cell.name for cell, _ in run.made("sample")])


def train_inputs(run: Run) -> Inputs:
    """Samples, who trains and tests, the estimator's settings, the classes' values and names."""
    model = run.plan.project.model.model_dump(include={"type", "params", "prior", "calibration", "refit", "path"})
    return {
        "samples": run.files_of("sample"),
        "roles and land": fingerprint(_assignment(run)),
        "missing patches": fingerprint(_missing(run)),
        "model settings": fingerprint([model, run.plan.project.sampling.seed]),
        "classes": fingerprint(_labels(run)),
        "given model": run.given,
    }


def make_model(run: Run) -> dict[str, Any]:
    """Write ``model/``, ``folds/`` and ``samples_oof.parquet``."""
    assignment = run.assignment if run.plan.reference is not None else None
    record = (
        apply_given(run.plan) if run.plan.project.model.path else train(run.plan, assignment, missing=_missing(run))
    )
    record["info"]["assignment"] = _assignment(run)
    run.__dict__.pop("taught", None)  # what was trained before is history
    return record


def splits_inputs(run: Run) -> Inputs:
    """Samples, held-out probabilities and the patches; never thresholds."""
    return {
        "held-out predictions": run.files_of("train"),
        "samples": run.files_of("sample"),
        "classes": fingerprint([_labels(run), run.plan.project.sampling.seed]),
        "patches": fingerprint([_place(cell) for cell in run.cells]),
    }


def make_splits(run: Run) -> dict[str, Any]:
    """Write ``splits.json``."""
    assert run.taught is not None
    return write_splits(run.plan, run.cells, run.taught)


def validate_inputs(run: Run) -> Inputs:
    """Held-out probabilities, and the rule that turns them into classes."""
    model = run.plan.project.model.model_dump(include={"thresholds", "reject_below"})
    return {
        "held-out predictions": run.files_of("train"),
        "samples": run.files_of("sample"),
        "thresholds": fingerprint(model),
        "classes": fingerprint([_labels(run), run.plan.project.sampling.seed]),
        "truth": truth_print(run.plan, run.ledger.print_of),
        "reference": fingerprint(run.reference_pixels),
        "splits": run.files_of("splits") if run.plan.reference is not None else "",
        "importance": fingerprint(importance_settings(run.plan)),
    }


def make_accuracy(run: Run) -> dict[str, Any]:
    """Write ``accuracy.json`` and ``importance.json``."""
    record = validate(run.plan, run.taught, pixels=run.reference_pixels)
    return {**record, "files": [*record["files"], write_importance(run.plan, run.taught)]}


def predict_inputs(run: Run, cell: Cell) -> Inputs:
    """Imagery, model, the folds in use and the thresholds."""
    model = run.plan.project.model
    return map_stages.predict_trust_inputs(run, cell) | {
        "imagery": run.pixels_of(cell),
        "labels": run.files_of(f"label/{cell.name}") if run.plan.reference is not None else "",
        "model": run.given or run.files_of("train"),
        "features": fingerprint([run.plan.recipe.to_json(), custom_code(run.plan.recipe), run.keep(cell)]),
        "thresholds": fingerprint([model.model_dump(include={"thresholds", "reject_below"}), _labels(run)]),
        "static": run.static,
        "zone": fingerprint([cell.west, cell.east, cell.overlap]),
    }


def predict_task(run: Run, cell: Cell) -> PredictTask:
    """The model, and the fold models that never saw the patch's units."""
    own = run.units_of.get(cell.name, []) if run.plan.reference is not None else []
    trained = run.taught if not run.plan.project.model.path else None
    return PredictTask(
        cell=cell, keep=run.keep(cell), model=run.model, folds=fold_folders(trained, own),
        fetch=fetch_task(run, cell), confidence=run.confidence if trained is not None else (),
        trust=map_stages.trust_task(run, cell),
    )  # fmt: skip


def drop_imagery(run: Run, cell: Cell) -> None:
    """Where the project does not keep it: a patch's imagery goes when its prediction is recorded."""
    if run.plan.project.source.stores and not run.plan.project.source.keep:
        delete_imagery(run.plan, cell, run.ledger)


def suspects_inputs(run: Run) -> Inputs:
    """What the pieces of the reference look like, the reference itself, and the classes; never thresholds."""
    looks = [[path, entry.files[path]] for _, entry in run.made("predict") for path in pieces_of(entry.files)]
    settings = run.plan.project.reference
    return {
        "pieces": fingerprint(looks),
        "least precision": fingerprint(settings and settings.label_errors_precision),
        "reference": run.reference,
        "classes": fingerprint([_labels(run), run.plan.project.sampling.seed]),
    }


def make_suspects(run: Run) -> dict[str, Any]:
    """Write ``label_errors.gpkg`` and ``label_errors.json``."""
    asked = [cell.name for cell, entry in run.made("predict") if pieces_of(entry.files)]
    return list_suspects(run.plan, asked)


def seams_inputs(run: Run) -> Inputs:
    """All predictions, and where they lie."""
    return {
        "predictions": fingerprint([entry.files for _, entry in run.made("predict")]),
        "patches": fingerprint([_place(cell) for cell in run.cells]),
        "seed": fingerprint(run.plan.project.sampling.seed),
    }


def make_seams(run: Run) -> dict[str, Any]:
    """Write ``seams.json``."""
    return write_seams(run.plan, [cell for cell, _ in run.made("predict")])


def report_inputs(run: Run) -> Inputs:
    """All that the report shows."""
    shown = {key: run.files_of(key) for key in ("train", "validate", "mosaic")}
    shown["label errors"] = run.files_of("label errors") if run.plan.reference is not None else ""
    shown["seams"] = run.files_of("seams")
    shown["sample"] = sample_print(run.plan)
    if map_stages.wants_trust(run):
        shown["trust"] = run.files_of("trust")
    shown["observations"] = fingerprint([entry.files for _, entry in run.made("fetch")])
    settings = run.plan.project.model_dump(mode="json")
    return {**shown, "project": fingerprint(settings), "notices": fingerprint(notices(run))}


def make_report(run: Run) -> dict[str, Any]:
    """Write ``report.html``."""
    mapped = [entry.info["mapped"] for _, entry in run.made("predict")]
    seen = {cell: entry.info for cell, entry in run.made("fetch")}
    record: dict[str, Any] = write_report(
        run.plan, run.cells, run.taught, mapped=mapped, seen=seen, measured=run.measured, warnings=notices(run)
    )
    return record


def learns(run: Run) -> bool:
    """Whether there is anything to learn from or to be measured by."""
    return run.plan.reference is not None or run.plan.project.training is not None


STAGES = (
    Stage(name="grid", once_inputs=grid_inputs, once=make_grid),
    Stage(
        name="fetch", needed=lambda run: bool(run.plan.source.scenes), once_inputs=radiometry_inputs,
        once=make_radiometry,
    ),
    Stage(name="fetch", revision=4, inputs=fetch_inputs, task=fetch_task, work=fetch),
    Stage(
        name="label", needed=lambda run: run.plan.reference is not None, revision=2, inputs=label_inputs,
        work=label,
    ),
    Stage(
        name="sample", revision=3, needed=lambda run: run.plan.reference is not None, after=("fetch", "label"),
        frozen=True,
        inputs=sample_inputs, task=sample_task, work=sample, once_inputs=samples_inputs, once=make_samples,
    ),
    Stage(
        name="sample", needed=lambda run: run.plan.project.training is not None, frozen=True, revision=2,
        once_inputs=samples_inputs, once=make_samples,
    ),
    Stage(name="train", revision=2, needed=learns, frozen=True, once_inputs=train_inputs, once=make_model),
    Stage(
        name="validate", revision=3, needed=lambda run: run.plan.reference is not None, once_key="splits",
        once_inputs=splits_inputs, once=make_splits,
    ),
    Stage(name="validate", revision=4, needed=learns, once_inputs=validate_inputs, once=make_accuracy),
    Stage(
        name="validate", needed=lambda run: map_stages.wants_trust(run) and learns(run), once_key="applicability",
        once_inputs=map_stages.applicability_inputs, once=map_stages.make_applicability,
    ),
    Stage(
        name="predict", revision=4, after=("fetch",), inputs=predict_inputs, task=predict_task, work=predict,
        recorded=drop_imagery,
    ),
    Stage(
        name="predict", needed=lambda run: run.plan.reference is not None, once_key="label errors",
        revision=2,
        once_inputs=suspects_inputs, once=make_suspects,
    ),
    Stage(name="mosaic", once_key="seams", once_inputs=seams_inputs, once=make_seams),
    Stage(
        name="mosaic", needed=map_stages.wants_trust, once_key="trust", once_inputs=map_stages.trust_inputs,
        once=map_stages.make_trust,
    ),
    Stage(name="mosaic", revision=2, once_inputs=map_stages.mosaic_inputs, once=map_stages.make_mosaic),
    Stage(
        name="mosaic", needed=lambda run: slow_to_make(run.cells), once_key="view",
        once_inputs=map_stages.view_inputs, once=map_stages.make_view,
    ),
    Stage(name="report", once_inputs=report_inputs, once=make_report),
)  # fmt: skip
"""In order. Samples come from patches or from a table, so ``sample`` has two rows, of which one is needed."""


def _place(cell: Cell) -> list[Any]:
    box = cell.geobox
    area = cell.area.wkb_hex if cell.area is not None else ""
    return [cell.name, str(box.crs), list(box.transform), list(box.shape), area]


def _labels(run: Run) -> list[Any]:
    return [(c.value, c.name) for c in run.plan.legend.classes]


def _codes(run: Run) -> str:
    classes = [(c.value, c.accepted_codes) for c in run.plan.legend.classes]
    return fingerprint([classes, run.plan.legend.ignore])


def _missing(run: Run) -> list[str]:
    return run.behind("sample") if run.plan.reference is not None else []


def _assignment(run: Run) -> dict[str, Any] | None:
    return run.assignment.to_json() if run.plan.reference is not None else None
