"""The docs say what the code does."""

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from landweave.runs.project import label_settings, settings
from landweave.runs.project.settings import make_project

ROOT = Path(__file__).parents[1]
RUN = re.compile(r"```python run\n(.*?)```", flags=re.DOTALL)
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*.md")])
TABLES = {
    "area": settings.AreaSettings,
    "period": settings.PeriodSettings,
    "source": settings.SourceSettings,
    "features": settings.FeatureSettings,
    "reference": label_settings.ReferenceSettings,
    "training": label_settings.TrainingSettings,
    "sampling": settings.SamplingSettings,
    "model": settings.ModelSettings,
    "map": settings.MapSettings,
    "districts": label_settings.DistrictSettings,
    "estimate": label_settings.EstimateSettings,
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
    shrink(folder / "landweave-demo" / "landweave.toml")
    return folder


def shrink(project):
    """Small patches, few pixels and few trees, in the project file of a simulated country."""
    text = project.read_text().replace("patch_size = 150", "patch_size = 40").replace("= 1000 ", "= 100 ")
    assert "patch_size = 40" in text
    project.write_text(text.replace("n_estimators = 60", "n_estimators = 10"))


IN_ORDER = "tutorial-15-minutes.md"
"""Its blocks need each other, and run in a test of their own."""

BLOCKS = {page: RUN.findall(page.read_text()) for page in PAGES if page.name != IN_ORDER}
BLOCKS = {page: blocks for page, blocks in BLOCKS.items() if blocks}
ONE_BY_ONE = """
import json, sys
for number, block in enumerate(json.load(sys.stdin), start=1):
    exec(compile(block, f"<block {number}>", "exec"), {"__name__": "__main__"})
"""


@pytest.mark.parametrize("page", BLOCKS, ids=lambda page: page.name)
def test_python_blocks_run(page, small_country):
    # Each knows nothing of the others. A cluster takes seconds to start, and other tests start it.
    blocks = json.dumps([block.replace("workers=2", "workers=1") for block in BLOCKS[page]])
    done = subprocess.run(
        [sys.executable, "-c", ONE_BY_ONE], cwd=small_country, input=blocks, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{page.name}:\n{done.stderr}"


def test_there_is_a_block_that_runs():
    assert BLOCKS


FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
MARKS = {
    "python run": "runs in a test",
    "sh run": "runs in a test, page by page",
    "python": "a piece of a program",
    "python eolearn": "runs where eo-learn is",
    "sh install": "changes the environment",
    "sh network": "asks an archive",
    "sh shows": "shows a page until Ctrl-C",
    "toml": "checked as project file or legend",
    "text": "output",
    "": "a drawing",
}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_a_block_says_whether_it_runs(page):
    assert page.read_text().count("```") % 2 == 0
    assert {mark for mark, _ in FENCE.findall(page.read_text())} <= set(MARKS)


@pytest.mark.slow
def test_all_blocks_of_the_tutorial_run_in_order(tmp_path):
    page = (ROOT / "docs" / IN_ORDER).read_text()
    blocks = [(mark, block) for mark, block in FENCE.findall(page) if mark in {"sh run", "python run"}]
    assert len(blocks) > 8
    for mark, block in blocks:
        if mark == "sh run":  # the package as it is here, whatever is installed
            small = block.replace("simulate my-country", "simulate my-country --size-km 2 --dates 6")
            command = f'set -e\nlandweave() {{ "{sys.executable}" -m landweave "$@"; }}\n{small}'
            arguments = ["bash", "-c", command.replace("--workers 2", "--workers 1")]
        else:
            arguments = [sys.executable, "-c", block]
        done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        if "landweave simulate" in block:
            shrink(tmp_path / "my-country" / "landweave.toml")
    assert "thresholds" in (tmp_path / "my-country" / "landweave.toml").read_text(), "the setting was changed"
    assert (tmp_path / "my-country" / "out" / "compare.html").exists()


def test_the_project_of_the_network_tutorial_is_whole():
    page = (ROOT / "docs" / "tutorial-sentinel-2.md").read_text()
    (content,) = [
        tomllib.loads(b) for b in re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL) if "name =" in b[:9]
    ]
    project = make_project(content, file=Path("savinja/landweave.toml"))
    assert (project.source.type, project.area.patch_size) == ("stac", 500)
    (legend,) = [tomllib.loads(b) for b in re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL) if "[[class]]" in b]
    assert [entry["name"] for entry in legend["class"]] == ["forest", "grassland"]


@pytest.fixture(scope="module")
def site():
    """The modules that `make docs` uses, by name."""
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        yield {name: importlib.import_module(name) for name in ("pages", "api_page", "commands_page", "check_site")}
    finally:
        sys.path.remove(str(ROOT / "docs"))


def test_every_page_is_in_the_navigation_of_the_site(site):
    pages = [name for _, below in site["pages"].SECTIONS.values() for name in below]
    assert len(pages) == len(set(pages))
    assert site["pages"].listed() == {page.stem for page in (ROOT / "docs").glob("*.md")}


def test_links_to_files_of_the_repository_lead_to_their_pages(site):
    def moved(text, folder="docs"):
        return site["pages"].on_site(text, ROOT / folder)

    assert moved("[a](../CHANGELOG.md)") == "[a](changelog.md)"
    assert moved("[a](../examples/README.md#maps)") == "[a](examples.md#maps)"
    assert moved("[a](docs/archives.md)", ".") == "[a](archives.md)"
    assert moved("![a](../docs/images/notebook.png)", "examples") == "![a](images/notebook.png)"
    assert moved("[a](any_area.ipynb)", "examples") == "[a](../examples/any_area.ipynb)"
    assert moved("[a](https://example.org/x)") == "[a](https://example.org/x)"


def test_the_page_of_the_api_has_every_public_name(site):
    import landweave

    text = site["api_page"].page()
    for name in landweave.__all__:
        assert re.search(rf":: landweave\.{re.escape(name)}$", text, flags=re.MULTILINE), name


def test_a_public_name_with_a_missing_or_broken_docstring_fails_the_page_of_the_api(site, monkeypatch):
    import landweave

    def bare():
        pass

    monkeypatch.setattr(landweave, "bare", bare, raising=False)
    monkeypatch.setattr(landweave, "__all__", [*landweave.__all__, "bare"])
    with pytest.raises(LookupError, match=r"without a docstring: bare$"):
        site["api_page"].page()
    bare.__doc__ = "One.\n\nRaises\n------\nInputError\n    For two.\n\n>>> bare()\n"
    with pytest.raises(LookupError, match=r"no heading Examples: bare$"):
        site["api_page"].page()


def test_the_page_of_commands_has_every_command(site):
    from landweave.cli.app import app

    text = site["commands_page"].page()
    for command in app.registered_commands:
        assert f"\n## landweave {command.name or command.callback.__name__}\n" in f"\n{text}"
    assert "## landweave estimate draw" in text


def test_what_a_page_loads_from_other_servers_is_found(site, tmp_path):
    page = """<a href="https://a.org">x</a><link href="style.css"><img src="data:image/png;base64,aaaa">
        <script src="https://b.org/x.js"></script><style>@import "//c.org/f.css"</style><p style="background:url(http://d.org/e)">"""
    (tmp_path / "index.html").write_text(page)
    (tmp_path / "style.css").write_text("@font-face { src: url('https://f.org/g.woff2') } b { background: url(h.png) }")
    found = [line.split(": ")[1] for line in site["check_site"].outside(tmp_path)]
    assert found == ["https://b.org/x.js", "//c.org/f.css", "http://d.org/e", "https://f.org/g.woff2"]


def test_the_site_builds_without_a_warning(site, tmp_path):
    pytest.importorskip("sphinx", reason="no Sphinx: pip install '.[docs]'")
    for module in ("myst_parser", "pydata_sphinx_theme", "sphinx_copybutton"):
        pytest.importorskip(module, reason="the extra `docs` is not installed")
    arguments = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "docs", tmp_path]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert site["check_site"].outside(tmp_path) == []
    assert 'id="landweave.run"' in (tmp_path / "api.html").read_text()
    assert sum(path.stat().st_size for path in (ROOT / "docs" / "images").rglob("*.*")) < 1_500_000


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
    named = set(re.findall(r"^(?:    |\| `)landweave ([a-z]+)", (ROOT / "README.md").read_text(), flags=re.MULTILINE))
    assert named == known


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
