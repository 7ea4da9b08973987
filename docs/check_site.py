"""Does a built site ask other servers for anything? python docs/check_site.py site: lists what does, and then fails.

Links that a reader may follow are allowed; scripts, styles, fonts, pictures and frames must be in the site itself.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

_OUTSIDE = re.compile(r"^(?:[a-z]+:)?//", re.IGNORECASE)
_IN_STYLES = re.compile(r"""(?:url\(\s*|@import\s+)["']?((?:https?:)?//[^"')\s;]+)""", re.IGNORECASE)
_LOADING = {"src", "srcset", "data", "poster"}


class _Loads(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            loads = name in _LOADING or (tag in {"link", "image", "use"} and name in {"href", "xlink:href"})
            if loads and value and _OUTSIDE.match(value.strip()):
                self.found.append(value)
            if name == "style" and value:
                self.found += _IN_STYLES.findall(value)

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "style":
            self.found += _IN_STYLES.findall(data)


def loaded_by(text: str) -> list[str]:
    """Addresses of other servers that a page loads by itself.

    Examples
    --------
    >>> loaded_by('<a href="https://example.org">x</a> <script src="//cdn.example.org/x.js"></script>')
    ['//cdn.example.org/x.js']
    """
    parser = _Loads()
    parser.feed(text)
    return parser.found


def outside(site: Path) -> list[str]:
    """A line for each address of another server that a page or style of a site loads.

    Raises
    ------
    FileNotFoundError
        If the folder has no page.
    """
    pages = sorted(site.rglob("*.html"))
    if not pages:
        raise FileNotFoundError(f"no page in {site}")
    found = [f"{page.relative_to(site)}: {address}" for page in pages for address in loaded_by(page.read_text())]
    for style in sorted(site.rglob("*.css")):
        found += [f"{style.relative_to(site)}: {address}" for address in _IN_STYLES.findall(style.read_text())]
    return found


if __name__ == "__main__":
    lines = outside(Path(sys.argv[1]))
    sys.exit("\n".join(["the site loads from other servers:", *lines]) if lines else 0)
