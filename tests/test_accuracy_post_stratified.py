"""Districts by stratum x district: equal to plain arithmetic, and closer to the truth than the sample share alone."""

import numpy as np
import pytest

from landweave.accuracy.design_based.estimates import Stratum, estimate
from landweave.accuracy.design_based.mover import intervals
from landweave.accuracy.design_based.post_stratified import cells_of
from landweave.accuracy.design_based.stratified import Strata, Tally, measures

CLASSES = {1: "forest", 2: "other"}


def small():
    """Two strata, two districts: west has 3 + 2 units, east 2 + 1."""
    stratum = np.array([1, 1, 1, 1, 1, 2, 2, 2])
    reference = np.array([1, 1, 2, 1, 1, 2, 1, 2])
    place = np.array(["west"] * 3 + ["east"] * 2 + ["west"] * 2 + ["east"], object)
    strata = {1: Stratum(name="forest", units=900, area=90.0), 2: Stratum(name="other", units=100, area=10.0)}
    cells = {"west": {1: (600, 60.0), 2: (50, 5.0)}, "east": {1: (300, 30.0), 2: (50, 5.0)}}
    return estimate(
        stratum, stratum, reference, strata=strata, classes=CLASSES, districts=place,
        district_areas={"west": 65.0, "east": 35.0}, district_strata=cells, finite=False,
    )  # fmt: skip


def test_a_districts_area_is_the_sum_over_its_strata():
    west, east = small()["districts"]["west"], small()["districts"]["east"]
    assert west["estimator"] == "post-stratified"
    assert west["classes"]["forest"]["area_ha"]["value"] == pytest.approx(60 * 2 / 3 + 5 * 1 / 2)
    variance = 60**2 * (2 / 3 * 1 / 3) / 2 + 5**2 * (1 / 2 * 1 / 2) / 1
    assert west["classes"]["forest"]["area_ha"]["se"] == pytest.approx(variance**0.5)
    assert west["overall_accuracy"]["value"] == pytest.approx((60 * 2 / 3 + 5 * 1 / 2) / 65)
    assert west["borrowed"] == {"strata": [], "share": 0.0}
    # One unit of the stratum "other" lies in the east, so the three of the whole stratum speak of it.
    assert east["classes"]["forest"]["area_ha"]["value"] == pytest.approx(30 * 1 + 5 * 1 / 3)
    assert east["borrowed"] == {"strata": ["other"], "share": pytest.approx(5 / 35)}
    assert east["sample_units"] == 3
    # Totals that add up over districts stay.
    whole = small()["classes"]["forest"]["area_ha"]["value"]
    assert sum(d["classes"]["forest"]["total_ha"]["value"] for d in (west, east)) == pytest.approx(whole)


def test_a_district_without_any_unit_takes_the_rates_of_the_whole_strata():
    found = estimate(
        [1, 1, 1, 2, 2], [1, 1, 1, 2, 2], [1, 1, 2, 2, 2], classes=CLASSES, districts=["a"] * 5,
        strata={1: Stratum(name="forest", units=900, area=90.0), 2: Stratum(name="other", units=100, area=10.0)},
        district_areas={"b": 8.0}, district_strata={"b": {1: (60, 6.0), 2: (20, 2.0), 7: (5, 1.0)}},
    )["districts"]["b"]  # fmt: skip
    area = found["classes"]["other"]["area_ha"]
    assert area["value"] == pytest.approx(6 / 3 + 2)
    assert area["low"] is None
    assert "0 sample units lie in the district" in area["reason"]
    assert found["borrowed"]["share"] == 1


def test_a_cell_whose_units_are_all_drawn_needs_no_others():
    strata = Strata(units=np.array([10.0]), areas=np.array([1.0]))
    cells = cells_of(np.array([0, 0, 0]), np.array([True, False, False]), strata=strata, areas={0: (1, 0.1)})
    assert not cells.borrowed.any()
    count = np.array([[[1.0, 0], [0, 0], [0, 0]]])
    low, high = intervals(cells.strata, Tally(count=count, area=count, square=count))["share"]
    assert (low[0], high[0]) == (1, 1)


def compared(cells, sizes, *, samples, seed=1):
    """Root mean square error of both estimators and coverage, by district and class; cells are (h, d, k) pixels."""
    h, d, k = cells.shape
    rng = np.random.default_rng(seed)
    drawn = np.stack(
        [rng.multivariate_hypergeometric(part.ravel(), int(n), size=samples, method="marginals").reshape(samples, d, k)
         for part, n in zip(cells, sizes, strict=True)], axis=1,
    ).astype("float64")  # fmt: skip
    units = cells.sum(axis=(1, 2))
    strata = Strata(units=units, areas=units.astype("float64"))
    truth = cells.sum(axis=0)
    errors, held = np.zeros((2, samples, d, k)), np.zeros((samples, d, k), bool)
    # The map's class does not matter for areas, so all units stand in one row.
    count = np.zeros((samples, h, d, k + 1, k))
    count[..., 0, :] = drawn
    for q in range(d):
        known = {i: (int(n), float(n)) for i, n in enumerate(cells[:, q].sum(axis=1)) if n}
        together = count.sum(axis=2)
        whole = Tally(count=together, area=together, square=together)
        part = Tally(count=count[:, :, q], area=count[:, :, q], square=count[:, :, q])
        errors[0, :, q] = measures(strata, whole, part=part)["share"].value * truth[q].sum() - truth[q]
        for i in range(samples):
            position = np.repeat(np.arange(h), drawn[i].sum(axis=(1, 2)).astype(int))
            place, cover = (
                np.concatenate(
                    [np.repeat(np.indices((d, k))[a].ravel(), drawn[i, s].ravel().astype(int)) for s in range(h)]
                )
                for a in range(2)
            )
            found = cells_of(position, place == q, strata=strata, areas=known)
            table = np.zeros((len(found.keys), k + 1, k))
            np.add.at(table, (found.position, 0, cover[found.rows]), 1)
            sample = Tally(count=table, area=table, square=table)
            value = measures(found.strata, sample)["share"].value * truth[q].sum()
            errors[1, i, q] = value - truth[q]
            low, high = intervals(found.strata, sample)["share"]
            held[i, q] = (low * truth[q].sum() <= truth[q]) & (truth[q] <= high * truth[q].sum())
    return np.sqrt((errors**2).mean(axis=1)), held.mean(axis=0)


def test_known_areas_of_the_cells_take_a_third_off_the_error_of_a_good_map():
    rng = np.random.default_rng(3)
    cells = rng.integers(50, 100, (3, 2, 3))
    cells[range(3), :, range(3)] = [(4000, 9000), (7000, 2000), (1500, 2500)]
    error, _ = compared(cells, [60, 60, 40], samples=100)
    assert (error[1] < error[0] * 2 / 3).all()


@pytest.mark.slow
def test_intervals_of_post_stratified_areas_hold_the_truth_in_districts():
    from test_slow_estimates import default_sizes, simulated_population

    population = simulated_population()
    cells = population.transpose(0, 2, 1)
    error, covered = compared(cells, default_sizes(population), samples=2000)
    many = cells.sum(axis=0) >= 1000
    print(np.round(error[1] / error[0], 2), np.round(covered, 3))  # noqa: T201 - figures for the docs
    assert np.median((error[1] / error[0])[many]) < 0.75
    assert (covered[many] >= 0.91).all()
    assert np.median(covered[many]) >= 0.93
    # A class that the map hardly misses is allowed for by Jeffreys' limits, so its intervals hold more.
    assert np.median(covered[many]) <= 0.97
