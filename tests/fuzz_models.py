"""Mutated inputs, one after another, in a process of their own: python fuzz_models.py KIND SEED COUNT.

Prints the number of each input before it is tried, then a line for each that neither works nor is refused in one line.
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


def ask(folder):
    from landweave.classifier.model import Model

    model = Model.load(folder)
    if len(model.feature_names) == ROWS.shape[1]:
        p = model.probabilities(ROWS)
        assert p.shape == (len(ROWS), len(model.classes)), p.shape
        label, _ = model.classify(p)
        assert set(label.tolist()) <= {0, *model.classes}


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
        {"text": texts, "skops": archives, "json": texts, "toml": world}[kind]()
        for number in range(count):
            say(number)
            faulthandler.dump_traceback_later(SECONDS, exit=True)
            folder = Path(place) / f"input{number}"
            try:
                attempt(np.random.default_rng([seed, number]), folder)
            except InputError as error:
                refused += 1
                if "\n" in str(error):
                    say(f"failed {number}: more than one line: {error!r}")
            except Exception as error:  # noqa: BLE001 - whatever it is, it is a fault
                failed += 1
                frames = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)]
                say(f"failed {number}: {error!r}"[:400] + f" at {' '.join(frames[-6:])}")
            faulthandler.cancel_dump_traceback_later()
            shutil.rmtree(folder, ignore_errors=True)
    if kind == "toml":
        shutil.rmtree(world()[0])
    say(f"{refused} of {count} refused, {failed} failed")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
