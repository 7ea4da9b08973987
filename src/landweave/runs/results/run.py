"""What a finished run can answer, read from its output folder."""

import datetime
import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from landweave.engine.ledger import Ledger
from landweave.engine.lock import LedgerError
from landweave.errors import InputError
from landweave.labels.units import unit_ids, unit_name
from landweave.patch.grid import Cell
from landweave.patch.model import NODATA
from landweave.patch.staging import read_quicklook
from landweave.patch.store import read_date, read_patch, read_raster, read_table
from landweave.patch.summary import Shown, listed, span
from landweave.runs import layout
from landweave.runs.project.plan import Plan, make_plan
from landweave.runs.project.settings import Project, read_project
from landweave.runs.results.compared import Compared
from landweave.runs.results.outputs import RunOutputs
from landweave.runs.sample.assignment import Assignment, fold_folders

if TYPE_CHECKING:
    import pandas as pd

TRUE_COLOUR = ("B04", "B03", "B02")


@dataclass(frozen=True, kw_only=True, repr=False)
class FinishedRun(Shown, RunOutputs):
    """A run's outputs, by name; made by :func:`open_run`."""

    plan: Plan
    cells: tuple[Cell, ...]
    fractions: Mapping[str, Sequence[float]] | None = None
    """Patch to the share of its pixels that count on each date; None: as ``run.json`` has it."""
    taught: Assignment | None = None
    """Who trained and who tested; None: as the ledger has it (see :attr:`assignment`)."""

    def _summary(self) -> Mapping[str, object]:
        return {
            "project": self.plan.project.name,
            "folder": self.folder,
            "patches": len(self.cells),
            "dates": span(self.plan.dates),
            "classes": listed(list(self.plan.legend.names.values()), 10),
            "accuracy": "measured" if self.has_accuracy else "not measured",
        }

    @property
    def folder(self) -> Path:
        """The output folder."""
        return self.plan.folder

    @property
    def has_accuracy(self) -> bool:
        """Whether there are figures: something to be measured by, and measured."""
        learns = self.plan.reference is not None or self.plan.project.training is not None
        return learns and (self.folder / layout.ACCURACY).exists()

    @property
    def accuracy(self) -> dict[str, Any]:
        """The content of ``accuracy.json``; InputError where the run has none."""
        path = self.folder / layout.ACCURACY
        if not self.has_accuracy:
            raise InputError(f"{path}: this run has no accuracy figures; make them with `landweave run`.")
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content

    @property
    def importance(self) -> dict[str, Any]:
        """The content of ``importance.json``, which may be no more than a ``reason``; InputError without the file."""
        path = self.folder / layout.IMPORTANCE
        if not self.has_accuracy or not path.exists():
            raise InputError(f"{path}: this run has no importance figures; make them with `landweave run`.")
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content

    @cached_property
    def assignment(self) -> Assignment | None:
        """Who trained and who tested; None before training, for a table of series, on an unreadable ledger."""
        path = self.folder / layout.LEDGER
        if self.taught is not None or self.plan.reference is None or not path.exists():
            return self.taught
        try:
            with Ledger(path, exclusive=False) as ledger:
                entry = ledger.get("train")
        except LedgerError:
            return None
        content = None if entry is None else entry.info.get("assignment")
        return None if content is None else Assignment.from_json(content)

    def compared(self, cell: Cell) -> Compared | None:
        """The reference of a patch, and the prediction that it is compared with, wherever the two are compared.

        A model agrees too easily with pixels that it was trained on, so:

        1. Without a reference, its file or a prediction nothing is compared: None.
        2. With a model from elsewhere (``model.path``; a split of kind ``given``) the map is compared: that model saw
           none of these pixels. With a split of kind ``none`` it is the map too, and the figures are in-sample.
        3. With any other split it is the prediction out of fold. Units that no model can be asked about, since every
           model was trained with them, are left out.
        4. Where the ledger does not say how the run was split, it is the prediction out of fold where there is one,
           else the map.
        """
        labels, mapped, apart = (
            self.folder / name
            for name in (layout.labels(cell.name), layout.prediction(cell.name), layout.out_of_fold(cell.name))
        )
        if self.plan.reference is None or not labels.exists() or not mapped.exists():
            return None
        assignment = self.assignment
        kind = "given" if self.plan.project.model.path else assignment.kind if assignment is not None else ""
        if kind in {"given", "none"} or (not kind and not apart.exists()):
            return Compared(labels_file=labels, predicted_file=mapped, held_out=False)
        if not apart.exists():
            everything = np.ones(cell.geobox.shape, bool)
            return Compared(labels_file=labels, predicted_file=mapped, held_out=False, left_out=everything)
        left_out = None
        if assignment is not None:
            cut = self.plan.cut
            units = [unit_name(cell.name, number, cut) for number in range(cut * cut)]
            known = fold_folders(assignment, units)
            unknown = [number for number, unit in enumerate(units) if unit not in known]
            left_out = np.isin(unit_ids(cell.geobox.shape, cut), unknown) if unknown else None
        return Compared(labels_file=labels, predicted_file=apart, held_out=True, left_out=left_out)

    def patch(self, name: str) -> xr.Dataset:
        """All that is known of a patch.

        Returns
        -------
        xarray.Dataset
            Bands int16 in 1e-4 reflectance and masks uint8, (time, y, x); and as far as they were made
            ``reference``, ``prediction``, ``confidence`` and ``prediction_oof``, uint8 (y, x).
        """
        cell = self._cell(name)
        patch = self._imagery(cell)
        for layer, values in self.layers(name).items():
            patch[layer] = (("y", "x"), values)
        return patch

    def layers(self, name: str) -> dict[str, np.ndarray]:
        """Of a patch ``reference``, ``prediction``, ``confidence``, ``prediction_oof``, where made: uint8 (y, x).

        ``prediction_oof`` is there where :meth:`compared` compares with it, and 0 in units that it leaves out.
        """
        cell = self._cell(name)
        found: dict[str, np.ndarray] = {}
        layers = {
            "reference": (layout.labels(name), 0), "prediction": (layout.prediction(name), 0),
            "confidence": (layout.prediction(name), 1),
        }  # fmt: skip
        for layer, (file, band) in layers.items():
            path = self.folder / file
            made = self.plan.reference is not None or layer != "reference"
            if made and path.exists():
                found[layer] = read_raster(path)[band]
        compared = self.compared(cell)
        if compared is not None and compared.held_out:
            predicted = compared.predicted
            left_out = compared.left_out
            found["prediction_oof"] = predicted if left_out is None else np.where(left_out, 0, predicted)
        return found

    def clearest_image(self, name: str, *, side: int | None = None) -> np.ndarray | None:
        """True colour of a patch's clearest date, uint8 (y, x, 3); None without the three bands.

        Imagery without red, green and blue is shown by its first three variables, or its first in grey. A quicklook
        of half the resolution is taken where there is one and ``side`` pixels suffice: it costs no imagery.
        """
        day = self.clearest_date(name)
        look = self.quicklook(name, day)
        if look is not None and side is not None and max(look.shape) >= 2 * side:
            return look
        bands = self.colours(name, day)
        return look if bands is None else stretch(bands)

    def colours(self, name: str, day: datetime.date) -> np.ndarray | None:
        """Red, green and blue of a patch on a date, or what stands for them: int16 (b, y, x), one or three bands.

        None where there is no band, and where the patch's imagery was let go.
        """
        cell, path = self._cell(name), self.folder / layout.stack(name)
        have = tuple(self.plan.recipe.source_bands)
        if self.plan.project.source.stores:
            number = self.plan.dates.index(day)
            image = read_date(path, TRUE_COLOUR, number) if path.exists() else None
            return read_date(path, have[:3], number) if image is None and have and path.exists() else image
        bands = TRUE_COLOUR if set(TRUE_COLOUR) <= set(self.plan.source.variables) else have[:3]
        if not bands:
            return None
        loaded = self.plan.source.load(cell.geobox, [day], bands)
        return np.stack([loaded[band].values[0] for band in bands])

    def quicklook(self, name: str, day: datetime.date) -> np.ndarray | None:
        """The 8-bit picture of a date that was kept with a patch, uint8 (y, x, 3), missing white; None without one."""
        path = self.folder / layout.quicklook(name, day)
        return read_quicklook(path, self._cell(name).geobox) if path.exists() else None

    def clearest_date(self, name: str) -> datetime.date:
        """The date with the largest share of valid pixels in a patch; the first date where that is not known."""
        return self.plan.dates[int(np.argmax(self.valid_fractions(name)))]

    def valid_fractions(self, name: str) -> list[float]:
        """Share of a patch's pixels that count, on each date; nan for all dates of a patch that has no record of it."""
        if self.fractions is None:
            from landweave.runs.results.record import read_record

            seen = read_record(self.folder / layout.RECORD).get("patches", {}).get(name, {})
            found = seen.get("valid_fraction")
        else:
            found = self.fractions.get(name)
        return list(found or [math.nan] * len(self.plan.dates))

    def samples(self) -> "pd.DataFrame":
        """The training table, as in ``samples.parquet``."""
        return read_table(self.folder / layout.SAMPLES)

    def out_of_fold(self) -> "pd.DataFrame":
        """Training rows with their held-out probabilities: the samples' columns but features, ``seen``, ``p_<value>``.

        Each row was predicted by a model that never saw its patch; others are left out.
        """
        from landweave.runs.sample.table import read_rows

        rows, table = read_rows(self.folder), read_table(self.folder / layout.HELD_OUT)
        columns = ["seen", *(f"p_{value}" for value in self.plan.legend.values)]
        joined = rows.join(table[columns])
        known = (joined["split"] == "train") & joined[columns].notna().all(axis=1)
        return joined[known].reset_index(drop=True)

    def _imagery(self, cell: Cell) -> xr.Dataset:
        stored = self._stored(cell)
        if stored is not None:
            return stored.load()
        return self.plan.source.load(cell.geobox, self.plan.dates, self.plan.variables)

    def _stored(self, cell: Cell) -> xr.Dataset | None:
        """A patch kept on disk, not loaded yet; None where none is kept."""
        path = self.folder / layout.stack(cell.name)
        return read_patch(path) if self.plan.project.source.stores and path.exists() else None

    def _cell(self, name: str) -> Cell:
        for cell in self.cells:
            if cell.name == name:
                return cell
        some = ", ".join(cell.name for cell in self.cells[:5])
        raise InputError(f"{self.folder}: no patch {name!r}; there are {len(self.cells)}, such as {some}.")


def open_run(project: str | Path | Project, *, allow_code: bool = False) -> FinishedRun:
    """Open what a run has made.

    Parameters
    ----------
    project
        A project file, its folder, or a project that was read.
    allow_code
        As for :func:`landweave.read_project`, where a file is read.

    Raises
    ------
    InputError
        When the project cannot be read.
    """
    if not isinstance(project, Project):
        project = read_project(project, allow_code=allow_code)
    elif allow_code:
        project = project.model_copy(update={"allow_code": True})
    plan, cells = make_plan(project)
    return FinishedRun(plan=plan, cells=tuple(cells))


DECIDING = {
    "period": ("start", "end"),
    "area": ("resolution", "patch_size", "crs"),
    "source": ("type", "clouds", "mask", "snow"),
}
"""Settings without which files of a run cannot be read as what they are, by section."""


def check_same_project(run: FinishedRun) -> None:
    """Hold a project against the run whose outputs it is asked to read.

    Numbers of dates, bands and patches are looked up by what the project says now, in files that were written by what
    it said then. What the run did not note is not held against it, and nothing is where there was no run.

    Raises
    ------
    InputError
        When period, grid, masks, bands, dates or patches are no longer those of the run.
    """
    from landweave.runs.results.record import read_record

    record = read_record(run.folder / layout.RECORD)
    before, now = record.get("settings", {}), run.plan.project.model_dump(mode="json")
    changed = [
        section
        for section, names in DECIDING.items()
        if any(name in (before.get(section) or {}) and before[section][name] != now[section][name] for name in names)
    ]
    features = before.get("features", {})
    if {"bands", "indices", "custom"} <= features.keys():
        recipe = replace(
            run.plan.recipe, bands=tuple(features["bands"]), indices=tuple(features["indices"]),
            custom=tuple(features["custom"].items()),
        )  # fmt: skip
        changed += ["bands"] if recipe.source_bands != run.plan.recipe.source_bands else []
    if "dates" in record and record["dates"] != [str(day) for day in run.plan.dates]:
        changed.append("dates")
    if record and (named := _patches_of_run(run.folder)) is not None and named != {cell.name for cell in run.cells}:
        changed.append("patches")
    if changed:
        raise InputError(
            f"{run.plan.project.file}: the project has changed since the run ({', '.join(changed)}); "
            "run `landweave run` first."
        )


def _patches_of_run(folder: Path) -> set[str] | None:
    """Names of the patches that a run set out to make; None where no table tells them."""
    path = (folder / layout.GRID).resolve()
    try:
        # A table is a table: importing what reads outlines takes longer than all the rest.
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as file:
            return {name for (name,) in file.execute("SELECT name FROM grid")}
    except sqlite3.Error:
        return None


def stretch(bands: np.ndarray) -> np.ndarray:
    """Bands as a picture: the 2-98 % range of all bands to 0..255, a square root for the shadows, missing white.

    Parameters
    ----------
    bands
        int16 (b, y, x) with one or three bands.

    Returns
    -------
    numpy.ndarray
        uint8 (y, x, 3).
    """
    bands = bands[:3] if len(bands) >= 3 else bands[:1]
    known = bands != NODATA
    if not known.any():
        return np.full((*bands.shape[1:], 3), 255, "uint8")
    low, high = np.percentile(bands[known], (2, 98))
    share = np.clip((bands.astype("float32") - low) / max(high - low, 1), 0, 1) ** 0.8
    picture = np.where(known.all(axis=0), np.rint(share * 255), 255).astype("uint8")
    shown: np.ndarray = np.moveaxis(np.broadcast_to(picture, (3, *picture.shape[1:])), 0, -1)
    return shown
