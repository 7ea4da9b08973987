"""The report: one file, honest words, harmless names, the same bytes each time."""

import itertools
import re
import warnings
from dataclasses import replace
from importlib.resources import files

import html5lib
import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from landweave.accuracy.curves import roc
from landweave.accuracy.design_based.estimates import Stratum, estimate
from landweave.accuracy.metrics import score, shares
from landweave.report.drawing.charts import Curve, square_svg
from landweave.report.drawing.images import data_uri, jpeg, paint, png, shrink
from landweave.report.report import Block, Panel, ReportContent, Section, StageCost, render_report
from landweave.report.sections.patches import PatchAgreement
from landweave.report.words import headline, mixed_up, percent, split_sentence
from landweave.runs.validate.thresholds import Rows, judge

CLASSES = {1: "forest", 2: "shrubland", 3: "water"}
LEGEND = [(1, "forest", "#009e73"), (2, "shrubland", "#e69f00"), (3, "water", "#0072b2")]


def parsed(html):
    """The page as a tree; a page that is not valid HTML5 fails here."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html)


def words(html):
    root = parsed(html)
    for style in root.iter("style"):
        style.text = ""
    return " ".join(" ".join(root.itertext()).split())


def texts(html):
    return [text for element in parsed(html).iter() for text in (element.text, element.tail) if text]


def addresses(html):
    return [e.get(name) for e in parsed(html).iter() for name in ("src", "href", "action") if e.get(name) is not None]


def figures(*, kind="patch", classes=CLASSES):
    rng = np.random.default_rng(0)
    truth = rng.choice(np.array([1, 2], "uint8"), 600, p=[0.8, 0.2])
    p = rng.dirichlet((1, 1, 1), 600) * 0.2
    p[np.arange(600), np.where(rng.random(600) < 0.8, truth, 3 - truth) - 1] += 0.8
    predicted = (p.argmax(axis=1) + 1).astype("uint8")
    found = score(truth, predicted, classes=classes, probabilities=p, clusters=np.arange(600) % 12)
    found["split"] = {"kind": kind, "train_patches": 24, "test_patches": 12}
    found["training_rows"] = dict(zip(classes.values(), (400, 400, 0), strict=True))
    found["test_share"] = shares(truth, None, classes)
    rows = Rows(truth=truth, probabilities=p.astype("float32"), clusters=np.arange(600) % 12, folds=np.arange(600) % 4)
    return found | judge(rows, rows, classes=classes)


def patches(n=14, k=3):
    rng = np.random.default_rng(4)
    square = np.array([(0, 1), (1, 1), (1, 0), (0, 0)], "float64")
    return [
        PatchAgreement(name=f"x{i}y0", outline=np.add(square, (i % 4, i // 4)), role="test",
                       counts=rng.integers(1, 90, (k, k + 1)) + 900 * np.eye(k, k + 1, dtype=int) * (i > 0))
        for i in range(n)
    ]  # fmt: skip


def content(**changes):
    classes = np.random.default_rng(1).choice(np.array([0, 1, 2, 3], "uint8"), (50, 70))
    image = np.random.default_rng(2).integers(0, 256, (50, 70, 3)).astype("uint8")
    fields = {
        "title": "bahia", "subtitle": "a year", "accuracy": figures(), "legend": LEGEND,
        "warnings": ["water has no samples"], "map_image": classes, "map_caption": "the map",
        "land": {"forest": 0.8, "shrubland": 0.2}, "patches": patches(),
        "block": Block(image=image, prediction=classes, caption="9 patches around x1y1"),
        "shares": [("forest", 0.79, 0.8), ("shrubland", 0.21, 0.2), ("water", 0.0, None)],
        "panels": [Panel(name="x1y1", image=image, reference=classes, prediction=classes),
                   Panel(name="x1y2", image=None, reference=classes, prediction=classes, caption="2017-07-12")],
        "settings": {"model.type": "lightgbm"},
        "stages": [StageCost(name="train", seconds=2.5, cpu_seconds=5.0, peak_bytes=500_000_000), StageCost(name="grid", seconds=0.1)],
        "notes": ["planted errors: 5 % (simulated)"],
        "sections": [Section(title="Dates", paragraphs=["by month"], header=["month", "n"], rows=[["May", "3"]])],
    }  # fmt: skip
    return ReportContent(**(fields | changes))


def test_the_report_is_one_valid_file_without_outside_links():
    # An empty icon, so that no browser asks a server for one.
    icon = '<link rel="icon" href="data:,">'
    html = render_report(content())
    assert html.startswith("<!DOCTYPE html>")
    assert html.count(icon) == 1
    html = html.replace(icon, "")
    root = parsed(html)
    assert {"svg", "table", "img", "nav"} <= {
        element.tag.rpartition("}")[2] for element in root.iter() if isinstance(element.tag, str)
    }
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    found = addresses(html)
    assert sum(address.startswith("data:image/") for address in found) > 8
    assert all(address.startswith(("data:image/png;base64,", "data:image/jpeg;base64,", "#")) for address in found)
    assert {address[1:] for address in found if address.startswith("#")} <= set(ids)
    assert not re.search(r"https?://|url\(|@import|<script|<link", html)


def test_the_page_can_be_heard_and_walked_by_its_headings():
    root = parsed(render_report(content()))
    levels = [int(e.tag[1]) for e in root.iter() if isinstance(e.tag, str) and re.fullmatch("h[1-6]", e.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for image in root.iter("img"):
        assert image.get("alt")
    for drawing in root.iter("{http://www.w3.org/2000/svg}svg"):
        assert drawing.get("aria-hidden") == "true" or (drawing.get("role") == "img" and drawing.get("aria-label"))
    for table in root.iter("table"):
        assert all(head.get("scope") for head in table.iter("th"))
    assert root.find(".").get("lang") == "en"


def luminance(color):
    parts = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_text_stands_out_by_day_and_by_night():
    style = (files("landweave.report") / "templates" / "style.css").read_text()
    day, night = (
        dict(re.findall(r"--([a-z-]+): ([^;]+);", rule))
        for rule in re.findall(r":root \{(.*?)\}", style, re.DOTALL)[:2]
    )
    assert night["page"] != day["page"]
    for colors in (day, day | night):
        for text in ("text", "soft", "accent", "warn", "good"):
            assert contrast(colors[text], colors["page"]) >= 4.5, text
            assert contrast(colors[text], colors["card"]) >= 4.5, text
        assert contrast(colors["warn"], colors["warn-card"]) >= 4.5
        assert contrast(colors["text"], colors["warn-card"]) >= 4.5
        # The fullest cell of a confusion matrix: its colour at 0.7 over the page.
        heat = np.array([int(n) for n in colors["heat"].split(",")])
        page = np.array([int(colors["page"][i : i + 2], 16) for i in (1, 3, 5)])
        full = "#{:02x}{:02x}{:02x}".format(*np.rint(0.7 * heat + 0.3 * page).astype(int))
        assert contrast(colors["text"], full) >= 4.5, full
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_the_same_content_gives_the_same_bytes():
    assert render_report(content()) == render_report(content())


def test_the_headline_says_what_the_figure_is_and_is_not():
    accuracy = figures()
    text = words(render_report(content()))
    assert "Agreement with the reference at places not trained on" in text
    assert "not map accuracy" in text
    assert percent(accuracy["overall_accuracy"]["value"]) in text
    low, high = (percent(accuracy["overall_accuracy"][key]) for key in ("low", "high"))
    assert f"95 % interval: {low.removesuffix(' %')} to {high}" in text
    assert "24 for training, 12 for testing" in text


def test_in_sample_figures_are_called_so_and_not_by_the_other_title():
    accuracy = figures(kind="none")
    text = words(render_report(content(accuracy=accuracy)))
    assert "in-sample" in text
    assert "at places not trained on" not in text


def sampled():
    """A labelled sample of a map of three classes, with two districts, as ``landweave estimate accuracy`` tells it."""
    rng = np.random.default_rng(7)
    mapped = np.repeat([1, 2, 3], [300, 80, 40])
    seen = np.where(rng.random(420) < 0.9, mapped, rng.integers(1, 4, 420))
    strata = {
        v: Stratum(name=name, units=n, area=n / 100)
        for (v, name), n in zip(CLASSES.items(), (90_000, 9000, 1000), strict=True)
    }
    figures = estimate(
        mapped, mapped, seen, strata=strata, classes=CLASSES, districts=np.where(np.arange(420) % 3, "north", "<b>")
    )
    return figures | {
        "sample": "sample.gpkg",
        "map": "map.tif",
        "mapped": None,
        "colors": {"forest": "#009e73"},
        "notes": ["taken as given"],
    }


def test_where_a_probability_sample_exists_its_estimate_is_the_headline():
    figures = sampled()
    html = render_report(content(design_based=figures))
    text = words(html)
    assert text.index("Accuracy of the map, estimated from a probability sample") < text.index(
        "Agreement with the reference at places not trained on"
    )
    value, low, high = (percent(figures["overall_accuracy"][key]) for key in ("value", "low", "high"))
    assert f"probability sample {value} 95 % interval: {low.removesuffix(' %')} to {high}; standard error" in text
    assert "420 pixels were drawn with known chances" in text
    assert "taken as given" in text
    assert "rows are the map, columns the reference" in text
    table = figures["confusion"]
    mapped_as_forest = [
        f"{100 * row[0]:.2f} ± {100 * se[0]:.2f}"
        for row, se in zip(table["shares"], table["shares_se"], strict=True)
        if row[0]
    ]
    assert " ".join(["forest", *mapped_as_forest]) in text
    assert f"{percent(figures['disagreement']['quantity'])} because it shows too much or too little" in text
    forest = figures["classes"]["forest"]
    assert f"{percent(forest['users_accuracy']['value'])}" in text
    assert "District by district" in text
    assert "<b> 140 sample units" in text
    assert not list(parsed(html).iter("b"))
    alone = words(render_report(content(design_based=figures, accuracy=None, patches=[], shares=[])))
    assert "estimated from a probability sample" in alone
    assert "There was no reference" not in alone


def test_figures_beside_the_headline_are_named_for_what_they_are():
    accuracy = figures()
    other = {"value": 0.999, "low": None, "high": None, "n_clusters": 9}
    accuracy |= {
        "eroded": {"overall_accuracy": other},
        "splits": {
            "random": {"overall_accuracy": other | {"value": 0.998}, "weighted_f1": other},
            "settings": {"folds": 3, "test_rows": 900},
        },
    }
    text = words(render_report(content(accuracy=accuracy)))
    assert text.index("Agreement with the reference at places not trained on") < text.index(
        "Against the eroded reference 99.9 %"
    )
    assert (
        "Random split 99.8 % random pixels held out, smaller models: too optimistic, because neighbours were trained on"
        in text
    )


def test_a_random_split_below_the_headline_is_not_called_optimistic():
    accuracy = figures()
    lower = {"value": accuracy["overall_accuracy"]["value"] - 0.01, "low": None, "high": None, "n_clusters": 9}
    accuracy["splits"] = {"random": {"overall_accuracy": lower, "weighted_f1": lower}}
    accuracy["splits"]["settings"] = {"folds": 3, "test_rows": 900}
    beside = {name: meaning for name, meaning, *_ in headline(accuracy)["beside"]}
    assert "optimistic" not in beside["Random split"]
    assert "not higher than the agreement" in beside["Random split"]


@pytest.mark.parametrize(
    ("above", "gap", "told"),
    [
        (0.001, None, "higher, but within the interval of the agreement, so this may be chance"),
        (0.03, (-0.01, 0.07), "its difference from whole places held out may be chance"),
        (0.001, (0.0005, 0.002), "too optimistic, because neighbours were trained on"),
    ],
)
def test_a_random_split_is_called_optimistic_only_beyond_chance(above, gap, told):
    accuracy = figures()
    overall = accuracy["overall_accuracy"]
    accuracy["overall_accuracy"] = overall | {"low": overall["value"] - 0.01, "high": overall["value"] + 0.01}
    higher = {"value": overall["value"] + above, "low": None, "high": None, "n_clusters": 9}
    accuracy["splits"] = {"random": {"overall_accuracy": higher}}
    if gap is not None:
        accuracy["splits"]["gaps"] = {"random - patch": {"value": above, "low": gap[0], "high": gap[1]}}
    beside = {name: meaning for name, meaning, *_ in headline(accuracy)["beside"]}
    assert told in beside["Random split"]


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ({"kind": "patch"}, "From 600 held-out pixels in 12 patches."),
        ({"kind": "block"}, "From 600 held-out pixels in 12 blocks."),
        ({"kind": "random"}, "From 600 held-out pixels."),
        ({"kind": "none"}, "From 600 pixels at the places trained on."),
    ],
)
def test_the_headline_says_from_how_many_pixels_it_comes(split, expected):
    assert headline(figures() | {"split": split})["basis"] == expected


def test_shares_of_points_are_not_compared_with_the_map():
    text = words(render_report(content(land_is_area=False)))
    assert "their shares show how they were chosen, not the area of a class" in text
    assert "Of the reference points" in text
    assert "Difference, points" not in text
    assert "Share of all land with a reference" not in text
    assert "their shares show how they were chosen" not in words(render_report(content()))


def test_too_few_test_pixels_give_neither_a_badge_nor_a_bold_verdict():
    truth = np.repeat(np.array([1, 2], "uint8"), [500, 1])
    p = 0.01 + 0.97 * (truth[:, None] == np.array([1, 2, 3]))
    accuracy = score(truth, truth, classes=CLASSES, probabilities=p) | {"test_share": shares(truth, None, CLASSES)}
    html = render_report(content(accuracy=accuracy))
    assert re.findall(r'<span class="grade [^"]*">([^<]*)', html) == ["good", "too few test pixels", "unknown"]
    assert "<strong>common and separable</strong>" in html
    assert "<strong>rare" not in html
    assert "The map is good at forest. There are too few test pixels of shrubland for a verdict." in html


def test_without_a_reference_the_report_says_so():
    classes = np.ones((9, 9), "uint8")
    panels = [Panel(name="x1y1", image=None, reference=None, prediction=classes)]
    text = words(render_report(content(accuracy=None, patches=[], shares=[], panels=panels)))
    assert "Patches in detail Image and prediction patch x1y1 Image not kept Prediction" in text
    assert "Where the map is wrong" not in text
    assert "same different" not in text
    assert "There was no reference" in text
    assert "Class by class" not in text
    assert "The map" in text


def test_every_part_is_there_in_order():
    text = words(render_report(content()))
    parts = [
        "Agreement with the reference", "Before you use these figures", "water has no samples", "The map",
        "What the map is good and bad at", "Class by class", "Which classes are confused", "How each reference class is mapped",
        "What each mapped class contains", "Counts", "How often each class occurs", "Separable or confused",
        "AUC and frequency", "ROC curve of each class", "Precision and recall", "Are the probabilities right",
        "What a threshold changes", "Where the map is wrong", "The worst patches", "Image, reference, prediction and difference",
        "patch x1y1", "patch x1y2", "Mapped and reference shares", "Mapped share: a pixel count, not an estimate",
        "What the satellite saw", "9 patches around x1y1", "Dates", "Settings", "The run",
    ]  # fmt: skip
    # The list of contents names them too, before the map's caption.
    start = text.index("the map forest")
    places = [text.index(part, 0 if i < 4 else start) for i, part in enumerate(parts)]
    assert places == sorted(places)


def test_what_has_no_figure_says_why():
    found = figures()
    truth = np.repeat(np.array([1, 2], "uint8"), [40, 10])
    found = score(truth, np.ones(50, "uint8"), classes=CLASSES, clusters=np.arange(50)) | {"split": found["split"]}
    text = words(render_report(content(accuracy=found)))
    assert "never mapped" in text
    assert "few samples" in text
    assert "10 test pixels; an interval needs 30" in text
    assert "no test pixels" in text
    assert "no probabilities" in text


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", '"><img src=x onerror=y>', "$x_1$ & {{ 7*7 }}", "a%sb\u2028c"]
)
def test_a_name_with_markup_is_shown_and_harmless(name):
    classes = {1: name, 2: "shrubland", 3: "water"}
    accuracy = figures(classes=classes)
    panel = Panel(
        name=name, image=None, reference=np.ones((3, 3), "uint8"), prediction=np.ones((3, 3), "uint8"), caption=name
    )
    page = content(
        title=name, subtitle=name, accuracy=accuracy, legend=[(1, name, "#009e73"), *LEGEND[1:]], warnings=[name],
        map_caption=name, land={name: 1.0}, patches=[replace(patch, name=name + patch.name, role=name) for patch in patches()],
        block=Block(image=np.zeros((3, 3, 3), "uint8"), prediction=None, caption=name), shares=[(name, 0.5, 0.4)], panels=[panel], settings={name: name},
        stages=[StageCost(name=name, seconds=1)], notes=[name], sections=[Section(title=name, paragraphs=[name], header=[name], rows=[[name]])],
    )  # fmt: skip
    html = render_report(page)
    assert not any(True for _ in parsed(html).iter("script"))
    assert all(address.startswith(("data:", "#")) for address in addresses(html))
    assert sum(name in part for part in texts(html)) > 40


def test_a_colour_that_is_none_is_refused():
    with pytest.raises(ValueError, match="#rrggbb"):
        render_report(content(legend=[(1, "forest", "red;} body{display:none"), *LEGEND[1:]]))


def test_the_report_of_noisy_pictures_stays_under_three_megabytes():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (500, 500, 3)).astype("uint8")
    classes = rng.integers(0, 11, (500, 500)).astype("uint8")
    panels = [Panel(name=str(i), image=noise, reference=classes, prediction=classes[::-1]) for i in range(12)]
    big = rng.integers(0, 11, (2400, 2400)).astype("uint8")
    block = Block(image=noise, prediction=classes, caption="")
    assert len(render_report(content(panels=panels, map_image=big, block=block)).encode()) < 3e6


@given(stn.arrays("uint8", st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3))))
def test_a_png_holds_the_pixels_it_was_given(pixels):
    assert_png_holds(pixels)


def test_a_png_of_many_colours_holds_them_too():
    assert_png_holds(np.random.default_rng(0).integers(0, 256, (40, 33, 3)).astype("uint8"))


def assert_png_holds(pixels):
    assert png(pixels) == png(pixels)
    with warnings.catch_warnings(), rasterio.MemoryFile(png(pixels), ext=".png") as file:
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        source = file.open()
        if source.count == 3:
            read = source.read().transpose(1, 2, 0)
        else:
            colors = source.colormap(1)
            read = np.array([colors[i][:3] for i in range(max(colors) + 1)], "uint8")[source.read(1)]
    np.testing.assert_array_equal(read, pixels)


def test_a_photograph_is_kept_as_a_jpeg_that_looks_the_same():
    photo = np.tile(np.linspace(0, 255, 64).astype("uint8")[:, None, None], (1, 48, 3))
    with warnings.catch_warnings(), rasterio.MemoryFile(jpeg(photo), ext=".jpg") as file:
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        read = file.open().read().transpose(1, 2, 0)
    assert np.abs(read.astype(int) - photo).max() < 12
    assert jpeg(photo) == jpeg(photo)


def test_shrinking_averages_photographs_and_picks_classes():
    photo = np.zeros((5, 4, 3), "uint8")
    photo[:2, :2] = np.array([0, 10, 20, 31]).reshape(2, 2, 1)
    assert shrink(photo, 3).shape == (3, 2, 3)
    assert shrink(photo, 3)[0, 0].tolist() == [15, 15, 15]
    classes = np.random.default_rng(0).choice(np.array([2, 7], "uint8"), (100, 41))
    assert shrink(classes, 30).shape == (25, 11)
    assert set(np.unique(shrink(classes, 30))) <= {2, 7}
    assert shrink(classes, 200) is classes
    assert data_uri(paint(classes, {2: "#ff0000"})).startswith("data:image/png;base64,")


def test_a_curve_of_many_points_is_thinned_and_an_undefined_one_left_out():
    rng = np.random.default_rng(0)
    truth, scores = rng.random(20_000) < 0.3, rng.random(20_000)
    fpr, tpr, _ = roc(truth, scores)
    svg = drawn(fpr, tpr)
    points = re.search(r'class="under" points="([^"]*)"', svg).group(1).split()
    assert 200 <= len(points) <= 242
    assert points[0] == "46.0,372.0"
    assert points[-1] == "406.0,12.0"
    assert "polyline" not in drawn(fpr * np.nan, tpr)


def drawn(x, y):
    return square_svg([Curve(name="forest", x=x, y=y)], {"forest": "#009e73"}, x="x", y="y", what="a curve")


def test_mixed_up_classes_are_named_with_their_direction():
    confusion = {"labels": ["forest", "shrubland", "water"], "counts": [[900, 10, 0], [60, 40, 0], [5, 0, 95]]}
    first, second = mixed_up(confusion)
    assert first == (
        "60 % of what the reference calls shrubland is mapped as forest, and 1 % of what it calls forest is mapped as "
        "shrubland: most of the confused land is shrubland mapped as forest."
    )
    assert second == ("5 % of what the reference calls water is mapped as forest, and nothing in the other direction.")
    even = {"labels": ["a", "b"], "counts": [[80, 20], [15, 85]]}
    assert mixed_up(even) == [
        "20 % of what the reference calls a is mapped as b, and 15 % of what it calls b is mapped as a."
    ]
    # The land decides where it is known, not the pixels.
    assert mixed_up(even | {"weighted": [[0.5, 0.0], [0.0, 0.5]]}) == []


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        (
            {"kind": "block", "train_patches": 3, "test_patches": 1},
            "spatial blocks that were held out (3 for training, 1",
        ),
        ({"kind": "group", "train_patches": 0, "train_groups": 9, "test_groups": 9, "folds": 5}, "in turn in 5 folds"),
        ({"kind": "random", "folds": 5}, "too optimistic"),
        ({"kind": "given", "how": "trained on 5 samples, tested on 3"}, "Trained on 5 samples, tested on 3."),
        ({"kind": "none"}, "In-sample"),
        ({}, ""),
    ],
)
def test_the_split_is_told_in_words(split, expected):
    assert expected in split_sentence(split)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "—"), (0.0, "0.0 %"), (0.0001, "<0.1 %"), (0.5, "50.0 %"), (0.9999, ">99.9 %"), (1.0, "100 %")],
)
def test_a_share_is_never_rounded_to_nothing_or_to_all(value, text):
    assert percent(value) == text
