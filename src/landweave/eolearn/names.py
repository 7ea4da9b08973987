"""Every name of eo-learn's that landweave knows: ``from landweave.eolearn.names import EOPatch, LoadTask``."""

from landweave.eolearn.executor import EOExecutor
from landweave.eolearn.exporting import ExportToTiffTask
from landweave.eolearn.features import FeatureParser, FeatureType
from landweave.eolearn.folders import OverwritePermission
from landweave.eolearn.holding import BBox
from landweave.eolearn.importing import VectorImportTask
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
from landweave.eolearn.patch import EOPatch, load_patch, save_patch
from landweave.eolearn.rasters import ErosionTask, VectorToRasterTask
from landweave.eolearn.shaping import (
    CreateEOPatchTask,
    DuplicateFeatureTask,
    ExplodeBandsTask,
    InitializeFeatureTask,
    MoveFeatureTask,
    TemporalSubsetTask,
)
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
    "CreateEOPatchTask",
    "DuplicateFeatureTask",
    "EOExecutor",
    "EONode",
    "EOPatch",
    "EOTask",
    "EOWorkflow",
    "ErosionTask",
    "ExplodeBandsTask",
    "ExportToTiffTask",
    "ExtractBandsTask",
    "FeatureParser",
    "FeatureType",
    "FilterTimeSeriesTask",
    "FractionSamplingTask",
    "InitializeFeatureTask",
    "InputTask",
    "JoinMasksTask",
    "LinearInterpolationTask",
    "LoadTask",
    "MapFeatureTask",
    "MaskFeatureTask",
    "MergeFeatureTask",
    "MoveFeatureTask",
    "NormalizedDifferenceIndexTask",
    "OutputTask",
    "OverwritePermission",
    "PredictPatchTask",
    "RemoveFeatureTask",
    "RenameFeatureTask",
    "SaveTask",
    "SimpleFilterTask",
    "TemporalSubsetTask",
    "VectorImportTask",
    "VectorToRasterTask",
    "WorkflowResults",
    "ZipFeatureTask",
    "as_step",
    "as_task",
    "linearly_connect_tasks",
    "load_patch",
    "save_patch",
]
