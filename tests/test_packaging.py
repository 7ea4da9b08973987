"""What is built and installed: the recipe for conda, the extras, and (slowly) wheel and source archive in a new environment."""

import json
import os
import re
import shutil
import subprocess
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import yaml
from worlds import two_class_world

from landweave.cli.extras import MODULES

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {"dask": "dask-core"}
"""Names that differ between PyPI and conda-forge."""


def wanted():
    """Name at conda-forge to the least version that pyproject.toml asks for."""
    found = {}
    for line in PROJECT["dependencies"]:
        name, least = re.fullmatch(r"([\w.-]+)>=([\d.]+)", line).groups()
        found[CONDA_NAMES.get(name, name)] = least
    return found


def test_the_recipe_for_conda_has_the_dependencies_of_the_project():
    recipe = yaml.safe_load((ROOT / "packaging" / "conda" / "recipe.yaml").read_text())
    run = [line.split() for line in recipe["requirements"]["run"]]
    assert {name: parts[0].removeprefix(">=") for name, *parts in run if parts and name != "python"} == wanted()
    assert ["__unix"] in run
    assert f">={recipe['context']['python_min']}" == PROJECT["requires-python"]
    host = dict(line.split() for line in recipe["requirements"]["host"][2:])
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert [f"{name}{least}" for name, least in host.items()] == build
    assert recipe["build"]["python"]["entry_points"] == [f"{k} = {v}" for k, v in PROJECT["scripts"].items()]
    assert recipe["about"]["summary"] == PROJECT["description"]
    assert recipe["about"]["license"] == PROJECT["license"]


def test_an_extra_that_the_command_names_exists_and_brings_what_it_looks_for():
    for extra, modules in MODULES.items():
        brought = " ".join(PROJECT["optional-dependencies"][extra]).replace("-", "_")
        assert all(module in brought for module in modules), extra


def test_the_page_about_installing_names_every_extra_for_users():
    page = (ROOT / "docs" / "install.md").read_text()
    developers = {"test", "bench", "docs"}
    for extra in set(PROJECT["optional-dependencies"]) - developers:
        assert f"`landweave[{extra}]` |" in page, extra


def environment(folder):
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


def call(*words, **settings):
    """Run a program outside of this checkout and of the environment of the tests."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [*map(str, words)], capture_output=True, text=True, check=False, env={**clean, **settings.pop("env", {})}, **settings
    )  # fmt: skip
    assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.mark.slow
def test_wheel_and_source_archive_build_from_a_tag_and_the_wheel_works_in_a_new_environment(tmp_path):
    """The version is that of the tag; what is installed checks and runs a project, and knows its schemas and templates."""
    source = tmp_path / "source"
    call("git", "clone", "--quiet", ROOT, source)
    call("git", "-C", source, "-c", "user.name=x", "-c", "user.email=x@x", "tag", "-a", "v9.8.7", "-m", "x")
    builder = environment(tmp_path / "builder")
    call(builder, "-m", "pip", "install", "--quiet", "build")
    call(builder, "-m", "build", "--outdir", tmp_path / "dist", source)
    wheel, archive = (
        tmp_path / "dist" / "landweave-9.8.7-py3-none-any.whl",
        tmp_path / "dist" / "landweave-9.8.7.tar.gz",
    )
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = call("git", "-C", ROOT, "ls-files", "src").splitlines()
    assert {name.removeprefix("src/") for name in tracked} <= names, "every file of the package is in the wheel"
    with tarfile.open(archive) as file:
        inside = {name.split("/", 1)[1] for name in file.getnames() if "/" in name}
    assert {"pyproject.toml", "LICENSE", "README.md", *tracked} <= inside
    assert not any(name.startswith(("web/node_modules", "landweave-demo", ".venv")) for name in inside)

    python = environment(tmp_path / "fresh")
    call(python, "-m", "pip", "install", "--quiet", wheel)
    command = python.parent / "landweave"
    assert call(command, "--version").split()[:2] == ["landweave", "9.8.7"]
    assert json.loads(call(command, "schema", "status"))["title"]
    project, _ = two_class_world(tmp_path / "world", size=60)
    assert json.loads(call(command, "check", project, "--json"))["sound"] is True
    made = json.loads(call(command, "run", project, "--workers", "1", "--json"))
    assert made["map"]["width"] == 60
    assert Path(made["report"]).exists()
    call(command, "init", tmp_path / "new")
    assert "pip install 'landweave[viewer]'" in call(command, "run", project, "--workers", "1")
    shutil.rmtree(tmp_path / "fresh")


@pytest.mark.slow
def test_the_wheel_of_the_source_archive_is_the_wheel_of_the_repository(tmp_path):
    """Who packages landweave starts from the source archive, without git."""
    source = tmp_path / "source"
    call("git", "clone", "--quiet", ROOT, source)
    call("git", "-C", source, "-c", "user.name=x", "-c", "user.email=x@x", "tag", "-a", "v9.8.7", "-m", "x")
    builder = environment(tmp_path / "builder")
    call(builder, "-m", "pip", "install", "--quiet", "build")
    call(builder, "-m", "build", "--sdist", "--outdir", tmp_path / "a", source)
    call(builder, "-m", "build", "--wheel", "--outdir", tmp_path / "b", source)
    with tarfile.open(tmp_path / "a" / "landweave-9.8.7.tar.gz") as file:
        file.extractall(tmp_path / "unpacked", filter="data")
    call(builder, "-m", "build", "--wheel", "--outdir", tmp_path / "c", tmp_path / "unpacked" / "landweave-9.8.7")
    one, other = (zipfile.ZipFile(tmp_path / part / "landweave-9.8.7-py3-none-any.whl") for part in "bc")
    assert {n: one.read(n) for n in one.namelist()} == {n: other.read(n) for n in other.namelist()}
