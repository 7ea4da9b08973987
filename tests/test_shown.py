"""Public values show themselves in few letters, on a terminal and in a notebook."""

import html.parser

import pytest

import landweave
from landweave.classifier.model import Model
from landweave.patch.summary import Shown
from landweave.runs.pipeline.driver import run as run_project

LONGEST = 600


@pytest.fixture(scope="module")
def values(finished):
    """Every kind of value that a public function returns, by its type's name."""
    project = landweave.read_project(finished)
    run = landweave.open_run(project)
    catalogue = finished / "archive" / "catalog.json"
    values = [
        project, run, run.plan, run.plan.legend, run.plan.recipe, run.plan.source, run.plan.reference, run.cells[0],
        landweave.open_stac(catalogue, radiometry="trust-metadata"), landweave.simulated_source(size_km=1),
        Model.load(run.folder / "model"), landweave.find_map(finished), run_project(project, workers=1),
        landweave.rasterise(run.plan.reference, run.cells[0].geobox, run.plan.legend), landweave.compare(run),
        landweave.compare_masks(*[run.patch(run.cells[0].name)["SCL"].values > 3] * 2),
        landweave.SizeRequest(), landweave.Stratum(name="forest", units=100, area=1.0),
    ]  # fmt: skip
    return {type(value).__name__: value for value in values}


def test_no_public_value_fills_the_screen(values):
    lengths = {name: len(repr(value)) for name, value in values.items()}
    assert {"FinishedRun", "Project", "Result", "Legend", "Cell", "Recipe", "Model", "StacSource", "Plan"} <= set(
        lengths
    )
    assert {name: length for name, length in lengths.items() if length >= LONGEST} == {}
    assert [name for name, value in values.items() if "\n" in repr(value)] == []


def test_each_is_named_in_what_it_shows(values):
    for name, value in values.items():
        assert name in repr(value)


def test_a_notebook_shows_sound_and_short_tables(values):
    shown = {name: value._repr_html_() for name, value in values.items() if hasattr(value, "_repr_html_")}
    assert {"FinishedRun", "Project", "Result", "Legend", "Cell", "Recipe", "Model", "StacSource", "Plan"} <= set(shown)
    for name, text in shown.items():
        parser = Balance()
        parser.feed(text)
        assert parser.open == [], name
        assert len(text) < 3000, name


class Balance(html.parser.HTMLParser):
    """Tags that were opened and not closed."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


class Long(Shown):
    def _summary(self):
        return {"name": "<b>&" * 300, "lines": "one\ntwo", "empty": "", **{f"key {n}": n for n in range(200)}}


def test_what_is_long_is_cut_and_what_is_markup_is_escaped():
    assert len(repr(Long())) < LONGEST
    assert repr(Long()).endswith("...>")
    text = Long()._repr_html_()
    assert "<b>" not in text
    assert "&lt;b&gt;&amp;" in text
    assert "one two" in text
    assert "empty" not in text


def test_a_large_legend_is_cut_and_its_names_are_escaped():
    legend = landweave.Legend.of_names({value: f"<class> number {value}" for value in range(1, 256)})
    assert len(repr(legend)) < LONGEST
    assert "<class>" not in legend._repr_html_()
    assert "&lt;class&gt; number 255" in legend._repr_html_()
