"""Design-based estimates: published examples to all printed digits, and what must hold for any sample."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landweave.accuracy.design_based.estimates import Stratum, estimate
from landweave.accuracy.design_based.intervals import better, effective_size, quantile, wald, wilson
from landweave.accuracy.design_based.stratified import Strata, Tally, cell_shares, measures, tally
from landweave.errors import InputError

OLOFSSON_2014 = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]
CHANGE_2013 = [[97, 0, 3], [3, 279, 18], [2, 1, 97]]
FOREST_2013 = [[127, 66, 54], [2, 322, 17], [0, 15, 540]]
MAP_2014 = "AAAAAAABBB ABBBBBBBBB BBCCCCCCBB DDDDDDDDDD".replace(" ", "")
REFERENCE_2014 = "AAAAACBABC ABBBBBAABB CCCCCDDBBA DDDDDDDCCB".replace(" ", "")


def printed(values, *, digits):
    """The values rounded as the sheet prints them."""
    return " ".join(f"{value:.{digits}f}" for value in np.asarray(values).tolist())


def map_strata(matrix):
    """Tally of a sample whose strata are the map's classes; rows are the map."""
    k = len(matrix)
    count = np.zeros((k, k + 1, k))
    for h, row in enumerate(matrix):
        count[h, h] = row
    return Tally(count=count, area=count, square=count)


def units_of(matrix):
    """The sample unit by unit: map class and reference class, from 1."""
    pairs = [(i + 1, j + 1) for i, row in enumerate(matrix) for j, n in enumerate(row) for _ in range(n)]
    return np.array(pairs).T


@pytest.fixture(scope="module")
def olofsson_2014():
    pixels = np.array([200_000, 150_000, 3_200_000, 6_450_000])
    return measures(Strata(units=pixels, areas=pixels * 0.09), map_strata(OLOFSSON_2014), finite=False)


def test_olofsson_2014_table_8(olofsson_2014):
    m = olofsson_2014
    assert printed(m["users_accuracy"].value, digits=7) == "0.8800000 0.7333333 0.9272727 0.9630769"
    assert printed(1.96 * m["users_accuracy"].se, digits=7) == "0.0740410 0.1007570 0.0397454 0.0205335"
    assert printed(m["producers_accuracy"].value, digits=7) == "0.7486614 0.8471564 0.9345089 0.9616090"
    assert printed(1.96 * m["producers_accuracy"].se, digits=7) == "0.2133099 0.2544084 0.0343244 0.0183615"
    assert printed(m["share"].value, digits=7) == "0.0235086 0.0129846 0.3175221 0.6459846"
    assert printed(m["share"].se, digits=7) == "0.0034907 0.0021292 0.0087924 0.0092300"
    assert printed(m["area"].value, digits=3) == "21157.762 11686.154 285769.930 581386.154"
    assert printed(m["area"].se, digits=3) == "3141.650 1916.238 7913.182 8306.968"
    half = quantile() * m["area"].se
    assert printed(half, digits=3) == "6157.521 3755.757 15509.551 16281.357"
    assert f"{m['overall_accuracy'].value:.10f}" == "0.9465118881"
    assert f"{m['overall_accuracy'].se:.10f}" == "0.0094304172"
    assert f"{quantile():.6f}" == "1.959964"
    assert f"{quantile() * m['overall_accuracy'].se:.7f}" == "0.0184833"
    assert f"{1.96 * m['overall_accuracy'].se:.7f}" == "0.0184836"
    assert f"{m['area'].value[0] / 0.09:.3f}" == "235086.247"
    assert f"{m['area'].se[0] / 0.09:.3f}" == "34907.224"


def test_olofsson_2014_as_a_user_calls_it(olofsson_2014):
    mapped, reference = units_of(OLOFSSON_2014)
    names = {1: "deforestation", 2: "forest gain", 3: "stable forest", 4: "stable non-forest"}
    pixels = {1: 200_000, 2: 150_000, 3: 3_200_000, 4: 6_450_000}
    strata = {v: Stratum(name=names[v], units=n, area=0.09 * n) for v, n in pixels.items()}
    found = estimate(mapped, mapped, reference, strata=strata, classes=names, finite=False)
    assert found["sample_units"] == 640
    assert found["overall_accuracy"]["value"] == pytest.approx(
        float(olofsson_2014["overall_accuracy"].value), abs=1e-15
    )
    assert found["confusion"]["counts"] == np.transpose(OLOFSSON_2014).tolist()
    for i, name in enumerate(names.values()):
        area = found["classes"][name]["area_ha"]
        assert area["value"] == pytest.approx(olofsson_2014["area"].value[i], rel=1e-12)
        assert area["se"] == pytest.approx(olofsson_2014["area"].se[i], rel=1e-12)
        half = (area["wald"][1] - area["wald"][0]) / 2
        assert half == pytest.approx(quantile() * area["se"], rel=1e-9)
    json.dumps(found, allow_nan=False)


def test_olofsson_2013_example_1():
    pixels = np.array([22_353, 1_122_543, 610_228])
    m = measures(Strata(units=pixels, areas=pixels), map_strata(CHANGE_2013), finite=False)
    assert f"{m['area'].value[0]:.2f}" == "45112.40"
    assert f"{m['area'].se[0]:.3f}" == "10751.405"
    assert f"{quantile() * m['area'].se[0]:.3f}" == "21072.366"
    assert f"{1.96 * m['area'].se[0]:.2f}" == "21072.75"
    assert printed(m["users_accuracy"].value, digits=2) == "0.97 0.93 0.97"
    assert printed(m["producers_accuracy"].value, digits=7) == "0.4806308 0.9941887 0.8969259"
    assert printed(1.96 * m["producers_accuracy"].se, digits=7) == "0.2245346 0.0113254 0.0412062"
    assert f"{m['overall_accuracy'].value:.10f}" == "0.9444167819"
    assert f"{m['overall_accuracy'].se:.10f}" == "0.0111643995"


def test_olofsson_2013_example_2():
    weights = np.array([0.007, 0.295, 0.698])
    m = measures(Strata(units=weights * 1e9, areas=weights), map_strata(FOREST_2013), finite=False)
    assert f"{m['overall_accuracy'].value:.10f}" == "0.9612973753"
    assert f"{1.96 * m['overall_accuracy'].se:.7f}" == "0.0118645"
    assert printed(m["users_accuracy"].value, digits=7) == "0.5141700 0.9442815 0.9729730"
    assert printed(m["producers_accuracy"].value, digits=7) == "0.6753468 0.9307203 0.9766498"
    assert printed(1.96 * m["users_accuracy"].se, digits=7) == "0.0624574 0.0243819 0.0135036"
    assert printed(1.96 * m["producers_accuracy"].se, digits=7) == "0.3045893 0.0293823 0.0096039"


def stehman_2014():
    mapped, reference = ([ord(c) - ord("A") for c in text] for text in (MAP_2014, REFERENCE_2014))
    pixels = np.array([40_000, 30_000, 20_000, 10_000])
    strata = Strata(units=pixels, areas=pixels / pixels.sum())
    return strata, tally(np.repeat(range(4), 10), np.array(mapped), np.array(reference), h=4, k=4)


STEHMAN_VALUES = {
    "share": "0.3500000 0.3400000 0.2000000 0.1100000",
    "users_accuracy": "0.7419355 0.5744681 0.5000000 0.7000000",
    "producers_accuracy": "0.6571429 0.7941176 0.3000000 0.6363636",
    "f1": "0.6969697 0.6666667 0.3750000 0.6666667",
}
STEHMAN_ERRORS = {
    True: {
        "share": "0.0822478 0.0758531 0.0642798 0.0307222",
        "users_accuracy": "0.1645420 0.1247822 0.2151119 0.1526761",
        "producers_accuracy": "0.1477101 0.1165479 0.1504108 0.1622797",
        "overall_accuracy": "0.0846422",
    },
    # Producer's accuracy of C: the sheet prints 0.1504439; by exact arithmetic it is 0.15044379 (see below).
    False: {
        "share": "0.0822598 0.0758654 0.0642910 0.0307318",
        "users_accuracy": "0.1645627 0.1248023 0.2151657 0.1527525",
        "producers_accuracy": "0.1477318 0.1165671 0.1504438 0.1623242",
        "overall_accuracy": "0.0846562",
    },
}


@pytest.mark.parametrize("finite", [True, False])
def test_stehman_2014_with_strata_that_are_not_the_maps_classes(finite):
    strata, sample = stehman_2014()
    m = measures(strata, sample, finite=finite)
    assert f"{m['overall_accuracy'].value:.7f}" == "0.6300000"
    for name, row in STEHMAN_VALUES.items():
        assert printed(m[name].value, digits=7) == row, name
    for name, row in STEHMAN_ERRORS[finite].items():
        assert printed(np.atleast_1d(m[name].se), digits=7) == row, name
    shares, _ = cell_shares(strata, sample)
    assert f"{shares[1, 2]:.7f}" == "0.0800000"


def test_the_one_figure_that_differs_from_the_sheet_by_exact_arithmetic():
    from fractions import Fraction

    pairs = list(zip(MAP_2014, REFERENCE_2014, strict=True))
    strata = [pairs[i : i + 10] for i in range(0, 40, 10)]
    sizes = [40_000, 30_000, 20_000, 10_000]
    found = [[Fraction(m == r == "C") for m, r in s] for s in strata]
    there = [[Fraction(r == "C") for _, r in s] for s in strata]
    total = [sum(n * sum(v) / 10 for n, v in zip(sizes, values, strict=True)) for values in (found, there)]
    ratio, variance = total[0] / total[1], Fraction(0)
    for n, y, x in zip(sizes, found, there, strict=True):
        rest = [a - ratio * b for a, b in zip(y, x, strict=True)]
        mean = sum(rest) / 10
        variance += n**2 * sum((e - mean) ** 2 for e in rest) / 9 / 10
    assert f"{float(variance / total[1] ** 2) ** 0.5:.9f}" == "0.150443788"


@st.composite
def samples(draw, *, least=2):
    """Strata, classes, and a labelled sample with at least two units in each stratum."""
    k, h = draw(st.integers(2, 4)), draw(st.integers(1, 4))
    sizes = draw(st.lists(st.integers(least, 12), min_size=h, max_size=h))
    stratum = np.repeat(np.arange(h), sizes)
    n = len(stratum)
    mapped = np.array(draw(st.lists(st.integers(0, k), min_size=n, max_size=n)))
    reference = np.array(draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n)))
    units = np.array([draw(st.integers(s, 10_000)) for s in sizes])
    areas = units * np.array(draw(st.lists(st.floats(0.5, 2), min_size=h, max_size=h)))
    return Strata(units=units, areas=areas), k, stratum, mapped, reference


def same(a, b, **tolerance):
    for name in a:
        np.testing.assert_allclose(a[name].value, b[name].value, **tolerance, err_msg=name)
        # A standard error is a root, so what rounds to nothing may differ by the root of it.
        np.testing.assert_allclose(a[name].se, b[name].se, rtol=1e-6, atol=1e-7, err_msg=name)


@given(samples(), st.randoms(use_true_random=False))
def test_the_order_of_the_units_does_not_matter(sample, random):
    strata, k, s, m, r = sample
    order = list(range(len(s)))
    random.shuffle(order)
    h = len(strata.units)
    same(
        measures(strata, tally(s, m, r, h=h, k=k)),
        measures(strata, tally(s[order], m[order], r[order], h=h, k=k)),
        rtol=1e-12,
    )


@given(st.integers(2, 4), st.data())
def test_when_all_is_sampled_the_figures_are_the_census_without_error(k, data):
    n = data.draw(st.integers(2 * k, 60))
    mapped = np.array([*range(k), *range(k), *data.draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n))])
    reference = np.array(data.draw(st.lists(st.integers(0, k - 1), min_size=len(mapped), max_size=len(mapped))))
    size = np.array(data.draw(st.lists(st.floats(0.5, 2), min_size=len(mapped), max_size=len(mapped))))
    units = np.bincount(mapped, minlength=k)
    strata = Strata(units=units, areas=np.bincount(mapped, size, minlength=k))
    found = measures(strata, tally(mapped, mapped, reference, h=k, k=k, areas=size))
    right = mapped == reference
    assert found["overall_accuracy"].value == pytest.approx(size[right].sum() / size.sum())
    for j in range(k):
        is_class, is_mapped, both = reference == j, mapped == j, right & (mapped == j)
        assert found["area"].value[j] == pytest.approx(size[is_class].sum())
        assert found["users_accuracy"].value[j] == pytest.approx(size[both].sum() / size[is_mapped].sum())
        if is_class.any():
            assert found["producers_accuracy"].value[j] == pytest.approx(size[both].sum() / size[is_class].sum())
            assert found["producers_accuracy"].se[j] == pytest.approx(0, abs=1e-7)
    assert found["overall_accuracy"].se == pytest.approx(0, abs=1e-7)
    np.testing.assert_allclose(found["area"].se, 0, atol=1e-5)


@given(samples(), st.data())
def test_domains_add_up_to_the_whole(sample, data):
    strata, k, s, m, r = sample
    district = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(s), max_size=len(s))))
    h = len(strata.units)
    whole = tally(s, m, r, h=h, k=k)
    parts = [measures(strata, whole, part=tally(*(a[district == d] for a in (s, m, r)), h=h, k=k)) for d in range(3)]
    np.testing.assert_allclose(
        sum(p["area"].value for p in parts), measures(strata, whole)["area"].value, rtol=1e-12, atol=1e-9
    )


@given(samples())
def test_a_domain_that_holds_everything_is_the_whole(sample):
    strata, k, s, m, r = sample
    whole = tally(s, m, r, h=len(strata.units), k=k)
    same(measures(strata, whole), measures(strata, whole, part=whole), rtol=1e-12)


@given(samples(), st.data())
def test_a_domains_variance_is_that_of_zeros_outside_it(sample, data):
    """Against the textbook's way, unit by unit: y = 1 where inside and of the class, else 0 (Cochran 1977, 5A.14)."""
    strata, k, s, m, r = sample
    inside = np.array(data.draw(st.lists(st.booleans(), min_size=len(s), max_size=len(s))))
    h = len(strata.units)
    found = measures(
        strata, tally(s, m, r, h=h, k=k), part=tally(s[inside], m[inside], r[inside], h=h, k=k), finite=True
    )
    y = ((r == 0) & inside).astype(float)
    variance = 0.0
    for i, (units, area) in enumerate(zip(strata.units, strata.areas, strict=True)):
        values = y[s == i]
        variance += area**2 * (1 - len(values) / units) * values.var(ddof=1) / len(values)
    np.testing.assert_allclose(found["area"].se[0], variance**0.5, rtol=1e-9, atol=1e-9 * strata.areas.sum())


def published(matrix, pixels):
    """Olofsson et al. 2014, equations 4 to 11, as they stand in the paper."""
    n, big = np.asarray(matrix, "float64"), np.asarray(pixels, "float64")
    weight, rows = big / big.sum(), n.sum(axis=1)
    p = weight[:, None] * n / rows[:, None]
    users, area = n.diagonal() / rows, p.sum(axis=0)
    producers = p.diagonal() / area
    v_users = users * (1 - users) / (rows - 1)
    v_producers = np.empty(len(n))
    for j in range(len(n)):
        other = np.arange(len(n)) != j
        miss = n[other, j] / rows[other]
        v_producers[j] = (
            big[j] ** 2 * (1 - producers[j]) ** 2 * users[j] * (1 - users[j]) / (rows[j] - 1)
            + producers[j] ** 2 * (big[other] ** 2 * miss * (1 - miss) / (rows[other] - 1)).sum()
        ) / (big * n[:, j] / rows).sum() ** 2
    v_area = ((weight[:, None] * p - p**2) / (rows[:, None] - 1)).sum(axis=0)
    return {
        "overall_accuracy": (p.trace(), (weight**2 * v_users).sum()), "users_accuracy": (users, v_users),
        "producers_accuracy": (producers, v_producers), "share": (area, v_area),
    }  # fmt: skip


@given(st.integers(2, 5), st.data())
def test_with_strata_that_are_the_maps_classes_stehman_is_olofsson(k, data):
    matrix = [data.draw(st.lists(st.integers(0, 30), min_size=k, max_size=k)) for _ in range(k)]
    for i, row in enumerate(matrix):
        row[i] += 2
    pixels = data.draw(st.lists(st.integers(200, 10**7), min_size=k, max_size=k))
    m = measures(Strata(units=np.array(pixels), areas=np.array(pixels)), map_strata(matrix), finite=False)
    for name, (value, variance) in published(matrix, pixels).items():
        np.testing.assert_allclose(m[name].value, value, rtol=1e-9, err_msg=name)
        np.testing.assert_allclose(m[name].se, np.sqrt(np.maximum(variance, 0)), rtol=1e-6, atol=1e-7, err_msg=name)


def equal_units(count):
    return Tally(count=count, area=count, square=count)


def test_many_samples_at_once_give_what_each_gives_alone():
    rng = np.random.default_rng(3)
    many = rng.integers(0, 9, (5, 3, 4, 3)) + 1
    strata = Strata(units=np.array([1000, 5000, 800]), areas=np.array([10.0, 60.0, 8.0]))
    together = measures(strata, equal_units(many.astype("float64")))
    for i in range(5):
        alone = measures(strata, equal_units(many[i].astype("float64")))
        for name, measure in alone.items():
            np.testing.assert_allclose(together[name].value[i], measure.value, rtol=1e-12)
            np.testing.assert_allclose(together[name].se[i], measure.se, rtol=1e-9)


def test_units_of_unequal_size_are_weighed_by_it():
    """Half of the drawn pixels are of class 0, but they are three times as large as the others."""
    s = np.zeros(8, int)
    r = np.array([0, 1] * 4)
    size = np.where(r == 0, 3.0, 1.0)
    strata = Strata(units=np.array([100]), areas=np.array([200.0]))
    found = measures(strata, tally(s, r, r, h=1, k=2, areas=size))
    np.testing.assert_allclose(found["area"].value, [150, 50])


CLASSES = {1: "forest", 2: "meadow", 5: "pond"}
STRATA = {
    1: Stratum(name="forest", units=50_000, area=500.0),
    2: Stratum(name="meadow", units=40_000, area=400.0),
    5: Stratum(name="pond", units=1_000, area=10.0),
}


def drawn(seed=0, n=40):
    rng = np.random.default_rng(seed)
    stratum = np.repeat([1, 2, 5], n)
    wrong = rng.random(len(stratum)) < 0.15
    reference = np.where(wrong, rng.choice([1, 2, 5], len(stratum)), stratum)
    return stratum, reference


def test_districts_get_their_figures_and_too_small_ones_no_interval():
    s, r = drawn(n=80)
    x = np.arange(len(s)) % 20
    district = np.where(x < 13, "north", np.where(x < 19, "south", "isle"))
    district[0] = ""
    known = {"north": 600.0, "south": 250.0, "isle": 60.0, "far": 5.0}
    found = estimate(s, s, r, strata=STRATA, classes=CLASSES, districts=district, district_areas=known)
    assert list(found["districts"]) == ["far", "isle", "north", "south"]
    north = found["districts"]["north"]
    assert north["sample_units"] == int((district == "north").sum())
    shares = [c["share"]["value"] for c in north["classes"].values()]
    assert sum(shares) == pytest.approx(1)
    assert north["classes"]["forest"]["area_ha"]["value"] == pytest.approx(600 * shares[0])
    isle = found["districts"]["isle"]["overall_accuracy"]
    assert isle["value"] is not None
    assert (isle["low"], isle["interval"]) == (None, None)
    assert "12 sample units lie in the district" in isle["reason"]
    assert found["districts"]["far"]["overall_accuracy"]["value"] is None
    totals = sum(d["classes"]["meadow"]["total_ha"]["value"] for d in found["districts"].values())
    nowhere = found["classes"]["meadow"]["area_ha"]["value"] - totals
    assert 0 <= nowhere < 500 / 80 * 1.0001  # the one unit in no district
    json.dumps(found, allow_nan=False)


def test_a_district_of_unknown_size_gets_an_estimated_total():
    s, r = drawn()
    district = np.where(np.arange(len(s)) % 2, "a", "b")
    found = estimate(s, s, r, strata=STRATA, classes=CLASSES, districts=district)
    a = found["districts"]["a"]["classes"]["forest"]
    assert a["area_ha"]["value"] == a["total_ha"]["value"]


def test_pixels_without_a_class_count_as_wrong():
    s, _ = drawn()
    right = float(estimate(s, s, s, strata=STRATA, classes=CLASSES)["overall_accuracy"]["value"])
    mapped = np.where(s == 1, 0, s)
    found = estimate(s, mapped, s, strata=STRATA, classes=CLASSES)
    assert right == 1
    assert found["overall_accuracy"]["value"] == pytest.approx(410 / 910)
    assert found["confusion"]["unclassified"] == [40, 0, 0]
    assert found["classes"]["forest"]["users_accuracy"]["value"] is None
    assert found["classes"]["forest"]["producers_accuracy"]["value"] == 0


def test_omitted_units_are_counted_and_discounted_for_unequal_weights():
    s, r = np.repeat([1, 2, 5], 40), np.repeat([1, 2, 5], 40)
    r[:3] = 5
    pond = estimate(s, s, r, strata=STRATA, classes=CLASSES)["classes"]["pond"]
    assert pond["omitted_units"] == 3
    assert not pond["too_narrow"]
    # Seventeen omitted units, but one of them stands for far more land than all others.
    uneven = {**STRATA, 1: Stratum(name="forest", units=10**7, area=1e5)}
    r = np.repeat([1, 2, 5], 40)
    r[0], r[40:56] = 5, 5
    pond = estimate(s, s, r, strata=uneven, classes=CLASSES)["classes"]["pond"]
    assert pond["omitted_units"] == 17
    assert pond["effective_omitted_units"] < 2


@given(st.floats(0, 1), st.floats(2, 5000))
def test_wilsons_interval_holds_the_estimate_and_stays_within_0_and_1(p, n):
    low, high = wilson(np.array(p), np.array(n))
    assert 0 <= low <= p + 1e-12
    assert p - 1e-12 <= high <= 1
    assert high - low > 0


def test_wald_is_the_better_interval_only_where_ten_units_lie_on_either_side():
    # Of 100 units 9, 11, 89 and 91 have the property.
    p = np.array([0.09, 0.11, 0.89, 0.91])
    se = np.sqrt(p * (1 - p) / 100)
    np.testing.assert_allclose(effective_size(p, se, np.full(4, 1.0)), 100)
    low, high, is_wilson = better(p, se, np.full(4, 1.0))
    assert is_wilson.tolist() == [True, False, False, True]
    np.testing.assert_allclose(low[1:3], wald(p, se)[0][1:3])
    np.testing.assert_allclose(high[[0, 3]], wilson(p, np.full(4, 100))[1][[0, 3]])


def test_perfect_agreement_is_not_certainty():
    s = np.repeat([1, 2, 5], 50)
    users = estimate(s, s, s, strata=STRATA, classes=CLASSES, finite=False)["classes"]["forest"]["users_accuracy"]
    assert (users["value"], users["high"], users["interval"]) == (1.0, 1.0, "mover")
    assert users["wald"] == [1.0, 1.0]
    assert users["low"] == pytest.approx(50 / (50 + quantile() ** 2))  # Wilson's lower end at p = 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"reference": [0]}, "unit 1 has no reference label"),
        ({"reference": [9]}, "unit 1 has the reference label 9, which is not among [1, 2, 5]"),
        ({"stratum": [7]}, "unit 1 has the stratum 7"),
        ({"mapped": [8]}, "unit 1 has the map class 8"),
    ],
)
def test_labels_that_are_missing_or_unknown_are_refused(change, told):
    s, r = drawn()
    given_ = {"stratum": s.copy(), "mapped": s.copy(), "reference": r.copy()}
    for name, values in change.items():
        given_[name][: len(values)] = values
    with pytest.raises(InputError) as error:
        estimate(**given_, strata=STRATA, classes=CLASSES)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_strata_with_fewer_than_two_units_are_refused():
    s, r = drawn()
    for keep, told in (
        (s != 5, "'pond' has 0 sample units"),
        ((s != 5) | (np.cumsum(s == 5) == 1), "has 1 sample unit;"),
    ):
        with pytest.raises(InputError, match=told):
            estimate(s[keep], s[keep], r[keep], strata=STRATA, classes=CLASSES)
    with pytest.raises(InputError, match="40 sample units of 30"):
        estimate(s, s, r, strata={**STRATA, 5: Stratum(name="pond", units=30, area=1)}, classes=CLASSES)
    with pytest.raises(InputError, match="give both above 0"):
        Stratum(name="pond", units=30, area=0)


def test_arrays_that_do_not_fit_are_refused():
    s, r = drawn()
    with pytest.raises(InputError, match="give one of each per unit"):
        estimate(s, s, r[1:], strata=STRATA, classes=CLASSES)
    with pytest.raises(InputError, match="give one per unit"):
        estimate(s[None], s, r, strata=STRATA, classes=CLASSES)
    with pytest.raises(InputError, match="positive number"):
        estimate(s, s, r, strata=STRATA, classes=CLASSES, areas=np.zeros(len(s)))
