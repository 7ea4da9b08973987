"""The house and its laws; to change the house, change the tables here and in ARCHITECTURE.md, in the open."""

import ast
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "landweave"

GROUND = {"errors", "legend", "import_rule", "tree_models", "patch"}
WORKING = {"sources", "features", "labels", "classifier", "accuracy", "maps"}
BELOW = GROUND | WORKING | {"engine", "report", "runs", "__init__"}
ALLOWED = {
    # `errors` holds the one exception for what a user can mend; everything may raise it.
    "errors": set(),
    **dict.fromkeys((GROUND | {"engine"}) - {"errors"}, frozenset({"errors"})),
    **dict.fromkeys(WORKING, frozenset(GROUND)),
    "report": {"errors", "legend"},  # figures in, pages out
    "runs": GROUND | WORKING | {"engine", "report", "__init__"},
    "viewer": BELOW,
    "api": BELOW,  # functions on an xarray Dataset, for whoever needs no project
    "eolearn": BELOW,
    "cli": BELOW | {"viewer", "api"},
    "__main__": {"cli", "errors"},  # refuses a system before it imports the command line
    "__init__": BELOW | {"api", "_version"},  # the public list, loaded lazily
}
"""Room to the rooms that it may import."""

STEPS = (
    ("layout",),
    ("project",),
    ("fetch", "estimate"),
    ("sample",),
    ("train",),
    ("mapping",),
    ("results",),
    ("validate",),
    ("report",),
    ("pipeline", "evaluate"),
    ("publish",),
)
"""Within `runs` an import goes to an earlier step, or stays in its folder."""

MOST_ENTRIES, MOST_AT_THE_TOP, MOST_LINES = 14, 18, 400

FILES = sorted(path for path in SOURCE.rglob("*.py") if path.name != "_version.py")


def module_of(path):
    return ".".join(("landweave", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


def imported_by(text, modules=MODULES):
    """Modules of landweave that a text imports, also inside functions and for types only."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in modules else node.module for name in names]
        found |= {name for name in names if name.split(".")[0] == "landweave"}
    return found


@cache
def imports():
    return {module: imported_by(path.read_text()) - {module} for module, path in MODULES.items()}


def room_of(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def circles(graph):
    """Groups of two or more nodes that reach each other (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def upward(graph, steps=STEPS):
    """Imports within `runs` that go to the same or to a later step."""
    step = {name: number for number, names in enumerate(steps) for name in names}
    wrong = []
    for module, reached in graph.items():
        for other in reached:
            if module.startswith("landweave.runs.") and other.startswith("landweave.runs."):
                here, there = module.split(".")[2], other.split(".")[2]
                if here != there and step[there] >= step[here]:
                    wrong.append((module, other))
    return sorted(wrong)


@pytest.mark.parametrize("module", MODULES)
def test_a_room_imports_only_what_its_line_allows(module):
    reached = {room_of(other) for other in imports()[module]} - {room_of(module)}
    assert reached <= ALLOWED[room_of(module)], f"{module} reaches {reached - ALLOWED[room_of(module)]}"


def test_a_planted_import_is_caught():
    assert imported_by("from landweave.legend import Legend") == {"landweave.legend"}
    assert imported_by("from landweave.runs.fetch import strips") == {"landweave.runs.fetch.strips"}
    lazy = "def f():\n    from landweave.runs.pipeline.driver import run\n"
    assert {room_of(module) for module in imported_by(lazy)} == {"runs"}
    with pytest.raises(AssertionError):
        imported_by("from . import legend")


def test_no_files_import_each_other_in_a_circle():
    assert circles(imports()) == []


def test_a_planted_circle_is_found_through_lazy_and_typing_imports():
    a = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from landweave.b import x\n"
    b = "def f():\n    from landweave.a import y\n"
    names = {"landweave.a", "landweave.b"}
    graph = {"landweave.a": imported_by(a, names), "landweave.b": imported_by(b, names)}
    assert circles(graph) == [["landweave.a", "landweave.b"]]


def test_folders_of_the_house_import_each_other_in_no_circle():
    graph = {}
    for module, reached in imports().items():
        graph.setdefault(room_of(module), set()).update(room_of(other) for other in reached)
    assert circles({room: {r for r in reached if r != "__init__"} for room, reached in graph.items()}) == []


def test_within_runs_every_import_goes_to_an_earlier_step():
    assert upward(imports()) == []
    folders = {path.name.removesuffix(".py") for path in (SOURCE / "runs").iterdir() if path.name[0] != "_"}
    assert folders == {name for names in STEPS for name in names}
    planted = {"landweave.runs.fetch.task": {"landweave.runs.train.models"}}
    assert upward(planted) == [("landweave.runs.fetch.task", "landweave.runs.train.models")]


def spelt_names(text, names):
    """Lines of a text that spell what lies in an output folder: a known name, or anything joined to a ``.folder``."""
    tree = ast.parse(text)
    documented = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    lines = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in names and id(node) not in documented:
            lines.add(node.lineno)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            left, right = ast.unparse(node.left), node.right
            if left.endswith(".folder") and isinstance(right, ast.JoinedStr | ast.Constant):
                lines.add(node.lineno)
    return sorted(lines)


def test_only_the_layout_spells_what_lies_in_an_output_folder():
    from landweave.runs import layout

    names = {value for key, value in vars(layout).items() if key.isupper() and "." in value and value[0] != "_"}
    assert {"map.tif", "accuracy.json", "report.html", "samples.parquet", "ledger.sqlite"} <= names
    for path in FILES:
        if room_of(module_of(path)) in {"engine", "runs", "viewer", "cli", "maps"} and path.name != "layout.py":
            assert spelt_names(path.read_text(), names) == [], path
    assert spelt_names('a = run.folder / "predictions" / f"{name}.tif"', names) == [1]
    assert spelt_names('a = plan.folder / f"labels/{name}.tif"', names) == [1]
    assert spelt_names('read(folder, "map.tif")', names) == [1]


def asked_types(text):
    """Lines of a text that ask whether something is a certain source: by ``isinstance``, ``type`` or ``match``."""
    lines = set()
    for node in ast.walk(ast.parse(text)):
        called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        asked = None
        if called in {"isinstance", "issubclass"}:
            asked = node.args[1]
        elif isinstance(node, ast.Compare) and "type(" in ast.unparse(node.left):
            asked = node
        elif isinstance(node, ast.MatchClass):
            asked = node.cls
        if asked is not None and re.search(r"Source\b", ast.unparse(asked)):
            lines.add(node.lineno)
    return sorted(lines)


def test_nobody_but_the_sources_asks_for_a_sources_type():
    for path in FILES:
        assert room_of(module_of(path)) == "sources" or asked_types(path.read_text()) == [], path
    assert asked_types("remote = isinstance(source, StacSource) and source.remote") == [1]
    assert asked_types("if isinstance(plan.source, stac.StacSource | RasterSource):\n    pass") == [1]
    assert asked_types("same = type(source) is StacSource") == [1]
    assert asked_types("match source:\n    case StacSource():\n        pass") == [2]
    assert asked_types("text = isinstance(value, str)\nkind: type[Source] = StacSource") == []


def entries(folder):
    return [path.name for path in folder.iterdir() if not path.name.startswith((".", "__", "_version", "py.typed"))]


def test_no_folder_is_full():
    assert len(entries(SOURCE)) <= MOST_AT_THE_TOP, entries(SOURCE)
    for folder in SOURCE.rglob("*"):
        if folder.is_dir() and folder.name != "__pycache__":
            assert len(entries(folder)) <= MOST_ENTRIES, f"{folder}: {entries(folder)}"


def test_no_drawer_and_no_long_file():
    for path in FILES:
        assert not {"utils", "common", "core", "helpers"} & set(path.with_suffix("").parts), path
        assert len(path.read_text().splitlines()) <= MOST_LINES, path


def test_folders_init_files_are_empty():
    for path in SOURCE.rglob("__init__.py"):
        assert path.parent in (SOURCE, SOURCE / "eolearn") or path.read_text() == "", path


def test_no_class_name_is_defined_twice():
    names = Counter(
        node.name for path in FILES for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_stages_are_short_and_hold_no_arithmetic():
    sums = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
    tree = ast.parse((SOURCE / "runs" / "pipeline" / "stages.py").read_text())
    for node in ast.walk(tree):
        assert not (isinstance(node, ast.BinOp) and isinstance(node.op, sums)), f"line {node.lineno}"
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno + 1 <= 25, node.name


def modules_after(statement):
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


def test_the_command_line_opens_without_heavy_imports():
    heavy = {"numpy", "pandas", "xarray", "rasterio", "rich", "pydantic", "lightgbm", "sklearn", "distributed"}
    assert not heavy & modules_after("import landweave, landweave.cli.app")


def test_the_process_that_predicts_starts_without_training_or_vector_libraries():
    assert not {"lightgbm", "sklearn", "geopandas"} & modules_after(
        "import landweave.runs.fetch.task, landweave.runs.sample.task, landweave.runs.mapping.task"
    )


def test_every_public_name_exists_and_is_explained():
    import landweave

    for name in landweave.__all__:
        thing = getattr(landweave, name)
        assert name == "__version__" or (thing.__doc__ and len(thing.__doc__) > 20), name


def test_nothing_in_the_source_unpickles_or_evaluates():
    forbidden = {"eval", "exec", "compile", "__import__"}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in forbidden, f"{path}:{node.lineno}"
            if isinstance(node, ast.Import):
                assert not {"pickle", "joblib", "dill"} & {alias.name.split(".")[0] for alias in node.names}, path
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] not in {"pickle", "joblib", "dill"}, path
        assert not re.search(r"import (pickle|joblib|dill)\b", path.read_text()), f"{path}: not even in an example"


def test_the_page_evaluates_no_text_and_makes_no_markup_of_data():
    """Of the bundled libraries three places set markup: their attributions, which are off, a scale's numbers, an M."""
    page = (SOURCE / "viewer" / "page" / "app.js").read_text()
    assert not re.search(r"\beval\(|\bFunction\(|document\.write|insertAdjacentHTML|outerHTML", page)
    assert len(re.findall(r"\.innerHTML\s*=", page)) == 3
    sources = SOURCE.parents[1] / "web" / "src"
    own = "".join(path.read_text() for path in sources.rglob("*.js"))
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|\bFunction\(", own)
    assert "controls({ attribution: false" in own
