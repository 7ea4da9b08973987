"""Do 95 % intervals hold the truth in 95 of 100 samples? Two thousand samples of one simulated map."""

import numpy as np
import pytest

from landweave.accuracy.design_based.designs import allocate, smallest_size
from landweave.accuracy.design_based.estimates import FEW_OMITTED
from landweave.accuracy.design_based.intervals import wald
from landweave.accuracy.design_based.mover import intervals
from landweave.accuracy.design_based.stratified import Strata, Tally, measures

SAMPLES = 2000
VALUES = (1, 2, 3, 4, 5, 6, 8, 9)
BANDS = ("B02", "B03", "B04", "B08", "B11", "B12")


def simulated_fields():
    """Position of map class and of true class of each pixel, (800, 800): a quick classifier's map of six dates."""
    from sklearn.tree import DecisionTreeClassifier

    from landweave.sources.simulated.source import SimulatedSource

    source = SimulatedSource(size_km=8, n_dates=24, seed=42)
    dates = source.dates(None, None)[5:22:3]
    patch = source.load(source.geobox, dates, BANDS)
    pixels = np.stack([patch[band].values[i].ravel() for i in range(len(dates)) for band in BANDS], axis=1)
    truth = source.country.truth.ravel()
    taught = np.random.default_rng(0).choice(len(truth), 6000, replace=False)
    tree = DecisionTreeClassifier(max_leaf_nodes=150, random_state=0).fit(pixels[taught], truth[taught])
    mapped = tree.predict(pixels)
    return tuple(np.searchsorted(VALUES, values).reshape(source.geobox.shape) for values in (mapped, truth))


def simulated_population():
    """Pixels by map class, true class and quarter of the country."""
    mapped, truth = simulated_fields()
    rows, columns = np.indices(mapped.shape)
    quarter = (2 * (rows > rows.max() // 2) + (columns > columns.max() // 2)).ravel()
    order = mapped.ravel(), truth.ravel(), quarter
    counts = np.bincount(np.ravel_multi_index(order, (8, 8, 4)), minlength=256).reshape(8, 8, 4)
    assert counts.sum() == 640_000
    return counts


@pytest.fixture(scope="module")
def population():
    return simulated_population()


def draw(population, sizes, *, seed=1):
    """Counts of drawn pixels, (samples, stratum, true class, quarter)."""
    rng = np.random.default_rng(seed)
    drawn = [
        rng.multivariate_hypergeometric(cells.ravel(), int(n), size=SAMPLES, method="marginals")
        for cells, n in zip(population, sizes, strict=True)
    ]
    return np.stack(drawn, axis=1).reshape(SAMPLES, 8, 8, 4)


def as_tally(drawn):
    """With strata that are the map's classes, from (samples, stratum, true class)."""
    count = np.zeros((len(drawn), 8, 9, 8))
    for h in range(8):
        count[:, h, h] = drawn[:, h]
    return Tally(count=count, area=count, square=count)


def share_covered(low, high, truth):
    """How often the interval holds the truth, by class; samples in which nothing bears on it count as not covered."""
    with np.errstate(invalid="ignore"):
        return ((low <= truth) & (truth <= high)).mean(axis=0)


def study(population, sizes):
    """Coverage of every figure, the truths, and the expected omitted units, counted and of equal weight."""
    cells = population.sum(axis=2)
    units = cells.sum(axis=1)
    strata, sample = Strata(units=units, areas=units * 0.01), as_tally(draw(population, sizes).sum(axis=3))
    found, limits = measures(strata, sample), intervals(strata, sample)
    right, of_class = cells.diagonal(), cells.sum(axis=0)
    truths = {
        "overall_accuracy": right.sum() / cells.sum(), "share": of_class / cells.sum(),
        "users_accuracy": right / units, "producers_accuracy": right / of_class, "f1": 2 * right / (units + of_class),
    }  # fmt: skip
    weight = units / sizes
    expected = cells * (sizes / units)[:, None]
    np.fill_diagonal(expected, 0)
    effective = (expected * weight[:, None]).sum(axis=0) ** 2 / (expected * weight[:, None] ** 2).sum(axis=0)
    return {
        "mover": {name: share_covered(*limits[name], truth) for name, truth in truths.items()},
        "wald": {name: share_covered(*wald(found[name].value, found[name].se), truth) for name, truth in truths.items()},
        "omitted": expected.sum(axis=0), "effective": effective, "truths": truths,
    }  # fmt: skip


def default_sizes(population, *, n=None):
    """What `landweave estimate draw` takes by default: 0.01 as target, 0.85 expected, at least 50 a class."""
    units = population.sum(axis=(1, 2))
    n = n or smallest_size(units, np.full(8, 0.85), se=0.01, minimum=50, units=units)
    return allocate(n, units, minimum=50, units=units)


def table(title, found, sizes):
    lines = [f"\n{title}: {sum(sizes)} units {list(map(int, sizes))}"]
    lines.append(f"overall accuracy covered {found['mover']['overall_accuracy']:.1%}")
    for i, value in enumerate(VALUES):
        lines.append(f"class {value}: omitted {found['omitted'][i]:6.1f} worth {found['effective'][i]:6.1f} (Wald)")
        for name in ("share", "users_accuracy", "producers_accuracy", "f1"):
            lines[-1] += f", {name} {found['mover'][name][i]:.1%} ({found['wald'][name][i]:.1%})"
    print("\n".join(lines))  # noqa: T201 - figures for the docs


@pytest.mark.slow
@pytest.mark.parametrize("n", [None, 400, 640, 1000, 2500, -800, -2000])
def test_intervals_hold_the_truth_as_often_as_they_say(population, n):
    """By default, with fewer or more units, and where weights are very unequal (equal allocation)."""
    sizes = np.full(8, -n // 8) if n is not None and n < 0 else default_sizes(population, n=n)
    found = study(population, sizes)
    table("equal" if n is not None and n < 0 else "at least 50 a class", found, sizes)
    covered = found["mover"]
    assert 0.93 <= covered["overall_accuracy"] <= 0.97
    for name in ("share", "users_accuracy", "producers_accuracy"):
        assert (covered[name] >= 0.92).all(), (name, covered[name])
        # What a sample has not seen is allowed for in full, so areas of some classes are covered more often.
        assert (covered[name] <= 0.995).all(), (name, covered[name])
        assert 0.93 <= np.median(covered[name]) <= 0.975


@pytest.mark.slow
def test_intervals_hold_the_truth_of_districts_too(population):
    sizes = default_sizes(population)
    units = population.sum(axis=(1, 2))
    drawn = draw(population, sizes)
    strata = Strata(units=units, areas=units * 0.01)
    expected = population * (sizes / units)[:, None, None]
    expected[range(8), range(8)] = 0
    for q in range(4):
        cells = population[:, :, q]
        found = intervals(strata, as_tally(drawn.sum(axis=3)), part=as_tally(drawn[..., q]))
        overall = share_covered(*found["overall_accuracy"], cells.trace() / cells.sum())
        area = share_covered(*found["share"], cells.sum(axis=0) / cells.sum())
        enough = expected[:, :, q].sum(axis=0) >= FEW_OMITTED
        told = ", ".join(f"{v} {c:.1%}" for v, c in zip(np.array(VALUES)[enough], area[enough], strict=True))
        print(f"\nquarter {q}: overall accuracy {overall:.1%}; area of class {told}")  # noqa: T201 - for the docs
        assert 0.93 <= overall <= 0.97
        assert enough.any()
        assert (area[enough] >= 0.93).all()
        assert (area[enough] <= 0.97).all()
