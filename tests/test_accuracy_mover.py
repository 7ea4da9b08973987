"""Intervals that allow for what a sample did not see: they hold the truth of rare classes, and Wilson's is one of them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landweave.accuracy.design_based.designs import allocate, smallest_size
from landweave.accuracy.design_based.disagreement import disagreement
from landweave.accuracy.design_based.estimates import Stratum, estimate
from landweave.accuracy.design_based.intervals import wald, wilson
from landweave.accuracy.design_based.mover import intervals
from landweave.accuracy.design_based.stratified import Strata, Tally, measures

COMMON, RARE = 2, 3
"""Positions of the classes of 1 and of 0.3 % of the land."""


def world(omission, users):
    """Shares of the land by map class and true class: 59, 39, 1 and 0.3 % of the truth (fault 06)."""
    cell = np.zeros((4, 4))
    for i, share in ((2, 0.01), (3, 0.003)):
        cell[i, i], cell[0, i] = share * (1 - omission), share * omission
        cell[i, 0] = cell[i, i] * (1 / users - 1)
    rest = 1 - cell.sum()
    cell[0, 0] += 0.6 * rest * 0.95
    cell[1, 0], cell[1, 1], cell[0, 1] = 0.6 * rest * 0.05, 0.4 * rest * 0.95, 0.4 * rest * 0.05
    return cell / cell.sum()


SCENARIOS = {
    "omission 5 %": (world(0.05, 0.8), (0.9, 0.9, 0.8, 0.8), "proportional", None),
    "omission 20 %": (world(0.2, 0.8), (0.9, 0.9, 0.8, 0.8), "proportional", None),
    "omission 40 %": (world(0.4, 0.8), (0.9, 0.9, 0.8, 0.8), "proportional", None),
    "omission 40 %, equal": (world(0.4, 0.8), (0.9, 0.9, 0.8, 0.8), "equal", None),
    "omission 40 %, n 5000": (world(0.4, 0.8), (0.9, 0.9, 0.8, 0.8), "proportional", 5000),
    "good map": (world(0.05, 0.97), (0.95, 0.95, 0.97, 0.97), "proportional", None),
}


def design(cell, expected, method, n):
    """The division that `landweave estimate size` recommends: a target of 0.01, at least 50 a class."""
    shares = cell.sum(axis=1)
    n = n or smallest_size(shares, expected, se=0.01, method=method, minimum=50)
    return allocate(n, shares, method=method, accuracies=expected, minimum=50)


def as_tally(counts):
    """From (samples, stratum, true class), with strata that are the map's classes."""
    count = np.zeros((*counts.shape[:-1], 5, 4))
    for h in range(4):
        count[..., h, h, :] = counts[..., h, :]
    return Tally(count=count, area=count, square=count)


def truths(cell):
    right = cell.diagonal()
    return {
        "share": cell.sum(axis=0), "users_accuracy": right / cell.sum(axis=1),
        "producers_accuracy": right / cell.sum(axis=0), "f1": 2 * right / (cell.sum(axis=0) + cell.sum(axis=1)),
    }  # fmt: skip


def binomial(x, n, p):
    return np.array([math.comb(n, int(k)) * p**k * (1 - p) ** (n - k) for k in x])


def exact_coverage(cell, sizes, i):
    """Of a class that only the first stratum omits: summed over all counts that a sample can have."""
    shares = cell.sum(axis=1)
    omitted, own = cell[0, i] / shares[0], cell[i, i] / shares[i]
    most = int(sizes[0] * omitted + 10 * math.sqrt(sizes[0] * omitted) + 8)
    x, y = (a.ravel() for a in np.meshgrid(np.arange(most), np.arange(sizes[i] + 1), indexing="ij"))
    chance = binomial(x, int(sizes[0]), omitted) * binomial(y, int(sizes[i]), own)
    kept = chance > 1e-12
    x, y, chance = x[kept], y[kept], chance[kept]
    counts = np.zeros((len(x), 4, 4))
    counts[:, range(4), range(4)] = sizes
    counts[:, 0, i], counts[:, 0, 0] = x, sizes[0] - x
    counts[:, i, i], counts[:, i, 0] = y, sizes[i] - y
    found = intervals(Strata(units=shares * 1e12, areas=shares), as_tally(counts))
    assert chance.sum() == pytest.approx(1, abs=1e-6)
    return {
        name: float(chance[(found[name][0][:, i] <= t[i]) & (t[i] <= found[name][1][:, i])].sum())
        for name, t in truths(cell).items()
    }


@pytest.mark.parametrize("name", SCENARIOS)
def test_intervals_of_rare_classes_hold_the_truth_as_often_as_they_say(name):
    """Exactly, by all samples there can be. Wald's and Wilson's intervals from the standard error held 26 to 96 %."""
    cell, *how = SCENARIOS[name]
    for i in (COMMON, RARE):
        covered = exact_coverage(cell, design(cell, *how), i)
        print(name, i, {key: round(value, 3) for key, value in covered.items()})  # noqa: T201 - figures for the docs
        for key in ("share", "users_accuracy"):
            assert 0.93 <= covered[key] <= 0.97, key
        # What a sample shows of so rare an omission is a few whole numbers, so coverage goes in steps.
        assert 0.925 <= covered["producers_accuracy"] <= 0.977


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_drawn_samples_are_covered_as_often_as_by_exact_arithmetic(name):
    cell, *how = SCENARIOS[name]
    sizes, rng = design(cell, *how), np.random.default_rng(7)
    shares = cell.sum(axis=1)
    counts = np.stack([rng.multinomial(n, row / row.sum(), 2000) for n, row in zip(sizes, cell, strict=True)], axis=1)
    strata, sample = Strata(units=shares * 1e12, areas=shares), as_tally(counts)
    found = intervals(strata, sample)
    narrow = wald(measures(strata, sample)["share"].value, measures(strata, sample)["share"].se)
    for key, true in truths(cell).items():
        held = ((found[key][0] <= true) & (true <= found[key][1])).mean(axis=0)
        print(name, sizes.sum(), key, held.round(3))  # noqa: T201 - figures for the docs
        assert ((held >= 0.91) & (held <= 0.99)).all(), key
        for i in (COMMON, RARE):
            assert held[i] == pytest.approx(exact_coverage(cell, sizes, i)[key], abs=0.02)
    print(name, "wald", ((narrow[0] <= truths(cell)["share"]) & (truths(cell)["share"] <= narrow[1])).mean(axis=0))  # noqa: T201


def test_within_one_stratum_the_interval_is_wilsons():
    right, n = np.array([37.0, 48.0]), np.array([50.0, 50.0])
    counts = np.array([[[37, 13], [2, 48]]], "float64")
    count = np.zeros((1, 2, 3, 2))
    count[0, range(2), range(2)] = counts[0]
    found = intervals(Strata(units=n * 1e12, areas=n), Tally(count=count, area=count, square=count))
    for side, expected in zip(found["users_accuracy"], wilson(right / n, n), strict=True):
        np.testing.assert_allclose(side[0], expected, rtol=1e-9)


def test_one_unseen_omission_is_allowed_for():
    """All units agree, so the standard error of the area is 0; but 50 units say only that at most 7 % are omitted."""
    units = np.repeat([1, 2], 50)
    strata = {1: Stratum(name="forest", units=9 * 10**8, area=9e6), 2: Stratum(name="pond", units=10**8, area=1e6)}
    pond = estimate(units, units, units, strata=strata, classes={1: "forest", 2: "pond"})["classes"]["pond"]
    assert pond["area_ha"]["se"] == pytest.approx(0, abs=0.01)
    above = 9e6 * wilson(np.array(0.0), np.array(50.0))[1]
    assert pond["area_ha"]["high"] == pytest.approx(1e6 + above, rel=1e-5)
    assert pond["area_ha"]["low"] == pytest.approx(1e6 * wilson(np.array(1.0), np.array(50.0))[0], rel=1e-5)
    assert pond["producers_accuracy"]["high"] == 1
    assert 0.4 < pond["producers_accuracy"]["low"] < 0.7


@st.composite
def tallies(draw):
    k, h = draw(st.integers(2, 4)), draw(st.integers(1, 4))
    cells = draw(st.lists(st.integers(0, 30), min_size=h * (k + 1) * k, max_size=h * (k + 1) * k))
    count = np.array(cells, "float64").reshape(h, k + 1, k)
    count[:, 0, 0] += 2
    units = count.sum(axis=(1, 2)) * draw(st.sampled_from([1, 1.5, 1e6]))
    return Strata(units=units, areas=units * draw(st.floats(0.1, 10))), Tally(count=count, area=count, square=count)


@given(tallies(), st.booleans())
def test_an_interval_holds_the_estimate_and_stays_within_what_can_be(case, halved):
    strata, sample = case
    half = Tally(count=sample.count // 2, area=sample.area // 2, square=sample.square // 2)
    part = half if halved else None
    values, limits = measures(strata, sample, part=part), intervals(strata, sample, part=part)
    for name, (low, high) in limits.items():
        value = values[name].value
        known = np.isfinite(value)
        most = strata.areas.sum() if name == "area" else 1
        assert (np.isfinite(low) == known).all(), name
        assert ((low <= value + 1e-7) & (value <= high + 1e-7))[known].all(), name
        assert ((low >= 0) & (high <= most * (1 + 1e-9) + 1e-9))[known].all(), name
    if not halved and (sample.count.sum(axis=(1, 2)) == strata.units).all():
        for low, high in limits.values():
            np.testing.assert_allclose(low, high, atol=1e-6 * strata.areas.sum())


def test_common_classes_have_the_interval_of_the_standard_error():
    counts = np.array([[4500, 500], [300, 4700]], "float64")
    count = np.zeros((2, 3, 2))
    count[range(2), range(2)] = counts
    strata, sample = Strata(units=np.array([6e8, 4e8]), areas=np.array([6.0, 4.0])), Tally(
        count=count, area=count, square=count
    )  # fmt: skip
    found = measures(strata, sample)
    for name, (low, high) in intervals(strata, sample).items():
        if name != "area":
            ends = wald(found[name].value, found[name].se)
            np.testing.assert_allclose((low, high), ends, atol=0.0006, err_msg=name)


def test_where_strata_are_not_the_maps_classes_a_class_that_was_not_seen_in_a_stratum_is_possible_there():
    """Simulated: strata of an older map, 250 units each; the new map has the classes of 1 and 0.3 % elsewhere too."""
    land, rng = np.array([0.6, 0.387, 0.01, 0.003]), np.random.default_rng(5)
    older, newer = (
        np.array([np.where(np.arange(4) == r, a[r], (1 - a[r]) * land / (1 - land[r])) for r in range(4)])
        for a in ([0.95, 0.93, 0.7, 0.7], [0.96, 0.94, 0.8, 0.8])
    )
    cells = np.einsum("r,rh,rm->hmr", land, older, newer)
    shares = cells.sum(axis=(1, 2))
    count = np.zeros((1000, 4, 5, 4))
    for h in range(4):
        count[:, h, :4] = rng.multinomial(250, cells[h].ravel() / shares[h], 1000).reshape(1000, 4, 4)
    found = intervals(Strata(units=shares * 1e12, areas=shares), Tally(count=count, area=count, square=count))
    right, mapped = np.einsum("hkk->k", cells), cells.sum(axis=(0, 2))
    for name, true in (("users_accuracy", right / mapped), ("producers_accuracy", right / land), ("share", land)):
        held = ((found[name][0] <= true) & (true <= found[name][1])).mean(axis=0)
        assert (held >= 0.92).all(), (name, held)


ACATAMA = [[287, 1, 25], [3, 43, 4], [11, 1, 127]]
RANDOM = [[325, 0, 15], [0, 17, 0], [7, 1, 135]]
MAPPED = np.array([145_078.56, 5_703.75, 64_029.69])
PIXEL = 0.09
"""Forest, deforestation, other in Colombia, as in the example of AcATaMa; hectares; 30 m pixels."""


def units_of(matrix):
    return np.array([(i + 1, j + 1) for i, row in enumerate(matrix) for j, n in enumerate(row) for _ in range(n)]).T


def test_the_stratified_example_of_acatama():
    mapped, reference = units_of(ACATAMA)
    classes = {1: "forest", 2: "deforestation", 3: "other"}
    strata = {v: Stratum(name=classes[v], units=round(a / PIXEL), area=a) for v, a in enumerate(MAPPED, start=1)}
    found = estimate(mapped, mapped, reference, strata=strata, classes=classes)
    assert round(found["overall_accuracy"]["value"], 5) == 0.91445
    assert round(found["overall_accuracy"]["se"], 4) == 0.0128
    rows = found["classes"].values()
    assert [round(row["users_accuracy"]["value"], 5) for row in rows] == [0.91693, 0.86, 0.91367]
    assert [round(row["producers_accuracy"]["value"], 5) for row in rows] == [0.96093, 0.84147, 0.82927]
    both = found["disagreement"]["quantity"] + found["disagreement"]["allocation"]
    assert both == pytest.approx(1 - found["overall_accuracy"]["value"])
    shares, errors = (np.array(found["confusion"][key]) for key in ("shares", "shares_se"))
    weight, rate = MAPPED / MAPPED.sum(), 25 / 313  # forest on the map, other in the reference
    assert shares[2, 0] == pytest.approx(weight[0] * rate)
    assert errors[2, 0] == pytest.approx(weight[0] * math.sqrt(rate * (1 - rate) / 312), rel=1e-4)


def test_the_simple_random_example_of_acatama():
    """Ours divides by n - 1 and has the finite factor; the program prints 1,789.44 ha, with n and the finite factor."""
    mapped, reference = units_of(RANDOM)
    total = float(MAPPED.sum())
    strata = {9: Stratum(name="all land", units=round(total / PIXEL), area=total)}
    classes = {1: "forest", 2: "deforestation", 3: "other"}
    found = estimate(np.full(500, 9), mapped, reference, strata=strata, classes=classes)
    assert found["overall_accuracy"]["value"] == pytest.approx(0.954)
    assert round(found["overall_accuracy"]["se"], 5) == 0.00938
    area = found["classes"]["deforestation"]["area_ha"]
    assert round(area["value"], 2) == 7_733.23
    assert area["se"] == pytest.approx(1_789.44, rel=0.002)
    assert area["se"] == pytest.approx(total * math.sqrt((1 - 500 * PIXEL / total) * 0.036 * 0.964 / 499), rel=1e-6)


def post_stratified_variance(weights, spreads, n):
    """V = sum W_h S_h^2 / n + sum (1 - W_h) S_h^2 / n^2 of a mean (Cochran 1977, equation 5A.42), large population."""
    return (weights * spreads).sum() / n + ((1 - weights) * spreads).sum() / n**2


def test_the_post_stratified_error_of_acatama_lacks_the_chance_of_the_sizes():
    """The program prints 438.04 ha, about the first term alone. Ours is the error given the 143 units that were drawn.

    Cochran's formula is the mean over all sizes that could have been drawn; given the sizes the variance is
    sum W_h^2 S_h^2 / n_h (Saerndal, Swensson and Wretman 1992, section 7.10.2), larger here, because 143 units of the
    stratum were drawn where 149 are expected.
    """
    table, total = np.array(RANDOM, "float64"), float(MAPPED.sum())
    weights, sizes = MAPPED / total, table.sum(axis=1)
    rate = table[:, 1] / sizes
    spreads = rate * (1 - rate) * sizes / (sizes - 1)
    assert total * math.sqrt((weights * spreads).sum() / 500) == pytest.approx(438.04, rel=0.002)
    by_chance = total * math.sqrt(post_stratified_variance(weights, spreads, 500))
    assert round(by_chance, 2) == 439.63
    strata = {v: Stratum(name=str(v), units=10**9, area=a) for v, a in enumerate(MAPPED, start=1)}
    mapped, reference = units_of(RANDOM)
    found = estimate(mapped, mapped, reference, strata=strata, classes={1: "f", 2: "d", 3: "o"}, finite=False)
    area = found["classes"]["d"]["area_ha"]
    assert area["value"] == pytest.approx(5_703.75 + 64_029.69 / 143)
    assert area["se"] == pytest.approx(64_029.69 * math.sqrt(1 / 143 * 142 / 143 / 142))
    assert round(area["se"], 2) == 447.76


def test_the_formula_of_cochran_is_the_variance_of_post_stratified_samples():
    """Simulated: 20,000 simple random samples of 100 units, each weighed by the known shares of three strata."""
    weights, rates, rng = np.array([0.6, 0.3, 0.1]), np.array([0.02, 0.5, 0.9]), np.random.default_rng(4)
    sizes = rng.multinomial(100, weights, 20_000)
    estimates = (weights * rng.binomial(sizes, rates) / np.maximum(sizes, 1)).sum(axis=1)[(sizes > 0).all(axis=1)]
    expected = post_stratified_variance(weights, rates * (1 - rates), 100)
    assert estimates.var() == pytest.approx(expected, rel=0.04)


def test_disagreement_is_divided_into_quantity_and_allocation():
    """By hand: of forest 0.1 more is mapped than there is; meadow and pond swap 0.05 each way."""
    shares = np.array([[0.4, 0.1, 0.0], [0.0, 0.2, 0.05], [0.0, 0.05, 0.15], [0.0, 0.05, 0.0]])
    found = disagreement(shares, ["forest", "meadow", "pond"])
    assert found["quantity"] == pytest.approx((0.1 + 0.15 + 0.0 + 0.05) / 2)
    assert found["allocation"] == pytest.approx((0 + 0.1 + 0.1) / 2)
    assert found["classes"]["meadow"]["quantity"] == pytest.approx(-0.15)
    assert found["quantity"] + found["allocation"] == pytest.approx(1 - 0.75)


def test_a_class_of_the_map_that_no_unit_met_may_still_be_mapped_right_and_only_a_proven_absence_is_0():
    """Strata are two halves of the land, and the map shows 0.3 % of water, which no unit of 100 met."""
    halves = np.repeat([1, 2], 50)
    strata = {i: Stratum(name=f"half {i}", units=10**6, area=9e4) for i in (1, 2)}
    mapped, true = np.tile([1, 2], 50), np.where(np.arange(100) % 25 == 3, 3, np.tile([1, 2], 50))
    names = {1: "forest", 2: "crop", 3: "water"}

    def water(mapped, **options):
        found = estimate(halves, mapped, true, strata=strata, classes=names, **options)["classes"]["water"]
        return [found["producers_accuracy"][key] for key in ("value", "low", "high")]

    for options in ({}, {"shown": {1, 2, 3}}):
        value, low, high = water(mapped, **options)
        assert (value, low) == (0, 0)
        assert 0.2 < high < 0.9
    assert water(mapped, shown={1, 2}) == [0, 0, 0]
    # By chance each half shows one class, but its classes are known not to be the strata.
    assert water(halves, shown={1, 2, 3})[2] > 0.2
    assert water(halves) == [0, 0, 0]
