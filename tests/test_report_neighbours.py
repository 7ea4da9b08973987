"""How much of an accuracy comes from neighbours: splits, distances, the range of errors, leaks, and their words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from landweave.accuracy.spatial.autocorrelation import error_range
from landweave.accuracy.spatial.distances import distance_figures, nearest
from landweave.accuracy.spatial.splits import compare_splits
from landweave.labels.leakage import audit, classes_lost, fingerprints
from landweave.report.sections.neighbours import distance_section, edge_section, leakage_section, split_section

CLASSES = {1: "forest", 2: "water"}


def field(*, length, n=70, pixel=20.0, seed=0):
    """A standard normal field of covariance exp(-h / length) on a grid, and its places in metres."""
    lag = np.minimum(np.arange(2 * n), 2 * n - np.arange(2 * n)) * pixel
    covariance = np.exp(-np.hypot(lag[:, None], lag) / length)
    spectrum = np.maximum(np.fft.fft2(covariance).real, 0)
    noise = np.random.default_rng(seed).normal(size=(2 * n, 2 * n))
    values = np.fft.ifft2(np.sqrt(spectrum) * np.fft.fft2(noise)).real[:n, :n]
    y, x = np.mgrid[:n, :n] * pixel
    return x.ravel().astype(float), y.ravel().astype(float), values.ravel()


@pytest.mark.parametrize("length", [40.0, 120.0])
def test_the_range_of_errors_is_about_three_lengths_of_the_field_that_made_them(length):
    found = []
    for seed in range(3):
        x, y, values = field(length=length, seed=seed)
        found.append(error_range(x, y, values > 0, pixel=20.0)["metres"])
    # Right and wrong of a field cut at its median resemble each other a little less far than the field itself.
    assert 1.5 * length < np.median(found) < 4 * length


def test_errors_that_are_independent_have_no_range():
    x, y, _ = field(length=50.0, n=40)
    for seed in range(8):
        wrong = np.random.default_rng(seed).random(len(x)) < 0.2
        found = error_range(x, y, wrong, pixel=20.0)
        assert found["metres"] is None
        assert "no more than by chance" in found["reason"]


@pytest.mark.parametrize("wrong", [np.zeros(400, bool), np.ones(400, bool), np.zeros(10, bool)])
def test_without_both_right_and_wrong_there_is_a_reason_and_no_range(wrong):
    x, y = np.arange(len(wrong)) * 10.0, np.zeros(len(wrong))
    found = error_range(x, y, wrong, pixel=10.0)
    assert found["metres"] is None
    assert found["reason"]


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10_000))
def test_the_nearest_training_place_is_that_of_all_distances(n, m, seed):
    rng = np.random.default_rng(seed)
    places, training = rng.integers(0, 50, (n, 2)).astype(float), rng.integers(0, 50, (m, 2)).astype(float)
    brute = np.sqrt(((places[:, None] - training) ** 2).sum(axis=2)).min(axis=1)
    np.testing.assert_allclose(nearest(places, training), brute)


def test_the_test_that_lies_as_far_off_as_the_map_is_called_like_it():
    rng = np.random.default_rng(0)
    far, near = rng.exponential(2000, 3000), rng.exponential(20, 3000)
    found = distance_figures(
        {"map": rng.exponential(2000, 3000), "held_out": far, "random": near}, {"held_out": None, "random": None}, pixel=10.0
    )  # fmt: skip
    assert found["like_the_map"] == "held_out"
    assert found["random"]["apart"] == pytest.approx(2000 - 20, rel=0.1)
    for name in ("map", "held_out", "random"):
        assert sum(found[name]["shares"]) == pytest.approx(1, abs=1e-3)
    assert found["held_out"]["median"] == pytest.approx(2000 * np.log(2), rel=0.1)


def test_a_distance_histogram_weighs_land():
    found = distance_figures(
        {"map": np.array([5.0, 500.0]), "held_out": np.array([5.0, 500.0])}, {"held_out": np.array([1.0, 9.0])}, pixel=10.0
    )  # fmt: skip
    assert found["held_out"]["median"] == 500.0
    assert max(found["held_out"]["shares"]) == pytest.approx(0.9)


@given(arrays("int16", (12, 3), elements=st.integers(-2, 2)))
def test_fingerprints_are_equal_for_equal_rows_and_for_no_others(rows):
    prints = fingerprints(rows)
    same = (rows[:, None] == rows).all(axis=2)
    np.testing.assert_array_equal(prints[:, None] == prints, same)


def test_every_planted_leak_is_counted():
    rng = np.random.default_rng(3)
    features = rng.integers(0, 10_000, (200, 6)).astype("int16")
    side = np.arange(200) >= 150
    features[150:155] = features[:5]  # five test rows repeat training rows
    features[198] = features[199]  # and one repeats another of its own side
    features[190:193] = features[10:13] = -32768  # nothing is known of these, so they are no twins
    to_training = np.full(50, 900.0)
    to_training[:3], to_training[3:7] = 0.0, 10.0
    polygons = np.concatenate([np.arange(1, 151), np.arange(141, 191)])
    found = audit(
        features, side, weights=np.ones(200), to_training=to_training, pixel=10.0, reach=400.0, polygons=polygons,
        missing=-32768,
    )  # fmt: skip
    assert found["twins"] == {"across": 5, "within_test": 1, "within_training": 0}
    assert found["same_place"] == 3
    assert found["near"]["pixel"] == {"metres": 15.0, "rows": 7, "share": 7 / 50}
    assert found["near"]["range"] == {"metres": 400.0, "rows": 7, "share": 7 / 50}
    assert found["polygons"] == {"shared": 10, "test_polygons": 50, "share": 10 / 50}


def test_a_class_that_one_side_lacks_is_named():
    counts = {"a": {1: 5, 2: 5}, "b": {1: 5}, "c": {1: 5, 2: 1}}
    assert classes_lost(counts, {"a": "train", "c": "train", "b": "test"}, CLASSES) == {"train": [], "test": ["water"]}


def nearest_neighbour(X, y):
    return X, y


def one_by_one(fit):
    return lambda X, y, parts: [fit(X[used], y[used]) for used in parts]


def as_its_neighbour(fitted, X):
    training, y = fitted
    return y[((X[:, None] - training) ** 2).sum(axis=2).argmin(axis=1)]


def places_and_splits(*, known_by_place):
    """Rows of 40 units, whose features tell the unit and hardly the class, or the class and nothing else."""
    rng = np.random.default_rng(5)
    unit = np.repeat(np.arange(40), 20)
    label = np.where(rng.random(40) < 0.5, 1, 2)[unit].astype("uint8")
    signature = rng.normal(size=(40, 4))[unit] * 10
    features = (
        signature + rng.normal(size=(800, 4)) if known_by_place else label[:, None] + rng.normal(size=(800, 4)) / 2
    )
    drawn, dealt = rng.integers(0, 3, 800), rng.integers(0, 3, 40)[unit]
    folds = {"random": (drawn, drawn), "patch": (dealt, dealt)}
    return features, label, folds, np.array([f"u{n}" for n in unit])


def compared(*, known_by_place):
    X, y, folds, clusters = places_and_splits(known_by_place=known_by_place)
    return compare_splits(
        X, y, X, y, folds, fit=one_by_one(nearest_neighbour), predict=as_its_neighbour, classes=CLASSES, weights=np.ones(len(y)),
        clusters=clusters, rows_a_class=300,
    )  # fmt: skip


def test_a_model_that_knows_places_is_flattered_by_a_random_split():
    figures, _ = compared(known_by_place=True)
    assert figures["random"]["overall_accuracy"]["value"] > 0.95
    assert figures["patch"]["overall_accuracy"]["value"] < 0.75
    gap = figures["gaps"]["random - patch"]
    assert 0.2 < gap["low"] <= gap["value"] <= gap["high"]
    assert gap["value"] == pytest.approx(
        figures["random"]["overall_accuracy"]["value"] - figures["patch"]["overall_accuracy"]["value"]
    )


def test_a_model_that_knows_classes_is_not():
    figures, _ = compared(known_by_place=False)
    gap = figures["gaps"]["random - patch"]
    assert abs(gap["value"]) < 0.03
    assert gap["low"] < 0.01


def test_no_row_is_asked_of_a_model_that_its_fold_taught():
    X, y, folds, clusters = places_and_splits(known_by_place=True)
    _, taught = compare_splits(
        X, y, X, y, folds, fit=one_by_one(nearest_neighbour), predict=as_its_neighbour, classes=CLASSES, weights=np.ones(len(y)),
        clusters=clusters, rows_a_class=300,
    )  # fmt: skip
    for name, (own, asked) in folds.items():
        sizes = {tuple(np.bincount(y[used]).tolist()) for used in taught[name]}
        for number, used in zip(np.unique(asked), taught[name], strict=True):
            assert not used[own == number].any()
        assert len(sizes) == 1, "all fits of all splits have equally many rows of a class"


def score(value, low=None, high=None):
    return {"value": value, "low": low, "high": high}


def splits():
    settings = {"folds": 3, "test_rows": 1000}
    both = {"weighted_f1": score(0.8), "recall": {}}
    return {
        "random": {"overall_accuracy": score(0.9, 0.88, 0.92), **both},
        "patch": {"overall_accuracy": score(0.8, 0.75, 0.85), **both},
        "block": {"reason": "blocks of 900 m, the range, are too few to hold any out"},
        "gaps": {"random - patch": score(0.1, 0.06, 0.14)},
        "settings": settings,
        "range": {"metres": 900.0},
    }


def test_the_optimism_gap_is_told_with_its_interval_and_its_direction():
    found = split_section({"splits": splits()})
    words = " ".join(found["words"])
    assert "+10.0 points (95 % interval: +6.0 to +14.0), so a test next to training pixels is too optimistic" in words
    assert [row["name"] for row in found["rows"]] == ["Random pixels", "Whole patches"]
    assert found["reasons"] == [
        "Blocks as wide as the range of errors: blocks of 900 m, the range, are too few to hold any out."
    ]


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(-0.02, 0.04, "which may be chance"), (-0.04, -0.01, "neighbours did not help"), (None, None, "too few units")],
)
def test_a_gap_that_is_none_is_called_none(low, high, words):
    told = splits() | {"gaps": {"random - patch": score(0.01, low, high)}}
    assert words in " ".join(split_section({"splits": told})["words"])


@pytest.mark.parametrize("section", [split_section, distance_section, leakage_section, edge_section])
@pytest.mark.parametrize(
    "told", [{}, {"splits": {"reason": "x"}, "distances": {"reason": "x"}, "leakage": {"reason": "x"}}]
)
def test_what_was_not_measured_has_no_section(section, told):
    assert section(told) is None


def test_distances_are_drawn_and_the_harder_side_named():
    rng = np.random.default_rng(0)
    near, far = rng.exponential(30, 500), rng.exponential(3000, 500)
    for test, own, words in (
        (far, near, "harder than most"),
        (near, far, "easier than most"),
        (far, far, "as hard as"),
    ):
        found = distance_figures({"map": own, "held_out": test}, {"held_out": None}, pixel=10.0)
        section = distance_section({"distances": found})
        assert words in section["words"]
        assert section["svg"].count("<poly") == 2


def test_a_leak_is_marked_and_its_absence_too():
    clean = {
        "test_rows": 100, "training_rows": 900, "same_place": 0, "polygons": None, "lost": {"train": [], "test": []},
        "twins": {"across": 0, "within_test": 0, "within_training": 0},
        "near": {"pixel": {"metres": 15.0, "rows": 0, "share": 0.0}, "range": None},
    }  # fmt: skip
    assert {row["grade"] for row in leakage_section({"leakage": clean})} == {"good"}
    leaky = clean | {"same_place": 4, "lost": {"test": ["water"]}}
    poor = [row["what"] for row in leakage_section({"leakage": leaky}) if row["grade"] == "poor"]
    assert poor == ["Pixels on both sides", "Classes missing in the test units"]


def test_a_thin_fold_takes_no_rows_from_the_others():
    y = np.array([1] * 400 + [2] * 400, "uint8")
    X = y[:, None] + np.random.default_rng(0).normal(size=(800, 2))
    fold = np.zeros(800, int)
    fold[395:400] = 1  # without fold 0, five rows of class 1 are left
    fold[600:] = 1
    seen = []
    compare_splits(
        X, y, X, y, {"thin": (fold, fold)}, fit=one_by_one(lambda X, y: seen.append(np.bincount(y))), classes=CLASSES,
        predict=lambda _, X: np.ones(len(X), "uint8"), weights=np.ones(800), clusters=None, rows_a_class=300,
    )  # fmt: skip
    assert sorted(counts[1] for counts in seen) == [5, 300]


def test_a_class_that_a_fold_lacks_is_named_and_no_neighbours_are_blamed():
    told = splits() | {"patch": splits()["patch"] | {"lacking": ["water"]}}
    words = " ".join(split_section({"splits": told})["words"])
    assert "partly because a fold had no training row of water" in words
    assert "flatters" not in words


def test_without_erosion_nothing_is_said_of_a_ring():
    assert edge_section({"erosion": {"pixels": 0}, "thin": {"share": 0.1}}) is None
