"""A finished run as an open data set: which variables and files are copied, with a card and a project."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from landweave.errors import InputError
from landweave.maps.dataset import (
    CHECKSUMS,
    COLLECTION,
    EOPATCH,
    UNFINISHED,
    ZARR,
    Shared,
    checksum_of,
    checksums_in,
    standing,
    write_checksums,
    write_collection,
    write_item,
)
from landweave.patch.eopatch.writing import write_dataset
from landweave.patch.model import TIME, X, Y
from landweave.patch.store import DATA_SET, write_json, write_patch, write_text
from landweave.runs import layout
from landweave.runs.fetch.strips import reasons_of
from landweave.runs.pipeline.status import refuse_stale
from landweave.runs.project.area import area_of
from landweave.runs.project.plan import Plan
from landweave.runs.project.settings import Project
from landweave.runs.publish.attributes import CLASSES, CONFIDENCE, LEFT_OUT, attributed, numbers_of
from landweave.runs.publish.card import CARD, data_card, legend_text, project_text, readme_text
from landweave.runs.results.run import FinishedRun, open_run
from landweave.sources.patchwise.datasets import is_collection

if TYPE_CHECKING:
    from landweave.patch.grid import Cell

AREA = "area.geojson"
NO_LICENCE = "not stated: whoever publishes this must say on what terms imagery and reference may be used"


def publish_dataset(
    project: str | Path | Project,
    folder: str | Path,
    *,
    eopatches: bool = False,
    licence: str | None = None,
    told: Callable[[int, int], None] | None = None,
    allow_code: bool = False,
) -> Path:
    """Write a finished run as an open data set; one that was broken off, or has changed since, is taken up.

    Parameters
    ----------
    project
        A project whose run is done.
    folder
        Where the data set goes: new, empty, or an earlier data set, finished or not. Of that, patches that are whole
        and hold what the run holds are left as they are; the others are replaced one by one.
    eopatches
        Patches as eo-learn's EOPatch folders instead of Zarr.
    licence
        On what terms the data may be used, as an SPDX identifier or in words.
    told
        Called with patches written and patches in all.
    allow_code
        As for :func:`landweave.read_project`.

    Returns
    -------
    pathlib.Path
        ``folder``: ``README.md``, ``data-card.json``, ``collection.json`` with an item a patch, ``legend.toml``,
        ``landweave.toml`` that reads it all back, ``checksums.sha256``, and the patches. Equal runs give equal bytes.

    Raises
    ------
    InputError
        Where the run has no map yet, or is stale; where a patch's imagery was let go, or the folder holds something
        else.
    """
    run, folder = open_run(project, allow_code=allow_code), Path(folder)
    _check(run, folder)
    if run.plan.project.source.undated:
        raise InputError(
            f"{run.plan.project.file}: the date of the images is not known, and items of a data set state it; write "
            "the date into the table of images, remove source.undated, and run again."
        )
    unmapped = refuse_stale(run)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / UNFINISHED).touch()
    (folder / CHECKSUMS).unlink(missing_ok=True)
    shared: list[Shared] = []
    checksums: dict[str, str] = {}
    for number, cell in enumerate(run.cells):
        patch, files = _share(run, cell, folder, eopatches=eopatches, mapped=cell.name not in unmapped)
        shared.append(patch)
        checksums |= {f"{patch.href}/{name}": checksum for name, checksum in files.items()}
        if told is not None:
            told(number + 1, len(run.cells))
    _clear(folder, {Path(patch.href).name for patch in shared} | {f"{patch.name}.json" for patch in shared})
    card = data_card(run, licence or NO_LICENCE, eopatches=eopatches, unmapped=unmapped)
    write_collection(
        folder, shared, title=card["title"], description=card["what"], licence=licence or "",
        notes={"landweave:card": f"./{CARD}"},
    )  # fmt: skip
    write_json(folder / CARD, card, ensure_ascii=False)
    write_text(folder / "legend.toml", legend_text(run.plan.legend))
    buffer = _write_area(run, folder)
    copied = _copy_given(run, folder)
    write_text(folder / "landweave.toml", project_text(run.plan, eopatches=eopatches, buffer=buffer))
    write_text(folder / "README.md", readme_text(card, eopatches=eopatches))
    made = [COLLECTION, CARD, "legend.toml", "landweave.toml", "README.md", *copied]
    made += [f"items/{patch.name}.json" for patch in shared] + ([AREA] if buffer is not None else [])
    write_checksums(folder, checksums, made)
    (folder / UNFINISHED).unlink()
    return folder


def _check(run: FinishedRun, folder: Path) -> None:
    if not (run.folder / layout.MAP).exists():
        raise InputError(f"{run.folder}: there is no map; make it with `landweave run`.")
    strange = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if strange and not (is_collection(folder / COLLECTION) or (folder / UNFINISHED).exists()):
        raise InputError(f"{folder}: the folder contains files that are not a data set; choose an empty folder.")
    for cell in run.cells:
        stored = run.folder / layout.stack(cell.name)
        if run.plan.project.source.stores and not stored.exists():
            raise InputError(
                f"{stored}: the imagery of this patch is missing; set source.keep = true and run the project again."
            )


def _clear(folder: Path, kept: set[str]) -> None:
    # What an earlier data set held here and this one does not, and what a killed process had begun to write.
    begun = folder.glob(".*.part*")
    for old in [*(folder / "patches").iterdir(), *(folder / "items").glob("*.json"), *begun]:
        if old.name not in kept:
            shutil.rmtree(old) if old.is_dir() else old.unlink()


def _share(
    run: FinishedRun, cell: "Cell", folder: Path, *, eopatches: bool, mapped: bool
) -> tuple[Shared, dict[str, str]]:
    """A patch of the data set, written where it does not stand there already, and the checksums of its files."""
    patch = run.patch(cell.name)
    # Only what every run gives again: pixels, no notes of how they were stored.
    patch = patch.drop_attrs(deep=False)
    if not mapped:
        # What lies there is an earlier run's, if anything does.
        patch = patch.drop_vars(["prediction", "confidence", "prediction_oof"], errors="ignore")
    patch[LEFT_OUT] = ((TIME, Y, X), reasons_of(run.plan, patch))
    bands = tuple(run.plan.recipe.source_bands)
    patch = patch[_in_order(run.plan, patch)]
    if not eopatches:
        patch = attributed(patch, run.plan.legend, bands=bands)
    href = f"patches/{cell.name}" if eopatches else f"patches/{cell.name}.zarr"
    features = _features(run.plan, patch) if eopatches else {}
    made_from = _print(patch, [href, list(features.items())])
    files = standing(folder, cell.name, href, made_from)
    if files is None:
        if eopatches:
            write_dataset(folder / href, patch, features)
        else:
            write_patch(patch, folder / href)
        files = checksums_in(folder / href)
    shared = Shared(
        name=cell.name, href=href, media_type=EOPATCH if eopatches else ZARR, geobox=cell.geobox,
        times=tuple(date.isoformat() for date in run.plan.dates),
        variables={str(name): variable.dtype.name for name, variable in patch.data_vars.items()},
        dated=tuple(str(name) for name, variable in patch.data_vars.items() if TIME in variable.dims),
        content=checksum_of(files), made_from=made_from, numbers=numbers_of(patch, bands=bands),
    )  # fmt: skip
    # Last: until it stands, the files are not known to be whole.
    write_item(folder, shared)
    return shared, files


def _in_order(plan: Plan, patch: xr.Dataset) -> list[str]:
    """The patch's variables: bands, masks, what was made of them; the same order each time."""
    known = [*plan.variables, LEFT_OUT, *CLASSES, CONFIDENCE]
    names = sorted(map(str, patch.data_vars))
    return sorted(names, key=lambda name: known.index(name) if name in known else len(known))


def _print(patch: xr.Dataset, form: Any) -> str:
    """Fingerprint of a patch's pixels themselves, whatever they came from, and of what decides the files' bytes."""
    import numcodecs
    import zarr

    import landweave

    versions = [landweave.__version__, zarr.__version__, numcodecs.__version__]
    digest = hashlib.sha256(json.dumps([DATA_SET, versions, form]).encode())
    # Zarr lists arrays in the order in which they answer.
    for name in sorted(map(str, patch.variables)):
        variable = patch.variables[name]
        facts = [name, variable.dims, variable.dtype.str, variable.shape, variable.attrs]
        digest.update(json.dumps(facts, default=str, sort_keys=True).encode())
        digest.update(variable.values.tobytes())
    return digest.hexdigest()


def _features(plan: Plan, patch: xr.Dataset) -> dict[tuple[str, str], list[str]]:
    bands = list(plan.recipe.source_bands)
    dated = [name for name in plan.variables if name not in bands]
    features = {("data", "BANDS"): bands}
    features |= {("mask" if name in plan.source.categorical else "data", name): [name] for name in dated}
    features["mask", LEFT_OUT] = [LEFT_OUT]
    layers = {"reference": "LULC", "prediction": "PREDICTION", "confidence": "CONFIDENCE", "prediction_oof": "HELD_OUT"}
    return features | {("mask_timeless", layers[name]): [name] for name in layers if name in patch}


def _copy_given(run: FinishedRun, folder: Path) -> list[str]:
    """Copy layers without time, and a model that the project does not train; names of the folders that they are in."""
    for name in ("static", "model"):
        shutil.rmtree(folder / name, ignore_errors=True)
    copied = []
    for path in run.plan.project.features.static:
        (folder / "static").mkdir(exist_ok=True)
        shutil.copyfile(run.plan.project.path(path), folder / "static" / Path(path).name)
        copied = ["static"]
    if run.plan.reference is None:
        given = run.plan.project.model.path
        shutil.copytree(run.plan.project.path(given) if given else run.folder / layout.MODEL, folder / "model")
        copied.append("model")
    return copied


def _write_area(run: FinishedRun, folder: Path) -> float | None:
    """Keep the area of interest, where patches were cut by one; its buffer, metres, and None without one."""
    import shapely

    area, buffer = area_of(run.plan.project), run.plan.project.area.buffer
    cut = [cell for cell in run.cells if cell.area is not None]
    path = folder / AREA
    path.unlink(missing_ok=True)
    if not cut:
        return None
    if area is None:
        # Cut by the imagery's own extent, of which each patch has its part.
        parts = [_in_degrees(cell.geobox.extent.geom if cell.area is None else cell.area, cell) for cell in run.cells]
        area, buffer = shapely.union_all(parts), 0.0
    write_json(path, {"type": "Feature", "properties": {}, "geometry": json.loads(shapely.to_geojson(area))})
    return buffer


def _in_degrees(shape: Any, cell: "Cell") -> Any:
    from odc.geo.geom import Geometry

    return Geometry(shape, cell.geobox.crs).to_crs("EPSG:4326").geom
