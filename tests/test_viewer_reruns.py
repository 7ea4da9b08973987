"""The view and the run behind it: other projects, failed patches, reruns while somebody looks."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the view needs the extra `viewer`")
from archives import edit

from landweave.errors import InputError
from landweave.runs.layers import make_layers
from landweave.runs.reading import check_same_project, open_run
from landweave.viewer.description import describe
from landweave.viewer.publishing import publish
from landweave.viewer.server import open_view
from landweave.viewer.tiles import Tiles


@pytest.fixture(scope="module")
def finished(finished, tmp_path_factory):
    """A copy of a finished run, to be edited."""
    return shutil.copytree(finished, tmp_path_factory.mktemp("rerun") / "country")


@pytest.fixture(scope="module")
def view(finished):
    return open_view(finished)


EDITS = {
    "period": ("start = 2017-01-01", "start = 2017-03-01", "period, dates"),
    "bands": ('"B11", "B12"]', '"B11"]', "bands"),
    "size of patches": ("patch_size = 60", "patch_size = 50", "area, patches"),
    "pixels": ("resolution = 10 ", "resolution = 20 ", "area"),
    "masks": ('clouds = "scl"', 'clouds = "none"', "source"),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_project_that_is_no_longer_that_of_its_run_is_refused_in_a_line(finished, tmp_path, name):
    before, after, changed = EDITS[name]
    text = (finished / "landweave.toml").read_text()
    try:
        edit(finished, before, after)
        for act in (open_view, lambda project: publish(project, tmp_path / "page")):
            with pytest.raises(InputError, match=r"`landweave run` first\.$") as refused:
                act(finished)
            assert f"the project has changed since the run ({changed}" in str(refused.value)
            assert "\n" not in str(refused.value)
    finally:
        (finished / "landweave.toml").write_text(text)
    assert not (tmp_path / "page").exists()


def test_what_changes_no_file_of_the_run_is_let_through(finished):
    text = (finished / "landweave.toml").read_text()
    try:
        edit(finished, 'name = "simulated"', 'name = "another name"')
        check_same_project(open_run(finished))
    finally:
        (finished / "landweave.toml").write_text(text)


def test_patches_without_a_record_do_not_count_as_clear(view):
    run, layers = view.run, make_layers(view.run)
    names = [cell.name for cell in run.cells]
    shares = {name: list(run.valid_fractions(name)) for name in names}
    seen = {names[1]: shares[names[1]]}

    def told(fractions):
        some = replace(run, fractions=fractions)
        return [day["valid"] for day in describe(some, layers, Tiles(run=some, files=layers.files))["dates"]]

    assert told(seen) == pytest.approx(shares[names[1]], abs=1e-4)
    assert told({}) == [None] * len(run.plan.dates)
    assert np.isnan(replace(run, fractions={}).valid_fractions(names[0])).all()
    assert replace(run, fractions={}).clearest_date(names[0]) == run.plan.dates[0]
    json.dumps(told({}), allow_nan=False)
