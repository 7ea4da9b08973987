"""Agreement over space: the worst are found, and what was not compared is not judged."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landweave.report.sections.patches import (
    COLORS,
    FEW,
    STEPS,
    PatchAgreement,
    agreement_svg,
    ranked,
    space_section,
    to_json,
)

LABELS = ["forest", "scrub"]
SQUARE = np.array([(0, 10), (10, 10), (10, 0), (0, 0)], "float64")


def patch(name, right, wrong=0, *, at=(0, 0), lost=0, role="test"):
    counts = np.array([[right, wrong, lost], [0, 0, 0]])
    return PatchAgreement(name=name, outline=SQUARE + 10 * np.array(at), counts=counts, role=role)


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=20))
def test_patches_are_ranked_by_agreement_and_only_where_enough_is_labelled(counts):
    patches = [patch(f"p{i:02d}", *pair) for i, pair in enumerate(counts)]
    order = ranked(patches)
    assert {p.name for p in order} == {p.name for p in patches if p.labelled >= FEW}
    shares = [p.agreement for p in order]
    assert shares == sorted(shares)


def test_the_worst_are_numbered_listed_and_told_with_what_costs_most():
    patches = [patch(f"p{i:02d}", 1000 - 20 * i, 20 * i, at=(i, 0)) for i in range(14)]
    found = space_section(patches, LABELS)
    assert [row["name"] for row in found["rows"]] == [f"p{i:02d}" for i in range(13, 3, -1)]
    assert found["rows"][0]["agreement"] == "74.0 %"
    assert found["rows"][0]["confused"] == "forest mapped as scrub (26.0 % of the patch)"
    assert re.findall(r'text-anchor="middle">(\d+)<title>(p\d+)', found["svg"]) == [
        (str(n), f"p{14 - n:02d}") for n in range(1, 11)
    ]
    assert found["words"] == "Agreement by patch ranges from 74.0 % (p13) to 100 % (p00); the median is 87.0 %."


def test_a_pixel_shown_as_no_class_counts_as_wrong():
    found = space_section([patch("a", 600, 100, lost=300)], LABELS)
    assert found["rows"][0]["agreement"] == "60.0 %"
    assert found["rows"][0]["confused"] == "forest mapped as no class (30.0 % of the patch)"


@pytest.mark.parametrize("share", [0.0, 0.4999, 0.5, 0.75, 0.95, 1.0])
def test_a_patch_has_the_colour_of_its_step(share):
    one = patch("a", round(10_000 * share), round(10_000 * (1 - share)))
    expected = COLORS[sum(share >= step for step in STEPS)]
    assert re.findall(r"fill:(#\w+)", agreement_svg([one], [])) == [expected]
    (key,) = space_section([one], LABELS)["key"]
    assert key[0] == expected
    low, high = (float(end) / 100 for end in re.findall(r"[\d.]+", key[1]))
    assert low <= share <= high


def test_patches_without_a_reference_are_drawn_and_not_judged():
    blank = patch("blank", 0, at=(1, 0))
    few = patch("few", 10, at=(2, 0))
    found = space_section([patch("a", 900, 100), blank, few], LABELS)
    assert found["unknown"]
    assert 'class="unknown"' in found["svg"]
    assert [row["name"] for row in found["rows"]] == ["a"]
    assert "1 with fewer than 100 labelled pixels are drawn but not ranked" in found["words"]
    assert to_json([blank]) == {"blank": {"agreement": None, "labelled": 0, "role": "test"}}
    assert space_section([blank], LABELS) is None
    assert space_section([], LABELS) is None


def test_a_patch_lies_on_the_drawing_as_on_the_ground():
    svg = agreement_svg([patch("sw", 200), patch("ne", 0, 200, at=(3, 1))], [])
    places = {color: np.array(re.findall(r"[\d.]+", d), "float64").reshape(-1, 2)
              for color, d in re.findall(r'fill:(#\w+)" d="([^"]*)"', svg)}  # fmt: skip
    southwest, northeast = places[COLORS[-1]], places[COLORS[0]]
    assert northeast[:, 0].min() > southwest[:, 0].max()
    assert northeast[:, 1].max() <= southwest[:, 1].min() + 1e-6  # downward on the drawing
