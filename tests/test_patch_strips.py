"""Strips leave no trace."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter

from landweave.patch.strips import map_strips, strip_rows


@given(st.integers(1, 200), st.integers(1, 210))
def test_strips_follow_one_another_over_every_row(height, strip):
    rows = [row for part in strip_rows(height, strip) for row in range(part.start, part.stop)]
    assert rows == list(range(height))
    assert all(part.stop - part.start <= strip for part in strip_rows(height, strip))


@pytest.mark.parametrize("strip", [0, -3])
def test_a_strip_without_rows_is_refused(strip):
    with pytest.raises(ValueError, match="at least one row"):
        list(strip_rows(5, strip))


@given(st.integers(1, 50), st.integers(1, 55), st.integers(1, 3), st.integers(0, 3), st.integers(0, 99))
def test_any_halo_of_the_radius_or_more_gives_the_whole(height, strip, radius, spare, seed):
    image = np.random.default_rng(seed).integers(0, 1000, (height, 6)).astype("float64")
    size = 2 * radius + 1
    mean, square = np.zeros_like(image), np.zeros((2, height, 6))
    widest = 0

    def read(rows):
        nonlocal widest
        widest = max(widest, rows.stop - rows.start)
        return image[rows]

    def write(rows, parts):
        mean[rows], square[:, rows] = parts

    map_strips(
        read,
        lambda a: uniform_filter(a, (size, 1), mode="constant"),
        lambda a: (a, np.stack([a**2, a])),
        write=write, height=height, strip=strip, halo=radius + spare,
    )  # fmt: skip
    whole = uniform_filter(image, (size, 1), mode="constant")
    np.testing.assert_allclose(mean, whole, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(square, np.stack([whole**2, whole]), rtol=1e-12, atol=1e-6)
    assert widest <= strip + 2 * (radius + spare)


def test_the_next_strip_is_read_while_one_is_worked_on_and_order_stays():
    coming, told = [threading.Event() for _ in range(4)], []

    def read(rows):
        told.append(("read", rows.start))
        coming[rows.start].set()
        return np.full((1, 1, 1), rows.start)

    def work(values):
        number = int(values[0, 0, 0])
        if number < 3:
            assert coming[number + 1].wait(10), "the next strip is not waited for"
            assert number + 2 > 3 or not coming[number + 2].is_set(), "and no more than one is read ahead"
        return values

    map_strips(read, work, write=lambda rows, _: told.append(("write", rows.start)), height=4, strip=1)
    assert [row for what, row in told if what == "read"] == [0, 1, 2, 3]
    assert [row for what, row in told if what == "write"] == [0, 1, 2, 3]


@pytest.mark.parametrize("fails", ["read", "work", "write"])
def test_an_error_ends_the_reading_and_is_told(fails):
    def fail(name, rows):
        if name == fails and rows == 2:
            raise OSError(f"{name} failed")

    last = []

    def read(rows):
        last.append(rows.start)
        fail("read", rows.start)
        return np.full((1, 1, 1), rows.start)

    def work(values):
        fail("work", int(values[0, 0, 0]))
        return values

    with pytest.raises(OSError, match=f"{fails} failed"):
        map_strips(read, work, write=lambda rows, _: fail("write", rows.start), height=9, strip=1)
    count = len(last)
    assert count <= 4
    # The thread goes on to serve others.
    map_strips(read, write=lambda *_: None, height=1, strip=1)
    assert len(last) == count + 1


def test_a_patch_without_rows_is_nothing_to_do():
    map_strips(lambda _: 1 / 0, write=lambda *_: 1 / 0, height=0)
