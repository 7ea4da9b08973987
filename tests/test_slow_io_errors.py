"""Every kind of call that changes the output folder fails once: one line, and a rerun gives the bytes of no failure.

The run is done by forks of one process in which all is imported, as there are hundreds of them. A call's kind is what is
done to which file; the first and the last call of each kind fail. ``LANDWEAVE_EVERY_CALL=1`` lets every single one fail.
"""

import errno
import json
import os
import re
import subprocess
import sys

import pytest
import shims
from worlds import two_class_world

pytestmark = pytest.mark.slow

HARNESS = r'''
import ctypes, json, os, shutil, sys, tempfile
from pathlib import Path

import geopandas, lightgbm, pandas, pyogrio, rasterio, sklearn.metrics, xarray, zarr  # so that forks need not
import landweave.cli.app, landweave.runs.pipeline.driver, landweave.runs.pipeline.stages, landweave.runs.train.models
import landweave.runs.results.run, landweave.runs.report.page, landweave.runs.validate.accuracy

shim = ctypes.CDLL(os.environ["LD_PRELOAD"])
world, asked = Path(sys.argv[1]), json.loads(sys.argv[2])


def attempt(at=-1, number=0, diary=-1):
    """A run in a fork; its status and what it said on stderr."""
    with tempfile.TemporaryFile() as said:
        pid = os.fork()
        if not pid:
            os.dup2(said.fileno(), 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.argv = ["landweave", "run", str(world), "--workers", "1"]
            shim.arm(str(world / "out").encode(), ctypes.c_long(at), number, diary)
            status = 99
            try:
                landweave.cli.app.main()
                status = 0
            except SystemExit as end:
                status = end.code or 0
            except BaseException:
                import traceback
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        said.seek(0)
        return status, said.read().decode(errors="replace")


def made():
    from landweave.engine.fingerprint import fingerprint_of
    names = ["map.tif", "confidence.tif", "accuracy.json", "model", "samples.parquet", "label_errors.gpkg", "predictions", "labels", "observations", "patches", "grid.gpkg"]
    out = world / "out"
    leftovers = [str(path) for path in out.rglob("*.part*") if path.suffix != ".part"]
    return {**{name: fingerprint_of(out / name) for name in names if (out / name).exists()}, "leftovers": leftovers}


if asked == "list":
    with tempfile.TemporaryFile() as diary:
        status, said = attempt(diary=diary.fileno())
        diary.seek(0)
        calls = [line.split("\t") for line in diary.read().decode().splitlines()]
    print(json.dumps({"status": status, "said": said, "calls": calls, "made": made()}))
else:
    for at, number in asked:
        shutil.rmtree(world / "out", ignore_errors=True)
        first = attempt(at, number)
        again = attempt()
        print(json.dumps({"at": at, "number": number, "first": first, "again": again, "made": made()}), flush=True)
'''


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    file, _ = two_class_world(tmp_path_factory.mktemp("io"), size=40, source='clouds = "none"\nstore = true')
    return file.parent


@pytest.fixture(scope="module")
def harness(world, tmp_path_factory):
    library = shims.built(shims.FAILING_CALLS, tmp_path_factory.mktemp("shim"))
    environment = {**os.environ, "LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1"}

    def call(asked):
        command = [sys.executable, "-c", HARNESS, str(world), json.dumps(asked)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return call


@pytest.fixture(scope="module")
def undisturbed(harness):
    (found,) = harness("list")
    assert found["status"] == 0, found["said"]
    assert len(found["calls"]) > 200
    return found


def kinds(calls):
    """Numbers of the calls that fail: the first and the last of each kind."""
    if os.environ.get("LANDWEAVE_EVERY_CALL"):
        return list(range(len(calls)))
    seen = {}
    for number, (call, path) in enumerate(calls):
        # Of a patch's Zarr all arrays are written alike.
        inside = re.sub(r"(\.zarr)/.*(?=\.|/c/)", r"\1", path.split("/out", 1)[1])
        plain = re.sub(r"[0-9a-f]{8,}|x\d+y\d+|\d+", "#", inside)
        seen.setdefault((call, plain), []).append(number)
    return sorted({number for numbers in seen.values() for number in (numbers[0], numbers[-1])})


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
def test_after_any_failing_call_there_is_one_line_and_the_next_run_ends_the_job(harness, undisturbed, number):
    chosen = kinds(undisturbed["calls"])
    wrong = []
    for found in harness([[at, number] for at in chosen]):
        call = undisturbed["calls"][found["at"]]
        status, said = found["first"]
        if (
            status not in {0, 1, 2}
            or "Traceback" in said
            or (status and not re.search("landweave: |failed: |stopped: ", said))
        ):
            wrong.append((call, status, said[-400:]))
        if found["again"][0] or found["made"] != undisturbed["made"]:
            wrong.append((call, "rerun", found["again"][0], found["again"][1][-400:]))
    assert not wrong, f"{len(wrong)} of {len(chosen)}: " + "\n".join(map(str, wrong[:20]))
