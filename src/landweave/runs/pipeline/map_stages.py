"""Stages of all patches together: the mosaics, and what `[map] trust = true` adds, down to `trust.tif`."""

from typing import Any

from landweave.engine.fingerprint import fingerprint, print_with_companions
from landweave.patch.grid import Cell
from landweave.runs.mapping.mosaic import write_mosaics
from landweave.runs.mapping.trust.patch import TrustTask, calibration_quota
from landweave.runs.mapping.trust.product import remove_trust, write_trust
from landweave.runs.mapping.trust.training import write_applicability
from landweave.runs.pipeline.state import Run
from landweave.runs.results.layers import make_layers
from landweave.runs.results.run import FinishedRun

Inputs = dict[str, str]

REVISION = 2
"""Raised when the arithmetic of training rows or of what `predict` keeps for trust layers changes."""


def mosaic_inputs(run: Run) -> Inputs:
    """What the map is made of, and the trust layers that its STAC item names."""
    classes = [(c.value, c.name, c.color) for c in run.plan.legend.classes]
    return {
        "predictions": fingerprint([entry.files for _, entry in run.made("predict")]),
        "legend": fingerprint(classes),
        "map settings": fingerprint(run.plan.project.map.of_mosaic()),
        **({"trust": run.files_of("trust")} if wants_trust(run) else {}),
        **({"undated": "yes"} if run.plan.project.source.undated else {}),
    }


def make_mosaic(run: Run) -> dict[str, Any]:
    """Write ``map.tif`` and ``confidence.tif``."""
    if not wants_trust(run):
        remove_trust(run.plan)
    return write_mosaics(run.plan, [cell.name for cell, _ in run.made("predict")])


def view_inputs(run: Run) -> Inputs:
    """The map, and the patches' files that the view shows as maps."""
    parts = [[entry.files for _, entry in run.made(stage)] for stage in ("fetch", "label", "predict")]
    return {"map": run.files_of("mosaic"), "patches": fingerprint(parts)}


def make_view(run: Run) -> dict[str, Any]:
    """Write ``view/``; it may be deleted, so none of its files is recorded."""
    make_layers(FinishedRun(plan=run.plan, cells=tuple(run.cells)))
    return {"files": [], "info": {}}


def wants_trust(run: Run) -> bool:
    """Whether the project asks for trust layers."""
    return run.plan.project.map.trust


def applicability_inputs(run: Run) -> Inputs:
    """Training rows, and the importance of features."""
    return {
        "samples": run.files_of("sample"),
        "importance": run.files_of("validate"),
        "refit": fingerprint(run.plan.project.model.refit),
        "revision": fingerprint(REVISION),
    }


def make_applicability(run: Run) -> dict[str, Any]:
    """Write ``applicability.npz``."""
    return write_applicability(run.plan)


def predict_trust_inputs(run: Run, cell: Cell) -> Inputs:
    """What is kept of a patch for trust layers; nothing where there are none, so that its map stays up to date."""
    task = trust_task(run, cell)
    if task is None:
        return {}
    folds = sorted(task.folds.items())
    return {"trust": fingerprint([run.files_of("applicability"), task.quota, folds, task.given, REVISION])}


def trust_task(run: Run, cell: Cell) -> TrustTask | None:
    """Calibration pixels of each class of a patch, and the folds of its units; None without trust layers."""
    if not wants_trust(run):
        return None
    given = bool(run.plan.project.model.path)
    units = run.taught.units if run.taught is not None and not given else {}
    own = run.units_of.get(cell.name, []) if run.plan.reference is not None else []
    folds = {unit: units[unit][1] for unit in own if unit in units}
    return TrustTask(quota=calibration_quota(len(run.cells)), folds=folds, given=given)


def trust_inputs(run: Run) -> Inputs:
    """All that the bands are made of: predictions, observations, districts, classes and the level of sets."""
    project, districts = run.plan.project, run.plan.project.districts
    path = project.path(districts.path) if districts else None
    return {
        "predictions": fingerprint([entry.files for _, entry in run.made("predict")]),
        "observations": fingerprint([entry.files for _, entry in run.made("fetch")]),
        "applicability": run.files_of("applicability"),
        "districts": fingerprint([districts and districts.model_dump(mode="json"), path and _print(run, path)]),
        "classes": fingerprint([(c.value, c.name, c.color) for c in run.plan.legend.classes]),
        "settings": fingerprint([project.map.of_mosaic(), project.map.trust_level, project.sampling.seed]),
    }


def make_trust(run: Run) -> dict[str, Any]:
    """Write ``trust.tif`` and ``trust.json``."""
    trained = run.done("applicability")
    info = trained.info if trained else {"reason": "there are no training rows here: the model comes from elsewhere"}
    return write_trust(run.plan, [cell for cell, _ in run.made("predict")], info)


def _print(run: Run, path: Any) -> str:
    return print_with_companions(path, run.ledger.print_of)
