"""The fault matrix: whatever happens to a run, what it made is made of the same bytes, and the next run ends it.

The world is a small archive in two zones. `docs/faults.md` says when all of it last ran.
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from archives import small_country, without_output

from landweave.engine.fingerprint import fingerprint_of
from landweave.runs.pipeline.driver import run
from landweave.runs.project.settings import read_project

pytestmark = pytest.mark.slow

WHOLE = (
    "map.tif", "map.tif.aux.xml", "confidence.tif", "accuracy.json", "model", "folds", "samples.parquet", "seams.json",
    "label_errors.gpkg", "label_errors.json", "agreement.json",
)  # fmt: skip
PER_PATCH = ("patches", "observations", "labels", "parts", "predictions")

SABOTEUR = """
import os, time
from landweave.runs import patchwork

victim, stage, how = os.environ["SABOTAGE"].split(":")

def sabotaged(plan, task, true=getattr(patchwork, stage)):
    if task.cell.name != victim:
        return true(plan, task)
    if how == "raise":
        raise ValueError("planted")
    hoard = []
    while True:
        hoard.append(bytearray(b"x") * 30_000_000)
        time.sleep(0.01)

if getattr(patchwork, stage).__name__ != "sabotaged":  # workers load it more than once
    setattr(patchwork, stage, sabotaged)
"""


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """The country after an undisturbed run in one process."""
    folder = small_country(tmp_path_factory.mktemp("faults") / "country", size_km=1.2, dates=5, seed=3, patch=40)
    assert run(read_project(folder), workers=1).status == 0
    return folder


@pytest.fixture
def country(quiet, tmp_path):
    return without_output(quiet, tmp_path / "country")


def made(folder):
    return {name: fingerprint_of(folder / "out" / name) for name in (*WHOLE, *PER_PATCH)}


def patches(folder, *, but):
    """Every file that belongs to one patch, but for one patch."""
    out = folder / "out"
    paths = [path for name in PER_PATCH for path in sorted((out / name).glob("*")) if not path.name.startswith(but)]
    return {str(path.relative_to(out)): fingerprint_of(path) for path in paths}


def command(folder, *options):
    return [sys.executable, "-m", "landweave", "run", str(folder), *map(str, options)]


def call(folder, *options, **settings):
    return subprocess.run(command(folder, *options), capture_output=True, text=True, check=False, **settings)


def begun(folder, *options):
    return subprocess.Popen(
        command(folder, *options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for(what, process=None, seconds=240):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return
        assert process is None or process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    raise AssertionError("it never came so far")


def count(folder, pattern):
    return len(list((folder / "out").glob(pattern)))


@contextmanager
def cluster(folder, workers=2):
    """A dask scheduler and workers, each a process of its own, as on a cluster; gives the address and the processes."""
    file = folder / f"scheduler-{random.getrandbits(32):x}.json"
    run_ = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    quiet_ = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    processes = [
        subprocess.Popen(
            [*run_, "--port", "0", "--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file)], **quiet_
        )
    ]
    try:
        wait_for(file.exists)
        run_ = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(file)]
        options = ["--nthreads", "1", "--no-dashboard", "--local-directory", str(folder / "scratch")]
        processes += [subprocess.Popen([*run_, *options], **quiet_) for _ in range(workers)]
        yield json.loads(file.read_text())["address"], processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def test_a_scheduler_and_two_workers_of_their_own_give_the_same_bytes(quiet, country, tmp_path):
    with cluster(tmp_path) as (address, _):
        done = call(country, "--scheduler", address)
        assert done.returncode == 0, done.stderr
    assert json.loads((country / "out" / "run.json").read_text())["scheduler"] == address
    assert made(country) == made(quiet)


def test_a_scheduler_that_is_killed_ends_the_run_in_one_line_and_another_takes_it_up(quiet, country, tmp_path):
    with cluster(tmp_path) as (address, processes):
        process = begun(country, "--scheduler", address)
        wait_for(lambda: count(country, "patches/*.zarr") >= 3, process)
        processes[0].kill()
        _, errors = process.communicate(timeout=240)
    assert process.returncode == 1
    line = errors.strip().splitlines()[-1]
    assert re.match(rf"landweave: the dask scheduler at {re.escape(address)} no longer answers", line), errors
    kept = count(country, "patches/*.zarr")
    with cluster(tmp_path) as (address, _):
        assert call(country, "--scheduler", address).returncode == 0
    assert made(country) == made(quiet)
    fetched = json.loads((country / "out" / "run.json").read_text())["made"]["fetch"]
    assert fetched < count(country, "patches/*.zarr") + 1
    assert kept >= 3


def test_ten_kills_of_the_main_process_at_random_moments_change_no_byte(quiet, country):
    began = time.monotonic()
    assert call(without_output(quiet, country.parent / "timed"), "--workers", 1).returncode == 0
    whole = time.monotonic() - began
    moments = random.Random(11)
    for number in range(10):
        process = begun(country, "--workers", 1 + number % 2)
        time.sleep(moments.uniform(0.1 * whole, 0.7 * whole))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert call(country, "--workers", 1).returncode == 0
    assert made(country) == made(quiet)


@pytest.mark.parametrize("limit", [1_500, 40_000])
def test_a_disk_that_takes_no_more_costs_nothing_that_was_made(quiet, country, limit):
    program = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}));"
        "sys.argv[0] = 'landweave'; from landweave.cli.app import main; main()"
    )
    full = subprocess.run(
        [sys.executable, "-c", program, "run", str(country), "--workers", "1"],
        capture_output=True, text=True, check=False, env={**os.environ, "NUMBA_CACHE_DIR": str(country / "numba")},
    )  # fmt: skip
    assert full.returncode in {1, 2}
    assert "Traceback" not in full.stderr
    assert "too large" in full.stderr or "cannot be" in full.stderr or "failed" in full.stderr, full.stderr
    assert not (country / "out" / "map.tif").exists()
    assert call(country, "--workers", 1).returncode == 0
    assert made(country) == made(quiet)


def test_a_disk_that_is_full_costs_nothing_that_was_made(quiet, country, tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be made here: {mounted.stderr.strip()}")
    try:
        text = (country / "landweave.toml").read_text()
        (country / "landweave.toml").write_text(text.replace('output = "out"', f'output = "{place / "out"}"'))
        full = call(country, "--workers", 1)
        assert full.returncode == 1
        assert "Traceback" not in full.stderr
        assert "No space left" in full.stderr or "full" in full.stderr, full.stderr
        subprocess.run(["mount", "-o", "remount,size=500m", str(place)], check=True)
        assert call(country, "--workers", 1).returncode == 0
        shutil.copytree(place / "out", country / "out")
    finally:
        subprocess.run(["umount", str(place)], check=True)
    assert made(country) == made(quiet)


def test_a_second_run_at_the_same_time_is_refused_and_harms_nothing(quiet, country):
    process = begun(country, "--workers", 1)
    wait_for(lambda: count(country, "ledger.sqlite"), process)
    second = call(country, "--workers", 1)
    assert process.poll() is None
    assert second.returncode == 2
    assert re.search(rf"another run is using this output folder \(process {process.pid} on ", second.stderr)
    process.communicate(timeout=240)
    assert process.returncode == 0
    assert made(country) == made(quiet)


def test_a_clock_that_is_set_back_remakes_nothing_and_changes_no_byte(quiet, country):
    assert call(country, "--workers", 1, "--until", "sample").returncode == 0
    # As if all this had been made ten days from now.
    later = time.time() + 864_000
    for path in (country / "out").rglob("*"):
        os.utime(path, (later, later))
    done = call(country, "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert not {"fetch", "label", "sample"} & json.loads((country / "out" / "run.json").read_text())["made"].keys()
    assert made(country) == made(quiet)
    assert "Nothing to do" in call(country, "--workers", 1).stdout


@pytest.mark.parametrize("how", ["raise", "hoard"])
@pytest.mark.parametrize("stage", ["fetch", "predict"])
def test_a_patch_that_always_fails_costs_no_other_and_the_map_is_whole_once_the_cause_is_gone(
    quiet, country, tmp_path, stage, how
):
    victim = sorted(path.stem for path in (quiet / "out" / "patches").glob("*.zarr"))[2]
    saboteur = tmp_path / "saboteur.py"
    saboteur.write_text(SABOTEUR)
    hurt = call(
        country, "--workers", 2, "--memory", "900MB",
        env={
            **os.environ, "SABOTAGE": f"{victim}:{stage}:{how}",
            "DASK_DISTRIBUTED__WORKER__PRELOAD": json.dumps([str(saboteur)]),
        },
    )  # fmt: skip
    assert hurt.returncode == 1, hurt.stderr
    why = "planted" if how == "raise" else "its worker died each time"
    assert f"failed: {stage}/{victim}: {why}" in hurt.stderr
    assert len(re.findall("^failed:", hurt.stderr, flags=re.MULTILINE)) == 1
    record = json.loads((country / "out" / "run.json").read_text())
    assert [row["what"] for row in record["failures"]] == [f"{stage}/{victim}"]
    expected = patches(quiet, but=victim)
    if stage == "fetch":
        assert "missing before train" in hurt.stderr
        assert not (country / "out" / "model").exists()
        expected = {name: of for name, of in expected.items() if name.split("/")[0] in {"patches", "observations"}}
    found = patches(country, but=victim)
    assert expected.items() <= found.items()
    assert (country / "out" / "map.tif").exists() == (stage == "predict")
    assert call(country, "--workers", 2).returncode == 0
    assert made(country) == made(quiet)
