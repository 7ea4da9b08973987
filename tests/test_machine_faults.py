"""What the machine refuses is told as the machine's fault, with the file's name, and costs no sound file."""

import contextlib
import errno
import filecmp
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shims
from odc.geo.geobox import GeoBox
from rasterio.features import shapes
from shapely.geometry import box
from shapely.geometry import shape as outline_of
from worlds import CORNER, two_class_world

from landweave.engine import workers
from landweave.errors import InputError, blame_machine, named
from landweave.labels.reference import read_reference, reference_codes
from landweave.patch.model import make_patch
from landweave.patch.store import read_patch, sweep, write_patch, write_whole
from landweave.runs.pipeline.driver import run
from landweave.runs.project.plan import make_plan
from landweave.runs.project.settings import read_project
from landweave.runs.publish.dataset import publish_dataset
from landweave.runs.results.record import read_record
from landweave.sources.patchwise.datasets import is_collection, open_collection
from landweave.sources.stac.reading import Reader


def with_polygons(folder):
    """The world of two classes, its reference a GeoPackage."""
    import geopandas as gpd

    file, _ = two_class_world(folder, size=40)
    with rasterio.open(folder / "reference.tif") as raster:
        found = [
            (outline_of(outline), int(value)) for outline, value in shapes(raster.read(1), transform=raster.transform)
        ]
    frame = gpd.GeoDataFrame({"c": [value for _, value in found]}, geometry=[one for one, _ in found], crs=32633)
    frame.to_file(folder / "reference.gpkg", driver="GPKG")
    text = file.read_text().replace('"reference.tif"', '"reference.gpkg"\ncolumn = "c"')
    file.write_text(text)
    return file


def landweave(*arguments, **environment):
    command = [sys.executable, "-c", "from landweave.cli.app import main; main()", *map(str, arguments)]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=300, env={**os.environ, **environment}
    )


@pytest.mark.slow
def test_where_files_cannot_be_locked_a_run_gives_the_same_bytes(tmp_path):
    library = shims.built(shims.NO_LOCKS, tmp_path)
    file = with_polygons(tmp_path / "world")
    out = file.parent / "out"
    assert landweave("run", file, "--workers", 1).returncode == 0
    assert landweave("compare", file).returncode == 0
    shutil.move(out, tmp_path / "before")
    environment = {"LD_PRELOAD": str(library), "NOLOCK": str(errno.ENOSYS)}
    for command in (["run", file, "--workers", 1], ["compare", file], ["status", file]):
        done = landweave(*command, **environment)
        assert done.returncode == 0, done.stderr
    names = ["map.tif", "accuracy.json", "grid.gpkg", "label_errors.gpkg", "compare.gpkg", "compare.json"]
    assert filecmp.cmpfiles(out, tmp_path / "before", names, shallow=False)[0] == names


def refusing(number):
    """A function that fails as the machine does."""

    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    return refuse


MACHINE_FAULTS = [errno.EIO, errno.ENOSPC, errno.EMFILE, errno.ESTALE, errno.EDQUOT]


@pytest.mark.parametrize("number", MACHINE_FAULTS)
def test_an_error_of_the_machine_gets_the_name_of_its_file(number):
    with pytest.raises(OSError, match=os.strerror(number)) as told, named("a/b.tif"):
        refusing(number)()
    assert (told.value.errno, told.value.filename) == (number, "a/b.tif")
    with pytest.raises(FileNotFoundError) as told, named("a/b.tif"):
        Path("/no/such/file").read_bytes()
    assert told.value.filename == "/no/such/file", "the name that is known is the better one"


@pytest.mark.parametrize("number", MACHINE_FAULTS)
@pytest.mark.parametrize(
    "library",
    [
        lambda number: OSError(number, os.strerror(number)),
        lambda number: RuntimeError(f"cannot open: {os.strerror(number)}"),
        lambda number: OSError(f"[Errno {number}] Error reading bytes. Detail: {os.strerror(number)}"),
    ],
    ids=["errno", "words", "words of Arrow"],
)
def test_what_a_library_says_of_the_machine_is_not_the_files_fault(tmp_path, number, library):
    (tmp_path / "sound").write_bytes(b"1")
    with pytest.raises(OSError, match=os.strerror(number)) as told:
        blame_machine(tmp_path / "sound", library(number))
    assert told.value.filename == str(tmp_path / "sound")


def test_a_sound_machine_is_not_blamed(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    assert blame_machine(tmp_path / "a", ValueError("not a raster")) is None
    assert blame_machine(tmp_path / "missing", ValueError("no")) is None
    assert blame_machine(tmp_path) is None


def test_out_of_open_files_no_image_is_called_damaged(tmp_path):
    file, _ = two_class_world(tmp_path, size=40, dates=[f"2020-{month:02}-01" for month in range(1, 13)])
    code = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)); from landweave.cli.app import main; main()"
    command = [sys.executable, "-c", code, "run", str(file), "--workers", "1"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=200)
    assert done.returncode == 1, done.stderr
    assert os.strerror(errno.EMFILE) in done.stderr
    assert "replace it" not in done.stderr
    assert "Traceback" not in done.stderr
    assert landweave("run", file, "--workers", 1).returncode == 0, "with more files the same command ends the job"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run that keeps a Zarr, tables and a model."""
    folder = tmp_path_factory.mktemp("finished")
    file, _ = two_class_world(folder, size=40, source='clouds = "none"\nstore = true')
    assert run(read_project(file)).status == 0
    return folder / "out"


READS = {
    "table": ("samples.parquet", "from landweave.patch.store import read_table; read_table(out / 'samples.parquet')"),
    "model.json": ("model.json", "from landweave.classifier.model import Model; Model.load(out / 'model')"),
    "model.txt": ("model.txt", "from landweave.classifier.model import Model; Model.load(out / 'model')"),
    "strips": (
        "/c/0/",
        "from landweave.patch.stack import strip_reader; strip_reader(stack, bands=['B04'])(slice(0, 20))",
    ),
    "date": ("/c/0/", "from landweave.patch.store import read_date; read_date(stack, ['B04'], 0)"),
    "patch": ("zarr.json", "from landweave.patch.store import read_patch; read_patch(stack)"),
}
"""What is read of a finished run, by the name of the files whose disk fails."""


@pytest.mark.parametrize("what", READS)
def test_a_failing_disk_is_told_with_the_name_of_the_file(finished, what, tmp_path):
    """EIO at every read of the files of that name; nothing else fails."""
    library, (name, code) = shims.built(shims.FAILING_READS, tmp_path), READS[what]
    program = f"""
from pathlib import Path
out = Path({str(finished)!r})
stack = next((out / "patches").glob("*.zarr"))
try:
    {code}
except OSError as error:
    print(error.errno, error.filename)
"""
    environment = {**os.environ, "LD_PRELOAD": str(library), "FAILING": name}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100, env=environment)
    assert done.stdout.startswith("5 "), done.stdout + done.stderr
    told = done.stdout.split()[1]
    assert name in told or told == str(next((finished / "patches").glob("*.zarr")))


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A sound file of each kind that users give."""
    import geopandas as gpd
    import pandas as pd

    folder = tmp_path_factory.mktemp("given")
    frame = gpd.GeoDataFrame({"label": ["2"]}, geometry=[box(0, 0, 1, 1)], crs=32633)
    frame.to_file(folder / "polygons.gpkg", driver="GPKG")
    frame.to_parquet(folder / "polygons.parquet")
    (folder / "points.csv").write_text("longitude,latitude,label\n15,46,2\n")
    pd.DataFrame({"a": [1]}).to_parquet(folder / "table.parquet")
    codes, place = np.ones((300, 300), "uint8"), {"crs": 32633, "transform": CORNER}
    with rasterio.open(
        folder / "codes.tif", "w", driver="GTiff", width=300, height=300, count=1, dtype="uint8", **place
    ) as f:
        f.write(codes, 1)
    (folder / "items.json").write_text('{"type": "FeatureCollection", "features": []}')
    return folder


REFERENCE = (
    "from landweave.labels.reference import read_reference, reference_codes; reference_codes(read_reference(path))"
)
TABLE = "from landweave.patch.tables.reading import read_table_file; read_table_file(path)"
GIVEN = {
    "reference of polygons": ("polygons.gpkg", REFERENCE),
    "reference in GeoParquet": ("polygons.parquet", REFERENCE),
    "reference of points": ("points.csv", REFERENCE),
    "reference raster": ("codes.tif", REFERENCE),
    "area": (
        "polygons.gpkg",
        "from landweave.patch.vectors.layers import open_layer; open_layer(path, what='the area')",
    ),
    "table in CSV": ("points.csv", TABLE),
    "table in Parquet": ("table.parquet", TABLE),
    "image": (
        "codes.tif",
        "from landweave.sources.files.opened import forget, header_at; header_at(path); forget(path)",
    ),
    "map": ("codes.tif", "from landweave.maps.areas import open_map, read_strips; list(read_strips(open_map(path)))"),
    "items": ("items.json", "from landweave.sources.stac.reading import Reader; Reader()(str(path))"),
}
"""What users give, and how it is read."""


# GDAL reads rasters by calls that the library does not see.
@pytest.mark.parametrize(
    ("what", "fault"),
    [
        (what, fault)
        for what, (name, _) in GIVEN.items()
        for fault in ("EIO", "EMFILE")
        if (fault, name) != ("EIO", "codes.tif")
    ],
)
def test_a_file_that_the_machine_does_not_give_is_not_called_damaged(given, what, fault, tmp_path):
    """EIO at every read of the file; or no open file left once the libraries are loaded and one read was made."""
    library, (name, code) = shims.built(shims.FAILING_READS, tmp_path), GIVEN[what]
    program = f"""
import os, shutil
from pathlib import Path
path = Path({str(given / name)!r})
if {fault!r} == "EMFILE":
    own, path = path, Path(shutil.copy(path, {str(tmp_path)!r}))
    {code}
    path = own
    while True:
        try:
            os.open("/dev/null", os.O_RDONLY)
        except OSError:
            break
try:
    {code}
except OSError as error:
    print(error)
"""
    environment = {
        **os.environ,
        "LD_PRELOAD": str(library),
        **({"FAILING": str(given / name)} if fault == "EIO" else {}),
    }
    command = ["bash", "-c", 'ulimit -n 300; exec "$@"', "", sys.executable, "-c", program]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100, env=environment)
    assert os.strerror(getattr(errno, fault)) in done.stdout, done.stdout + done.stderr
    assert str(given / name) in done.stdout, done.stdout


def nested(depth):
    return "[" * depth + "]" * depth


TEXTS = {
    "deep": nested(100_000),
    "a long number": "9" * 5000,
    "cut short": '{"a": ',
    "of another kind": "[1]",
    "empty": "",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("name", ["landweave.toml", "legend.toml"])
def test_a_hostile_toml_file_is_one_line(tmp_path, name, text):
    two_class_world(tmp_path, size=40)
    (tmp_path / name).write_text(f"x = {text}")
    with pytest.raises(InputError, match=name):
        make_plan(read_project(tmp_path))


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_hostile_json_file_is_one_line_or_not_taken_for_ours(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    assert is_collection(path) is False
    assert read_record(path) == {}
    with pytest.raises(InputError, match=r"x\.json"):
        open_collection(path)
    with pytest.raises(InputError, match=r"x\.json"):
        Reader()(str(path))


PATCH = make_patch({"B04": np.ones((1, 4, 4), "int16")}, GeoBox((4, 4), CORNER, "EPSG:32633"), ["2020-01-01"])


def codec(facts):
    facts["codecs"] = [{"name": "numcodecs.pickle", "configuration": {}}]


def shape(facts):
    facts["shape"] = [1, 9, 4]


def kind(facts):
    facts["data_type"] = "object"


def fill(facts):
    facts["fill_value"] = "x" * 9


@pytest.mark.parametrize("name", ["zarr.json", "B04/zarr.json"])
@pytest.mark.parametrize("text", [text for key, text in TEXTS.items() if key != "a long number"])
def test_a_stored_patch_with_hostile_metadata_is_one_line(tmp_path, name, text):
    path = write_patch(PATCH, tmp_path / "a.zarr")
    (path / name).write_text(text)
    with pytest.raises(InputError, match=r"a\.zarr"):
        read_patch(path)


@pytest.mark.parametrize("change", [codec, shape, kind, fill])
def test_a_stored_patch_in_another_form_is_one_line(tmp_path, change):
    path = write_patch(PATCH, tmp_path / "a.zarr")
    facts = json.loads((path / "B04" / "zarr.json").read_text())
    change(facts)
    (path / "B04" / "zarr.json").write_text(json.dumps(facts))
    with pytest.raises(InputError, match=r"a\.zarr"):
        read_patch(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("proj:shape", [10**9, 10**9]), ("proj:shape", [10**30, 4]), ("proj:shape", [0, 4]), ("proj:shape", "x4"),
        ("proj:transform", [1e300, 0, 0, 0, -1e300, 0]), ("proj:transform", [10, 0, 1e12, 0, -10, 1e12]),
        ("proj:transform", [float("nan")] * 6), ("proj:code", "EPSG:1"), ("proj:code", []),
        ("cube:variables", []), ("cube:dimensions", None),
    ],
)  # fmt: skip
def test_an_item_of_a_data_set_with_impossible_numbers_is_one_line(shared, tmp_path, key, value):
    folder = shutil.copytree(shared, tmp_path / "set")
    item = next((folder / "items").glob("*.json"))
    content = json.loads(item.read_text())
    content["properties"][key] = value
    item.write_text(json.dumps(content))
    with pytest.raises(InputError, match=re.escape(item.name)):
        open_collection(folder / "collection.json")


@pytest.fixture(scope="module")
def shared(finished):
    return publish_dataset(finished.parent, finished.parent / "set")


def test_a_geopackage_whose_view_sqlite_refuses_is_one_line(tmp_path):
    import geopandas as gpd

    path = tmp_path / "r.gpkg"
    gpd.GeoDataFrame({"label": ["2"]}, geometry=[box(0, 0, 1, 1)], crs=32633).to_file(path, layer="reg", driver="GPKG")
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.executescript("""
CREATE VIEW v AS SELECT fid, geom, load_extension('x.so') AS label FROM reg;
INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id)
  SELECT 'v', 'features', 'v', srs_id FROM gpkg_contents WHERE table_name = 'reg';
INSERT INTO gpkg_geometry_columns
  SELECT 'v', column_name, geometry_type_name, srs_id, z, m FROM gpkg_geometry_columns WHERE table_name = 'reg';
""")
    with pytest.raises(InputError, match=r"r\.gpkg: the reference is not readable as a vector file: .*load_extension"):
        reference_codes(read_reference(path, column="label", layer="v"))


def test_workers_without_a_loopback_interface_are_refused_at_once(tmp_path, monkeypatch):
    file, _ = two_class_world(tmp_path, size=40)
    monkeypatch.setattr(workers.socket, "create_connection", refusing(errno.ENETUNREACH))
    with pytest.raises(InputError, match="--workers 2: processes of this machine do not reach each other"):
        run(read_project(file), workers=2)


def test_leftovers_of_a_killed_comparison_or_publication_go_with_the_next_and_no_others(tmp_path):
    (tmp_path / ".compare.0123abcd.part.html").touch()
    (tmp_path / ".compare.0123abcd.part").mkdir()
    (tmp_path / ".map.0123abcd.part.tif").touch()
    (tmp_path / ".compare.txt").touch()
    sweep(tmp_path, "compare")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".compare.txt", ".map.0123abcd.part.tif"]
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".compare.txt"]


@pytest.mark.parametrize("name", ["a.txt", "folder"])
def test_what_is_written_whole_has_its_name_on_the_disk_before_anyone_is_told(tmp_path, monkeypatch, name):
    """The folder is waited for after the file took its name, and the file before."""
    seen = []
    true = os.fsync

    def watched(number):
        place = Path(f"/proc/self/fd/{number}").readlink()
        seen.append((place.name if ".part" not in place.name else "part", (tmp_path / name).exists()))
        true(number)

    monkeypatch.setattr(os, "fsync", watched)

    def write(part):
        if name == "folder":
            part.mkdir()
            (part / "inside").write_text("x")
        else:
            part.write_text("x")

    write_whole(tmp_path / name, write)
    assert seen[-1] == (tmp_path.name, True)
    assert seen[:-1] == ([("inside", False), ("part", False)] if name == "folder" else [("part", False)])


def test_a_geopackage_that_could_not_be_closed_is_not_taken_for_written(tmp_path):
    """pyogrio does not report what fails when GDAL closes a file: counts, extents and indices were lost in silence."""
    library = shims.built(shims.FAILING_CALLS, tmp_path)
    (tmp_path / "out").mkdir()
    program = f"""
import ctypes, os
from pathlib import Path
import geopandas as gpd, shapely
from landweave.patch.store import write_geopackage
shim, path = ctypes.CDLL(os.environ["LD_PRELOAD"]), Path({str(tmp_path)!r}) / "out" / "x.gpkg"
shim.counted.restype = ctypes.c_long
frame = gpd.GeoDataFrame({{"a": range(20)}}, geometry=[shapely.box(n, n, n + 1, n + 1) for n in range(20)], crs=4326)
def attempt(at):
    path.unlink(missing_ok=True)
    shim.arm(str(path.parent).encode(), ctypes.c_long(at), 5, -1)
    try:
        write_geopackage(path, lambda part: frame.to_file(part, layer="x", driver="GPKG"))
    except OSError:
        return None
    finally:
        count.append(shim.counted())
        shim.arm(b"", ctypes.c_long(-1), 0, -1)
    return path.read_bytes()
count = []
whole = attempt(-1)
results = [attempt(at) for at in range(count[0])]
print(len(results), results.count(None), sum(one not in (None, whole) for one in results))
"""
    environment = {**os.environ, "LD_PRELOAD": str(library)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100, env=environment)
    calls, refused, wrong = map(int, done.stdout.split())
    assert (calls > 100, refused > 0.9 * calls, wrong) == (True, True, 0), done.stderr
