"""The report on paper: contents on the first page, and whole words in tables."""

from dataclasses import replace

import pytest
from browsers import browser
from test_report_page import content, figures, patches

from landweave.report.report import render_report

NAMES = {1: "cultivated land", 2: "shrubland", 3: "artificial surface"}
COLORS = ("#ffff00", "#e69f00", "#0072b2")

WIDTH = 688
"""CSS pixels of A4's width between margins of 14 mm."""

BROKEN = """() => {
  const broken = [];
  for (const cell of document.querySelectorAll("tbody th")) {
    const walk = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode(); node; node = walk.nextNode())
      for (const word of node.data.matchAll(/\\S+/g)) {
        const range = document.createRange();
        range.setStart(node, word.index);
        range.setEnd(node, word.index + word[0].length);
        if (new Set([...range.getClientRects()].map(r => r.top)).size > 1) broken.push(word[0]);
      }
  }
  return broken;
}"""


@pytest.fixture(scope="module")
def page():
    squares = [replace(patch, name=f"33N_x0487y{3390 + number}") for number, patch in enumerate(patches())]
    legend = [(value, name, color) for (value, name), color in zip(NAMES.items(), COLORS, strict=True)]
    html = render_report(content(accuracy=figures(classes=NAMES), legend=legend, patches=squares, land={}))
    with browser() as chrome:
        opened = chrome.new_page(viewport={"width": WIDTH, "height": 1017})
        opened.set_content(html)
        opened.emulate_media(media="print")
        yield opened


def test_no_word_of_a_class_or_patch_is_broken_on_paper(page):
    assert page.locator("tbody th").count() > 20
    assert page.evaluate(BROKEN) == []


def test_the_contents_are_on_paper_too(page):
    assert page.locator("nav").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTH
