"""Verdicts correct the reference of a run: labels change exactly where places were judged, and only those patches."""

import shutil

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio.features import geometry_mask

from landweave.errors import InputError
from landweave.labels.verdicts.store import PlaceVerdict
from landweave.runs import layout
from landweave.runs.pipeline.check import check_project
from landweave.runs.pipeline.driver import run
from landweave.runs.project.settings import read_project
from landweave.runs.results.audit import audited
from landweave.runs.results.queue import open_queue
from landweave.runs.results.run import open_run
from landweave.runs.sample.labels import read_pieces

KEY = 'verdicts = "verdicts.gpkg"\n'


def labels_of(folder):
    opened = open_run(folder)
    found = {}
    for cell in opened.cells:
        with rasterio.open(opened.folder / layout.labels(cell.name)) as file:
            found[cell.name] = file.read(1)
    return found


def edit(folder, before, after):
    path = folder / "landweave.toml"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after, 1))


def judge(queue, number, name, *, by="ana", uid=None, **more):
    place = queue.places[number].place
    given = PlaceVerdict(
        uid=uid or f"{by}-{number}", interpreter=by, name=name, unsure=name is None, place=place, **more
    )
    queue.file.put(given)
    return place


@pytest.fixture
def folder(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "country")


def test_labels_change_exactly_where_places_were_judged_and_elsewhere_nothing_is_made_again(folder):
    before, queue = labels_of(folder), open_queue(open_run(folder), "places")
    names = open_run(folder).plan.legend.names
    value = {name: number for number, name in names.items()}
    # Whole polygons of the register, of different classes.
    whole = [i for i, one in enumerate(queue.places) if one.place.told.get("reference_code")][:3]
    assert len(whole) == 3
    other = [next(n for n in names.values() if n != queue.places[i].place.told["reference_class"]) for i in whole]
    judged = [
        judge(queue, whole[0], other[0]), judge(queue, whole[1], None), judge(queue, whole[2], other[2], alternate=other[1])
    ]  # fmt: skip
    edit(folder, "[reference]\n", f"[reference]\n{KEY}")
    result = run(read_project(folder), workers=1)
    assert result.status == 0, result.failures
    after = labels_of(folder)
    opened = open_run(folder)
    wanted = [value[other[0]], 0, 0]
    changed_patches = set()
    for cell in opened.cells:
        expected = before[cell.name].copy()
        touched = np.zeros(expected.shape, bool)
        for place, new in zip(judged, wanted, strict=True):
            shape = gpd.GeoSeries.from_wkb([place.shape], crs=queue.crs).to_crs(cell.geobox.crs)
            inside = geometry_mask(shape, expected.shape, cell.geobox.affine, invert=True)
            inside &= before[cell.name] == value[place.told["reference_class"]]
            expected[inside] = new
            touched |= inside
        np.testing.assert_array_equal(after[cell.name], expected)
        assert not read_pieces(opened.plan, cell)[touched].any()
        if touched.any():
            changed_patches.add(cell.name)
    assert 0 < result.made["label"] <= len(opened.cells)
    assert changed_patches
    said = "Verdicts on 3 places decide the reference there: 1 give a class, 2 remove the labels"
    assert any(said in notice for notice in result.notices)
    # Nothing has changed since: nothing is made.
    assert run(read_project(folder), workers=1).made.get("label", 0) == 0
    # Judged places are not doubted again, and stay in the queue so that they can be judged again.
    again = open_queue(opened, "places")
    assert {place.key for place in judged} <= {one.place.key for one in again.places}
    listed = gpd.read_file(opened.folder / layout.LABEL_ERRORS)
    shapes = [gpd.GeoSeries.from_wkb([place.shape], crs=queue.crs).to_crs(listed.crs)[0] for place in judged]
    assert not any(shape.equals(one) for shape in shapes for one in listed.geometry)
    # Without its verdicts the run is what it was.
    for i in whole:
        queue.file.undo("ana", f"ana-{i}")
    assert run(read_project(folder), workers=1).made["label"] == result.made["label"]
    for name, values in labels_of(folder).items():
        np.testing.assert_array_equal(values, before[name])


def test_a_file_of_verdicts_that_is_missing_stops_check_and_run(folder):
    edit(folder, "[reference]\n", f"[reference]\n{KEY}")
    for act in (check_project, lambda project: run(project, workers=1)):
        with pytest.raises(InputError, match=r"no such file for reference\.verdicts"):
            act(read_project(folder))
    # Yet places can be judged, so that there will be one.
    queue = open_queue(open_run(folder), "places")
    assert queue.file.path == (folder / "verdicts.gpkg").resolve()
    assert queue.places


def test_an_audit_of_random_entries_gives_the_share_of_the_list_that_is_wrong(folder):
    opened = open_run(folder)
    with pytest.raises(InputError, match="no verdict on any of the"):
        audited(opened)
    listed, queue = gpd.read_file(opened.folder / layout.LABEL_ERRORS), open_queue(opened, "audit")
    drawn = listed[listed["audit"] > 0].sort_values("audit")
    assert sorted(drawn["audit"]) == list(range(1, min(30, len(listed)) + 1))
    assert [one.place.told["reference_class"] for one in queue.places] == drawn["reference_class"].tolist()
    other = [next(n for n in opened.plan.legend.names.values() if n != own) for own in drawn["reference_class"][:4]]
    judge(queue, 0, other[0])
    judge(queue, 1, drawn["reference_class"].iloc[1])
    judge(queue, 2, None)
    judge(queue, 3, other[3])
    judge(queue, 3, drawn["reference_class"].iloc[3], by="bo")
    found = audited(opened)
    assert (found["listed"], found["judged"], found["wrong"]) == (len(listed), 2, 1), (
        "unsure and differing do not count"
    )
    assert found["precision"]["low"] < found["precision"]["value"] == 0.5 < found["precision"]["high"]
    assert found["estimated"] == pytest.approx(listed["wrong"].mean(), abs=1e-3)
