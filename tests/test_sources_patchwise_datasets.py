"""A downloaded data set is somebody else's text: what it says is checked before it names a file."""

import json

import numpy as np
import pytest
from eopatches import write_patch
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.maps.dataset import ZARR, Shared, write_collection, write_item
from landweave.sources.patchwise.common_grid import LONGEST_NAME, check_names
from landweave.sources.patchwise.datasets import open_collection
from landweave.sources.patchwise.eopatches import open_eopatches


def catalogue(folder, names=("a", "b")):
    """A data set as its catalogue tells it; no pixel is there, for none is asked for."""
    grid = GeoBox.from_bbox((0, 0, 60, 40), "EPSG:32633", resolution=10)
    patches = [
        Shared(
            name=name, href=f"patches/{name}.zarr", media_type=ZARR, geobox=grid, times=("2020-05-01",),
            variables={"B04": "int16"}, dated=("B04",), content="", made_from="",
        )
        for name in names
    ]  # fmt: skip
    for patch in patches:
        write_item(folder, patch)
    write_collection(folder, patches, title="t", description="d", licence="", notes={})
    return folder / "collection.json"


def change(path, alter):
    content = json.loads(path.read_text())
    alter(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "name",
    ["../../../EVIL/patch", "..", ".", "", ".hidden", "a/b", "/etc/x", "a\\b", "a..b", "c:x", "a\nb", "a\0", "x" * 300],
)
def test_an_id_that_is_no_plain_name_of_a_file_is_refused(tmp_path, name):
    file = catalogue(tmp_path)
    change(tmp_path / "items" / "a.json", lambda item: item.update(id=name))
    with pytest.raises(InputError, match=r"a\.json: .* is not a valid patch name") as told:
        open_collection(file)
    assert "\n" not in str(told.value)


def test_an_id_that_occurs_twice_is_refused(tmp_path):
    file = catalogue(tmp_path)
    change(tmp_path / "items" / "a.json", lambda item: item.update(id="b"))
    with pytest.raises(InputError, match=r"the patch has the same name as .*: 'b'; give each its own name"):
        open_collection(file)


@given(st.text(max_size=LONGEST_NAME))
def test_a_name_that_passes_stays_in_its_folder(tmp_path_factory, name):
    folder = tmp_path_factory.getbasetemp()
    try:
        check_names([(name, "here")])
    except InputError:
        return
    assert (folder / f"{name}.tif").resolve().parent == folder.resolve()
    assert len(f"{name}.tif".encode()) < 255


def test_an_eopatch_is_called_by_a_folder_that_has_a_name(tmp_path):
    write_patch(tmp_path / ".hidden", {"data/BANDS": np.zeros((3, 4, 6, 1), "float32")})
    with pytest.raises(InputError, match="is not a valid patch name"):
        open_eopatches(path=tmp_path / ".hidden", band_names=["B04"])


@pytest.mark.parametrize(
    "changes",
    [
        {"proj:code": "EPSG:999999"}, {"proj:code": "no CRS"}, {"proj:shape": [0, 4]}, {"proj:shape": ["x", 4]},
        {"proj:shape": [4]}, {"proj:transform": [0, 0, 0, 0, 0, 0]}, {"proj:transform": ["x"] * 6},
        {"cube:variables": ["B04"]}, {"cube:variables": {"B04": []}}, {"cube:dimensions": ["time"]},
        {"cube:dimensions": {"time": {"values": [3]}}},
    ],
    ids=str,
)  # fmt: skip
def test_an_item_of_another_make_is_one_line(tmp_path, changes):
    file = catalogue(tmp_path)
    change(tmp_path / "items" / "a.json", lambda item: item["properties"].update(changes))
    with pytest.raises(InputError, match=r"a\.json: not an item of a landweave data set"):
        open_collection(file)


@pytest.mark.parametrize("links", [["items/a.json"], {"item": "items/a.json"}, "items", 3, None, [{"rel": "item"}]])
def test_links_of_another_make_are_one_line(tmp_path, links):
    file = catalogue(tmp_path)
    change(file, lambda content: content.update(links=links))
    with pytest.raises(InputError, match=r"collection\.json: its links are not in landweave's form"):
        open_collection(file)


@pytest.mark.parametrize("place", ["../../other.zarr", "/etc", "../items/../../x", "a\0b"])
def test_a_catalogue_names_no_file_outside_its_folder(tmp_path, place):
    file = catalogue(tmp_path)
    change(tmp_path / "items" / "a.json", lambda item: item["assets"]["data"].update(href=place))
    with pytest.raises(InputError, match="is outside the data set"):
        open_collection(file)
    file = catalogue(tmp_path)
    change(file, lambda content: content["links"][1].update(href=f"./items/../../{place}"))
    with pytest.raises(InputError, match="is outside the data set"):
        open_collection(file)
