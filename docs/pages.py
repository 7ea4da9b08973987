"""The pages of the site: their order, and links that work here and in the repository.

Pages are plain Markdown that reads well in the repository too, so it holds neither the navigation nor any directive of
Sphinx: both are added while a page is read.
"""

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent

SECTIONS = {
    "tutorials": (
        "Tutorials",
        ("tutorial-15-minutes", "tutorial-sentinel-2", "examples"),
    ),
    "README": (
        "How-to",
        (
            "archives",
            "my-own-images",
            "eopatches",
            "series-rules",
            "reference",
            "evaluate",
            "large-areas",
            "resume",
            "apply-a-model",
            "look-at-the-map",
            "verdicts",
            "how-to-read-the-report",
            "where-to-trust",
            "label-errors",
            "compare",
            "which-dates-matter",
            "area-estimates",
            "area-designs",
            "publish",
            "share",
            "python-api",
            "from-eo-learn",
        ),
    ),
    "explanation": (
        "Explanation",
        (
            "how-it-works",
            "agreement-and-accuracy",
            "splits-and-intervals",
            "same-bytes",
            "how-good-is-the-map",
            "simulated-country",
            "faults",
        ),
    ),
    "look-up": (
        "Reference",
        ("commands", "scripts", "project-file", "output-folder", "conventions", "install", "api"),
    ),
    "gallery": ("Gallery", ()),
    "project": ("Project", ("changelog", "contributing", "architecture")),
}
"""Landing page to its title in the navigation and the pages below it, in order."""

WHOLE = {
    "changelog": ROOT / "CHANGELOG.md",
    "contributing": ROOT / "CONTRIBUTING.md",
    "architecture": ROOT / "ARCHITECTURE.md",
    "examples": ROOT / "examples" / "README.md",
}
"""Pages of the site that show a file of the repository; the page in the repository only links to the file."""

STANDS_FOR = {
    **{file: f"{page}.md" for page, file in WHOLE.items()},
    ROOT / "README.md": "index.md",
    ROOT / "docs": "README.md",
    ROOT / "examples": "examples.md",
}
"""Files and folders that have a page on the site."""

_LINK = re.compile(r"(\]\()([^)#\s]+)")


def on_site(text: str, folder: Path) -> str:
    """Links of a page in ``folder``, as they must be in ``docs/``; addresses stay as they are.

    A file of the repository without a page of its own becomes a download.
    """

    def moved(found: re.Match[str]) -> str:
        opening, target = found.groups()
        if "://" in target:
            return found.group()
        path = (folder / target).resolve()
        return opening + (STANDS_FOR.get(path) or _relative(path))

    return _LINK.sub(moved, text)


def _relative(path: Path) -> str:
    return str(path.relative_to(DOCS)) if path.is_relative_to(DOCS) else f"../{path.relative_to(ROOT)}"


def toctree(page: str) -> str:
    """The hidden table of contents that gives a landing page its place and its children; empty for other pages."""
    if page == "index":
        lines = [f"{title} <{landing}>" for landing, (title, _) in SECTIONS.items()]
    elif page in SECTIONS:
        lines = list(SECTIONS[page][1])
    else:
        lines = []
    return "\n".join(["", "", "```{toctree}", ":hidden:", "", *lines, "```", ""]) if lines else ""


def listed() -> set[str]:
    """Names of all pages that the navigation reaches."""
    return {"index", *SECTIONS, *(page for _, pages in SECTIONS.values() for page in pages)}
