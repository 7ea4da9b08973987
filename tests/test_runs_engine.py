"""The engine: project file, ledger, executor, roles."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landweave.errors import InputError
from landweave.legend import Legend
from landweave.runs.assignment import assign
from landweave.runs.executor import open_engine
from landweave.runs.ledger import BusyError, Ledger, fingerprint
from landweave.runs.project import make_project, read_project

SOUND = """
name = "x"
[source]
type = "rasters"
pattern = "a_{date:%Y}_{variable}.tif"
[reference]
path = "r.gpkg"
[model]
test_fraction = 0.25
"""


def project_of(tmp_path, text=SOUND):
    path = tmp_path / "landweave.toml"
    path.write_text(text)
    return read_project(path)


def test_defaults_are_those_of_the_docs(tmp_path):
    project = project_of(tmp_path)
    assert project.folder == tmp_path.resolve() / "out" / "x"
    assert project.sampling.rule == {"per_class": 20_000}
    assert project.source.cloud_rule == "none"
    assert (project.model.folds, project.model.prior, project.model.refit) == (5, "area", True)
    assert read_project(tmp_path) == project


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("test_fraction", "test_fractoin", r"landweave.toml:9 unknown key 'model.test_fractoin'; did you mean 'test_fraction'"),
        ("[model]", "[modell]", r"unknown key 'modell'; did you mean 'model'"),
        ("0.25", "1.5", r"landweave.toml:9 model.test_fraction.*1.5"),
        ('"rasters"', '"raster"', r"landweave.toml:4 source.type.*raster"),
        ('name = "x"', "", r"'name' is missing"),
        ("pattern", 'table = "t.csv"\npattern', r"either table or pattern"),
        ('type = "rasters"', 'type = "rasters"\nurl = "https://x"', r"url is not a key of type = 'rasters'"),
        ('type = "rasters"', 'type = "rasters"\nclouds = "mask"', r"needs mask"),
        ("[model]", "[sampling]\nper_class = 5\nfraction = 0.1\n[model]", r"exclude each other"),
        ("[model]", "[period]\nstart = 2020-02-01\nend = 2020-01-01\n[model]", r"lies before start"),
        ('[reference]\npath = "r.gpkg"', "", r"nothing to learn from"),
        ("[model]", '[training]\ntable = "t.csv"\n[model]', r"exclude each other"),
        ("[model]", "[model", r"not valid TOML"),
        ("[model]", '[features]\nindices = ["ndvi", "ndvi"]\n[model]', r"'ndvi' is named twice"),
    ],
)  # fmt: skip
def test_a_project_file_that_makes_no_sense_is_refused_with_line_and_key(tmp_path, before, after, message):
    assert before in SOUND
    with pytest.raises(InputError, match=message) as caught:
        project_of(tmp_path, SOUND.replace(before, after))
    assert "\n" not in str(caught.value)


def test_a_date_with_a_time_is_a_date(tmp_path):
    project = project_of(tmp_path, SOUND + "[period]\nstart = 2020-02-01T10:00:00\n")
    assert str(project.period.start) == "2020-02-01"


def test_a_thing_is_fresh_until_an_input_or_its_file_changes(tmp_path):
    with Ledger(tmp_path) as ledger:
        assert ledger.stale("a", {"x": "1"}) == "not made yet"
        (tmp_path / "a.txt").write_text("content")
        ledger.done("a", inputs={"x": "1"}, files=["a.txt"], info={"n": 1})
        assert ledger.stale("a", {"x": "1"}) is None
        assert ledger.stale("a", {"x": "2", "y": "0"}) == "x, y changed"
    with Ledger(tmp_path) as ledger:
        assert ledger.stale("a", {"x": "1"}) is None
        os.utime(tmp_path / "a.txt", (0, 0))
        assert ledger.stale("a", {"x": "1"}) is None, "times decide nothing"
        (tmp_path / "a.txt").write_text("cont")
        assert ledger.stale("a", {"x": "1"}) == "a.txt is not what was written"
        (tmp_path / "a.txt").unlink()
        assert ledger.stale("a", {"x": "1"}) == "a.txt is gone"
        ledger.failed("a", inputs={"x": "1"}, error="no luck", log="trace")
        assert ledger.stale("a", {"x": "1"}) == "failed: no luck"


def test_a_second_writer_is_refused_while_readers_may_look(tmp_path):
    with Ledger(tmp_path) as ledger:
        ledger.done("a", inputs={}, files=[], info={})
        with pytest.raises(BusyError, match="another run"):
            Ledger(tmp_path)
        with Ledger(tmp_path, exclusive=False) as reader:
            assert reader.get("a") is not None
    with Ledger(tmp_path):
        pass


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.booleans())))
def test_a_fingerprint_does_not_depend_on_order(values):
    assert fingerprint(values) == fingerprint(dict(reversed(values.items())))


def work(task):
    """Fail, die, or answer, as asked."""
    kind, folder = task
    if kind == "raise":
        raise ValueError("first line\nlast line")
    mark = Path(folder) / f"died-{kind}"
    if kind == "die-always" or (kind == "die-once" and not mark.exists()):
        mark.touch()
        time.sleep(0.2)
        os._exit(9)
    return kind


def test_a_failing_task_stops_no_other_in_this_process(tmp_path):
    with open_engine(workers=1) as engine:
        done = {
            o.name: o for o in engine.run(work, [(str(i), (k, tmp_path)) for i, k in enumerate(["a", "raise", "b"])])
        }
    assert done["0"].value == "a"
    assert done["2"].value == "b"
    assert (done["1"].error, done["1"].kind) == ("last line", "ValueError")
    assert "Traceback" in done["1"].log


def test_a_worker_that_dies_takes_no_other_task_with_it(tmp_path):
    kinds = ["a", "raise", "die-once", "die-always", *"bcdefgh"]
    with open_engine(workers=2) as engine:
        done = {o.name: o for o in engine.run(work, [(k, (k, str(tmp_path))) for k in kinds])}
    assert set(done) == set(kinds)
    assert all(done[k].value == k for k in ["a", "die-once", *"bcdefgh"])
    assert done["raise"].kind == "ValueError"
    assert done["die-always"].error


CLASSES = Legend.from_labels(["forest", "meadow", "water"])


def project_with(**model):
    content = {"name": "x", "source": {"type": "simulated"}, "reference": {"path": "r"}, "model": model}
    return make_project(content, file=Path("landweave.toml"))


@given(
    st.dictionaries(
        st.sampled_from([f"p{i}" for i in range(30)]),
        st.dictionaries(st.sampled_from([1, 2, 3]), st.integers(1, 500), min_size=2),
        min_size=3,
    )
)
def test_roles_and_folds_never_meet(counts):
    plan = assign(project_with(), CLASSES, cut=1, counts=counts, core=counts)
    assert set(plan.units) == set(counts)
    if plan.kind == "none":
        return
    roles = plan.roles
    assert {"train", "test"} == set(roles.values())
    for role, fold in plan.units.values():
        assert fold == plan.folds if role == "test" else -1 <= fold < max(plan.folds, 1)


def test_one_unit_gives_in_sample_figures_and_one_class_none_at_all():
    counts = {"p": {1: 50, 2: 50}}
    assert assign(project_with(), CLASSES, cut=1, counts=counts, core=counts).kind == "none"
    with pytest.raises(InputError, match=r"[Ff]ewer than two classes.*forest"):
        assign(project_with(), CLASSES, cut=1, counts=counts, core={"p": {1: 50}})


def test_a_given_model_is_tested_by_every_unit():
    counts = {"p": {1: 50, 2: 50}, "q": {2: 9}}
    plan = assign(project_with(path="elsewhere"), CLASSES, cut=1, counts=counts, core=counts)
    assert (plan.kind, set(plan.roles.values()), plan.quotas) == ("given", {"test"}, {})
