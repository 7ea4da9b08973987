"""Several interpreters: their agreement against published kappas, and whose labels the figures use."""

import numpy as np
import pytest
import shapely
from test_cli import landweave  # noqa: F401 - a fixture
from test_estimate import label, world  # noqa: F401 - a fixture
from test_estimate_map_column import REFERENCE, stehman

from landweave.accuracy.design_based.interpreters import NOTHING, fleiss_kappa, majority, pair_agreement
from landweave.accuracy.design_based.linear import UnitDesign
from landweave.errors import InputError
from landweave.labels.verdicts.store import JudgedPlace, PlaceVerdict, VerdictFile
from landweave.runs.estimate.accuracy import estimate_accuracy


def flat(n):
    return UnitDesign(weight=np.ones(n), stratum=np.zeros(n, int), drawn=np.zeros(1))


def test_cohens_kappa_is_that_of_scikit_learn_and_unsure_units_are_left_out():
    from sklearn.metrics import cohen_kappa_score

    rng = np.random.default_rng(0)
    a = rng.integers(0, 4, 300)
    b = np.where(rng.random(300) < 0.6, a, rng.integers(0, 4, 300))
    found = pair_agreement(a, b, flat(300))
    assert found.kappa == pytest.approx(cohen_kappa_score(a, b))
    assert found.agreement == pytest.approx((a == b).mean())
    part = pair_agreement(np.where(a == 3, NOTHING, a), b, flat(300))
    assert part.units == (a != 3).sum()
    assert part.kappa == pytest.approx(cohen_kappa_score(a[a != 3], b[a != 3]))
    assert np.isnan(pair_agreement(np.full(3, NOTHING), np.zeros(3, int), flat(3)).kappa)
    assert np.isnan(pair_agreement(np.zeros(3, int), np.zeros(3, int), flat(3)).kappa)


def test_fleiss_kappa_of_the_published_kind_of_table():
    """Ten subjects, fourteen raters, five categories: 0.210 (worked in many textbooks)."""
    counts = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    labels = np.array([np.repeat(range(5), row) for row in counts])
    kappa, units = fleiss_kappa(labels)
    assert (round(kappa, 3), units) == (0.210, 10)
    assert np.isnan(fleiss_kappa(labels[:, :1])[0])


def test_the_agreement_is_that_of_the_land():
    a, b = np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0])
    design = UnitDesign(weight=np.array([1.0, 1, 1, 97]), stratum=np.zeros(4, int), drawn=np.zeros(1))
    assert pair_agreement(a, b, design).agreement == pytest.approx(0.03)


def test_columns_of_labels_are_used_alone_or_by_majority(tmp_path, landweave):  # noqa: F811
    other = list(REFERENCE)
    other[:3] = "BBB"
    unsure = ["", *REFERENCE[1:]]
    path = stehman(tmp_path / "s.csv", reference=None, ana=list(REFERENCE), bo=other, cy=unsure)
    expected = estimate_accuracy(stehman(tmp_path / "t.csv"))
    found = estimate_accuracy(path, label="ana", interpreters=["ana"])
    assert found["classes"] == expected["classes"]
    assert found["interpreters"] is None
    found = estimate_accuracy(path, label="ana", interpreters=["ana", "bo", "cy"], drop_unlabelled=True)
    # The first unit has one A, one B and one that is unsure, so no majority.
    assert found["sample_units"] == 39
    # Agreement is that of all units, also of those on which nobody agrees.
    assert found["interpreters"]["unsure"] == {"ana": 0, "bo": 0, "cy": 1}
    pair = found["interpreters"]["pairs"][0]
    assert (pair["first"], pair["second"], pair["units"]) == ("ana", "bo", 40)
    assert pair["agreement"] == pytest.approx(1 - 3 * 0.04)  # three units of the stratum A, 4 % of the land each
    assert pair["kappa"] < 1
    with pytest.raises(InputError, match="no label in"):
        estimate_accuracy(path, label="ana", interpreters=["ana", "bo", "cy"])
    status, out, _ = landweave("estimate", "accuracy", path, "--label", "ana", "--interpreter", "bo", "--interpreter", "ana", "--drop-unlabelled")  # fmt: skip
    assert status == 0
    assert "bo and ana: 88.0 %, kappa 0.90, 40 units" in out
    status, _, err = landweave("estimate", "accuracy", path, "--label", "ana", "--interpreter", "zoe")
    assert (status, err.count("\n")) == (2, 1)
    assert "no column 'zoe' with labels" in err


def test_the_verdicts_of_the_browser_say_who_agrees_and_whose_labels_count(world, tmp_path):  # noqa: F811
    folder, _, truth = world
    path = label(folder / "drawn.gpkg", tmp_path / "s.gpkg", truth)
    file = VerdictFile(path, crs="EPSG:32633")

    def put(who, unit, name, **more):
        place = JudgedPlace(key=str(unit), queue="sample", shape=shapely.to_wkb(shapely.Point(1, 2)), told={})
        file.put(PlaceVerdict(uid=f"{who}{unit}{name}", interpreter=who, name=name, place=place, **more))

    for unit in range(1, 11):
        put("ana", unit, "forest", alternate="pond" if unit < 3 else None)
        put("bo", unit, "forest" if unit < 9 else None, unsure=unit >= 9)
    found = estimate_accuracy(path)
    agreement = found["interpreters"]
    assert agreement["names"] == ["ana", "bo"]
    assert agreement["unsure"] == {"ana": 0, "bo": 2}
    assert agreement["pairs"][0]["units"] == 8
    assert agreement["pairs"][0]["agreement"] == 1
    assert agreement["pairs"][0]["kappa"] is None  # one class is all that they name
    # Where they differ the browser leaves the label empty; such a unit still counts for their agreement.
    put("bo", 1, "pond")
    label(path, path, truth, change=lambda frame: frame.assign(reference=frame["reference"].where(frame["id"] > 1)))
    pair = estimate_accuracy(path, drop_unlabelled=True)["interpreters"]["pairs"][0]
    assert (pair["units"], pair["agreement"] < 1) == (8, True)
    with pytest.raises(InputError, match="no verdict of an interpreter 'anna'; did you mean 'ana'"):
        estimate_accuracy(path, interpreters=["anna"])


def test_an_alternate_that_the_map_shows_counts_as_right_beside_the_label(tmp_path):
    alternate = [""] * 40
    alternate[5], alternate[0] = "A", "D"  # unit 6 is mapped A and labelled C; unit 1 is right already
    found = estimate_accuracy(stehman(tmp_path / "s.csv", alternate=alternate))
    assert found["overall_accuracy"]["value"] == pytest.approx(0.63)
    assert found["alternate"]["units"] == 2
    assert found["alternate"]["right_by_alternate"] == 1
    assert found["alternate"]["overall_accuracy"]["value"] == pytest.approx(0.63 + 0.04)
    assert estimate_accuracy(stehman(tmp_path / "t.csv"))["alternate"] is None


def test_a_tie_has_no_majority():
    assert majority(["a", "b", "b", "a", "c"]) == ""
    assert majority([]) == ""
    assert majority(["wet land", "Wet  land", "crop", ""]) == "wet land"


def test_a_class_outside_the_legend_is_refused_and_not_taken_as_unsure(tmp_path):
    strange = ["AA", *REFERENCE[1:]]
    path = stehman(tmp_path / "s.csv", ana=list(REFERENCE), bo=list(REFERENCE), cy=strange)
    with pytest.raises(InputError, match=r"line 2 \(id 1\), cy: the legend has no class 'AA'; did you mean 'A'"):
        estimate_accuracy(path, interpreters=["ana", "bo", "cy"])
    path = stehman(tmp_path / "t.csv", alternate=["", "wetlnd", *[""] * 38])
    with pytest.raises(InputError, match=r"line 3 \(id 2\), alternate: the legend has no class 'wetlnd'"):
        estimate_accuracy(path)
