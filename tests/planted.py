"""A simulated country without files of imagery, and its planted errors held against a list of suspected ones."""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely

from landweave.sources.simulated.archive.archive import write_archive


def country_without_archive(folder, *, size_km, dates, seed, **changes):
    """Register and project of a country whose imagery is simulated as it is read."""
    write_archive(folder, size_km=size_km, dates=1, seed=seed)
    text = (folder / "landweave.toml").read_text()
    start, end = text.index("[source]"), text.index("clouds =")
    source = f'[source]\ntype = "simulated"\nsize_km = {size_km}\ndates = {dates}\nseed = {seed}\n'
    text = text[:start] + source + text[end:]
    for before, after in {'crs = "utm" ': 'crs = "native" ', **changes}.items():
        assert before in text
        text = text.replace(before, after)
    (folder / "landweave.toml").write_text(text)
    return folder


@dataclass(frozen=True, kw_only=True)
class Findings:
    """How a ranked list does against errors that are known."""

    errors: int
    """Errors of a hectare or more."""
    found: float
    """Share of them that the whole list finds."""
    length: int
    """Entries down to which the list finds the share asked for; all of them where it never does."""
    right: float
    """Share of these that meet an error of any size."""
    wrong_throughout: float
    """Share of these that are erroneous on at least half of their area."""
    by_chance: float
    """Share of all the register's pieces of that size that meet an error of any size."""


def held_against(listed, errors, register, *, share=0.8, hectares=1.0):
    """An error is found when entries of the list cover half of it; an entry meets an error where the two share half
    of the area of either."""
    pairs = _shared(listed, errors)
    large = np.flatnonzero(errors.area_ha >= hectares)
    ranks = np.full(len(errors), len(listed))
    for error in large:
        mine = pairs[pairs.error == error].sort_values("entry")
        covered = mine.area.cumsum().to_numpy() >= 0.5 * errors.area.iloc[error]
        if covered.any():
            ranks[error] = mine.entry.to_numpy()[covered.argmax()]
    wanted = np.sort(ranks[large])[int(np.ceil(share * len(large))) - 1]
    length = int(min(wanted + 1, len(listed)))
    top = np.arange(length)
    wrong = pairs.groupby("entry").area.sum().reindex(top, fill_value=0) >= 0.5 * listed.area.iloc[top].to_numpy()
    pieces = register[register.area >= listed.area.iloc[top].min()].reset_index(drop=True)
    return Findings(
        errors=len(large), found=float((ranks[large] < len(listed)).mean()), length=length,
        right=float(np.isin(top, _meeting(pairs, listed, errors)).mean()), wrong_throughout=float(wrong.mean()),
        by_chance=len(_meeting(_shared(pieces, errors), pieces, errors)) / len(pieces),
    )  # fmt: skip


def _shared(listed, errors):
    import pandas as pd

    entry, error = errors.sindex.query(listed.geometry.values, predicate="intersects")
    area = shapely.area(shapely.intersection(listed.geometry.values[entry], errors.geometry.values[error]))
    return pd.DataFrame({"entry": entry, "error": error, "area": area})


def _meeting(pairs, listed, errors):
    half = np.minimum(listed.area.to_numpy()[pairs.entry], errors.area.to_numpy()[pairs.error]) / 2
    return np.unique(pairs.entry[pairs.area.to_numpy() >= half])


def read(folder):
    """The list, the planted errors and the register of a country."""
    names = ("out/label_errors.gpkg", "register_errors.gpkg", "register.gpkg")
    return [gpd.read_file(folder / name) for name in names]


def first_on(places, truths):
    """Rank of the first place that shares half of the area of either with one of some known places; None for none."""
    meeting = _meeting(_shared(places, truths.reset_index(drop=True)), places, truths.reset_index(drop=True))
    return int(places["rank"].iloc[meeting.min()]) if len(meeting) else None


def shares_inside(folder, places):
    """Of each place, the share of its register's pixels that erosion leaves, counted on the patches' own rasters."""
    import rasterio
    from rasterio.features import geometry_mask

    whole, core = np.zeros(len(places)), np.zeros(len(places))
    for path in sorted((folder / "out" / "labels").glob("x????y????.tif")):
        with rasterio.open(path) as file:
            labels, crs, transform = file.read(), file.crs, file.transform
        for i, shape in enumerate(places.geometry.to_crs(crs)):
            here = geometry_mask([shape], labels.shape[1:], transform, invert=True)
            whole[i] += np.count_nonzero(labels[0][here])
            core[i] += np.count_nonzero(labels[1][here])
    return core / np.maximum(whole, 1)
