import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from landweave.errors import InputError
from landweave.labels.draw import draw, draw_uniform, land_factors, quotas

LABELS = stn.arrays("uint8", st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 3))


@given(st.lists(st.integers(0, 300), min_size=1, max_size=9), st.integers(1, 800))
def test_patches_give_as_equally_as_they_can(available, total):
    counts = {f"p{i}": {4: n} for i, n in enumerate(available)}
    given_ = [quotas(counts, per_class=total)[f"p{i}"].get(4, 0) for i in range(len(available))]
    assert sum(given_) == min(total, sum(available))
    level = max(given_)
    for n, has in zip(given_, available, strict=True):
        assert n == has or n >= level - 1


def test_each_way_of_sampling_gives_its_quota():
    counts = {"b": {2: 10, 1: 1000}, "a": {1: 40, 0: 99}}
    assert quotas(counts, per_class=100) == {"a": {1: 40}, "b": {1: 60, 2: 10}}
    assert quotas(counts, fraction=0.04) == {"a": {1: 2}, "b": {1: 40, 2: 1}}
    assert quotas(counts, per_patch=50) == {"a": {1: 40}, "b": {1: 40, 2: 10}}
    assert list(quotas(counts, per_class=100)) == ["a", "b"]


@pytest.mark.parametrize("wrong", [{}, {"per_class": 1, "fraction": 0.1}, {"per_class": 0}, {"fraction": 1.5}])
def test_one_way_of_sampling_is_needed(wrong):
    with pytest.raises(InputError, match="sampling"):
        quotas({"a": {1: 1}}, **wrong)


@given(LABELS, st.integers(0, 40), st.integers(0, 9))
def test_a_draw_fills_its_quota_and_its_weights_add_up_to_the_land(labels, number, seed):
    rows, columns, weight = draw(labels, {1: number, 3: 2}, seed=seed, name="p")
    counts = dict(zip(*(part.tolist() for part in np.unique(labels[labels > 0], return_counts=True)), strict=True))
    for value, quota in ((1, number), (2, 0), (3, 2)):
        drawn = labels[rows, columns] == value
        assert drawn.sum() == min(quota, counts.get(value, 0))
        if drawn.any():
            assert np.isclose(weight[drawn].sum(), counts[value])
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == len(rows)


@given(LABELS, st.integers(1, 30), st.integers(0, 9))
def test_a_larger_quota_adds_pixels_and_changes_none(labels, number, seed):
    def pixels(quota):
        rows, columns, _ = draw(labels, quota, seed=seed, name="p")
        return {(r, c) for r, c in zip(rows.tolist(), columns.tolist(), strict=True) if labels[r, c] == 1}

    assert pixels({1: number}) <= pixels({1: number + 5, 2: 4})
    assert pixels({1: number}) == pixels({2: 9, 1: number, 3: 1})


def test_draws_differ_by_patch_and_by_seed():
    labels = np.ones((30, 30), "uint8")
    draws = {draw(labels, {1: 20}, seed=s, name=n)[0].tobytes() for s, n in ((1, "a"), (1, "b"), (2, "a"))}
    assert len(draws) == 3


def test_a_uniform_draw_keeps_the_shares_of_the_land():
    labels = np.zeros((200, 200), "uint8")
    labels[:, :150], labels[:, 150:152] = 1, 2
    rows, columns, weight = draw_uniform(labels, rate=0.2, seed=3, name="p")
    assert len(rows) == 6080
    assert np.allclose(weight, 5)
    share = (labels[rows, columns] == 2).mean()
    assert abs(share - 2 / 152) < 0.005
    assert (labels[rows, columns] > 0).all()
    assert len(draw_uniform(labels, n=10**9, seed=3, name="p")[0]) == 200 * 152
    assert len(draw_uniform(np.zeros((3, 3), "uint8"), rate=0.5, seed=3, name="p")[0]) == 0
    with pytest.raises(InputError, match="either a number or a rate"):
        draw_uniform(labels, seed=3, name="p")
    with pytest.raises(InputError, match="rate of a uniform draw is 2"):
        draw_uniform(labels, rate=2, seed=3, name="p")


def land_by_weights(counts, per_class, seed=42):
    """Land of each class that the weights of all drawn pixels stand for, and the land that there is."""
    drawn = quotas(counts, per_class=per_class, seed=seed)
    factors = land_factors(counts, drawn)
    stood, there = {1: 0.0, 2: 0.0}, {1: 0, 2: 0}
    for name, part in counts.items():
        labels = np.repeat(np.array(list(part)), list(part.values())).astype("uint8")[None]
        rows, columns, weight = draw(labels, drawn.get(name, {}), seed=seed, name=name)
        value = labels[rows, columns]
        for k in there:
            there[k] += part.get(k, 0)
            stood[k] += factors.get(k, 0) * weight[value == k].sum()
    return stood, there


def test_weights_stand_for_all_land_where_patches_outnumber_the_pixels_to_draw():
    rng = np.random.default_rng(0)
    counts = {
        f"p{i:05d}": {1: int(rng.integers(200, 300)), **({2: int(rng.integers(5, 40))} if rng.random() < 0.04 else {})}
        for i in range(1000)
    }
    stood, there = land_by_weights(counts, per_class=200)
    assert stood == {1: pytest.approx(there[1]), 2: pytest.approx(there[2])}
    assert stood[2] / sum(stood.values()) == pytest.approx(there[2] / sum(there.values()))


@given(st.lists(st.integers(0, 30), min_size=2, max_size=30).filter(any), st.integers(1, 40), st.integers(0, 5))
def test_weights_stand_for_all_land_whatever_is_drawn(available, per_class, seed):
    stood, there = land_by_weights({f"p{i}": {1: n} for i, n in enumerate(available)}, per_class, seed)
    assert stood[1] == pytest.approx(there[1])


def test_which_patches_give_the_few_pixels_is_left_to_chance_and_to_the_seed():
    counts = {f"p{i:03d}": {1: 9} for i in range(100)}
    givers = [tuple(sorted(p for p, part in quotas(counts, per_class=10, seed=s).items() if part)) for s in (1, 1, 2)]
    assert givers[0] == givers[1] != givers[2]
    often = np.zeros(100)
    for seed in range(300):
        often += [bool(part) for part in quotas(counts, per_class=10, seed=seed).values()]
    assert 10 <= often.min() <= 30 <= often.max() <= 55, "each patch in a tenth of the draws"
