"""A project file is data: what it names is imported from few places, unless whoever opens it says otherwise."""

import csv
import py_compile
import sys

import numpy as np
import pytest
from test_bad_input import edit
from worlds import two_class_world

from landweave.classifier.fit import fit
from landweave.errors import InputError
from landweave.features.indices import evaluate
from landweave.import_rule import ImportRule
from landweave.patch.store import read_raster
from landweave.runs.pipeline.check import check_project
from landweave.runs.pipeline.driver import run
from landweave.runs.project.settings import read_project
from landweave.runs.results.run import open_run

CUSTOM = 'indices = ["ndvi"]\ncustom.x = "{}"'


@pytest.fixture
def world(tmp_path):
    """A sound small project."""
    project, _ = two_class_world(tmp_path, size=40)
    return project


def naming(project, path):
    edit(project, 'indices = ["ndvi"]', CUSTOM.format(path))
    return project


STRANGE = [
    "subprocess:call", "os:system", "builtins:eval", "numpy:sum", "pickle:loads", "shutil:rmtree", "ctypes:CDLL",
    "landweave.__main__:main", "lightgbm.basic:ctypes", "sklearn.utils._joblib:joblib", "landweave.cli.app:sys",
    "landweave.import_rule:sha256", "landweave.import_rule:Path", "sklearn:os", "no_such:f", "landweave_plugin:f",
    "sklearnx.svm:SVC", "lightgbm.basic:Path",
]  # fmt: skip


@pytest.mark.parametrize("path", STRANGE)
def test_code_from_elsewhere_is_not_called(path):
    with pytest.raises(InputError) as caught:
        evaluate(path, {"B04": np.ones(2)})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["subprocess:call", "os:system", "numpy:sum"])
def test_the_line_says_what_may_be_named_and_how_to_allow_more(path):
    with pytest.raises(InputError, match=r"scikit-learn, XGBoost or a module beside the project file.*--allow-code"):
        evaluate(path, {"B04": np.ones(2)})


def test_all_that_python_finds_can_be_allowed():
    values = {"B04": np.ones(2)}
    assert evaluate("builtins:len", values, rule=ImportRule(anything=True)).tolist() == [1, 1]


def test_a_project_file_starts_no_shell(world, tmp_path, landweave):
    """The attack: bands named /bin/sh, -c and a command, which subprocess.call takes as its arguments."""
    words = ["/bin/sh", "-c", f"id > {tmp_path / 'PWNED'}"]
    rows = [["date", "variable", "path"]]
    for date in ("2020-03-01", "2020-06-01", "2020-09-01"):
        rows += [[date, word, f"S2_{date}_{band}.tif"] for word, band in zip(words, ("B04", "B08", "B04"), strict=True)]
    with (tmp_path / "images.csv").open("w") as file:
        csv.writer(file).writerows(rows)
    text = world.read_text()
    lines = [line for line in text.splitlines() if not line.startswith(("pattern", "bands", "indices"))]
    settings = [f"bands = {words!r}", "indices = []", 'custom.harmless = "subprocess:call"']
    lines.insert(lines.index("[features]") + 1, "\n".join(settings))
    lines.insert(lines.index("[source]") + 1, 'table = "images.csv"')
    world.write_text("\n".join(lines))
    for verb in ("check", "run", "forecast", "status", "view", "compare", "report"):
        status, _, said = landweave(verb, world)
        assert status == 2, verb
        assert 'features.custom.harmless = "subprocess:call" is code from elsewhere' in said, verb
    assert not (tmp_path / "PWNED").exists()


@pytest.mark.parametrize(
    ("type_", "reason"),
    [
        ("os:system", "unknown"),
        ("os.system", "--allow-code"),
        ("subprocess.Popen", "--allow-code"),
        ("sklearn.svm.os", "cannot be imported"),
        ("sklearn.utils.check_array", "is a function, not a classifier class"),
        ("sklearn.svm.SVR", "has no predict_proba or decision_function"),
        ("sklearn.preprocessing.StandardScaler", "has no predict_proba or decision_function"),
        ("landweave.legend.Legend", "has no fit"),
        ("sklearn.no.such.Thing", "cannot be imported"),
        ("sklearn.svm.NoSuch", "cannot be imported"),
        ("sklearn..SVC", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_type_of_model_from_elsewhere_is_refused_in_one_line(type_, reason):
    X, y = np.arange(40, dtype="int16").reshape(20, 2), np.repeat([1, 2], 10).astype("uint8")
    with pytest.raises(InputError) as caught:
        fit(X, y, type=type_, feature_names=("a", "b"))
    assert str(caught.value).startswith("[model] type = ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_path_that_is_refused_is_named_before_anything_is_opened(world):
    naming(world, "subprocess:call")
    edit(world, "[model]", '[model]\ntype = "os.system"')
    (world.parent / "reference.tif").unlink()
    with pytest.raises(InputError, match=r'custom\.x = "subprocess:call", model\.type = "os\.system" is code'):
        check_project(read_project(world))


MODULE = """
import numpy as np

def greener(bands):
    return bands["B08"] - bands["B04"] + shift()

def shift():
    return 0.0
"""


def test_a_module_beside_the_project_file_is_imported_by_every_worker(world):
    (world.parent / "veg.py").write_text(MODULE)
    plain = open_after(world, "B08-B04", workers=1)
    edit(world, "B08-B04", "veg:greener")
    assert "imports:   features.custom.x = veg:greener (veg.py beside the project file)" in check_project(
        read_project(world)
    )
    np.testing.assert_array_equal(open_after(world, None, workers=2), plain)
    # Its other functions decide too.
    (world.parent / "veg.py").write_text(MODULE.replace("0.0", "0.5"))
    assert "sample" in " ".join(run(read_project(world), workers=1).made)


def open_after(project, path, *, workers):
    if path is not None:
        naming(project, path)
    assert run(read_project(project), workers=workers).status == 0
    return read_raster(open_run(project).folder / "map.tif")


def test_a_module_beside_the_project_file_stands_for_no_other(tmp_path):
    rule = ImportRule(folder=tmp_path)
    (tmp_path / "json.py").write_text("def f(bands):\n    return bands['B04'] * 3\n")
    (tmp_path / "landweave.py").write_text("raise SystemExit\n")
    before = list(sys.path)
    assert evaluate("json:f", {"B04": np.ones(2)}, rule=rule).tolist() == [3, 3]
    import json

    assert not hasattr(json, "f")
    assert sys.path == before
    assert rule.origin("landweave.legend") == "landweave"
    for elsewhere in ("..json:f", "sub.json:f", "json.f:f"):
        with pytest.raises(InputError):
            evaluate(elsewhere, {"B04": np.ones(2)}, rule=rule)


def test_no_compiled_copy_of_a_module_is_run_or_written(tmp_path):
    module = tmp_path / "veg.py"
    module.write_text("def f(bands):\n    return bands['B04'] * 9\n")
    py_compile.compile(str(module), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    module.write_text("def f(bands):\n    return bands['B04'] * 2\n")
    assert evaluate("veg:f", {"B04": np.ones(2)}, rule=ImportRule(folder=tmp_path)).tolist() == [2, 2]
    other = tmp_path / "other.py"
    other.write_text("def f(bands):\n    return bands['B04']\n")
    evaluate("other:f", {"B04": np.ones(2)}, rule=ImportRule(folder=tmp_path))
    assert not list(tmp_path.glob("__pycache__/other*"))


@pytest.mark.parametrize("text", ["raise ValueError('a\\nb')", "import sys; sys.exit(3)", "def f(", "f = 5", "\0", ""])
def test_a_module_that_cannot_be_imported_is_told_in_one_line(tmp_path, text):
    (tmp_path / "veg.py").write_text(text)
    with pytest.raises(InputError) as caught:
        evaluate("veg:f", {"B04": np.ones(2)}, rule=ImportRule(folder=tmp_path))
    assert str(caught.value).startswith("Custom layer 'veg:f'")
    assert "\n" not in str(caught.value)


def test_a_project_file_cannot_allow_itself(world):
    world.write_text("allow_code = true\n" + world.read_text())
    with pytest.raises(InputError, match=r"landweave\.toml:1 unknown key 'allow_code'"):
        read_project(world)


def test_code_is_allowed_from_the_command_line_and_from_python(world, monkeypatch, landweave):
    """A function that Python finds: in a worker too, which gets the permission along with its task."""
    (world.parent / "lib").mkdir()
    (world.parent / "lib" / "elsewhere_17.py").write_text(MODULE)
    monkeypatch.setenv("PYTHONPATH", f"{world.parent / 'lib'}:{':'.join(sys.path)}")
    naming(world, "elsewhere_17:greener")
    monkeypatch.syspath_prepend(world.parent / "lib")
    assert landweave("check", world)[0] == 2
    _, out, _ = landweave("check", world, "--allow-code")
    assert "imports:   features.custom.x = elsewhere_17:greener (allowed by --allow-code)" in out
    assert run(read_project(world, allow_code=True), workers=2).status == 0
    with pytest.raises(InputError, match="--allow-code"):
        open_run(world)
    assert open_run(world, allow_code=True).cells
    assert not run(read_project(world), allow_code=True).made
