"""The docs say what the code does."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from landweave.runs.project import settings
from landweave.runs.project.settings import make_project

ROOT = Path(__file__).parents[1]
RUN = re.compile(r"```python run\n(.*?)```", flags=re.DOTALL)
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*.md")])
TABLES = {
    "area": settings.AreaSettings,
    "period": settings.PeriodSettings,
    "source": settings.SourceSettings,
    "features": settings.FeatureSettings,
    "reference": settings.ReferenceSettings,
    "training": settings.TrainingSettings,
    "sampling": settings.SamplingSettings,
    "model": settings.ModelSettings,
    "map": settings.MapSettings,
    "districts": settings.DistrictSettings,
    "estimate": settings.EstimateSettings,
    "places": settings.PlaceSettings,
}


@pytest.mark.parametrize("table", TABLES)
def test_the_page_names_every_key_of_a_table(table):
    page = (ROOT / "docs" / "project-file.md").read_text()
    words = set(re.findall(r"`([a-z_.]+)`", page))
    for key in TABLES[table].model_fields:
        assert {key, f"{table}.{key}"} & words, f"[{table}] {key}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        assert "://" not in target or page.name == "CHANGELOG.md", target
        assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_toml_blocks_are_accepted(page):
    for block in re.findall(r"```toml\n(.*?)```", page.read_text(), flags=re.DOTALL):
        content = tomllib.loads(block)
        if "class" in content:
            continue
        whole = {"name": "x", "source": {"type": "simulated"}, "reference": {"path": "register.gpkg"}, **content}
        make_project(whole, file=Path("landweave.toml"))


@pytest.fixture(scope="module")
def small_country(tmp_path_factory):
    """Where the docs' Python finds a demo: two kilometres instead of eight."""
    from landweave.sources.simulated.archive.archive import write_archive

    folder = tmp_path_factory.mktemp("docs")
    write_archive(folder / "landweave-demo", size_km=2, dates=6, seed=42)
    project = folder / "landweave-demo" / "landweave.toml"
    text = project.read_text().replace("patch_size = 150", "patch_size = 40").replace("= 1000 ", "= 100 ")
    assert "patch_size = 40" in text
    project.write_text(text.replace("n_estimators = 60", "n_estimators = 10"))
    return folder


BLOCKS = [(page, block) for page in PAGES for block in RUN.findall(page.read_text())]


@pytest.mark.parametrize(("page", "block"), BLOCKS, ids=[page.name for page, _ in BLOCKS])
def test_python_blocks_run(page, block, small_country):
    code = block.replace("workers=2", "workers=1")  # a cluster takes seconds to start, and other tests start it
    done = subprocess.run([sys.executable, "-c", code], cwd=small_country, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{page.name}:\n{done.stderr}"


def test_there_is_a_block_that_runs():
    assert BLOCKS


def test_every_public_name_is_in_the_docs():
    import landweave

    pages = "".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    assert set(landweave.__all__) - set(re.findall(r"landweave\.(\w+)", pages)) == set()


def test_the_python_page_names_nothing_that_does_not_exist():
    import landweave

    page = (ROOT / "docs" / "python-api.md").read_text()
    assert set(re.findall(r"`landweave\.(\w+)", page)) <= set(landweave.__all__)


def test_the_shortest_way_to_a_map_is_short():
    block = RUN.findall((ROOT / "docs" / "python-api.md").read_text())[0]
    assert "landweave.load" in block
    assert "landweave.predict" in block
    assert len(block.splitlines()) < 25


def test_every_command_of_the_readme_exists():
    from landweave.cli.app import app

    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    known |= {group.name for group in app.registered_groups}
    told = set(re.findall(r"landweave ([a-z]+)", (ROOT / "README.md").read_text()))
    assert told <= known | {"turns"}
    assert known <= told


def test_the_tree_in_the_architecture_is_the_tree():
    spec = importlib.util.spec_from_file_location("draw_tree", ROOT / "docs" / "draw_tree.py")
    draw_tree = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(draw_tree)
    text = (ROOT / "ARCHITECTURE.md").read_text()
    assert draw_tree.drawn(text) == text, "run `python docs/draw_tree.py`"
    assert text.count(".py ") > 200


def test_the_project_speaks_of_itself_alone():
    for page in PAGES:
        assert not re.search(r"/(?:work|tmp|root)/[a-z]", page.read_text()), page
