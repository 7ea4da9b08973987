"""What ends a run, or comes between it and its folder, leaves no map of two runs and no riddle."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from test_bad_input import full_disk
from worlds import two_class_world

from landweave.engine import executor, machine
from landweave.engine.executor import open_engine
from landweave.engine.ledger import Ledger
from landweave.engine.lock import LedgerError
from landweave.engine.machine import usable_memory
from landweave.errors import InputError
from landweave.maps import mosaic
from landweave.runs.pipeline import forecast as forecasting
from landweave.runs.pipeline.driver import run
from landweave.runs.pipeline.forecast import forecast
from landweave.runs.pipeline.outcome import Quiet
from landweave.runs.pipeline.state import Options
from landweave.runs.project.settings import read_project
from landweave.runs.train import models as learning

KEPT = []


def process(_):
    """Where the task ran."""
    return os.getpid()


def fill(megabytes):
    """Hold so many for good, once, and be long enough for the worker's watch to look."""
    if not KEPT:
        KEPT.append(np.ones(megabytes * 125_000))
    time.sleep(0.4)
    return len(KEPT)


@pytest.fixture
def world(tmp_path):
    return two_class_world(tmp_path)[0]


def test_a_worker_near_its_ceiling_works_on(monkeypatch):
    """dask pauses it at four fifths, for good where what it holds does not become less."""
    with open_engine(workers=1, memory="700MB") as engine:
        done = list(engine.run(fill, [(str(n), 420) for n in range(8)]))
    assert [o.value for o in done] == [1] * 8
    assert max(o.peak_bytes for o in done) > 0.8 * 700e6, "the watch had a reason"


def test_what_may_end_its_process_does_not_run_in_the_one_that_asks():
    with open_engine(workers=2) as engine:
        ((_, here),) = [(o.name, o.value) for o in engine.run(process, [("a", 0)])]
        ((_, apart),) = [(o.name, o.value) for o in engine.run(process, [("a", 0)], apart=True)]
    assert here == os.getpid() != apart
    with open_engine(workers=1, memory="2GB") as engine:
        assert {o.value for o in engine.run(process, [("a", 0), ("b", 0)])} != {os.getpid()}, "a ceiling can be kept"


def test_a_scheduler_without_a_worker_is_not_waited_for(world, monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr(executor, "PATIENCE", 1)
    with (
        LocalCluster(n_workers=0, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=None) as cluster,
        pytest.raises(InputError, match="has no worker; start some by `dask worker tcp://"),
    ):
        run(read_project(world), scheduler=cluster.scheduler_address)


def test_workers_of_another_version_are_refused(world, monkeypatch):
    from landweave.runs.pipeline import driver

    answers = [{"landweave": "1", "numpy": "2.0"}, {"landweave": "1", "numpy": "1.9"}]
    monkeypatch.setattr(driver, "versions", lambda: answers[0])
    monkeypatch.setattr(executor.Engine, "reach", lambda self: None)
    monkeypatch.setattr(executor.Engine, "on_workers", lambda self, work: answers)
    with pytest.raises(InputError, match=r"numpy 1\.9 \(here 2\.0\)"):
        run(read_project(world), scheduler="tcp://127.0.0.1:1")


def test_training_again_that_is_broken_off_is_taken_up_and_no_map_has_two_models(world, monkeypatch):
    """A model that lacks patches is frozen; once training again has begun, there is no model to be frozen."""
    with monkeypatch.context() as patched:
        full_disk(patched, "labels/x0001y0001.tif")
        run(read_project(world), options=Options(allow_missing=True))
    assert run(read_project(world)).status == 0
    world.write_text(world.read_text().replace("n_estimators = 15", "n_estimators = 3"))

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        # After the new models stand there, before the ledger knows.
        patched.setattr(learning, "write_held_out", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(read_project(world), options=Options(retrain=True))
    done = run(read_project(world))
    assert done.status == 0
    assert done.made["train"] == 1
    model = json.loads((world.parent / "out" / "model" / "model.json").read_bytes())
    assert model["provenance"]["missing"] == []
    shutil.copytree(world.parent, world.parent.parent / "fresh", ignore=shutil.ignore_patterns("out"))
    assert run(read_project(world.parent.parent / "fresh")).status == 0
    for name in ("map.tif", "accuracy.json"):
        assert (world.parent / "out" / name).read_bytes() == (world.parent.parent / "fresh" / "out" / name).read_bytes()


class TakenAt(Quiet):
    """Another run takes the folder over when a stage begins."""

    def __init__(self, stage, folder):
        self.stage, self.folder, self.before = stage, folder, {}

    def start(self, stage, total, todo):
        if stage == self.stage:
            self.before = {path.name: path.read_bytes() for path in self.folder.iterdir() if path.is_file()}
            holder = json.dumps({"host": "elsewhere", "boot": "other", "pid": 1, "token": "t", "beat": 0})
            self.before["ledger.lock"] = holder.encode().ljust(512)
            (self.folder / "ledger.lock").write_bytes(self.before["ledger.lock"])


def test_a_run_whose_folder_was_taken_over_leaves_map_and_record_as_they_are(world):
    run(read_project(world))
    out = world.parent / "out"
    (out / "map.tif").write_bytes(b"of the other run")
    taken = TakenAt("mosaic", out)
    with pytest.raises(LedgerError, match="took over this output folder"):
        run(read_project(world), progress=taken)
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == taken.before


def test_what_a_killed_mosaic_leaves_goes_with_the_next_run(world, monkeypatch):
    run(read_project(world))
    left, made = [], mosaic.tempfile.TemporaryDirectory

    def killed(**where):
        # What a kill leaves: the folder, and nobody who cleans it.
        left.append(Path(where["dir"]) / f"{where['prefix']}abc")
        left[0].mkdir()
        return made(**where)

    monkeypatch.setattr(mosaic.tempfile, "TemporaryDirectory", killed)
    (world.parent / "out" / "map.tif").unlink()
    run(read_project(world))
    assert left[0].exists()
    monkeypatch.undo()
    run(read_project(world))
    assert not left[0].exists()


def test_a_patch_that_cannot_be_read_does_not_stop_what_may_go_on_without_it(world, monkeypatch):
    def runs(suffix, **options):
        with monkeypatch.context() as patched:
            full_disk(patched, suffix, InputError("B08.tif: cannot be read"))
            return run(read_project(world), options=Options(**options))

    with pytest.raises(InputError, match=r"B08\.tif: cannot be read"):
        runs("labels/x0001y0001.tif")
    allowed = runs("labels/x0001y0001.tif", allow_missing=True)
    assert (allowed.status, [what for what, _ in allowed.failures]) == (1, ["label/x0001y0001"])
    assert run(read_project(world), options=Options(retrain=True)).status == 0
    shutil.rmtree(world.parent / "out" / "predictions")
    mapped = runs("predictions/x0001y0001.tif")
    assert (mapped.status, [what for what, _ in mapped.failures]) == (1, ["predict/x0001y0001"])
    assert "mosaic" in mapped.made


def test_a_trial_that_cannot_read_is_one_line(world, monkeypatch):
    def broken(*_):
        raise RuntimeError("B04.tif: damaged")

    monkeypatch.setattr(forecasting, "fetch", broken)
    with pytest.raises(InputError, match=r"landweave\.toml: a trial on patch x\d+y\d+ failed: B04\.tif: damaged"):
        forecast(read_project(world), workers=1)


def test_a_ledger_damaged_within_is_told_and_not_dumped(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        for number in range(400):
            ledger.done(f"fetch/{number:04}", inputs={"a": "b" * 200}, files=[], info={})
    path = tmp_path / "ledger.sqlite"
    content = bytearray(path.read_bytes())
    content[8192:-8192] = bytes(len(content) - 16384)
    path.write_bytes(content)
    with (
        Ledger(tmp_path / "ledger.sqlite") as ledger,
        pytest.raises(LedgerError, match=r"ledger\.sqlite: cannot be used"),
    ):
        ledger.entries()


def test_a_ledger_that_was_cut_off_is_looked_at_without_the_advice_to_delete_it(tmp_path):
    """A journal that waits to be rolled back needs a writer; who only looks is none."""
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.done("a", inputs={}, files=[], info={})
    code = """
import os, sqlite3, sys
file = sqlite3.connect(sys.argv[1])
file.execute("PRAGMA cache_size=1")
file.execute("PRAGMA cache_spill=1")
file.execute("BEGIN")
file.executemany("INSERT INTO entries VALUES (?, 'done', '{}', '{}', '{}')", [(f"{n}" * 50,) for n in range(2000)])
os._exit(9)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "ledger.sqlite")], check=False)
    assert (tmp_path / "ledger.sqlite-journal").exists()
    (tmp_path / "ledger.sqlite").chmod(0o400)
    if os.access(tmp_path / "ledger.sqlite", os.W_OK):
        # Who may do everything is stopped by the mode of opening alone.
        with pytest.raises((LedgerError, sqlite3.DatabaseError)) as told:
            Ledger(tmp_path / "ledger.sqlite", exclusive=False)
        assert "delete" not in str(told.value)
        assert "`landweave run` sets it right" in str(told.value)
    (tmp_path / "ledger.sqlite").chmod(0o600)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert [entry.key for entry in ledger.entries()] == ["a"]


@pytest.mark.parametrize(("line", "file"), [
    ("0::/slice/job", "slice/job/memory.max"),
    ("0::/slice/job", "slice/memory.max"),
    ("9:memory:/job", "memory/job/memory.limit_in_bytes"),
    ("9:memory:/", "memory/memory.limit_in_bytes"),
])  # fmt: skip
def test_a_batch_jobs_limit_counts_wherever_it_is_set(tmp_path, monkeypatch, line, file):
    monkeypatch.setattr(machine, "_LIMITS", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "_OWN", tmp_path / "own")
    (tmp_path / "own").write_text(f"1:cpu:/x\n{line}\n")
    (tmp_path / "cgroup" / file).parent.mkdir(parents=True)
    (tmp_path / "cgroup" / file).write_text("1000000\n")
    assert usable_memory() == 1_000_000


def test_ctrl_c_in_a_terminal_is_one_line_whatever_the_workers_do(tmp_path):
    """A terminal interrupts all processes of a command at once."""
    project, _ = two_class_world(tmp_path, size=240)
    command = [sys.executable, "-m", "landweave", "run", str(project), "--workers", "2"]
    # Whoever runs these tests in the background has told them to ignore interrupts.
    begun = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
    )  # fmt: skip
    end = time.monotonic() + 60
    fetched = tmp_path / "out" / "labels"
    while not (fetched.exists() and any(fetched.iterdir())) and time.monotonic() < end and begun.poll() is None:
        time.sleep(0.02)
    os.killpg(begun.pid, signal.SIGINT)
    _, told = begun.communicate(timeout=60)
    lines = [line for line in told.splitlines() if line.strip()]
    assert begun.returncode == 130, told
    assert lines[-1].startswith("landweave: Interrupted")
    assert "Traceback" not in told
