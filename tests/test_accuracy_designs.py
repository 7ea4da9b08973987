"""Sample sizes and their division, against Olofsson et al. 2014, section 5.1, and by what must hold for any design."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landweave.accuracy.design_based.designs import (
    ALLOCATIONS,
    allocate,
    anticipated,
    class_sizes,
    sample_size,
    smallest_size,
)
from landweave.errors import InputError

SHARES, ACCURACIES = [0.02, 0.015, 0.32, 0.645], [0.7, 0.6, 0.9, 0.95]
TABLE_5 = {
    (160, 160, 160, 160): ("0.013532", "0.036 0.039 0.024 0.017"),
    (100, 100, 149, 292): ("0.011470", "0.046 0.049 0.025 0.013"),
    (75, 75, 165, 325): ("0.010911", "0.053 0.057 0.023 0.012"),
    (50, 50, 182, 359): ("0.010437", "0.065 0.070 0.022 0.012"),
    (13, 10, 205, 413): ("0.010302", "0.132 0.163 0.021 0.011"),
}


def test_the_sample_size_of_the_example():
    spread = [math.sqrt(u * (1 - u)) for u in ACCURACIES]
    assert [f"{s:.4f}" for s in spread] == ["0.4583", "0.4899", "0.3000", "0.2179"]
    assert f"{sum(w * s for w, s in zip(SHARES, spread, strict=True)):.6f}" == "0.253088"
    n = sample_size(SHARES, ACCURACIES, se=0.01)
    assert f"{n:.2f}" == "640.54"
    assert math.ceil(n) == 641


@pytest.mark.parametrize("sizes", TABLE_5)
def test_standard_errors_of_the_examples_allocations(sizes):
    overall, users = anticipated(sizes, SHARES, ACCURACIES)
    assert (f"{overall:.6f}", " ".join(f"{se:.3f}" for se in users)) == TABLE_5[sizes]


def test_the_proportional_row_of_the_example_is_what_allocate_gives():
    assert tuple(allocate(641, SHARES)) == (13, 10, 205, 413)
    assert tuple(allocate(640, SHARES, method="equal")) == (160, 160, 160, 160)


@st.composite
def designs(draw):
    k = draw(st.integers(1, 8))
    shares = draw(st.lists(st.floats(0.001, 1), min_size=k, max_size=k))
    users = draw(st.lists(st.floats(0, 1), min_size=k, max_size=k))
    units = draw(st.lists(st.integers(2, 5000), min_size=k, max_size=k))
    least = draw(st.integers(2, 100))
    floor = sum(min(least, u) for u in units)
    n = draw(st.integers(floor, floor + 5000))
    return n, shares, users, units, least


@given(designs(), st.sampled_from(ALLOCATIONS))
def test_an_allocation_is_whole_keeps_its_bounds_and_adds_up(design, method):
    n, shares, users, units, least = design
    sizes = allocate(n, shares, method=method, accuracies=users, minimum=least, units=units)
    assert sizes.dtype == np.int64
    assert sizes.sum() == min(n, sum(units))
    assert (sizes <= units).all()
    assert (sizes >= np.minimum(least, units)).all()


@given(designs())
def test_beside_those_held_at_a_bound_an_allocation_is_proportional(design):
    n, shares, _, units, least = design
    sizes = allocate(n, shares, minimum=least, units=units)
    free = (sizes > np.minimum(least, units)) & (sizes < units)
    per_share = sizes[free] / np.array(shares)[free]
    slack = 2 / np.array(shares)[free]
    if free.sum() > 1:
        assert per_share.max() - slack[per_share.argmax()] <= per_share.min() + slack[per_share.argmin()]


@given(st.lists(st.tuples(st.floats(0.01, 1), st.floats(0.05, 0.95)), min_size=2, max_size=6), st.integers(0, 10**6))
def test_no_other_division_beats_neymans_by_more_than_rounding(strata, seed):
    shares, users = zip(*strata, strict=True)
    sizes = allocate(5000, shares, method="neyman", accuracies=users)
    other = np.random.default_rng(seed).dirichlet(np.ones(len(shares)))
    rival = allocate(5000, other)
    assert anticipated(sizes, shares, users)[0] <= anticipated(rival, shares, users)[0] * 1.01


def test_a_sample_of_the_size_found_has_the_standard_error_asked_for():
    n = sample_size(SHARES, ACCURACIES, se=0.01)
    sizes = allocate(math.ceil(n), SHARES, method="neyman", accuracies=ACCURACIES)
    assert anticipated(sizes, SHARES, ACCURACIES)[0] == pytest.approx(0.01, rel=0.005)
    for users in (0.5, 0.7, 0.95):
        (n,) = class_sizes([users], se=0.04)
        assert anticipated([n], [1], [users])[1][0] <= 0.04 < anticipated([n - 1], [1], [users])[1][0]


@pytest.mark.parametrize(
    ("shares", "users", "method", "minimum", "n"),
    [
        (SHARES, ACCURACIES, "neyman", 2, 645),
        (SHARES, ACCURACIES, "proportional", 2, 682),
        (SHARES, ACCURACIES, "proportional", 50, 693),
        (SHARES, ACCURACIES, "proportional", 75, 737),
        (SHARES, ACCURACIES, "equal", 50, 1171),
        ([0.97, 0.01, 0.01, 0.01], [0.85] * 4, "proportional", 50, 1361),
        ([0.97, 0.01, 0.01, 0.01], [0.85] * 4, "equal", 50, 4805),
    ],
)
def test_the_size_is_the_one_that_its_own_allocation_needs(shares, users, method, minimum, n):
    """Computed independently by bisection (fault 02)."""
    assert smallest_size(shares, users, se=0.01, method=method, minimum=minimum) == n
    sizes = allocate(n, shares, method=method, accuracies=users, minimum=minimum)
    fewer = allocate(n - 1, shares, method=method, accuracies=users, minimum=minimum)
    assert anticipated(sizes, shares, users)[0] <= 0.01 < anticipated(fewer, shares, users)[0]


@pytest.mark.parametrize("units", [None, [20, 600, 9000, 40_000]], ids=["endless", "finite"])
@pytest.mark.parametrize("minimum", [2, 75])
@pytest.mark.parametrize("method", ALLOCATIONS)
def test_the_promised_error_is_the_error_of_that_allocation(method, minimum, units):
    """Simulated: 20,000 samples of each design; their standard deviation is known to 0.5 %."""
    shares = np.array(SHARES if units is None else np.array(units) / sum(units))
    n = smallest_size(shares, ACCURACIES, se=0.01, method=method, minimum=minimum, units=units)
    sizes = allocate(n, shares, method=method, accuracies=ACCURACIES, minimum=minimum, units=units)
    rng = np.random.default_rng(3)
    if units is None:
        right = rng.binomial(sizes, ACCURACIES, (20_000, 4))
    else:
        good = np.round(np.array(units) * ACCURACIES).astype(int)
        right = rng.hypergeometric(good, np.array(units) - good, sizes, (20_000, 4))
    spread = (right / sizes @ shares).std()
    promised = anticipated(sizes, shares, ACCURACIES, units=units)[0]
    assert spread == pytest.approx(promised, rel=0.03)
    assert promised <= 0.01
    if n > 4 * minimum:
        assert promised == pytest.approx(0.01, rel=0.03)


def test_a_target_beyond_the_population_takes_all_of_it():
    assert smallest_size([0.5, 0.5], [0.5, 0.5], se=1e-9, units=[30, 40]) == 70
    assert smallest_size([0.5, 0.5], [1.0, 1.0], se=0.01) == 4
    with pytest.raises(InputError, match="give a larger one"):
        smallest_size([0.5, 0.5], [0.5, 0.5], se=1e-12)


def test_a_small_population_needs_fewer():
    """With N = 1000, n0 = W S / V and n = n0 / (1 + n0 / N) for one stratum (Cochran 1977, equation 4.4)."""
    n0 = 0.5 * 0.5 / 0.02**2
    assert sample_size([1], [0.5], se=0.02, population=1000) == pytest.approx(n0 / (1 + n0 / 1000))


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: sample_size([0.5], [0.9, 0.8], se=0.01), "1 shares and 2 accuracies"),
        (lambda: sample_size([0.5, -1], [0.9, 0.8], se=0.01), "0 or more"),
        (lambda: sample_size([0, 0], [0.9, 0.8], se=0.01), "at least one above 0"),
        (lambda: sample_size([0.5, 0.5], [0.9, 80], se=0.01), "between 0 and 1"),
        (lambda: sample_size([0.5, 0.5], [0.9, 0.8], se=0), "target standard error"),
        (lambda: allocate(10, [0.5, 0.5], minimum=50), "adds up to 100"),
        (lambda: allocate(10, [0.5, 0.5], method="best"), "choose one of proportional, equal, neyman, power"),
        (lambda: allocate(10, [0.5, 0.5], method="neyman"), "needs the expected user's accuracy"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(call, told):
    with pytest.raises(InputError) as error:
        call()
    assert told in str(error.value)
    assert "\n" not in str(error.value)
