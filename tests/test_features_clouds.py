"""Masks of clouds, snow and missing data."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.features.clouds import dilate, mask_reasons, valid_mask
from landweave.patch.model import NODATA, make_patch


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
        ({"clouds": "mask", "mask": "CLM"}, "CLM"),
        ({"clouds": "scl"}, "SCL"),
        ({"bands": ["B99"]}, "B99"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        mask_reasons(patch_of(B04=row(1)), **{"bands": ["B04"], **options})
