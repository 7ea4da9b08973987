"""The ledger: what was made, and is it still so?"""

import contextlib
import errno
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
import shims
from hypothesis import given
from hypothesis import strategies as st

from landweave.engine import fingerprint as fingerprints
from landweave.engine import ledger as ledgers
from landweave.engine import lock
from landweave.engine.fingerprint import fingerprint, fingerprint_of
from landweave.engine.ledger import DONE, FAILED, Ledger
from landweave.engine.lock import BusyError, LedgerError

INPUTS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["1", "2"]))


@given(INPUTS, INPUTS)
def test_stale_names_exactly_the_inputs_that_differ(tmp_path_factory, made_from, asked_for):
    with Ledger(tmp_path_factory.mktemp("ledger") / "ledger.sqlite") as ledger:
        ledger.done("key", inputs=made_from, files=[], info={})
        differing = [k for k in "abcd" if made_from.get(k) != asked_for.get(k)]
        assert ledger.stale("key", asked_for) == (f"{', '.join(differing)} changed" if differing else None)


def test_entries_are_found_by_prefix_and_outlive_the_process(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.done("fetch/b", inputs={"x": "1"}, files=[], info={"n": [1, None, "ž"]})
        ledger.failed("fetch/a", inputs={"x": "1"}, error="last", log="first\nlast")
        ledger.done("train", inputs={}, files=[], info={})
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert [entry.key for entry in ledger.entries()] == ["fetch/a", "fetch/b", "train"]
        first, second = ledger.entries("fetch/")
        assert (first.state, first.info) == (FAILED, {"error": "last", "log": "first\nlast"})
        assert (second.state, second.info["n"], second.inputs) == (DONE, [1, None, "ž"], {"x": "1"})
        assert ledger.get("fetch/c") is None


def test_what_failed_is_fresh_once_it_is_made(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.failed("a", inputs={}, error="no luck", log="")
        assert ledger.stale("a", {}) == "failed: no luck"
        ledger.done("a", inputs={}, files=[], info={})
        assert ledger.stale("a", {}) is None
        assert len(ledger.entries()) == 1


def test_what_was_never_written_cannot_be_recorded(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        with pytest.raises(FileNotFoundError):
            ledger.done("a", inputs={}, files=["a.tif"], info={})
        assert ledger.stale("a", {}) == "not made yet"


@pytest.mark.parametrize("harm", ["add", "drop", "rename", "change", "remove"])
def test_a_folder_is_fresh_only_while_all_its_files_are_as_written(tmp_path, harm):
    folder = tmp_path / "model"
    folder.mkdir()
    for name in "ab":
        (folder / name).write_text(name * 100)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.done("train", inputs={}, files=["model"], info={})
        assert ledger.stale("train", {}) is None
        if harm == "add":
            (folder / "c").touch()
        elif harm == "drop":
            (folder / "a").unlink()
        elif harm == "rename":
            (folder / "a").rename(folder / "c")
        elif harm == "change":
            (folder / "a").write_text("b" * 100)
        else:
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
        assert ledger.stale("train", {}) == f"model is {'gone' if harm == 'remove' else 'not what was written'}"


def test_the_holders_death_frees_the_ledger(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from landweave.engine.ledger import Ledger;"
        "ledger = Ledger(Path(sys.argv[1]) / 'ledger.sqlite'); ledger.done('a', inputs={}, files=[], info={}); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == 9
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.stale("a", {}) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(st.text(max_size=3), parts, max_size=4),
    max_leaves=12,
)


def reordered(value):
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(part) for part in value] if isinstance(value, list) else value


@given(JSON)
def test_a_fingerprint_depends_on_no_order_of_keys_at_any_depth(value):
    assert fingerprint(value) == fingerprint(reordered(value))


@pytest.mark.parametrize(
    ("one", "two"), [(1, "1"), (1, True), (None, 0), ([1, 2], [2, 1]), ({"a": 1}, {"a": 2}), ([], {}), ("a", ["a"])]
)
def test_values_that_differ_have_different_fingerprints(one, two):
    assert fingerprint(one) != fingerprint(two)


@given(st.binary(max_size=50), st.integers(0, 49))
def test_one_byte_less_is_another_file(tmp_path_factory, content, cut):
    path = tmp_path_factory.mktemp("files") / "a"
    path.write_bytes(content)
    whole = fingerprint_of(path)
    path.write_bytes(content[:cut])
    assert (fingerprint_of(path) == whole) == (cut >= len(content))


@pytest.fixture
def counted(monkeypatch):
    """Paths that are read for their fingerprints."""
    paths = []

    def read(path):
        paths.append(path.name)
        return fingerprint_of(path)

    for module in (ledgers, fingerprints):
        monkeypatch.setattr(module, "fingerprint_of", read)
    return paths


def with_two_outputs(folder):
    (folder / "stack").mkdir()
    (folder / "stack" / "a").write_text("abc")
    (folder / "map").write_text("def")
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.done("fetch", inputs={}, files=["stack", "map"], info={})


def test_what_nobody_touched_is_not_read_again(tmp_path, counted):
    with_two_outputs(tmp_path)
    assert counted == ["stack", "a", "map"]
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.stale("fetch", {}) is None
    with Ledger(tmp_path / "ledger.sqlite", exclusive=False) as ledger:
        assert ledger.stale("fetch", {}) is None
    assert counted == ["stack", "a", "map"]
    with Ledger(tmp_path / "ledger.sqlite", check_files=True) as ledger:
        assert ledger.stale("fetch", {}) is None
    assert counted == ["stack", "a", "map"] * 2


@pytest.mark.parametrize("victim", ["map", "stack/a"])
@pytest.mark.parametrize("how", ["in place", "replaced"])
def test_a_file_of_the_same_size_and_time_is_not_believed(tmp_path, victim, how):
    with_two_outputs(tmp_path)
    told = (tmp_path / victim).stat()
    if how == "replaced":
        (tmp_path / "other").write_text("xyz")
        (tmp_path / "other").replace(tmp_path / victim)
    else:
        (tmp_path / victim).write_text("xyz")
    os.utime(tmp_path / victim, ns=(told.st_atime_ns, told.st_mtime_ns))
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.stale("fetch", {}) == f"{victim.split('/')[0]} is not what was written"


def test_a_file_that_only_moved_is_read_once_more(tmp_path, counted):
    with_two_outputs(tmp_path)
    (tmp_path / "map").rename(tmp_path / "away")
    (tmp_path / "away").rename(tmp_path / "map")
    for _ in range(3):
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            assert ledger.stale("fetch", {}) is None
    assert counted == ["stack", "a", "map", "map"]


def test_where_the_disk_lies_about_files_all_of_them_can_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr(ledgers, "file_stamp", lambda path: "always the same")
    with_two_outputs(tmp_path)
    (tmp_path / "map").write_text("xyz")
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.stale("fetch", {}) is None
    for exclusive in (True, False):
        with Ledger(tmp_path / "ledger.sqlite", exclusive=exclusive, check_files=True) as ledger:
            assert ledger.stale("fetch", {}) == "map is not what was written"


def test_within_a_second_of_a_coarse_clock_nothing_is_remembered(tmp_path, counted):
    with_two_outputs(tmp_path)
    now = int(time.time())
    os.utime(tmp_path / "map", (now, now))
    for _ in range(2):
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            assert ledger.stale("fetch", {}) is None
    assert counted == ["stack", "a", "map", "map", "map"]


def record(folder, **holder):
    (folder / "ledger.lock").write_bytes(json.dumps({"pid": 1, "token": "t", "beat": 0, **holder}).encode().ljust(512))


def test_the_lock_of_a_machine_that_shows_no_life_is_taken_over(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.02)
    record(tmp_path, host="elsewhere", boot="another")
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.done("a", inputs={}, files=[], info={})
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.stale("a", {}) is None


def test_the_lock_of_a_machine_that_lives_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.05)
    over = threading.Event()

    def live():
        beat = 0
        while not over.wait(0.05):
            beat += 1
            record(tmp_path, host="elsewhere", boot="another", beat=beat)

    record(tmp_path, host="elsewhere", boot="another")
    thread = threading.Thread(target=live)
    thread.start()
    try:
        with pytest.raises(BusyError, match=r"another run is using .* \(process 1 on elsewhere\)"):
            Ledger(tmp_path / "ledger.sqlite")
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("change", [{"boot": "before"}, {}], ids=["started anew", "same kernel"])
def test_a_dead_process_of_this_machine_holds_nothing_and_is_not_waited_for(tmp_path, change):
    with Ledger(tmp_path / "ledger.sqlite"):
        mine = json.loads((tmp_path / "ledger.lock").read_bytes())
    record(tmp_path, host=mine["host"], **{"boot": mine["boot"], **change})
    began = time.monotonic()
    with Ledger(tmp_path / "ledger.sqlite"):
        assert time.monotonic() - began < lock.BEAT / 2


def test_a_run_that_was_taken_for_dead_writes_nothing_more(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.done("a", inputs={}, files=[], info={})
        record(tmp_path, host="elsewhere", boot="another")
        with pytest.raises(LedgerError, match="took over this output folder"):
            ledger.done("b", inputs={}, files=[], info={})
    with Ledger(tmp_path / "ledger.sqlite", exclusive=False) as ledger:
        assert [entry.key for entry in ledger.entries()] == ["a"]
    assert json.loads((tmp_path / "ledger.lock").read_bytes())["host"] == "elsewhere"


def test_who_is_refused_is_told_by_whom(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite"), pytest.raises(BusyError, match=rf"process {os.getpid()} on "):
        Ledger(tmp_path / "ledger.sqlite")
    assert (tmp_path / "ledger.lock").stat().st_size == 512
    assert json.loads((tmp_path / "ledger.lock").read_bytes()) == {}


def test_each_entry_keeps_the_versions_that_made_it(tmp_path):
    path, old, new = tmp_path / "ledger.sqlite", {"zarr": "3.0"}, {"zarr": "3.1"}
    (tmp_path / "x").touch()
    with Ledger(path, versions=old) as ledger:
        for key in "abc":
            ledger.done(key, inputs={}, files=["x"], info={})
        ledger.failed("d", inputs={}, error="", log="")
    with Ledger(path, versions=new) as ledger:
        ledger.done("b", inputs={}, files=[], info={})
        ledger.let_go("c", "x")
        assert ledger.versions() == {"a": old, "b": new, "c": old}, "letting a file go makes nothing"
    with Ledger(path, exclusive=False) as ledger:
        assert ledger.versions() == {"a": old, "b": new, "c": old}


OLD_TABLES = """
CREATE TABLE entries (key TEXT PRIMARY KEY, state TEXT, inputs TEXT, files TEXT, info TEXT);
INSERT INTO entries VALUES ('a', 'done', '{}', '{}', '{}'), ('b', 'failed', '{}', '{}', '{"error": "e"}');
"""


def sqlite(path, script):
    with contextlib.closing(sqlite3.connect(path)) as file:
        return file.executescript(script).fetchall()


def test_a_ledger_of_form_1_is_read_and_brought_to_form_2(tmp_path):
    path = tmp_path / "ledger.sqlite"
    sqlite(path, OLD_TABLES)
    with Ledger(path, exclusive=False) as ledger:
        assert (ledger.versions(), ledger.get("a").state) == ({"a": {}}, DONE)
    with Ledger(path, versions={"zarr": "3.1"}) as ledger:
        assert ledger.versions() == {"a": {}}
        assert ledger.adopt({"zarr": "3.0"}) == 1
        assert ledger.adopt({"zarr": "2.0"}) == 0, "what is known is left"
        assert ledger.versions() == {"a": {"zarr": "3.0"}}
    with contextlib.closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (2,)


def test_an_entry_that_older_software_writes_again_is_of_unknown_versions(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with Ledger(path, versions={"zarr": "3.1"}) as ledger:
        ledger.done("a", inputs={}, files=[], info={})
    sqlite(path, "INSERT OR REPLACE INTO entries VALUES ('a', 'done', '{}', '{}', '{\"n\": 1}')")
    with Ledger(path) as ledger:
        assert (ledger.get("a").info, ledger.versions()) == ({"n": 1}, {"a": {}})


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("PRAGMA user_version=3", r"written by a newer landweave \(form 3; this one knows up to 2\)"),
        ("UPDATE entries SET info = '{' WHERE key = 'a'", "row of 'a' is no JSON object"),
        ("UPDATE entries SET files = '[]' WHERE key = 'a'", "row of 'a' is no JSON object"),
        ("UPDATE entries SET inputs = NULL WHERE key = 'a'", "row of 'a' is no JSON object"),
        (f"UPDATE entries SET info = '{'[' * 100_000}'", "row of 'a' is no JSON object"),
        ("DROP TABLE entries; CREATE TABLE entries (key TEXT PRIMARY KEY, state TEXT)", "damaged; delete it"),
    ],
)
def test_a_ledger_that_cannot_be_read_is_one_line(tmp_path, script, said, exclusive):
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.done("a", inputs={}, files=[], info={})
    sqlite(path, script)
    with pytest.raises(LedgerError, match=said), Ledger(path, exclusive=exclusive) as ledger:
        ledger.entries()


@pytest.mark.parametrize("number", [errno.EIO, errno.EINVAL, errno.EMFILE])
def test_a_lock_that_the_machine_refuses_is_no_other_run(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with pytest.raises(OSError, match=os.strerror(number)) as told:
        Ledger(tmp_path / "ledger.sqlite")
    assert told.value.filename.endswith("ledger.lock")
    assert not isinstance(told.value, LedgerError)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_lock_that_cannot_be_written_names_its_file_and_the_reason(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(lock.os, "pwrite", refuse)
    with pytest.raises(OSError, match=os.strerror(number)) as told:
        Ledger(tmp_path / "ledger.sqlite")
    assert told.value.filename.endswith("ledger.lock")


@pytest.mark.parametrize(
    ("code", "number"),
    [("SQLITE_FULL", errno.ENOSPC), ("SQLITE_IOERR_READ", errno.EIO), ("SQLITE_CANTOPEN", errno.EIO)],
)
def test_a_ledger_on_a_failing_disk_is_not_called_damaged(tmp_path, code, number):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        error = sqlite3.OperationalError("it failed")
        error.sqlite_errorcode = getattr(sqlite3, code)
        told = ledger._unusable(error)
    assert (told.errno, told.filename) == (number, str(tmp_path / "ledger.sqlite"))


@pytest.fixture(scope="module")
def without_locks(tmp_path_factory):
    return shims.built(shims.NO_LOCKS, tmp_path_factory.mktemp("shim"))


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_keeps_a_ledger_and_still_one_writer(tmp_path, without_locks, number):
    code = """
import sys; from pathlib import Path; from landweave.engine.ledger import Ledger; from landweave.engine.lock import BusyError
path = Path(sys.argv[1]) / "ledger.sqlite"
with Ledger(path) as ledger:
    ledger.done("a", inputs={}, files=[], info={"n": 1})
    try:
        Ledger(path)
    except BusyError:
        print("busy")
with Ledger(path, exclusive=False) as ledger:
    print(ledger.get("a").info["n"])
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    environment = {**os.environ, "LD_PRELOAD": str(without_locks), "NOLOCK": str(number)}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=60)
    assert (done.stdout.split(), done.stderr) == (["busy", "1"], "")
