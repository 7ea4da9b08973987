"""Figures under any design: a stratified one gives the published figures, others equal plain sums."""

import numpy as np
import pytest

from landweave.accuracy.design_based.assisted import assisted_areas
from landweave.accuracy.design_based.linear import (
    UnitDesign,
    design_cells,
    design_measures,
    ratio_estimate,
    stratified_design,
    total,
)
from landweave.accuracy.design_based.stratified import Strata, cell_shares, measures, tally
from landweave.errors import InputError

NAMES = ("overall_accuracy", "users_accuracy", "producers_accuracy", "f1", "share", "area", "omitted")


def drawn(seed=0, n=400, h=3, k=4):
    rng = np.random.default_rng(seed)
    stratum, mapped = rng.integers(0, h, n), rng.integers(0, k + 1, n)
    reference = np.where(rng.random(n) < 0.7, np.minimum(mapped, k - 1), rng.integers(0, k, n))
    strata = Strata(units=np.array([1000.0, 300, 5000]), areas=np.array([90.0, 40, 300]))
    return stratum, mapped, reference, strata, rng.uniform(0.8, 1.2, n)


@pytest.mark.parametrize("finite", [True, False])
@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize("part", [True, False])
def test_a_stratified_design_gives_the_figures_of_the_stratified_estimator(finite, sized, part):
    stratum, mapped, reference, strata, size = drawn()
    areas = size if sized else None
    inside = np.arange(400) % 3 == 0 if part else np.ones(400, bool)
    sample = [a[inside] for a in (stratum, mapped, reference)]
    whole = tally(stratum, mapped, reference, h=3, k=4, areas=areas)
    domain = tally(*sample, h=3, k=4, areas=areas[inside] if sized else None)
    expected = measures(strata, whole, part=domain, finite=finite)
    design = stratified_design(stratum, strata, areas=areas, finite=finite)
    found = design_measures(design, mapped, reference, k=4, inside=inside if part else None)
    for name in NAMES:
        np.testing.assert_allclose(found[name].value, expected[name].value, rtol=1e-10, err_msg=name)
        np.testing.assert_allclose(found[name].se, expected[name].se, rtol=1e-9, err_msg=name)
    for mine, theirs in zip(
        design_cells(design, mapped, reference, k=4), cell_shares(strata, whole, finite=finite), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, atol=1e-12)


def test_a_ratio_times_a_known_total_is_cochrans_ratio_estimator():
    rng = np.random.default_rng(1)
    x = rng.uniform(1, 9, 50)
    y = 3 * x + rng.normal(0, 1, 50)
    design = UnitDesign(weight=np.full(50, 20.0), stratum=np.zeros(50, int), drawn=np.array([0.05]))
    found = ratio_estimate(design, y, x)
    r = y.sum() / x.sum()
    variance = (1 - 0.05) / 50 * ((y - r * x) ** 2).sum() / 49 / x.mean() ** 2  # Cochran 1977, equation 6.10
    assert (float(found.value), float(found.se)) == (pytest.approx(r), pytest.approx(variance**0.5))


def test_two_stages_have_the_textbook_variance():
    """Saerndal et al. 1992, result 4.3.1: n of N clusters, m_i of M_i units in each."""
    rng = np.random.default_rng(2)
    clusters, units = 60, np.array([40, 25, 50, 30, 10])
    taken = np.array([8, 5, 6, 6, 10])
    cluster = np.repeat(np.arange(5), taken)
    y = rng.normal(10, 2, len(cluster)) + cluster
    weight = clusters / 5 * (units / taken)[cluster]
    design = UnitDesign(
        weight=weight, stratum=np.zeros(len(y), int), drawn=np.array([5 / clusters]), cluster=cluster,
        within=(taken / units)[cluster],
    )  # fmt: skip
    found = total(design, y[:, None])
    sums = np.array([units[i] * y[cluster == i].mean() for i in range(5)])
    inner = sum(units[i] ** 2 * (1 - taken[i] / units[i]) * y[cluster == i].var(ddof=1) / taken[i] for i in range(5))
    variance = clusters**2 * (1 - 5 / clusters) * sums.var(ddof=1) / 5 + clusters / 5 * inner
    assert found.value[0] == pytest.approx(clusters / 5 * sums.sum())
    assert found.se[0] == pytest.approx(variance**0.5)
    assert design.degrees == 4


def test_neighbours_on_a_grid_that_are_alike_make_the_error_of_a_systematic_sample_small():
    side = 12
    _, columns = np.divmod(np.arange(side**2), side)
    number = np.arange(side**2).reshape(side, side)
    pairs = np.concatenate(
        [np.stack([number[:, :-1].ravel(), number[:, 1:].ravel()], 1), np.stack([number[:-1].ravel(), number[1:].ravel()], 1)]
    )  # fmt: skip
    west = (columns < 5).astype(float)
    design = UnitDesign(weight=np.ones(144), stratum=np.zeros(144, int), drawn=np.zeros(1), pairs=pairs)
    random = UnitDesign(weight=np.ones(144), stratum=np.zeros(144, int), drawn=np.zeros(1))
    one = np.ones(144)
    # 12 of 264 pairs differ, each by 1.
    assert ratio_estimate(design, west, one).se == pytest.approx((144 * 12 / 264 / 2) ** 0.5 / 144)
    assert ratio_estimate(design, west, one).se < ratio_estimate(random, west, one).se / 3
    noise = np.random.default_rng(0).random(144)
    assert ratio_estimate(design, noise, one).se == pytest.approx(ratio_estimate(random, noise, one).se, rel=0.15)


ACATAMA = np.array([[325, 0, 15], [0, 17, 0], [7, 1, 135]])
MAPPED = np.array([145_078.56, 5_703.75, 64_029.69])


def units_of(matrix):
    pairs = [(i, j) for i, row in enumerate(matrix) for j, n in enumerate(row) for _ in range(n)]
    return np.array(pairs).T


@pytest.mark.parametrize("method", ["difference", "regression"])
def test_a_map_helps_a_simple_random_sample_as_much_as_published_arithmetic_says(method):
    """AcATaMa's forest change example, n 500: 7,733.23 ha with SE 1,789 by the sample alone."""
    mapped, reference = units_of(ACATAMA)
    area = MAPPED.sum()
    design = UnitDesign(weight=np.full(500, area / 500), stratum=np.zeros(500, int), drawn=np.zeros(1))
    alone = design_measures(design, mapped, reference, k=3)["share"]
    assert area * alone.value[1] == pytest.approx(7_733.23, abs=0.01)
    assert area * alone.se[1] == pytest.approx(1_789.44, rel=0.002)
    found = assisted_areas(design, mapped, reference, areas=MAPPED, method=method)
    assert found.value.sum() == pytest.approx(area)
    if method == "regression":
        assert found.value[1] == pytest.approx(MAPPED[1] + MAPPED[2] / 143)
        # Post-stratified, given the units of each class (Cochran 1977, equation 5A.40), p (1 - p) / (n_c - 1).
        given = MAPPED[2] * (1 / 143 * 142 / 143 / 142) ** 0.5
        assert found.se[1] == pytest.approx(given, rel=0.004)
        assert found.se[1] > 438.04
    else:
        assert found.value[1] == pytest.approx(MAPPED[1] + area / 500)
        assert found.se[1] == pytest.approx(area * (1 / 500 * 499 / 500 / 499) ** 0.5)


def test_where_strata_are_the_maps_classes_the_map_adds_nothing_to_the_whole():
    stratum, _, reference, strata, _ = drawn(k=3)
    design = stratified_design(stratum, strata, areas=None, finite=True)
    expected = measures(strata, tally(stratum, stratum, reference % 3, h=3, k=3))["area"]
    for method in ("difference", "regression"):
        found = assisted_areas(design, stratum, reference % 3, areas=strata.areas, method=method)
        np.testing.assert_allclose(found.value, expected.value)
        np.testing.assert_allclose(found.se, expected.se)


def test_a_district_without_units_has_what_the_map_gives_and_no_error():
    stratum, _, reference, strata, _ = drawn(k=3)
    design = stratified_design(stratum, strata, areas=None, finite=True)
    known = np.array([5.0, 0.0, 2.0])
    found = assisted_areas(design, stratum, reference % 3, areas=known, inside=np.zeros(400, bool))
    assert found.value.tolist() == known.tolist()
    assert np.isnan(found.se).all()
    with pytest.raises(InputError, match="choose one of difference, regression"):
        assisted_areas(design, stratum, reference % 3, areas=known, method="best")


def test_assisted_areas_of_districts_are_free_of_bias():
    """All 200 possible samples' mean of a small simulation lies at the truth, although the map is poor."""
    rng = np.random.default_rng(4)
    mapped = rng.integers(0, 3, 4000)
    truth = np.where(rng.random(4000) < 0.6, mapped, 0)
    inside = np.arange(4000) < 1500
    known = np.bincount(mapped[inside], minlength=3).astype(float)
    wanted = np.bincount(truth[inside], minlength=3)
    design = UnitDesign(weight=np.full(300, 4000 / 300), stratum=np.zeros(300, int), drawn=np.array([300 / 4000]))
    for method in ("difference", "regression"):
        values = []
        for _ in range(300):
            at = rng.choice(4000, 300, replace=False)
            found = assisted_areas(design, mapped[at], truth[at], areas=known, method=method, inside=inside[at])
            values.append(found.value)
        spread = np.std(values, axis=0) / 300**0.5
        assert (np.abs(np.mean(values, axis=0) - wanted) < 4 * spread).all()
        assert found.se == pytest.approx(np.std(values, axis=0), rel=0.3)


def test_the_error_of_a_class_area_is_that_of_its_share_times_the_known_land():
    """Blocks of very different size: unscaled, the error of a class of 90 % would be that of the size of blocks."""
    rng = np.random.default_rng(0)
    pixels = np.repeat(rng.integers(200, 10_000, 30), 10)
    weight = pixels * 1e5 / pixels.sum()
    design = UnitDesign(
        weight=weight, stratum=np.zeros(300, int), drawn=np.array([0.05]), cluster=np.repeat(np.arange(30), 10),
        within=10 / pixels,
    )  # fmt: skip
    label = (rng.random(300) < 0.1).astype(int)
    found = design_measures(design, label, label, k=2)
    np.testing.assert_allclose(found["area"].value, found["share"].value * 1e5)
    np.testing.assert_allclose(found["area"].se, found["share"].se * 1e5)
