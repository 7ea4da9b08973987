"""Masks of clouds, snow and missing data."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.features.clouds import (
    CLOUD,
    NO_DATA,
    SNOW,
    VALID,
    dilate,
    mask_reasons,
    snow_bands,
    snow_mask,
    valid_mask,
)
from landweave.patch.model import NODATA, from_int16, make_patch


def patch_of(**variables):
    shape = next(iter(variables.values())).shape
    geobox = GeoBox.from_bbox((0, 0, shape[2] * 10, shape[1] * 10), "EPSG:32633", resolution=10)
    return make_patch(variables, geobox, [f"2017-01-{day + 1:02d}" for day in range(shape[0])])


def row(*values, dtype="int16"):
    return np.array([[values]], dtype)


def test_a_date_counts_only_where_every_band_has_data():
    patch = patch_of(B04=row(1, NODATA, 3), B08=row(1, 2, NODATA))
    assert valid_mask(patch, bands=["B04", "B08"]).tolist() == [[[True, False, False]]]
    assert mask_reasons(patch, bands=["B04"]).tolist() == [[[0, 1, 0]]]


def test_scene_classes_say_why():
    scl = row(*range(12), dtype="uint8")
    patch = patch_of(B04=np.full((1, 1, 12), 5, "int16"), SCL=scl)
    kept = mask_reasons(patch, bands=["B04"], clouds="scl")
    assert kept.tolist() == [[[1, 2, 0, 2, 0, 0, 0, 0, 2, 2, 2, 0]]]
    masked = mask_reasons(patch, bands=["B04"], clouds="scl", snow="mask")
    assert masked.tolist() == [[[1, 2, 0, 2, 0, 0, 0, 0, 2, 2, 2, 3]]]
    assert not mask_reasons(patch, bands=["B04"], clouds="scl", scl_masked=[]).any()


def test_clouds_grow_and_missing_data_and_snow_do_not():
    scl = row(0, 4, 4, 9, 4, 4, 11, dtype="uint8")
    patch = patch_of(B04=np.full((1, 1, 7), 5, "int16"), SCL=scl)
    reasons = mask_reasons(patch, bands=["B04"], clouds="scl", snow="mask", dilation_px=1)
    assert reasons.tolist() == [[[1, 0, 2, 2, 2, 0, 3]]]


def test_what_was_decided_stands_and_only_missing_data_is_added():
    decided = row(VALID, NO_DATA, CLOUD, SNOW, VALID, 9, dtype="uint8")
    bands = {"B03": row(5000, 1, 1, 5000, 1, 1), "B11": row(*[1] * 6), "B08": row(5000, 1, 1, 5000, 1, 1)}
    patch = patch_of(B04=row(5, 5, 5, 5, NODATA, 5), left_out=decided, **bands)
    for snow in ("keep", "mask"):
        reasons = mask_reasons(patch, bands=["B04"], clouds="decided", mask="left_out", snow=snow)
        # The snow that the bands show was judged before; a code of nobody's is taken for a cloud.
        assert reasons.tolist() == [[[VALID, NO_DATA, CLOUD, SNOW, NO_DATA, CLOUD]]]
    assert snow_bands("decided", ["B03", "B08", "B11", "SCL"], snow="mask") == ()


def test_a_mask_variable_is_not_zero_where_not_valid():
    patch = patch_of(B04=row(1, 1, NODATA), CLM=row(0, 255, 1, dtype="uint8"))
    assert mask_reasons(patch, bands=["B04"], clouds="mask", mask="CLM").tolist() == [[[0, 2, 1]]]


@given(stn.arrays(bool, (2, 9, 11)), st.floats(0, 5))
def test_a_dilated_mask_holds_exactly_what_lies_within_the_radius(mask, radius):
    rows, columns = np.mgrid[:9, :11]
    expected = np.zeros_like(mask)
    for date, y, x in zip(*np.nonzero(mask), strict=True):
        expected[date] |= np.hypot(rows - y, columns - x) <= radius
    np.testing.assert_array_equal(dilate(mask, radius), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clouds": "magic"}, "magic"),
        ({"snow": "melt"}, "melt"),
        ({"clouds": "mask"}, "mask = "),
        ({"clouds": "decided"}, "decided|None"),
        ({"clouds": "mask", "mask": "CLM"}, "CLM"),
        ({"clouds": "scl"}, "SCL"),
        ({"clouds": "s2cloudless"}, "CLM"),
        ({"bands": ["B99"]}, "B99"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        mask_reasons(patch_of(B04=row(1)), **{"bands": ["B04"], **options})


def test_a_providers_probability_is_cut_off_and_no_threshold_means_any_but_zero():
    patch = patch_of(B04=row(1, 1, 1, 1), CLP=row(0, 40, 41, 100, dtype="uint8"))
    found = [mask_reasons(patch, bands=["B04"], clouds="mask", mask="CLP", mask_above=t).tolist() for t in (0, 40)]
    assert found == [[[[0, 2, 2, 2]]], [[[0, 0, 2, 2]]]]
    # A negative code is not 0 either.
    signed = patch_of(B04=row(1, 1), M=row(-1, 0))
    assert mask_reasons(signed, bands=["B04"], clouds="mask", mask="M").tolist() == [[[2, 0]]]


def test_the_mask_of_s2cloudless_is_not_zero_where_not_valid():
    patch = patch_of(B04=row(1, 1, NODATA), CLM=row(0, 1, 1, dtype="uint8"))
    assert mask_reasons(patch, bands=["B04"], clouds="s2cloudless").tolist() == [[[0, 2, 1]]]


# Snow

SNOW_PIXEL = {"B03": 8000, "B04": 8200, "B08": 7500, "B11": 900}
GROUND_PIXEL = {"B03": 800, "B04": 700, "B08": 3000, "B11": 2000}
RULES = [
    ({"clouds": "mask", "mask": "M"}, "M", 1),
    ({"clouds": "mask", "mask": "M", "mask_above": 60}, "M", 90),
    ({"clouds": "s2cloudless"}, "CLM", 1),
]


def scene(*pixels, **variables):
    bands = {name: row(*[p[name] for p in pixels]) for name in pixels[0]}
    return patch_of(**bands, **variables)


@pytest.mark.parametrize(("options", "name", "cloudy"), RULES)
@pytest.mark.parametrize("dilation", [0, 2])
def test_a_snow_pixel_is_kept_under_every_mask(options, name, cloudy, dilation):
    patch = scene(
        SNOW_PIXEL, SNOW_PIXEL, GROUND_PIXEL, GROUND_PIXEL, **{name: row(cloudy, 0, cloudy, 0, dtype="uint8")}
    )
    around = CLOUD if dilation else VALID
    kept = mask_reasons(patch, bands=["B04"], dilation_px=dilation, **options)
    assert kept.tolist() == [[[VALID, VALID, CLOUD, around]]]
    apart = mask_reasons(patch, bands=["B04"], dilation_px=dilation, snow="mask", **options)
    assert apart.tolist() == [[[SNOW, SNOW, CLOUD, around]]]


@pytest.mark.parametrize("snow", ["keep", "mask"])
def test_snow_beside_a_cloud_is_not_lost_to_its_dilation(snow):
    patch = patch_of(B04=row(5, 5, 5, 5), SCL=row(11, 9, 4, 11, dtype="uint8"))
    expected = VALID if snow == "keep" else SNOW
    found = mask_reasons(patch, bands=["B04"], clouds="scl", snow=snow, dilation_px=1)
    assert found.tolist() == [[[expected, CLOUD, CLOUD, expected]]]


def test_snow_that_the_user_masks_as_a_scene_class_stays_masked():
    patch = patch_of(B04=row(5, 5), SCL=row(11, 4, dtype="uint8"))
    assert mask_reasons(patch, bands=["B04"], clouds="scl", scl_masked=[11]).tolist() == [[[CLOUD, VALID]]]


@pytest.mark.parametrize(("options", "name", "cloudy"), RULES)
def test_what_is_bright_in_the_cirrus_band_is_cloud_where_the_mask_says_so(options, name, cloudy):
    high = row(99, 100, 100, NODATA)
    patch = scene(*[SNOW_PIXEL] * 4, B10=high, **{name: row(cloudy, cloudy, 0, cloudy, dtype="uint8")})
    assert mask_reasons(patch, bands=["B04"], **options).tolist() == [[[VALID, CLOUD, VALID, VALID]]]
    raised = mask_reasons(patch, bands=["B04"], cirrus=0.02, **options)
    assert raised.tolist() == [[[VALID, VALID, VALID, VALID]]]


def test_missing_data_is_missing_whatever_lies_there():
    patch = patch_of(B04=row(NODATA, NODATA), SCL=row(11, 9, dtype="uint8"))
    assert (mask_reasons(patch, bands=["B04"], clouds="scl", snow="mask") == NO_DATA).all()


def test_scene_classes_outrank_the_snow_index_and_without_either_no_snow_is_known():
    classes = scene(SNOW_PIXEL, GROUND_PIXEL, SCL=row(4, 11, dtype="uint8"))
    assert snow_mask(classes).tolist() == [[[False, True]]]
    assert snow_mask(scene(SNOW_PIXEL, GROUND_PIXEL)).tolist() == [[[True, False]]]
    assert not snow_mask(scene(SNOW_PIXEL).drop_vars("B11")).any()


def test_masked_snow_is_masked_even_where_no_cloud_is_looked_for():
    patch = scene(SNOW_PIXEL, GROUND_PIXEL)
    assert mask_reasons(patch, bands=["B04"], snow="mask").tolist() == [[[SNOW, VALID]]]
    assert not mask_reasons(patch, bands=["B04"]).any()


UNITS = st.one_of(st.integers(-32767, 32767), st.integers(-20, 20), st.just(NODATA))


@given(UNITS, UNITS, UNITS, st.integers(-10_000, 10_000), st.integers(0, 20_000))
def test_the_snow_index_is_exact_in_whole_numbers_and_safe_near_zero(green, near, short, ndsi, nir):
    patch = patch_of(B03=row(green), B08=row(near), B11=row(short))
    total = green + short
    snowy = total > 0 and Fraction(green - short, total) > Fraction(ndsi, 10_000) and near > nir
    expected = snowy and NODATA not in (green, near, short)
    assert snow_mask(patch, ndsi=ndsi / 10_000, nir=nir / 10_000).item() == expected


@given(st.tuples(UNITS, UNITS, UNITS))
def test_reflectance_in_floating_point_gives_the_same_snow(values):
    whole = patch_of(**{name: row(v) for name, v in zip(("B03", "B08", "B11"), values, strict=True)})
    physical = {name: from_int16(band.values, dtype="float64") for name, band in whole.data_vars.items()}
    green, _, short = values
    # On the threshold itself rounding decides.
    assume(10 * (green - short) != 4 * (green + short) and values[1] != 1100)
    assert snow_mask(patch_of(**physical)).item() == snow_mask(whole).item()


@given(
    stn.arrays("uint8", (2, 6, 7), elements=st.integers(0, 1)), stn.arrays("int16", (2, 6, 7), elements=st.integers(0, 9000)),
    stn.arrays("int16", (2, 6, 7), elements=st.integers(0, 9000)), st.floats(0, 3), st.sampled_from(["keep", "mask"]),
)  # fmt: skip
def test_no_snow_pixel_is_ever_called_cloud(cloudy, green, short, dilation, snow):
    patch = patch_of(B03=green, B08=np.full_like(green, 4000), B11=short, CLM=cloudy)
    found = mask_reasons(patch, bands=["B03"], clouds="s2cloudless", snow=snow, dilation_px=dilation)
    expected = np.where(dilate(cloudy != 0, dilation), CLOUD, VALID)
    expected[snow_mask(patch)] = SNOW if snow == "mask" else VALID
    np.testing.assert_array_equal(found, expected)


def test_only_what_tells_snow_is_loaded():
    everything = ["B03", "B04", "B08", "B10", "B11", "SCL"]
    assert snow_bands("mask", everything) == ("SCL",)
    assert snow_bands("mask", everything, scl_variable="classes") == ("B03", "B08", "B11", "B10")
    assert snow_bands("s2cloudless", ["B03", "B08", "B11", "B10"]) == ("B03", "B08", "B11")
    assert snow_bands("mask", ["B03", "B08", "B11"]) == ("B03", "B08", "B11")
    assert snow_bands("mask", ["B03", "B08", "B10"]) == ()
    assert snow_bands("none", everything) == ()
    assert snow_bands("none", everything, snow="mask") == ("SCL",)
