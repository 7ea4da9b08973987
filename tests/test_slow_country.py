"""What takes longer than the daily suite allows: the default country, and many kills."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from landweave.engine.fingerprint import fingerprint_of
from landweave.runs.pipeline.driver import run
from landweave.runs.project.settings import read_project
from landweave.runs.results.run import open_run
from landweave.sources.simulated.archive.archive import write_archive

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", [42, 1])
def test_the_default_country_is_neither_easy_nor_hopeless(tmp_path, seed):
    write_archive(tmp_path, seed=seed)
    assert run(read_project(tmp_path), workers=2).status == 0
    figures = open_run(tmp_path).accuracy["against_truth"]
    assert 0.80 <= figures["overall_accuracy"]["value"] <= 0.95
    assert figures["classes"]["shrubland"]["recall"]["value"] < 0.8


def test_ten_kills_at_any_moment_change_no_byte(tmp_path):
    write_archive(tmp_path / "quiet", size_km=1.5, dates=6, seed=3)
    project = tmp_path / "quiet" / "landweave.toml"
    text = (
        project.read_text().replace("patch_size = 150", "patch_size = 25").replace("step_days = 16", "step_days = 60")
    )
    text = text.replace("per_class = 1000", "per_class = 100").replace("n_estimators = 60", "n_estimators = 8")
    project.write_text(text)
    shutil.copytree(tmp_path / "quiet", tmp_path / "killed")
    began = time.monotonic()
    assert run(read_project(tmp_path / "quiet"), workers=1).status == 0
    whole = time.monotonic() - began
    command = [sys.executable, "-m", "landweave", "run", str(tmp_path / "killed"), "--workers", "2"]
    moments = random.Random(11)
    for _ in range(10):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(moments.uniform(1.5, 1.5 + whole))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert run(read_project(tmp_path / "killed"), workers=1).status == 0
    for name in ("map.tif", "confidence.tif", "accuracy.json", "model", "samples.parquet"):
        one, other = (fingerprint_of(tmp_path / folder / "out" / name) for folder in ("quiet", "killed"))
        assert one == other, name
