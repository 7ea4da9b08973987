"""Verdicts are kept whole, beside other writers and after any crash; labels change where they say, and nowhere else."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import shapely
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.labels.verdicts.corrections import Correction, correct, corrections_near, read_corrections
from landweave.labels.verdicts.geopackage import changing, recover
from landweave.labels.verdicts.store import IN_FILE, Filled, JudgedPlace, PlaceVerdict, VerdictFile, read_verdicts
from landweave.legend import LandClass, Legend

CRS = "EPSG:3794"
NAMES = ("grass", "forest", "water")
LEGEND = Legend(classes=tuple(LandClass(value=i, name=n, color="#00ff00") for i, n in enumerate(NAMES, start=1)))
SQUARE = shapely.box(500_000, 100_000, 500_050, 100_050)


def place(key="a", *, shape=SQUARE, queue="compare", **told):
    return JudgedPlace(key=key, queue=queue, shape=shapely.to_wkb(shape), told=told)


def verdict(uid, name, *, key="a", by="ana", **more):
    where = more.pop("place", place(key))
    return PlaceVerdict(uid=uid, interpreter=by, name=name, place=where, unsure=name is None, **more)


def told(path):
    return {(v.place.key, v.interpreter): v.name for v in read_verdicts(path)}


def test_a_verdict_is_read_back_as_it_was_given(tmp_path):
    path = tmp_path / "verdicts.gpkg"
    given = place(reference_class="grass", reference_code="1300", suggested_class="forest", area_ha=0.25)
    VerdictFile(path, crs=CRS).put(verdict("1", "forest", alternate="water", note="trees, <b>", place=given))
    (found,) = read_verdicts(path)
    assert found.place == given
    assert (found.name, found.alternate, found.note, found.unsure) == ("forest", "water", "trees, <b>", False)
    assert found.judged_at.endswith("+00:00")


def test_gdal_reads_the_layer_with_its_crs_and_outlines(tmp_path):
    path = tmp_path / "verdicts.gpkg"
    VerdictFile(path, crs=CRS).put(verdict("1", "forest"))
    frame = gpd.read_file(path, layer="verdicts")
    assert frame.crs.to_epsg() == 3794
    assert frame.geometry[0].equals(SQUARE)
    assert list(frame["class"]) == ["forest"]
    assert len(gpd.read_file(path, layer="verdicts", bbox=(499_990, 99_990, 500_010, 100_010))) == 1


def test_a_crs_without_a_code_is_kept_as_its_definition(tmp_path):
    path = tmp_path / "verdicts.gpkg"
    own = "+proj=laea +lat_0=46 +lon_0=14 +x_0=0 +y_0=0 +ellps=GRS80 +units=m"
    VerdictFile(path, crs=own).put(verdict("1", "forest"))
    assert gpd.read_file(path, layer="verdicts").crs.to_json_dict()["conversion"]["parameters"][0]["value"] == 46
    assert "46" in VerdictFile(path, crs=CRS).crs


def test_a_verdict_sent_twice_counts_once_and_a_later_one_supersedes(tmp_path):
    path = tmp_path / "verdicts.gpkg"
    file = VerdictFile(path, crs=CRS)
    for given in (
        verdict("1", "forest"),
        verdict("1", "forest"),
        verdict("2", "water"),
        verdict("3", "grass", by="bo"),
    ):
        file.put(given)
    assert told(path) == {("a", "ana"): "water", ("a", "bo"): "grass"}
    file.undo("bo", "2")  # not hers
    file.undo("ana", "2")
    assert told(path) == {("a", "ana"): "forest", ("a", "bo"): "grass"}
    file.undo("ana", "2")
    file.undo("ana", "1")
    assert told(path) == {("a", "bo"): "grass"}
    assert file.rows() == [("a", "bo", "grass")]


def a_sample(path):
    ids = [1, 2, 3]
    points = gpd.GeoDataFrame(
        {"id": ids, "reference": [None, None, "water"], "remark": [None, "kept", None]},
        geometry=gpd.points_from_xy([0, 10, 20], [0, 0, 0]), crs=CRS,
    )  # fmt: skip
    pyogrio.write_dataframe(points, path, layer="sample", driver="GPKG")
    other = gpd.GeoDataFrame({"n": [7]}, geometry=[SQUARE], crs=CRS)
    pyogrio.write_dataframe(other, path, layer="pixels", driver="GPKG")
    return VerdictFile(path, crs=CRS, filled=Filled(table="sample", id="id", column="reference"))


def column(path):
    frame = gpd.read_file(path, layer="sample")
    return {
        int(i): label if isinstance(label, str) else None
        for i, label in zip(frame["id"], frame["reference"], strict=True)
    }


def test_a_sample_holds_the_label_on_which_all_agree_and_other_layers_stay(tmp_path):
    path = tmp_path / "sample.gpkg"
    file = a_sample(path)
    file.put(verdict("1", "forest", key="1", place=place("1", queue="sample")))
    assert column(path) == {1: "forest", 2: None, 3: "water"}
    file.put(verdict("2", "forest", key="1", by="bo", place=place("1", queue="sample")))
    file.put(verdict("3", None, key="1", by="cy", place=place("1", queue="sample")))
    assert column(path)[1] == "forest"
    file.put(verdict("4", "grass", key="1", by="bo", place=place("1", queue="sample")))
    assert column(path)[1] is None
    file.undo("bo", "4")
    assert column(path)[1] == "forest"
    frame = gpd.read_file(path, layer="sample")
    assert list(frame["remark"].fillna("")) == ["", "kept", ""]
    assert list(gpd.read_file(path, layer="pixels")["n"]) == [7]
    assert {name for name, _ in pyogrio.list_layers(path)} == {"sample", "pixels", "verdicts"}


def test_a_label_that_was_typed_in_before_is_not_lost(tmp_path):
    path = tmp_path / "sample.gpkg"
    file = a_sample(path)
    file.put(verdict("1", "forest", key="3", place=place("3", queue="sample")))
    assert column(path)[3] is None
    assert told(path) == {("3", IN_FILE): "water", ("3", "ana"): "forest"}
    file.undo("ana", "1")
    assert column(path)[3] == "water"


@pytest.mark.parametrize("first", ["forest", None])
def test_a_label_that_is_typed_in_between_two_verdicts_is_not_lost_either(tmp_path, first):
    path = tmp_path / "sample.gpkg"
    kept, unit = a_sample(path), place("1", queue="sample")
    kept.put(verdict("1", first, key="1", place=unit))
    type_in(path, "water")
    kept.put(verdict("2", "forest", key="1", by="bo", place=unit))
    assert told(path)["1", IN_FILE] == "water"
    type_in(path, "grass")
    kept.undo("bo", "2")
    assert told(path) == {("1", "ana"): first, ("1", IN_FILE): "grass"}


def type_in(path, label):
    with changing(path) as file:
        file.execute("UPDATE sample SET reference = ? WHERE id = 1", (label,))


def test_a_label_that_was_typed_in_as_a_number_is_read_as_its_class(tmp_path):
    path = tmp_path / "sample.gpkg"
    a_sample(path)
    with changing(path) as content:
        content.execute("UPDATE sample SET reference = '3' WHERE id = 3")
    filled = Filled(table="sample", id="id", column="reference", spelled={"3": "water"})
    VerdictFile(path, crs=CRS, filled=filled).put(verdict("1", "water", key="3", place=place("3", queue="sample")))
    assert column(path)[3] == "water"


WRITER = """
    import sys, shapely
    from pathlib import Path
    from landweave.labels.verdicts.store import JudgedPlace, PlaceVerdict, VerdictFile
    file, who = VerdictFile(Path(sys.argv[1]), crs="EPSG:3794"), sys.argv[2]
    shape = shapely.to_wkb(shapely.box(0, 0, 10, 10))
    for i in range(int(sys.argv[3])):
        where = JudgedPlace(key=str(i), queue="compare", shape=shape, told={})
        file.put(PlaceVerdict(uid=f"{who}-{i}", interpreter=who, name="forest", place=where))
        print(f"{who}-{i}", flush=True)
"""


def writer(path, who, n):
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(path), who, str(n)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_processes_write_at_once_and_lose_nothing(tmp_path):
    path = tmp_path / "verdicts.gpkg"
    both = [writer(path, who, 25) for who in ("ana", "bo")]
    said = [process.communicate(timeout=120)[0].split() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert {v.uid for v in read_verdicts(path)} == {uid for lines in said for uid in lines}
    assert len(read_verdicts(path)) == 50


def test_a_writer_killed_at_any_moment_leaves_every_verdict_that_it_reported(tmp_path):
    path = tmp_path / "verdicts.gpkg"
    for number, wait in enumerate((0.0, 0.013, 0.05)):
        process = writer(path, f"w{number}", 10_000)
        said = [process.stdout.readline().strip() for _ in range(5)]
        time.sleep(wait)
        os.kill(process.pid, signal.SIGKILL)
        said += process.stdout.read().split("\n")[:-1]
        process.wait(timeout=20)
        process.stdout.close()
        kept = {v.uid for v in read_verdicts(path)}
        assert set(said) <= kept
        with closing(sqlite3.connect(path)) as file:
            assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    VerdictFile(path, crs=CRS).put(verdict("after", "water"))
    assert len(gpd.read_file(path, layer="verdicts")) == len(read_verdicts(path))


def test_a_writer_killed_within_a_transaction_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "sample.gpkg"
    a_sample(path).put(verdict("1", "forest", key="1", place=place("1", queue="sample")))
    code = """
        import os, signal, sys
        from pathlib import Path
        from landweave.labels.verdicts.geopackage import changing
        with changing(Path(sys.argv[1])) as file:
            file.execute("PRAGMA cache_size = 1")
            file.execute("UPDATE sample SET reference = 'lost'")
            file.execute("DELETE FROM verdicts")
            file.execute("CREATE TABLE large AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 9999)"
                         " SELECT i, hex(randomblob(200)) FROM n")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(path)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert path.with_name("sample.gpkg-journal").exists()
    recover(path)
    assert not path.with_name("sample.gpkg-journal").exists()
    assert told(path) == {("1", "ana"): "forest"}
    assert column(path) == {1: "forest", 2: None, 3: "water"}


def test_a_fault_within_a_transaction_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "verdicts.gpkg"
    VerdictFile(path, crs=CRS).put(verdict("1", "forest"))

    def fail():
        with changing(path) as file:
            file.execute("DELETE FROM verdicts")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert told(path) == {("a", "ana"): "forest"}


def test_a_file_that_is_no_geopackage_raises_an_input_error(tmp_path):
    path = tmp_path / "verdicts.gpkg"
    path.write_text("no database, but long enough to look like something else entirely" * 20)
    with pytest.raises(InputError, match="not a GeoPackage"):
        VerdictFile(path, crs=CRS).put(verdict("1", "forest"))
    with pytest.raises(InputError, match="not a GeoPackage"):
        read_verdicts(path)


def test_a_foreign_layer_of_that_name_raises_an_input_error(tmp_path):
    path = tmp_path / "verdicts.gpkg"
    frame = gpd.GeoDataFrame({"n": [1]}, geometry=[SQUARE], crs=CRS)
    pyogrio.write_dataframe(frame, path, layer="verdicts", driver="GPKG")
    with pytest.raises(InputError, match="was not written by"):
        read_verdicts(path)


def test_an_empty_file_is_one_without_verdicts(tmp_path):
    path = tmp_path / "verdicts.gpkg"
    path.touch()
    assert read_verdicts(path) == []
    VerdictFile(path, crs=CRS).put(verdict("1", "forest"))
    assert told(path) == {("a", "ana"): "forest"}


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ([verdict("1", "forest")], 2),
        ([verdict("1", None)], 0),
        ([verdict("1", "forest", alternate="water")], 0),
        ([verdict("1", "forest"), verdict("2", "forest", by="bo")], 2),
        ([verdict("1", "forest"), verdict("2", "water", by="bo")], 0),
        ([verdict("1", "forest"), verdict("2", None, by="bo")], 0),
        ([verdict("1", "forest"), verdict("2", "water")], 3),
    ],
    ids=["class", "unsure", "alternate", "agree", "differ", "one is unsure", "changed"],
)
def test_a_place_gets_the_class_that_all_are_sure_of_or_none(tmp_path, given, value):
    path = tmp_path / "verdicts.gpkg"
    for one in given:
        VerdictFile(path, crs=CRS).put(one)
    (found,) = read_corrections(path, LEGEND)
    assert found.value == value


def test_verdicts_on_a_sample_never_train(tmp_path):
    path = tmp_path / "sample.gpkg"
    a_sample(path).put(verdict("1", "forest", key="1", place=place("1", queue="sample")))
    with pytest.raises(InputError, match="judged by what it was taught"):
        read_corrections(path, LEGEND)


def test_a_missing_file_and_a_class_that_is_gone_raise_an_input_error(tmp_path):
    path = tmp_path / "verdicts.gpkg"
    with pytest.raises(InputError, match=r"no such file for reference\.verdicts"):
        read_corrections(path, LEGEND)
    VerdictFile(path, crs=CRS).put(verdict("1", "vineyard"))
    with pytest.raises(InputError, match="no class 'vineyard'"):
        read_corrections(path, LEGEND)


def grid():
    from affine import Affine

    return GeoBox((10, 10), Affine(10, 0, 500_000, 0, -10, 100_100), CRS)


def correction(shape, value, about=None, crs=CRS):
    return Correction(shape=shapely.to_wkb(shape), crs=crs, value=value, about=about)


def test_labels_change_within_the_outline_and_nowhere_else():
    values = np.ones((10, 10), "uint8")
    values[:, 9] = 0
    corrected, judged = correct(values, [correction(shapely.box(500_050, 100_050, 500_100, 100_100), 2)], grid())
    expected = values.copy()
    expected[:5, 5:9] = 2  # where there was no label, none is made
    np.testing.assert_array_equal(corrected, expected)
    np.testing.assert_array_equal(judged, expected == 2)


def test_only_what_the_register_still_calls_so_changes_and_the_last_verdict_is_on_top():
    values = np.ones((10, 10), "uint8")
    values[0] = 3
    whole = shapely.box(*grid().boundingbox)
    corrected, _ = correct(values, [correction(whole, 2, about=1), correction(shapely.box(500_000, 100_000, 500_010, 100_010), 0)], grid())  # fmt: skip
    expected = np.full((10, 10), 2, "uint8")
    expected[0], expected[9, 0] = 3, 0
    np.testing.assert_array_equal(corrected, expected)


def test_a_point_corrects_the_pixel_that_holds_it():
    corrected, _ = correct(np.ones((10, 10), "uint8"), [correction(shapely.Point(500_035, 100_055), 2)], grid())
    assert np.argwhere(corrected == 2).tolist() == [[4, 3]]


def test_corrections_far_from_a_grid_are_left_out():
    near, far = correction(SQUARE, 2), correction(shapely.box(600_000, 100_000, 600_010, 100_010), 2)
    assert corrections_near([far, near], grid()) == (near,)
    degrees = correction(shapely.box(15.0, 45.9, 15.1, 46.1), 2, crs="EPSG:4326")
    assert corrections_near([degrees], grid()) in {(), (degrees,)}
