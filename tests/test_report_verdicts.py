"""Figures in words: the sentence says what the figure says, and blames imbalance only where it is to blame."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from landweave.accuracy.class_balance import equal_footing
from landweave.accuracy.metrics import score, shares
from landweave.report.verdicts import explained, few_samples, lead, separability, summaries

CLASSES = {1: "forest", 2: "scrub", 3: "water"}
VALUES = np.array(list(CLASSES), "uint8")


def world(share, middle, n=30_000, seed=0):
    """Classes as normals on a plane with their true posterior; figures as ``accuracy.json`` has them."""
    rng = np.random.default_rng(seed)
    y = rng.choice(3, n, p=share)
    x = rng.normal(np.array(middle)[y], 1.0)
    density = np.array(share) * np.exp(-((x[:, None] - np.array(middle)) ** 2).sum(axis=2) / 2)
    p = density / density.sum(axis=1, keepdims=True)
    truth = VALUES[y]
    found = score(truth, VALUES[p.argmax(axis=1)], classes=CLASSES, probabilities=p)
    return found | {
        "equal_footing": equal_footing(truth, p, classes=CLASSES),
        "test_share": shares(truth, None, CLASSES),
        "training_rows": dict.fromkeys(CLASSES.values(), 1000),
    }


def sentence(accuracy, name):
    return next((line for line in explained(accuracy) if line.startswith(name)), "")


def verdict(accuracy, name):
    return next(row for row in separability(accuracy) if row["name"] == name)


def test_a_rare_class_that_stands_apart_is_missed_for_its_rarity():
    accuracy = world([0.9, 0.008, 0.092], [(0, 0), (2.4, 0), (0, 6)])
    row = accuracy["classes"]["scrub"]
    assert row["recall"]["value"] < 0.45
    line = sentence(accuracy, "scrub")
    assert "good precision, poor recall" in line
    assert "Class imbalance explains most of it" in line
    assert f"{accuracy['equal_footing']['scrub']['recall']['value']:.0%}".replace("%", " %") in line
    assert verdict(accuracy, "scrub")["verdict"] == "rare but separable"


def test_a_class_that_looks_like_another_is_not_missed_for_its_rarity():
    # Half of the class lies within the others, the rest far away: rarity costs nothing, likeness half.
    rng = np.random.default_rng(0)
    truth = rng.choice(VALUES, 20_000, p=[0.45, 0.1, 0.45])
    lost = (truth == 2) & (rng.random(20_000) < 0.5)
    p = np.where(lost[:, None], np.array([0.98, 0.01, 0.01]), 0.01 + 0.97 * (truth[:, None] == VALUES))
    found = score(truth, VALUES[p.argmax(axis=1)], classes=CLASSES, probabilities=p)
    found |= {"equal_footing": equal_footing(truth, p, classes=CLASSES), "test_share": shares(truth, None, CLASSES)}
    line = sentence(found, "scrub")
    assert "good precision, poor recall" in line
    assert "Class imbalance does not explain it" in line
    assert verdict(found, "scrub")["verdict"] == "rare and confused"


def test_a_common_class_is_given_what_is_doubtful():
    accuracy = world([0.6, 0.3, 0.1], [(0, 0), (1.2, 0), (0, 1.2)])
    line = sentence(accuracy, "forest")
    assert "good recall, poor precision" in line
    assert "doubtful pixels are given to a common class" in line
    assert verdict(accuracy, "forest")["verdict"] == "common and confused"


def test_a_rare_class_with_few_false_alarms_is_imprecise_for_its_rarity():
    # 95 % of water found, and 2 % of all other land taken for it: with a share of 1 % that is a precision of a third.
    truth = np.repeat(VALUES, [9900, 9900, 200])
    shown = truth.copy()
    shown[truth == 1] = np.where(np.arange(9900) % 50 == 0, 3, 1)
    shown[truth == 2] = np.where(np.arange(9900) % 50 == 0, 3, 2)
    shown[-10:] = 1
    accuracy = score(truth, shown, classes=CLASSES) | {"test_share": shares(truth, None, CLASSES)}
    line = sentence(accuracy, "water")
    assert "95 % of it is found, but only 32 % of the pixels mapped as it are correct" in line
    assert "Class imbalance explains most of it: 2.0 % of all other land is mapped as it, and it covers 1.0 %" in line
    # 0.95 / 3 against 0.02 * 2 / 3.
    assert "(33 %), 96 % of the pixels mapped as it would be correct" in line


def test_a_class_that_is_good_at_both_needs_no_explanation():
    accuracy = world([0.4, 0.3, 0.3], [(0, 0), (6, 0), (0, 6)])
    assert explained(accuracy) == []
    told = summaries(accuracy)
    assert [row["grade"] for row in told] == ["good"] * 3
    assert lead(told) == "The map is good at forest, scrub and water."


def test_the_summary_names_where_a_class_goes_and_what_it_is_taken_for():
    truth = np.repeat(VALUES, [100, 100, 40])
    shown = truth.copy()
    shown[100:160], shown[200:240] = 1, 2
    rows = {row["name"]: row for row in summaries(score(truth, shown, classes=CLASSES))}
    assert "Most missed pixels are mapped as forest (60 % of the class)." in rows["scrub"]["sentences"]
    assert "Most pixels wrongly mapped as it are scrub in the reference." in rows["forest"]["sentences"]
    assert rows["water"]["sentences"][0] == "None of it is found: no test pixel is mapped as this class."
    assert rows["water"]["grade"] == "poor"
    assert lead(list(rows.values())) == "The map is poor at forest, scrub and water."


def test_a_class_without_test_pixels_is_not_judged():
    accuracy = score(np.ones(50, "uint8"), np.ones(50, "uint8"), classes=CLASSES)
    assert lead(summaries(accuracy)) == "The map is good at forest. There are no test pixels of scrub and water."
    assert verdict(accuracy, "water")["verdict"] == "not known"


def test_too_few_samples_are_warned_of():
    truth = np.repeat(VALUES, [500, 29, 1])
    accuracy = score(truth, truth, classes=CLASSES | {4: "bog"})
    accuracy["training_rows"] = {"forest": 100, "scrub": 99, "water": 1, "bog": 0}
    assert few_samples(accuracy) == [
        "Too few samples of scrub: 29 test pixels, so its figures are uncertain; trained on 99 rows.",
        "Too few samples of water: 1 test pixel, so its figures are uncertain; trained on 1 row.",
        "Too few samples of bog: no test pixel, so its accuracy is unknown; not trained on, so the map cannot show it.",
    ]


def test_classes_with_the_same_lack_share_a_sentence():
    truth = np.repeat(VALUES, [20, 20, 70])
    assert few_samples(score(truth, truth, classes=CLASSES)) == [
        "Too few samples of forest and scrub: 20 test pixels, so its figures are uncertain (each)."
    ]


def test_a_verdict_whose_interval_reaches_across_the_limit_says_so():
    accuracy = world([0.5, 0.3, 0.2], [(0, 0), (4, 0), (0, 4)])
    accuracy["classes"]["water"]["auc"] |= {"value": 0.96, "low": 0.93, "high": 0.99}
    assert "not certain" in verdict(accuracy, "water")["meaning"]
    accuracy["classes"]["water"]["support"] = 12
    assert verdict(accuracy, "water") | {"verdict": "too few test pixels", "sure": False} == verdict(accuracy, "water")
    assert verdict(accuracy, "water")["meaning"] == "Only 12 test pixels: too few for a verdict."


def test_one_test_pixel_gives_no_verdict_however_right_it_is():
    # All pixels are right: only their number and their patches tell the classes apart.
    truth = np.repeat(VALUES, [1, 29, 30])
    accuracy = world([0.5, 0.3, 0.2], [(0, 0), (6, 0), (0, 6)]) | score(truth, truth, classes=CLASSES)
    told = summaries(accuracy)
    assert [row["grade"] for row in told] == ["too few", "too few", "good"]
    assert lead(told) == "The map is good at water. There are too few test pixels of forest and scrub for a verdict."
    assert told[0]["sentences"] == ["Only 1 test pixel: too few for a verdict (100 % of it is found)."]
    wrong = score(truth, np.full(60, 3, "uint8"), classes=CLASSES)
    assert [row["grade"] for row in summaries(wrong)] == ["too few", "too few", "poor"]
    assert explained(wrong | {"test_share": shares(truth, None, CLASSES)})[0].startswith("water")


def test_pixels_of_one_patch_give_no_verdict_and_those_of_few_say_so():
    truth, units = np.repeat(VALUES, 300), np.repeat([0, 1, 2, 3, 4, 5, 6, 7, 8], 100)
    units[:300] = 0
    accuracy = score(truth, truth, classes=CLASSES, clusters=units) | {"split": {"kind": "patch"}}
    told = summaries(accuracy)
    assert [row["grade"] for row in told] == ["too few", "good", "good"]
    assert told[0]["sentences"] == ["300 test pixels in one patch: too few for a verdict (100 % of it is found)."]
    assert told[1]["sentences"][-1] == "Uncertain: its test pixels are in only 3 patches."


def test_the_headline_of_few_pixels_is_warned_of():
    truth = np.repeat(VALUES, [6, 6, 6])
    words = few_samples(score(truth, truth, classes=CLASSES))
    assert words[0] == "There are only 18 test pixels in all: one pixel is about 5.6 points of the agreement."
    assert few_samples(score(truth[:1], truth[:1], classes={1: "forest"}))[0] == (
        "There is only 1 test pixel in all: one pixel is about 100.0 points of the agreement."
    )


@given(
    stn.arrays("uint8", st.shared(st.integers(1, 60), key="n"), elements=st.integers(1, 3)),
    stn.arrays("uint8", st.shared(st.integers(1, 60), key="n"), elements=st.integers(0, 3)),
)
def test_every_confusion_can_be_told(truth, shown):
    accuracy = score(truth, shown, classes=CLASSES)
    told = summaries(accuracy)
    assert lead(told).endswith(".")
    for row in told:
        scores = accuracy["classes"][row["name"]]
        both = [scores["recall"]["value"], scores["precision"]["value"]]
        if row["grade"] in {"good", "fair"}:
            assert min(both) >= {"good": 0.85, "fair": 0.7}[row["grade"]]
        assert row["sentences"]
    assert all(line.endswith(".") for line in [*explained(accuracy), *few_samples(accuracy)])
    assert len(separability(accuracy)) == 3


def test_figures_of_an_earlier_kind_are_judged_as_far_as_they_go():
    truth = np.repeat(VALUES, [100, 100, 100])
    shown = truth.copy()
    shown[100:160] = 1
    accuracy = score(truth, shown, classes=CLASSES)
    for row in accuracy["classes"].values():
        del row["average_precision"]
    assert sentence(accuracy, "scrub").endswith("only 40 % of it is found.")
    assert separability(accuracy)[0]["average_precision"]["value"] is None


def test_much_land_in_shared_polygons_is_said_before_the_figures():
    accuracy = {"classes": {}, "shared": {"share": 0.585, "rows": 5}}
    assert few_samples(accuracy)[0].startswith("58 % of the labelled land is in polygons that reach into training land")
    assert few_samples({"classes": {}, "shared": {"share": 0.07, "rows": 5}}) == []
    all_of_it = {"share": 1.0, "rows": 5, "reason": "every test pixel is known"}
    assert few_samples({"classes": {}, "shared": all_of_it})[0].startswith("The figures are too good: every test pixel")
