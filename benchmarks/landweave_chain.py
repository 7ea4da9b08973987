"""Our side: the same work by landweave's own functions.

    python benchmarks/landweave_chain.py store PATCH STACK.zarr [--high N]
    python benchmarks/landweave_chain.py train PATCH MODEL
    python benchmarks/landweave_chain.py map STACK.zarr MODEL LABELS.tif
    python benchmarks/landweave_chain.py read STACK.zarr
    python benchmarks/landweave_chain.py interpolate PATCH [--features FILE]
    python benchmarks/landweave_chain.py trees PATCH MODEL
    python benchmarks/landweave_chain.py clouds IMAGE.npy PROBABILITY.npy

Each takes ``--json FILE`` for what it measured.
"""

import time

BEGAN = time.perf_counter(), time.process_time()

import argparse  # noqa: E402 - the clock runs while things are imported
import datetime  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from stages import Stages, forget_peak, peak_mib  # noqa: E402

BANDS = ("B02", "B03", "B04", "B08", "B11", "B12")
INDICES = ("ndvi", "ndwi", "ndbi")
START = datetime.date(2019, 1, 1)
DAYS = tuple(range(0, 364, 15))
LEAST_VALID = 0.8
FRACTION, SEED = 0.25, 42
ROWS = 64


def make_recipe(days: tuple[int, ...] = DAYS) -> Any:
    """The notebook's 225 features."""
    from landweave.features.recipe import Recipe

    return Recipe(bands=BANDS, indices=INDICES, days=days)


def load_patch(folder: Path, *, hours: bool = False) -> tuple[Any, ...]:
    """Bands int16 (b, t, y, x), valid bool (t, y, x), time of each date since the period's start, and the labels.

    Only dates with enough valid pixels; times are days, or hours since the first acquisition's clock on the first day.
    """
    import numpy as np

    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    moments = [datetime.datetime.fromisoformat(text) for text in meta["timestamps"]]
    valid = np.load(folder / "valid.npy").astype(bool)
    kept = np.flatnonzero(valid.mean(axis=(1, 2)) > LEAST_VALID)
    numbers = np.load(folder / "bands.npy", mmap_mode="r")
    bands = np.ascontiguousarray(np.moveaxis(np.stack([numbers[t] for t in kept]), -1, 0)).astype("int16")
    first = datetime.datetime.combine(START, moments[kept[0]].time())
    times = [
        round((moments[t] - first).total_seconds() / 3600) if hours else (moments[t].date() - START).days for t in kept
    ]
    return bands, valid[kept], np.array(times), np.load(folder / "lulc.npy")


def store(given: argparse.Namespace) -> None:
    """Keep the patch as the fetch stage keeps it; ``--high`` lays it below itself so many times."""
    import numpy as np
    from affine import Affine
    from odc.geo.geobox import GeoBox

    from landweave.patch.staging import assemble, stage

    patch, target = Path(given.patch), Path(given.stack)
    meta = json.loads((patch / "meta.json").read_text(encoding="utf-8"))
    bands, valid = (np.load(patch / f"{name}.npy", mmap_mode="r") for name in ("bands", "valid"))
    dates, height, width, _ = bands.shape
    west, _, _, north = meta["bbox"]
    geobox = GeoBox((height * given.high, width), Affine(10, 0, west, 0, -10, north), f"EPSG:{meta['epsg']}")
    parts = []
    for t in range(dates):
        layers = {name: np.tile(bands[t, :, :, i].astype("int16"), (given.high, 1)) for i, name in enumerate(BANDS)}
        layers["CLM"] = np.tile(1 - valid[t], (given.high, 1))
        parts.append([stage(target.with_suffix(".parts"), f"d{t:03d}", layers)])
    kinds = {**dict.fromkeys(BANDS, "int16"), "CLM": "uint8"}
    times = [datetime.date.fromisoformat(text[:10]) for text in meta["timestamps"]]
    assemble(target, parts, times=times, variables=kinds, geobox=geobox, notes={})
    for path in target.with_suffix(".parts").iterdir():
        path.unlink()


def train(given: argparse.Namespace) -> None:
    """Train on a quarter of the eroded labels, with LightGBM's own settings."""
    import numpy as np
    from scipy.ndimage import maximum_filter, minimum_filter

    from landweave.classifier.fit import fit
    from landweave.classifier.model import Model
    from landweave.features.interpolation import features

    bands, valid, times, labels = load_patch(Path(given.patch))
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)
    inside = minimum_filter(labels, footprint=cross) == maximum_filter(labels, footprint=cross)
    drawn = np.random.default_rng(SEED).random(labels.shape) < FRACTION
    chosen = np.flatnonzero(inside & drawn & (labels > 0))
    recipe = make_recipe()
    flat = bands.reshape(*bands.shape[:2], -1)[:, :, chosen]
    table = features(flat, valid.reshape(len(valid), -1)[:, chosen], times, recipe)
    stages = Stages()
    with stages.stage("train"):
        estimator = fit(
            table, labels.ravel()[chosen], params={"n_estimators": 100}, seed=SEED, threads=None,
            feature_names=recipe.feature_names,
        )  # fmt: skip
    names = {int(value): f"class {value}" for value in np.unique(labels) if value}
    Model(estimator=estimator, class_names=names, recipe=recipe.to_json()).save(given.model)
    stages.write(given.json, samples=len(chosen))


def map_stack(given: argparse.Namespace) -> None:
    """From the stored stack to a GeoTIFF of labels, strip by strip, in this process."""
    import numba
    import numpy as np

    from landweave.classifier.model import Model
    from landweave.features.interpolation import any_known, features
    from landweave.features.recipe import Recipe
    from landweave.patch.stack import strip_reader
    from landweave.patch.store import read_patch, write_raster
    from landweave.patch.strips import map_strips, strip_rows

    stages = Stages()
    wall, cpu = BEGAN
    stages.add("imports", wall=time.perf_counter() - wall, cpu=time.process_time(), peak_mib=peak_mib())
    del cpu, numba
    with stages.stage("open"):
        patch = read_patch(given.stack)
        geobox, days = patch.odc.geobox, (patch.time.values - np.datetime64(START)) // np.timedelta64(1, "D")
        height, width = geobox.shape
    with stages.stage("model"):
        model = Model.load(given.model)
        recipe = Recipe.from_json(model.recipe or {})
    with stages.stage("choose dates"):
        read = strip_reader(given.stack, bands=[], masks=["CLM"])
        valid = sum((read(rows).masks["CLM"] == 0).sum(axis=(1, 2)) for rows in strip_rows(height, ROWS))
        dates = np.flatnonzero(valid / (height * width) > LEAST_VALID)
    out = np.zeros((1, height, width), "uint8")
    spent = {"features": 0.0, "classify": 0.0}

    def work(strip: Any) -> Any:
        began = time.thread_time()
        bands, clear = strip.bands, strip.masks["CLM"] == 0
        table = features(
            bands.reshape(*bands.shape[:2], -1), clear.reshape(len(clear), -1), days[dates], recipe
        )  # fmt: skip
        spent["features"] += time.thread_time() - began
        began = time.thread_time()
        label, _ = model.classify(model.probabilities(table))
        label[~any_known(table)] = 0
        spent["classify"] += time.thread_time() - began
        return label.reshape(bands.shape[-2:])

    def keep(rows: slice, label: Any) -> None:
        out[0, rows] = label

    with stages.stage("strips"):
        read = strip_reader(given.stack, bands=recipe.source_bands, masks=["CLM"], dates=dates.tolist())
        map_strips(read, work, write=keep, height=height, strip=ROWS)
    with stages.stage("write"):
        write_raster(given.labels, out, geobox, names=("class",))
    spent["read, and waiting"] = stages.measured["strips"]["cpu"] - sum(spent.values())
    stages.write(
        given.json,
        within_strips=spent,
        cpu=time.process_time(),
        wall=time.perf_counter() - wall,
        peak_mib=max(stage["peak_mib"] for stage in stages.measured.values()),
        heavy=sorted({"lightgbm", "sklearn", "geopandas"} & set(sys.modules)),
        dates_kept=len(dates),
    )


def read(given: argparse.Namespace) -> None:
    """Read all bands strip by strip, several times, and tell the quickest."""
    import numpy as np

    from landweave.patch.stack import strip_reader
    from landweave.patch.strips import map_strips

    best = None
    times, height, width = json.loads((Path(given.stack) / "B02" / "zarr.json").read_text(encoding="utf-8"))["shape"]
    for _ in range(given.rounds):
        stages, rows_of = Stages(), strip_reader(given.stack, bands=BANDS)
        with stages.stage("read"):
            map_strips(rows_of, lambda strip: strip.bands[0], write=lambda *_: None, height=height, strip=ROWS)
        wall = stages.measured["read"]["wall"]
        best = stages if best is None or wall < best.measured["read"]["wall"] else best
    assert best is not None
    size = sum(
        path.stat().st_size for name in BANDS for path in (Path(given.stack) / name).rglob("*") if path.is_file()
    )
    best.write(given.json, megabytes=float(np.prod([len(BANDS), times, height, width])) * 2 / 1e6, stored=size)


def interpolate(given: argparse.Namespace) -> None:
    """Indices and interpolation of all pixels at once; with eo-learn's features, how far they are from ours."""
    import numpy as np

    from landweave.features.interpolation import features, features_reference

    # As eo-learn counts: whole hours, and target dates at the first acquisition's clock time.
    bands, valid, hours, _ = load_patch(Path(given.patch), hours=True)
    recipe = make_recipe(tuple(24 * day for day in DAYS))
    bands, valid = bands.reshape(*bands.shape[:2], -1), valid.reshape(len(valid), -1)
    features(bands[:, :, :9], valid[:, :9], hours, recipe)
    stages = Stages()
    for number in range(given.rounds):
        with stages.stage(f"features {number}"):
            ours = features(bands, valid, hours, recipe)
    stages.measured = {"features": min(stages.measured.values(), key=lambda stage: stage["cpu"])}
    some = slice(None, None, max(1, ours.shape[0] // 20_000))
    plain = features_reference(bands[:, :, some], valid[:, some], hours, recipe)
    facts: dict[str, Any] = {"equal_to_plain": bool(np.array_equal(plain, ours[some])), "pixels": ours.shape[0]}
    if given.features:
        theirs = np.load(given.features, mmap_mode="r")
        far, same = 0.0, True
        for start in range(0, len(theirs), 50_000):
            part = theirs[start : start + 50_000] * 10_000
            mine, missing = ours[start : start + 50_000], np.isnan(part)
            same &= bool(np.array_equal(missing, mine == np.iinfo("int16").min))
            far = max(far, float(np.abs(np.where(missing, 0, part) - np.where(missing, 0, mine)).max()))
        facts |= {"same_missing": same, "furthest_units": far}
    stages.write(given.json, **facts)


def trees(given: argparse.Namespace) -> None:
    """Labels and probabilities of the patch's features, and the same by LightGBM on one thread."""
    import lightgbm
    import numpy as np

    from landweave.classifier.model import Model
    from landweave.features.interpolation import features

    bands, valid, times, _ = load_patch(Path(given.patch))
    model = Model.load(given.model)
    table = features(bands.reshape(*bands.shape[:2], -1), valid.reshape(len(valid), -1), times, make_recipe())
    del bands, valid
    booster = lightgbm.Booster(model_str=model.estimator.files()["model.txt"].decode())
    model.classify(model.probabilities(table[:300]))
    stages, pixels = Stages(), min(len(table), given.pixels)
    table = table[:pixels]
    with stages.stage("ours"):
        p = model.probabilities(table)
        labels, _ = model.classify(p)
    floats = table.astype("float32", order="C")
    floats[table == np.iinfo("int16").min] = np.nan
    with stages.stage("LightGBM"):
        q = booster.predict(floats, num_threads=1)
        theirs = np.array(model.classes, "uint8")[q.argmax(axis=1)]
    stages.write(
        given.json,
        pixels=pixels,
        trees=booster.num_trees(),
        features=table.shape[1],
        differing=int((labels != theirs).sum()),
        furthest=float(np.abs(p - q).max()),
    )


def clouds(given: argparse.Namespace) -> None:
    """Cloud probability of one image, float32 reflectance (1, y, x, 10), by the same model."""
    import numpy as np

    from landweave.features.s2cloudless import cloud_probability

    image = np.moveaxis(np.load(given.image)[0], -1, 0)
    cloud_probability(image[:, :20, :20])
    stages = Stages()
    for number in range(given.rounds):
        with stages.stage(f"probability {number}"):
            probability = cloud_probability(image)
    stages.measured = {"probability": min(stages.measured.values(), key=lambda stage: stage["cpu"])}
    np.save(given.probability, probability)
    stages.write(given.json)


VERBS = {
    "store": (store, ("patch", "stack")),
    "train": (train, ("patch", "model")),
    "map": (map_stack, ("stack", "model", "labels")),
    "read": (read, ("stack",)),
    "interpolate": (interpolate, ("patch",)),
    "trees": (trees, ("patch", "model")),
    "clouds": (clouds, ("image", "probability")),
}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    verbs = parser.add_subparsers(required=True)
    for name, (function, positional) in VERBS.items():
        verb = verbs.add_parser(name, help=function.__doc__)
        verb.set_defaults(run=function)
        for argument in positional:
            verb.add_argument(argument)
        verb.add_argument("--json", help="write what was measured to this file")
        verb.add_argument("--rounds", type=int, default=1)
        verb.add_argument("--high", type=int, default=1, help="of store")
        verb.add_argument("--pixels", type=int, default=1_000_000, help="of trees")
        verb.add_argument("--features", help="of interpolate: what eo-learn made")
    given = parser.parse_args()
    forget_peak()
    given.run(given)


if __name__ == "__main__":
    main()
