"""Areas by the difference or the regression estimator: the map's own areas, corrected by the sample."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from landweave.accuracy.design_based.assisted import METHODS, assisted_areas
from landweave.accuracy.design_based.estimates import FEW_UNITS
from landweave.accuracy.design_based.linear import UnitDesign
from landweave.errors import InputError
from landweave.legend import NONE

DESIGN = "design"
"""The estimator that uses the design alone; districts are post-stratified where that is possible."""

ESTIMATORS = (DESIGN, *METHODS)

FEW_DIFFER = 15
"""With fewer units where the map is wrong about a class, in or out, the interval of its area is too narrow."""

FEW_MARK = "map and labels differ at units worth {worth} of equal weight; with fewer than 15 the interval is too narrow"

ROUNDING = 1e-6
"""Share of the land by which an area may pass its bounds without being told of."""

MOST_LAND = 1.001
"""Land of the map as a share of the strata's, above which the two are not the same land."""


def check_estimator(estimator: str, *, raster: bool) -> None:
    """InputError for an estimator that is unknown, or that needs the raster of the map and has none."""
    if estimator not in ESTIMATORS:
        raise InputError(f"--estimator {estimator}: choose one of {', '.join(ESTIMATORS)}.")
    if estimator != DESIGN and not raster:
        raise InputError(f"--estimator {estimator} needs the areas of the map's classes; give its raster with --map.")


def add_assisted(
    figures: dict[str, Any],
    design: UnitDesign,
    mapped: np.ndarray,
    reference: np.ndarray,
    *,
    names: Mapping[int, str],
    method: str,
    areas: Mapping[int, float],
    whole: bool = True,
    districts: np.ndarray | None = None,
    district_areas: Mapping[str, Mapping[int, tuple[float, float]]] | None = None,
) -> list[str]:
    """Put the areas and shares of an estimator of :data:`METHODS` into figures, for the whole and for districts.

    Parameters
    ----------
    figures
        As :func:`landweave.accuracy.design_based.estimates.estimate` gives them; they change in place.
    design
        How the units were drawn; weights in hectares.
    mapped, reference
        Class values of each unit, (n,); 0 where the map shows none.
    names
        Class value to name.
    method
        The estimator.
    areas
        Hectares of each class on the map.
    whole
        Whether the areas of the whole change too. Where the strata are the map's classes they would stay, but for
        their intervals, which are better by the design.
    districts, district_areas
        Name of each unit's district; pixels and hectares of each class on the map, by district.

    Returns
    -------
    list of str
        What must be known of these areas.

    Raises
    ------
    InputError
        When the map shows more land than the strata have.
    """
    land, strata = sum(areas.values()), float(figures["area_ha"])
    if land > strata * MOST_LAND:
        raise InputError(
            f"--estimator {method}: the map has {land:,.0f} ha, but the strata of the sample have {strata:,.0f} ha; "
            "give the map of the land that was sampled."
        )
    at = {value: i for i, value in enumerate(names)} | {NONE: len(names)}
    m, r = (np.array([at[value] for value in values.tolist()]) for values in (mapped, reference))
    z = design.quantile(figures["level"])
    impossible: list[str] = []

    def put(
        part: dict[str, Any], known: Mapping[int, float], inside: np.ndarray | None, few: str, part_name: str = ""
    ) -> None:
        found = assisted_areas(
            design, m, r, areas=np.array([known.get(v, 0.0) for v in names]), method=method, inside=inside
        )
        part["estimator"] = method
        size = part["area_ha"]
        here = np.ones(len(m), bool) if inside is None else inside
        for i, name in enumerate(names.values()):
            row = part["classes"][name]
            differ = design.weight * (here & ((m == i) != (r == i)))
            worth = float(differ.sum() ** 2 / (differ**2).sum()) if differ.any() else 0.0
            mark = "" if worth >= FEW_DIFFER else FEW_MARK.format(worth=f"{worth:.1f}".removesuffix(".0"))
            value, most = float(found.value[i]), max(sum(known.values()), float(size or 0))
            if not -ROUNDING * most <= value <= (1 + ROUNDING) * most:
                impossible.append(name if inside is None else f"{name} in {part_name}")
            score = _score(value, float(found.se[i]), z=z, most=most, few=few, mark=mark)
            row["area_ha"] = score
            row["share"] = _divided(score, size)

    if whole:
        put(figures, areas, None, "")
    figures["estimator"] = method
    for name, part in figures.get("districts", {}).items():
        known = {value: area for value, (_, area) in (district_areas or {}).get(name, {}).items()}
        if not known:
            continue
        few = ""
        if part["sample_units"] < FEW_UNITS:
            few = f"{part['sample_units']} sample units lie in the district; an interval needs {FEW_UNITS}"
        part.pop("borrowed", None)
        put(part, known, None if districts is None else districts == name, few, name)
    notes = [f"Areas and shares are those of the {method} estimator, which uses the areas of the map's classes."]
    if impossible:
        mend = " Use --estimator regression." if method == "difference" else ""
        notes.append(
            f"The {method} estimator gave areas below 0 or above all land, which cannot be; they are shown as the "
            f"nearest that can: {', '.join(impossible)}.{mend}"
        )
    narrow = [name for name, row in figures["classes"].items() if whole and "reason" in row["area_ha"]]
    if narrow:
        notes.append(
            f"Intervals of these areas are too narrow, because map and labels differ at fewer than {FEW_DIFFER} units "
            f"(discounted for unequal weights): {', '.join(narrow)}."
        )
    if figures.get("districts"):
        notes.append(
            f"In districts, intervals of areas are too narrow where map and labels differ at under {FEW_DIFFER} units."
        )
    return notes


def _score(value: float, se: float, *, z: float, most: float, few: str, mark: str) -> dict[str, Any]:
    low, high = (min(max(value + side * z * se, 0.0), most) for side in (-1, 1))
    value = min(max(value, 0.0), most)
    if few or not np.isfinite(se):
        error = se if np.isfinite(se) else None
        return {"value": value, "se": error, "low": None, "high": None, "interval": None, "wald": None, "reason": few}
    score = {"value": value, "se": se, "low": low, "high": high, "interval": "wald", "wald": [low, high]}
    return score | ({"reason": mark} if mark else {})


def _divided(score: Mapping[str, Any], size: float | None) -> dict[str, Any]:
    if not size:
        return dict(score)
    shared = {
        key: None if score[key] is None else min(score[key] / size, 1.0) for key in ("value", "se", "low", "high")
    }
    wald = None if score["wald"] is None else [min(end / size, 1.0) for end in score["wald"]]
    return dict(score) | shared | {"wald": wald}
