"""Slow: trust layers of whole countries, and the same bytes for any number of workers."""

import json
import os

import pytest
from archives import small_country
from test_trust_run import with_trust

from landweave.runs import layout
from landweave.runs.pipeline.driver import run
from landweave.runs.project.settings import read_project
from landweave.runs.results.run import open_run

pytestmark = pytest.mark.slow

SEEDS = range(1, 1 + int(os.environ.get("LANDWEAVE_COUNTRIES", "3")))
"""Simulated countries; a country takes two minutes of a core. ``LANDWEAVE_COUNTRIES=20`` checks twenty."""


def test_trust_layers_have_the_same_bytes_for_any_number_of_workers(finished, tmp_path):
    made = []
    for workers in (1, 3):
        file = with_trust(finished, tmp_path / str(workers))
        assert run(read_project(file), workers=workers).status == 0
        folder = open_run(file).folder
        made.append(
            [(folder / name).read_bytes() for name in (layout.TRUST, layout.TRUST_SUMMARY, layout.APPLICABILITY)]
        )
    assert made[0] == made[1]


@pytest.mark.parametrize("seed", SEEDS)
def test_sets_cover_every_class_and_district_within_two_points(seed, tmp_path):
    project = small_country(tmp_path / "country", size_km=6, dates=8, seed=seed, patch=150)
    file = project / "landweave.toml" if project.is_dir() else project
    text = (
        file.read_text()
        .replace("step_days = 60", "step_days = 45")
        .replace("[model]", "[map]\ntrust = true\n\n[model]")
    )
    file.write_text(text)
    result = run(read_project(file), workers=1)
    assert result.status == 0, result.failures
    sets = json.loads((open_run(file).folder / layout.TRUST_SUMMARY).read_text())["sets"]
    for group in ("class", "district"):
        for row in sets["checked"]["other pixels of the same land"].get(group, []):
            # Half the calibration pixels are held out of each half's thresholds.
            assert row["pixels"] < 400 or abs(row["coverage"] - 0.9) <= 0.02, (seed, row)
