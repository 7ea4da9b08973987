"""The bands of ``trust.tif`` as maps of their own, for a view that shows one band at a time."""

import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import rasterio

from landweave.patch.store import write_bytes
from landweave.runs import layout
from landweave.runs.results.record import read_record
from landweave.runs.results.run import FinishedRun


def trust_bands(run: FinishedRun) -> list[dict[str, Any]]:
    """What ``trust.json`` says of each band; empty where the project asks for no trust layers or has none."""
    if not run.plan.project.map.trust or not (run.folder / layout.TRUST).exists():
        return []
    found: list[dict[str, Any]] = read_record(run.folder / layout.TRUST_SUMMARY).get("bands", [])
    return found


def trust_files(run: FinishedRun, place: Path) -> dict[str, Path]:
    """A virtual raster of each band, by the name of its layer: ``trust_margin`` and so on.

    Parameters
    ----------
    run
        A finished run.
    place
        Where they are written, if they are not there or say something else.
    """
    source, files = run.folder / layout.TRUST, {}
    for band in trust_bands(run):
        path = place / layout.view_band(band["name"])
        content = _virtual(source, band["band"], path)
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, content, synced=False)
        files[layer_of(band)] = path
    return files


def layer_of(band: dict[str, Any]) -> str:
    """Name of a band's layer.

    >>> layer_of({"name": "margin"})
    'trust_margin'
    """
    return f"trust_{band['name']}"


def _virtual(source: Path, band: int, path: Path) -> bytes:
    with rasterio.open(source) as file:
        width, height = file.width, file.height
        wkt, transform = file.crs.to_wkt(), file.transform.to_gdal()
    root = ET.Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(height))
    ET.SubElement(root, "SRS").text = wkt
    ET.SubElement(root, "GeoTransform").text = ", ".join(repr(float(v)) for v in transform)
    told = ET.SubElement(root, "VRTRasterBand", dataType="Byte", band="1")
    ET.SubElement(told, "NoDataValue").text = "0"
    one = ET.SubElement(told, "SimpleSource")
    # Relative, so that the output folder can be moved.
    ET.SubElement(one, "SourceFilename", relativeToVRT="1").text = os.path.relpath(source, path.parent)
    ET.SubElement(one, "SourceBand").text = str(band)
    for name in ("SrcRect", "DstRect"):
        ET.SubElement(one, name, xOff="0", yOff="0", xSize=str(width), ySize=str(height))
    content: bytes = ET.tostring(root, encoding="utf-8")
    return content + b"\n"
