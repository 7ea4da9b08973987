"""A finished run as an open data set: written, checked, and read back to the same map."""

import json
import os
import re
import shutil
import subprocess
import tomllib
import warnings
from types import SimpleNamespace

import html5lib
import numpy as np
import pystac
import pytest
import rasterio
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner
from worlds import two_class_world

from landweave.cli.app import app
from landweave.eolearn import EOPatch
from landweave.errors import InputError
from landweave.legend import LandClass, Legend
from landweave.maps.dataset import verify
from landweave.runs.fetch import task as fetching
from landweave.runs.mapping import task as mapping
from landweave.runs.pipeline.check import check_project
from landweave.runs.pipeline.driver import run
from landweave.runs.pipeline.state import Options
from landweave.runs.pipeline.status import refuse_stale
from landweave.runs.project.settings import make_project, read_project
from landweave.runs.project.starter.write import Given, start_project
from landweave.runs.publish import dataset as publishing
from landweave.runs.publish.card import in_markdown, legend_text, project_text
from landweave.runs.publish.dataset import publish_dataset
from landweave.runs.results.run import open_run
from landweave.sources.patchwise.datasets import StoredSource, is_collection, open_collection
from landweave.sources.protocol import Source

_: type[Source] = StoredSource


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A run of four patches, and its data set in both forms."""
    folder = tmp_path_factory.mktemp("shared")
    project, _ = two_class_world(folder, size=40, source='clouds = "none"')
    assert run(read_project(project), workers=1).status == 0
    publish_dataset(project, folder / "zarr", licence="CC-BY-4.0")
    publish_dataset(project, folder / "eopatches", eopatches=True)
    return folder


def copy_of(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def same_maps(one, other):
    for name in ("map.tif", "confidence.tif"):
        with rasterio.open(one / name) as a, rasterio.open(other / name) as b:
            assert (a.transform, a.crs, a.nodata) == (b.transform, b.crs, b.nodata)
            assert a.read().any()
            np.testing.assert_array_equal(a.read(), b.read())


@pytest.mark.parametrize("form", ["zarr", "eopatches"])
def test_a_data_set_read_back_gives_the_identical_map(world, form, tmp_path):
    moved = copy_of(world / form, tmp_path)
    project = read_project(moved)
    assert project.source.type == {"zarr": "stac", "eopatches": "eopatches"}[form]
    result = run(project, workers=1)
    assert result.status == 0, result.failures
    same_maps(world / "out", moved / "out")
    figures = [json.loads((folder / "out" / "accuracy.json").read_text()) for folder in (world, moved)]
    assert figures[0]["confusion"] == figures[1]["confusion"]
    assert figures[0]["overall_accuracy"] == figures[1]["overall_accuracy"]


def test_every_patch_holds_what_the_run_knows_of_it(world):
    finished = open_run(world)
    assert len(finished.cells) == 4
    for cell in finished.cells:
        known = finished.patch(cell.name)
        assert set(known.data_vars) == {"B04", "B08", "reference", "prediction", "confidence", "prediction_oof"}
        # Every observation has data, and no cloud was looked for.
        known["left_out"] = xr.zeros_like(known.B04, dtype="uint8")
        with xr.open_zarr(
            world / "zarr" / "patches" / f"{cell.name}.zarr", consolidated=False, mask_and_scale=False
        ) as shared:
            for name, values in known.data_vars.items():
                np.testing.assert_array_equal(shared[name].values, values.values)
                assert shared[name].dtype == values.dtype
        patch = EOPatch.load(world / "eopatches" / "patches" / cell.name)
        np.testing.assert_array_equal(patch.data["BANDS"], np.stack([known.B04.values, known.B08.values], axis=-1))
        np.testing.assert_array_equal(patch.mask_timeless["LULC"][..., 0], known.reference.values)
        np.testing.assert_array_equal(patch.mask_timeless["PREDICTION"][..., 0], known.prediction.values)
        assert [moment.date() for moment in patch.timestamps] == list(finished.plan.dates)


def test_the_catalogue_is_stac_and_can_be_moved(world, tmp_path):
    moved = copy_of(world / "zarr", tmp_path)
    collection = pystac.Collection.from_file(str(moved / "collection.json"))
    items = list(collection.get_items())
    assert sorted(item.id for item in items) == sorted(cell.name for cell in open_run(world).cells)
    assert collection.license == "CC-BY-4.0"
    for item in items:
        assert item.get_collection().id == collection.id
        assert (moved / "items" / item.assets["data"].href).resolve().is_dir()
        assert item.properties["proj:code"] == "EPSG:32633"
        west, south, east, north = item.bbox
        bounds = collection.extent.spatial.bboxes[0]
        assert bounds[0] <= west < east <= bounds[2]
        assert bounds[1] <= south < north <= bounds[3]
        assert item.properties["cube:dimensions"]["time"]["values"] == ["2020-03-01", "2020-06-01", "2020-09-01"]
    assert str(world) not in "".join(path.read_text() for path in moved.rglob("*.json"))


def test_card_and_readme_tell_what_where_when_on_what_terms_and_what_is_wrong(world):
    card = json.loads((world / "zarr" / "data-card.json").read_text())
    assert card["licence"] == "CC-BY-4.0"
    assert card["where"]["patches"] == 4
    assert card["when"] == {"start": "2020-03-01", "end": "2020-09-01", "dates": 3}
    assert card["classes"] == {"2": "meadow", "7": "pond"}
    assert "No clouds were masked." in card["known_faults"]
    accuracy = json.loads((world / "out" / "accuracy.json").read_text())
    assert card["accuracy"]["overall_accuracy"] == accuracy["overall_accuracy"]
    readme = (world / "zarr" / "README.md").read_text()
    for part in ("meadow", "CC-BY-4.0", "2020-03-01", "sha256sum -c", "No clouds were masked."):
        assert part in readme
    untold = json.loads((world / "eopatches" / "data-card.json").read_text())
    assert untold["licence"].startswith("not stated")


def test_the_same_run_gives_the_same_bytes_and_other_forms_leave_nothing(world, tmp_path):
    moved = copy_of(world / "eopatches", tmp_path)
    publish_dataset(world, moved, licence="CC-BY-4.0")
    again = {path.relative_to(moved): path.read_bytes() for path in moved.rglob("*") if path.is_file()}
    first = {
        path.relative_to(world / "zarr"): path.read_bytes() for path in (world / "zarr").rglob("*") if path.is_file()
    }
    assert {str(path) for path in again} == {str(path) for path in first}
    # The collection is called as its folder.
    differing = {str(path) for path in again if again[path] != first[path]}
    assert all(name == "checksums.sha256" or name.startswith(("items/", "collection")) for name in differing)


def all_bytes(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def written(folder):
    """Patch to the inodes and times of its files."""
    return {
        path.name: {(part.name, part.stat().st_ino, part.stat().st_mtime_ns) for part in path.rglob("*")}
        for path in (folder / "patches").iterdir()
    }


class Killed(BaseException):
    """What no handler of ours expects."""


def broken_off(project, folder, monkeypatch, *, after, eopatches=False):
    """A data set whose publishing died when a patch's files were written and its item was not."""
    import landweave.runs.publish.dataset as module

    whole, calls = module.write_item, []

    def dies(place, patch):
        calls.append(patch.name)
        if len(calls) > after:
            raise Killed
        return whole(place, patch)

    with monkeypatch.context() as patched:
        patched.setattr(module, "write_item", dies)
        with pytest.raises(Killed):
            publish_dataset(project, folder, eopatches=eopatches, licence="CC-BY-4.0")
    # And what a process leaves that had no time for anything.
    (folder / "patches" / ".x.0123abcd.part.zarr").mkdir()
    (folder / ".collection.0123abcd.part.json").write_text("{")
    return calls


@pytest.mark.parametrize("eopatches", [False, True], ids=["zarr", "eopatches"])
def test_what_was_broken_off_is_taken_up_and_ends_as_if_it_had_not_been(world, tmp_path, monkeypatch, eopatches):
    # The collection is called as its folder.
    whole = publish_dataset(world, tmp_path / "a" / "set", eopatches=eopatches, licence="CC-BY-4.0")
    folder = tmp_path / "b" / "set"
    done = broken_off(world, folder, monkeypatch, after=2, eopatches=eopatches)
    before = written(folder)
    with pytest.raises(InputError, match="the list of checksums is missing"):
        verify(folder)
    publish_dataset(world, folder, eopatches=eopatches, licence="CC-BY-4.0")
    assert all_bytes(folder) == all_bytes(whole)
    after = written(folder)
    ending = "" if eopatches else ".zarr"
    stood = {name for name in after if before.get(name) == after[name]}
    # The third one's files were whole, but nothing said so.
    assert stood == {f"{name}{ending}" for name in done[:2]}


def test_a_patch_that_is_not_what_its_item_says_is_written_again_and_no_other(world, tmp_path):
    folder = copy_of(world / "zarr", tmp_path)
    whole = all_bytes(folder)
    names = sorted(cell.name for cell in open_run(world).cells)
    cut, flipped, lost = (folder / "patches" / f"{name}.zarr" for name in names[:3])
    chunk = next(path for path in sorted(cut.rglob("c/*/*/*")) if path.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-1])
    chunk = next(path for path in sorted(flipped.rglob("c/*/*/*")) if path.is_file())
    content, times = bytearray(chunk.read_bytes()), chunk.stat()
    content[-1] ^= 1
    chunk.write_bytes(content)
    os.utime(chunk, ns=(times.st_atime_ns, times.st_mtime_ns))
    (lost / "B04" / "zarr.json").unlink()
    before = written(folder)
    publish_dataset(world, folder, licence="CC-BY-4.0")
    again = all_bytes(folder)
    differing = {str(path) for path in again if again[path] != whole.get(path)}
    assert all(name == "checksums.sha256" or name.startswith(("items/", "collection")) for name in differing)
    after = written(folder)
    assert {name for name in after if after[name] != before[name]} == {cut.name, flipped.name, lost.name}


def test_a_changed_run_is_published_anew_where_it_changed(world, tmp_path, monkeypatch):
    moved = shutil.copytree(world, tmp_path / "moved")
    # A run whose new model differs in one patch takes a long search to find.
    monkeypatch.setattr("landweave.runs.publish.dataset.refuse_stale", lambda _: {})
    name = sorted(cell.name for cell in open_run(moved).cells)[1]
    before = written(moved / "zarr")
    path = moved / "out" / "predictions" / f"{name}.tif"
    with rasterio.open(path, "r+") as file:
        values, times = file.read(), path.stat()
        values[0] = np.where(values[0] == 2, 7, 2)
        file.write(values)
    # Whatever the clock says of it.
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    publish_dataset(moved, moved / "zarr", licence="CC-BY-4.0")
    after = written(moved / "zarr")
    assert {patch for patch in after if after[patch] != before[patch]} == {f"{name}.zarr"}
    with xr.open_zarr(moved / "zarr" / "patches" / f"{name}.zarr", consolidated=False, mask_and_scale=False) as shared:
        np.testing.assert_array_equal(shared.prediction.values, values[0])
    assert verify(moved / "zarr").sound


def test_what_was_made_in_the_folder_since_is_no_part_of_it(world, tmp_path):
    folder = copy_of(world / "zarr", tmp_path)
    publish_dataset(world, folder, licence="CC-BY-4.0")
    whole = all_bytes(folder)
    (folder / "out" / "model").mkdir(parents=True)
    (folder / "out" / "map.tif").write_bytes(b"a run's")
    (folder / "notes.txt").write_text("mine")
    (folder / "static").mkdir()
    (folder / "static" / "of an earlier data set.tif").write_bytes(b"")
    publish_dataset(world, folder, licence="CC-BY-4.0")
    again = all_bytes(folder)
    assert {name: again[name] for name in whole} == whole
    assert {str(name) for name in set(again) - set(whole)} == {"out/map.tif", "notes.txt"}
    assert verify(folder).strange == ("notes.txt", "out/map.tif")


def swap_classes(folder):
    legend = folder / "legend.toml"
    text = legend.read_text()
    legend.write_text(
        text.replace("value = 2", "value = 0").replace("value = 7", "value = 2").replace("value = 0", "value = 7")
    )


def change_a_date(folder):
    path = folder / "S2_2020-06-01_B04.tif"
    with rasterio.open(path, "r+") as file:
        file.write(file.read() + 1)


def change_a_prediction(folder):
    path = next((folder / "out" / "predictions").glob("*_oof.tif"))
    with rasterio.open(path, "r+") as file:
        file.write(9 - file.read())


def lose_a_prediction(folder):
    next(path for path in (folder / "out" / "predictions").glob("*.tif") if "_" not in path.stem).unlink()


@pytest.mark.parametrize("stale", [swap_classes, change_a_date, change_a_prediction, lose_a_prediction])
def test_what_the_run_no_longer_is_is_not_published(world, tmp_path, stale):
    moved = shutil.copytree(world, tmp_path / "moved")
    stale(moved)
    with pytest.raises(InputError, match=r"not fresh .*; run the project first"):
        publish_dataset(moved, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_a_patch_that_could_not_be_mapped_is_shared_without_a_prediction_and_the_card_says_so(tmp_path, monkeypatch):
    project, _ = two_class_world(tmp_path / "w", size=40, source='clouds = "none"')
    first, second, *_ = sorted(cell.name for cell in open_run(project).cells)
    predictions = tmp_path / "w" / "out" / "predictions"
    whole = mapping.write_raster

    def fails(path, *arguments, **options):
        if path == predictions / f"{first}.tif":
            raise OSError("no room")
        return whole(path, *arguments, **options)

    monkeypatch.setattr(mapping, "write_raster", fails)
    assert run(read_project(project), workers=1).status == 1
    # What an earlier run might have left.
    shutil.copyfile(predictions / f"{second}.tif", predictions / f"{first}.tif")
    shared = publish_dataset(project, tmp_path / "set")
    for name, there in {first: False, second: True}.items():
        with xr.open_zarr(shared / "patches" / f"{name}.zarr", consolidated=False) as patch:
            assert "reference" in patch
            assert {known in patch for known in ("prediction", "confidence", "prediction_oof")} == {there}
    assert f"Patch {first} has no prediction: the run could not map it." in (shared / "README.md").read_text()
    source = open_collection(shared / "collection.json")
    assert source.variables == ("B04", "B08", "left_out")


def test_a_map_with_a_hole_may_be_shown_but_is_no_data_set(tmp_path, monkeypatch):
    project, _ = two_class_world(tmp_path / "w", size=40, source='clouds = "none"')
    first = min(cell.name for cell in open_run(project).cells)
    whole = fetching.scan

    def fails(plan, task, **options):
        if task.cell.name == first:
            raise OSError("no such scene")
        return whole(plan, task, **options)

    with monkeypatch.context() as patched:
        patched.setattr(fetching, "scan", fails)
        assert run(read_project(project), options=Options(allow_missing=True)).status == 1
    done = open_run(project)
    assert (done.folder / "map.tif").exists()
    assert refuse_stale(done, with_holes=True) == []
    with pytest.raises(InputError, match=rf"fetch of {first} is not fresh \(failed: no such scene\)"):
        publish_dataset(project, tmp_path / "set")


def test_a_check_finds_what_is_damaged_missing_or_strange(world, tmp_path):
    moved = copy_of(world / "zarr", tmp_path)
    found = verify(moved)
    assert found.sound
    assert found.read == found.files > 20
    assert not (moved / ".verified").exists()
    chunk = next(path for path in sorted((moved / "patches").rglob("c/*/*/*")) if path.is_file())
    content = bytearray(chunk.read_bytes())
    content[-1] ^= 1
    chunk.write_bytes(content)
    (moved / "legend.toml").unlink()
    (moved / "notes.txt").write_text("mine")
    found = verify(moved)
    assert found.damaged == (chunk.relative_to(moved).as_posix(),)
    assert (found.missing, found.strange) == (("legend.toml",), ("notes.txt",))
    assert not found.sound
    told = CliRunner().invoke(app, ["verify", str(moved)])
    assert told.exit_code == 1
    assert "missing  legend.toml" in told.output
    assert "1 more files do not belong to the data set, such as notes.txt" in told.output
    assert "2 of " in told.output


def test_the_list_is_what_sha256sum_checks(world):
    if shutil.which("sha256sum") is None:
        pytest.skip("there is no sha256sum")
    done = subprocess.run(["sha256sum", "-c", "--quiet", "checksums.sha256"], cwd=world / "zarr", check=False)
    assert done.returncode == 0


def test_an_interrupted_check_goes_on_where_it_was(world, tmp_path, monkeypatch):
    import landweave.maps.dataset as module

    moved, sound = copy_of(world / "zarr", tmp_path), verify(world / "zarr")
    whole, calls = module._sha256, []

    def stops(path):
        calls.append(path)
        if len(calls) == 15:
            raise KeyboardInterrupt
        return whole(path)

    monkeypatch.setattr(module, "_sha256", stops)
    with pytest.raises(KeyboardInterrupt):
        verify(moved, save_every=4)
    monkeypatch.setattr(module, "_sha256", whole)
    # What was changed since is read again.
    later = calls[3]
    later.write_bytes(later.read_bytes() + b" ")
    rest = verify(moved)
    assert rest.read == sound.files - 14 + 1
    assert rest.damaged == (later.relative_to(moved).as_posix(),)
    assert verify(moved, again=True).read == sound.files


def test_what_cannot_be_shared_or_checked_is_one_line(world, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.doc").write_text("mine")
    with pytest.raises(InputError, match="files that are not a data set"):
        publish_dataset(world, tmp_path / "full")
    project, _ = two_class_world(tmp_path / "new", size=40)
    with pytest.raises(InputError, match="there is no map"):
        publish_dataset(project, tmp_path / "x")
    with pytest.raises(InputError, match="the list of checksums is missing"):
        verify(tmp_path)
    for line in ("../secret", "/etc/passwd", ""):
        (tmp_path / "checksums.sha256").write_text(f"{'0' * 64}  {line}\n")
        with pytest.raises(InputError, match="line 1: not a checksum and a file name"):
            verify(tmp_path)
    told = CliRunner().invoke(app, ["publish", str(project), str(tmp_path / "x"), "--eopatches"])
    assert "add --dataset" in str(told.exception)


def test_a_grid_without_a_number_is_told_in_words(tmp_path):
    from odc.geo.geobox import GeoBox

    from landweave.maps.dataset import ZARR, Shared, write_collection, write_item
    from landweave.patch.model import make_patch
    from landweave.patch.store import write_patch

    grid = GeoBox.from_bbox((0, 0, 60, 40), "+proj=laea +lat_0=10 +lon_0=20 +units=m", resolution=10)
    values = np.arange(24, dtype="int16").reshape(1, 4, 6)
    write_patch(make_patch({"B04": values}, grid, ["2020-05-01"]), tmp_path / "patches" / "a.zarr")
    shared = Shared(
        name="a", href="patches/a.zarr", media_type=ZARR, geobox=grid, times=("2020-05-01",), variables={"B04": "int16"},
        dated=("B04",), content="", made_from="",
    )  # fmt: skip
    write_item(tmp_path, shared)
    write_collection(tmp_path, [shared], title="t", description="d", licence="", notes={})
    source = open_collection(tmp_path / "collection.json")
    assert source.geobox == grid
    np.testing.assert_array_equal(source.load(grid, source.dates(), ["B04"]).B04.values, values)


def test_a_collection_tells_what_it_lacks(world, tmp_path):
    moved = copy_of(world / "zarr", tmp_path)
    assert is_collection(moved / "collection.json")
    assert not is_collection(moved / "data-card.json")
    source = open_collection(moved / "collection.json")
    assert source.variables == ("B04", "B08", "left_out")
    assert source.categorical == ("left_out",)
    assert list(source.grids) == sorted(source.grids)
    with pytest.raises(InputError, match="has no 'B02'; there are B04, B08, left_out"):
        open_collection(moved / "collection.json", needed=["B02"])
    with pytest.raises(InputError, match="no patch has 'B02'"):
        source.load(source.geobox, source.dates(), ["B02"])
    name = source.patches[0].name
    shutil.rmtree(moved / "patches" / f"{name}.zarr" / "B04")
    with pytest.raises(InputError, match="B04 does not match its item; check with `landweave verify`"):
        source.load(source.geobox, source.dates(), ["B04"])
    (moved / "items" / f"{name}.json").write_text("{}")
    with pytest.raises(InputError, match="not an item of a landweave data set"):
        open_collection(moved / "collection.json")
    with pytest.raises(InputError, match=r'read them as source\.type = "eopatches"'):
        open_collection(world / "eopatches" / "collection.json")


def test_the_project_beside_a_data_set_says_the_same_again(tmp_path):
    content = {
        "name": 'Žabnica "north" \U0001f33e',
        "period": {"start": "2019-01-01", "end": "2019-12-31"},
        "source": {"type": "stac", "url": "https://example.org", "clouds": "scl", "dilation": 30.0},
        "features": {
            "bands": ["B04", "B08"], "indices": ["ndvi"], "step_days": 20, "min_valid_fraction": 0.8,
            "custom": {"evi-2": "2.5*(B08-B04)/(B08+2.4*B04+1)"}, "static": ["far/dem.tif"],
        },
        "reference": {"path": "r.gpkg", "column": "code", "erosion": 2},
        "sampling": {"fraction": 0.5, "seed": 7},
        "model": {
            "params": {"n_estimators": 5, "class_weight": {"2": 3.0}}, "thresholds": {"bare soil": 0.3}, "refit": False,
        },
        "map": {"crs": "EPSG:3794"},
    }  # fmt: skip
    given = make_project(content, file=tmp_path / "landweave.toml")
    recipe = SimpleNamespace(source_bands=("B04", "B08"))
    plan = SimpleNamespace(
        project=given, recipe=recipe, start=given.period.start, end=given.period.end, reference=object()
    )
    for eopatches in (False, True):
        text = project_text(plan, eopatches=eopatches, buffer=500.0)
        again = make_project(tomllib.loads(text), file=tmp_path / "x" / "landweave.toml", text=text)
        for table in ("name", "period", "sampling", "model", "map"):
            assert getattr(again, table) == getattr(given, table), table
        assert again.features == given.features.model_copy(update={"static": ("static/dem.tif",)})
        assert again.reference.erosion == 2
        assert (again.source.clouds, again.source.mask) == ("decided", "left_out")
        assert (again.area.aoi, again.area.buffer) == ("area.geojson", 500)


def test_readers_of_zarr_get_reflectance_and_know_what_is_missing(world, tmp_path):
    """As xarray opens it by default: NaN where missing, reflectance elsewhere; and the numbers as stored on request."""
    folder = two_class_world(tmp_path / "world", size=40, source='clouds = "none"')[0].parent
    with rasterio.open(folder / "S2_2020-06-01_B04.tif", "r+") as file:
        numbers = file.read(1)
        numbers[:5, :7] = 0
        file.write(numbers, 1)
    run(read_project(folder / "landweave.toml"))
    shared = publish_dataset(folder / "landweave.toml", folder / "set")
    (name,) = {
        cell.name
        for cell in open_run(folder).cells
        if cell.geobox.affine.c == 500_000 and cell.geobox.affine.f == 5_100_000
    }
    path = shared / "patches" / f"{name}.zarr"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decoded = xr.open_zarr(path).load()
    want = np.where(numbers[:20, :20] == 0, np.nan, numbers[:20, :20] * 1e-4)
    np.testing.assert_allclose(decoded.B04.values[1], want, rtol=1e-6)
    assert np.isnan(decoded.B04.values[1]).sum() == 35
    stored = xr.open_zarr(path, mask_and_scale=False).load()
    np.testing.assert_array_equal(stored.B04.values[1], np.where(np.isnan(want), -32768, numbers[:20, :20].astype(int)))
    assert (stored.B04.attrs["_FillValue"], stored.B04.attrs["scale_factor"]) == (-32768, 1e-4)
    for layer in ("reference", "prediction", "prediction_oof"):
        assert decoded[layer].dtype == np.uint8
        assert list(decoded[layer].attrs["flag_values"]) == [0, 2, 7]
        assert decoded[layer].attrs["flag_meanings"] == "none meadow pond"
    assert decoded.left_out.attrs["flag_meanings"].split() == ["valid", "no_data", "cloud_or_shadow", "snow"]
    assert set(np.unique(decoded.left_out)) == {0, 1}
    item = json.loads((shared / "items" / f"{name}.json").read_text())
    told = item["properties"]["cube:variables"]
    assert (told["B04"]["nodata"], told["B04"]["scale"], told["B04"]["offset"]) == (-32768, 1e-4, 0)
    assert told["prediction"]["nodata"] == 0
    bands = {band["name"]: band for band in item["assets"]["data"]["bands"]}
    assert (bands["B08"]["nodata"], bands["B08"]["raster:scale"], bands["B08"]["data_type"]) == (-32768, 1e-4, "int16")


def test_a_patch_has_one_fingerprint_whatever_the_order_in_which_zarr_lists_its_arrays(world):
    finished = open_run(world)
    patch = finished.patch(finished.cells[0].name)
    names = list(map(str, patch.data_vars))
    orders = [names, names[::-1], sorted(names), names[2:] + names[:2]]
    assert len({publishing._print(patch[order], "x") for order in orders}) == 1
    assert len({tuple(publishing._in_order(finished.plan, patch[order])) for order in orders}) == 1
    other = patch.copy(deep=True)
    other.B04.values[0, 0, 0] += 1
    assert publishing._print(other, "x") != publishing._print(patch, "x")


HOSTILE = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[a](javascript:alert(1))", "![a](http://x/y)", "a | b", "`c`",
    "**d**", "# e", "1. f", "- g", "h\n# i", "&lt;j&gt;", "</td></table>", "<http://k>", "k\u202el", "m\u2028n", "~~o~~", "$p$",
    "{{7*7}}", "\\| q", "<!-- r", "\x7fs", "_t_", "u\\", "=== v", "+ w", "forest 🌲", "wa'ter\"",
]  # fmt: skip


PRINTABLE = [name for name in HOSTILE if name.isprintable()]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_text_in_the_readme_of_a_data_set(name):
    """What a strict renderer of Markdown with tables and HTML makes of it is the name itself, in one cell."""
    markdown = pytest.importorskip("markdown_it").MarkdownIt("gfm-like", {"linkify": False}).enable("table")
    cell = in_markdown(name)
    page = markdown.render(f"| value | class |\n|---|---|\n| 1 | {cell} |\n| 2 | next |\n\n- {cell}\n\n# {cell}\n")
    root = html5lib.parse(page, namespaceHTMLElements=False)
    tags = {element.tag for element in root.iter()} - {"html", "head", "body"}
    assert tags <= {"table", "thead", "tbody", "tr", "th", "td", "ul", "li", "h1"}
    plain = " ".join(re.sub("[\x00-\x1f\x7f\u2028\u202e]", " ", name).split())
    cells = ["".join(element.itertext()) for element in root.iter("td")]
    assert cells == ["1", plain, "2", "next"]
    assert ["".join(element.itertext()).strip() for element in root.iter("li")] == [plain]
    assert ["".join(element.itertext()) for element in root.iter("h1")] == [plain]


@given(st.text(min_size=1, max_size=30))
def test_any_text_stays_one_line_and_opens_no_tag(text):
    line = in_markdown(text)
    assert len(line.splitlines()) <= 1
    assert not set("<>") & set(line)
    assert not re.search(r"(?<!\\)(?:\\\\)*\|", line)


def test_hostile_names_end_in_a_project_and_a_legend_that_read_back(tmp_path):
    classes = [LandClass(value=1 + number, name=name, color="#ffff00") for number, name in enumerate(PRINTABLE)]
    (tmp_path / "legend.toml").write_text(legend_text(Legend(classes=tuple(classes))), encoding="utf-8")
    assert list(Legend.read(tmp_path / "legend.toml").names.values()) == PRINTABLE


def test_a_window_across_patches_is_what_the_files_hold(world):
    source = open_collection(world / "zarr" / "collection.json")
    finished = open_run(world)
    grid = finished.plan.source.geobox[7:33, 5:38]
    dates = source.dates()[::-1]
    ours = source.load(grid, dates, ["B08", "B04"])
    theirs = finished.plan.source.load(grid, dates, ["B08", "B04"])
    for name in ("B04", "B08"):
        np.testing.assert_array_equal(ours[name].values, theirs[name].values)
        assert (ours[name].values > 0).any()


@pytest.mark.slow
def test_without_a_reference_the_model_comes_with_the_data(world, tmp_path):
    text = (world / "landweave.toml").read_text()
    text = re.sub(r"\[reference\]\n(.+\n)+?\[", "[", text).replace("[model]\n", '[model]\npath = "out/model"\n')
    (world / "applied.toml").write_text(text.replace('output = "out"', 'output = "applied"'))
    applied = read_project(world / "applied.toml")
    assert run(applied, workers=1).status == 0
    shared = publish_dataset(applied, tmp_path / "shared")
    assert "[reference]" not in (shared / "landweave.toml").read_text()
    assert run(read_project(shared), workers=1).status == 0
    same_maps(world / "applied", shared / "out")


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", ["", 'dilation = 30\nsnow = "mask"\n'], ids=["as it comes", "clouds widened, no snow"]
)
def test_a_simulated_country_read_back_gives_the_identical_map(tmp_path, settings):
    from archives import DATES, SEED, SIZE, small_country

    country = small_country(tmp_path / "country", size_km=SIZE, dates=DATES, seed=SEED)
    file = country / "landweave.toml"
    if settings:
        text = re.sub(r"^(dilation|snow) = .*\n", "", file.read_text(), flags=re.MULTILINE)
        file.write_text(text.replace('type = "stac"\n', f'type = "stac"\n{settings}', 1))
    given = read_project(country)
    assert run(given, workers=1).status == 0
    for eopatches in (False, True):
        shared = publish_dataset(given, tmp_path / f"shared-{eopatches}", eopatches=eopatches)
        assert verify(shared).sound
        text = (shared / "landweave.toml").read_text()
        # With the register itself; the published labels end at the patches, which erosion sees.
        reference = {
            "path": str(given.path(given.reference.path)), "column": given.reference.column,
            "legend": str(given.path(given.reference.legend)), "erosion": given.reference.erosion,
        }  # fmt: skip
        table = "".join(f"{key} = {json.dumps(value)}\n" for key, value in reference.items())
        text = re.sub(r"\[reference\]\n(.+\n)+", f"[reference]\n{table}", text)
        (shared / "landweave.toml").write_text(text)
        result = run(read_project(shared), workers=1)
        assert result.status == 0, result.failures
        same_maps(given.folder, shared / "out")


@pytest.mark.parametrize("form", ["zarr", "eopatches"])
def test_init_begins_a_project_on_a_data_set(world, form, tmp_path):
    given = Given(images=str(world / form), reference=world / form)
    assert any(line.startswith("images:    ") for line in start_project(tmp_path / "p", given))
    project = read_project(tmp_path / "p")
    assert project.features.bands == ("B04", "B08")
    assert "sound" in check_project(project)[0]
