"""``landweave estimate size`` and ``draw``: how many units to label, and which."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from landweave.accuracy.design_based.designs import (
    ALLOCATIONS,
    allocate,
    anticipated,
    class_sizes,
    expected_omitted,
    smallest_size,
)
from landweave.errors import InputError
from landweave.maps.areas import Counted, count_classes
from landweave.maps.stratified_sample import draw_pixels
from landweave.runs.estimate.extend import copy_verdicts, extended, how_extended, read_before
from landweave.runs.estimate.grid_draw import BLOCK, CLUSTERS, STRATIFIED, draw_on_grid
from landweave.runs.estimate.map import MapSource
from landweave.runs.estimate.sample_file import write_sample

EXPECTED = 0.85
"""User's accuracy that is taken for a class of which nothing is known."""

TARGET = 0.01
"""Standard error of the overall accuracy that a sample is planned for."""

MINIMUM = 50
"""Fewest units of a class (Olofsson et al. 2014, section 5.1.2)."""

OMISSION = 0.1
"""Share of a class that a map is taken to miss, where nothing is known."""

OFF = 0.01 + 1e-9
"""How far the sum of shares that were given may be from 1: they are rounded."""


@dataclass(frozen=True, kw_only=True)
class SizeRequest:
    """What a sample is to achieve."""

    n: int | None = None
    """Units in all; None finds them from ``target``."""
    target: float = TARGET
    """Standard error of the overall accuracy."""
    class_target: float | None = None
    """Standard error of each user's accuracy; None asks for none."""
    minimum: int = MINIMUM
    """Fewest units of a class."""
    allocation: str = "proportional"
    """``proportional``, ``equal``, ``neyman`` or ``power``."""
    expected: Sequence[str] = ()
    """User's accuracies: ``0.9`` for all classes, ``forest=0.95`` for one."""
    omission: float = OMISSION
    """Share of each class that the map is expected to miss; tells how many omitted units the sample will hold."""


def plan_size(
    request: SizeRequest, *, source: MapSource | None = None, counted: Counted | None = None, shares: Sequence[str] = ()
) -> dict[str, Any]:
    """How many units to label, and how to divide them.

    Parameters
    ----------
    request
        What the sample is to achieve.
    source, counted
        The map and what it holds; or
    shares
        shares of the land, as ``forest=0.32``, of all classes, where there is no map yet; their sum is 1.

    Returns
    -------
    dict
        JSON-ready: ``n``, ``target``, ``chosen``, ``classes`` (name to ``value``, ``share``,
        ``expected_users_accuracy``, ``pixels``) and ``allocations``: of each way ``sizes``, the anticipated
        ``se_overall`` and ``se_users`` by class, and ``n_for_target``, the units that this way needs for the target,
        and ``expected_omitted_units`` by class if the map misses ``omission`` of each.
        ``n`` is that of the chosen way unless it was given.

    Raises
    ------
    InputError
        For a map without classes, for shares that do not add up to 1, and for an expected accuracy above 1.
    """
    if source is not None and counted is not None:
        total = sum(counted.areas.values())
        if not total > 0:
            raise InputError(f"{source.grid.path}: the map has no classified pixels.")
        weight = {_name(source.names, v): area / total for v, area in counted.areas.items()}
        units = {_name(source.names, v): n for v, n in counted.pixels.items()}
        values = {_name(source.names, v): v for v in counted.pixels}
    else:
        weight = {name: share for name, share in _pairs(shares, "--share").items() if name}
        if not weight or len(weight) < len(shares):
            raise InputError(
                "give a map, or the shares of all its classes, such as --share forest=0.32 --share other=0.68."
            )
        if not abs(sum(weight.values()) - 1) <= OFF:
            raise InputError(
                f"--share: the shares add up to {sum(weight.values()):g}, not 1; give the share of every class, such "
                "as --share forest=0.32 --share other=0.68."
            )
        units, values = {}, {}
    names = list(weight)
    known = {} if source is None else source.expected
    users = _expected(request.expected, names, known)
    share = np.round(np.array(list(weight.values())) / sum(weight.values()), 12)
    have = np.array([units[name] for name in names]) if units else None
    least = np.full(len(names), max(request.minimum, 2))
    if request.class_target is not None:
        least = np.maximum(least, class_sizes(users, se=request.class_target))
    capped = least if have is None else np.minimum(least, have)

    def needed(method: str, bound: np.ndarray) -> int:
        return smallest_size(share, users, se=request.target, method=method, minimum=bound, units=have)

    n = request.n if request.n is not None else needed(request.allocation, least)
    chosen = f"{request.allocation}, at least {request.minimum} a class"
    ways = {chosen: (request.allocation, least)}
    ways |= {f"{m}, at least {request.minimum} a class": (m, least) for m in ALLOCATIONS if n >= capped.sum()}
    ways |= {m: (m, np.full(len(names), 2)) for m in ALLOCATIONS}
    allocations: dict[str, Any] = {}
    for way, (method, bound) in ways.items():
        sizes = allocate(n, share, method=method, accuracies=users, minimum=bound, units=have)
        named = dict(zip(names, sizes.tolist(), strict=True))
        if named not in [other["sizes"] for other in allocations.values()]:
            overall, by_class = anticipated(np.maximum(sizes, 2), share, users, units=have)
            allocations[way] = {
                "sizes": named, "se_overall": overall, "se_users": dict(zip(names, by_class.tolist(), strict=True)),
                "n_for_target": needed(method, bound),
                "expected_omitted_units": dict(
                    zip(names, expected_omitted(sizes, share, users, omission=request.omission).tolist(), strict=True)
                ),
            }  # fmt: skip
    return {
        "n": n, "omission": request.omission,
        "target": request.target, "class_target": request.class_target, "minimum": request.minimum,
        "chosen": chosen,
        "classes": {
            name: {"value": values.get(name), "share": float(share[i]), "expected_users_accuracy": float(users[i]),
                   "pixels": units.get(name)}
            for i, name in enumerate(names)
        },
        "allocations": allocations,
    }  # fmt: skip


def draw_sample(
    source: MapSource,
    output: Path,
    *,
    request: SizeRequest,
    per_class: Sequence[str] = (),
    seed: int = 42,
    blind: bool = False,
    extend: Path | None = None,
    sampling: str = STRATIFIED,
    clusters: int = CLUSTERS,
    block: int = BLOCK,
) -> dict[str, Any]:
    """Draw a stratified random sample from a map and write it, ready to be labelled.

    Parameters
    ----------
    source
        The map; its classes are the strata.
    output
        A GeoPackage, see :func:`landweave.runs.estimate.sample_file.write_sample`; an existing file is never
        overwritten.
    request
        How many, and how divided.
    per_class
        Instead, so many of a class: ``forest=150``; classes that are not named get none and must not exist.
    seed
        Of the draw.
    blind
        Keep the strata out of the points' columns.
    extend
        A sample of the same map that is to be extended: its units stay with their labels, and further ones come to
        them until ``request`` or ``per_class`` is met. Its seed is used again, and it stays blind.
    sampling, clusters, block
        ``stratified``, or ``systematic`` or ``two-stage`` with ``request.n`` units, see
        :func:`landweave.runs.estimate.grid_draw.draw_on_grid`.

    Returns
    -------
    dict
        ``n``, ``sizes`` by class name, ``seed``, ``allocation``, and ``new``, the units to be labelled.
    """
    output = Path(output)
    if output.suffix.lower() != ".gpkg" or not output.resolve().parent.is_dir():
        raise InputError(f"{output}: give the name of a .gpkg file in a folder that exists.")
    if output.exists():
        raise InputError(f"{output}: the file exists and may contain labels; give another name or remove it.")
    if sampling != STRATIFIED:
        if extend is not None or per_class:
            raise InputError(
                f"--sampling {sampling}: --extend and --per-class are for stratified samples; leave them out."
            )
        return draw_on_grid(
            source, output, sampling=sampling, n=request.n, seed=seed, blind=blind, clusters=clusters, block=block
        )
    counted = count_classes(source.grid)
    plan = plan_size(request, source=source, counted=counted)
    sizes: dict[str, int] = plan["allocations"][plan["chosen"]]["sizes"]
    how = plan["chosen"]
    if per_class:
        given = _pairs(per_class, "--per-class")
        _check_names(given, plan["classes"], "--per-class")
        lacking = [name for name in plan["classes"] if name not in given]
        if lacking:
            raise InputError(f"--per-class lacks {lacking[0]!r}, so its land could not be drawn; name all classes.")
        for name, number in given.items():
            if not number.is_integer():
                raise InputError(f"--per-class {name}={number:g}: give a whole number of units, such as {name}=150.")
            if number < min(2, plan["classes"][name]["pixels"]):
                raise InputError(
                    f"--per-class {name}={number:g}: a variance needs two units of every class; give at least {name}=2."
                )
        sizes, how = {name: int(given[name]) for name in plan["classes"]}, "as given"
    by_value = {plan["classes"][name]["value"]: n for name, n in sizes.items()}
    names = {**source.names, **{plan["classes"][name]["value"]: name for name in sizes}}
    label = {plan["classes"][name]["value"]: name for name in sizes}
    facts: dict[str, Any] = {"seed": seed, "allocation": how}
    if extend is None:
        drawn = draw_pixels(source.grid, by_value, pixels=counted.pixels, seed=seed)
        write_sample(output, source.grid, counted, drawn, names=names, how=facts, blind=blind)
        n = new = sum(sizes.values())
    else:
        before = read_before(Path(extend), counted)
        if not per_class:
            # What is labelled already stays, also where the plan would have taken less of a class.
            by_value = {value: max(n, before.sizes.get(value, 0)) for value, n in by_value.items()}
        drawn = extended(before, source.grid, by_value, pixels=counted.pixels, names=names)
        facts = how_extended(facts, before)
        write_sample(
            output, source.grid, counted, drawn, names=names, how=facts, blind=blind or before.blind,
            filled=before.filled,
        )  # fmt: skip
        copy_verdicts(before.path, output)
        n, new = len(drawn.row), len(drawn.row) - len(before.drawn.row)
    return {
        "n": n, "new": new, "sizes": {label[value]: n for value, n in by_value.items()}, "seed": facts["seed"],
        "allocation": how,
    }  # fmt: skip


def _name(names: Mapping[int, str], value: int) -> str:
    return names.get(value, str(value))


def _pair(text: str, option: str) -> tuple[str, float]:
    name, _, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not value >= 0:
        example = {"--per-class": "forest=150", "--expect": "forest=0.95"}.get(option, "forest=0.32")
        raise InputError(f"{option} {text!r}: write it as class=number, such as {example}.")
    return name.strip(), value


def _pairs(texts: Sequence[str], option: str) -> dict[str, float]:
    """Class to number; one that is named twice, perhaps in another case, is refused."""
    found: dict[str, float] = {}
    for text in texts:
        name, number = _pair(text, option)
        if name.casefold() in {known.casefold() for known in found}:
            raise InputError(f"{option} {text!r}: {name or 'a number for all classes'} is given twice; give it once.")
        found[name] = number
    return found


def _expected(texts: Sequence[str], names: Sequence[str], measured: Mapping[str, float]) -> np.ndarray:
    given = _pairs(texts, "--expect")
    for name, number in given.items():
        if number > 1:
            shown = f"{name}={number:g}" if name else f"{number:g}"
            raise InputError(f"--expect {shown}: an accuracy is between 0 and 1, such as 0.9.")
    everywhere = given.pop("", None)
    _check_names(given, names, "--expect")
    found: dict[str, float] = dict.fromkeys(names, EXPECTED if everywhere is None else everywhere)
    found |= {**(measured if everywhere is None else {}), **given}
    return np.array([found[name] for name in names])


def _check_names(given: Mapping[str, Any], known: Sequence[str] | Mapping[str, Any], option: str) -> None:
    for name in given:
        if name not in known:
            raise InputError(f"{option} {name}: the map has no class {name!r}; it has {', '.join(known)}.")
