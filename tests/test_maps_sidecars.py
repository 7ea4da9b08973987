"""What lies beside a map says the same as the map."""

import hashlib
import json
from datetime import date
from xml.etree import ElementTree as ET

import numpy as np
import pystac
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from pystac.extensions.classification import ClassificationExtension
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension
from worlds import write_tif

from landweave.legend import LandClass, Legend
from landweave.maps.sidecars import qgis_style, stac_item

NAMES = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20)
LEGENDS = st.dictionaries(st.integers(1, 255), NAMES, min_size=1, max_size=6).map(
    lambda names: Legend(
        classes=tuple(
            LandClass(value=v, name=f"{n}{v}", color=f"#{v:02x}{255 - v:02x}7f", codes=(str(v),))
            for v, n in names.items()
        )
    )
)


@given(LEGENDS)
def test_the_style_holds_every_class_with_its_colour_and_name(legend):
    root = ET.fromstring(qgis_style(legend))
    renderer = root.find("pipe/rasterrenderer")
    assert (renderer.get("type"), renderer.get("band")) == ("paletted", "1")
    entries = {int(e.get("value")): (e.get("label"), e.get("color")) for e in renderer.iter("paletteEntry")}
    assert entries == {c.value: (c.name, c.color) for c in legend.classes}


def test_pystac_reads_classes_grid_and_checksums_from_the_item(tmp_path):
    legend = Legend.from_labels(["šuma", "artificial surface", "лес"])
    write_tif(tmp_path / "map.tif", np.ones((5, 7), "uint8"), nodata=0)
    write_tif(tmp_path / "confidence.tif", np.full((5, 7), 90, "uint8"), nodata=0)
    files = {name: tmp_path / f"{name}.tif" for name in ("map", "confidence")}
    told = stac_item("bahia", files, legend=legend, start=date(2017, 1, 1), end=date(2017, 12, 31))
    item = pystac.Item.from_dict(json.loads(json.dumps(told)))
    assert item.common_metadata.start_datetime.date() == date(2017, 1, 1)
    asset = item.assets["map"]
    classes = ClassificationExtension.ext(asset).classes
    assert [(c.value, c.to_dict().get("title", c.name)) for c in classes] == [(0, "none"), *legend.names.items()]
    assert [f"#{c.color_hint}".lower() for c in classes[1:]] == list(legend.colors.values())
    assert all(c.name.isascii() and " " not in c.name for c in classes)
    with rasterio.open(files["map"]) as file:
        assert ProjectionExtension.ext(asset).epsg == file.crs.to_epsg()
        assert ProjectionExtension.ext(asset).shape == list(file.shape)
        assert ProjectionExtension.ext(asset).transform == list(file.transform)[:6]
        west, south, east, north = item.bbox
        x, y = rasterio.warp.transform(file.crs, "EPSG:4326", *([v] for v in file.xy(2, 3)))
    assert west < x[0] < east
    assert south < y[0] < north
    for name, path in files.items():
        told_of = FileExtension.ext(item.assets[name])
        assert told_of.size == path.stat().st_size
        assert told_of.checksum == "1220" + hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_run_leaves_them_beside_its_map(finished):
    out = finished / "out"
    legend = Legend.read(finished / "legend.toml")
    assert (out / "map.qml").read_bytes() == qgis_style(legend)
    item = json.loads((out / "map.stac.json").read_text())
    assert item["assets"]["map"]["file:checksum"] == "1220" + hashlib.sha256((out / "map.tif").read_bytes()).hexdigest()
    with rasterio.open(out / "map.tif") as file:
        tagged = {int(k.removeprefix("class_")): v for k, v in file.tags(1).items() if k.startswith("class_")}
        colors = {v: "#{:02x}{:02x}{:02x}".format(*file.colormap(1)[v][:3]) for v in tagged}
    assert tagged == legend.names
    assert colors == legend.colors
