"""What a data set says of itself: its card, its README, its legend, and a project that reads it back."""

import html
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from landweave.legend import Legend
from landweave.maps.dataset import CHECKSUMS, COLLECTION
from landweave.patch.align import outline_bounds
from landweave.patch.grid import crs_name
from landweave.runs import layout
from landweave.runs.project.masked_source import CLOUD_MASK, CLOUD_PROBABILITY
from landweave.runs.project.plan import Plan
from landweave.runs.publish.attributes import LEFT_OUT
from landweave.runs.results.record import read_record

if TYPE_CHECKING:
    from landweave.runs.results.run import FinishedRun

CARD = "data-card.json"

_CONTROLS = {"Cc", "Cs", "Zl", "Zp"}
_TURNS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def data_card(run: "FinishedRun", licence: str, *, eopatches: bool, unmapped: Sequence[str]) -> dict[str, Any]:
    """What the data set is, where, when, on what terms, how it was made, and what is known to be wrong with it.

    ``unmapped`` are patches without a prediction.
    """
    plan, record = run.plan, read_record(run.folder / layout.RECORD)
    west, south, east, north = np.array([outline_bounds(cell.geobox, "EPSG:4326") for cell in run.cells]).T
    has_reference = plan.reference is not None
    layers = {
        "imagery": {"variables": list(plan.recipe.source_bands), "unit": "1e-4 reflectance, int16, -32768 missing"},
        "masks": {name: _about(name) for name in (*plan.mask_variables, *plan.made_variables, LEFT_OUT)},
        "reference": "class values by the project's reference, 0 none" if has_reference else "none",
        "prediction": "class values of the map, 0 none; confidence in per cent",
    }
    scores: dict[str, Any] = {}
    if run.has_accuracy:
        accuracy = run.accuracy
        scores = {"overall_accuracy": accuracy.get("overall_accuracy"), "split": accuracy.get("split")}
    return {
        "title": plan.project.name,
        "what": (
            f"{len(run.cells)} patches of {'EOPatch folders' if eopatches else 'Zarr'}: imagery, masks, "
            f"{'reference, ' if has_reference else ''}land cover as predicted, and its confidence."
        ),
        "where": {
            "bbox": [float(west.min()), float(south.min()), float(east.max()), float(north.max())],
            "crs": sorted({crs_name(cell.geobox) for cell in run.cells}), "pixel_metres": plan.pixel_metres,
            "patches": len(run.cells),
        },
        "when": {"start": str(plan.start), "end": str(plan.end), "dates": len(plan.dates)},
        "licence": licence,
        "classes": {str(value): name for value, name in plan.legend.names.items()},
        "layers": layers,
        "made_with": {"landweave": record.get("landweave"), "versions": record.get("versions", {})},
        "accuracy": scores or None,
        "known_faults": known_faults(run, record, unmapped),
        "checksums": CHECKSUMS,
    }  # fmt: skip


def known_faults(run: "FinishedRun", record: dict[str, Any], unmapped: Sequence[str]) -> list[str]:
    """What a user of the data should know, in sentences; only what the run itself tells."""
    faults = [f"Patch {name} has no prediction: the run could not map it." for name in unmapped]
    faults += [f"{one['what']}: {one['error']}" for one in record.get("failures", ())]
    if run.plan.reference is not None:
        faults.append(
            "The reference is an official map and not the truth; where it is likely wrong, the run's report tells."
        )
        if run.plan.project.reference is not None and run.plan.project.reference.erosion:
            faults.append(
                "Labels end at the patches. Trained anew on these labels, pixels at the outer border count as edges, "
                "which they may not be; the map can differ from the published one for that reason."
            )
    if run.plan.project.source.cloud_rule == "none":
        faults.append("No clouds were masked.")
    if any(getattr(date, "hour", None) is not None for date in run.plan.dates):
        faults.append("Some days hold a second pass, which EOPatches and other tools may fuse with the first.")
    return faults


def project_text(plan: Plan, *, eopatches: bool, buffer: float | None) -> str:
    """A project file, beside the data set's files, that maps from them; ``buffer`` of its area, None without one."""
    settings = plan.project.model_dump(mode="python", exclude_unset=True, exclude={"file"})
    source: dict[str, Any] = (
        {"type": "eopatches", "path": "patches", "bands_feature": "BANDS", "band_names": plan.recipe.source_bands}
        if eopatches
        else {"type": "stac", "url": COLLECTION, "store": False}
    )
    source |= _clouds_of(plan)
    features = dict(settings.get("features", {}))
    if "static" in features:
        features["static"] = [f"static/{Path(path).name}" for path in features["static"]]
    reference: dict[str, Any] = {}
    if plan.reference is not None:
        reference = {"path": "patches", "legend": "legend.toml"}
        if eopatches:
            reference["layer"] = "mask_timeless/LULC"
        given = settings.get("reference", {})
        reference |= {"erosion": given["erosion"]} if "erosion" in given else {}
    model = {key: value for key, value in settings.get("model", {}).items() if key != "path"}
    if plan.reference is None:
        model["path"] = "model"
    tables = {
        "area": {} if buffer is None else {"aoi": "area.geojson", "buffer": buffer},
        "period": {"start": plan.start, "end": plan.end},
        "source": source, "features": features, "reference": reference, "sampling": settings.get("sampling", {}),
        "model": model, "map": settings.get("map", {}),
    }  # fmt: skip
    head = f'name = {_value(plan.project.name)}\noutput = "out"\n'
    return head + "".join(_table(name, values) for name, values in tables.items() if values)


def legend_text(legend: Legend) -> str:
    """A legend whose codes are the class values, as the published labels have them."""
    names, colors = legend.names, legend.colors
    entries = [
        f"[[class]]\nvalue = {value}\nname = {_text(names[value])}\ncolor = {_text(colors[value])}\ncodes = [{value}]\n"
        for value in legend.values
    ]
    return "\n".join(entries)


def _clouds_of(plan: Plan) -> dict[str, Any]:
    # What counts was decided, with ground around each patch in view; it lies there as a mask.
    rule, snow = plan.project.source.cloud_rule, plan.project.source.snow
    if rule == "none" and snow == "keep":
        return {"clouds": "none"}
    return {"clouds": "decided", "mask": LEFT_OUT}


def _about(name: str) -> str:
    known = {
        "SCL": "scene classes of Sentinel-2 L2A", CLOUD_MASK: "0 where clear",
        CLOUD_PROBABILITY: "per cent, 255 unknown",
        LEFT_OUT: "why an observation does not count: 1 no data, 2 cloud, shadow and the like, 3 snow; else 0",
    }  # fmt: skip
    return known.get(name, "as the source has it")


def _table(name: str, values: dict[str, Any]) -> str:
    plain = {key: value for key, value in values.items() if not isinstance(value, dict) and value is not None}
    lines = "".join(f"{key} = {_value(value)}\n" for key, value in plain.items())
    nested = "".join(
        _table(f"{name}.{_key(key)}", {_key(inner): one for inner, one in value.items()})
        for key, value in values.items()
        if isinstance(value, dict) and value
    )
    return f"\n[{name}]\n{lines}{nested}"


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else json.dumps(name)


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(one) for one in value)}]"
    if isinstance(value, str):
        return _text(value)
    return value.isoformat() if hasattr(value, "isoformat") else json.dumps(value, ensure_ascii=False)


def _text(value: str) -> str:
    """A string of TOML, which differs from one of JSON in that it must escape the delete character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def in_markdown(text: str) -> str:
    r"""Words from elsewhere as they are to be read in a page of Markdown: no link, image, table, heading, HTML or code.

    >>> in_markdown("a | b <script>")
    'a \\| b &lt;script&gt;'
    """
    # No line ends and other control characters, and none that turn the direction of text around.
    line = "".join(" " if unicodedata.category(one) in _CONTROLS or one in _TURNS else one for one in text)
    escaped = re.sub(r"([\\`*_{}\[\]|~$^])", r"\\\1", html.escape(" ".join(line.split()), quote=False))
    # What would begin a heading or a list, at the beginning of a line only.
    return re.sub(r"^(\d*)([-+=#.)])", r"\1\\\2", escaped)


def readme_text(card: Mapping[str, Any], *, eopatches: bool) -> str:
    """What stands in ``README.md``."""
    where, when = card["where"], card["when"]
    how = (
        "Each folder in `patches/` is an EOPatch: eo-learn 1.5 loads it, and landweave reads it as\n"
        '`source.type = "eopatches"`.'
        if eopatches
        else "Each folder in `patches/` is a Zarr (format 3) that xarray opens; `collection.json` is a STAC\n"
        'collection of them, which landweave reads as `source.type = "stac"`.'
    )
    faults = (
        "\n".join(f"- {in_markdown(fault)}" for fault in card["known_faults"])
        or "- None are known, which is not to say that there are none."
    )
    classes = "\n".join(f"| {value} | {in_markdown(name)} |" for value, name in card["classes"].items())
    west, south, east, north = where["bbox"]
    systems = in_markdown(", ".join(where["crs"]))
    decoded = (
        ""
        if eopatches
        else " The Zarr says so as `_FillValue` and `scale_factor`: xarray reads\nreflectance with NaN where missing; "
        "`mask_and_scale=False` reads the stored numbers."
    )
    return f"""# {in_markdown(card["title"])}

{card["what"]}

- **Where**: {west:.4f}, {south:.4f} to {east:.4f}, {north:.4f} (longitude, latitude), in {systems},
  pixels of {where["pixel_metres"]:.4g} m.
- **When**: {when["start"]} to {when["end"]}, {when["dates"]} dates.
- **Licence**: {in_markdown(card["licence"])}.
- **More**: [{CARD}]({CARD}).

## What is in a patch

{how}
Imagery is int16 in steps of 1e-4 reflectance, -32768 where missing; masks are bytes by date; labels, prediction and
confidence have no time.{decoded}

| value | class |
|---|---|
{classes}

## Known faults

{faults}

## Is it whole?

    landweave verify .          # or: sha256sum -c {CHECKSUMS}

A check that is interrupted goes on where it was.

## The map again

    landweave run .             # landweave.toml says of what, and how
"""
