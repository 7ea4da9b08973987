"""eo-learn's names, on landweave: ``from landweave.eolearn import EOPatch, EOTask, EOWorkflow, EOExecutor``.

The names are loaded only when asked for.
"""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "AddFeatureTask": "tasks",
    "as_step": "tasks",
    "as_task": "tasks",
    "BBox": "holding",
    "CopyTask": "tasks",
    "CreateEOPatchTask": "shaping",
    "DuplicateFeatureTask": "shaping",
    "EOExecutor": "executor",
    "EONode": "workflow",
    "EOPatch": "patch",
    "EOTask": "tasks",
    "EOWorkflow": "workflow",
    "ErosionTask": "rasters",
    "ExplodeBandsTask": "shaping",
    "ExportToTiffTask": "exporting",
    "ExtractBandsTask": "tasks",
    "FeatureParser": "features",
    "FeatureType": "features",
    "FilterTimeSeriesTask": "land_cover",
    "FractionSamplingTask": "land_cover",
    "InitializeFeatureTask": "shaping",
    "InputTask": "tasks",
    "JoinMasksTask": "land_cover",
    "LinearInterpolationTask": "land_cover",
    "linearly_connect_tasks": "workflow",
    "load_patch": "patch",
    "LoadTask": "tasks",
    "MapFeatureTask": "tasks",
    "MaskFeatureTask": "land_cover",
    "MergeFeatureTask": "tasks",
    "MoveFeatureTask": "shaping",
    "NormalizedDifferenceIndexTask": "land_cover",
    "OutputTask": "tasks",
    "OverwritePermission": "folders",
    "PredictPatchTask": "land_cover",
    "RemoveFeatureTask": "tasks",
    "RenameFeatureTask": "tasks",
    "save_patch": "patch",
    "SaveTask": "tasks",
    "SimpleFilterTask": "land_cover",
    "TemporalSubsetTask": "shaping",
    "VectorImportTask": "importing",
    "VectorToRasterTask": "rasters",
    "WorkflowResults": "workflow",
    "ZipFeatureTask": "tasks",
}
"""Name to the file of this folder that defines it."""

_INSTEAD = {
    **dict.fromkeys(
        ("SentinelHubInputTask", "SentinelHubEvalscriptTask", "SentinelHubDemTask"),
        '[source] type = "stac" of a project, and features.static for heights',
    ),
    **dict.fromkeys(("CloudMaskTask", "SnowMaskTask"), 'clouds = "s2cloudless" and snow = "mask" of a project'),
    "ImportFromTiffTask": 'rasterio, then patch.data["X"] = array',
    "RasterToVectorTask": "rasterio.features.shapes",
    **dict.fromkeys(("BlockSamplingTask", "GridSamplingTask", "sample_by_values"), "FractionSamplingTask"),
    **dict.fromkeys(
        ("MergeEOPatchesTask", "merge_eopatches"), "LoadTask, which merges what it reads into a patch of the same dates"
    ),
    "DeepCopyTask": "CopyTask(deep=True)",
    **dict.fromkeys(
        ("MorphologicalFilterTask", "SpatialResizeTask", "ClusteringTask", "ECCRegistrationTask"),
        "as_task of the function of SciPy, scikit-image or OpenCV",
    ),
    **dict.fromkeys(
        (
            "InterpolationTask", "CubicInterpolationTask", "SplineInterpolationTask", "BSplineInterpolationTask",
            "AkimaInterpolationTask", "KrigingInterpolationTask", "NearestResamplingTask", "LinearResamplingTask",
            "CubicResamplingTask",
        ),
        "LinearInterpolationTask",
    ),
    "deep_eq": "== of two patches",
    "parallelize": "concurrent.futures of Python",
    "RayExecutor": "EOExecutor(...).run(workers=4)",
}  # fmt: skip
"""Names of eo-learn that are not here, and what serves instead."""

__all__ = sorted(_PUBLIC)  # noqa: PLE0605 - the names are in the table above


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f"landweave.eolearn.{_PUBLIC[name]}"), name)
    if name in _INSTEAD:
        # `from ... import` discards the message of an AttributeError.
        raise ImportError(f"landweave.eolearn has no {name}; use {_INSTEAD[name]} (see docs/from-eo-learn.md).")
    raise AttributeError(f"module 'landweave.eolearn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
