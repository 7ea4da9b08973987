"""Pictures of a run's results with matplotlib."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from landweave.errors import InputError
from landweave.legend import Legend

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHARES = {
    "true": "% of the true class (diagonal: recall)",
    "predicted": "% of the predicted class (diagonal: precision)",
}
"""What a cell of the confusion matrix is a share of, and how its picture is called."""

_SNOW = "#0072b2"
_SHOWN = 0.005


def draw_map(
    values: np.ndarray,
    legend: Legend,
    *,
    extent: tuple[float, float, float, float],
    crs: str,
    title: str,
    ax: "Axes | None" = None,
) -> "Axes":
    """A map of classes in the legend's colours, with its key below.

    Parameters
    ----------
    values
        Class values, uint8 (y, x); 0 stays white.
    legend
        Its classes.
    extent
        Left, right, bottom and top of the map, in units of the CRS.
    crs
        Name of the CRS, for the axes.
    title
        Of the picture.
    ax
        Where to draw; None makes a new figure.
    """
    ax = ax or new_axes((7.0, 7.6))
    cmap, norm = legend.cmap()
    ax.imshow(values, cmap=cmap, norm=norm, extent=extent, interpolation="nearest")
    # Places keep their names: 500000, not 0.5 and a factor beside the axis.
    ax.ticklabel_format(style="plain", useOffset=False)
    ax.locator_params(nbins=5)
    ax.set(title=title, xlabel=f"x, {crs}", ylabel=f"y, {crs}")
    keys = class_keys(legend, set(np.unique(values).tolist()))
    if keys:
        ax.legend(
            handles=keys, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=min(4, len(keys)), frameon=False,
            fontsize="small",
        )  # fmt: skip
    return ax


def draw_confusion(table: "pd.DataFrame", *, share: str | None, ax: "Axes | None" = None) -> "Axes":
    """A confusion matrix as a heat map with numbers.

    Parameters
    ----------
    table
        Pixels, true classes in rows and predicted ones in columns.
    share
        One of :data:`SHARES`, or None for the numbers of pixels.
    ax
        Where to draw; None makes a new figure.

    Raises
    ------
    InputError
        For a share that is not known.
    """
    if share is not None and share not in SHARES:
        raise InputError(f"plot_confusion: share = {share!r}; choose {', '.join(map(repr, SHARES))} or None.")
    counts = table.to_numpy("float64")
    axis = {"true": 1, "predicted": 0}.get(share or "")
    whole = (
        np.full(counts.shape, 1.0) if axis is None else np.broadcast_to(counts.sum(axis, keepdims=True), counts.shape)
    )
    part = np.divide(counts, whole, out=np.zeros_like(counts), where=whole > 0)
    ax = ax or new_axes((0.8 * counts.shape[1] + 2.4, 0.65 * counts.shape[0] + 2.2))
    top = 1.0 if share else max(float(part.max(initial=0)), 1.0)
    ax.imshow(part, cmap="Blues", vmin=0, vmax=top, aspect="auto")
    for (row, column), value in np.ndenumerate(part):
        if value >= (_SHOWN if share else 1):
            text = f"{100 * value:.0f}" if share else f"{value:.0f}"
            ax.text(column, row, text, ha="center", va="center", color="white" if value > 0.55 * top else "black")
    ax.set_xticks(range(counts.shape[1]), [str(name) for name in table.columns], rotation=40, ha="right")
    ax.set_yticks(range(counts.shape[0]), [str(name) for name in table.index])
    title = SHARES[share] if share else "test pixels"
    ax.set(title=f"Confusion matrix, {title}", xlabel="predicted class", ylabel="true class")
    return ax


def draw_importance(importance: Mapping[str, Any], *, ax: "Axes | None" = None) -> "Axes":
    """Importance by layer and date as a heat map; dots mark dates that are fed mostly by images with snow.

    Parameters
    ----------
    importance
        The content of ``importance.json``, which is no mere ``reason``.
    ax
        Where to draw; None makes a new figure.
    """
    import_pyplot()
    from matplotlib.transforms import ScaledTranslation

    heat = 100 * np.array(importance["map"], "float64")
    layers, dates = importance["layers"], importance["dates"]
    ax = ax or new_axes((max(0.42 * len(dates), 4) + 2, 0.34 * len(layers) + 2.2))
    # Dark is much: readable in grey and for colour-blind eyes.
    picture = ax.imshow(heat, cmap="magma_r", vmin=0, aspect="auto")
    snowy = np.array([bool(look["is_snow"]) for look in importance.get("acquisitions", ())], bool)
    if snowy.any():
        fed = np.flatnonzero(np.array(importance["feeding"])[:, snowy].sum(axis=1) > 0.5)
        # Between the title and the heat map, in points of its own: any height of the figure does.
        shift = ScaledTranslation(0, 7 / 72, cast("Figure", ax.get_figure(root=True)).dpi_scale_trans)
        ax.plot(
            fed, np.ones(len(fed)), "o", color=_SNOW, ms=5, clip_on=False,
            transform=ax.get_xaxis_transform() + shift, label="date fed mostly by images with snow",
        )  # fmt: skip
        if len(fed):
            ax.legend(
                loc="lower right", bbox_to_anchor=(1.0, 1.0, 0, 0), borderaxespad=1.3, frameon=False, fontsize="small"
            )
    ax.set_xticks(range(len(dates)), dates, rotation=60, ha="right", fontsize="small")
    ax.set_yticks(range(len(layers)), layers)
    static = zip(importance.get("static", ()), importance.get("map_static", ()), strict=True)
    beside = "".join(f"; {name} {100 * share:.0f} %" for name, share in static)
    ax.set_title(f"Importance by layer and date ({importance['drawn']}{beside})", loc="left", pad=18)
    ax.set(xlabel="date", ylabel="layer")
    ax.figure.colorbar(picture, ax=ax, label="share, %")
    return ax


def draw_patch(
    panels: Mapping[str, np.ndarray], legend: Legend, *, title: str, ax: "Sequence[Axes] | None" = None
) -> "Figure":
    """Image, reference and prediction of a patch side by side.

    Parameters
    ----------
    panels
        Title to an image, uint8 (y, x, 3), or class values, uint8 (y, x).
    legend
        Its classes.
    title
        Of the whole picture, where the figure is new.
    ax
        One axes a panel; None makes a new figure.

    Raises
    ------
    InputError
        For another number of axes.
    """
    if ax is None:
        figure, axes = new_figure((3.7 * len(panels), 4.6), len(panels))
        figure.suptitle(title)
    else:
        axes = list(np.ravel(np.asarray(ax, object)))
        if len(axes) != len(panels):
            raise InputError(f"plot_patch: ax has {len(axes)} axes; give {len(panels)}: {', '.join(panels)}.")
        figure = cast("Figure", axes[0].get_figure(root=True))
    cmap, norm = legend.cmap()
    found: set[int] = set()
    for one, (name, values) in zip(axes, panels.items(), strict=True):
        # A picture of three colours has no use for them.
        one.imshow(values, cmap=cmap, norm=norm, interpolation="nearest")
        one.set_title(name, fontsize="medium")
        one.set_axis_off()
        found |= set(np.unique(values).tolist()) if values.ndim == 2 else set()
    keys = class_keys(legend, found)
    if ax is None and keys:
        figure.legend(handles=keys, loc="outside lower center", ncols=min(4, len(keys)), frameon=False)
    return figure


def class_keys(legend: Legend, found: set[int]) -> list[Any]:
    """Patches of colour with the name of each class that is found, for matplotlib's legends."""
    import_pyplot()
    from matplotlib.patches import Patch

    return [
        Patch(facecolor=c.color, edgecolor="#666666", linewidth=0.5, label=c.name)
        for c in legend.classes
        if c.value in found
    ]


def new_axes(size: tuple[float, float]) -> "Axes":
    """Axes of a new figure; InputError without matplotlib."""
    return new_figure(size, 1)[1][0]


def new_figure(size: tuple[float, float], columns: int) -> "tuple[Figure, list[Axes]]":
    """A new figure, its size in inches, and its axes side by side; InputError without matplotlib."""
    figure, axes = import_pyplot().subplots(1, columns, figsize=size, layout="constrained", squeeze=False)
    return figure, list(axes[0])


def import_pyplot() -> Any:
    """matplotlib.pyplot; InputError where it is not installed."""
    try:
        from matplotlib import pyplot
    except ImportError:
        raise InputError("Plots need matplotlib: pip install 'landweave[plot]'.") from None
    return pyplot
