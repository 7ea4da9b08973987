"""What the model looks at: the map of importance, what feeds it, and what the result leans on."""

import re

import html5lib
import numpy as np
import pytest

from landweave.report.report import ReportContent, render_report
from landweave.report.sections.importance import importance_svg, reasons_section, reliance_warnings
from landweave.runs.report.page import _suspicion

COLORS = {"forest": "#009e73", "water": "#0072b2"}
IMAGE = np.full((40, 30, 3), 90, "uint8")


def outcome(relies, why="without them: agreement -3.0 points (-4.0 to -2.0)"):
    return {"removed": ["2020-04-05"], "change": {}, "classes": {}, "relies": relies, "why": why}


def importance(**changes):
    lost = {"value": 0.031, "spread": 0.002}
    return {
        "layers": ["B04", "n<i>"], "dates": ["2020-04-01", "2020-06-01"], "static": ["height"], "rows": 2000, "drawn": "gain",
        "map": [[0.5, 0.0], [0.2, 0.25]], "map_static": [0.05], "splits": None,
        "permutation": {"rows": 2000, "by_date": {"2020-04-01": lost, "2020-06-01": {"value": -0.001, "spread": None}},
                        "by_layer": {"B04": lost}},
        "acquisitions": [{"date": "2020-04-05", "snow": 0.3, "is_snow": True, "importance": 0.6},
                         {"date": "2020-05-30", "snow": 0.0, "is_snow": False, "importance": 0.4}],
        "feeding": [[0.8, 0.2], [0.1, 0.9]],
        "hot_cells": [
            {"layer": "B04", "date": "2020-04-01", "importance": 0.5, "heaviest": "2020-04-05", "quicklook": "x.tif",
             "acquisitions": [{"date": "2020-04-05", "share": 0.8, "snow": 0.3}, {"date": "2020-05-30", "share": 0.2, "snow": None}]},
            {"layer": "n<i>", "date": "2020-06-01", "importance": 0.25, "heaviest": None, "quicklook": None, "acquisitions": []},
        ],
        "reliance": {"rule": "the rule", "leading": outcome(False), "snow": {"removed": [], "reason": "no acquisition shows snow"}},
        "histograms": {"layer": "B04", "good": "2020-06-01", "poor": "2020-04-01", "rows": 100, "edges": [0.0, 0.1, 0.2, 0.3],
                       "dates": {"2020-06-01": {"forest": [9, 1, 0], "water": [0, 2, 8]},
                                 "2020-04-01": {"forest": [3, 3, 3], "water": [3, 3, 3]}}},
    } | changes  # fmt: skip


def page(**changes):
    legend = [(1, "forest", COLORS["forest"]), (2, "water", COLORS["water"])]
    html = render_report(ReportContent(title="t", accuracy=None, legend=legend, **changes))
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html)
    for style in tree.iter("style"):
        style.text = ""
    return html, " ".join(" ".join(tree.itertext()).split())


def test_the_map_is_darkest_where_importance_is_largest_and_marks_dates_of_snow():
    svg = importance_svg(np.array([[0.5, 0.0], [0.2, -0.1]]), ["a", "b"], ["2020-04-01", "2020-06-01"], [True, False])
    assert re.findall(r"--share:([0-9.]+)", svg) == ["0.700", "0.000", "0.280", "0.000"]
    assert re.findall(r'class="much"[^>]*>(\d+)<', svg) == ["50", "20"]
    assert svg.count('class="snow"') == 1


def test_a_hot_cell_leads_to_the_image_of_its_heaviest_acquisition():
    html, text = page(importance=importance(), acquisitions={"2020-04-05": IMAGE})
    (anchor,) = re.findall(r'href="#(image-\d+)"', html)
    assert f'id="{anchor}"' in html
    assert "2020-04-05 (80 %, snow), 2020-05-30 (20 %) image of 2020-04-05" in text
    assert "S: a date that depends mostly on acquisitions with snow." in text
    assert "n<i>" in text
    assert "<i>" not in html


def test_without_an_image_there_is_no_link():
    html, text = page(importance=importance())
    assert not re.search(r"[#\"]image-", html)
    assert "2020-04-05 (80 %, snow)" in text


def test_what_is_lost_without_a_date_or_a_layer_is_listed_largest_first():
    found = reasons_section(importance(), {}, COLORS)
    (_, dates), (_, layers) = found["permutation"]["sides"]
    assert [(row["name"], row["value"], row["spread"]) for row in dates] == [
        ("2020-04-01", "3.1", "± 0.2"),
        ("2020-06-01", "-0.1", ""),
    ]
    assert [row["length"] for row in dates] == [1.0, 0.0]
    assert layers[0]["name"] == "B04"


@pytest.mark.parametrize(("relies", "verdict"), [(True, "relies"), (False, "does not rely"), (None, "unknown")])
def test_a_result_that_leans_on_what_was_taken_away_is_warned_of(relies, verdict):
    tests = {"rule": "the rule", "leading": outcome(relies), "snow": outcome(False)}
    _, text = page(importance=importance(reliance=tests))
    assert f"The leading acquisition 2020-04-05 {verdict} without them" in text
    assert ("The result relies on a single acquisition" in text) == (relies is True)
    assert len(reliance_warnings(importance(reliance=tests))) == (relies is True)
    assert reliance_warnings(None) == reliance_warnings({"reason": "x"}) == []


def test_why_there_is_no_importance_is_told():
    _, text = page(importance={"reason": "the model comes from elsewhere"})
    assert "Which layers and dates matter Not available: the model comes from elsewhere." in text
    assert reasons_section(None, {}, COLORS) is None


def test_classes_lie_apart_on_a_good_date_and_on_each_other_on_a_poor_one():
    found = reasons_section(importance(), {}, COLORS)["histograms"]
    (good, good_day, apart), (poor, poor_day, alike) = found["charts"]
    assert (good, good_day, poor, poor_day) == ("good", "2020-06-01", "poor", "2020-04-01")

    def lines(svg):
        return re.findall(r'<polyline points="([^"]*)" stroke="#', svg)

    assert len(set(lines(apart))) == 2
    assert len(set(lines(alike))) == 1
    assert [name for _, name in found["key"]] == ["forest", "water"]
    assert reasons_section(importance(histograms=None), {}, COLORS)["histograms"] is None


def test_places_where_the_reference_is_likely_wrong_are_listed_and_without_a_list_the_reasons_stand():
    row = {
        "rank": 1,
        "reference_class": "forest",
        "suggested_class": "water",
        "area_ha": 1.234,
        "lon": 15.1,
        "lat": 46.2,
    }
    found = _suspicion({"listed": 7, "hectares": 12.5, "first": [row]})
    assert "7 places, 12.5 ha" in found.paragraphs[1]
    assert found.rows == [("1", "forest", "water", "1.23", "15.1000, 46.2000")]
    nothing = _suspicion({})
    assert "A reference is not the truth" in nothing.paragraphs[0]
    assert (len(nothing.paragraphs), nothing.rows, nothing.header) == (1, [], ())
