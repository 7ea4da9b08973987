"""eo-learn 1.5.7 in an environment of its own, for tests that hold ours against it."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

PINS = Path(__file__).parents[1] / "benchmarks" / "eolearn-requirements.txt"


def interpreter(tmp_path_factory):
    """Its Python: the one that ``LANDWEAVE_EOLEARN_PYTHON`` names, or one built now; skips where neither is to be had."""
    named = os.environ.get("LANDWEAVE_EOLEARN_PYTHON")
    if named:
        return named
    if not PINS.exists():
        skip(f"LANDWEAVE_EOLEARN_PYTHON names no interpreter with eo-learn 1.5, and there is no {PINS}")
    folder = tmp_path_factory.mktemp("env")
    for command in (
        [sys.executable, "-m", "venv", folder],
        [folder / "bin" / "python", "-m", "pip", "install", "-q", "-r", PINS],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            skip(f"no environment with eo-learn could be built: {done.stderr.strip().splitlines()[-1]}")
    return folder / "bin" / "python"


def run_script(python, script, *arguments):
    """A file of the tests by that interpreter; our own sources are not on its path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, Path(__file__).with_name(script), *arguments],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def skip(reason):
    """Skip, and say so."""
    warnings.warn(reason, stacklevel=2)
    pytest.skip(reason)
