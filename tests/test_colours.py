"""Colours that people with two kinds of cones can tell apart."""

import pytest
from colour_vision import SEEN, closest

from landweave.sources.simulated.cover import LEGEND

ENOUGH = 10.0


def page_colors():
    pytest.importorskip("fastapi", reason="the view needs the extra `viewer`")
    from landweave.viewer.description import VALUES

    return [code["color"] for code in VALUES["disagreement"]["codes"]]


LEGENDS = {
    "the simulated country": lambda: [c.color for c in LEGEND.classes],
    "the view's disagreement": page_colors,
}


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("legend", LEGENDS)
def test_every_two_colours_of_a_legend_are_told_apart(legend, seen):
    distance, pair = closest(LEGENDS[legend](), SEEN[seen])
    assert distance >= ENOUGH, pair


def test_the_simulation_finds_the_colours_that_could_not_be_told_apart():
    distance, pair = closest(["#8a6d1d", "#d0312d", "#2f6fd0"], SEEN["without M cones (deuteranopia)"])
    assert distance == pytest.approx(3.1, abs=0.1)
    assert pair == ("#8a6d1d", "#d0312d")
