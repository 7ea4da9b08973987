"""The command line, in this process: what it prints and with which status it ends."""

import errno
import os
import re
from pathlib import Path

import pytest

from landweave.cli.app import app, main
from landweave.errors import InputError
from landweave.legend import Legend
from landweave.runs.pipeline.check import _check_output

COMMANDS = sorted(command.name or command.callback.__name__.replace("_", "-") for command in app.registered_commands)
COMMANDS += sorted(group.name for group in app.registered_groups)


@pytest.fixture
def landweave(monkeypatch, capsys):
    """Run the command line; status, standard output, standard error."""

    def run(*words):
        monkeypatch.setattr("sys.argv", ["landweave", *map(str, words)])
        monkeypatch.setenv("COLUMNS", "500")
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return end.value.code or 0, said.out, said.err

    return run


def test_the_commands_of_the_first_version_are_there():
    assert {"demo", "simulate", "init", "check", "run", "status", "report", "evaluate"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_and_its_options(landweave, command):
    status, out, err = landweave(command, "--help")
    assert (status, err) == (0, "")
    assert re.match(rf"Usage: .*landweave {command} ", out)
    options = re.findall(r"^  --[a-z][^\n]*", out, re.MULTILINE)
    unexplained = [line for line in options if not re.search(r"\s{2,}\S.*[a-z]{3}", line.strip())]
    assert not unexplained


def test_help_lists_the_commands_and_version_names_what_matters(landweave):
    status, out, _ = landweave("--help")
    assert status == 0
    assert all(command in out for command in COMMANDS)
    status, out, _ = landweave("--version")
    assert status == 0
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert re.fullmatch(r"\d+[\w.+-]*", lines["landweave"])
    assert {"Python", "GDAL", "rasterio", "lightgbm", "dask", "numpy", "platform"} < set(lines)
    assert "missing" not in lines.values()


@pytest.mark.parametrize(
    "words", [["fly"], ["run"], ["run", "a.toml", "--workers", "0"], ["run", "a.toml", "--fast"], ["evaluate", "t.csv", "--folds", "x"]]
)  # fmt: skip
def test_wrong_use_ends_with_2(landweave, words):
    status, out, err = landweave(*words)
    assert (status, out) == (2, "")
    assert "Traceback" not in err


@pytest.mark.parametrize("command", ["check", "run", "status", "report"])
def test_a_wrong_project_ends_with_2_and_one_line(landweave, tmp_path, command):
    (tmp_path / "landweave.toml").write_text('name = "x"\nouptut = "y"\n')
    status, out, err = landweave(command, tmp_path)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert "landweave.toml:2 unknown key 'ouptut'; did you mean 'output'?" in err
    assert [path.name for path in tmp_path.iterdir()] == ["landweave.toml"]


def test_init_writes_two_files_and_never_over_what_is_there(landweave, tmp_path):
    folder = tmp_path / "new"
    status, out, _ = landweave("init", folder)
    assert status == 0
    assert {path.name for path in folder.iterdir()} == {"landweave.toml", "legend.toml"}
    assert out.splitlines()[-3:] == [
        f"Wrote {folder / 'landweave.toml'}",
        f"Wrote {folder / 'legend.toml'}",
        f"Next: edit {folder / 'landweave.toml'}, then landweave check {folder}",
    ]
    (folder / "landweave.toml").unlink()
    (folder / "legend.toml").write_text("mine")
    status, _, err = landweave("init", folder)
    assert status == 2
    assert "legend.toml exists already" in err
    assert (folder / "legend.toml").read_text() == "mine"
    assert not (folder / "landweave.toml").exists()


def test_a_fresh_project_is_told_which_file_it_lacks(landweave, tmp_path):
    landweave("init", tmp_path)
    for command in ("check", "run"):
        status, _, err = landweave(command, tmp_path)
        assert status == 2
        assert err.count("\n") == 1
        assert "images.csv" in err
    assert {path.name for path in tmp_path.iterdir()} == {"landweave.toml", "legend.toml"}


def test_an_interrupt_and_a_full_disk_end_in_one_line(landweave, tmp_path, monkeypatch):
    from landweave.runs.project.starter import write

    def interrupt(*_):
        raise KeyboardInterrupt

    def full(*_):
        raise OSError(28, "No space left on device", "out/map.tif")

    monkeypatch.setattr(write, "start_project", interrupt)
    status, _, err = landweave("init", tmp_path)
    assert (status, err.count("\n")) == (130, 1)
    monkeypatch.setattr(write, "start_project", full)
    status, _, err = landweave("init", tmp_path)
    assert (status, err) == (1, "landweave: No space left on device: out/map.tif\n")


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EACCES, "check the name and the permissions"),
        (errno.EROFS, "choose another place"),
        (errno.ENOENT, "check the name and its folder"),
        (errno.EEXIST, "give another name"),
    ],
)
def test_a_place_that_cannot_be_used_is_wrong_input_and_named_as_the_user_did(landweave, monkeypatch, number, advice):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number), "ro/.map.1a2b3c4d.part.tif")

    monkeypatch.setattr("landweave.runs.project.settings.read_project", refuse)
    status, _, err = landweave("check", "x")
    assert status == 2
    assert err == f"landweave: ro/map.tif: {os.strerror(number)}; {advice}.\n"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("[period]\nend = 31.12.2023\n", "Write dates as 2023-12-31."),
        ("[area]\nresolution = 10,5\n", "Write numbers with a point, such as 10.5."),
        ('[reference]\npath = "C:\\data\\x.gpkg"\n', "Write paths with / or in single quotes."),
    ],
)
def test_a_line_that_toml_does_not_understand_is_explained(landweave, tmp_path, line, told):
    (tmp_path / "landweave.toml").write_text(line)
    status, _, err = landweave("check", tmp_path)
    assert (status, err.count("\n")) == (2, 1)
    assert err.rstrip().endswith(told)


def test_check_finds_an_output_folder_that_cannot_be_one(tmp_path):
    (tmp_path / "register.gpkg").write_text("")
    with pytest.raises(InputError, match="the output folder is a file"):
        _check_output(tmp_path / "register.gpkg")
    _check_output(tmp_path / "not" / "yet")


def test_a_misspelt_model_is_no_foreign_code(landweave, tmp_path):
    (tmp_path / "landweave.toml").write_text(
        'name = "x"\n[source]\ntype = "simulated"\n[reference]\npath = "r.gpkg"\n[model]\ntype = "lightgmb"\n'
    )
    status, _, err = landweave("check", tmp_path)
    assert status == 2
    assert 'model.type = "lightgmb" is unknown; use lightgbm, random_forest' in err
    assert "allow-code" not in err


def test_a_legend_that_may_not_be_read_is_not_called_bad_toml(tmp_path, monkeypatch):
    path = tmp_path / "legend.toml"
    path.write_text("")

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(InputError, match=r"legend\.toml: not readable: Permission denied; check the name and the"):
        Legend.read(path)
