"""What the page of a labelled sample's estimates shows; `templates/estimate.html.j2` is the page."""

from collections.abc import Mapping
from typing import Any

from landweave.report.estimate_lines import MEASURES, WILSON, design_line, narrow_line
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
    marked = any(
        row[key].get("interval") == "wilson" for row in figures["classes"].values() for key in (*MEASURES, "area_ha")
    )
    return {
        "measures": MEASURES,
        "design": design_line(figures),
        "narrow": narrow_line(figures),
        "few_units": figures["few_units"],
        "wilson": WILSON if marked else "",
    }


def notes_of(figures: Mapping[str, Any] | None) -> list[str]:
    """What must be known before the figures are used."""
    if figures is None:
        return []
    narrow = narrow_line(figures)
    return [*figures["notes"], *([narrow] if narrow else [])]
