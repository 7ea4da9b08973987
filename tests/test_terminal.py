"""What the command line prints and where: rows and lines of progress, JSON documents, status of a run at work."""

import fcntl
import json
import os
import pty
import re
import socket
import struct
import subprocess
import sys
import termios
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import geopandas as gpd
import jsonschema
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import two_class_world

from landweave.cli.app import app, main
from landweave.cli.extras import install_line
from landweave.cli.project import _facts
from landweave.cli.schema import NAMES, schema_text
from landweave.cli.terminal.examples import EXAMPLES
from landweave.cli.terminal.progress import Bars, Row, about, rate
from landweave.cli.terminal.speech import SPEECH, document
from landweave.engine import executor
from landweave.engine.ledger import Ledger
from landweave.engine.lock import BusyError, Lock, holder
from landweave.engine.machine import size_text
from landweave.runs.pipeline.driver import run
from landweave.runs.pipeline.outcome import Quiet, Result
from landweave.runs.pipeline.status import lines_of, status_facts, status_lines
from landweave.runs.pipeline.underway import Underway
from landweave.runs.project.settings import read_project


@pytest.fixture
def landweave(monkeypatch, capsys):
    """Run the command line; status, standard output, standard error."""

    def call(*words):
        monkeypatch.setattr("sys.argv", ["landweave", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return end.value.code or 0, said.out, said.err

    yield call
    SPEECH.ask(quiet=False, verbose=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small project that was run to its end."""
    file, _ = two_class_world(tmp_path_factory.mktemp("terminal"), size=60)
    assert run(read_project(file)).status == 0
    return file.parent


def commands():
    import typer.main

    found = {}
    for name, command in typer.main.get_command(app).commands.items():
        below = getattr(command, "commands", None)
        found |= {name: command} if below is None else {f"{name} {n}": one for n, one in below.items()}
    return found


# Documents


def check_against_schema(name, text):
    found = json.loads(text)
    schema = json.loads(schema_text(name))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(found)
    return found


def test_every_schema_refuses_keys_that_it_does_not_know():
    for name in NAMES:
        schema = json.loads(schema_text(name))
        assert schema["additionalProperties"] is False, name
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert set(schema["required"]) >= {"command", "form", "landweave"}
        assert schema["properties"]["command"]["const"] == name.replace("estimate-", "estimate ")


def test_numbers_of_bytes_areas_and_times_name_their_unit():
    """In the name or in the description."""
    for name in NAMES:
        for key, part in json.loads(schema_text(name))["properties"].items():
            for unit, sign in {"bytes": "_bytes", "hectares": "area_ha", "hours": "hours"}.items():
                if sign in key and set(np.atleast_1d(part["type"])) & {"integer", "number"}:
                    assert unit in part["description"].lower(), (name, key)


@pytest.mark.parametrize("name", ["check", "status", "run", "forecast"])
def test_a_project_command_prints_one_document_that_its_schema_describes(finished, landweave, name):
    words = [name, finished, "--json"] + (["--workers", "1"] if name in {"run", "forecast"} else [])
    status, out, _ = landweave(*words)
    assert status == 0
    found = check_against_schema(name, out)
    assert found["command"] == name
    if name == "status":
        assert found["up_to_date"]
        assert {stage["state"] for stage in found["stages"]} == {"done"}
    if name == "run":
        assert found["made"] == {}
        assert found["map"]["bytes"] == (finished / "out" / "map.tif").stat().st_size


def test_compare_and_estimates_print_documents_that_their_schemas_describe(finished, landweave, tmp_path):
    status, out, _ = landweave("compare", finished, "--json")
    assert status == 0
    assert check_against_schema("compare", out)["classes"] == ["meadow", "pond"]
    status, out, _ = landweave("estimate", "size", finished, "--json")
    assert status == 0
    assert check_against_schema("estimate-size", out)["n"] > 0
    status, out, _ = landweave("estimate", "size", "--share", "a=0.5", "--share", "b=0.5", "--json")
    assert check_against_schema("estimate-size", out)["classes"]["a"]["pixels"] is None
    sample = tmp_path / "sample.gpkg"
    status, out, _ = landweave("estimate", "draw", finished, sample, "--n", "40", "--minimum", "10", "--json")
    assert status == 0
    assert check_against_schema("estimate-draw", out)["n"] == 40
    points = gpd.read_file(sample, layer="sample")
    points["reference"] = points["stratum_name"]
    points.to_file(tmp_path / "labelled.gpkg", layer="sample")
    status, out, err = landweave("estimate", "accuracy", tmp_path / "labelled.gpkg", "--design", sample, "--json")
    assert status == 0, err
    assert check_against_schema("estimate-accuracy", out)["overall_accuracy"]["value"] == 1


def test_evaluate_prints_a_document_that_its_schema_describes(landweave, tmp_path):
    rng = np.random.default_rng(1)
    labels = np.repeat(["a", "b"], 40)
    table = pd.DataFrame(rng.normal(size=(80, 3)) + (labels == "a")[:, None], columns=["f1", "f2", "f3"])
    table.assign(label=labels).to_csv(tmp_path / "t.csv", index=False)
    status, out, err = landweave("evaluate", tmp_path / "t.csv", "--folds", "2", "--json")
    assert status == 0, err
    assert check_against_schema("evaluate", out)["test_pixels"] == 80


def test_a_project_that_is_not_sound_prints_no_document(landweave, tmp_path):
    (tmp_path / "landweave.toml").write_text('name = "x"\nouptut = "y"\n')
    for name in ("check", "status", "run", "forecast", "compare"):
        status, out, err = landweave(name, tmp_path, "--json")
        assert (status, out, err.count("\n")) == (2, "", 1)


def test_documents_of_a_run_that_failed_and_of_a_project_without_a_run_fit_their_schemas(tmp_path):
    failed = Result(
        status=1, failures=[("fetch/x", "no such file")], stopped="too little imagery", made={"grid": 1},
        agreement={"value": 0.5, "low": None, "high": None, "n_clusters": 1, "reason": "one block"}, folder=tmp_path,
    )  # fmt: skip
    found = check_against_schema("run", json.dumps(document("run", _facts(failed, tmp_path))))
    assert (found["map"], found["report"]) == (None, None)
    file, _ = two_class_world(tmp_path, size=60)
    found = check_against_schema("status", json.dumps(document("status", status_facts(read_project(file)))))
    assert (found["stages"], found["up_to_date"]) == ([], False)


def test_a_document_has_no_number_that_json_does_not_know():
    found = document("x", {"a": float("nan"), "b": [np.float64("inf"), np.int64(3)], "c": Path("d")})
    assert {key: found[key] for key in "abc"} == {"a": None, "b": [None, 3], "c": "d"}


def test_schema_lists_and_prints(landweave):
    assert landweave("schema")[1].split() == list(NAMES)
    assert json.loads(landweave("schema", "status")[1])["title"] == "landweave status --json"
    status, out, err = landweave("schema", "fly")
    assert (status, out, err.count("\n")) == (2, "", 1)


# Help and wrong use


def test_every_command_has_examples_that_its_parser_takes():
    found = commands()
    assert set(found) == set(EXAMPLES)
    for name, command in found.items():
        for line in EXAMPLES[name]:
            words = line.split(" > ")[0].split(" || ")[0].replace("'", "").replace("Survey of X", "X").split()
            assert " ".join(words).startswith(name)
            command.make_context(name, words[len(name.split()) :], resilient_parsing=False)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_h_explains_with_examples(landweave, name):
    status, out, err = landweave(*name.split(), "-h")
    assert (status, err) == (0, "")
    assert f"  landweave {EXAMPLES[name][0]}\n" in out
    assert "-q, --quiet" in out
    assert "-v, --verbose" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["fly"], "landweave: no such command 'fly'; see landweave --help"),
        (["run"], "landweave run: missing argument 'project'; see landweave run --help"),
        (["run", "a.toml", "--fast"], "landweave run: no such option: --fast; see landweave run --help"),
        (["estimate", "size", "--n", "x"], "landweave estimate size: invalid value for '--n': "),
    ],
)
def test_wrong_use_is_one_line_with_the_way_to_help(landweave, words, told):
    status, out, err = landweave(*words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.lower().startswith(told.lower())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_are_given_a_script_that_completes_commands(shell):
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    call = [sys.executable, "-m", "landweave", "--show-completion", shell]
    shown = subprocess.run(call, env=environment, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert "_LANDWEAVE_COMPLETE" in shown.stdout


def test_bash_completes_the_names_of_commands():
    asked = {"_LANDWEAVE_COMPLETE": "complete_bash", "COMP_WORDS": "landweave st", "COMP_CWORD": "1"}
    call = [sys.executable, "-m", "landweave"]
    shown = subprocess.run(call, env={**os.environ, **asked}, capture_output=True, text=True, check=False)
    assert shown.stdout.split() == ["status"]


# Progress


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    yield Clock()
    SPEECH.ask(quiet=False, verbose=False)


def a_run(bars, clock):
    """A run whose stages come in parts, as the table of stages has them."""
    bars.start("grid", 0, 0)
    bars.once("grid")
    bars.finish("grid")
    for todo in (None, 4):
        bars.start("fetch", 0 if todo is None else 5, todo or 0)
        for number in range(todo or 0):
            clock.now += 30
            bars.advance("fetch", number == 3)
        bars.finish("fetch")
    bars.start("train", 0, 0)
    bars.once("train")
    clock.now += 100
    bars.finish("train")
    bars.start("mosaic", 0, 0)
    bars.finish("mosaic")


def test_without_a_terminal_each_stage_that_did_something_is_one_line(clock, capsys):
    SPEECH.ask(quiet=False, verbose=False)
    with Bars(clock=clock) as bars:
        a_run(bars, clock)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "grid       done in 0 s",
        "fetch      4 of 5 patches, 1 failed in 2 min 0 s",
        "train      done in 1 min 40 s",
    ]


def test_quiet_shows_no_progress(clock, capsys):
    SPEECH.ask(quiet=True, verbose=False)
    with Bars(clock=clock) as bars:
        bars.tell("forecast")
        a_run(bars, clock)
    assert capsys.readouterr() == ("", "")


def test_verbose_reports_the_pace_of_a_long_stage(clock, capsys):
    SPEECH.ask(quiet=False, verbose=True)
    with Bars(clock=clock) as bars:
        a_run(bars, clock)
    assert "fetch      3 of 5 patches, 2.0 a minute, about 1 min left" in capsys.readouterr().err.splitlines()


class Console:
    """Rows that a terminal would show."""

    def __init__(self):
        self.rows = []

    def add_task(self, name, **fields):
        self.rows.append({"name": name, **fields})
        return len(self.rows) - 1

    def update(self, row, **fields):
        self.rows[row].update(fields)


def test_a_terminal_shows_one_row_a_stage_and_no_bar_that_stands_still(clock):
    bars = Bars(clock=clock)
    bars._bars = console = Console()
    a_run(bars, clock)
    assert [row["name"] for row in console.rows] == ["grid", "fetch", "train"]
    bars.once("report")
    assert console.rows[-1]["total"] is None, "rich lets a bar without a total move"
    fetched = console.rows[1]
    assert (fetched["total"], fetched["completed"], fetched["count"]) == (5, 5, "4 of 5 patches")
    assert fetched["pace"] == "1 failed"


@given(st.integers(2, 1000), st.integers(1, 1000), st.floats(2, 1e5))
def test_time_left_follows_from_what_this_run_has_made(made, left, seconds):
    """What was up to date before it began says nothing about its speed."""
    row = Row(stage="x", began=0, total=10_000 + made + left, before=10_000, made=made)
    assert row.pace(seconds) == f"{rate(made / seconds)}, {about(left * seconds / made)} left"


def test_no_speed_is_shown_before_it_is_known():
    assert Row(stage="x", began=0, total=9, made=1).pace(60) == ""
    assert Row(stage="x", began=0, total=9, made=5).pace(0.5) == ""
    assert Row(stage="x", began=0, total=9, made=9).pace(60) == ""


@given(st.integers(0, 10**16))
def test_sizes_are_powers_of_1000_with_three_digits(count):
    number, unit = size_text(count).split()
    factor = 1000 ** ("B", "kB", "MB", "GB", "TB").index(unit)
    assert "e" not in number
    assert float(number) * factor == pytest.approx(count, rel=0.006, abs=0.5)


# Dashboard


def test_no_page_is_named_where_dask_has_none(monkeypatch):
    heard = []
    for there in (False, True):
        monkeypatch.setattr(executor, "find_spec", lambda _, there=there: object() if there else None)
        engine = executor.Engine(workers=2, scheduler=None, memory=None)
        engine._client = type("Client", (), {"dashboard_link": "http://127.0.0.1:1/status"})()
        heard.append(engine._page())
    assert heard == ["", "http://127.0.0.1:1/status"]


def test_a_scheduler_that_does_not_know_landweave_has_no_page_to_name():
    def refuse(_):
        raise ModuleNotFoundError("landweave")

    engine = executor.Engine(workers=2, scheduler="tcp://x:1", memory=None)
    engine._client = type("Client", (), {"dashboard_link": "http://x:1/status", "run_on_scheduler": refuse})
    assert engine._page() == ""


@pytest.mark.skipif(find_spec("bokeh") is not None, reason="bokeh draws the page here")
def test_a_run_with_workers_names_no_dead_page(tmp_path):
    """Faults 10 of the first hour: the page only said that it wanted bokeh."""
    file, _ = two_class_world(tmp_path, size=60)
    call = [sys.executable, "-m", "landweave", "run", str(file), "--until", "fetch", "--workers", "2"]
    with socket.socket() as other:
        # dask's own port is taken, by this or by another program: that is no concern of a run.
        with suppress(OSError):
            other.bind(("127.0.0.1", 8787))
            other.listen()
        ended = subprocess.run(call, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "9 of 9 patches in " in ended.stderr
    assert "dashboard" not in ended.stdout + ended.stderr
    assert "8787" not in ended.stderr


def test_a_real_terminal_ends_with_one_row_a_stage(tmp_path):
    """Fault 16 of the first hour: grid, validate, predict and mosaic were there twice, and `train` stood at 0/1."""
    file, _ = two_class_world(tmp_path, size=60)
    call = [sys.executable, "-m", "landweave", "run", str(file), "--workers", "1"]
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
    begun = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=theirs, env=environment)
    os.close(theirs)
    said = b""
    with suppress(OSError):  # the terminal ends with its process
        while part := os.read(ours, 65536):
            said += part
    os.close(ours)
    assert begun.wait() == 0
    # Each frame begins by erasing the one before, line by line.
    last = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said.decode().rsplit("\x1b[2K", 1)[1])
    rows = [line.split() for line in last.splitlines() if line.strip() and "note:" not in line]
    assert [row[0] for row in rows] == [
        "grid", "fetch", "label", "sample", "train", "validate", "predict", "mosaic", "report",
    ]  # fmt: skip
    assert all("left" not in row and "0/1" not in row for row in rows)
    assert " ".join(rows[1][2:6]) == "9 of 9 patches"


# Status


def test_status_has_one_line_a_stage(finished):
    names = [line.split()[0] for line in status_lines(read_project(finished))]
    assert names == ["grid", "fetch", "label", "sample", "train", "validate", "predict", "mosaic", "report"]


def test_status_of_a_broken_off_run_says_what_is_missing_once(tmp_path, landweave):
    file, _ = two_class_world(tmp_path, size=60)
    assert landweave("status", file, "--exit-code")[0] == 1
    assert "nothing made yet" in landweave("status", file)[1]
    assert landweave("run", file, "--until", "fetch", "--workers", "1", "-q")[0] == 0
    status, out, _ = landweave("status", file, "--exit-code")
    assert status == 1
    lines = out.splitlines()
    assert sum(line.startswith("sample ") for line in lines) == 1
    assert any(line.startswith("sample     0 of ") for line in lines)
    assert "train      missing" in lines
    assert "stale" not in out


def test_exit_code_is_0_where_all_is_done(finished, landweave):
    assert landweave("status", finished, "--exit-code", "-q") == (0, "", "")


def test_a_failed_stage_is_called_failed(finished):
    facts = status_facts(read_project(finished))
    facts["stages"][0] |= {"state": "failed", "reasons": [{"what": "grid", "why": "failed: no room"}]}
    assert "grid       failed: no room" in lines_of(facts)


class Looks(Quiet):
    """Asks for the status while the run works."""

    def __init__(self, project):
        self.project, self.seen = project, []

    def advance(self, stage, failed):
        facts = status_facts(self.project)
        check_against_schema("status", json.dumps(document("status", facts)))
        self.seen.append(facts["running"])


def test_status_sees_a_run_at_work_and_nothing_of_it_afterwards(tmp_path):
    file, _ = two_class_world(tmp_path, size=60)
    project = read_project(file)
    looks = Looks(project)
    assert run(project, progress=looks).status == 0
    first = looks.seen[0]
    assert (first["pid"], first["seen"], first["failed"]) == (os.getpid(), True, 0)
    assert {seen["stage"] for seen in looks.seen} >= {"fetch", "predict"}
    assert all(0 <= seen["done"] <= seen["total"] for seen in looks.seen)
    assert status_facts(project)["running"] is None
    assert {path.name for path in (tmp_path / "out").iterdir()} & {"progress.json"} == set()


def test_the_line_of_a_run_at_work_names_stage_count_and_process():
    facts = {
        "running": {
            "pid": 7, "host": "h", "seen": False, "since": 0, "stage": "fetch", "stage_since": 60, "done": 2,
            "total": 9, "failed": 1,
        },
        "stages": [], "folder": "out", "patches": 9,
    }  # fmt: skip
    line = next(iter(lines_of(facts)))
    assert line.startswith("running    fetch since ")
    assert "2 of 9 patches, 1 failed; process 7 on h, since " in line
    assert line.endswith("on another machine and may have ended unnoticed")


def test_a_lock_shows_its_progress_and_a_look_keeps_nobody_out(tmp_path):
    path = tmp_path / "ledger.lock"
    assert holder(path) is None
    lock = Lock(path)
    lock.say({"stage": "fetch", "done": 3}, now=True)
    found = holder(path)
    assert found["progress"] == {"stage": "fetch", "done": 3}
    assert (found["pid"], found["seen"]) == (os.getpid(), True)
    lock.say({"stage": "x" * 600}, now=True)
    assert holder(path)["progress"] == {}, "what does not fit is left out, and the record stays whole"
    with pytest.raises(BusyError, match=f"process {os.getpid()} on "):
        Lock(path)
    lock.close()
    assert holder(path) is None
    Lock(path).close()


def test_a_lock_writes_its_progress_once_a_second(tmp_path, monkeypatch):
    lock = Lock(tmp_path / "ledger.lock")
    written = []
    monkeypatch.setattr(lock, "_renew", lambda: written.append(dict(lock._said)) or True)
    for number in range(100):
        lock.say({"done": number})
    assert len(written) <= 2
    lock.close()


def test_a_dead_holder_is_not_called_a_run_at_work(tmp_path):
    code = "import sys, os; from pathlib import Path; from landweave.engine.lock import Lock; Lock(Path(sys.argv[1])); os._exit(9)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "ledger.lock")], check=False)
    assert json.loads((tmp_path / "ledger.lock").read_text())["pid"]
    assert holder(tmp_path / "ledger.lock") is None


def test_a_folder_that_was_taken_over_hears_nothing_more(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        other = json.dumps({"host": "elsewhere", "boot": "b", "pid": 1, "token": "t"}).encode().ljust(512)
        (tmp_path / "ledger.lock").write_bytes(other)
        Underway(ledger, Quiet()).start("fetch", 3, 3)
        assert (tmp_path / "ledger.lock").read_bytes() == other
        assert holder(tmp_path / "ledger.lock")["seen"] is False


# The end of a run


def test_a_run_ends_with_where_to_look_and_how(finished, landweave):
    status, out, _ = landweave("run", finished, "--workers", "1")
    assert status == 0
    lines = out.splitlines()
    size = size_text((finished / "out" / "map.tif").stat().st_size)
    assert any(line.startswith("map:       ") and "pixels of 10 m" in line and size in line for line in lines)
    assert any(line.startswith("report:    ") and line.endswith("report.html (open it in a browser)") for line in lines)
    assert lines[-1].startswith("view:      ")
    assert lines[-1].endswith(f"landweave view {finished}")


def test_a_missing_extra_is_named_with_its_command(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert install_line("viewer") == "pip install 'landweave[viewer]'"
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    assert install_line("viewer") == ""


def test_the_command_starts_without_heavy_libraries():
    code = "import sys; import landweave.cli.app; print([m for m in ('numpy', 'rasterio', 'pandas', 'dask', 'rich.progress') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_a_clock_is_never_needed_to_end(tmp_path):
    """The lock's heart stops at once, not with its next beat."""
    began = time.monotonic()
    Lock(tmp_path / "l.lock").close()
    assert time.monotonic() - began < 5
