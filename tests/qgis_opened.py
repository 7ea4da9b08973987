"""Run by QGIS's own Python: opens layers as a user does, and prints how they are shown as JSON."""

import json
import sys

from qgis.core import QgsApplication, QgsRasterLayer, QgsVectorLayer


def raster(path):
    layer = QgsRasterLayer(path, "layer")
    renderer = layer.renderer()
    found = {
        "type": renderer.type(),
        "legend": [label for label, _ in renderer.legendSymbologyItems()],
        "band": renderer.usesBands()[0],
    }
    if renderer.type() == "paletted":
        found["classes"] = {int(c.value): [c.label, c.color.name()] for c in renderer.classes()}
    if renderer.type() == "singlebandpseudocolor":
        ramp = renderer.shader().rasterShaderFunction().colorRampItemList()
        found["ramp"] = [[item.value, item.color.name()] for item in ramp]
    return found


def vector(uri):
    layer = QgsVectorLayer(uri, "layer", "ogr")
    renderer, fields = layer.renderer(), layer.fields()
    widgets = {fields[i].name(): layer.editorWidgetSetup(i) for i in range(fields.count())}
    found = {
        "type": renderer.type(),
        "fields": {field.name(): field.alias() for field in fields},
        "choices": {
            name: [text for entry in widget.config()["map"] for text in entry.values()]
            for name, widget in widgets.items()
            if widget.type() == "ValueMap"
        },
    }
    if renderer.type() == "categorizedSymbol":
        found["by"] = renderer.classAttribute()
        found["categories"] = {c.value(): c.symbol().color().name() for c in renderer.categories()}
    else:
        found["color"] = renderer.symbol().color().name()
    return found


app = QgsApplication([], False)
app.initQgis()
answer = {uri: raster(uri) if uri.endswith(".tif") else vector(uri) for uri in sys.argv[1:]}
sys.stdout.write(f"{json.dumps(answer)}\n")
sys.stdout.flush()
app.exitQgis()
