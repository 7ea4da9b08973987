"""The words of a patch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.patch.model import NODATA, from_int16, make_patch, to_int16

GRID = GeoBox.from_bbox((500_000, 5_000_000, 500_030, 5_000_020), "EPSG:32633", resolution=10)


@given(
    stn.arrays("int16", st.integers(1, 40), elements=st.integers(-32768, 32767)),
    st.sampled_from([(1e-4, 0.0), (2e-4, 0.0), (0.01, -40.0), (37.5, 1000.0)]),
)
def test_units_survive_the_way_to_values_and_back(units, scale_offset):
    scale, offset = scale_offset
    values = from_int16(units, scale=scale, offset=offset, dtype="float64")
    assert np.array_equal(to_int16(values, scale=scale, offset=offset), units)
    assert np.array_equal(np.isnan(values), units == NODATA)


@given(st.integers(-32767, 32766))
def test_a_value_half_way_goes_to_the_even_unit(unit):
    nearest = to_int16(np.array([unit + 0.5]), scale=1.0).item()
    assert nearest % 2 == 0
    assert abs(nearest - unit - 0.5) == 0.5


@given(stn.arrays("float64", st.integers(1, 40), elements=st.floats()))
def test_nothing_finite_becomes_missing_and_nothing_else_a_value(values):
    units = to_int16(values, scale=1.0)
    assert units.dtype == "int16"
    assert np.array_equal(units == NODATA, ~np.isfinite(values))


@pytest.mark.parametrize(
    ("shape", "times"), [((2, 2, 3), ["2020-01-01"]), ((1, 3, 2), ["2020-01-01"]), ((3, 2), None), ((1, 2, 3), None)]
)
def test_an_array_that_does_not_fit_its_grid_or_dates_is_refused(shape, times):
    with pytest.raises(InputError, match="B04 has shape"):
        make_patch({"B04": np.zeros(shape, "int16")}, GRID, times)


def test_a_patch_knows_its_grid_and_dates():
    patch = make_patch(
        {"B04": np.zeros((2, 2, 3), "int16"), "dem": np.zeros((2, 3), "float32")}, GRID, ["2020-01-01", "2020-02-01"]
    )
    assert patch.B04.dims == ("time", "y", "x")
    assert patch.dem.dims == ("y", "x")
    assert patch.odc.geobox == GRID
    assert patch.time.dt.month.values.tolist() == [1, 2]
