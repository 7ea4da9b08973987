"""Pieces of a reference under suspicion."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landweave.accuracy.label_errors import (
    audited_precision,
    confident_others,
    judge_pieces,
    label_noise,
    list_length,
    piece_evidence,
    wrong_labels,
)
from landweave.errors import InputError

CLASSES = ["field", "wood", "pond"]


def drawn(rng, n, k):
    p = rng.dirichlet(np.ones(k), n)
    p[rng.random(n) < 0.2] = 0  # no model was asked there
    return p


@given(st.integers(0, 9999), st.integers(2, 4))
def test_a_pixel_is_confidently_another_class_only_where_that_reaches_its_threshold_and_exceeds_the_label(seed, k):
    rng = np.random.default_rng(seed)
    label, p, thresholds = rng.integers(-1, k, 60), drawn(rng, 60, k), rng.random(k)
    found = confident_others(label, p, thresholds)
    for i in range(60):
        reached = [j for j in range(k) if p[i, j] >= thresholds[j]]
        best = max(reached, key=lambda j: p[i, j], default=-1)
        doubtful = label[i] >= 0 and p[i].any() and best >= 0 and best != label[i] and p[i, best] > p[i, label[i]]
        assert found[i] == (best if doubtful else -1)


@given(st.integers(0, 9999), st.integers(1, 80))
def test_a_piece_cut_in_two_by_a_border_says_what_it_says_whole(seed, cut):
    rng = np.random.default_rng(seed)
    n, k = 80, 3
    pieces = rng.integers(0, 6, n)
    label = np.where(pieces > 0, pieces % k, -1)
    p, core = drawn(rng, n, k), rng.random(n) < 0.5
    others = confident_others(label, p, np.full(k, 0.4))

    def evidence(at):
        return piece_evidence(label[at], pieces[at], p[at], others[at], core[at])

    whole = evidence(np.s_[:])
    parts = pd.concat([evidence(np.s_[:cut]), evidence(np.s_[cut:])]).groupby(["piece", "label"], as_index=False).sum()
    pd.testing.assert_frame_equal(parts[whole.columns], whole, check_dtype=False)
    assert whole["pixels"].sum() == np.count_nonzero((pieces > 0) & p.any(axis=1))


def table(rows):
    """Pieces of 60 pixels from (label, mean probabilities, number of such pieces)."""
    made = []
    for label, mean, count in rows:
        for _ in range(count):
            sums = {f"p_{j}": 60 * v for j, v in enumerate(mean)} | {f"c_{j}": 30 * v for j, v in enumerate(mean)}
            counts = {f"s_{j}": 60 * (j != label and v == max(mean)) for j, v in enumerate(mean)}
            made.append({"label": label, "pixels": 60, "core": 30, **sums, **counts})
    return pd.DataFrame(made).assign(piece=np.arange(1, len(made) + 1))


def memory(looks, label, others):
    """How often each label goes with looks like these: a stand-in for a classifier."""
    near = np.abs(others[:, None] - looks[None]).max(axis=2) < 0.05
    counts = np.stack([(near & (label == j)).sum(axis=1) for j in range(len(CLASSES))], axis=1)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def test_a_field_that_looks_like_the_woods_is_listed_before_all_and_woods_that_often_look_like_fields_are_not():
    # Half of the woods are thin, and their pixels look more like a field: no error, since so many are labelled so.
    rows = [(0, (0.9, 0.1, 0.0), 40), (1, (0.1, 0.9, 0.0), 30), (1, (0.6, 0.4, 0.0), 30), (0, (0.1, 0.9, 0.0), 1)]
    found = judge_pieces(table(rows), classes=CLASSES, classify=memory)
    assert found["piece"].tolist() == [101]
    assert found.loc[0, ["reference", "suggested"]].tolist() == ["field", "wood"]
    assert found.loc[0, "share"] == 1
    assert "60 of 60 pixels look confidently like another class, 60 of them like wood" in found.loc[0, "evidence"]
    # Without the second opinion the thin woods are suspected, all thirty.
    plain = judge_pieces(table(rows), classes=CLASSES)
    assert len(plain) == 31
    assert plain.loc[0, "piece"] == 101


def test_of_equal_doubt_the_larger_piece_comes_first_and_the_smallest_are_not_judged():
    rows = table([(0, (0.9, 0.1, 0.0), 40), (0, (0.1, 0.9, 0.0), 3), (1, (0.1, 0.9, 0.0), 20)])
    size = rows["pixels"].to_numpy().copy()
    size[40:43] = 40, 400, 20
    numbers = [name for name in rows if name[:2] in {"p_", "c_", "s_"}]
    rows[numbers] = rows[numbers].mul(size / 60, axis=0)
    rows = rows.assign(pixels=size, core=size // 2)
    found = judge_pieces(rows, classes=CLASSES)
    assert found["piece"].tolist() == [42, 41]
    np.testing.assert_allclose(found["score"], found["doubt"] * found["pixels"] / (found["pixels"] + 50))
    assert found["doubt"].iloc[0] == pytest.approx(found["doubt"].iloc[1])


def test_a_part_is_listed_where_its_piece_is_not():
    rows = table([(0, (0.9, 0.1, 0.0), 40), (1, (0.1, 0.9, 0.0), 40), (0, (0.1, 0.9, 0.0), 1)])
    rows.loc[[0, 80], "pixels"] = 600
    rows.loc[[0, 80], ["p_0", "p_1", "p_2"]] *= 10
    parts = table([(0, (0.1, 0.9, 0.0), 3)]).assign(within=[1, 81, 2], piece=[-1, -2, -3])
    found = judge_pieces(rows, parts, classes=CLASSES, classify=memory)
    # The part of piece 81 says nothing more than piece 81, and that of piece 2 is all of it.
    assert found[["piece", "part", "within"]].to_numpy().tolist() == [[81, False, 81], [-1, True, 1]]


def noisy(rng, n=4000, k=3, rate=0.06):
    """Pieces whose looks show their true class clearly or hardly, of whose labels some are wrong at random.

    Looks are normal about the class's own, so the probability of each class given the looks is known.
    """
    true, apart = rng.integers(0, k, n), rng.choice([2.0, 4.0], n)[:, None]
    looks = apart * (true[:, None] == np.arange(k)) + rng.normal(0, 1, (n, k))
    q = np.exp(apart * (looks - looks.max(axis=1, keepdims=True)))
    q /= q.sum(axis=1, keepdims=True)
    wrong = rng.random(n) < rate
    return np.where(wrong, (true + rng.integers(1, k, n)) % k, true), q, wrong


def test_the_noise_that_was_put_in_is_found_and_its_columns_are_shares():
    label, q, _ = noisy(np.random.default_rng(0), n=20_000)
    found = label_noise(label, q)
    np.testing.assert_allclose(found.sum(axis=0), 1)
    assert np.diagonal(found).min() > 0.85
    assert 0.01 < found[0, 1] < 0.1


def test_the_estimated_share_of_wrong_labels_is_about_the_true_one_at_every_length_of_the_list():
    label, q, wrong = noisy(np.random.default_rng(1))
    estimated = wrong_labels(label, q, label_noise(label, q))
    order = np.argsort(-estimated, kind="stable")
    for n in (100, 200, 400):
        assert estimated[order[:n]].mean() == pytest.approx(wrong[order[:n]].mean(), abs=0.15)
    cut = list_length(estimated[order], 0.5)
    assert wrong[order[:cut]].mean() == pytest.approx(0.5, abs=0.15)


def test_labels_without_noise_or_looks_are_not_wrong():
    assert wrong_labels(np.array([0, 1]), np.zeros((2, 2)), np.eye(2)).tolist() == [0, 0]
    assert wrong_labels(np.array([0]), np.array([[0.1, 0.9]]), np.eye(2)).tolist() == [0]
    assert label_noise(np.zeros(0, int), np.zeros((0, 2))).tolist() == np.eye(2).tolist()
    assert list_length(np.zeros(0), 0.5) == 0
    assert list_length(np.zeros(7), 0.0) == 7


@pytest.mark.parametrize(("listed", "truly"), [(60, 30), (200, 150), (30, 11), (500, 5)])
def test_the_interval_of_an_audit_holds_the_share_in_19_of_20_draws_or_more(listed, truly):
    hypergeom = pytest.importorskip("scipy.stats").hypergeom
    chance = 0.0
    for wrong in range(max(0, truly - listed + 30), min(30, truly) + 1):
        _, low, high = audited_precision(wrong, 30, listed)
        chance += hypergeom.pmf(wrong, listed, truly, 30) * (low <= truly / listed <= high)
    assert chance >= 0.95


def test_an_audit_of_all_is_a_point_and_numbers_that_do_not_fit_are_refused():
    assert audited_precision(7, 10, 10) == (0.7, 0.7, 0.7)
    for numbers in ((3, 0, 10), (4, 3, 10), (1, 11, 10), (-1, 3, 10)):
        with pytest.raises(InputError, match="judge at least one entry"):
            audited_precision(*numbers)
