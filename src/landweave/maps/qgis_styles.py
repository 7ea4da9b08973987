"""QGIS styles of rasters and vector layers: colours, names of columns, and lists to choose from."""

from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as ET

RAMP = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")
"""Viridis: from little to much, in equal steps; even in grey and for colour-blind readers."""

OUTLINE = "#1c2024"

_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"

_SYMBOLS = {"Point": ("marker", "SimpleMarker"), "Polygon": ("fill", "SimpleFill")}


def classes_style(classes: Mapping[int, tuple[str, str]], *, band: int = 1) -> bytes:
    """A ``.qml`` of a raster whose band holds classes.

    Parameters
    ----------
    classes
        Value to name and ``#rrggbb``.
    band
        From 1.
    """
    root, renderer = _raster("paletted", band)
    palette = ET.SubElement(renderer, "colorPalette")
    for value, (name, color) in classes.items():
        ET.SubElement(palette, "paletteEntry", value=str(value), color=color, label=name, alpha="255")
    return _file(root)


def ramp_style(low: int, high: int, *, unit: str = "", band: int = 1, zero: int = 0) -> bytes:
    """A ``.qml`` of a raster whose band holds an amount, in the colours of :data:`RAMP`.

    Parameters
    ----------
    low, high
        Amounts in the first and the last colour; ``low < high``.
    unit
        What follows an amount in the legend, such as ``" %"``.
    band
        From 1.
    zero
        The value of the band that means none of the amount.
    """
    root, renderer = _raster("singlebandpseudocolor", band)
    renderer.set("classificationMin", str(low))
    renderer.set("classificationMax", str(high))
    shader = ET.SubElement(
        ET.SubElement(renderer, "rastershader"), "colorrampshader", colorRampType="INTERPOLATED",
        classificationMode="1", clip="0", minimumValue=str(low), maximumValue=str(high),
    )  # fmt: skip
    for i, color in enumerate(RAMP):
        value = low + (high - low) * i / (len(RAMP) - 1)
        ET.SubElement(shader, "item", value=f"{value:g}", color=color, label=f"{value - zero:g}{unit}", alpha="255")
    return _file(root)


def vector_style(
    colors: Mapping[str, str],
    *,
    by: str | None = None,
    geometry: str = "Polygon",
    columns: Sequence[str] = (),
    aliases: Mapping[str, str] | None = None,
    choices: Mapping[str, Sequence[str]] | None = None,
    alpha: int = 110,
) -> bytes:
    """A ``.qml`` of a vector layer.

    Parameters
    ----------
    colors
        Text of the column ``by`` to ``#rrggbb``; without ``by`` the first colour is that of all features.
    by
        The column that gives a feature its colour.
    geometry
        ``Point`` or ``Polygon``.
    columns
        All columns without the feature's own number, in the layer's order.
    aliases
        Column to the name that forms and tables show.
    choices
        Column to the texts that a form offers for it.
    alpha
        Opacity of the colours, 0..255; outlines are opaque.
    """
    root = ET.Element("qgis", version="3.0", styleCategories="Symbology|Fields|Forms")
    chosen = choices or {}
    configured = ET.SubElement(root, "fieldConfiguration")
    for name in columns:
        if name in chosen:
            widget = ET.SubElement(ET.SubElement(configured, "field", name=name), "editWidget", type="ValueMap")
            options = _option(_option(ET.SubElement(widget, "config")), name="map", type="List")
            for text in chosen[name]:
                _option(_option(options), name=text or "(empty)", type="QString", value=text)
    named = ET.SubElement(root, "aliases")
    # The feature's own number is column 0 of a GeoPackage.
    for index, name in enumerate(columns, start=1):
        ET.SubElement(named, "alias", index=str(index), field=name, name=(aliases or {}).get(name, ""))
    kind = {"symbollevels": "0", "enableorderby": "0", "forceraster": "0"}
    if by is None:
        renderer = ET.SubElement(root, "renderer-v2", {"type": "singleSymbol", **kind})
    else:
        renderer = ET.SubElement(root, "renderer-v2", {"type": "categorizedSymbol", "attr": by, **kind})
        categories = ET.SubElement(renderer, "categories")
        for i, text in enumerate(colors):
            ET.SubElement(categories, "category", render="true", value=text, label=text or "(empty)", symbol=str(i))
    symbols = ET.SubElement(renderer, "symbols")
    for i, color in enumerate(colors.values() if by is not None else list(colors.values())[:1]):
        _symbol(symbols, str(i), geometry, color, alpha)
    return _file(root)


def _symbol(symbols: ET.Element, name: str, geometry: str, color: str, alpha: int) -> None:
    kind, drawn = _SYMBOLS[geometry]
    symbol = ET.SubElement(
        symbols, "symbol", type=kind, name=name, alpha="1", clip_to_extent="1", force_rhr="0"
    )  # fmt: skip
    options = _option(
        ET.SubElement(symbol, "layer", {"class": drawn, "enabled": "1", "locked": "0", "pass": "0"})
    )  # fmt: skip
    look = {"color": _rgba(color, alpha), "outline_color": _rgba(color if alpha else OUTLINE, 255)}
    look |= {"outline_width": "0.4", "outline_width_unit": "MM", "outline_style": "solid"}
    look |= {"name": "circle", "size": "2.6", "size_unit": "MM"} if geometry == "Point" else {"style": "solid"}
    if geometry == "Point":
        look["outline_color"] = _rgba(OUTLINE, 255)
    for key, value in look.items():
        _option(options, name=key, type="QString", value=value)


def _rgba(color: str, alpha: int) -> str:
    return ",".join(str(v) for v in (*bytes.fromhex(color.removeprefix("#")), alpha))


def _option(parent: ET.Element, **attributes: str) -> ET.Element:
    return ET.SubElement(parent, "Option", attributes or {"type": "Map"})


def _raster(kind: str, band: int) -> tuple[ET.Element, ET.Element]:
    root = ET.Element("qgis", version="3.0", styleCategories="Symbology")
    renderer = ET.SubElement(
        ET.SubElement(root, "pipe"), "rasterrenderer", type=kind, band=str(band), opacity="1", alphaBand="-1",
        nodataColor="",
    )  # fmt: skip
    return root, renderer


def _file(root: ET.Element) -> bytes:
    ET.indent(root)
    return f"{_DOCTYPE}{ET.tostring(root, encoding='unicode')}\n".encode()
