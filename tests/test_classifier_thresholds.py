"""Thresholds: what moving one does, and which are best on rows that no model saw."""

import time

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from landweave.classifier.model import decide
from landweave.classifier.thresholds import GRID, choose_thresholds, threshold_effect
from landweave.errors import InputError

CLASSES = (2, 5, 9)


def confusion(y, label, weights):
    table = np.zeros((256, 256))
    np.add.at(table, (y, label), weights)
    return table[np.ix_(CLASSES, CLASSES)]


def f1(y, label, weights):
    table = confusion(y, label, weights)
    total = table.sum(axis=0) + table.sum(axis=1)
    return np.divide(2 * np.diag(table), total, out=np.zeros(3), where=total > 0)


def rare_world(n=6000, seed=0, share=(0.9, 0.08, 0.02)):
    """Three overlapping normal classes on a plane, with the true posterior: nothing is better calibrated."""
    rng = np.random.default_rng(seed)
    y = rng.choice(3, n, p=share)
    middle = np.array([[0, 0], [1.5, 0], [0, 1.8]])
    x = rng.normal(middle[y], 1.0)
    density = np.array(share) * np.exp(-((x[:, None] - middle) ** 2).sum(axis=2) / 2)
    return density / density.sum(axis=1, keepdims=True), np.array(CLASSES, "uint8")[y]


rows = st.integers(1, 40).flatmap(
    lambda n: st.tuples(
        stn.arrays("float32", (n, 3), elements=st.sampled_from([0.0, 0.1, 0.2, 0.25, 0.4, 0.5, 0.8, 1.0])),
        stn.arrays("uint8", n, elements=st.sampled_from(CLASSES)),
        stn.arrays("float64", n, elements=st.sampled_from([1.0, 2.0, 5.0])),
    )
)


@given(rows, st.sampled_from(CLASSES), st.sampled_from(GRID), st.sampled_from(GRID))
def test_the_effect_of_a_threshold_is_what_deciding_by_it_gives(world, value, own, others):
    p, y, weights = world
    thresholds = {v: others for v in CLASSES if v != 2} | {value: own}
    # Where two quotients differ by rounding alone either class may be shown.
    quotients = np.sort(p.astype("float64") / [thresholds.get(v, 1.0) for v in CLASSES], axis=1)
    clear = quotients[:, -1] - quotients[:, -2] > 1e-12 * quotients[:, -1]
    assume(clear.any())
    p, y, weights = p[clear], y[clear], weights[clear]
    told = threshold_effect(p, y, classes=CLASSES, value=value, thresholds=thresholds, weights=weights, grid=[own])
    label, _ = decide(p, CLASSES, thresholds=thresholds)
    table, column = confusion(y, label, weights), CLASSES.index(value)
    assert told["overall_accuracy"][0] == pytest.approx(np.trace(table) / weights.sum())
    for name, whole in (("recall", table[column].sum()), ("precision", table[:, column].sum())):
        expected = pytest.approx(table[column, column] / whole) if whole else None
        assert told[name][0] == expected


def test_equal_rows_go_where_deciding_sends_them():
    p, y = np.array([[0.5, 0.5, 0.0]] * 4), np.array([2, 2, 5, 9], "uint8")
    assert threshold_effect(p, y, classes=CLASSES, value=2, grid=[1.0])["recall"] == [1.0]
    assert threshold_effect(p, y, classes=CLASSES, value=5, grid=[1.0])["recall"] == [0.0]


@pytest.mark.parametrize("objective", ["macro_f1", "weighted_f1"])
def test_no_other_grid_of_thresholds_is_much_better(objective):
    p, y = rare_world()
    weights = np.ones(len(y))
    share = np.array([(y == v).mean() for v in CLASSES])
    by = np.full(3, 1 / 3) if objective == "macro_f1" else share
    chosen = choose_thresholds(p, y, classes=CLASSES, objective=objective)
    reached = f1(y, decide(p, CLASSES, thresholds=chosen)[0], weights) @ by
    everything = [
        f1(y, decide(p, CLASSES, thresholds={5: a, 9: b})[0], weights) @ by for a in GRID[::2] for b in GRID[::2]
    ]
    assert reached >= max(everything) - 0.002
    assert reached >= f1(y, decide(p, CLASSES)[0], weights) @ by


def test_thresholds_that_help_rare_classes_help_on_rows_they_were_not_chosen_on():
    p, y = rare_world(n=20_000)
    chosen = choose_thresholds(p[:10_000], y[:10_000], classes=CLASSES)
    assert set(chosen) == {5, 9}
    assert all(t < 1 for t in chosen.values())
    new, old = (decide(p[10_000:], CLASSES, thresholds=t)[0] for t in (chosen, {}))
    weights = np.ones(10_000)
    assert f1(y[10_000:], new, weights).mean() > f1(y[10_000:], old, weights).mean() + 0.05
    assert (new == y[10_000:]).mean() < (old == y[10_000:]).mean()  # this is what it costs


def test_weights_count_like_repeated_rows():
    p, y = rare_world(n=800, share=(0.5, 0.3, 0.2))
    times = np.random.default_rng(0).integers(1, 4, len(y))
    assert choose_thresholds(p, y, classes=CLASSES, weights=times) == choose_thresholds(
        p.repeat(times, axis=0), y.repeat(times), classes=CLASSES
    )


@pytest.mark.parametrize("change", ["one class", "nothing", "unknown", "perfect"])
def test_where_nothing_can_be_gained_no_threshold_is_moved(change):
    p, y = rare_world(n=200)
    if change == "one class":
        y[:] = 2
    if change == "nothing":
        p, y = p[:0], y[:0]
    if change == "unknown":
        p[:] = np.nan
    if change == "perfect":
        p = np.array(CLASSES)[None, :] == y[:, None]
    assert choose_thresholds(p.astype("float64"), y, classes=CLASSES) == {}


def test_an_unknown_objective_is_refused():
    with pytest.raises(InputError, match="macro_f1, weighted_f1"):
        choose_thresholds(*rare_world(n=10), classes=CLASSES, objective="accuracy")


def test_a_large_table_takes_seconds():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(10, 0.3), 50_000).astype("float32")
    y = (p.cumsum(axis=1) > rng.random((50_000, 1))).argmax(axis=1).astype("uint8") + 1
    start = time.process_time()
    choose_thresholds(p, y, classes=range(1, 11))
    assert time.process_time() - start < 20
