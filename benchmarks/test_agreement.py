"""Our side of the comparison against the baseline that it was written after, where that lies beside the project."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
BASELINE = Path(os.environ.get("LANDWEAVE_BASELINE", HERE.parents[1] / "shared" / "bench"))
EOLEARN = Path(os.environ.get("LANDWEAVE_EOLEARN", HERE.parent / ".venv-eolearn" / "bin" / "python"))
STAGES = {
    "load_patch": "load patch",
    "concatenate": "merge",
    "filter_dates": "filter dates",
    "interpolate": "interpolate",
    "erosion": "erosion",
    "sampling": "sampling",
    "save_sampled": "save sampled",
    "train": "train",
    "load_sampled": "load sampled",
    "predict.reshape": "reshape",
    "predict.labels": "predict labels",
    "predict.scores": "predict scores",
    "export_tiff": "export",
    "save_prediction": "save prediction",
}


@pytest.fixture(scope="module")
def baseline():
    for path, remedy in ((BASELINE, "LANDWEAVE_BASELINE names its folder"), (EOLEARN, "make bench builds it")):
        if not path.exists():
            reason = f"nothing at {path}: {remedy}"
            warnings.warn(reason, stacklevel=1)
            pytest.skip(reason)
    return BASELINE


def run(python, *words):
    done = subprocess.run([str(python), *map(str, words)], cwd=HERE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def both(baseline, tmp_path_factory):
    """A small patch of the baseline's, gone through both chains."""
    work = tmp_path_factory.mktemp("agreement")
    run(sys.executable, baseline / "make_patch.py", work / "patch", "--size", 60)
    run(EOLEARN, baseline / "eolearn_baseline.py", work / "patch", "--work", work / "a", "--json", work / "a.json")
    chain = ("chain", work / "patch", work / "b", "--json", work / "b.json", "--keep-features")
    run(EOLEARN, HERE / "eolearn_chain.py", *chain)
    return work


def test_both_chains_make_the_same_features_and_labels(both):
    for name in ("features.npy", "labels.npy"):
        a, b = (np.load(both / side / name) for side in "ab")
        np.testing.assert_array_equal(a, b.reshape(a.shape))


def test_both_chains_do_the_same_stages_on_the_same_dates(both):
    a, b = (json.loads((both / f"{side}.json").read_text()) for side in "ab")
    assert b["dates_kept"] == a["patch"]["dates_used"]
    assert b["trees"] == a["trees"]
    assert b["agreement"] == pytest.approx(a["agreement_with_reference"], abs=1e-4)
    assert {STAGES[name] for name in a["stages"] if name in STAGES} <= set(b["stages"])


def test_both_generators_make_patches_of_a_kind(baseline, tmp_path):
    size = 150
    run(sys.executable, baseline / "make_patch.py", tmp_path / "a", "--size", size)
    run(sys.executable, HERE / "patch.py", tmp_path / "b", "--size", size)
    a, b = (json.loads((tmp_path / side / "meta.json").read_text()) for side in "ab")
    assert {key: a[key] for key in ("bands", "bbox", "epsg")} == {key: b[key] for key in ("bands", "bbox", "epsg")}
    assert len(a["timestamps"]) == len(b["timestamps"]) == 68
    for name in ("bands", "valid", "lulc"):
        one, other = (np.load(tmp_path / side / f"{name}.npy") for side in "ab")
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
    kept, clear = [], []
    for side in "ab":
        valid = np.load(tmp_path / side / "valid.npy").mean(axis=(1, 2))
        kept.append((valid > 0.8).sum())
        clear.append(valid.mean())
        bands = np.load(tmp_path / side / "bands.npy")
        assert 200 < np.median(bands) < 3000
        assert bands.max() <= 12_000
    assert abs(int(kept[0]) - int(kept[1])) <= 12
    assert abs(clear[0] - clear[1]) < 0.12
