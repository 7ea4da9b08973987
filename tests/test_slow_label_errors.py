"""How many planted errors of the register the list finds, and how many of its entries are errors: ten countries.

And of the places that a comparison ranks: where the grass airfield stands, and whether the first are more than edges.
"""

import geopandas as gpd
import numpy as np
import planted
import pytest

from landweave.runs.pipeline.driver import run
from landweave.runs.project.settings import read_project
from landweave.runs.results.compare import compare

SEEDS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 42)


@pytest.mark.slow
def test_the_list_finds_four_of_five_planted_errors_and_half_of_it_is_right(tmp_path_factory):
    found, airfields = [], []
    for seed in SEEDS:
        # All candidates: the list ends earlier by itself.
        every = {"erosion = 1 ": "label_errors_precision = 0\nerosion = 1 "}
        path = tmp_path_factory.mktemp("errors")
        folder = planted.country_without_archive(path, size_km=6, dates=24, seed=seed, **every)
        run(read_project(folder), workers=1)
        listed, errors, register = planted.read(folder)
        pairs = errors[errors.area_ha >= 1].groupby(["register_class", "true_class"]).size()
        assert len(pairs) >= 4, "errors of a hectare or more in four or more pairs of classes"
        found.append(planted.held_against(listed, errors, register))
        compare(folder)
        places = gpd.read_file(folder / "out" / "compare.gpkg", layer="places").head(20)
        airfields.append(planted.first_on(places, errors[errors.kind == "grass airfield"]))
        assert planted.shares_inside(folder, places).min() >= 0.5, "a place that is little more than an edge"
    assert np.median([one.found for one in found]) >= 0.8, found
    assert np.median([one.right for one in found]) >= 0.5, found
    assert sum(rank is not None and rank <= 10 for rank in airfields) >= 9, airfields
