"""What was seen: counts, masks against each other, NDVI with and without clouds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from landweave.features.clouds import CLOUD, NO_DATA, SNOW, VALID
from landweave.features.coverage import (
    compare_masks,
    count_histogram,
    mean_probability,
    ndvi_summary,
    ndvi_tally,
    valid_counts,
)
from landweave.patch.model import NODATA

SHAPE = (5, 4, 6)
REASONS = stn.arrays("uint8", SHAPE, elements=st.sampled_from([VALID, NO_DATA, CLOUD, SNOW, 9]))
MASKS = stn.arrays(bool, SHAPE)


@given(REASONS)
def test_every_pixel_is_counted_once_in_the_histogram_of_how_often_it_was_seen(reasons):
    expected = np.zeros(SHAPE[1:], int)
    for layer in reasons:
        expected += layer == VALID
    counts = valid_counts(reasons)
    assert counts.dtype == np.uint16
    np.testing.assert_array_equal(counts, expected)
    histogram = count_histogram(counts, SHAPE[0])
    assert histogram.dtype == np.int64
    assert histogram.tolist() == [int((expected == n).sum()) for n in range(SHAPE[0] + 1)]


def test_more_than_255_dates_are_counted():
    assert valid_counts(np.zeros((300, 1, 1), "uint8")).tolist() == [[300]]


def test_more_observations_than_dates_are_refused():
    with pytest.raises(ValueError, match="3 times on 2 dates"):
        count_histogram(np.array([[3]], "uint16"), 2)


@given(stn.arrays("float32", SHAPE, elements=st.one_of(st.floats(0, 1, width=32), st.just(np.nan))), MASKS)
def test_the_mean_probability_is_that_of_the_dates_on_which_a_place_was_seen(probability, seen):
    found = mean_probability(probability, seen)
    assert found.dtype == np.float32
    for y, x in np.ndindex(SHAPE[1:]):
        known = [p for p, s in zip(probability[:, y, x].tolist(), seen[:, y, x], strict=True) if s and not np.isnan(p)]
        expected = sum(known) / len(known) if known else np.nan
        np.testing.assert_allclose(found[y, x], expected, rtol=1e-6)


@given(MASKS, MASKS)
def test_two_masks_fall_into_four_cases_and_agree_with_scikit_learns_kappa(a, b):
    from sklearn.metrics import cohen_kappa_score

    found = compare_masks(a, b)
    assert (found.both, found.only_a, found.only_b, found.neither) == (
        int((a & b).sum()), int((a & ~b).sum()), int((~a & b).sum()), int((~a & ~b).sum()),
    )  # fmt: skip
    assert found.agreement == pytest.approx((a == b).mean())
    if a.all() == b.all() and a.any() == b.any() and (a.all() or not a.any()):
        assert np.isnan(found.kappa)
    else:
        assert found.kappa == pytest.approx(cohen_kappa_score(a.ravel(), b.ravel()), abs=1e-12)
    np.testing.assert_allclose(found.per_date.sum(axis=1), 1)
    np.testing.assert_allclose(found.per_date[:, :2].sum(axis=1), a.mean(axis=(1, 2)))
    np.testing.assert_allclose(found.per_date[:, ::2].sum(axis=1), b.mean(axis=(1, 2)))
    turned = compare_masks(b, a)
    assert (turned.only_a, turned.only_b, turned.kappa) == (
        found.only_b,
        found.only_a,
        pytest.approx(found.kappa, nan_ok=True),
    )


def test_a_mask_agrees_with_itself_and_not_with_its_contrary():
    mask = np.random.default_rng(0).random(SHAPE) < 0.3
    assert (compare_masks(mask, mask).agreement, compare_masks(mask, mask).kappa) == (1, 1)
    assert (compare_masks(mask, ~mask).agreement, compare_masks(mask, ~mask).kappa < 0) == (0, True)


def test_masks_without_pixels_have_no_agreement_and_unlike_ones_are_refused():
    assert np.isnan(compare_masks(np.zeros((2, 0, 3), bool), np.zeros((2, 0, 3), bool)).agreement)
    with pytest.raises(ValueError, match="one shape"):
        compare_masks(np.zeros((2, 3, 3), bool), np.zeros((1, 3, 3), bool))


# NDVI

UNITS = stn.arrays("int16", SHAPE, elements=st.one_of(st.integers(-300, 9000), st.just(NODATA)))


@given(UNITS, UNITS, REASONS)
def test_ndvi_is_told_apart_with_and_without_clouds(red, nir, reasons):
    found = ndvi_summary(ndvi_tally(red, nir, reasons))
    a, b = nir.astype("float64"), red.astype("float64")
    known = (red != NODATA) & (nir != NODATA) & (a + b > 0)
    ndvi = np.clip(np.divide(a - b, a + b, out=np.zeros(SHAPE), where=known), -1, 1)
    for name, wanted in (("all", known & (reasons != NO_DATA)), ("valid", known & (reasons == VALID))):
        for date in range(SHAPE[0]):
            values = ndvi[date][wanted[date]]
            assert found[f"{name}_count"][date] == len(values)
            figures = [found[f"{name}_{key}"][date] for key in ("mean", "low", "middle", "high")]
            if not len(values):
                assert np.isnan(figures).all()
                continue
            assert figures[0] == pytest.approx(values.mean(), abs=5e-5)
            for figure, share in zip(figures[1:], (0.1, 0.5, 0.9), strict=True):
                nearest = np.quantile(values, share, method="inverted_cdf")
                assert figure == pytest.approx(nearest, abs=0.0101)


@given(UNITS, UNITS, REASONS)
def test_the_tally_of_two_halves_adds_up_to_that_of_the_whole(red, nir, reasons):
    def part(rows):
        return ndvi_tally(red[:, rows], nir[:, rows], reasons[:, rows])

    north, south, whole = part(slice(0, 1)), part(slice(1, None)), part(slice(None))
    added = {key: north[key] + south[key] for key in whole}
    for key, values in whole.items():
        np.testing.assert_array_equal(added[key], values)
    for key, values in ndvi_summary(whole).items():
        np.testing.assert_array_equal(ndvi_summary(added)[key], values)


def test_a_cloud_pulls_ndvi_down_and_the_mask_takes_it_away():
    red, nir = np.full((2, 10, 10), 500, "int16"), np.full((2, 10, 10), 4500, "int16")
    red[1, :5], nir[1, :5] = 5000, 5200
    reasons = np.zeros((2, 10, 10), "uint8")
    reasons[1, :5] = CLOUD
    found = ndvi_summary(ndvi_tally(red, nir, reasons))
    np.testing.assert_allclose(found["valid_mean"], [0.8, 0.8])
    np.testing.assert_allclose(found["all_mean"], [0.8, (0.8 + 0.0196) / 2])
    assert found["all_low"][1] < 0.03
    assert found["valid_low"][1] > 0.79
    assert (found["all_count"].tolist(), found["valid_count"].tolist()) == ([100, 100], [100, 50])
