"""A map of classes, from a project or a file, and what its classes are called."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import rasterio

from landweave.errors import InputError
from landweave.labels.codes_of_raster import chosen_band
from landweave.legend import Legend
from landweave.maps.areas import MapGrid, open_map
from landweave.patch.summary import Shown, listed
from landweave.runs import layout
from landweave.runs.project.settings import Project, read_project


@dataclass(frozen=True, kw_only=True, repr=False)
class MapSource(Shown):
    """A map of classes, and what they are called."""

    grid: MapGrid
    names: dict[int, str]
    """Class value to name; values without a name are called by their number."""
    colors: dict[int, str]
    """Class value to ``#rrggbb``, where the file has a colour table."""
    expected: dict[str, float]
    """User's accuracy to expect, by class name: the agreement with the reference, where a run measured it."""

    def _summary(self) -> Mapping[str, object]:
        return {
            "path": self.grid.path,
            "pixels": " x ".join(map(str, self.grid.shape)),
            "crs": self.grid.crs,
            "classes": listed(list(self.names.values()), 10),
        }


def find_map(source: str | Path, *, legend: str | Path | None = None) -> MapSource:
    """A project's map, or a map file, with the names of its classes.

    Parameters
    ----------
    source
        A project file, its folder, or a raster of classes.
    legend
        A ``legend.toml`` for a raster whose band tags (``class_1 = forest``) do not name its classes.

    Raises
    ------
    InputError
        When there is no map there, or the raster has several bands, such as a picture.
    """
    path, expected = Path(source), {}
    if path.suffix == ".toml" or path.is_dir():
        project = read_project(path)
        path = project.folder / layout.MAP
        if not path.exists():
            raise InputError(f"{path}: the project has no map; make it with `landweave run`.")
        expected = _measured(project)
    grid = open_map(path)
    with rasterio.open(path) as file:
        chosen_band(file, path, None, what="the map", mend="give a raster with one band of classes")
    names, colors = _names_and_colors(path)
    if legend is not None:
        given = Legend.read(legend)
        _check_not_swapped(path, names, given.names)
        names, colors = given.names, given.colors
    return MapSource(grid=grid, names=names, colors=colors, expected=expected)


def _check_not_swapped(path: Path, names: Mapping[int, str], given: Mapping[int, str]) -> None:
    """A legend may call classes otherwise; but where it gives one name to another value, one of the two is wrong."""
    values = {name.casefold(): value for value, name in given.items()}
    for value, name in names.items():
        other = values.get(name.casefold(), value)
        if other != value:
            raise InputError(
                f"{path}: class {name!r} has the value {value} in the map and {other} in the legend; give the legend "
                "of this map."
            )


def _names_and_colors(path: Path) -> tuple[dict[int, str], dict[int, str]]:
    with rasterio.open(path) as file:
        tags = file.tags(1)
        try:
            table = file.colormap(1)
        except ValueError:
            table = {}
    names = {
        int(key.removeprefix("class_")): name
        for key, name in tags.items()
        if key.startswith("class_") and key.removeprefix("class_").isdecimal()
    }
    colors = {value: "#{:02x}{:02x}{:02x}".format(*rgba[:3]) for value, rgba in table.items() if value in names}
    return dict(sorted(names.items())), colors


def _measured(project: Project) -> dict[str, float]:
    path = project.folder / layout.ACCURACY
    if not path.exists():
        return {}
    classes = json.loads(path.read_text(encoding="utf-8")).get("classes", {})
    values = {name: scores["precision"]["value"] for name, scores in classes.items()}
    # Neither 0 nor 1 is a sound expectation: it would leave a class without units.
    return {name: min(max(value, 0.05), 0.99) for name, value in values.items() if value is not None}
