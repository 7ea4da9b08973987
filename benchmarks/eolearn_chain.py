"""The other side: eo-learn 1.5.7's land cover chain, as its notebook on Slovenia has it, stage by stage.

Runs in an environment of its own (``eolearn-requirements.txt``) and imports nothing of ours.

    python benchmarks/eolearn_chain.py chain PATCH WORK [--model FILE] [--json FILE]
    python benchmarks/eolearn_chain.py read PATCH WORK
    python benchmarks/eolearn_chain.py clouds IMAGE.npy PROBABILITY.npy

Bands B02 B03 B04 B08 B11 B12, NDVI, NDWI and NDBI; dates of more than 80 % valid pixels; a feature every 15 days;
labels eroded by a disk of one pixel, a quarter of them drawn; LightGBM's classifier as it comes.
"""

import argparse
import datetime
import json
import shutil
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from stages import Stages

warnings.filterwarnings("ignore")

INDICES = {"NDVI": ("B08", "B04"), "NDWI": ("B03", "B08"), "NDBI": ("B11", "B08")}
LEAST_VALID = 0.8
PERIOD = ("2019-01-01", "2019-12-31", 15)
FRACTION, SEED = 0.25, 42


def enough_valid(mask: np.ndarray) -> bool:
    """The notebook's rule for a date."""
    return bool(np.count_nonzero(mask) / mask.size > LEAST_VALID)


def open_patch(folder: Path) -> tuple[Any, list[str]]:
    """Bands as float32 reflectance, the cloud mask and the labels, as the download task hands them over."""
    from eolearn.core import EOPatch, FeatureType
    from sentinelhub import CRS, BBox

    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    times = [datetime.datetime.fromisoformat(text) for text in meta["timestamps"]]
    patch = EOPatch(bbox=BBox(meta["bbox"], CRS(meta["epsg"])), timestamps=times)
    numbers = np.load(folder / "bands.npy", mmap_mode="r")
    patch[FeatureType.DATA, "BANDS"] = numbers.astype("float32") / np.float32(10_000)
    patch[FeatureType.MASK, "IS_DATA"] = np.ones((*numbers.shape[:3], 1), "uint8")
    patch[FeatureType.MASK, "CLM"] = (1 - np.load(folder / "valid.npy"))[..., None]
    patch[FeatureType.MASK_TIMELESS, "LULC"] = np.load(folder / "lulc.npy")[..., None]
    return patch, meta["bands"]


def in_rows(features: np.ndarray) -> np.ndarray:
    """Features (date, y, x, band) as a row a pixel, date by date."""
    times, height, width, bands = features.shape
    return np.moveaxis(features, 0, 2).reshape(height * width, times * bands)


def chain(given: argparse.Namespace) -> None:
    """The notebook, from the download's patch to labels, scores and the files it keeps."""
    import joblib
    import lightgbm
    from eolearn.core import EOPatch, FeatureType, LoadTask, MergeFeatureTask, OverwritePermission, SaveTask
    from eolearn.features import NormalizedDifferenceIndexTask, SimpleFilterTask
    from eolearn.features.extra.interpolation import LinearInterpolationTask
    from eolearn.geometry import ErosionTask
    from eolearn.io import ExportToTiffTask
    from eolearn.ml_tools import FractionSamplingTask

    data, mask, timeless = FeatureType.DATA, FeatureType.MASK, FeatureType.MASK_TIMELESS
    stages, work = Stages(), Path(given.work)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    save = {"overwrite_permission": OverwritePermission.OVERWRITE_PATCH}

    with stages.stage("build"):
        patch, names = open_patch(Path(given.patch))
        dates = len(patch.timestamps)
    with stages.stage("indices"):
        for name, pair in INDICES.items():
            task = NormalizedDifferenceIndexTask((data, "BANDS"), (data, name), [names.index(band) for band in pair])
            patch = task.execute(patch)
    with stages.stage("valid mask"):
        patch[mask, "IS_VALID"] = (patch[mask, "IS_DATA"] == 1) & (patch[mask, "CLM"] == 0)
        patch[timeless, "VALID_COUNT"] = np.count_nonzero(patch[mask, "IS_VALID"], axis=0)
    with stages.stage("save patch"):
        SaveTask(str(work / "patches"), **save).execute(patch, eopatch_folder="patch")
    del patch

    with stages.stage("load patch"):
        patch = LoadTask(str(work / "patches")).execute(eopatch_folder="patch")
    with stages.stage("merge"):
        patch = MergeFeatureTask({data: ["BANDS", *INDICES]}, (data, "FEATURES")).execute(patch)
    with stages.stage("filter dates"):
        patch = SimpleFilterTask((mask, "IS_VALID"), enough_valid).execute(patch)
    kept = len(patch.timestamps)
    interpolate = LinearInterpolationTask(
        (data, "FEATURES"),
        mask_feature=(mask, "IS_VALID"),
        copy_features=[(timeless, "LULC")],
        resample_range=PERIOD,
    )
    # Its kernel is compiled once a process, on a corner of the patch: no pixel is charged with that.
    corner = EOPatch(bbox=patch.bbox, timestamps=patch.timestamps)
    corner[data, "FEATURES"] = patch[data, "FEATURES"][:, :3, :3].copy()
    corner[mask, "IS_VALID"] = patch[mask, "IS_VALID"][:, :3, :3].copy()
    corner[timeless, "LULC"] = patch[timeless, "LULC"][:3, :3].copy()
    with stages.stage("compile"):
        interpolate.execute(corner)
    with stages.stage("interpolate"):
        patch = interpolate.execute(patch)
    with stages.stage("erosion"):
        patch = ErosionTask(mask_feature=(timeless, "LULC", "LULC_ERODED"), disk_radius=1).execute(patch)
    with stages.stage("sampling"):
        draw = FractionSamplingTask(
            features_to_sample=[(data, "FEATURES", "FEATURES_SAMPLED"), (timeless, "LULC_ERODED")],
            sampling_feature=(timeless, "LULC_ERODED"),
            fraction=FRACTION,
            exclude_values=[0],
        )
        patch = draw.execute(patch, seed=SEED)
    with stages.stage("save sampled"):
        SaveTask(str(work / "sampled"), **save).execute(patch, eopatch_folder="patch")
    samples, truth = in_rows(patch[data, "FEATURES_SAMPLED"]), patch[timeless, "LULC_ERODED"].ravel()
    del patch
    if given.model:
        model = joblib.load(given.model)
    else:
        with stages.stage("train"):
            model = lightgbm.LGBMClassifier(
                objective="multiclass", num_class=len(np.unique(truth)), metric="multi_logloss", random_state=SEED,
                verbose=-1,
            )  # fmt: skip
            model.fit(samples, truth)
        joblib.dump(model, work / "model.pkl")
    del samples, truth

    with stages.stage("load sampled"):
        patch = LoadTask(str(work / "sampled")).execute(eopatch_folder="patch")
    with stages.stage("reshape"):
        table = in_rows(patch[data, "FEATURES"])
    shape = patch[data, "FEATURES"].shape[1:3]
    with stages.stage("predict labels"):
        labels = model.predict(table)
    patch[timeless, "LABELS"] = labels.reshape(*shape, 1)
    if not given.no_scores:
        with stages.stage("predict scores"):
            scores = model.predict_proba(table)
        patch[FeatureType.DATA_TIMELESS, "SCORES"] = scores.reshape(*shape, -1)
    (work / "tiff").mkdir()
    with stages.stage("export"):
        ExportToTiffTask((timeless, "LABELS"), folder=str(work / "tiff")).execute(patch, filename="labels.tif")
    with stages.stage("save prediction"):
        SaveTask(str(work / "sampled"), **save).execute(patch, eopatch_folder="patch")
    np.save(work / "labels.npy", labels.reshape(shape))
    if given.keep_features:
        np.save(work / "features.npy", table)
    truth = np.load(Path(given.patch) / "lulc.npy")
    stages.write(
        given.json,
        dates=dates,
        dates_kept=kept,
        features=table.shape[1],
        trees=model.booster_.num_trees(),
        agreement=float((labels.reshape(shape) == truth)[truth > 0].mean()),
    )


def read(given: argparse.Namespace) -> None:
    """Load the bands of a patch that was saved, several times, and tell the quickest."""
    from eolearn.core import EOPatch, FeatureType, OverwritePermission, SaveTask

    work = Path(given.work)
    features = [(FeatureType.DATA, "BANDS")]
    if not (work / "patch").exists():
        patch, _ = open_patch(Path(given.patch))
        permission = OverwritePermission.OVERWRITE_PATCH
        SaveTask(str(work), features=features, overwrite_permission=permission).execute(patch, eopatch_folder="patch")
        del patch
    best = None
    for _ in range(given.rounds):
        stages = Stages()
        with stages.stage("read"):
            bands = EOPatch.load(str(work / "patch"), features=features)[features[0]]
        wall = stages.measured["read"]["wall"]
        best = stages if best is None or wall < best.measured["read"]["wall"] else best
    assert best is not None
    best.write(given.json, megabytes=bands.size * 2 / 1e6, stored=_size(work / "patch"))


def clouds(given: argparse.Namespace) -> None:
    """Cloud probability of one image, float32 reflectance (1, y, x, 10), by s2cloudless's own detector."""
    from s2cloudless import S2PixelCloudDetector

    image = np.load(given.image)
    detector = S2PixelCloudDetector(threshold=0.4, average_over=4, dilation_size=2, all_bands=False)
    detector.get_cloud_probability_maps(image[:, :4, :4])  # its model is loaded at the first use
    stages = Stages()
    for number in range(given.rounds):
        cpu = time.process_time()
        with stages.stage(f"probability {number}"):
            probability = detector.get_cloud_probability_maps(image)
        del cpu
    best = min(stages.measured.values(), key=lambda stage: stage["cpu"])
    np.save(given.probability, probability[0])
    stages.measured = {"probability": best}
    stages.write(given.json)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    verbs = parser.add_subparsers(required=True)
    for function in (chain, read, clouds):
        verb = verbs.add_parser(function.__name__, help=function.__doc__)
        verb.set_defaults(run=function)
        for name in ("image", "probability") if function is clouds else ("patch", "work"):
            verb.add_argument(name)
        verb.add_argument("--json", help="write what was measured to this file")
        verb.add_argument("--rounds", type=int, default=1)
        if function is chain:
            verb.add_argument("--model", help="a model that another run has trained")
            verb.add_argument("--no-scores", action="store_true", help="labels only")
            verb.add_argument("--keep-features", action="store_true", help="write features.npy")
    given = parser.parse_args()
    given.run(given)


if __name__ == "__main__":
    main()
