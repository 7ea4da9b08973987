"""Vectors from files, and the small tasks that make patches and features of others."""

import datetime
import re
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely

import landweave.eolearn
from landweave.eolearn import (
    BBox,
    CreateEOPatchTask,
    DuplicateFeatureTask,
    EOExecutor,
    EOPatch,
    EOTask,
    EOWorkflow,
    ExplodeBandsTask,
    FeatureType,
    InitializeFeatureTask,
    InputTask,
    MergeFeatureTask,
    MoveFeatureTask,
    OutputTask,
    SaveTask,
    TemporalSubsetTask,
    VectorImportTask,
    linearly_connect_tasks,
)
from landweave.errors import InputError

DATA, MASK, VECTORS = FeatureType.DATA, FeatureType.MASK, FeatureType.VECTOR_TIMELESS
DAYS = [datetime.datetime.fromisoformat(f"2019-01-{day}T10:00:00") for day in ("03", "08", "13")]
CUBE = np.arange(3 * 4 * 6 * 3, dtype="float32").reshape(3, 4, 6, 3)


def patch(**features):
    return EOPatch(bbox=BBox((500010, 5000000, 500050, 5000040), "EPSG:32633"), timestamps=DAYS, **features)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Six squares of 20 m, side by side; the patch lies over the first three."""
    path = tmp_path_factory.mktemp("vectors") / "lu.gpkg"
    squares = [shapely.box(500000 + 20 * k, 5000000, 500020 + 20 * k, 5000020) for k in range(6)]
    gpd.GeoDataFrame({"code": range(6)}, geometry=squares, crs=32633).to_file(path)
    return path


def test_vectors_that_touch_the_box_are_read_whole_or_cut(file):
    whole = VectorImportTask((VECTORS, "LU"), file)(patch()).vector_timeless["LU"]
    assert whole.code.tolist() == [0, 1, 2]
    assert whole.total_bounds.tolist() == [500000, 5000000, 500060, 5000020]
    cut = VectorImportTask((VECTORS, "LU"), str(file), clip=True, layer="lu")(patch()).vector_timeless["LU"]
    assert sorted(cut.code) == [0, 1, 2]
    assert cut.total_bounds.tolist() == [500010, 5000000, 500050, 5000020]


def test_vectors_come_to_the_system_of_the_box_unless_they_are_to_stay(file):
    ground = gpd.GeoSeries([shapely.box(500025, 5000002, 500035, 5000008)], crs=32633).to_crs(4326).total_bounds
    here = EOPatch(bbox=BBox(ground, 4326))
    found = VectorImportTask((VECTORS, "LU"), file)(here).vector_timeless["LU"]
    assert (found.code.tolist(), found.crs.to_epsg()) == ([1], 4326)
    found = VectorImportTask((VECTORS, "LU"), file, reproject=False)(here).vector_timeless["LU"]
    assert (found.code.tolist(), found.crs.to_epsg()) == ([1], 32633)
    with pytest.raises(InputError, match="clip needs reproject=True"):
        VectorImportTask((VECTORS, "LU"), file, reproject=False, clip=True)(here)


def test_without_a_patch_there_is_a_new_one_around_what_was_read(file):
    made = VectorImportTask((VECTORS, "LU"), file, reproject=False)()
    assert list(made.bbox) == [500000, 5000000, 500120, 5000020]
    assert len(made.vector_timeless["LU"]) == 6
    box = BBox((500065, 5000000, 500070, 5000010), 32633)
    made = VectorImportTask((VECTORS, "LU"), file)(bbox=box)
    assert (made.bbox, made.vector_timeless["LU"].code.tolist()) == (box, [3])
    with pytest.raises(InputError, match="Without a bbox"):
        VectorImportTask((VECTORS, "LU"), file)()


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_vectors_that_cannot_be_read_are_one_line(file, tmp_path):
    (tmp_path / "x.gpkg").write_text("no geopackage")
    gpd.GeoDataFrame({"code": [1]}, geometry=[shapely.Point(0, 0)]).to_file(tmp_path / "nowhere.gpkg")
    for path, message in (
        (tmp_path / "x.gpkg", "not readable as vectors"),
        (tmp_path / "lost.gpkg", "not readable as vectors"),
        (tmp_path / "nowhere.gpkg", "no geometries or no CRS"),
    ):
        with pytest.raises(InputError, match=message) as told:
            VectorImportTask((VECTORS, "LU"), path)(patch())
        assert "\n" not in str(told.value)
    with pytest.raises(InputError, match="copy the file"):
        VectorImportTask((VECTORS, "LU"), "s3://bucket/lu.gpkg")
    with pytest.raises(InputError, match="leave filesystem and config out"):
        VectorImportTask((VECTORS, "LU"), file, filesystem=object())
    with pytest.raises(InputError, match="Features of type data are not accepted here"):
        VectorImportTask((DATA, "LU"), file)


def test_features_are_doubled_moved_begun_and_taken_apart():
    here = DuplicateFeatureTask((DATA, "A", "B"))(patch(data={"A": CUBE}))
    assert here.data["B"] is here.data["A"]
    apart = DuplicateFeatureTask({DATA: [("A", "C")]}, deep_copy=True)(here)
    assert not np.shares_memory(apart.data["C"], apart.data["A"])
    with pytest.raises(InputError, match="data/B exists already"):
        DuplicateFeatureTask((DATA, "A", "B"))(here)

    there = MoveFeatureTask({DATA: ["A"]})(here, patch())
    assert there.get_features() == [(DATA, "A")]

    begun = InitializeFeatureTask({MASK: ["M", "N"]}, shape=(DATA, "A"), init_value=3)(there)
    assert begun.mask["N"].shape == CUBE.shape
    assert begun.mask["M"].dtype == "uint8"
    assert (begun.mask["M"] == 3).all()
    again = InitializeFeatureTask((MASK, "M"), shape=(3, 1, 1, 1), init_value=5)(begun)
    assert (again.mask["M"] == 3).all()
    with pytest.raises(InputError, match="shape is"):
        InitializeFeatureTask((MASK, "M"), shape=(3, 1))

    bands = ExplodeBandsTask((DATA, "A"), {(DATA, "X"): 1, (DATA, "Y"): (0, 2)})(patch(data={"A": CUBE}))
    np.testing.assert_array_equal(bands.data["X"], CUBE[..., [1]])
    np.testing.assert_array_equal(bands.data["Y"], CUBE[..., [0, 2]])


def test_some_dates_of_a_patch_are_a_patch():
    whole = patch(data={"A": CUBE})
    assert TemporalSubsetTask([0, 2])(whole).timestamps == [DAYS[0], DAYS[2]]
    np.testing.assert_array_equal(TemporalSubsetTask()(whole, timestamps=[DAYS[1]]).data["A"], CUBE[[1]])
    with pytest.raises(InputError, match="timestamps are missing"):
        TemporalSubsetTask()(whole)
    made = CreateEOPatchTask()(bbox=whole.bbox, timestamps=DAYS, data={"A": CUBE})
    assert made == whole


def test_features_are_merged_along_any_axis():
    here = patch(data={"A": CUBE, "B": CUBE + 1})
    made = MergeFeatureTask({DATA: ["A", "B"]}, (DATA, "R"), axis=1)(here).data["R"]
    np.testing.assert_array_equal(made, np.concatenate([CUBE, CUBE + 1], axis=1))


def test_kinds_that_a_task_does_not_allow_are_refused():
    here = patch(data={"A": CUBE}, mask={"M": CUBE > 1})
    assert EOTask.parse_feature((DATA, "A"), here, allowed_feature_types=[DATA]) == (DATA, "A")
    with pytest.raises(InputError, match="Features of type data are not accepted here; use mask"):
        EOTask.parse_feature((DATA, "A"), here, allowed_feature_types={MASK})
    assert EOTask.parse_features(..., here, lambda kind: kind.is_discrete()) == [(MASK, "M")]
    assert EOTask.parse_renamed_features({DATA: ["A"]}, here) == [(DATA, "A", "A")]
    parser = EOTask.get_feature_parser(..., allowed_feature_types=[DATA])
    assert parser.get_features(here) == [(DATA, "A")]
    with pytest.raises(InputError, match="is not a feature type"):
        EOTask.get_feature_parser(("bands", "A"))


def test_file_systems_and_parts_are_refused_in_one_line(tmp_path):
    here = patch(data={"A": CUBE})
    nodes = linearly_connect_tasks(InputTask(), OutputTask("patch"))
    for asks in (
        lambda: here.save(tmp_path / "p", filesystem=object()),
        lambda: EOPatch.load("p", filesystem=object()),
        lambda: EOExecutor(EOWorkflow(nodes), [], filesystem=object()),
    ):
        with pytest.raises(InputError, match="leave filesystem and config out"):
            asks()
    for asks in (
        lambda: here.save(tmp_path / "p", temporal_selection=[0]),
        lambda: SaveTask(tmp_path)(here, eopatch_folder="p", temporal_selection=[0]),
    ):
        with pytest.raises(InputError, match="save all dates at once"):
            asks()
    assert not list(tmp_path.iterdir())
    here.save(tmp_path / "p", compress_level=1)
    assert EOPatch.load(tmp_path / "p") == here


def test_the_page_tells_what_is_here_and_what_is_not():
    page = (Path(__file__).parents[1] / "docs" / "from-eo-learn.md").read_text()
    here, not_here = page.split("- **What is available**")[1].split("- **What is not available**")
    told = set(re.findall(r"`(\w*Task|EO\w+|FeatureParser)`", here))
    assert len(told) > 14
    assert told <= set(landweave.eolearn.__all__)
    missing = set(re.findall(r"`(\w+)`", " ".join(line.split("|")[1] for line in not_here.splitlines() if "|" in line)))
    assert {"ImportFromTiffTask", "MergeEOPatchesTask", "RasterToVectorTask"} <= missing
    assert not missing & set(landweave.eolearn.__all__)


def test_every_name_of_eolearn_is_loaded_when_it_is_asked_for():
    code = "import sys, landweave.eolearn; assert not {'numpy', 'xarray'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    for name in landweave.eolearn.__all__:
        assert getattr(landweave.eolearn, name).__name__ == name
        assert name in dir(landweave.eolearn)
    assert not hasattr(landweave.eolearn, "SomeTask")
    with pytest.raises(ImportError, match="cannot import name 'SomeTask'"):
        exec("from landweave.eolearn import SomeTask")


def test_a_name_that_is_not_here_is_answered_with_what_serves_instead():
    page = (Path(__file__).parents[1] / "docs" / "from-eo-learn.md").read_text()
    for name in landweave.eolearn._INSTEAD:
        assert f"`{name}`" in page or "Interpolation" in name or "Resampling" in name, name
        with pytest.raises(ImportError, match=f"has no {name}; use "):
            exec(f"from landweave.eolearn import {name}")
    with pytest.raises(ImportError, match="use FractionSamplingTask"):
        from landweave.eolearn import BlockSamplingTask  # noqa: F401
