"""The ledger: what was made, and is it still so?"""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landweave.runs.ledger import DONE, FAILED, Ledger, fingerprint, fingerprint_of

INPUTS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["1", "2"]))


@given(INPUTS, INPUTS)
def test_stale_names_exactly_the_inputs_that_differ(tmp_path_factory, made_from, asked_for):
    with Ledger(tmp_path_factory.mktemp("ledger")) as ledger:
        ledger.done("key", inputs=made_from, files=[], info={})
        differing = [k for k in "abcd" if made_from.get(k) != asked_for.get(k)]
        assert ledger.stale("key", asked_for) == (f"{', '.join(differing)} changed" if differing else None)


def test_entries_are_found_by_prefix_and_outlive_the_process(tmp_path):
    with Ledger(tmp_path) as ledger:
        ledger.done("fetch/b", inputs={"x": "1"}, files=[], info={"n": [1, None, "ž"]})
        ledger.failed("fetch/a", inputs={"x": "1"}, error="last", log="first\nlast")
        ledger.done("train", inputs={}, files=[], info={})
    with Ledger(tmp_path) as ledger:
        assert [entry.key for entry in ledger.entries()] == ["fetch/a", "fetch/b", "train"]
        first, second = ledger.entries("fetch/")
        assert (first.state, first.info) == (FAILED, {"error": "last", "log": "first\nlast"})
        assert (second.state, second.info["n"], second.inputs) == (DONE, [1, None, "ž"], {"x": "1"})
        assert ledger.get("fetch/c") is None


def test_what_failed_is_fresh_once_it_is_made(tmp_path):
    with Ledger(tmp_path) as ledger:
        ledger.failed("a", inputs={}, error="no luck", log="")
        assert ledger.stale("a", {}) == "failed: no luck"
        ledger.done("a", inputs={}, files=[], info={})
        assert ledger.stale("a", {}) is None
        assert len(ledger.entries()) == 1


def test_what_was_never_written_cannot_be_recorded(tmp_path):
    with Ledger(tmp_path) as ledger:
        with pytest.raises(FileNotFoundError):
            ledger.done("a", inputs={}, files=["a.tif"], info={})
        assert ledger.stale("a", {}) == "not made yet"


@pytest.mark.parametrize("harm", ["add", "drop", "rename", "change", "remove"])
def test_a_folder_is_fresh_only_while_all_its_files_are_as_written(tmp_path, harm):
    folder = tmp_path / "model"
    folder.mkdir()
    for name in "ab":
        (folder / name).write_text(name * 100)
    with Ledger(tmp_path) as ledger:
        ledger.done("train", inputs={}, files=["model"], info={})
        assert ledger.stale("train", {}) is None
        if harm == "add":
            (folder / "c").touch()
        elif harm == "drop":
            (folder / "a").unlink()
        elif harm == "rename":
            (folder / "a").rename(folder / "c")
        elif harm == "change":
            (folder / "a").write_text("b" * 100)
        else:
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
        assert ledger.stale("train", {}) == f"model is {'gone' if harm == 'remove' else 'not what was written'}"


def test_the_holders_death_frees_the_ledger(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from landweave.runs.ledger import Ledger;"
        "ledger = Ledger(Path(sys.argv[1])); ledger.done('a', inputs={}, files=[], info={}); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == 9
    with Ledger(tmp_path) as ledger:
        assert ledger.stale("a", {}) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(st.text(max_size=3), parts, max_size=4),
    max_leaves=12,
)


def reordered(value):
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(part) for part in value] if isinstance(value, list) else value


@given(JSON)
def test_a_fingerprint_depends_on_no_order_of_keys_at_any_depth(value):
    assert fingerprint(value) == fingerprint(reordered(value))


@pytest.mark.parametrize(
    ("one", "two"), [(1, "1"), (1, True), (None, 0), ([1, 2], [2, 1]), ({"a": 1}, {"a": 2}), ([], {}), ("a", ["a"])]
)
def test_values_that_differ_have_different_fingerprints(one, two):
    assert fingerprint(one) != fingerprint(two)


@given(st.binary(max_size=50), st.integers(0, 49))
def test_one_byte_less_is_another_file(tmp_path_factory, content, cut):
    path = tmp_path_factory.mktemp("files") / "a"
    path.write_bytes(content)
    whole = fingerprint_of(path)
    path.write_bytes(content[:cut])
    assert (fingerprint_of(path) == whole) == (cut >= len(content))
