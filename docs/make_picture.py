"""Make ``images/demo.png`` from a demo's folder: python docs/make_picture.py landweave-demo docs/images/demo.png."""

import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import rasterio
from matplotlib.patches import Patch

import landweave
from landweave.patch.grid import Cell
from landweave.runs.results.run import FinishedRun, stretch


def whole(run: FinishedRun, read: Callable[[Cell], np.ndarray]) -> np.ndarray:
    """Patches side by side, (y, x) or (y, x, 3); ``read`` gives one patch."""
    boxes = [cell.geobox for cell in run.cells]
    pixel = abs(boxes[0].resolution.x)
    left, top = min(box.extent.boundingbox.left for box in boxes), max(box.extent.boundingbox.top for box in boxes)
    pieces = []
    for cell, box in zip(run.cells, boxes, strict=True):
        corner = box.extent.boundingbox
        pieces.append((round((top - corner.top) / pixel), round((corner.left - left) / pixel), read(cell)))
    height, width = (max(piece[i] + piece[2].shape[i] for piece in pieces) for i in (0, 1))
    picture = np.zeros((height, width, *pieces[0][2].shape[2:]), pieces[0][2].dtype)
    for row, column, values in pieces:
        picture[row : row + values.shape[0], column : column + values.shape[1]] = values
    return picture


def picture(project: Path, output: Path) -> None:
    """Clearest image, register and map side by side, with the legend below."""
    run = landweave.open_run(project)
    fractions = np.mean([run.valid_fractions(cell.name) for cell in run.cells], axis=0)
    seasons = [date.month in range(5, 10) for date in run.plan.dates]
    date = run.plan.dates[int(np.argmax(np.where(seasons, fractions, -1)))]

    def image(cell: Cell) -> np.ndarray:
        patch = run.plan.source.load(cell.geobox, [date], ("B04", "B03", "B02"))
        return np.moveaxis(np.stack([patch[band].values[0] for band in ("B04", "B03", "B02")]), 0, -1)

    def layer(folder: str) -> Callable[[Cell], np.ndarray]:
        return lambda cell: rasterio.open(run.folder / folder / f"{cell.name}.tif").read(1)

    legend = run.plan.legend
    colours = np.full((256, 3), 255, "uint8")
    for c in legend.classes:
        colours[c.value] = c.rgb
    shown = [
        (f"image, {date}", stretch(np.moveaxis(whole(run, image), -1, 0))),
        ("register", colours[whole(run, layer("labels"))]),
        ("map", colours[whole(run, layer("predictions"))]),
    ]
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 4.1), layout="constrained")
    for ax, (title, pixels) in zip(axes, shown, strict=True):
        ax.imshow(pixels, interpolation="nearest")
        ax.set_title(title, fontsize=11)
        ax.set_axis_off()
    handles = [Patch(facecolor=c.color, label=c.name) for c in legend.classes]
    figure.legend(handles=handles, loc="outside lower center", ncols=8, fontsize=8, frameon=False, handlelength=1)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=100, pil_kwargs={"optimize": True})
    from PIL import Image

    # 256 colours halve the file and nobody sees it.
    with Image.open(output) as full:
        small = full.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    small.save(output, optimize=True)


if __name__ == "__main__":
    picture(Path(sys.argv[1]), Path(sys.argv[2]))
