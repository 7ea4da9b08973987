"""Spatial units: a patch, or its quarters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landweave.labels.units import QUARTERS, WHOLE, count_classes, total, unit_ids, unit_name


@given(st.integers(2, 60), st.integers(2, 60))
def test_quarters_are_rectangles_of_nearly_the_same_size(height, width):
    ids = unit_ids((height, width), QUARTERS)
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    for number in range(4):
        mine = ids == number
        tall, wide = np.ptp(rows[mine]) + 1, np.ptp(columns[mine]) + 1
        assert mine.sum() == tall * wide
        assert abs(tall - height / 2) <= 0.5
        assert abs(wide - width / 2) <= 0.5


@given(st.integers(1, 20), st.integers(1, 20))
def test_a_whole_patch_is_one_unit_of_its_own_name(height, width):
    assert not unit_ids((height, width), WHOLE).any()
    assert unit_name("x0001y0002", 0, WHOLE) == "x0001y0002"


def test_counts_name_unit_and_class_and_leave_out_what_is_empty():
    labels = np.array([[1, 1, 0, 0], [2, 0, 0, 0], [0, 0, 255, 2]], "uint8")
    counts = count_classes(labels, unit_ids(labels.shape, QUARTERS), patch="p", cut=QUARTERS)
    assert counts == {"p/0": {1: 2, 2: 1}, "p/3": {2: 1, 255: 1}}
    assert total(counts) == {1: 2, 2: 2, 255: 1}
    assert count_classes(labels * 0, unit_ids(labels.shape, WHOLE), patch="p", cut=WHOLE) == {}


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1)])
def test_a_patch_too_thin_to_quarter_has_fewer_units(shape):
    labels = np.ones(shape, "uint8")
    counts = count_classes(labels, unit_ids(shape, QUARTERS), patch="p", cut=QUARTERS)
    assert total(counts) == {1: labels.size}
