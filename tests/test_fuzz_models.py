"""Models, projects, catalogues and registers with random changes: each works or is refused in one line, in seconds.

A batch runs in a process of its own, since a fault of this kind may end the process (see fuzz_models.py).
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("fuzz_models.py")
KINDS = ("text", "skops", "json", "toml", "items", "catalogue", "register")


def failures(kind, seed, count, place, *, seconds):
    """What went wrong in a batch, by the number of the input; the last one, where the process ended early."""
    try:
        done = subprocess.run(
            [sys.executable, str(CHILD), kind, str(seed), str(count)],
            capture_output=True, text=True, errors="replace", timeout=seconds, check=False,
            # A process that ends early leaves its folders there.
            env={**os.environ, "TMPDIR": str(place)},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return [f"the batch took more than {seconds} s"]
    lines = done.stdout.splitlines()
    found = [line for line in lines if line.startswith("failed")]
    if done.returncode:
        tried = [line for line in lines if line.split()[-1].isdigit()] or ["none"]
        found.append(f"input {tried[-1]} ended the process ({done.returncode}): {done.stderr[-1500:]}")
    elif not found:
        ends = [line for line in lines if " refused, " in line]
        found += [f"these inputs test nothing: {line}" for line in ends if not 0 < int(line.split()[0]) < count]
    return found


@pytest.mark.parametrize("kinds", [KINDS[:3], KINDS[3:]])
def test_a_changed_input_works_or_is_refused_in_one_line(tmp_path, kinds):
    assert failures("+".join(kinds), 20, 30, tmp_path, seconds=120) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_changed_inputs_work_or_are_refused_in_one_line(tmp_path, kind, seed):
    assert failures(kind, 100 + seed, 600, tmp_path, seconds=1200) == []


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import ctypes; ctypes.string_at(0)", "ended the process"),
        ("import time; time.sleep(60)", "ended the process"),
        ("raise KeyError(1)", "failed json 0: KeyError"),
    ],
)
def test_a_planted_fault_is_found(monkeypatch, tmp_path, code, reason):
    text = CHILD.read_text().replace("SECONDS = 10", "SECONDS = 1")
    child = tmp_path / "fuzz.py"
    child.write_text(text.replace("def ask(folder):\n", f"def ask(folder):\n    {code}\n"))
    monkeypatch.setenv("PYTHONPATH", f"{CHILD.parent}:{':'.join(path for path in sys.path if path)}")
    monkeypatch.setitem(globals(), "CHILD", child)
    found = failures("json", 20, 1, tmp_path, seconds=60)
    assert len(found) == 1
    assert reason in found[0]
