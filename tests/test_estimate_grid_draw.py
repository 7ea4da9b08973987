"""Systematic and two-stage samples: drawn as they say, and with intervals that hold the truth."""

import json

import numpy as np
import pyogrio
import pytest
from test_cli import landweave  # noqa: F401 - a fixture
from test_estimate import NAMES, SIDE, districts, label, points, world, write_map  # noqa: F401 - a fixture
from worlds import CORNER

from landweave.accuracy.design_based.linear import UnitDesign, design_limits, design_measures
from landweave.errors import InputError
from landweave.runs.estimate.accuracy import estimate_accuracy
from landweave.runs.estimate.draw import SizeRequest, draw_sample
from landweave.runs.estimate.grid_draw import neighbours
from landweave.runs.estimate.map import find_map


def drawn(folder, path, truth, *, n, **options):
    told = draw_sample(find_map(folder / "map.tif"), path, request=SizeRequest(n=n), **options)
    label(path, path, truth)
    return told


def test_a_systematic_sample_is_a_lattice_with_a_random_start(world, tmp_path):  # noqa: F811
    folder, mapped, truth = world
    starts = set()
    for seed in (1, 2):
        told = drawn(folder, tmp_path / f"{seed}.gpkg", truth, n=140, sampling="systematic", seed=seed)
        frame = points(tmp_path / f"{seed}.gpkg")
        column, row = (v.astype(int) for v in ~CORNER * (frame.geometry.x.to_numpy(), frame.geometry.y.to_numpy()))
        assert len(set(row % 10)) == len(set(column % 10)) == 1
        starts.add((row[0] % 10, column[0] % 10))
        part = mapped[row[0] % 10 :: 10, column[0] % 10 :: 10]
        assert len(frame) == (part > 0).sum() == told["n"]
        assert [NAMES[v] for v in mapped[row, column]] == frame["map_class"].tolist()
    assert len(starts) == 2


def test_a_systematic_sample_of_every_pixel_gives_the_truth(world, tmp_path):  # noqa: F811
    mapped, truth = (values[:40, :40] for values in world[1:])
    write_map(tmp_path / "map.tif", mapped)
    land = mapped > 0
    told = drawn(tmp_path, tmp_path / "s.gpkg", truth, n=int(land.sum()), sampling="systematic", blind=True)
    assert told["allocation"] == "systematic, every 1th pixel of every 1th row"
    assert "map_class" not in points(tmp_path / "s.gpkg")
    found = estimate_accuracy(tmp_path / "s.gpkg")
    assert found["overall_accuracy"]["value"] == pytest.approx((mapped == truth)[land].mean())
    assert found["overall_accuracy"]["se"] == pytest.approx(0, abs=1e-9)
    assert found["strata_are_the_maps_classes"] is False
    for value, name in NAMES.items():
        area = found["classes"][name]["area_ha"]
        assert area["value"] == pytest.approx((truth[land] == value).sum() * 0.01 / 0.9996**2, rel=1e-5)
    with_map = estimate_accuracy(tmp_path / "s.gpkg", map_source=find_map(tmp_path / "map.tif"))
    assert with_map["classes"] == found["classes"]
    assert any("approximations from the differences of neighbouring units" in note for note in found["notes"])


def test_two_stages_that_take_every_pixel_of_every_block_give_the_truth(world, tmp_path):  # noqa: F811
    mapped, truth = (values[:40, :40] for values in world[1:])
    write_map(tmp_path / "map.tif", mapped)
    land = mapped > 0
    options = {"sampling": "two-stage", "clusters": 9, "block": 16}
    drawn(tmp_path, tmp_path / "s.gpkg", truth, n=1480, **options)
    frame = points(tmp_path / "s.gpkg")
    # Blocks at the border are smaller, so 165 units are not in each of them, and 256 are not drawn from the others.
    assert len(frame) == sum(
        min(165, int(land[r : r + 16, c : c + 16].sum())) for r in range(0, 40, 16) for c in range(0, 40, 16)
    )
    found = estimate_accuracy(tmp_path / "s.gpkg")
    assert found["overall_accuracy"]["value"] == pytest.approx((mapped == truth)[land].mean(), abs=0.02)
    assert any("8 degrees of freedom, 9 blocks less 1" in note for note in found["notes"])
    assert any("Fewer than 20 blocks" in note for note in found["notes"])


def test_blocks_and_pixels_of_a_two_stage_sample_are_as_many_as_asked(world, tmp_path):  # noqa: F811
    folder, mapped, truth = world
    told = drawn(folder, tmp_path / "s.gpkg", truth, n=100, sampling="two-stage", clusters=25, block=12)
    assert told["n"] == 100
    design = json.loads(pyogrio.read_dataframe(tmp_path / "s.gpkg", layer="design")["content"].iloc[0])
    assert design["plan"] == {"kind": "two-stage", "block": 12, "clusters": 100, "drawn": 25}
    clusters, counts = np.unique(design["units"]["cluster"], return_counts=True)
    assert len(clusters) == 25
    assert set(counts) == {4}
    for row, column, cluster, size in zip(
        *(design["units"][name] for name in ("row", "column", "cluster", "cluster_pixels")), strict=True
    ):
        assert cluster == row // 12 * (SIDE // 12) + column // 12
        top, left = row // 12 * 12, column // 12 * 12
        assert size == (mapped[top : top + 12, left : left + 12] > 0).sum()
    found = estimate_accuracy(tmp_path / "s.gpkg", map_source=find_map(folder / "map.tif"))
    right = (mapped == truth)[mapped > 0].mean()
    assert found["overall_accuracy"]["low"] < right < found["overall_accuracy"]["high"]
    # More clusters of the same seed contain these.
    drawn(folder, tmp_path / "t.gpkg", truth, n=160, sampling="two-stage", clusters=40, block=12)
    larger = json.loads(pyogrio.read_dataframe(tmp_path / "t.gpkg", layer="design")["content"].iloc[0])
    assert set(clusters) <= set(larger["units"]["cluster"])


def test_districts_and_the_maps_areas_work_with_other_samplings(world, tmp_path):  # noqa: F811
    folder, _, truth = world
    drawn(folder, tmp_path / "s.gpkg", truth, n=400, sampling="systematic")
    options = {"map_source": find_map(folder / "map.tif"), "districts": districts(tmp_path), "column": "name"}
    plain = estimate_accuracy(tmp_path / "s.gpkg", **options)
    helped = estimate_accuracy(tmp_path / "s.gpkg", estimator="regression", **options)
    assert plain["districts"]["south"]["estimator"] == "ratio"
    for name in NAMES.values():
        assert helped["classes"][name]["area_ha"]["se"] < plain["classes"][name]["area_ha"]["se"]
    for part in (plain, plain["districts"]["south"]):
        assert sum(row["area_ha"]["value"] for row in part["classes"].values()) == pytest.approx(part["area_ha"])


def test_what_cannot_be_drawn_is_refused(world, tmp_path, landweave):  # noqa: F811
    folder, _, truth = world
    source = find_map(folder / "map.tif")
    for options, told in (
        ({"sampling": "random"}, "choose one of stratified, systematic, two-stage"),
        ({"sampling": "systematic", "request": SizeRequest()}, "say how many units with --n"),
        ({"sampling": "systematic", "request": SizeRequest(n=10**6)}, "but the map has 14040 pixels"),
        ({"sampling": "two-stage", "clusters": 200}, "--clusters 200: give at least 3, and no more than the 90"),
        ({"sampling": "two-stage", "clusters": 5}, "5 clusters are requested, but the map has 4 blocks of 100"),
        ({"sampling": "two-stage", "per_class": ["forest=3"]}, "are for stratified samples"),
    ):
        with pytest.raises(InputError, match=told):
            draw_sample(source, tmp_path / "s.gpkg", **{"request": SizeRequest(n=90), **options})
    assert not (tmp_path / "s.gpkg").exists()
    status, _, _ = landweave(
        "estimate", "draw", folder / "map.tif", tmp_path / "s.gpkg", "--n", "60", "--sampling", "systematic"
    )
    assert status == 0
    label(tmp_path / "s.gpkg", tmp_path / "s.gpkg", truth)
    with pytest.raises(InputError, match="only stratified random samples can be extended"):
        draw_sample(source, tmp_path / "t.gpkg", request=SizeRequest(n=900), extend=tmp_path / "s.gpkg")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["systematic", "two-stage"])
def test_intervals_hold_the_truth_in_95_of_100_samples(kind):
    """2,000 draws (all starts of the systematic one) from the simulated country of 8 km and a quick map of it."""
    from test_slow_estimates import simulated_fields

    mapped, truth = simulated_fields()
    k, side = 8, mapped.shape[0]
    share = np.bincount(truth.ravel(), minlength=k) / truth.size
    right = (mapped == truth).mean()
    rng = np.random.default_rng(0)
    overall, areas = [], []
    step, block, clusters, per = 20, 40, 60, 12
    for i in range(2000):
        if kind == "systematic":
            r0, c0 = divmod(i % step**2, step)
            row, column = (v.ravel() for v in np.meshgrid(range(r0, side, step), range(c0, side, step), indexing="ij"))
            design = UnitDesign(
                weight=np.full(len(row), 1.0), stratum=np.zeros(len(row), int), drawn=np.array([1 / step**2]),
                pairs=neighbours(row // step, column // step),
            )  # fmt: skip
        else:
            chosen = rng.choice((side // block) ** 2, clusters, replace=False)
            within = np.array([rng.choice(block**2, per, replace=False) for _ in range(clusters)])
            row = (chosen[:, None] // (side // block) * block + within // block).ravel()
            column = (chosen[:, None] % (side // block) * block + within % block).ravel()
            design = UnitDesign(
                weight=np.full(len(row), 1.0), stratum=np.zeros(len(row), int),
                drawn=np.array([clusters / (side // block) ** 2]), cluster=np.repeat(np.arange(clusters), per),
                within=np.full(len(row), per / block**2),
            )  # fmt: skip
        found = design_measures(design, mapped[row, column], truth[row, column], k=k)
        limits = design_limits(found, z=design.quantile(0.95))
        low, high = limits["overall_accuracy"]
        overall.append(low <= right <= high)
        low, high = limits["share"]
        areas.append((low <= share) & (share <= high))
    print(kind, np.mean(overall), np.round(share, 4), np.mean(areas, axis=0))  # noqa: T201 - figures for the docs
    assert 0.93 <= np.mean(overall) <= 0.98
    covered = np.mean(areas, axis=0)[share > 0.03]
    if kind == "two-stage":
        assert (covered >= 0.92).all()
        assert np.median(covered) <= 0.97
    else:
        # Neighbours say too much of the error of most classes, and too little of one that is a single compact shape.
        assert np.median(covered) >= 0.95
        assert covered.min() >= 0.85


def test_what_is_said_of_intervals_is_true_of_the_design(world, tmp_path):  # noqa: F811
    from landweave.report.estimate import sampled_section
    from landweave.report.estimate_lines import accuracy_lines

    folder, _, truth = world
    drawn(folder, tmp_path / "s.gpkg", truth, n=150, sampling="systematic")
    helped = {"map_source": find_map(folder / "map.tif"), "estimator": "regression"}
    for sample, options, (stratum, wilson, wald) in (
        (folder / "labelled.gpkg", {}, (True, False, False)),
        (tmp_path / "s.gpkg", {}, (False, True, False)),
        (tmp_path / "s.gpkg", helped, (False, True, True)),
    ):
        figures = estimate_accuracy(sample, **options)
        for told in (sampled_section(figures)["intervals"], "\n".join(accuracy_lines(figures))):
            assert ("an interval in each stratum" in told) == stratum
            assert ("Intervals are Wilson's" in told) == wilson
            assert ("standard error times Student's t" in told) == wald
