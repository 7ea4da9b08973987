"""``landweave estimate draw --sampling``: systematic and two-stage samples, and their design when they are read."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from landweave.accuracy.design_based.linear import UnitDesign, stratified_design
from landweave.accuracy.design_based.stratified import Strata
from landweave.errors import InputError
from landweave.maps.areas import Counted, count_classes
from landweave.maps.grid_sample import draw_systematic, draw_two_stage
from landweave.maps.stratified_sample import Drawn
from landweave.runs.estimate.map import MapSource
from landweave.runs.estimate.sample_file import LabelledSample, SamplePlan, write_sample

STRATIFIED, SYSTEMATIC, TWO_STAGE = "stratified", "systematic", "two-stage"

SAMPLINGS = (STRATIFIED, SYSTEMATIC, TWO_STAGE)
"""Ways to draw: at random in each class of the map, every so many pixels, or at random in random blocks."""

ALL_LAND = "all land"
"""The one stratum of a sample that has no strata."""

BLOCK, CLUSTERS = 100, 50
"""Side of a block in pixels, and how many blocks, where nothing else is asked."""

FEWEST_CLUSTERS = 3
"""With two, Student's t is so wide that an interval says nothing."""

FEW_CLUSTERS = 20
"""With fewer clusters the standard errors are themselves uncertain."""

NOTES = {
    SYSTEMATIC: (
        "A systematic sample: its standard errors are approximations from the differences of neighbouring units "
        "(D'Orazio 2003); there is no exact formula for one random start."
    ),
    TWO_STAGE: (
        "A two-stage sample: the intervals use Student's t with {degrees} degrees of freedom, {clusters} blocks less 1."
    ),
}


def draw_on_grid(
    source: MapSource,
    output: Path,
    *,
    sampling: str,
    n: int | None,
    seed: int = 42,
    blind: bool = False,
    clusters: int = CLUSTERS,
    block: int = BLOCK,
) -> dict[str, Any]:
    """Draw a systematic or a two-stage sample from a map and write it, ready to be labelled.

    Parameters
    ----------
    source, output, seed, blind
        As for :func:`landweave.runs.estimate.draw.draw_sample`.
    sampling
        ``systematic`` or ``two-stage``.
    n
        Units in all; a systematic sample meets about as many.
    clusters, block
        Of a two-stage sample: how many blocks, and their side in pixels.

    Returns
    -------
    dict
        As :func:`landweave.runs.estimate.draw.draw_sample`; ``sizes`` are the units that fell on each class.
    """
    if sampling not in SAMPLINGS:
        raise InputError(f"--sampling {sampling}: choose one of {', '.join(SAMPLINGS)}.")
    if n is None:
        raise InputError(f"--sampling {sampling}: say how many units with --n; a plan by class is for stratified ones.")
    counted = count_classes(source.grid)
    total = sum(counted.pixels.values())
    if n > total:
        raise InputError(f"{source.grid.path}: {n} units are requested, but the map has {total} pixels with a class.")
    if sampling == SYSTEMATIC:
        step = max(math.isqrt(total // n), 1)
        found = draw_systematic(source.grid, step=step, seed=seed)
        how = f"systematic, every {step}th pixel of every {step}th row"
    else:
        if not FEWEST_CLUSTERS <= clusters <= n:
            raise InputError(f"--clusters {clusters}: give at least {FEWEST_CLUSTERS}, and no more than the {n} units.")
        per = math.ceil(n / clusters)
        found = draw_two_stage(source.grid, clusters=clusters, per_cluster=per, block=block, seed=seed)
        how = f"two-stage, {clusters} blocks of {block} pixels, up to {per} units in each"
    drawn = found.pixels
    names = {**{v: str(v) for v in counted.pixels}, **source.names}
    whole = Counted(
        pixels={1: total}, areas={1: sum(counted.areas.values())}, zone_areas=(), zone_classes=(),
        fingerprint=counted.fingerprint,
    )  # fmt: skip
    plan = SamplePlan(
        about={"kind": sampling, **found.about}, classes=names,
        units={"mapped": drawn.stratum.astype("int64"), **found.units},
    )  # fmt: skip
    write_sample(
        output, source.grid, whole,
        Drawn(stratum=np.ones(len(drawn.row), "uint8"), row=drawn.row, column=drawn.column),
        names={1: ALL_LAND}, how={"seed": seed, "allocation": how}, blind=blind, plan=plan,
    )  # fmt: skip
    met = {names[v]: int((drawn.stratum == v).sum()) for v in counted.pixels}
    return {"n": len(drawn.row), "new": len(drawn.row), "sizes": met, "seed": seed, "allocation": how}


def unit_design(read: LabelledSample, sizes: np.ndarray | None) -> UnitDesign:
    """The design of a sample that was read, with weights in hectares that add up to the strata's areas.

    ``sizes`` are the areas of the units in any one unit, (n,), or None where they are alike.
    """
    keys = list(read.strata)
    strata = Strata(
        units=np.array([s.units for s in read.strata.values()], "float64"),
        areas=np.array([s.area for s in read.strata.values()], "float64"),
    )
    at = np.array([keys.index(key) for key in read.stratum.tolist()])
    if read.plan is None:
        return stratified_design(at, strata, areas=sizes, finite=True)
    area = np.ones(len(at)) if sizes is None else np.asarray(sizes, "float64")
    if read.plan["kind"] == SYSTEMATIC:
        pairs = neighbours(read.extra["grid_row"], read.extra["grid_column"])
        weight = area * float(strata.areas[0]) / area.sum()
        return UnitDesign(weight=weight, stratum=at, drawn=np.array([len(at) / strata.units[0]]), pairs=pairs)
    clusters, position, taken = np.unique(read.extra["cluster"], return_inverse=True, return_counts=True)
    if len(clusters) < FEWEST_CLUSTERS:
        raise InputError(
            f"{read.path}: the labelled units lie in {len(clusters)} blocks; an interval needs {FEWEST_CLUSTERS}, so "
            "label more."
        )
    within = taken[position] / read.extra["cluster_pixels"]
    weight = area / within
    return UnitDesign(
        weight=weight * float(strata.areas[0]) / weight.sum(), stratum=at,
        drawn=np.array([len(clusters) / int(read.plan["clusters"])]), cluster=position, within=within,
    )  # fmt: skip


def neighbours(row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Positions of units side by side on a grid, each pair once, int64 (p, 2).

    >>> neighbours(np.array([0, 0, 1]), np.array([0, 1, 1])).tolist()
    [[0, 1], [1, 2]]
    """
    at = {place: i for i, place in enumerate(zip(row.tolist(), column.tolist(), strict=True))}
    pairs = [
        (i, at[other])
        for (r, c), i in at.items()
        for other in ((r, c + 1), (r + 1, c))
        if other in at
    ]  # fmt: skip
    return np.array(pairs, "int64").reshape(-1, 2)


def plan_notes(read: LabelledSample, design: UnitDesign) -> list[str]:
    """What must be known of a design that is not stratified."""
    if read.plan is None:
        return []
    kind = str(read.plan["kind"])
    clusters = 0 if design.cluster is None else len(np.unique(design.cluster))
    notes = [NOTES[kind].format(degrees=design.degrees, clusters=clusters)]
    if 0 < clusters < FEW_CLUSTERS:
        notes.append(f"Fewer than {FEW_CLUSTERS} blocks: standard errors are themselves uncertain.")
    if kind == SYSTEMATIC and (design.pairs is None or not len(design.pairs)):
        notes.append("No two units are neighbours, so the standard errors are those of a simple random sample.")
    return notes
