"""Mutated inputs, one after another, in a process of their own: python fuzz_models.py KIND[+KIND...] SEED COUNT.

Prints the kind and number of each input before it is tried, then a line for each that neither works nor is refused in one line.
An input that takes more than 10 seconds ends the process, as does one that crashes it.
"""

import faulthandler
import io
import json
import re
import resource
import shutil
import sys
import tempfile
import traceback
import warnings
from functools import cache
from pathlib import Path

import numpy as np

from landweave.errors import InputError

SECONDS = 10
MEMORY = 12 << 30
NUMBERS = [
    -1, 0, 1, 2, 3, 7, 255, 256, 65536, 10**6, 10**9, 2**31 - 1, 2**31, 2**32, 2**63, -(2**31), 10**30, -0.5, 0.5,
    1e-300, 1e300, "nan", "inf", "-inf", "", "x", "\uff11", "1_0", "0x7", "1 2", "+", "-", "\0", "\n", "=", "[", "é" * 40,
]  # fmt: skip
ROWS = np.random.default_rng(9).integers(-3000, 9000, (50, 3)).astype("int16")


def mutated_text(rng, text):
    """A text with one to three changes: a number, a line, a part."""
    for _ in range(rng.integers(1, 4)):
        lines = text.split("\n")
        at, other = (int(rng.integers(len(lines))) for _ in range(2))
        match int(rng.integers(8)):
            case 0 | 1 | 2 | 3:
                places = list(re.finditer(r"(?<![\w.])-?\d[\d.e+-]*", text))
                if places:
                    place = places[int(rng.integers(len(places)))]
                    text = text[: place.start()] + str(rng.choice(np.array(NUMBERS, object))) + text[place.end() :]
                continue
            case 4:
                del lines[at]
            case 5:
                lines[at], lines[other] = lines[other], lines[at]
            case 6:
                lines.insert(at, lines[other])
            case 7:
                place = int(rng.integers(len(text) + 1))
                text = text[:place] + text[place + int(rng.integers(1, 200)) :]
                continue
        text = "\n".join(lines)
    return text


def mutated_value(rng, value):
    """A JSON value with a change somewhere."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = str(rng.choice(sorted(value)))
        out = dict(value)
        match int(rng.integers(8)):
            case 0:
                del out[key]
            case 1:
                out[key] = out[str(rng.choice(sorted(value)))]
            case _:
                out[key] = mutated_value(rng, value[key])
        return out
    if isinstance(value, list) and value and rng.random() < 0.9:
        at = int(rng.integers(len(value)))
        change = [] if rng.random() < 0.2 else [mutated_value(rng, value[at])]
        return [*value[:at], *change, *value[at + 1 :]]
    if isinstance(value, str) and value and rng.random() < 0.5:
        return mutated_text(rng, value)
    return [*NUMBERS, None, True, [], {}, [[]], {"a": 1}, value][int(rng.integers(len(NUMBERS) + 7))]


def mutated_array(rng, content):
    """An array's file: values, type, shape or bytes."""
    try:
        values = np.load(io.BytesIO(content), allow_pickle=False)
    except ValueError:
        return content
    match int(rng.integers(8)):
        case 0:
            values = values.ravel()[: int(rng.integers(values.size + 1))]
        case 1:
            values = values[None]
        case 2:
            values = np.concatenate([values.ravel()] * 3)
        case 3:
            kind = str(rng.choice(["float32", "int8", "uint64", "complex64", "U3", "bool", "M8[s]"]))
            values = np.zeros(values.shape, kind) if values.dtype.names else values.astype(kind)
        case 4:
            place = int(rng.integers(len(content)))
            return content[:place] + bytes([int(rng.integers(256))]) + content[place + 1 :]
        case 5:
            return content[: int(rng.integers(len(content)))]
        case _:
            values = values.copy()
            flat = values.reshape(-1)
            for _ in range(int(rng.integers(1, 4)) if flat.size else 0):
                at = int(rng.integers(flat.size))
                field = str(rng.choice(values.dtype.names)) if values.dtype.names else None
                target = flat[field] if field else flat
                if target.dtype.kind in "iufb":
                    with np.errstate(all="ignore"):
                        number = rng.choice([-1, 0, 1, 7, 10**6, 2**31, 2**40, -(2**31), np.nan, np.inf, 1e300])
                        target[at] = np.array(number).astype(target.dtype)
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


@cache
def texts():
    from test_model_files import TEXTS

    return [text for kind, text in sorted(TEXTS.items()) if kind != "many leaves"]


@cache
def archives():
    """Schema and arrays of a model of each kind, of three features."""
    import test_model_archives as kinds

    X, y = kinds.table()
    found = []
    for name in kinds.KINDS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(kinds.unpacked(kinds.makers()[name]().fit(X[:, :3], y)))
    return found


def try_text(rng, folder):
    from test_model_files import saved

    ask(saved(folder, mutated_text(rng, texts()[int(rng.integers(len(texts())))])))


def try_skops(rng, folder):
    import test_model_archives as kinds
    from test_model_files import saved

    schema, files = archives()[int(rng.integers(len(archives())))]
    arrays = [name for name in sorted(files) if name.endswith(".npy")]
    files = dict(files)
    for _ in range(int(rng.integers(1, 3))):
        if arrays and rng.random() < 0.5:
            name = str(rng.choice(arrays))
            files[name] = mutated_array(rng, files[name]) if files[name][:6] == b"\x93NUMPY" else b""
        else:
            nodes = [node for node in kinds.nodes(schema) if "__loader__" in node]
            node = nodes[int(rng.integers(len(nodes)))]
            schema = replaced(schema, node, mutated_value(rng, node))
    saved(folder, kind="sklearn")
    (folder / "model.txt").unlink()
    kinds.sign(folder, kinds.packed(schema, files))
    ask(folder)


def replaced(tree, old, new):
    if tree is old:
        return new
    if isinstance(tree, dict):
        return {key: replaced(value, old, new) for key, value in tree.items()}
    return [replaced(value, old, new) for value in tree] if isinstance(tree, list) else tree


def try_json(rng, folder):
    from test_model_files import saved

    from landweave.classifier.model import _digest

    recipe = {"bands": ["B04"], "indices": ["ndvi"], "custom": [["a", "B04"]], "static": [], "days": [0], "scales": {}}
    saved(folder, recipe=recipe if rng.random() < 0.5 else None, prior=[1, 2.0, 0.5], thresholds={"1": 0.4})
    path = folder / "model.json"
    if rng.random() < 0.2:
        path.write_text(mutated_text(rng, path.read_text("utf-8")), "utf-8")
    else:
        said = json.loads(path.read_text("utf-8"))
        said.pop("sha256")
        for _ in range(int(rng.integers(1, 4))):
            said = mutated_value(rng, said)
        if isinstance(said, dict):
            said["sha256"] = _digest(said)
        path.write_text(json.dumps(said), "utf-8")
    ask(folder)


@cache
def world():
    from worlds import two_class_world

    folder = Path(tempfile.mkdtemp(prefix="landweave-fuzz-"))
    two_class_world(folder, size=40)
    return folder, (folder / "landweave.toml").read_text()


def try_toml(rng, folder):
    from landweave.runs.project.plan import make_plan
    from landweave.runs.project.settings import read_project

    place, text = world()
    # Beside the data; the output folder is not made.
    file = place / f"{folder.name}.toml"
    file.write_text(mutated_text(rng, text), "utf-8")
    try:
        make_plan(read_project(file))
    finally:
        file.unlink()


BOX = (15.0, 46.044, 15.006, 46.05)
"""Within the images of :func:`archive`, degrees."""


@cache
def archive():
    """Folder of a project of two scenes, and of a static catalogue: path within it to JSON."""
    from archives import catalogue, item

    folder = Path(tempfile.mkdtemp(prefix="landweave-fuzz-"))
    rng = np.random.default_rng(3)
    for day in ("2020-03-01", "2020-06-01"):
        numbers = {band: rng.integers(1, 9000, (60, 60)).astype("uint16") for band in ("B04", "B08")}
        item(folder / "images", f"S2A_{day}", day=day, numbers=numbers, classes=np.full((60, 60), 4, "uint8"),
             corner=(500_000, 5_100_000))  # fmt: skip
    catalogue(folder / "images")
    files = {}
    for path in sorted((folder / "images").rglob("*.json")):
        content = json.loads(path.read_text())
        for asset in content.get("assets", {}).values():
            asset["href"] = str(path.parent / asset["href"])
        files[path.relative_to(folder / "images")] = content
    return folder, files


def planned(folder, text):
    """Open a project, read a patch of it, and draw its reference."""
    from landweave.labels.on_grid import rasterise
    from landweave.labels.reference import reference_codes
    from landweave.runs.project.plan import make_plan
    from landweave.runs.project.settings import read_project

    folder.mkdir(exist_ok=True)
    (folder / "landweave.toml").write_text(text, "utf-8")
    plan, cells = make_plan(read_project(folder))
    assert len(cells) < 10**6
    geobox = cells[0].geobox[:20, :20]
    patch = plan.source.load(geobox, plan.dates, plan.variables)
    assert {values.shape for values in patch.data_vars.values()} == {(len(plan.dates), 20, 20)}
    if plan.reference is not None:
        reference_codes(plan.reference)
        labels = rasterise(plan.reference, geobox, plan.legend).values
        assert set(np.unique(labels).tolist()) <= {0, *plan.legend.names}


def archive_project(url):
    """Text of a project file."""
    return f"""
name = "fuzz"
[area]
bounds = {list(BOX)}
patch_size = 30
[source]
type = "stac"
url = "{url}"
collection = "sentinel-2-l2a"
clouds = "scl"
[features]
bands = ["B04", "B08"]
indices = []
[reference]
path = "points.csv"
column = "code"
"""


def try_items(rng, folder):
    _, files = archive()
    items = [content for content in files.values() if content["type"] == "Feature"]
    changed = {"type": "FeatureCollection", "features": items}
    for _ in range(int(rng.integers(1, 4))):
        changed = mutated_inside(rng, changed)
    try_archive(folder, {Path("items.json"): changed}, "items.json")


def try_catalogue(rng, folder):
    _, files = archive()
    files = dict(files)
    for _ in range(int(rng.integers(1, 3))):
        name = sorted(files)[int(rng.integers(len(files)))]
        files[name] = mutated_inside(rng, files[name])
    try_archive(folder, files, "catalog.json")


def mutated_inside(rng, value):
    """A JSON value with a change as far inside as it goes, or else anywhere."""
    return mutated_value(rng, value) if rng.random() < 0.3 else put(rng, value)


def put(rng, value):
    """A JSON value with one of its leaves changed or lost; each is as likely as any other."""
    paths = list(leaves(value))
    if paths in ([], [()]):
        return mutated_value(rng, value)
    path = paths[int(rng.integers(len(paths)))]
    out = json.loads(json.dumps(value))
    inner = out
    for key in path[:-1]:
        inner = inner[key]
    if rng.random() < 0.15:
        del inner[path[-1]]
    else:
        inner[path[-1]] = mutated_value(rng, inner[path[-1]])
    return out


def leaves(value, path=()):
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inside is None:
        yield path
    else:
        for key, one in inside:
            yield from leaves(one, (*path, key))


def try_archive(folder, files, entry):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content), "utf-8")
    (folder / "points.csv").write_text("longitude,latitude,code\n15.002,46.048,a\n15.003,46.047,b\n")
    planned(folder, archive_project(entry))


@cache
def registers():
    """Name of a file with a reference to its bytes, and the legend."""
    import geopandas
    from shapely.geometry import Point, Polygon, box
    from worlds import write_tif

    polygons = [box(x, y, x + 0.002, y + 0.002) for x in (15.0, 15.002) for y in (46.046, 46.048)]
    polygons[0] = Polygon(polygons[0].exterior, [box(15.0005, 46.0465, 15.001, 46.047).exterior.coords])
    with tempfile.TemporaryDirectory(prefix="landweave-fuzz-") as place:
        codes = {"code": ["1", "2", "1", "99"]}
        geopandas.GeoDataFrame(codes, geometry=polygons, crs=4326).to_file(Path(place) / "r.geojson")
        geopandas.GeoDataFrame(codes, geometry=polygons, crs=4326).to_crs(32633).to_file(Path(place) / "r.gpkg")
        points = geopandas.GeoDataFrame(codes, geometry=[Point(*p.centroid.coords[0]) for p in polygons], crs=4326)
        points.to_file(Path(place) / "points.geojson")
        geopandas.GeoSeries(polygons, crs=4326).to_file(Path(place) / "aoi.geojson")
        write_tif(Path(place) / "r.tif", np.repeat([[1, 2, 99]], 60, 0).repeat(20, 1).astype("uint8"))
        rows = "".join(f"{p.x},{p.y},{code}\n" for p, code in zip(points.geometry, points["code"], strict=True))
        (Path(place) / "r.csv").write_text("longitude,latitude,code\n" + rows)
        files = {path.name: path.read_bytes() for path in sorted(Path(place).iterdir())}
    return files, "".join(
        f'[[class]]\nvalue = {value}\nname = "{name}"\ncolor = "#{value * 3:06x}"\ncodes = [{value}]\n'
        for value, name in ((1, "meadow"), (2, "pond"))
    )


def try_register(rng, folder):
    files, legend = registers()
    _, items = archive()
    name = str(rng.choice(sorted(files)))
    content = files[name]
    if rng.random() < 0.25:
        legend = mutated_text(rng, legend)
    elif name.endswith((".gpkg", ".tif")):
        content = bytearray(content)
        for _ in range(int(rng.integers(1, 6))):
            content[int(rng.integers(len(content)))] = int(rng.integers(256))
        content = bytes(content)[: None if rng.random() < 0.8 else int(rng.integers(len(content)))]
    elif name.endswith(".csv") or rng.random() < 0.3:
        content = mutated_text(rng, content.decode()).encode()
    else:
        content = json.dumps(mutated_inside(rng, json.loads(content))).encode()
    folder.mkdir()
    (folder / name).write_bytes(content)
    (folder / "legend.toml").write_text(legend, "utf-8")
    whole = {"type": "FeatureCollection", "features": [one for one in items.values() if one["type"] == "Feature"]}
    (folder / "items.json").write_text(json.dumps(whole))
    text = archive_project("items.json") + 'legend = "legend.toml"\n'
    if name == "aoi.geojson":
        (folder / "r.csv").write_bytes(files["r.csv"])
        # Large patches: a number changed to another may be a valid area of a million small ones.
        text = text.replace(f"bounds = {list(BOX)}\npatch_size = 30", f'aoi = "{name}"\npatch_size = 2000')
        name = "r.csv"
    planned(folder, text.replace("points.csv", name))


def ask(folder):
    from landweave.classifier.model import Model

    model = Model.load(folder)
    if len(model.feature_names) == ROWS.shape[1]:
        p = model.probabilities(ROWS)
        assert p.shape == (len(ROWS), len(model.classes)), p.shape
        label, _ = model.classify(p)
        assert set(label.tolist()) <= {0, *model.classes}


MADE = {
    "text": [texts], "skops": [archives], "json": [texts], "toml": [world], "items": [archive], "catalogue": [archive],
    "register": [archive, registers],
}  # fmt: skip
"""Kind of input to what is made first."""


def say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(kind, seed, count):
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    attempt = globals()[f"try_{kind}"]
    refused, failed = 0, 0
    with tempfile.TemporaryDirectory(prefix="landweave-fuzz-") as place:
        # What is trained first is not an input.
        for made in MADE[kind]:
            made()
        for number in range(count):
            say(f"{kind} {number}")
            faulthandler.dump_traceback_later(SECONDS, exit=True)
            folder = Path(place) / f"input{number}"
            try:
                attempt(np.random.default_rng([seed, number]), folder)
            except InputError:
                refused += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, it is a fault
                failed += 1
                frames = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)]
                say(f"failed {kind} {number}: {error!r}"[:400] + f" at {' '.join(frames[-6:])}")
            faulthandler.cancel_dump_traceback_later()
            shutil.rmtree(folder, ignore_errors=True)
    for made in (world, archive):
        if made in MADE[kind]:
            shutil.rmtree(made()[0])
            made.cache_clear()
    say(f"{refused} of {count} refused, {failed} failed")


if __name__ == "__main__":
    for asked in sys.argv[1].split("+"):
        main(asked, int(sys.argv[2]), int(sys.argv[3]))
