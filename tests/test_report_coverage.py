"""What the satellite saw, as pictures and words of the report."""

import base64
import re
import warnings
from datetime import date
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from landweave.report.report import ReportContent, render_report
from landweave.report.sections.coverage import (
    ALL_COLOR,
    CLOUD_RAMP,
    COUNT_RAMP,
    UNKNOWN_COLOR,
    VALID_COLOR,
    histogram_svg,
    ndvi_svg,
    observed_section,
)

YEAR = {
    "dates": ["2017-03-01", "2017-05-01", "2017-07-01", "2017-09-01"],
    "all": [0.2, 0.1, 0.7, 0.5],
    "valid": [0.3, None, 0.75, 0.5],
    "low": [0.2, None, 0.6, 0.4],
    "high": [0.4, None, 0.85, 0.6],
}
FACTS = {
    "histogram": [10, 0, 30, 60],
    "ndvi": YEAR,
    "counts_map": [[2, 3], [None, 3]],
    "cloud_map": [[0.1, 0.25], [None, 0.6]],
}


def content(observed):
    return ReportContent(title="saw", accuracy=None, legend=[(1, "forest", "#009e73")], observed=observed)


def drawn(svg):
    return ElementTree.fromstring(str(svg))


def pixels_of(uri, tmp_path):
    path = tmp_path / "map.png"
    path.write_bytes(base64.b64decode(uri.removeprefix("data:image/png;base64,")))
    # A picture for a page has no place on Earth.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        file = rasterio.open(path)
    with file:
        palette, codes = file.colormap(1), file.read(1)
    return [["#{:02x}{:02x}{:02x}".format(*palette[code][:3]) for code in row] for row in codes.tolist()]


def test_the_report_says_what_was_seen_only_when_it_is_told():
    assert "What the satellite saw" in render_report(content(FACTS))
    for nothing in (None, {}, {"histogram": [], "ndvi": None, "counts_map": None, "cloud_map": None}):
        assert "What the satellite saw" not in render_report(content(nothing))


@pytest.mark.parametrize("key", list(FACTS))
def test_each_part_stands_alone_and_is_left_out_alone(key):
    alone = render_report(content({key: FACTS[key]}))
    assert "What the satellite saw" in alone
    without = render_report(content({k: v for k, v in FACTS.items() if k != key}))
    sign = {
        "histogram": "How often each place was seen<", "ndvi": "NDVI through the year",
        "counts_map": "<h3>Valid observations", "cloud_map": "<h3>Mean cloud probability",
    }  # fmt: skip
    assert [part for part, words in sign.items() if words in alone] == [key]
    assert [part for part, words in sign.items() if words not in without] == [key]


@pytest.mark.filterwarnings("error")
def test_the_page_stays_one_file_whose_tags_nest_and_the_same_bytes():
    html = render_report(content(FACTS))
    assert html == render_report(content(FACTS))
    html = html.replace('<link rel="icon" href="data:,">', "")  # an empty one, so that no server is asked
    assert not re.search(r"https?://|url\(|@import|<script|<link", html)
    void, open_tags = {"meta", "img", "br"}, []

    class Nesting(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag not in void:
                open_tags.append(tag)

        def handle_endtag(self, tag):
            assert tag in void or open_tags.pop() == tag

    Nesting().feed(html)
    assert open_tags == []


def test_the_histogram_is_told_in_words():
    words = observed_section(FACTS)["histogram_words"]
    assert words == (
        "There are 3 acquisition dates. A pixel was seen clearly between 0 and 3 times, half of the pixels at least 3 times. "
        "Never seen: 10.0 %."
    )
    everywhere = observed_section({"histogram": [0, 0, 7, 0]})["histogram_words"]
    assert everywhere == (
        "There are 3 acquisition dates. A pixel was seen clearly twice, half of the pixels at least twice."
    )


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=150).filter(any))
def test_a_bar_is_as_tall_as_its_share_of_the_pixels(histogram):
    counts = np.array(histogram, "int64")
    svg = drawn(histogram_svg(counts))
    bars = svg.findall(".//g[@class='bars']/rect")
    assert len(bars) == np.flatnonzero(counts)[-1] + 1
    heights = np.array([float(bar.get("height")) for bar in bars])
    shares = counts[: len(bars)] / counts.sum()
    np.testing.assert_allclose(heights / heights.max(), shares / shares.max(), atol=1e-4)
    feet = [float(bar.get("y")) + float(bar.get("height")) for bar in bars]
    np.testing.assert_allclose(feet, feet[0], atol=0.011)
    assert all(float(bar.get("y")) >= 12 - 0.01 for bar in bars)
    assert all(float(bar.get("width")) > 0 for bar in bars)


def test_a_date_without_valid_pixels_has_no_point_on_the_line_without_clouds():
    svg = drawn(ndvi_svg(YEAR))
    lines = {line.get("stroke"): line.get("points").split() for line in svg.iter("polyline")}
    assert {color: len(points) for color, points in lines.items()} == {ALL_COLOR: 4, VALID_COLOR: 3}
    assert len(svg.find(".//polygon").get("points").split()) == 6
    titles = [circle.find("title").text for circle in svg.iter("circle") if circle.get("fill") == VALID_COLOR]
    assert titles == [
        f"{day}, without clouds: {v}"
        for day, v in (("2017-03-01", "0.30"), ("2017-07-01", "0.75"), ("2017-09-01", "0.50"))
    ]
    # Greener is higher up, later is further right; both lines share one scale.
    places = np.array([[float(v) for v in point.split(",")] for point in lines[VALID_COLOR]])
    assert (np.diff(places[:, 0]) > 0).all()
    assert places[1, 1] < places[2, 1] < places[0, 1]
    assert lines[ALL_COLOR][3] == lines[VALID_COLOR][2]


@given(
    st.lists(st.dates(date(2015, 7, 1), date(2030, 12, 31)), min_size=1, max_size=12, unique=True),
    st.data(),
)
def test_whatever_the_dates_and_values_everything_lies_within_the_frame(days, data):
    values = st.one_of(st.none(), st.floats(-1, 1), st.just(float("nan")))
    series = {
        key: data.draw(st.lists(values, min_size=len(days), max_size=len(days)))
        for key in ("all", "valid", "low", "high")
    }
    found = observed_section({"ndvi": {"dates": [day.isoformat() for day in days], **series}})["ndvi"]
    if not any(v is not None and v == v for v in series["all"]):  # noqa: PLR0124 - NaN differs from itself
        assert found is None
        return
    svg = drawn(found)
    _, _, width, height = (float(v) for v in svg.get("viewBox").split())
    for circle in svg.iter("circle"):
        assert 52 <= float(circle.get("cx")) <= width - 14
        assert 12 - 0.1 <= float(circle.get("cy")) <= height - 46 + 0.1
    assert "nan" not in str(found)


def test_months_are_named_and_the_year_is_said():
    text = [t.text for t in drawn(ndvi_svg(YEAR)).iter("text")]
    assert {"Mar 2017", "Apr", "Jul", "Sep", "NDVI"} <= set(text)
    long = {**YEAR, "dates": ["2015-07-01", "2016-05-01", "2017-01-01", "2017-12-22"]}
    labels = [t.text for t in drawn(ndvi_svg(long)).iter("text")]
    assert {"Jul 2015", "Jan 2016", "Jan 2017"} <= set(labels)


def test_the_least_and_the_most_of_a_map_have_the_ends_of_its_legend(tmp_path):
    counts, clouds = observed_section(FACTS)["maps"]
    assert (counts["low"], counts["high"], counts["unknown"]) == ("2", "3", UNKNOWN_COLOR)
    assert pixels_of(counts["uri"], tmp_path) == [
        [COUNT_RAMP[0], COUNT_RAMP[-1]], [UNKNOWN_COLOR, COUNT_RAMP[-1]],
    ]  # fmt: skip
    assert (clouds["low"], clouds["high"]) == ("10 %", "60 %")
    painted = pixels_of(clouds["uri"], tmp_path)
    assert (painted[0][0], painted[1][1], painted[1][0]) == (CLOUD_RAMP[0], CLOUD_RAMP[-1], UNKNOWN_COLOR)


def test_a_cloud_map_in_percent_is_the_same_map():
    percent = np.array([[10, 25], [255, 60]], "uint8")
    maps = [observed_section({"cloud_map": given})["maps"][0] for given in (percent, FACTS["cloud_map"])]
    assert maps[0] == maps[1]


def test_a_map_of_one_value_or_of_none_is_drawn_without_a_scale():
    assert observed_section({"counts_map": np.full((3, 4), np.nan)})["maps"] == []
    html = render_report(content({"counts_map": np.full((3, 4), 5, "uint8")}))
    assert "<span>everywhere</span>" in html
    assert "no data" not in html.split("What the satellite saw")[1].split("</figure>")[0].split("<figcaption>")[0]


def test_a_large_map_is_shrunk():
    big = np.random.default_rng(0).integers(0, 60, (2000, 3000)).astype("uint8")
    assert len(render_report(content({"counts_map": big, "cloud_map": big}))) < 500_000


def test_a_map_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="y, x"):
        observed_section({"counts_map": np.zeros((2, 3, 3))})
