"""Settings of Sphinx for `make docs`: Markdown by MyST, the theme of the PyData projects, nothing from the network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import api_page
import commands_page
import pages
from sphinx.application import Sphinx

project = "landweave"
copyright = "the landweave authors, Apache-2.0"  # noqa: A001 - Sphinx's name for it
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
include_patterns = ["*.md"]
source_suffix = {".md": "markdown"}
nitpicky = False  # types of other libraries are named without links: their indexes are on the network

myst_heading_anchors = 4
autodoc_member_order = "bysource"
# scikit-learn makes these; their docstrings link to its own site.
autodoc_default_options = {
    "exclude-members": "set_fit_request, set_score_request, set_split_request, get_metadata_routing"
}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88
napoleon_google_docstring = False
napoleon_use_rtype = False

html_title = "landweave"
html_theme = "pydata_sphinx_theme"
html_static_path = ["images/site"]
html_css_files = ["site.css"]
html_logo = html_favicon = "images/site/landweave.svg"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "landweave"},
    "header_links_before_dropdown": 6,
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_toc_level": 2,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_context = {"default_mode": "auto"}
html_sidebars = {"index": [], "gallery": []}

MADE = {"api": api_page.page, "commands": commands_page.page}


def read(app: Sphinx, docname: str, source: list[str]) -> None:
    """What Sphinx reads of a page: its own text or the file that it shows, links that fit, what is made, navigation."""
    file = pages.WHOLE.get(docname, pages.DOCS / f"{docname}.md")
    text = file.read_text() if docname in pages.WHOLE else source[0]
    app.env.note_dependency(str(file))
    text = pages.on_site(text, file.parent)
    if docname in MADE:
        text += "\n" + MADE[docname]()
    source[0] = text + pages.toctree(docname)


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", read)
