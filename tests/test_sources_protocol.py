"""What every source promises, and the two that stand in for any: one of given numbers, one that makes its masks."""

import dataclasses
import datetime
import inspect
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy.ndimage import distance_transform_edt
from worlds import CORNER, two_class_world

import landweave
from landweave.errors import InputError
from landweave.patch.grid import Cell
from landweave.patch.store import read_patch
from landweave.runs.fetch.imagery import FetchTask
from landweave.runs.fetch.strips import scan
from landweave.runs.fetch.task import fetch
from landweave.runs.project import plan as planning
from landweave.runs.project.masked_source import CLOUD_MASK, MaskedSource
from landweave.runs.project.one_a_day import OneADaySource
from landweave.runs.project.plan import make_plan
from landweave.runs.project.settings import read_project
from landweave.runs.project.source_settings import SourceSettings
from landweave.sources.constant import ConstantSource
from landweave.sources.patchwise.datasets import StoredSource
from landweave.sources.patchwise.eopatches import EOPatchSource
from landweave.sources.protocol import Source
from landweave.sources.rasters import RasterSource, open_rasters
from landweave.sources.simulated.source import SimulatedSource
from landweave.sources.stac.source import StacSource

SOURCES = (
    ConstantSource,
    EOPatchSource,
    MaskedSource,
    OneADaySource,
    RasterSource,
    SimulatedSource,
    StacSource,
    StoredSource,
)
PROMISED = sorted(name for name in vars(Source) if not name.startswith("_"))
GRID = GeoBox((30, 40), CORNER, "EPSG:32633")
DAYS = (datetime.date(2020, 3, 1), datetime.date(2020, 6, 1), datetime.date(2020, 9, 1))


def numbers(seed=0):
    return np.random.default_rng(seed).integers(1, 9000, (3, 30, 40)).astype("int16")


def constant(**values):
    return ConstantSource(
        geobox=GRID,
        days=DAYS,
        values={"B04": numbers(), "SCL": 4, **values},
        categorical=("SCL",),
        resampling="nearest",
    )


def masked(source, **settings):
    rule = {"type": "simulated", "clouds": "scl", "dilation": 30.0, **settings}
    return MaskedSource(source=source, settings=SourceSettings(**rule), dilation=3)


def test_no_source_of_the_package_is_forgotten_here():
    stated = set()
    for path in Path(landweave.__file__).parent.rglob("*.py"):
        stated |= set(re.findall(r"^_: type\[Source\] = (\w+)$", path.read_text(), re.MULTILINE))
    assert stated == {kind.__name__ for kind in SOURCES}


@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_has_all_that_is_promised_with_the_same_arguments(kind):
    assert {"load", "stamp", "cost", "seen", "reach", "grids", "extent", "remote", "resampled"} <= set(PROMISED)
    fields = {field.name for field in dataclasses.fields(kind)}
    for name in PROMISED:
        promised, there = vars(Source)[name], getattr(kind, name, None)
        assert name in fields or there is not None, name
        if inspect.isfunction(promised):
            assert list(inspect.signature(there).parameters) == list(inspect.signature(promised).parameters), name
            assert there.__doc__, name


@pytest.fixture(scope="module")
def rasters(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rasters")
    two_class_world(folder, size=24)
    return open_rasters(root=folder, pattern="S2_{date:%Y-%m-%d}_{variable}.tif")


@pytest.mark.parametrize("name", ["constant", "masked", "rasters", "simulated"])
def test_a_source_on_this_machine_answers_every_question(name, rasters):
    source: Source = {
        "constant": constant(), "masked": masked(constant()), "rasters": rasters,
        "simulated": SimulatedSource(size_km=0.6, n_dates=3),
    }[name]  # fmt: skip
    copy = pickle.loads(pickle.dumps(source))
    days = source.dates(None, None)
    assert source.geobox is not None
    piece = source.geobox[2:7, 3:9]
    west, south, east, north = source.extent
    box = source.geobox.geographic_extent.boundingbox
    assert west <= box.left < box.right <= east
    assert south <= box.bottom < box.top <= north
    assert (dict(source.grids), source.remote, source.scenes, source.incomplete) == ({}, False, (), ())
    assert source.seen(piece, days[:2]) == {days[0]: None, days[1]: None}
    assert source.reach() is None
    assert source.cost(piece, days, source.variables) >= 0
    assert source.cost(piece, days, source.variables) == pytest.approx(
        sum(path.stat().st_size for path in source.inputs()) * 30 / np.prod(source.geobox.shape)
    )
    assert set(source.categorical) <= set(source.variables)
    loaded = source.load(piece, days[1:], source.variables)
    for variable in source.variables:
        assert loaded[variable].dims == ("time", "y", "x")
        assert loaded[variable].dtype == ("uint8" if variable in source.categorical else "int16")
    assert copy.load(piece, days[1:], source.variables).equals(loaded)
    assert copy.stamp(piece) == source.stamp(piece)
    for same in (source.with_offsets({"scene": 0.1}), source.resampled("average")):
        assert same.load(piece, days[1:], source.variables).equals(loaded), "on its own grid nothing is resampled"


def test_given_numbers_come_back_as_they_are_on_their_own_grid_and_as_missing_beyond_it():
    given = numbers()
    given[1, 4, 5] = -32768
    source = landweave.ConstantSource(
        geobox=GRID, days=DAYS, categorical=("SCL",),
        values={"SCL": lambda day: np.full(GRID.shape, day.month, "uint8"), "B04": given, "B08": 3000.0},
    )  # fmt: skip
    assert source.variables == ("B04", "B08", "SCL")
    assert source.dates(DAYS[1], None) == list(DAYS[1:])
    patch = source.load(GRID.pad(1), DAYS[1:], ["B04", "B08", "SCL"])
    assert (patch["B04"].values[:, 1:-1, 1:-1] == given[1:]).all()
    assert (patch["B04"].values[:, 0] == -32768).all()
    assert (patch["B08"].values[:, 1:-1, 1:-1] == 3000).all()
    assert patch["SCL"].values[:, 1, 1].tolist() == [6, 9]
    assert (patch["SCL"].values[:, 0] == 0).all()


def test_given_numbers_are_averaged_on_a_coarser_grid():
    coarse = GeoBox((10, 10), CORNER * Affine.scale(4, 3), GRID.crs)
    loaded = constant().resampled("average").load(coarse, DAYS[:1], ["B04"])["B04"].values[0]
    expected = numbers()[0].reshape(10, 3, 10, 4).mean(axis=(1, 3))
    assert (np.abs(loaded - expected) <= 1).all()


def test_a_stamp_changes_with_the_numbers_of_the_dates_and_variables_that_it_is_for():
    changed = numbers()
    changed[2, 0, 0] += 1
    one, other = constant(), constant(B04=changed)
    assert one.stamp(GRID) != other.stamp(GRID)
    assert one.stamp(GRID, DAYS[:2]) == other.stamp(GRID, DAYS[:2])
    assert one.stamp(GRID, DAYS[2:], ["SCL"]) == other.stamp(GRID, DAYS[2:], ["SCL"])


@pytest.mark.parametrize(("wrong", "said"), [
    (lambda: constant(B08=np.zeros((2, 30, 40))), r"B08 has shape \(2, 30, 40\)"),
    (lambda: dataclasses.replace(constant(), categorical=("CLM",)), "'CLM'"),
    (lambda: constant().load(GRID, DAYS, ["B99"]), "no 'B99'; it has B04, SCL"),
    (lambda: constant().load(GRID, [datetime.date(2021, 1, 1)], ["B04"]), "2021-01-01"),
])  # fmt: skip
def test_what_was_not_given_raises_an_input_error(wrong, said):
    with pytest.raises(InputError, match=said):
        wrong()


def classes():
    """Clear ground with a cloud near a corner and one in the middle, on the second date."""
    scene = np.full((3, 30, 40), 4, "uint8")
    scene[1, 1, 2] = scene[1, 14:16, 20] = 9
    return scene


def test_a_made_mask_is_widened_by_ground_beyond_the_piece():
    source = masked(constant(SCL=classes()))
    assert source.variables == ("B04", "SCL", CLOUD_MASK)
    whole = source.load(GRID, DAYS, source.variables)
    reached = distance_transform_edt(classes()[1] == 4) <= 3
    assert ((whole[CLOUD_MASK].values[1] > 0) == reached).all()
    assert not whole[CLOUD_MASK].values[[0, 2]].any()
    for piece in (np.s_[:13, :], np.s_[13:, :], np.s_[17:19, 19:23]):
        part = source.load(GRID[piece], DAYS, [CLOUD_MASK])
        assert list(part.data_vars) == [CLOUD_MASK]
        assert (part[CLOUD_MASK].values == whole[CLOUD_MASK].values[(slice(None), *piece)]).all()


def test_a_made_mask_stands_in_the_place_of_a_variable_of_its_name():
    source = masked(
        ConstantSource(
            geobox=GRID, days=DAYS, values={"SCL": classes(), CLOUD_MASK: 7}, categorical=("SCL", CLOUD_MASK)
        )
    )
    assert source.variables == ("SCL", CLOUD_MASK)
    assert set(np.unique(source.load(GRID, DAYS, [CLOUD_MASK])[CLOUD_MASK])) == {0, 1}


def test_the_stamp_of_masks_holds_the_rule_and_the_ground_around_and_that_of_bands_neither():
    source = masked(constant(SCL=classes()))
    stricter = masked(constant(SCL=classes()), scl_masked=(9,))
    assert (
        source.stamp(GRID, DAYS, ["B04"])
        == stricter.stamp(GRID, DAYS, ["B04"])
        == constant().stamp(GRID, DAYS, ["B04"])
    )
    assert source.stamp(GRID, DAYS, [CLOUD_MASK]) != stricter.stamp(GRID, DAYS, [CLOUD_MASK])
    assert source.stamp(GRID, DAYS, [CLOUD_MASK]) != masked(constant()).stamp(GRID, DAYS, [CLOUD_MASK])


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A function that opens a project whose imagery is given numbers, with further lines of ``[source]``."""
    values = {
        "B04": np.random.default_rng(1).integers(1, 3000, (3, 40, 40)).astype("int16"),
        "B08": np.random.default_rng(2).integers(1, 3000, (3, 40, 40)).astype("int16"),
        "SCL": np.where(np.random.default_rng(3).random((3, 40, 40)) < 0.02, 9, 4).astype("uint8"),
    }
    grid = GeoBox((40, 40), CORNER, "EPSG:32633")
    source = ConstantSource(geobox=grid, days=DAYS, values=values, categorical=("SCL",))
    monkeypatch.setattr(planning, "open_source", lambda project, *, remember=False: source)

    def opened(name, lines):
        project, _ = two_class_world(tmp_path / name, size=40, patch=20, source=f'clouds = "scl"\n{lines}')
        return *make_plan(read_project(project)), values

    return opened


@pytest.mark.parametrize("lines", ["", "dilation = 20"])
def test_given_numbers_run_through_fetch_with_and_without_a_stored_copy(world, lines):
    found = []
    for name, store in (("stored", "true"), ("read", "false")):
        plan, cells, values = world(name, f"store = {store}\n{lines}")
        assert plan.made_variables == ((CLOUD_MASK,) if lines else ())
        task = FetchTask(cell=cells[0], files="", offsets={})
        info = fetch(plan, task)["info"]
        strips = []
        scan(plan, task, write=lambda rows, strip, strips=strips: strips.append([part.copy() for part in strip]))
        bands, reasons = (np.concatenate(parts, axis=-2) for parts in zip(*strips, strict=True))
        found.append((bands, reasons, {**info, "stack": ""}))
        assert (plan.folder / "patches" / f"{cells[0].name}.zarr").exists() == (store == "true")
    (bands, reasons, info), again = found
    assert (bands == again[0]).all()
    assert (reasons == again[1]).all()
    assert info == again[2]
    assert (bands == np.stack([values[name][:, :20, :20] for name in plan.recipe.source_bands])).all()
    cloudy = values["SCL"] == 9
    reached = np.stack([distance_transform_edt(~of_day) <= (2 if lines else 0) for of_day in cloudy])
    assert ((reasons > 0) == reached[:, :20, :20]).all()
    assert info["valid_fraction"] == pytest.approx([(~of_day[:20, :20]).mean() for of_day in reached])


def test_the_area_is_drawn_once_a_patch_however_many_dates_there_are(world, monkeypatch):
    plan, cells, _ = world("once", "store = true")
    import shapely

    cell = dataclasses.replace(cells[0], area=shapely.box(500_000, 5_099_900, 500_090, 5_100_000))
    drawn = []
    inside = Cell.inside
    monkeypatch.setattr(Cell, "inside", lambda self: drawn.append(self.name) or inside(self))
    info = fetch(plan, FetchTask(cell=cell, files="", offsets={}))["info"]
    assert info["pixels"] == inside(cell).sum() < 400
    assert drawn == [cell.name]
    kept = read_patch(plan.folder / "patches" / f"{cell.name}.zarr")
    assert kept.sizes["time"] == 3
