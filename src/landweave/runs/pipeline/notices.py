"""What a user should know before trusting a run's figures, in sentences."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from landweave.engine.ledger import DONE, FAILED
from landweave.errors import InputError
from landweave.patch.area import read_area_file
from landweave.patch.grid import Cell
from landweave.runs.fetch.offsets import difference_notes
from landweave.runs.project.plan import Plan
from landweave.runs.sample.labels import verdict_notes

if TYPE_CHECKING:
    from landweave.runs.pipeline.state import Run


def notices(run: "Run") -> list[str]:
    """One sentence for each thing that was left out, repaired or could not be done; told by the run and the report."""
    return [
        *run.plan.source.notes, *_of_dates(run.plan), *_of_offsets(run), *_of_labels(run), *_of_samples(run),
        *_of_features(run), *_of_model(run), *_of_imagery(run), *_of_failures(run),
    ]  # fmt: skip


def _of_dates(plan: Plan) -> list[str]:
    return [] if plan.undated is None else [plan.undated]


def _of_offsets(run: "Run") -> list[str]:
    """Scenes whose offset was taken from others, and those of which nobody can tell."""
    entry = run.done("fetch") if run.plan.source.scenes else None
    info = entry.info if entry else {}
    differ = {name: scene["differs"] for name, scene in info.get("scenes", {}).items() if scene.get("differs")}
    lines = difference_notes(differ, scenes=int(info.get("compared", len(info.get("scenes", {})))))
    if info.get("followed"):
        lines.append(
            "Scenes without dark ground that take the offset shown by the pixels of other scenes of their collection: "
            f"{len(info['followed'])} ({some(info['followed'])})."
        )
    if info.get("untold"):
        lines.append(
            "Scenes without dark ground whose offset is uncertain, since other scenes contradict their metadata: "
            f"{len(info['untold'])} ({some(info['untold'])}); leave them out by source.exclude if in doubt."
        )
    return lines


def some(names: Sequence[str], most: int = 5) -> str:
    """The first of some names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _of_labels(run: "Run") -> list[str]:
    unknown: Counter[str] = Counter()
    repaired: set[int] = set()
    unplaced: set[int] = set()
    for _, entry in run.made("label"):
        unknown.update(entry.info["unknown"])
        repaired.update(entry.info["repaired"])
        unplaced.update(entry.info.get("unplaced", ()))
    lines = []
    if unknown:
        listed = ", ".join(f"{code} ({count})" for code, count in sorted(unknown.items())[:10])
        more = f" and {len(unknown) - 10} more" if len(unknown) > 10 else ""
        lines.append(
            f"Register codes that the legend does not know, taken as no class (features a patch): {listed}{more}."
        )
    if repaired:
        lines.append(f"Invalid polygons of the reference that were repaired: {len(repaired)}.")
    if unplaced:
        lines.append(
            f"{len(unplaced)} polygons of the reference have no place in the CRS of the patches and are left out there."
        )
    return [*lines, *reference_left_out(run.plan), *points_outside(run.plan, run.cells)]


def reference_left_out(plan: Plan) -> list[str]:
    """What of the reference's file can label nothing, counted, in sentences; and of the area's."""
    from landweave.labels.reference import left_out

    settings = plan.project.area
    lines = []
    if settings.aoi:
        area = read_area_file(plan.project.path(settings.aoi), layer=settings.layer)
        if area.placeless:
            lines.append(
                f"{area.placeless} of {area.features} features of the area of interest have no geometry and are left "
                "out."
            )
        if area.repaired:
            lines.append(
                f"{area.repaired} of {area.features} features of the area of interest cross themselves or are invalid "
                "otherwise, and were repaired; check them on a map."
            )
    return lines + ([] if plan.reference is None else [*left_out(plan.reference), *verdict_notes(plan)])


def points_outside(plan: Plan, cells: Sequence[Cell], *, all_wrong: bool = False) -> list[str]:
    """How many of the reference's points no patch holds, as a sentence; none where all are held or are no points.

    Where no patch holds any point and ``all_wrong``, InputError.
    """
    if plan.reference is None or plan.reference.kind != "points":
        return []
    from landweave.labels.on_grid import count_inside

    inside, points = count_inside(plan.reference, [cell.geobox for cell in cells])
    outside = points - inside
    if all_wrong and not inside:
        raise InputError(
            f"{plan.reference.path}: none of the {points} points lies in a patch; check their coordinates, or the area."
        )
    return [f"{outside} of {points} points lie outside the imagery and are left out."] if outside else []


def _of_samples(run: "Run") -> list[str]:
    table, train = run.ledger.get("sample"), run.ledger.get("train")
    lines = list(table.info.get("notes", ())) if table is not None and table.state == DONE else []
    if train is None or train.state != DONE or run.plan.project.model.path:
        return lines
    if train.info["absent"]:
        absent = ", ".join(train.info["absent"])
        lines.append(f"Classes without any training sample, which the map cannot show: {absent}.")
    if train.info["missing"]:
        missing = ", ".join(train.info["missing"])
        lines.append(f"The model was trained without these patches and is frozen until --retrain: {missing}.")
    if run.taught is not None and run.taught.kind == "none":
        lines.append("No patch or block could be held out, so the figures are in-sample.")
    return lines


def _of_features(run: "Run") -> list[str]:
    """Layers that have no value at any sample: the model learns nothing from them."""
    entry = run.ledger.get("sample")
    empty = entry.info.get("empty_layers", []) if entry is not None and entry.state == DONE else []
    if not empty:
        return []
    return [f"Layers without any value at the samples, from which the model learns nothing: {some(empty, 10)}."]


def _of_model(run: "Run") -> list[str]:
    given = [entry.info.get("slow_because") for _, entry in run.made("predict")]
    return [f"LightGBM itself predicted, which is slow: {reason}." for reason in sorted({r for r in given if r})]


def _of_imagery(run: "Run") -> list[str]:
    seen = {cell.name: entry.info for cell, entry in run.made("fetch")}
    dark = sorted(name for name, info in seen.items() if info["never_seen"] == info["pixels"] > 0)
    lines = []
    if dark:
        named = ", ".join(dark[:10]) + (f" and {len(dark) - 10} more" if len(dark) > 10 else "")
        lines.append(f"Patches without a single valid observation, left as class 0: {named}.")
    unseen = sum(info["never_seen"] for info in seen.values())
    total = max(sum(info["pixels"] for info in seen.values()), 1)
    if unseen > sum(seen[name]["pixels"] for name in dark):
        which = "of all pixels, those patches included," if dark else "of the pixels"
        lines.append(f"{unseen / total:.2%} {which} have no valid observation and are left as class 0.")
    empty = sum(int(entry.info["mapped"].get("0", 0)) for _, entry in run.made("predict"))
    if empty > unseen and run.plan.project.model.reject_below is None:
        lines.append(
            f"{empty / total:.2%} of the pixels are left as class 0, most of them because no target day lies "
            "between two of their valid observations: check period and step_days."
        )
    clipped = sum(info["saturated"] for info in seen.values())
    if clipped:
        lines.append(
            f"{clipped} band values lie beyond what int16 holds in 1e-4 reflectance (3.2767) and were clipped: "
            "check the source's scale and offset."
        )
    return lines


def _of_failures(run: "Run") -> list[str]:
    return [f"Failed: {key}: {error}" for key, error in failures(run)]


def failures(run: "Run") -> list[tuple[str, str]]:
    """What failed and was not made since, with the last line of its error; only patches that the run still has."""
    names = {cell.name for cell in run.cells}
    return [
        (entry.key, entry.info["error"])
        for entry in run.ledger.entries()
        if entry.state == FAILED and ("/" not in entry.key or entry.key.split("/", 1)[1] in names)
    ]
