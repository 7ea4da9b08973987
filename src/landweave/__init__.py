"""landweave: from a year of satellite images and a reference map to a validated land cover map.

The public names below are loaded only when asked for.
"""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "Cell": "landweave.patch.grid",
    "ConstantSource": "landweave.sources.constant",
    "average_roc": "landweave.accuracy.curves",
    "choose_thresholds": "landweave.classifier.thresholds",
    "InputError": "landweave.errors",
    "LandCoverClassifier": "landweave.classifier.land_cover_classifier",
    "JudgedMap": "landweave.runs.estimate.compare_maps",
    "Legend": "landweave.legend",
    "PatchSplit": "landweave.labels.splitter",
    "Recipe": "landweave.features.recipe",
    "SizeRequest": "landweave.runs.estimate.draw",
    "Stratum": "landweave.accuracy.design_based.estimates",
    "UnitDesign": "landweave.accuracy.design_based.linear",
    "allocate": "landweave.accuracy.design_based.designs",
    "assisted_areas": "landweave.accuracy.design_based.assisted",
    "cloud_probability": "landweave.features.s2cloudless",
    "compare": "landweave.runs.results.compare",
    "compare_maps": "landweave.runs.estimate.compare_maps",
    "compare_masks": "landweave.features.coverage",
    "compute_features": "landweave.api.compute",
    "calibration_errors": "landweave.accuracy.reliability",
    "conformal_coverage": "landweave.accuracy.trust.conformal",
    "conformal_sets": "landweave.accuracy.trust.conformal",
    "conformal_threshold": "landweave.accuracy.trust.conformal",
    "conformal_threshold_by_cluster": "landweave.accuracy.trust.conformal",
    "conformal_thresholds": "landweave.accuracy.trust.conformal",
    "detectable_difference": "landweave.accuracy.design_based.map_comparison",
    "difference_error": "landweave.accuracy.design_based.map_comparison",
    "draw_sample": "landweave.runs.estimate.draw",
    "estimate": "landweave.accuracy.design_based.estimates",
    "estimate_accuracy": "landweave.runs.estimate.accuracy",
    "estimate_project": "landweave.runs.estimate.accuracy",
    "fleiss_kappa": "landweave.accuracy.design_based.interpreters",
    "find_map": "landweave.runs.estimate.map",
    "load": "landweave.api.load",
    "make_features": "landweave.features.interpolation:features",
    "make_patch": "landweave.patch.model",
    "mask_clouds": "landweave.api.masking",
    "native_cells": "landweave.patch.grid",
    "open_eopatches": "landweave.sources.patchwise.eopatches",
    "open_rasters": "landweave.sources.rasters",
    "open_run": "landweave.runs.results.run",
    "open_stac": "landweave.api.opening",
    "pair_agreement": "landweave.accuracy.design_based.interpreters",
    "pixel_dossier": "landweave.runs.results.pixel",
    "predict": "landweave.api.predict",
    "publish_dataset": "landweave.runs.publish.dataset",
    "read_patch": "landweave.patch.store",
    "read_project": "landweave.runs.project.settings",
    "read_reference": "landweave.labels.reference",
    "read_layers": "landweave.runs.results.arrays",
    "ratio_estimate": "landweave.accuracy.design_based.linear",
    "rasterise": "landweave.labels.on_grid",
    "roc_curves": "landweave.accuracy.curves",
    "run": "landweave.runs.pipeline.driver",
    "sample_size": "landweave.accuracy.design_based.designs",
    "score": "landweave.accuracy.metrics",
    "simulate": "landweave.sources.simulated.archive.archive:write_archive",
    "simulated_source": "landweave.sources.simulated.source:SimulatedSource",
    "true_colour": "landweave.runs.results.arrays",
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
