"""What `landweave init --reference`, `--points` and `--table` are given: the column of classes, and its codes."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.labels.codes_of_raster import is_raster
from landweave.labels.columns import reason_of_name
from landweave.labels.reference import read_reference
from landweave.legend import code_text
from landweave.patch.align import to_crs
from landweave.patch.eopatch.folder import list_eopatches
from landweave.patch.eopatch.labels import KIND, find_labels
from landweave.patch.raster.files import open_raster
from landweave.patch.tables.dates import looks_like_dates
from landweave.patch.tables.places import DEGREES, PlaceKeys, read_places
from landweave.patch.tables.reading import Table, read_table_file
from landweave.patch.vectors.layers import VectorLayer, layer_names, open_layer, read_features
from landweave.patch.vectors.points import is_point_table
from landweave.runs.project.starter.found import KeyLine, LabelsFound, path_from, some_of

MOST_CLASSES = 255

_WORDS = (
    "label", "class", "landcover", "landuse", "lulc", "lucode", "rabaid", "code", "cover", "klasse", "category", "crop",
    "type", "use", "habitat", "species", "name",
)  # fmt: skip
"""What columns of classes are called, in whole or in part; earlier ones count more."""

_NONE = re.compile(r"(no[ _-]?data|none|null|unknown|unclassified|not classified|background|other/none)", re.IGNORECASE)
Columns = Iterator[tuple[str, np.ndarray]]
"""Names and values of columns, one after another."""

_LARGEST = 4096
"""Pixels along a side of a raster that are looked at for its codes."""


def look_at_reference(
    path: Path,
    *,
    folder: Path,
    column: str | None = None,
    keys: PlaceKeys | None = None,
    grids: Sequence[GeoBox] = (),
) -> LabelsFound:
    """Find out what a reference is, which column holds its classes, and which codes it has.

    Parameters
    ----------
    path
        Polygons, points, a table of points, a raster of codes, or a folder of EOPatches or of a data set.
    folder
        Of the project file.
    column
        The column of classes, where the user says it.
    keys
        Columns of places and CRS of a table, and CRS of a vector file, where the user says them.
    grids
        Of the imagery: points without a CRS that lie on it have its CRS.

    Raises
    ------
    InputError
        For a file that cannot be read, that has no column that may be classes, or points whose CRS is not known.
    """
    if not path.exists():
        raise InputError(f"{path}: no such reference file.")
    keys = keys or PlaceKeys()
    start = [KeyLine(key="path", value=path_from(folder, path), comment="polygons, points, or a raster of codes")]
    if is_point_table(path):
        return _of_table(path, start, column, keys, grids)
    if keys.x is not None:
        raise InputError(f"{path}: --x and --y are for tables of points, and this is none; remove them.")
    layers = layer_names(path)
    if path.is_dir() and not layers:
        return _of_patches(path, folder)
    if not layers and is_raster(path):
        return _of_raster(path, start)
    try:
        return _of_vector(path, start, column, keys.crs)
    except InputError as error:
        raise InputError(str(error).replace("set reference.crs", "add --crs, such as --crs EPSG:32633")) from None


def look_at_series(path: Path, *, folder: Path, column: str | None = None) -> LabelsFound:
    """Find out what a table of labelled series holds."""
    from landweave.labels.series import read_series, samples_path

    samples = samples_path(path, None)
    facts = read_table_file(samples or path, "table of samples")
    label = column or ("label" if "label" in facts.frame else _column_of(facts.path, _columns(facts), len(facts.frame)))
    series = read_series(path, samples=samples, label=label)
    entries = [
        KeyLine(key="table", value=path_from(folder, path), comment="sample_id, date and a column for each band")
    ]
    if samples is not None:
        entries.append(KeyLine(key="samples", value=path_from(folder, samples), comment="sample_id and label"))
    entries.append(KeyLine(key="label", value=label, comment="column of the classes"))
    counts = Counter(map(code_text, series.labels))
    return LabelsFound(
        table="training", entries=tuple(entries), codes=_ordered(counts), unit="series", bands=series.bands,
        found=(f"{len(series.labels)} labelled series of {some_of(series.bands)}", *series.notes),
    )  # fmt: skip


def _of_table(
    path: Path, start: list[KeyLine], column: str | None, keys: PlaceKeys, grids: Sequence[GeoBox]
) -> LabelsFound:
    encoding, notes = None, []
    try:
        table = read_table_file(path, "table of points")
    except InputError as error:
        if "is no text in UTF-8" not in str(error):
            raise
        encoding = "cp1252"
        table = read_table_file(path, "table of points", encoding=encoding)
        notes.append(
            f"{path.name} is not in UTF-8 and is read as {encoding}; correct reference.encoding if letters are wrong."
        )
    crs = keys.crs
    try:
        places = read_places(table, keys, of="reference.")
    except InputError as error:
        guess = (
            _crs_of(table, grids, keys) if crs is None and "have no coordinate reference system" in str(error) else None
        )
        if guess is None:
            advice = str(error).partition("; set reference.crs")[0].partition("; if they are longitude")[0]
            raise InputError(
                f"{advice}; add --crs, such as --crs EPSG:32633." if advice != str(error) else str(error)
            ) from None
        keys = replace(keys, crs=guess)
        places = read_places(table, keys, of="reference.")
        notes.append(
            f"The CRS of {places.columns[0]} and {places.columns[1]} is taken for {guess}, by which the points lie on "
            "the images; correct reference.crs if it is another."
        )
    chosen = column or _column_of(path, _columns(table, places.columns), len(table.frame))
    codes = table.column(chosen)
    there = np.isfinite(places.x)
    entries = [*start, KeyLine(key="column", value=chosen, comment="column of the classes")]
    if keys.x is not None and keys.y is not None:
        entries.append(KeyLine(key="x", value=keys.x, comment="column of longitude or easting"))
        entries.append(KeyLine(key="y", value=keys.y, comment="column of latitude or northing"))
    if keys.crs:
        entries.append(KeyLine(key="crs", value=keys.crs, comment=f"of the columns {' and '.join(places.columns)}"))
    if encoding:
        entries.append(KeyLine(key="encoding", value=encoding, comment="of the text, which is not in UTF-8"))
    counts = Counter(code_text(code) for code, here in zip(codes.tolist(), there, strict=True) if here)
    return LabelsFound(
        table="reference", entries=tuple(entries), codes=_ordered(counts), ignored=_nothing(counts), unit="points",
        bounds=_degrees(places.x[there], places.y[there], places.crs),
        found=(f"{int(there.sum())} points by {places.columns[0]} and {places.columns[1]}, classes in {chosen}",),
        open=tuple(notes),
    )  # fmt: skip


def _crs_of(table: Table, grids: Sequence[GeoBox], keys: PlaceKeys) -> str | None:
    """The CRS in which all places of a table lie on the images."""
    for grid in grids:
        own = f"EPSG:{grid.crs.epsg}" if grid.crs.epsg else grid.crs.to_wkt()
        for crs in dict.fromkeys((own, DEGREES)):
            try:
                places = read_places(table, replace(keys, crs=crs))
            except InputError:
                continue
            x, y = to_crs(places.x, places.y, source=crs, target=grid.crs)
            box = grid.boundingbox
            there = np.isfinite(x) & np.isfinite(y)
            inside = (x >= box.left) & (x <= box.right) & (y >= box.bottom) & (y <= box.top)
            if there.any() and inside[there].mean() > 0.5:
                return crs
    return None


def _of_vector(path: Path, start: list[KeyLine], column: str | None, crs: str | None) -> LabelsFound:
    layers, notes = layer_names(path), []
    layer = layers[0] if len(layers) > 1 else None
    opened = open_layer(path, what="the reference", layer=layer, crs=crs)
    columns = list(opened.columns)
    if column is not None and column not in columns:
        raise InputError(f"{path}: no column {column!r}; it has {some_of(columns, 30) or 'none'}.")
    chosen = column or _column_of(path, _each(opened, columns), opened.features)
    kind = read_reference(path, column=chosen, layer=layer, places=PlaceKeys(crs=crs)).kind
    others = f"; there are {some_of(columns, 12)}" if len(columns) > 1 else ""
    entries = [*start, KeyLine(key="column", value=chosen, comment=f"column of the classes{others}")]
    if crs is not None:
        entries.append(KeyLine(key="crs", value=crs, comment="of a file that states none"))
    if layer is not None:
        entries.append(KeyLine(key="layer", value=layer, comment=f"layer of the file; there are {some_of(layers)}"))
        notes.append(f"{path.name} has the layers {some_of(layers)}; {layer} is used, set reference.layer for another.")
    codes = [code_text(code) for _, values in _each(opened, [chosen]) for code in values.tolist()]
    names = _names_of(codes, _each(opened, [name for name in columns if name != chosen]))
    counts = Counter(codes)
    return LabelsFound(
        table="reference", entries=tuple(entries), codes=_ordered(counts), names=names, unit=kind,
        ignored=_nothing(counts, names),
        bounds=_box_degrees(opened.bounds, opened.crs),
        found=(f"{opened.features} {kind}, classes in {chosen}",), open=tuple(notes),
    )  # fmt: skip


def _each(layer: VectorLayer, columns: Sequence[str]) -> Columns:
    """Columns of a layer one by one: a register of a country has millions of rows."""
    for name in columns:
        yield name, read_features(layer, columns=[name], geometry=False).values[0]


def _of_raster(path: Path, start: list[KeyLine]) -> LabelsFound:
    notes, entries = [], list(start)
    with open_raster(path) as file:
        if file.count > 1:
            entries.append(KeyLine(key="band", value=1, comment=f"band of the codes, of {file.count}"))
            notes.append(f"{path.name} has {file.count} bands; the first is taken for the codes, see reference.band.")
        shape = min(file.height, _LARGEST), min(file.width, _LARGEST)
        if shape != (file.height, file.width):
            notes.append(
                f"{path.name} is large, so its codes are those of a part of its pixels; `landweave check` lists codes "
                "that legend.toml lacks."
            )
        read = file.read(1, out_shape=shape, masked=True)
        try:
            colors = {str(code): f"#{r:02x}{g:02x}{b:02x}" for code, (r, g, b, _) in file.colormap(1).items()}
        except ValueError:
            colors = {}
        tags = {key.removeprefix("class_"): text for key, text in file.tags(1).items() if key.startswith("class_")}
        bounds, crs = file.bounds, file.crs
    if crs is None:
        raise InputError(f"{path}: the reference has no coordinate reference system; assign one to it.")
    values, counts = np.unique(np.asarray(read.compressed()), return_counts=True)
    found = Counter({code_text(v): int(n) for v, n in zip(values.tolist(), counts.tolist(), strict=True)})
    if len(found) > MOST_CLASSES:
        raise InputError(
            f"{path}: {len(found)} different values, so this is no map of classes; give a raster of codes."
        )
    if len({colors.get(code) for code in found}) < len(found):
        colors = {}
    ignored = _nothing(found, tags)
    if "0" in found and "0" not in ignored and "0" not in tags:
        ignored = ("0", *ignored)
        notes.append(
            "The code 0 of the reference is taken for no class; give it a [[class]] in legend.toml if it is one."
        )
    return LabelsFound(
        table="reference", entries=tuple(entries), codes=_ordered(found), names=tags, colors=colors, unit="pixels",
        ignored=ignored, bounds=_box_degrees(tuple(bounds), crs.to_wkt()),
        found=(f"a raster of {read.shape[1]} x {read.shape[0]} pixels",), open=tuple(notes),
    )  # fmt: skip


def _of_patches(path: Path, folder: Path) -> LabelsFound:
    inner = path / "patches" if (path / "collection.json").exists() and (path / "patches").is_dir() else path
    layer, notes = None, []
    if not list(inner.glob("*.zarr")):
        patches = list_eopatches(inner)
        names = sorted({name for patch in patches for kind, name in patch.features if kind == KIND})
        # The name that is most like one of classes; the others are reported.
        names.sort(key=_word_of)
        layer = f"{KIND}/{names[0]}" if names else None
        if len(names) > 1:
            notes.append(
                f"The patches have the labels {some_of(names)}; {names[0]} is used, set reference.layer for another."
            )
    parts, bounds = find_labels(inner, layer)
    counts: Counter[str] = Counter()
    for part in parts:
        values, numbers = np.unique(part.read(), return_counts=True)
        counts.update({code_text(v): int(n) for v, n in zip(values.tolist(), numbers.tolist(), strict=True)})
    counts.pop("0", None)
    entries = [KeyLine(key="path", value=path_from(folder, inner), comment="the patches that hold a mask of labels")]
    if "/" in parts[0].layer:
        entries.append(KeyLine(key="layer", value=parts[0].layer, comment="the feature with the labels"))
    return LabelsFound(
        table="reference",
        entries=tuple(entries),
        codes=_ordered(counts),
        unit="pixels",
        bounds=bounds,
        found=(f"labels of {len(parts)} patches in {parts[0].layer}",), open=tuple(notes),
    )  # fmt: skip


def _columns(table: Table, places: Sequence[str] = ()) -> Columns:
    for name in table.frame.columns:
        if name not in places:
            yield name, table.frame[name].to_numpy(object)


def _column_of(path: Path, columns: Columns, rows: int) -> str:
    """The column that most likely holds classes: by its name, and by how many different values it has."""
    ranked, there, single = [], [], []
    for position, (name, values) in enumerate(columns):
        there.append(name)
        texts = {code_text(value) for value in values.tolist()} - {""}
        folded, word = _folded(name), _word_of(name)
        runs = reason_of_name(name) if word == len(_WORDS) else None
        if len(texts) == 1 and word < len(_WORDS):
            single.append(f"{name} has one class only ({texts.copy().pop()})")
        if not 2 <= len(texts) <= MOST_CLASSES or runs or looks_like_dates(texts) or _has_fractions(texts):
            continue
        if len(texts) > max(rows / 2, 2) and word == len(_WORDS):
            continue
        # Codes before the names that explain them, as the names are found by the codes.
        exact = folded != _WORDS[word] if word < len(_WORDS) else True
        ranked.append((word, exact, len(texts) > rows / 2, -len(texts), position, name))
    if not ranked:
        if single:
            raise InputError(f"{path}: {single[0]}; a map needs two, so add labels of another class.")
        raise InputError(
            f"{path}: no column holds 2 to {MOST_CLASSES} classes; it has {some_of(there, 30) or 'none'}; "
            "name it with --column."
        )
    return min(ranked)[-1]


def _folded(name: str) -> str:
    return re.sub(r"[\s_.\-]+", "", name).lower()


def _word_of(name: str) -> int:
    """How much a name is like that of a column of classes; less is more."""
    return next((i for i, word in enumerate(_WORDS) if word in _folded(name)), len(_WORDS))


def _has_fractions(texts: set[str]) -> bool:
    def fraction(text: str) -> bool:
        try:
            return not float(text.replace(",", ".")).is_integer()
        except (ValueError, OverflowError):
            return False

    return any(map(fraction, texts))


def _names_of(codes: Sequence[str], columns: Columns) -> dict[str, str]:
    """Names of numeric codes, from the column of text that has one text for each code and the most texts."""
    if not all(re.fullmatch(r"-?\d+", code) for code in codes if code):
        return {}
    best: dict[str, str] = {}
    for _, values in columns:
        if not any(isinstance(value, str) for value in values.tolist()):
            continue
        pairs = {(code, code_text(text)) for code, text in zip(codes, values.tolist(), strict=True) if code}
        names = dict(pairs)
        texts = set(names.values()) - {""}
        plain = looks_like_dates(texts) or any(re.fullmatch(r"[-\d.]+", text) for text in texts)
        if len(pairs) == len(names) and len(texts) > max(1, len(set(best.values()))) and not plain:
            best = names
    return best


def _nothing(counts: Mapping[str, int], names: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Codes that mean no data by their names; of named codes also a 0 without a name."""
    named = names or {}
    bare = {"0"} if named and not named.get("0") else set()
    return tuple(code for code in _ordered(counts) if code in bare or _NONE.fullmatch(named.get(code) or code))


def _ordered(counts: Mapping[str, int]) -> dict[str, int]:
    def key(code: str) -> tuple[bool, float, str]:
        number = re.fullmatch(r"-?\d+", code)
        return number is None, float(code) if number else 0.0, code

    return {code: counts[code] for code in sorted(counts, key=key) if code}


def _box_degrees(bounds: Sequence[float], crs: Any) -> tuple[float, float, float, float] | None:
    # Along the edges, since the northernmost point of a box need not be a corner.
    left, bottom, right, top = bounds
    steps = np.linspace(0, 1, 101)
    x, y = left + (right - left) * steps, bottom + (top - bottom) * steps
    side = np.ones(101)
    return _degrees(
        np.concatenate([x, x, left * side, right * side]), np.concatenate([bottom * side, top * side, y, y]), crs
    )


def _degrees(x: np.ndarray, y: np.ndarray, crs: Any) -> tuple[float, float, float, float] | None:
    if not x.size:
        return None
    longitude, latitude = to_crs(x, y, source=crs, target=DEGREES)
    if not (np.isfinite(longitude).all() and np.isfinite(latitude).all()):
        return None
    return float(longitude.min()), float(latitude.min()), float(longitude.max()), float(latitude.max())
