"""Which versions made what: kept with each output, never replaced by those that only looked."""

import json
import sqlite3

import pytest
from worlds import two_class_world

from landweave.runs.pipeline import record
from landweave.runs.pipeline.driver import run
from landweave.runs.pipeline.outcome import Quiet
from landweave.runs.pipeline.state import Options
from landweave.runs.pipeline.status import status_lines
from landweave.runs.project.settings import read_project

TRUE_VERSION = record._version


class Heard(Quiet):
    def __init__(self):
        self.lines = []

    def tell(self, line):
        self.lines.append(line)


@pytest.fixture
def upgrade(monkeypatch):
    """Make some package another version."""

    def to(**versions):
        monkeypatch.setattr(record, "_version", lambda name: versions.get(name) or TRUE_VERSION(name))

    return to


def told(folder):
    content = json.loads((folder / "out" / "run.json").read_text())
    return {name: content["versions"][name] for name in ("lightgbm", "rasterio", "zarr")}


def test_a_run_that_makes_nothing_leaves_the_versions_that_made_the_outputs(tmp_path, upgrade):
    file = two_class_world(tmp_path, size=40)[0]
    first = run(read_project(file))
    assert not [line for line in first.notices if "version" in line]
    before = told(tmp_path)
    upgrade(lightgbm="9.9.9", rasterio="9.9.8")
    again = run(read_project(file))
    assert (again.made, told(tmp_path)) == ({}, before)
    (notice,) = [line for line in again.notices if "version" in line]
    assert f"rasterio {before['rasterio']} (now 9.9.8), lightgbm {before['lightgbm']} (now 9.9.9)" in notice
    assert "They are kept" in notice
    assert "mix" not in notice


def test_outputs_of_two_versions_are_told_by_run_record_and_status(tmp_path, upgrade):
    file = two_class_world(tmp_path, size=40)[0]
    run(read_project(file), options=Options(until="sample"))
    old = told(tmp_path)["rasterio"]
    upgrade(rasterio="9.9.8")
    result = run(read_project(file))
    (notice,) = [line for line in result.notices if "version" in line]
    assert notice.startswith("Made by other versions than the installed ones: ")
    assert f"fetch (4), label (4), sample (5) by rasterio {old} (now 9.9.8)" in notice
    assert "The outputs mix versions" in notice
    assert notice in "\n".join(status_lines(read_project(file)))
    content = json.loads((tmp_path / "out" / "run.json").read_text())
    assert set(content["versions"]["rasterio"].split(", ")) == {old, "9.9.8"}
    made_by = {part["versions"]["rasterio"]: part["entries"] for part in content["made_by"]}
    assert (made_by[old]["fetch"], made_by["9.9.8"]["predict"]) == (4, 5)
    assert "predict" not in made_by[old]


def test_a_ledger_without_versions_takes_those_of_its_record(tmp_path, upgrade):
    file = two_class_world(tmp_path, size=40)[0]
    run(read_project(file))
    before = told(tmp_path)
    with sqlite3.connect(tmp_path / "out" / "ledger.sqlite") as ledger:
        ledger.executescript("DROP TRIGGER unknown; DROP TABLE made_by; DROP TABLE versions; PRAGMA user_version=0")
    path = tmp_path / "out" / "run.json"
    content = json.loads(path.read_text())
    del content["made_by"]
    path.write_text(json.dumps(content))
    upgrade(zarr="9.9.9")
    heard = Heard()
    result = run(read_project(file), progress=heard)
    assert (result.made, told(tmp_path)) == ({}, before)
    assert any("older landweave" in line for line in heard.lines)
    assert any(f"zarr {before['zarr']} (now 9.9.9)" in line for line in result.notices)


def test_versions_that_nobody_knows_are_called_unknown(tmp_path):
    file = two_class_world(tmp_path, size=40)[0]
    run(read_project(file))
    with sqlite3.connect(tmp_path / "out" / "ledger.sqlite") as ledger:
        ledger.execute("DELETE FROM made_by WHERE key LIKE 'fetch/%'")
    result = run(read_project(file))
    (notice,) = [line for line in result.notices if "version" in line]
    assert notice == "Made by unknown versions, as an older landweave noted none: fetch (4)."
