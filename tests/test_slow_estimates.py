"""Do 95 % intervals hold the truth in 95 of 100 samples? Two thousand samples of one simulated map."""

import math

import numpy as np
import pytest

from landweave.accuracy.design_based.designs import allocate, sample_size
from landweave.accuracy.design_based.estimates import FEW_OMITTED
from landweave.accuracy.design_based.intervals import better, wald
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


def share_covered(measure, truth, *, only_wald=False):
    """How often the interval holds the truth, by class; samples in which nothing bears on it count as not covered."""
    if only_wald:
        low, high = wald(measure.value, measure.se)
    else:
        low, high, _ = better(measure.value, measure.se, np.maximum(measure.effective, 1))
    with np.errstate(invalid="ignore"):
        return ((low <= truth) & (truth <= high)).mean(axis=0)


def study(population, sizes):
    """Coverage of every figure, the truths, and the expected omitted units, counted and of equal weight."""
    cells = population.sum(axis=2)
    units = cells.sum(axis=1)
    strata = Strata(units=units, areas=units * 0.01)
    found = measures(strata, as_tally(draw(population, sizes).sum(axis=3)))
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
        "better": {name: share_covered(found[name], truth) for name, truth in truths.items()},
        "wald": {name: share_covered(found[name], truth, only_wald=True) for name, truth in truths.items()},
        "omitted": expected.sum(axis=0), "effective": effective, "truths": truths,
        "marked": (found["omitted"].effective < FEW_OMITTED).mean(axis=0),
    }  # fmt: skip


def default_sizes(population, *, n=None):
    """What `landweave estimate draw` takes by default: 0.01 as target, 0.85 expected, at least 50 a class."""
    units = population.sum(axis=(1, 2))
    n = n or math.ceil(sample_size(units, np.full(8, 0.85), se=0.01, population=int(units.sum())))
    return allocate(n, units, minimum=50, units=units)


def table(title, found, sizes):
    lines = [f"\n{title}: {sum(sizes)} units {list(map(int, sizes))}"]
    lines.append(f"overall accuracy covered {found['better']['overall_accuracy']:.1%}")
    for i, value in enumerate(VALUES):
        lines.append(
            f"class {value}: omitted {found['omitted'][i]:6.1f} worth {found['effective'][i]:6.1f} "
            f"marked {found['marked'][i]:6.1%}; better (Wald)"
        )
        for name in ("share", "users_accuracy", "producers_accuracy", "f1"):
            lines[-1] += f", {name} {found['better'][name][i]:.1%} ({found['wald'][name][i]:.1%})"
    print("\n".join(lines))  # noqa: T201 - figures for the docs


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say(population):
    sizes = default_sizes(population)
    found = study(population, sizes)
    table("by default", found, sizes)
    assert 0.93 <= found["better"]["overall_accuracy"] <= 0.97
    enough = found["omitted"] >= FEW_OMITTED
    assert enough.sum() >= 4
    for name, low, high in (("share", 0.93, 0.97), ("users_accuracy", 0.92, 1), ("producers_accuracy", 0.92, 1)):
        covered = found["better"][name][enough]
        assert (covered >= low).all(), (name, covered)
        assert (covered <= high).all(), (name, covered)


@pytest.mark.slow
@pytest.mark.parametrize("n", [400, 640, 1000, 2500, -800, -2000])
def test_the_mark_tells_the_classes_whose_intervals_are_too_narrow(population, n):
    """Also where weights are very unequal: there it is the discounted number of omitted units that tells."""
    sizes = default_sizes(population, n=n) if n > 0 else np.full(8, -n // 8)
    found = study(population, sizes)
    table("at least 50 a class" if n > 0 else "equal", found, sizes)
    effective = found["effective"]
    enough = effective >= FEW_OMITTED
    assert (found["marked"][effective < 5] > 0.95).all()
    assert (found["marked"][effective > 30] < 0.05).all()
    assert (found["better"]["share"][enough] >= 0.93).all()
    assert (found["better"]["share"][enough] <= 0.97).all()
    assert (found["better"]["producers_accuracy"][enough] >= 0.92).all()


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
        found = measures(strata, as_tally(drawn.sum(axis=3)), part=as_tally(drawn[..., q]))
        overall = share_covered(found["overall_accuracy"], cells.trace() / cells.sum())
        area = share_covered(found["share"], cells.sum(axis=0) / cells.sum())
        enough = expected[:, :, q].sum(axis=0) >= FEW_OMITTED
        told = ", ".join(f"{v} {c:.1%}" for v, c in zip(np.array(VALUES)[enough], area[enough], strict=True))
        print(f"\nquarter {q}: overall accuracy {overall:.1%}; area of class {told}")  # noqa: T201 - for the docs
        assert 0.93 <= overall <= 0.97
        assert enough.any()
        assert (area[enough] >= 0.93).all()
        assert (area[enough] <= 0.97).all()
