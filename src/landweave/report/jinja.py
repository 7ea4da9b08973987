"""Templates of pages: one environment, all text escaped, one style."""

from functools import cache
from typing import TYPE_CHECKING

from landweave.report.estimate_lines import hectares
from landweave.report.words import percent, span

if TYPE_CHECKING:
    import jinja2


@cache
def page_template(name: str) -> "jinja2.Template":
    """A template of ``templates/``; a name that it does not get is an error, never an empty place."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("landweave.report"),
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters |= {"percent": percent, "hectares": hectares, "thousands": _thousands}
    environment.globals["span"] = span
    return environment.get_template(name)


def _thousands(n: int) -> str:
    """With narrow spaces that do not break."""
    return f"{n:,}".replace(",", "\u202f")
