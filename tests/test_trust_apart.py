"""What trust layers are checked on had no part in what is checked: folds, places, polygons."""

import numpy as np
import pandas as pd
import pytest

from landweave.accuracy.trust.applicability import fit_applicability
from landweave.accuracy.trust.codes import sets_by_others
from landweave.labels.leakage import DUPLICATE, POLYGON
from landweave.runs.mapping.trust.calibration import places, without_known
from landweave.runs.mapping.trust.taught import known_pixels, taught_rows, write_taught
from landweave.runs.mapping.trust.training import apart


@pytest.mark.parametrize("folds", [(-1, 0), (0, 1), (-1, -1)])
def test_a_place_is_never_likened_to_its_own_rows(folds):
    rng = np.random.default_rng(0)
    here, there = rng.normal(0, 1, (50, 3)), rng.normal(8, 1, (50, 3))
    X, fold, used = np.vstack([here, there]), np.repeat(folds, 50), np.arange(100)
    if folds == (-1, -1):  # one place trains, and the tested one, of fold 0, does not
        X, fold, used = X[:50], fold[:50], used[:50]
    fitted = fit_applicability(X, importance=np.ones(3), folds=apart(fold, used))
    # The truth: the nearest row of the other place, in the space of all rows.
    away = (there[:, None] - here[None]) / X.std(axis=0, ddof=1)
    nearest = np.sqrt((away**2).sum(axis=2)).min(axis=1) / fitted.mean_distance
    asked = np.full(50, 0 if folds[1] == -1 else folds[1])
    index, _ = fitted.dissimilarity(there, folds=asked)
    np.testing.assert_allclose(index, nearest, rtol=1e-4)


def test_the_quarters_of_a_single_patch_check_each_other():
    # In each quarter the right class has a code of its own, which the others cannot know of.
    unit = np.repeat(np.arange(4), 300)
    codes = np.column_stack([100 - 10 * unit, np.zeros(1200, int)]).astype("uint8")
    names, parts = places(pd.DataFrame({"patch": "a", "unit": unit.astype("uint8")}))
    assert len(np.unique(names)) == 4
    nothing, ones = np.zeros(1200, int), np.ones(1200)
    sets = sets_by_others(codes, nothing, nothing, ones, parts, alpha=0.1, regions=1)
    np.testing.assert_array_equal(sets[:, 0], unit < 3)
    _, one = places(pd.DataFrame({"patch": "a", "unit": np.zeros(1200, "uint8")}))
    assert sets_by_others(codes, nothing, nothing, ones, one, alpha=0.1, regions=1) is None


def test_pixels_that_their_model_was_taught_do_not_calibrate(tmp_path):
    rng = np.random.default_rng(1)
    features = rng.integers(0, 1000, (6, 9), "int16")
    # Polygon 7 trains in both folds, polygon 8 in fold 1 only; row 5 has the features of row 0, of fold 0.
    features[5] = features[0]
    fold, polygon = np.array([0, 1, 1]), np.array([7, 7, 8])
    write_taught(tmp_path, taught_rows(features[:3], polygon, fold))
    asked, own = features[3:], np.array([7, 8, 9])
    for number, answer in [
        (0, [POLYGON, POLYGON, 0]), (1, [POLYGON, 0, DUPLICATE]), (2, [POLYGON, POLYGON, DUPLICATE]),
        (-1, [POLYGON, POLYGON, DUPLICATE]),
    ]:  # fmt: skip
        np.testing.assert_array_equal(known_pixels(tmp_path, number, asked, own), answer)
    rows = pd.DataFrame({"known": [1, 0, 2], "weight": [1.0, 2.0, 1.0], "label": [4, 5, 6]})
    left, told = without_known(rows)
    assert (left["label"].tolist(), told) == ([5], {"pixels": 2, "share": 0.5})
    left, told = without_known(rows[rows["known"] > 0])
    assert len(left) == 2
    assert "reason" in told
