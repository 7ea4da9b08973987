"""One page with the estimates of a probability sample, in the report's style."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from landweave.accuracy.estimate_words import MEASURES, WILSON, design_line, hectares, narrow_line
from landweave.accuracy.estimates import FEW_UNITS
from landweave.accuracy.words import percent, span

if TYPE_CHECKING:
    import jinja2


def render_estimate(figures: Mapping[str, Any]) -> str:
    """The page as one self-contained HTML file without outside links; the same bytes each time.

    Parameters
    ----------
    figures
        As :func:`landweave.runs.estimating.estimate_accuracy` gives them. All text of theirs is escaped.
    """
    marked = any(
        row[key].get("interval") == "wilson" for row in figures["classes"].values() for key in (*MEASURES, "area_ha")
    )
    return _template().render(
        figures=figures,
        style=_style(),
        measures=MEASURES,
        design=design_line(figures),
        narrow=narrow_line(figures),
        few_units=FEW_UNITS,
        wilson=WILSON if marked else "",
    )


def _style() -> str:
    """The report's own style, so that the two pages look alike."""
    import markupsafe

    source = files("landweave.accuracy").joinpath("report.html.j2").read_text(encoding="utf-8")
    found = re.search(r"<style>(.*?)</style>", source, flags=re.DOTALL)
    assert found is not None
    return markupsafe.Markup(found[1])  # noqa: S704 - our own file


@cache
def _template() -> "jinja2.Template":
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"percent": percent, "hectares": hectares}
    environment.globals["span"] = span
    source = files("landweave.accuracy").joinpath("estimate.html.j2").read_text(encoding="utf-8")
    return environment.from_string(source)
