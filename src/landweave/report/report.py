"""What a report may contain, and the page made of it by `templates/report.html.j2`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from landweave.report.drawing.images import DIFFERENCE_COLORS, data_uri, difference, paint, shrink
from landweave.report.estimate import notes_of, sampled_section
from landweave.report.jinja import page_template
from landweave.report.sections.classes import SCORES, SPARE_COLOR, class_sections
from landweave.report.sections.coverage import observed_section
from landweave.report.sections.importance import reasons_section, reliance_warnings
from landweave.report.sections.limits import iso_rows, limits_section
from landweave.report.sections.neighbours import distance_section, edge_section, leakage_section, split_section
from landweave.report.sections.patches import PatchAgreement, space_section
from landweave.report.sections.seams import seam_section, seam_warnings
from landweave.report.sections.trust import trust_section
from landweave.report.verdicts import few_samples
from landweave.report.words import headline, split_sentence

_MAP_SIDE, _PANEL_SIDE, _BLOCK_SIDE = 1000, 250, 640


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One patch seen four ways: image, reference, prediction, and where these two differ."""

    name: str
    """The patch."""

    image: np.ndarray | None
    """True colour, uint8 (y, x, 3); None if the imagery was not kept."""

    reference: np.ndarray | None
    """Class values of the reference, uint8 (y, x); None without a reference."""

    prediction: np.ndarray
    """Class values of the map, uint8 (y, x)."""

    title: str = ""
    """Why it is shown, such as ``the worst``; may be empty."""

    caption: str = ""
    """Such as the date of the image."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """Several neighbouring patches on one date, as one picture."""

    image: np.ndarray
    """True colour, uint8 (y, x, 3)."""

    prediction: np.ndarray | None
    """Class values of the map, uint8 (y, x); None without a map."""

    caption: str
    """Which patches, which date."""


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """Cost of one stage of the run."""

    name: str
    """As on the command line."""

    seconds: float
    """Wall-clock seconds."""

    cpu_seconds: float | None = None
    """Of all processes together."""

    peak_bytes: int | None = None
    """Most memory held by one process."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A further part of the page."""

    title: str
    """Heading."""

    paragraphs: Sequence[str] = ()
    """Sentences before the table."""

    header: Sequence[str] = ()
    """Names of the table's columns."""

    rows: Sequence[Sequence[str]] = ()
    """Cells, row by row, as text."""


@dataclass(frozen=True, kw_only=True)
class ReportContent:
    """Content of the page; empty parts are left out."""

    title: str
    """Such as the project's name."""

    subtitle: str = ""
    """One sentence: area, year, source."""

    subject: str = "map"
    """Subject of the page: ``map``, or ``model`` if there is no map."""

    accuracy: Mapping[str, Any] | None
    """The content of ``accuracy.json``; None without a reference."""

    legend: Sequence[tuple[int, str, str]]
    """Value, name and ``#rrggbb`` of every class, in the legend's order."""

    warnings: Sequence[str] = ()
    """What the reader must know before using a figure."""

    map_image: np.ndarray | None = None
    """The map: class values, uint8 (y, x), or red, green and blue, uint8 (y, x, 3); shrunk if necessary."""

    map_caption: str = ""
    """One sentence under the map."""

    land: Mapping[str, float] = field(default_factory=dict)
    """Share of the land of each class where the training rows were drawn, by name."""

    shares: Sequence[tuple[str, float | None, float | None]] = ()
    """Class, mapped share and reference share of the land."""

    land_is_area: bool = True
    """False if the reference consists of points, whose shares show how they were chosen and no area."""

    patches: Sequence[PatchAgreement] = ()
    """Agreement of each patch with the reference."""

    facts: Mapping[str, str] = field(default_factory=dict)
    """Where the map comes from: date, version, CRS, area, imagery and its terms, checksum."""

    hectares: Mapping[str, float] = field(default_factory=dict)
    """Mapped area of each class, by name."""

    panels: Sequence[Panel] = ()
    """Patches shown in detail."""

    block: Block | None = None
    """Neighbouring patches on one date."""

    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings of the run."""

    stages: Sequence[StageCost] = ()
    """The run record."""

    notes: Sequence[str] = ()
    """Further sentences under the headline, such as the demo's figures against the (simulated) truth."""

    sections: Sequence[Section] = ()
    """Further parts, before the settings."""

    design_based: Mapping[str, Any] | None = None
    """The estimate from a probability sample, as ``landweave estimate accuracy`` returns it; then the headline."""

    importance: Mapping[str, Any] | None = None
    """The content of ``importance.json``."""

    acquisitions: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Pictures of important acquisitions by date, uint8 (y, x, 3)."""

    observed: Mapping[str, Any] | None = None
    """What the satellite saw, in the form of :func:`landweave.report.sections.coverage.observed_section`."""

    seams: Mapping[str, Any] | None = None
    """The content of ``seams.json``."""

    trust: Mapping[str, Any] | None = None
    """The content of ``trust.json``."""


def render_report(content: ReportContent) -> str:
    """The report as one self-contained HTML file without outside links; the same bytes each time.

    Parameters
    ----------
    content
        What to show. All its text is escaped.

    Returns
    -------
    str
        HTML5, UTF-8; under 3 MB, since pictures are shrunk.
    """
    colors = {name: color for _, name, color in content.legend}
    by_value = {value: color for value, _, color in content.legend}
    accuracy = content.accuracy
    html = page_template("report.html.j2").render(
        content=content,
        colors=colors,
        spare=SPARE_COLOR,
        warnings=[
            *content.warnings,
            *reliance_warnings(content.importance),
            *seam_warnings(content.seams),
            *notes_of(content.design_based),
            *([] if accuracy is None else few_samples(accuracy)),
        ],
        headline=headline(accuracy, content.design_based),
        sampled=None if content.design_based is None else sampled_section(content.design_based),
        split=None if accuracy is None else split_sentence(accuracy.get("split", {})),
        scores=SCORES,
        classes=None if accuracy is None else class_sections(accuracy, colors, content.subject),
        map_uri=None if content.map_image is None else _picture(content.map_image, by_value, _MAP_SIDE),
        mapped={name: share for name, share, _ in content.shares},
        space=space_section(content.patches, [name for _, name, _ in content.legend]),
        panels=[_panel(panel, by_value) for panel in content.panels],
        compared=any(panel.reference is not None for panel in content.panels),
        anchors={panel.name: f"patch-{number}" for number, panel in enumerate(content.panels, start=1)},
        difference_key=list(zip(DIFFERENCE_COLORS.values(), ("same", "different", "no reference"), strict=True)),
        edges=None if accuracy is None else edge_section(accuracy),
        compared_splits=None if accuracy is None else split_section(accuracy),
        distances=None if accuracy is None else distance_section(accuracy),
        leaks=None if accuracy is None else leakage_section(accuracy),
        seams=seam_section(content.seams),
        trust=trust_section(content.trust),
        limits=limits_section(accuracy, content.design_based, content.trust) if content.subject == "map" else [],
        iso=iso_rows(accuracy, content.design_based),
        reasons=reasons_section(content.importance, content.acquisitions, colors),
        block=None if content.block is None else _block(content.block, by_value),
        observed=None if content.observed is None else observed_section(content.observed),
    )
    # A number and its unit stay on one line.
    return html.replace(" %", "\u00a0%")


def _panel(panel: Panel, colors: Mapping[int, str]) -> dict[str, Any]:
    views = [
        ("Image", None if panel.image is None else _picture(panel.image, {}, _PANEL_SIDE, photo=True)),
        ("Prediction", _picture(panel.prediction, colors, _PANEL_SIDE)),
    ]
    if panel.reference is not None:
        views.insert(1, ("Reference", _picture(panel.reference, colors, _PANEL_SIDE)))
        compared = difference(panel.reference, panel.prediction)
        views.append(("Difference", _picture(compared, DIFFERENCE_COLORS, _PANEL_SIDE)))
    return {"name": panel.name, "title": panel.title, "caption": panel.caption, "views": views}


def _block(block: Block, colors: Mapping[int, str]) -> dict[str, Any]:
    return {
        "image": _picture(block.image, {}, _BLOCK_SIDE, photo=True),
        "prediction": None if block.prediction is None else _picture(block.prediction, colors, _BLOCK_SIDE),
        "caption": block.caption,
    }


def _picture(pixels: np.ndarray, colors: Mapping[int, str], side: int, *, photo: bool = False) -> str:
    small = shrink(pixels, side)
    return data_uri(paint(small, colors) if small.ndim == 2 else small, photo=photo)
