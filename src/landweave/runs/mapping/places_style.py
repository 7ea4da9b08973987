"""The QGIS style of doubtful places, in `label_errors.gpkg` and in the file of a comparison."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from landweave.maps.qgis_styles import vector_style

if TYPE_CHECKING:
    import geopandas

ALIASES = {
    "rank": "Rank", "rank_of_doubt": "Rank among doubtful labels", "patches": "Patches",
    "reference_class": "Class in the reference", "reference_code": "Code in the reference",
    "suggested_class": "Looks like", "area_ha": "Hectares", "score": "Score", "doubt": "Doubt",
    "share": "Share that looks different", "confidence": "Confidence", "looks_suggested": "Looks like the suggestion",
    "looks_reference": "Looks like the reference", "pixels": "Pixels", "part": "Part",
    "wrong": "Estimated probability of an error", "precision": "Estimated share of errors down to here",
    "audit": "Place in the random audit", "evidence": "Evidence",
    "inside_ha": "Hectares inside the outline", "finding": "Finding", "inspector": "Inspector",
    "inspected_on": "Inspected on",
}  # fmt: skip
"""Columns of doubtful places as QGIS shows them."""


def doubtful_style(
    listed: "geopandas.GeoDataFrame", colors: Mapping[str, str], *, choices: Mapping[str, Sequence[str]] | None = None
) -> bytes:
    """The QGIS style of doubtful places: coloured by the class that they look like.

    Parameters
    ----------
    listed
        The places, polygons or points.
    colors
        Class name to ``#rrggbb``.
    choices
        Column to the texts that a form offers for it.
    """
    points = len(listed) > 0 and bool((listed.geom_type == "Point").all())
    return vector_style(
        colors, by="suggested_class", geometry="Point" if points else "Polygon",
        columns=[str(name) for name in listed.columns if name != listed.geometry.name], aliases=ALIASES,
        choices=choices,
    )  # fmt: skip
