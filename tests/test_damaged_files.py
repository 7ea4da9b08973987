"""Catalogues, registers, areas and districts with a part that nobody expects: one line that names the file."""

import json

import fuzz_models as inputs
import numpy as np
import pytest
from worlds import write_tif

from landweave.errors import InputError
from landweave.labels.reference import check_overlap, read_reference, reference_codes
from landweave.patch.area import read_area
from landweave.patch.grid import utm_cells
from landweave.patch.vectors.layers import read_features
from landweave.patch.vectors.points import table_points
from landweave.runs.estimate.districts import read_districts
from landweave.sources.stac.search import Query, find_items

ANYWHERE = Query(collection=None, bbox=None, start=None, end=None)
SQUARE = [[[15.0, 46.0], [15.1, 46.0], [15.1, 46.1], [15.0, 46.1], [15.0, 46.0]]]


def test_a_message_is_one_line_without_commands_to_a_terminal():
    message = str(InputError("item 'a\r\n\x1b[2J\u2028b\0c\x9bd': no\tassets\n"))
    assert message == "item 'a [2J b c d': no assets"


@pytest.mark.parametrize("type_", [[], ["Feature"], {}, {"a": 1}, 7, None, True])
def test_a_catalogue_whose_type_is_no_text_is_refused(tmp_path, type_):
    place = tmp_path / "items.json"
    place.write_text(json.dumps({"type": type_, "features": []}))
    with pytest.raises(InputError, match=r"items\.json: neither a STAC API, a catalogue nor an item collection"):
        find_items(str(place), ANYWHERE)


@pytest.mark.parametrize("relation", [[], {}, ["item"], 7, None])
def test_a_link_whose_relation_is_no_text_is_not_followed(tmp_path, relation):
    place = tmp_path / "catalog.json"
    place.write_text(json.dumps({"links": [{"rel": relation, "href": "missing.json"}]}))
    with pytest.raises(InputError, match="no scene of any collection"):
        find_items(str(place), ANYWHERE)


def test_a_link_with_a_null_character_is_left_out_and_named(tmp_path):
    place = tmp_path / "catalog.json"
    place.write_text(json.dumps({"links": [{"rel": "item", "href": "a\0b.json"}]}))
    with pytest.raises(InputError, match=r"1 are left out, such as .*a b\.json \(missing, or not a STAC item\)"):
        find_items(str(place), ANYWHERE)


def collection(path, coordinates, **properties):
    feature = {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": coordinates}}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


STRANGE = ["", "x", "nan", {}, True, "1_0"]


@pytest.mark.parametrize("value", STRANGE)
def test_a_coordinate_that_is_no_number_is_refused_in_every_vector_file(tmp_path, value):
    coordinates = json.loads(json.dumps(SQUARE))
    coordinates[0][1][0] = value
    path = collection(tmp_path / "strange.geojson", coordinates, label="a", name="b")
    for read in (
        lambda: read_features(read_reference(path).vector),
        lambda: read_area(path),
        lambda: read_districts(path, "name", crs="EPSG:32633"),
    ):
        with pytest.raises(InputError, match=r"strange\.geojson: ") as caught:
            read()
        assert "\n" not in str(caught.value)


def test_a_point_with_an_empty_coordinate_is_left_out(tmp_path):
    path = tmp_path / "points.csv"
    for missing in ("", "nan"):
        path.write_text(f"longitude,latitude,label\n15.0,46.0,a\n{missing},46.0,b\n")
        found = table_points(path, "label")
        assert (found.x.tolist(), list(found.values), found.placeless) == ([15.0], ["a"], 1)


def test_a_feature_whose_outline_lacks_a_coordinate_has_no_geometry(tmp_path):
    coordinates = json.loads(json.dumps(SQUARE))
    coordinates[0][1][0] = []
    path = collection(tmp_path / "strange.geojson", coordinates, label="a", name="b")
    assert read_features(read_reference(path).vector).shapes.tolist() == [None]
    with pytest.raises(InputError, match="the area of interest has no geometry"):
        read_area(path)


def test_a_sound_vector_file_is_read_by_all_of_them(tmp_path):
    path = collection(tmp_path / "sound.geojson", SQUARE, label="a", name="b")
    assert reference_codes(read_reference(path)) == ["a"]
    assert read_area(path).area == pytest.approx(0.01)
    assert read_districts(path, "name", crs="EPSG:32633").names == ("b",)


@pytest.mark.filterwarnings("ignore:unable to read srs_id:RuntimeWarning")
def test_a_geopackage_with_damaged_pages_is_read_or_refused(tmp_path):
    content = inputs.registers()[0]["r.gpkg"]
    refused = {}
    for start in range(0, len(content), 2048):
        path = tmp_path / f"at{start}.gpkg"
        path.write_bytes(content[:start] + b"\xd6" * 512 + content[start + 512 :])
        try:
            codes = reference_codes(read_reference(path, column="code"))
        except InputError as error:
            refused[path] = str(error)
        else:
            assert len(codes) <= 4
    assert len(refused) > 3
    assert all(message.startswith(f"{path}: ") for path, message in refused.items())


def test_a_register_without_a_place_on_the_earth_is_refused_by_name(tmp_path):
    crs = 'LOCAL_CS["site grid",UNIT["metre",1]]'
    path = write_tif(tmp_path / "site.tif", np.ones((4, 4), "uint8"), crs=crs)
    cells = utm_cells(read_area(collection(tmp_path / "area.geojson", SQUARE)), resolution=10, patch_size=2000)
    with pytest.raises(InputError, match=r"site\.tif: no transformation from the CRS .*'site grid'"):
        check_overlap(read_reference(path), [cell.geobox for cell in cells])
