"""What `landweave check` says of labels: codes that no class has, that are nearly alike, or that are no classes."""

from collections.abc import Mapping, Sequence

from landweave.errors import InputError
from landweave.labels.codes_of_raster import codes_are_sampled
from landweave.labels.reference import Reference, points_of_table, reference_codes
from landweave.legend import NONE, Legend
from landweave.patch.grid import Cell
from landweave.runs.pipeline.notices import points_outside, reference_left_out
from landweave.runs.project.plan import Plan

FEW = 10
"""Features whose codes may all differ and be classes all the same."""


def label_notes(plan: Plan, cells: Sequence[Cell]) -> list[str]:
    """What is unusual about classes and the codes of the reference, in sentences.

    Raises
    ------
    InputError
        Where no code, or the codes of one class only, can label anything, and where no point lies in a patch.
    """
    return [*_reference_notes(plan, cells), *_names_notes(plan)]


def _reference_notes(plan: Plan, cells: Sequence[Cell]) -> list[str]:
    if plan.reference is None:
        return reference_left_out(plan)
    codes = reference_codes(plan.reference, [cell.geobox for cell in cells])
    if not codes:
        what = "pixel of the patches" if plan.reference.kind == "raster" else "feature"
        raise InputError(
            f"{plan.reference.path}: no {what} has a code in {plan.reference.column or 'the raster'}; correct "
            "reference.column, or give another reference."
        )
    classes, unknown = plan.legend.translate(codes)
    known = [code for one in plan.legend.classes for code in one.accepted_codes]
    if not classes.any():
        raise InputError(
            f"{plan.reference.path}: none of its codes ({_some(codes)}) is a code of the legend ({_some(known)}); "
            "correct reference.column or the legend's codes."
        )
    found = set(classes.tolist()) - {NONE}
    sampled = plan.reference.kind == "raster" and codes_are_sampled(plan.reference.path)
    if len(found) < 2 and not sampled and not plan.project.model.path:
        raise InputError(
            f"{plan.reference.path}: fewer than two classes are in it (found: {plan.legend.names[found.pop()]}); "
            "correct reference.column or the legend's codes."
        )
    notes = [f"codes that the legend does not know, taken as none: {', '.join(sorted(unknown))}"] if unknown else []
    notes += _own_codes(plan.reference, codes) + _alike(codes, plan.legend)
    outside = points_outside(plan, cells, all_wrong=True)
    return [*notes, *reference_left_out(plan), *outside]


def _own_codes(reference: Reference, codes: Sequence[str]) -> list[str]:
    """A column whose values are all different is a number or a name of each feature, and no class."""
    if reference.kind not in {"polygons", "points"}:
        return []
    features = reference.vector.features if reference.places is None else len(points_of_table(reference).x)
    if features < FEW or len(codes) < features:
        return []
    said = f"Each of the {features} features has a value of its own in {reference.column} ({_some(codes, 3)})"
    return [f"{said}: it looks like a name of the feature, not like its class; correct reference.column."]


def _alike(codes: Sequence[str], legend: Legend) -> list[str]:
    """Codes that differ in capital letters or blanks only, and are not one class."""
    values = dict(zip(codes, legend.translate(codes)[0].tolist(), strict=True))
    known = {code: one.value for one in legend.classes for code in one.accepted_codes}
    pairs = _nearly_alike({**known, **values})
    if not pairs:
        return []
    said = f"Codes that differ in capital letters or blanks only are not one class: {_some(pairs, 5)}"
    return [f"{said}; correct them, or list them as codes of one class in the legend."]


def _nearly_alike(values: Mapping[str, int]) -> list[str]:
    """Texts that differ in capital letters or blanks only, with different values, in words.

    >>> _nearly_alike({"Forest": 1, "forest ": 2, "FOREST": 1, "water": 3, "sea": 4})
    ["'FOREST', 'Forest', 'forest '"]
    """
    groups: dict[str, list[str]] = {}
    for text in sorted(values):
        groups.setdefault("".join(text.split()).casefold(), []).append(text)
    return [", ".join(map(repr, group)) for group in groups.values() if len({values[text] for text in group}) > 1]


def _names_notes(plan: Plan) -> list[str]:
    names = plan.legend.names
    settings = plan.project.reference
    place = (
        f"name of each class in {plan.project.path(settings.legend).name}" if settings and settings.legend
        else "names in a legend, see reference.legend"
    )  # fmt: skip
    notes = []
    if all(name.replace(".", "", 1).isdecimal() for name in names.values()):
        notes.append(
            f"The names of the classes are only numbers ({_some(list(names.values()), 3)}), and so they will be called "
            f"in map and report; set the {place}."
        )
    alike = _nearly_alike({name: value for value, name in names.items()}) if plan.reference is None else []
    if alike:
        notes.append(
            f"Classes whose names differ in capital letters or blanks only: {_some(alike, 5)}; correct the labels."
        )
    return notes


def _some(words: Sequence[str], most: int = 10) -> str:
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")
