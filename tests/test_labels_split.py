import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landweave.errors import InputError
from landweave.labels.split import choose_folds, choose_split, lost_classes

COUNTS = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=4),
    st.dictionaries(st.integers(1, 5), st.integers(0, 500), max_size=5),
    min_size=2,
    max_size=12,
)


def labelled(counts):
    return [unit for unit, of_unit in counts.items() if sum(of_unit.values())]


@given(COUNTS, st.integers(0, 5), st.floats(0.1, 0.5))
def test_a_split_depends_on_the_counts_and_the_seed_only(counts, seed, fraction):
    if len(labelled(counts)) < 2:
        return
    split = choose_split(counts, test_fraction=fraction, seed=seed)
    backwards = {unit: dict(reversed(counts[unit].items())) for unit in reversed(counts)}
    assert split == choose_split(backwards, test_fraction=fraction, seed=seed)
    assert list(split) == sorted(labelled(counts))
    tests = list(split.values()).count("test")
    assert 1 <= tests < len(split)
    assert tests <= 2 * max(round(fraction * len(split)), 1) + 1


@given(st.integers(10, 60), st.integers(0, 99))
def test_a_rare_class_of_two_units_is_on_both_sides(number, seed):
    rng = np.random.default_rng(seed)
    counts = {f"p{i:03d}": {1: 100, 2: int(rng.integers(50, 100))} for i in range(number)}
    for rare in (3, 4, 5):
        for i in rng.choice(number, 2, replace=False):
            counts[f"p{i:03d}"][rare] = 3
    split = choose_split(counts, test_fraction=0.2, seed=seed)
    assert lost_classes(counts, split) == {"test": [], "train": []}


def test_a_class_of_one_unit_is_trained_with():
    counts = {f"p{i}": {1: 10, 2: 10} for i in range(10)}
    counts["p4"][9] = 5
    for seed in range(20):
        assert choose_split(counts, seed=seed)["p4"] == "train"


def test_splits_are_even_and_differ_by_seed():
    rng = np.random.default_rng(0)
    counts = {f"p{i:02d}": {1: int(rng.integers(1, 900)), 2: int(rng.integers(1, 900))} for i in range(40)}
    splits = [choose_split(counts, test_fraction=0.25, seed=seed) for seed in range(5)]
    assert len({tuple(split.items()) for split in splits}) > 1
    for split in splits:
        for c in (1, 2):
            tested = sum(counts[u][c] for u in counts if split[u] == "test")
            assert 0.2 < tested / sum(of[c] for of in counts.values()) < 0.3


def test_a_large_country_is_split_in_a_moment():
    rng = np.random.default_rng(0)
    counts = {f"p{i:05d}": {1: 100, 2: int(rng.integers(0, 50))} for i in range(5000)}
    for rare in range(3, 9):
        for i in rng.choice(5000, 2, replace=False):
            counts[f"p{i:05d}"][rare] = 3
    split = choose_split(counts)
    assert lost_classes(counts, split) == {"test": [], "train": []}
    assert 1000 <= list(split.values()).count("test") <= 1002


def test_too_few_units_and_bad_fractions_are_told():
    with pytest.raises(InputError, match="Only 1 patch or block has labels"):
        choose_split({"a": {1: 3}, "b": {1: 0}, "c": {0: 9}})
    with pytest.raises(InputError, match="test_fraction is 1"):
        choose_split({"a": {1: 3}, "b": {1: 3}}, test_fraction=1)
    with pytest.raises(InputError, match="No patch or block"):
        choose_folds({"a": {}})
    with pytest.raises(InputError, match="1 folds"):
        choose_folds({"a": {1: 1}}, k=1)


@given(COUNTS, st.integers(2, 6), st.integers(0, 3))
def test_folds_are_even_and_leave_every_class_that_can_be_left(counts, k, seed):
    units = labelled(counts)
    if not units:
        return
    folds = choose_folds(counts, k=k, seed=seed)
    assert folds == choose_folds(dict(reversed(counts.items())), k=k, seed=seed)
    assert sorted(folds) == sorted(units)
    sizes = np.bincount(list(folds.values()), minlength=min(k, len(units)))
    assert len(sizes) == min(k, len(units))
    assert sizes.max() - sizes.min() <= 1
    if len(units) >= 4 and len(sizes) > 2:
        for c in range(1, 6):
            holders = {folds[u] for u in units if counts[u].get(c, 0)}
            if sum(counts[u].get(c, 0) > 0 for u in units) > len(sizes):
                assert len(holders) > 1


@given(st.integers(0, 99))
def test_a_rare_class_of_two_units_is_in_two_folds(seed):
    rng = np.random.default_rng(seed)
    counts = {f"p{i}": {1: 10, 2: 10} for i in range(12)}
    for rare in (3, 4, 5, 6):
        for i in rng.choice(12, 2, replace=False):
            counts[f"p{i}"][rare] = 2
    folds = choose_folds(counts, seed=seed)
    for rare in (3, 4, 5, 6):
        assert len({folds[u] for u in counts if rare in counts[u]}) == 2
