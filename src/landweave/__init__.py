"""landweave: from a year of satellite images and a reference map to a validated land cover map.

The public names below are loaded only when asked for.
"""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "Cell": "landweave.patch.grid",
    "choose_thresholds": "landweave.classifier.thresholds",
    "InputError": "landweave.errors",
    "Legend": "landweave.legend",
    "Recipe": "landweave.features.recipe",
    "SizeRequest": "landweave.runs.drawing",
    "Stratum": "landweave.accuracy.estimates",
    "allocate": "landweave.accuracy.designs",
    "cloud_probability": "landweave.features.s2cloudless",
    "compare": "landweave.runs.comparing",
    "compare_masks": "landweave.features.observed",
    "conformal_sets": "landweave.accuracy.conformal",
    "conformal_threshold": "landweave.accuracy.conformal",
    "draw_sample": "landweave.runs.drawing",
    "estimate": "landweave.accuracy.estimates",
    "estimate_accuracy": "landweave.runs.estimating",
    "estimate_project": "landweave.runs.estimating",
    "find_map": "landweave.runs.map_source",
    "make_features": "landweave.features.interpolation:features",
    "make_patch": "landweave.patch.model",
    "native_cells": "landweave.patch.grid",
    "open_eopatches": "landweave.sources.eopatches",
    "open_rasters": "landweave.sources.rasters",
    "open_run": "landweave.runs.reading",
    "pixel_dossier": "landweave.runs.dossier",
    "publish_dataset": "landweave.runs.sharing",
    "read_patch": "landweave.patch.store",
    "read_project": "landweave.runs.project",
    "read_reference": "landweave.reference.reading",
    "read_layers": "landweave.runs.showing",
    "rasterise": "landweave.reference.labels",
    "run": "landweave.runs.driver",
    "sample_size": "landweave.accuracy.designs",
    "score": "landweave.accuracy.metrics",
    "simulate": "landweave.sources.simulated.archive:write_archive",
    "true_colour": "landweave.runs.showing",
    "utm_cells": "landweave.patch.grid",
    "valid_mask": "landweave.features.clouds",
    "verify_dataset": "landweave.maps.dataset:verify",
    "write_patch": "landweave.patch.store",
}

__all__ = ["__version__", *sorted(_PUBLIC)]  # noqa: PLE0604 - the names stand in the table above


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _read_version()
    if name in _PUBLIC:
        # A name may differ from the function's, since `landweave.features` is the room.
        module, _, other = _PUBLIC[name].partition(":")
        return getattr(import_module(module), other or name)
    raise AttributeError(f"module 'landweave' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)


def _read_version() -> str:
    try:
        return str(import_module("landweave._version").__version__)
    except ModuleNotFoundError:  # a source tree that was never built
        return "0+unknown"
