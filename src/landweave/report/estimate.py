"""What the page of a labelled sample's estimates shows; `templates/estimate.html.j2` is the page."""

from collections.abc import Mapping
from typing import Any

from landweave.report.estimate_lines import MEASURES, design_line, interpreter_lines, interval_line, wide_line
from landweave.report.jinja import page_template


def render_estimate(figures: Mapping[str, Any]) -> str:
    """The page as one self-contained HTML file without outside links; the same bytes each time.

    Parameters
    ----------
    figures
        As :func:`landweave.runs.estimate.accuracy.estimate_accuracy` gives them. All text of theirs is escaped.
    """
    return page_template("estimate.html.j2").render(figures=figures, **sampled_section(figures))


def sampled_section(figures: Mapping[str, Any]) -> dict[str, Any]:
    """What a part of a page that shows the estimates needs beside the figures themselves."""
    return {
        "measures": MEASURES,
        "design": design_line(figures),
        "wide": wide_line(figures),
        "few_units": figures["few_units"],
        "interpreters": [line for line in interpreter_lines(figures) if line],
        "intervals": interval_line(figures),
    }


def notes_of(figures: Mapping[str, Any] | None) -> list[str]:
    """What must be known before the figures are used."""
    if figures is None:
        return []
    wide = wide_line(figures)
    return [*figures["notes"], *([wide] if wide else [])]
