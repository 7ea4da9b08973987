"""The comparison of two versions' results finds what differs, and nothing else."""

import json
import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "same_results.py"


@pytest.fixture(scope="module")
def differences():
    return runpy.run_path(str(SCRIPT))["differences"]


def results(folder, **changed):
    """A folder of results, some with other content."""
    contents = {
        "map.tif": b"II*raster",
        "accuracy.json": {"overall_accuracy": 0.82, "seconds": 3.0, "classes": [{"auc": 0.9}, {"auc": 0.8}]},
        "run.json": {"versions": {"numpy": "2"}},
        "report.html": b"<p>",
    }
    folder.mkdir()
    for name, content in (contents | changed).items():
        if content is not None:
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            (folder / name).write_bytes(data)
    return folder


def test_versions_timings_and_tiny_changes_of_areas_under_curves_do_not_count(differences, tmp_path):
    other = {"overall_accuracy": 0.82, "seconds": 9.0, "classes": [{"auc": 0.9 + 1e-10}, {"auc": 0.8}]}
    first = results(tmp_path / "first")
    second = results(tmp_path / "second", **{"accuracy.json": other, "run.json": {}, "report.html": b"<b>"})
    assert list(differences(first, second)) == []


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"map.tif": b"II*other"}, "map.tif: bytes differ"),
        ({"map.tif": None}, "map.tif: only in"),
        ({"accuracy.json": {"overall_accuracy": 0.82 + 1e-10}}, "accuracy.json: .overall_accuracy is 0.82 and"),
        ({"accuracy.json": {"classes": [{"auc": 0.9 + 1e-8}]}}, "accuracy.json: .classes is"),
    ],
)
def test_what_differs_is_named(differences, tmp_path, changed, found):
    lines = list(differences(results(tmp_path / "first"), results(tmp_path / "second", **changed)))
    assert any(line.startswith(found) for line in lines), lines
