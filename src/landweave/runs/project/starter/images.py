"""What `landweave init --images` is given: rasters, a table of them, EOPatches, a data set or a catalogue."""

import datetime
import glob
from collections.abc import Collection, Sequence
from pathlib import Path

from landweave.errors import InputError
from landweave.patch.eopatch.folder import EOPatchFolder, list_eopatches
from landweave.runs.project.settings import read_project
from landweave.runs.project.starter.archive import Bounds, Period, look_at_archive
from landweave.runs.project.starter.found import ImagesFound, KeyLine, path_from, some_of
from landweave.runs.project.starter.rasters import files_of, files_of_pattern, look_at_rasters
from landweave.sources.patchwise.datasets import is_collection, open_collection
from landweave.sources.patchwise.eopatch_choices import BAND_NAMES
from landweave.sources.patchwise.eopatches import open_eopatches
from landweave.sources.protocol import Source, day_of

LEFT_OUT = "left_out"
"""The mask of a data set of ours: why an observation does not count."""

_CATALOGUES = ("collection.json", "catalog.json")
_TABLES = frozenset({".csv", ".parquet", ".pq", ".tsv"})


def look_at_images(
    given: str,
    *,
    folder: Path,
    wanted: Sequence[str] = (),
    leave: Collection[Path] = (),
    bounds: Bounds | None = None,
    period: Period = (None, None),
) -> ImagesFound:
    """Find out what the imagery is.

    Parameters
    ----------
    given
        A folder of rasters, of EOPatches or of a data set; a raster, a table of images, a catalogue; or a pattern.
    folder
        Of the project file.
    wanted
        Bands that a table of labelled series has.
    leave
        Files in the folder that are no images: the reference.
    bounds, period
        Where and when, of a catalogue of scenes.

    Raises
    ------
    InputError
        Where nothing is there, or nothing of it can be used.
    """
    path = Path(given)
    if not path.exists():
        if not glob.has_magic(given) and "{" not in given:
            raise InputError(f"{given}: no such folder or file of images.")
        root, names = files_of_pattern(given)
        if not names:
            folders = [one for one in glob.glob(given) if Path(one).is_dir()]  # noqa: PTH207
            if folders:
                raise InputError(
                    f"--images {given!r} matches folders, such as {folders[0]}; give their folder instead."
                )
            raise InputError(f"--images {given!r} matches no file; check the folder and the names.")
        own = str(Path(given).relative_to(root)) if "{" in given else None
        return look_at_rasters(root, names, folder=folder, wanted=wanted, leave=leave, pattern=own)
    catalogue = next((path / name for name in _CATALOGUES if (path / name).is_file()), path)
    if catalogue.suffix.lower() in {".json", ".geojson"} and not is_collection(catalogue):
        return look_at_archive(str(catalogue), folder=folder, bounds=bounds, period=period)
    if catalogue.is_file():
        return _of_file(catalogue, folder, wanted, leave)
    if any(entry.suffix == ".zarr" for entry in path.iterdir()):
        raise InputError(
            f"{path}: a folder of Zarr patches; give the folder of the data set, which has collection.json in it."
        )
    patches = _eopatches(path)
    if not patches:
        names = files_of(path)
        if not names:
            raise InputError(
                f"{path}: neither rasters, EOPatches nor a catalogue are in this folder; give the folder that has them."
            )
        return look_at_rasters(path, names, folder=folder, wanted=wanted, leave=leave)
    return _of_eopatches(path, patches, folder, wanted)


def _eopatches(path: Path) -> list[EOPatchFolder]:
    """The EOPatches of a folder that hold images; a box alone makes none."""
    try:
        patches = list_eopatches(path)
    except InputError:
        return []
    return patches if any(kind == "data" for kind, _ in patches[0].features) else []


def _of_file(path: Path, folder: Path, wanted: Sequence[str], leave: Collection[Path]) -> ImagesFound:
    suffix = path.suffix.lower()
    if suffix in {".json", ".geojson"}:
        return _of_data_set(path, folder, wanted)
    if suffix in _TABLES:
        return _of_table(path, folder, wanted)
    return look_at_rasters(path.parent, [path.name], folder=folder, wanted=wanted, leave=leave)


def _of_table(path: Path, folder: Path, wanted: Sequence[str]) -> ImagesFound:
    from landweave.sources.rasters import open_rasters

    source = open_rasters(root=path.parent, table=path.name)
    entry = KeyLine(key="table", value=path_from(folder, path), comment="a row for each image or band")
    masks, clouds = _clouds(source)
    bands = _bands(source, wanted, masks)
    assert source.geobox is not None
    return ImagesFound(
        source=(KeyLine(key="type", value="rasters", comment="raster files"), entry, *clouds),
        bands=bands, days=_days(source), grids=(source.geobox,),
        found=(f"{len({layer.path for layer in source.layers})} images of {path.name}", *source.notes),
    )  # fmt: skip


def _of_eopatches(
    path: Path,
    patches: Sequence[EOPatchFolder],
    folder: Path,
    wanted: Sequence[str],
    *,
    bands: str | None = None,
    names: tuple[str, ...] | None = None,
) -> ImagesFound:
    keys = {"type": "eopatches", "path": path_from(folder, path)}
    comments = {"type": "eo-learn's folders, each a patch", "path": "the folder of EOPatches, or one of them"}
    unknown = []
    data = {name: feature for (kind, name), feature in patches[0].features.items() if kind == "data"}
    options = {}
    fitting = [name for name, feature in data.items() if feature.shape[-1] in BAND_NAMES]
    chosen = next(iter(data)) if len(data) == 1 else fitting[0] if len(fitting) == 1 else bands
    if chosen is None or chosen == bands:
        chosen = bands or max(data, key=lambda name: data[name].shape[-1])
        options["bands_feature"] = chosen
        comments["bands_feature"] = f"the data feature with the bands; there are {some_of(list(data))}"
    depth = data[chosen].shape[-1]
    if names is not None:
        comments["band_names"] = "a name for each band, in order"
    elif depth not in BAND_NAMES and depth > 1:
        names = tuple(f"band_{number:02d}" for number in range(1, depth + 1))
        comments["band_names"] = "a name for each band, in order"
        unknown.append(f"The {depth} bands of {chosen} have no names; correct source.band_names and features.bands.")
    source = open_eopatches(path=path, bands_feature=options.get("bands_feature"), band_names=names)
    masks, clouds = _clouds(source)
    entries = [KeyLine(key=key, value=value, comment=comments[key]) for key, value in (keys | options).items()]
    if names:
        entries.append(KeyLine(key="band_names", value=names, comment=comments["band_names"]))
    own = [name for name in source.variables if source.where[name][1] == chosen]
    return ImagesFound(
        source=(*entries, *clouds), bands=_bands(source, wanted, masks, own), days=_days(source),
        grids=tuple(source.grids.values()), patches=True, found=(f"{len(patches)} EOPatches",), open=tuple(unknown),
    )  # fmt: skip


def _of_data_set(path: Path, folder: Path, wanted: Sequence[str]) -> ImagesFound:
    try:
        source = open_collection(path)
    except InputError as error:
        inner = path.parent / "patches"
        if "eopatches" not in str(error) or not inner.is_dir():
            raise
        # The project that comes with the data set says what its bands are called.
        said = read_project(path.parent).source
        return _of_eopatches(
            inner, list_eopatches(inner), folder, wanted, bands=said.bands_feature, names=said.band_names
        )
    masks, clouds = _clouds(source)
    entries = (
        KeyLine(key="type", value="stac", comment="a data set of landweave is read by its catalogue"),
        KeyLine(key="url", value=path_from(folder, path), comment="the collection of the data set"),
    )
    return ImagesFound(
        source=(*entries, *clouds), bands=_bands(source, wanted, masks), days=_days(source),
        grids=tuple(source.grids.values()), patches=True,
        found=(f"a data set of {len(source.patches)} patches",),
    )  # fmt: skip


def _clouds(source: Source) -> tuple[tuple[str, ...], tuple[KeyLine, ...]]:
    """Variables that are masks or no bands, and the keys by which clouds are masked."""
    if LEFT_OUT in source.variables:
        return (LEFT_OUT, "SCL"), (
            KeyLine(key="clouds", value="decided", comment="the mask of the data set says which observations count"),
            KeyLine(key="mask", value=LEFT_OUT, comment="0 where an observation counts"),
        )
    if "SCL" in source.variables:
        return ("SCL",), (KeyLine(key="clouds", value="scl", comment="Sentinel-2's scene classes: the variable SCL"),)
    mask = next((name for name in ("CLM", "clm", "cloud_mask", "CLOUD_MASK") if name in source.variables), None)
    if mask is not None:
        return (mask,), (
            KeyLine(key="clouds", value="mask", comment="by a mask among the images"),
            KeyLine(key="mask", value=mask, comment="masked where this variable is not 0"),
        )
    return (), (
        KeyLine(key="clouds", value="none", comment="no cloud mask was found; scl | mask | s2cloudless | none"),
    )


def _bands(
    source: Source, wanted: Sequence[str], masks: Sequence[str], own: Sequence[str] | None = None
) -> tuple[str, ...]:
    there = [name for name in own or source.variables if name not in {*masks, *source.categorical}]
    if wanted:
        both = tuple(name for name in there if name in wanted)
        if not both:
            raise InputError(
                f"The table of series has the bands {some_of(list(wanted))}, the images have {some_of(there)}: none in "
                "common; give the columns of the table the names of the images' bands."
            )
        return both
    land = tuple(name for name in there if name not in {"B01", "B09", "B10"})
    return land or tuple(there)


def _days(source: Source) -> tuple[datetime.date, ...]:
    return tuple(sorted({day_of(day) for day in source.dates(None, None)}))
