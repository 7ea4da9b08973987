"""The land cover notebook's workflow, run by eo-learn 1.5.7 and by us, with the same names and arguments."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from eolearn_environment import interpreter, run_script, skip
from eolearn_notebook import FromText, kept, predict, prepare

import landweave.eolearn as ours

pytestmark = pytest.mark.slow

OURS = SimpleNamespace(**{name: getattr(ours, name) for name in ours.__all__}, crs=lambda number: number)
SIZE = 120


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    return interpreter(tmp_path_factory)


def maker():
    """The program that makes patches to compare on: the one beside the shared data where it is, else ours."""
    shared = Path(__file__).parents[2] / "shared" / "bench" / "make_patch.py"
    own = Path(__file__).parents[1] / "benchmarks" / "patch.py"
    found = next((path for path in (shared, own) if path.exists()), None)
    return found or skip(f"there is neither {shared} nor {own}")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_notebook_gives_what_eolearn_gives(python, tmp_path, seed, record_property):
    patch_folder = tmp_path / "patch"
    made = [sys.executable, maker(), patch_folder, "--size", str(SIZE), "--seed", str(seed)]
    subprocess.run(made, check=True, capture_output=True)
    theirs_folder, our_folder = tmp_path / "theirs", tmp_path / "ours"
    theirs_folder.mkdir()
    run_script(python, "eolearn_notebook.py", patch_folder, theirs_folder)
    with np.load(theirs_folder / "arrays.npz") as arrays:
        theirs = dict(arrays)

    first, patch = prepare(OURS, patch_folder, our_folder)
    found = kept(first, patch)
    for name in ("count", "lulc", "eroded", "times"):
        np.testing.assert_array_equal(found[name], theirs[name], err_msg=name)
    for name in ("ndvi", "clear", "features", "sampled"):
        assert found[name].dtype == theirs[name].dtype, name
        np.testing.assert_array_equal(np.isnan(found[name]), np.isnan(theirs[name]), err_msg=name)
        np.testing.assert_allclose(found[name], theirs[name], rtol=0, atol=1e-6, err_msg=name)
    assert found["features"].dtype == "float64"
    assert np.isnan(found["features"]).any()

    patch = predict(OURS, patch, FromText(theirs_folder / "model.txt", theirs["classes"]), our_folder)
    labels = patch.mask_timeless["LBL_GBM"]
    same = (labels == theirs["labels"]).mean()
    assert labels.size == SIZE * SIZE
    assert same >= 0.9999
    assert len(np.unique(labels)) > 5
    np.testing.assert_allclose(patch.data_timeless["SCR_GBM"], theirs["scores"], atol=1e-6)
    with rasterio.open(our_folder / "tiff" / "prediction.tiff") as file:
        assert (file.read() == theirs["tiff"]).mean() >= 0.9999
        np.testing.assert_allclose(np.array(file.transform), theirs["transform"])
    record_property(
        "greatest difference of a feature", float(np.nanmax(np.abs(found["features"] - theirs["features"])))
    )
    record_property("share of labels that are the same", float(same))


def test_what_either_saves_the_other_loads(python, tmp_path):
    patch_folder = tmp_path / "patch"
    subprocess.run([sys.executable, maker(), patch_folder, "--size", "40"], check=True, capture_output=True)
    (tmp_path / "theirs").mkdir()
    run_script(python, "eolearn_notebook.py", patch_folder, tmp_path / "theirs")
    first, _ = prepare(OURS, patch_folder, tmp_path / "ours")
    theirs = ours.EOPatch.load(tmp_path / "theirs" / "eopatches" / "eopatch_0")
    assert theirs.bbox == first.bbox
    assert theirs.timestamps == first.timestamps
    assert theirs.get_features() == first.get_features()
    assert theirs == first


def test_the_left_side_of_the_page_runs_with_eolearn(python, tmp_path):
    page = (Path(__file__).parents[1] / "docs" / "from-eo-learn.md").read_text()
    made, ours_code = re.findall(r"```python run\n(.*?)```", page, flags=re.DOTALL)[:2]
    theirs_code = re.search(r"```python eolearn\n(.*?)```", page, flags=re.DOTALL)[1]
    shares = []
    for interpreter_, code in ((python, theirs_code), (sys.executable, ours_code)):
        folder = tmp_path / Path(interpreter_).parent.parent.name
        folder.mkdir()
        subprocess.run([sys.executable, "-c", made], cwd=folder, check=True)
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH" or interpreter_ != python}
        done = subprocess.run(
            [interpreter_, "-W", "ignore", "-c", code],
            cwd=folder,
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        shares.append(float(done.stdout.split()[-1]))
    assert shares[0] == shares[1] > 0.95
