"""Every name of eo-learn's that landweave knows: ``from landweave.eolearn.names import EOPatch, LoadTask``."""

from landweave.eolearn.executor import EOExecutor
from landweave.eolearn.exporting import ExportToTiffTask
from landweave.eolearn.features import FeatureType
from landweave.eolearn.folders import OverwritePermission, load_patch, save_patch
from landweave.eolearn.holding import BBox
from landweave.eolearn.land_cover import (
    FilterTimeSeriesTask,
    FractionSamplingTask,
    JoinMasksTask,
    LinearInterpolationTask,
    MaskFeatureTask,
    NormalizedDifferenceIndexTask,
    PredictPatchTask,
    SimpleFilterTask,
)
from landweave.eolearn.patch import EOPatch
from landweave.eolearn.rasters import ErosionTask, VectorToRasterTask
from landweave.eolearn.tasks import (
    AddFeatureTask,
    CopyTask,
    EOTask,
    ExtractBandsTask,
    InputTask,
    LoadTask,
    MapFeatureTask,
    MergeFeatureTask,
    OutputTask,
    RemoveFeatureTask,
    RenameFeatureTask,
    SaveTask,
    ZipFeatureTask,
    as_step,
    as_task,
)
from landweave.eolearn.workflow import EONode, EOWorkflow, WorkflowResults, linearly_connect_tasks

__all__ = [
    "AddFeatureTask",
    "BBox",
    "CopyTask",
    "EOExecutor",
    "EONode",
    "EOPatch",
    "EOTask",
    "EOWorkflow",
    "ErosionTask",
    "ExportToTiffTask",
    "ExtractBandsTask",
    "FeatureType",
    "FilterTimeSeriesTask",
    "FractionSamplingTask",
    "InputTask",
    "JoinMasksTask",
    "LinearInterpolationTask",
    "LoadTask",
    "MapFeatureTask",
    "MaskFeatureTask",
    "MergeFeatureTask",
    "NormalizedDifferenceIndexTask",
    "OutputTask",
    "OverwritePermission",
    "PredictPatchTask",
    "RemoveFeatureTask",
    "RenameFeatureTask",
    "SaveTask",
    "SimpleFilterTask",
    "VectorToRasterTask",
    "WorkflowResults",
    "ZipFeatureTask",
    "as_step",
    "as_task",
    "linearly_connect_tasks",
    "load_patch",
    "save_patch",
]
