"""The land cover notebook's workflow, written once with eo-learn's names: eo-learn runs it, and so do we.

As a program it runs with eo-learn, in its own environment: ``python eolearn_notebook.py PATCH OUT``. ``PATCH`` is what
``benchmarks/patch.py`` writes.
"""

import datetime
import json
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np

INDICES = {"NDVI": ("B08", "B04"), "NDWI": ("B03", "B08"), "NDBI": ("B11", "B08")}


def enough_valid(mask):
    """The notebook's rule for a date."""
    return np.count_nonzero(mask) / mask.size > 0.8


class FromText:
    """LightGBM's text as a classifier: the same model for both."""

    def __init__(self, path, classes):
        self.path, self.classes_ = str(path), np.array(classes)

    def predict_proba(self, rows):
        import lightgbm

        return lightgbm.Booster(model_file=self.path).predict(rows, num_threads=1)

    def predict(self, rows):
        return self.classes_[np.argmax(self.predict_proba(rows), axis=1)]


def build(names, folder):
    """The patch, as the notebook's download hands it over."""
    meta = json.loads((Path(folder) / "meta.json").read_text())
    moments = [datetime.datetime.fromisoformat(text) for text in meta["timestamps"]]
    patch = names.EOPatch(bbox=names.BBox(meta["bbox"], names.crs(meta["epsg"])), timestamps=moments)
    numbers = np.load(Path(folder) / "bands.npy")
    patch[names.FeatureType.DATA, "BANDS"] = numbers.astype(np.float32) / np.float32(10000)
    patch[names.FeatureType.MASK, "IS_DATA"] = np.ones((*numbers.shape[:3], 1), bool)
    patch[names.FeatureType.MASK, "CLM"] = (np.load(Path(folder) / "valid.npy") == 0)[..., None]
    return patch, meta["bands"]


def register_of(folder):
    """The labels as polygons."""
    import geopandas as gpd
    import rasterio.features
    import rasterio.transform
    import shapely.geometry

    meta = json.loads((Path(folder) / "meta.json").read_text())
    labels = np.load(Path(folder) / "lulc.npy")
    transform = rasterio.transform.from_bounds(*meta["bbox"], labels.shape[1], labels.shape[0])
    pairs = list(rasterio.features.shapes(labels, mask=labels > 0, transform=transform))
    return gpd.GeoDataFrame(
        {"LULC": [int(value) for _, value in pairs]},
        geometry=[shapely.geometry.shape(shape) for shape, _ in pairs],
        crs=meta["epsg"],
    )


def prepare(names, folder, work):
    """The notebook's two workflows: indices, masks and labels, saved; features and samples, saved."""
    n, kind = names, names.FeatureType
    patch, bands = build(n, folder)
    given = n.InputTask()
    save = n.SaveTask(str(work / "eopatches"), overwrite_permission=n.OverwritePermission.OVERWRITE_FEATURES)
    nodes = n.linearly_connect_tasks(
        given,
        *(
            n.NormalizedDifferenceIndexTask((kind.DATA, "BANDS"), (kind.DATA, name), [bands.index(b) for b in pair])
            for name, pair in INDICES.items()
        ),
        n.ZipFeatureTask(
            {kind.MASK: ["IS_DATA", "CLM"]}, (kind.MASK, "IS_VALID"), lambda data, clouds: data.astype(bool) & ~clouds
        ),
        n.MapFeatureTask((kind.MASK, "IS_VALID"), (kind.MASK_TIMELESS, "COUNT"), np.count_nonzero, axis=0),
        n.MaskFeatureTask((kind.DATA, "NDVI", "CLEAR_NDVI"), (kind.MASK, "CLM"), [1]),
        n.VectorToRasterTask(
            register_of(folder), (kind.MASK_TIMELESS, "LULC"), values_column="LULC",
            raster_shape=(kind.MASK, "IS_DATA"), raster_dtype=np.uint8,
        ),
        (save, "save"),
    )  # fmt: skip
    arguments = {nodes[0]: {"value": patch}, nodes[-1]: {"eopatch_folder": "eopatch_0"}}
    executor = n.EOExecutor(n.EOWorkflow(nodes), [arguments, {nodes[0]: {"value": None}}])
    executor.run(workers=1)
    assert executor.get_successful_executions() == [0]
    assert executor.get_failed_executions() == [1]

    load = n.LoadTask(str(work / "eopatches"))
    nodes = n.linearly_connect_tasks(
        load,
        n.MergeFeatureTask({kind.DATA: ["BANDS", *INDICES]}, (kind.DATA, "FEATURES")),
        n.SimpleFilterTask((kind.MASK, "IS_VALID"), enough_valid),
        n.LinearInterpolationTask(
            (kind.DATA, "FEATURES"),
            mask_feature=(kind.MASK, "IS_VALID"),
            copy_features=[(kind.MASK_TIMELESS, "LULC")],
            resample_range=("2019-01-01", "2019-12-31", 15),
        ),
        n.ErosionTask(mask_feature=(kind.MASK_TIMELESS, "LULC", "LULC_ERODED"), disk_radius=3),
        n.FractionSamplingTask(
            features_to_sample=[(kind.DATA, "FEATURES", "FEATURES_SAMPLED"), (kind.MASK_TIMELESS, "LULC_ERODED")],
            sampling_feature=(kind.MASK_TIMELESS, "LULC_ERODED"),
            fraction=0.25,
            exclude_values=[0],
        ),
        n.OutputTask("patch"),
    )
    results = n.EOWorkflow(nodes).execute({nodes[0]: {"eopatch_folder": "eopatch_0"}, nodes[5]: {"seed": 42}})
    first = n.EOPatch.load(str(work / "eopatches" / "eopatch_0"))
    return first, results.outputs["patch"]


def predict(names, patch, model, work):
    """Labels and scores in the patch, and the labels as a GeoTIFF."""
    kind = names.FeatureType
    task = names.PredictPatchTask(model, (kind.DATA, "FEATURES"), "LBL_GBM", "SCR_GBM")
    patch = task.execute(patch)
    (work / "tiff").mkdir(parents=True, exist_ok=True)
    export = names.ExportToTiffTask((kind.MASK_TIMELESS, "LBL_GBM"), str(work / "tiff"))
    return export.execute(patch, filename="prediction.tiff")


def of_eolearn():
    """eo-learn's own names, and the prediction that its notebook writes for itself."""
    import eolearn.core
    import eolearn.features
    import eolearn.features.extra.interpolation
    import eolearn.geometry
    import eolearn.io
    import eolearn.mask
    import eolearn.ml_tools
    import sentinelhub

    class PredictPatchTask(eolearn.core.EOTask):
        def __init__(self, model, feature, labels, scores):
            self.model, self.feature, self.labels, self.scores = model, feature, labels, scores

        def execute(self, eopatch):
            values = eopatch[self.feature]
            dates, height, width, bands = values.shape
            rows = np.moveaxis(values, 0, 2).reshape(height * width, dates * bands)
            kinds = eolearn.core.FeatureType
            eopatch[kinds.MASK_TIMELESS, self.labels] = self.model.predict(rows).reshape(height, width, 1)
            eopatch[kinds.DATA_TIMELESS, self.scores] = self.model.predict_proba(rows).reshape(height, width, -1)
            return eopatch

    found = {"BBox": sentinelhub.BBox, "crs": sentinelhub.CRS, "PredictPatchTask": PredictPatchTask}
    for module in (
        eolearn.core, eolearn.features, eolearn.features.extra.interpolation, eolearn.geometry, eolearn.io,
        eolearn.mask, eolearn.ml_tools,
    ):  # fmt: skip
        found.update({name: getattr(module, name) for name in dir(module) if name[0].isupper()})
    from eolearn.core.eoworkflow_tasks import InputTask

    found |= {"linearly_connect_tasks": eolearn.core.linearly_connect_tasks, "InputTask": InputTask}
    return SimpleNamespace(**found)


def kept(first, patch):
    """What both sides must agree on, by name."""
    return {
        "ndvi": first.data["NDVI"], "clear": first.data["CLEAR_NDVI"], "count": first.mask_timeless["COUNT"],
        "lulc": first.mask_timeless["LULC"], "features": patch.data["FEATURES"],
        "eroded": patch.mask_timeless["LULC_ERODED"], "sampled": patch.data["FEATURES_SAMPLED"],
        "times": np.array([moment.isoformat() for moment in patch.timestamps]),
    }  # fmt: skip


def main(folder, work):
    """With eo-learn: the whole notebook, its model included."""
    import lightgbm
    import rasterio

    names, work = of_eolearn(), Path(work)
    first, patch = prepare(names, folder, work)
    arrays = kept(first, patch)
    values = patch.data["FEATURES_SAMPLED"]
    rows = np.moveaxis(values, 0, 2).reshape(values.shape[1], -1)
    truth = patch.mask_timeless["LULC_ERODED"].ravel()
    model = lightgbm.LGBMClassifier(
        objective="multiclass", num_class=len(np.unique(truth)), metric="multi_logloss", random_state=42, verbose=-1,
        n_jobs=1,
    )  # fmt: skip
    model.fit(rows, truth)
    model.booster_.save_model(str(work / "model.txt"))
    patch = predict(names, patch, FromText(work / "model.txt", model.classes_), work)
    with rasterio.open(work / "tiff" / "prediction.tiff") as file:
        arrays |= {"tiff": file.read(), "transform": np.array(file.transform)}
    arrays |= {
        "labels": patch.mask_timeless["LBL_GBM"], "scores": patch.data_timeless["SCR_GBM"],
        "classes": np.array(model.classes_),
    }  # fmt: skip
    np.savez(work / "arrays.npz", **arrays)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
