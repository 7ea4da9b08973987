"""Folders with odd names, and disks that cannot be written to."""

import os

import pytest
from test_machine_faults import with_polygons

from landweave.errors import InputError
from landweave.runs.pipeline.driver import run
from landweave.runs.pipeline.status import status_lines
from landweave.runs.project.settings import read_project
from landweave.runs.publish.dataset import publish_dataset
from landweave.runs.results.compare import compare
from landweave.viewer.server import open_view

ODD = [
    "a#b",
    "a%20b",
    "a b",
    "ä",
    "a?b",
    "a'b\"c",
    "a[b]*{c}",
    "a:b;c",
    "a\\b",
    "-a",
    "~a|&=@,$",
    "🌲",
    "a.zip",
    "a.zarr",
]


@pytest.mark.parametrize("name", ["a#b", "a%20b", "a b ä"])
def test_a_project_in_a_folder_with_an_odd_name_runs_and_is_compared_viewed_and_shared(tmp_path, name):
    file = with_polygons(tmp_path / name)
    assert run(read_project(file)).status == 0
    assert all("done" in line for line in status_lines(read_project(file)))
    assert all(path.exists() for path in compare(file).files)
    assert open_view(file).description["layers"]
    shared = publish_dataset(file, tmp_path / name / f"set {name}")
    assert read_project(shared / "landweave.toml").name == "two-class"


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD)
def test_other_odd_names(tmp_path, name):
    test_a_project_in_a_folder_with_an_odd_name_runs_and_is_compared_viewed_and_shared(tmp_path, name)


@pytest.mark.parametrize("name", ["a!b", "a\nb", "a\tb"])
def test_a_name_that_readers_of_vectors_would_change_is_refused_before_anything_is_made(tmp_path, name):
    file = with_polygons(tmp_path / "world")
    (tmp_path / "world").rename(tmp_path / name)
    with pytest.raises(InputError, match="rename the folder"):
        read_project(tmp_path / name / file.name)


def all_of(folder):
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}


@pytest.mark.parametrize("viewed", [False, True], ids=["first view", "maps made before"])
def test_a_finished_run_on_a_disk_that_is_read_only_can_be_viewed(tmp_path, monkeypatch, viewed):
    file = with_polygons(tmp_path / "world")
    run(read_project(file))
    if viewed:
        open_view(file)
    before = all_of(tmp_path / "world")
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK or "world" not in str(path))
    view = open_view(file)
    assert {layer["id"] for layer in view.description["layers"]} >= {"prediction", "reference", "disagreement"}
    zoom = view.tiles.natural_zoom
    assert all(view.tiles.values(name, zoom, 0, 0) is None for name in ("prediction", "reference"))
    assert all_of(tmp_path / "world") == before
    assert ("world" in str(view.tiles.files["reference"])) == viewed
    again = open_view(file)
    assert again.tiles.files == view.tiles.files
