"""What is done to one patch, as a worker does it."""

import pickle
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from worlds import two_class_world

from landweave.classifier.fit import fit
from landweave.classifier.model import Model
from landweave.patch.store import read_raster
from landweave.runs.fetch.imagery import FetchTask
from landweave.runs.mapping import task as mapping
from landweave.runs.pipeline import notices
from landweave.runs.project.plan import make_plan
from landweave.runs.project.settings import read_project


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """A plan and what to predict in it; the model was never held against any reference."""
    project, _ = two_class_world(tmp_path_factory.mktemp("world"), patch=40)
    plan, cells = make_plan(read_project(project))
    rng = np.random.default_rng(0)
    y = rng.choice(np.array([2, 7], "uint8"), 200)
    X = (rng.normal(2000, 800, (200, len(plan.recipe.feature_names))) + 200 * y[:, None]).astype("int16")
    estimator = fit(X, y, params={"n_estimators": 5}, feature_names=plan.recipe.feature_names)
    model = Model(estimator=estimator, class_names=plan.legend.names, recipe=plan.recipe.to_json())
    model.save(plan.folder / "model")
    keep = (True,) * len(plan.dates)
    fetch = FetchTask(cell=cells[0], files="", offsets={})
    return plan, mapping.PredictTask(cell=cells[0], keep=keep, model="model", folds={}, fetch=fetch)


def test_the_process_that_predicts_needs_no_library_of_training_or_vectors(task, tmp_path):
    (tmp_path / "task").write_bytes(pickle.dumps(task))
    code = f"""
import pickle, sys
from landweave.runs.mapping.task import predict
predict(*pickle.load(open({str(tmp_path / "task")!r}, "rb")))
print(*(name.split(".")[0] for name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    used = set(done.stdout.split())
    assert {"numba", "rasterio"} <= used
    assert not {"lightgbm", "sklearn", "geopandas"} & used
    plan, asked = task
    kept = read_raster(plan.folder / "predictions" / f"{asked.cell.name}.tif")
    assert set(np.unique(kept[0])) <= {2, 7}
    record = mapping.predict(plan, asked)
    np.testing.assert_array_equal(read_raster(plan.folder / record["files"][0]), kept)
    assert record["info"]["slow_because"] is None


def test_a_run_tells_why_lightgbm_itself_predicted():
    reasons = [None, "it has linear trees", "it has linear trees", None]
    made = [(None, SimpleNamespace(info={"slow_because": reason})) for reason in reasons]
    run = SimpleNamespace(made=lambda stage: made if stage == "predict" else [])
    assert notices._of_model(run) == ["LightGBM itself predicted, which is slow: it has linear trees."]
