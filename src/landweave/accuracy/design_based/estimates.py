"""From a labelled probability sample to published figures: accuracies and areas with standard errors and intervals."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from landweave.accuracy.design_based.disagreement import disagreement
from landweave.accuracy.design_based.intervals import quantile
from landweave.accuracy.design_based.linear import UnitDesign, design_cells, design_limits, design_measures
from landweave.accuracy.design_based.mover import intervals
from landweave.accuracy.design_based.post_stratified import Cells, cells_of
from landweave.accuracy.design_based.stratified import Measure, Strata, Tally, cell_shares, measures, tally
from landweave.errors import InputError
from landweave.legend import NONE

FEW_OMITTED = 15
"""With fewer omitted units of a class its intervals are wide, for what the sample cannot have seen."""

FEW_UNITS = 15
"""A district with fewer units gets figures but no intervals."""

UNMAPPED = "not mapped at any sample unit"
UNSEEN = "no sample unit is of this class"

MAPPED_TITLE = "mapped area (pixel count, not an estimate)"
"""How the number of a map's pixels is called wherever it is shown."""


@dataclass(frozen=True, kw_only=True)
class Stratum:
    """One stratum of a design."""

    name: str
    """What people call it; the class, where strata are the map's classes."""

    units: int
    """Units (pixels) in it."""

    area: float
    """Hectares."""

    def __post_init__(self) -> None:
        if self.units < 1 or not self.area > 0:
            raise InputError(f"Stratum {self.name!r} has {self.units} units and {self.area} ha; give both above 0.")


def estimate(
    stratum: np.ndarray | Sequence[int],
    mapped: np.ndarray | Sequence[int],
    reference: np.ndarray | Sequence[int],
    *,
    strata: Mapping[int, Stratum],
    classes: Mapping[int, str],
    areas: np.ndarray | None = None,
    districts: np.ndarray | Sequence[str] | None = None,
    district_areas: Mapping[str, float] | None = None,
    district_strata: Mapping[str, Mapping[int, tuple[float, float]]] | None = None,
    finite: bool = True,
    level: float = 0.95,
    design: UnitDesign | None = None,
    shown: Collection[int] | None = None,
) -> dict[str, Any]:
    """Accuracy of a map and area of its classes from a stratified random sample with reference labels.

    The strata may be the map's classes (Olofsson et al. 2013, 2014) or anything else that was fixed before the sample
    was drawn, such as the classes of an earlier map (Stehman 2014); see
    :func:`landweave.accuracy.design_based.stratified.measures`.

    Parameters
    ----------
    stratum, mapped, reference
        Of each unit, (n,): key of its stratum, value of its class on the map (0 where the map shows none, which counts
        as wrong) and value of its true class.
    strata
        Key to size of every stratum. Land outside all strata is not spoken of.
    classes
        Class value to name, in the legend's order.
    areas
        Area of each unit, (n,), any unit; None where the units of a stratum are of one size.
    districts
        Name of the district of each unit, (n,); "" for none.
    district_areas
        Hectares of the strata in each district, by name. A class's area in a district is then its share there times
        this; without it an estimated total, which is far less precise.
    district_strata
        Units and hectares of each stratum in each district, by name and by key of the stratum. A district's figures
        are then post-stratified by stratum x district, which is more precise again; see
        :func:`landweave.accuracy.design_based.post_stratified.cells_of`.
    finite
        Whether a stratum that was sampled to the last unit has no sampling error.
    level
        Coverage of the intervals, 0..1.
    design
        Of a sample that is not a stratified random one: its weights add up to the strata's hectares.
    shown
        Values of the classes that the map has, to be given where its classes are not the strata: a class that no unit
        met may be mapped right elsewhere. See :func:`landweave.accuracy.design_based.mover.intervals`.

    Returns
    -------
    dict
        JSON-ready: ``sample_units``, ``few_units`` (fewer in a district give no interval), ``few_omitted_units`` (fewer
        of a class give wide intervals), ``overall_accuracy``, ``classes`` (name to ``users_accuracy``,
        ``producers_accuracy``, ``f1``, ``share``, ``area_ha``, and ``omitted_units``, ``effective_omitted_units``,
        ``too_narrow``, which is always false), ``confusion`` (``labels``, ``counts`` with rows reference and columns
        map, ``shares`` of the land and their standard errors ``shares_se``), ``disagreement`` (see
        :func:`landweave.accuracy.design_based.disagreement.disagreement`), ``strata``, and ``districts`` (name to the
        same figures, ``sample_units``, ``area_ha`` and of each class ``total_ha``, which adds up over districts to the
        whole; ``estimator``, and ``borrowed``: ``strata`` with fewer than two units there, which take the rate of the
        whole stratum, and their ``share`` of the land). A score is ``{value, se, low, high, interval, wald}``:
        ``interval`` is ``mover``: ``low`` and ``high`` are put together from an interval in each stratum, see
        :func:`landweave.accuracy.design_based.mover.intervals`; under a ``design`` it is ``wilson``, see
        :func:`landweave.accuracy.design_based.linear.design_limits`; ``wald`` is the value plus and minus 1.96 standard
        errors; ``reason`` says why something is missing.

    Raises
    ------
    InputError
        When lengths differ, a stratum is unknown or has fewer than two units, or a label is missing or unknown.

    Examples
    --------
    >>> strata = {1: Stratum(name="forest", units=900, area=9.0), 2: Stratum(name="other", units=100, area=1.0)}
    >>> found = estimate([1, 1, 1, 2, 2], [1, 1, 1, 2, 2], [1, 1, 2, 2, 2], strata=strata,
    ...                  classes={1: "forest", 2: "other"})
    >>> round(found["overall_accuracy"]["value"], 2), round(found["classes"]["other"]["area_ha"]["value"], 2)
    (0.7, 4.0)
    """
    names, keys = list(classes.values()), list(strata)
    k = len(names)
    h = _positions(stratum, keys, "stratum")
    m = _positions(mapped, [*classes, NONE], "map class")
    r = _positions(reference, list(classes), "reference label")
    if not len(h) == len(m) == len(r):
        raise InputError(f"{len(h)} strata, {len(m)} map classes, {len(r)} labels; give one of each per unit.")
    check_filled(h, strata, finite=finite)
    sizes = Strata(
        units=np.array([s.units for s in strata.values()], "float64"),
        areas=np.array([s.area for s in strata.values()], "float64"),
    )
    size = None if areas is None else _checked_areas(areas, len(h))
    whole = tally(h, m, r, h=len(keys), k=k, areas=size)
    z = quantile(level) if design is None else design.quantile(level)
    write = _Writer(names, z=z, kind="mover" if design is None else "wilson")
    total = float(sizes.areas.sum())
    on_map = None if shown is None else np.array([value in shown for value in classes], bool)

    def measured(inside: np.ndarray | None, part: Tally | None = None) -> tuple[dict[str, Measure], Limits]:
        if design is not None:
            there = design_measures(design, m, r, k=k, inside=inside)
            return there, design_limits(there, z=z)
        return (
            measures(sizes, whole, part=part, finite=finite),
            intervals(sizes, whole, part=part, finite=finite, level=level, shown=on_map),
        )

    shares, shares_se = cell_shares(sizes, whole, finite=finite) if design is None else design_cells(design, m, r, k=k)
    counts = whole.count.sum(axis=0).T
    figures: dict[str, Any] = {
        "sample_units": len(h),
        "few_units": FEW_UNITS,
        "few_omitted_units": FEW_OMITTED,
        "level": level,
        "area_ha": total,
        **write.figures(*measured(None), area=total),
        "confusion": {
            "labels": names,
            "counts": counts[:, :k].astype("int64").tolist(),
            "unclassified": counts[:, k].astype("int64").tolist(),
            "shares": shares.T[:, :k].tolist(),
            "unclassified_shares": shares.T[:, k].tolist(),
            "shares_se": shares_se.T[:, :k].tolist(),
            "unclassified_shares_se": shares_se.T[:, k].tolist(),
        },
        "disagreement": disagreement(shares, names),
        "strata": [
            {"key": key, "name": s.name, "units": s.units, "area_ha": s.area, "sample_units": int((h == i).sum())}
            for i, (key, s) in enumerate(strata.items())
        ],
    }
    if districts is not None:
        named = np.asarray(districts, dtype=object)
        figures["districts"] = {}
        for name in sorted({*named.tolist(), *(district_areas or {})} - {""}):
            inside = named == name
            part = tally(
                h[inside], m[inside], r[inside], h=len(keys), k=k, areas=None if size is None else size[inside]
            )
            known = (district_areas or {}).get(name)
            figures["districts"][name] = {
                "sample_units": int(inside.sum()),
                "area_ha": known,
                "estimator": "ratio",
                **write.figures(*measured(inside, part), area=known, units=int(inside.sum())),
            }
            cells_there = (district_strata or {}).get(name, {})
            within = {keys.index(key): cell for key, cell in cells_there.items() if key in strata}
            cells = cells_of(h, inside, strata=sizes, areas=within)
            if cells.keys:
                figures["districts"][name] |= _post_stratified(
                    write, cells, figures["districts"][name], sample=(m, r, size),
                    names=[s.name for s in strata.values()], finite=finite, level=level,
                )  # fmt: skip
    return figures


def _post_stratified(
    write: "_Writer",
    cells: Cells,
    ratio: Mapping[str, Any],
    *,
    sample: tuple[np.ndarray, np.ndarray, np.ndarray | None],
    names: Sequence[str],
    finite: bool,
    level: float,
) -> dict[str, Any]:
    """Figures of a district by its cells; ``ratio`` holds those that know only its area."""
    mapped, reference, size = sample
    k = len(ratio["classes"])
    part = tally(
        cells.position, mapped[cells.rows], reference[cells.rows], h=len(cells.keys), k=k,
        areas=None if size is None else size[cells.rows],
    )  # fmt: skip
    area = float(cells.strata.areas.sum())
    limits = intervals(cells.strata, part, finite=finite, level=level)
    found = write.figures(measures(cells.strata, part, finite=finite), limits, area=area, units=ratio["sample_units"])
    for name, row in found["classes"].items():
        for key in ("total_ha", "sample_units", "omitted_units", "effective_omitted_units"):
            row[key] = ratio["classes"][name][key]
    return {
        "area_ha": area,
        "estimator": "post-stratified",
        "borrowed": {
            "strata": [names[key] for key, lacks in zip(cells.keys, cells.borrowed, strict=True) if lacks],
            "share": float(cells.strata.areas[cells.borrowed].sum()) / area,
        },
        **found,
    }


Limits = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""Lower and upper limits by figure."""


class _Writer:
    """Arrays become named scores."""

    def __init__(self, names: Sequence[str], *, z: float, kind: str) -> None:
        self._names, self._z, self._kind = names, z, kind

    def figures(
        self, found: Mapping[str, Measure], limits: Limits, *, area: float | None, units: int | None = None
    ) -> dict[str, Any]:
        """Scores of the whole, or of a district with so many sample units."""
        too_few = units is not None and units < FEW_UNITS
        few = f"{units} sample units lie in the district; an interval needs {FEW_UNITS}" if too_few else ""

        def score(key: str, i: int | None, missing: str) -> dict[str, Any]:
            low, high = limits[key]
            return self._score(
                found[key], (low, high), i, most=np.inf if key == "area" else 1.0, few=few, missing=missing
            )

        classes = {}
        for i, name in enumerate(self._names):
            share, total = score("share", i, "no sample unit"), score("area", i, "no sample unit")
            classes[name] = {
                "users_accuracy": score("users_accuracy", i, UNMAPPED),
                "producers_accuracy": score("producers_accuracy", i, UNSEEN),
                "f1": score("f1", i, UNSEEN),
                "share": share,
                "area_ha": total if area is None else _times(share, area),
                **({} if units is None else {"total_ha": total}),
                "sample_units": int(found["producers_accuracy"].bearing[i]),
                "omitted_units": round(float(found["omitted"].value[i])),
                "effective_omitted_units": float(found["omitted"].effective[i]),
                # Kept for scripts that read it: these intervals allow for what the sample has not seen.
                "too_narrow": False,
            }
        return {"overall_accuracy": score("overall_accuracy", None, "no sample unit"), "classes": classes}

    def _score(
        self,
        measure: Measure,
        limits: tuple[np.ndarray, np.ndarray],
        i: int | None,
        *,
        most: float,
        few: str,
        missing: str,
    ) -> dict[str, Any]:
        value, se, low, high = (float(a if i is None else a[i]) for a in (measure.value, measure.se, *limits))
        if not np.isfinite(value):
            return _empty(missing)
        half = self._z * se
        score = {
            "value": value, "se": se, "low": low, "high": high, "interval": self._kind,
            "wald": [max(value - half, 0.0), min(value + half, most)],
        }  # fmt: skip
        if few:
            return score | {"low": None, "high": None, "interval": None, "wald": None, "reason": few}
        return score


def _times(share: Mapping[str, Any], area: float) -> dict[str, Any]:
    """A share of the land as hectares."""
    score = dict(share)
    for key in ("value", "se", "low", "high"):
        score[key] = None if share[key] is None else share[key] * area
    score["wald"] = None if share["wald"] is None else [end * area for end in share["wald"]]
    return score


def _empty(reason: str) -> dict[str, Any]:
    return {"value": None, "se": None, "low": None, "high": None, "interval": None, "wald": None, "reason": reason}


def _positions(labels: np.ndarray | Sequence[int], known: Sequence[int], what: str) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise InputError(f"{what} has shape {labels.shape}; give one per unit.")
    order = np.argsort(known, kind="stable")
    ranked = np.asarray(known)[order]
    at = np.minimum(np.searchsorted(ranked, labels), len(ranked) - 1)
    wrong = np.flatnonzero(ranked[at] != labels)
    if len(wrong):
        row = int(wrong[0])
        if labels[row] == NONE:
            raise InputError(f"unit {row + 1} has no {what}; give one for every unit of the sample.")
        raise InputError(f"unit {row + 1} has the {what} {labels[row]}, which is not among {sorted(known)}.")
    return np.asarray(order[at])


def check_filled(h: np.ndarray, strata: Mapping[int, Stratum], *, finite: bool = True) -> None:
    """InputError where a stratum has too few units for a variance, or more than it can have.

    ``h`` gives the position of each unit's stratum, (n,); ``finite`` as for :func:`estimate`.
    """
    for i, s in enumerate(strata.values()):
        n = int((h == i).sum())
        if n < 2 and not (finite and n == s.units):
            raise InputError(
                f"stratum {s.name!r} has {n} sample unit{'s' * (n != 1)}; the variance needs 2: label more units, or "
                "draw again with a minimum."
            )
        if n > s.units:
            raise InputError(f"stratum {s.name!r} has {n} sample units of {s.units}; check the size of the stratum.")


def _checked_areas(areas: np.ndarray, n: int) -> np.ndarray:
    size = np.asarray(areas, "float64")
    if size.shape != (n,) or not (np.isfinite(size).all() and (size > 0).all()):
        raise InputError(f"areas has shape {size.shape}, for {n} units; give a positive number for each.")
    return size
