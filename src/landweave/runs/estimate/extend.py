"""``landweave estimate draw --extend``: more units for a sample that is labelled already, in part or wholly."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from landweave.errors import InputError
from landweave.labels.verdicts.geopackage import recover
from landweave.labels.verdicts.store import VerdictFile, crs_of_verdicts, read_verdicts
from landweave.legend import code_text
from landweave.maps.areas import Counted, MapGrid
from landweave.maps.stratified_sample import Drawn, draw_more
from landweave.patch.vectors.layers import open_layer, read_features
from landweave.runs.estimate.sample_file import LABEL, LAYER, read_design


@dataclass(frozen=True, kw_only=True)
class Before:
    """A sample that is to be extended."""

    path: Path
    drawn: Drawn
    """Its units, in the order of their numbers."""
    filled: dict[str, list[str | None]]
    """What its columns ``reference`` and ``remark`` hold."""
    sizes: dict[int, int]
    """Class value to number of units."""
    seed: int
    blind: bool


def read_before(path: Path, counted: Counted) -> Before:
    """Read a sample that is to be extended.

    Raises
    ------
    InputError
        When it has no design, was drawn from another map or not by strata, or lacks units.
    """
    recover(path)
    content = read_design(path) if path.exists() else None
    if content is None:
        raise InputError(f"{path}: no design to extend; give the GeoPackage written by `landweave estimate draw`.")
    if content["fingerprint"] != counted.fingerprint:
        raise InputError(
            f"{path}: the sample was drawn from another map ({content['map']}); extend it with that map, or draw anew."
        )
    if content.get("plan") is not None:
        raise InputError(f"{path}: only stratified random samples can be extended; draw a larger sample anew.")
    units = content["units"]
    drawn = Drawn(
        stratum=np.array(units["stratum"], "uint8"), row=np.array(units["row"], "int64"),
        column=np.array(units["column"], "int64"),
    )  # fmt: skip
    layer = open_layer(path, what="the sample", layer=LAYER, encoding=None, column=LABEL, crs=None)
    read = dict(zip(layer.columns, read_features(layer, columns=layer.columns).values, strict=True))
    if "id" not in read or LABEL not in read:
        raise InputError(f"{path}: the layer {LAYER!r} needs the columns id and {LABEL}; put them back.")
    at = {code_text(name): i for i, name in enumerate(read["id"])}
    lacking = [name for name in map(str, units["id"]) if name not in at]
    if lacking:
        raise InputError(f"{path}: {len(lacking)} drawn units are missing, such as id {lacking[0]}; put them back.")
    order = [at[str(name)] for name in units["id"]]
    filled = {name: [code_text(read[name][i]) or None for i in order] for name in (LABEL, "remark") if name in read}
    return Before(
        path=path, drawn=drawn, filled=filled, seed=int(content["seed"]), blind="stratum" not in read,
        sizes={int(s["value"]): int(s["drawn"]) for s in content["strata"]},
    )  # fmt: skip


def extended(
    before: Before, grid: MapGrid, sizes: Mapping[int, int], *, pixels: Mapping[int, int], names: Mapping[int, str]
) -> Drawn:
    """All units of the larger sample: those before in their order, then the further ones in random order.

    Raises
    ------
    InputError
        When no class gets further units, or one would get fewer.
    """
    for value, n in before.sizes.items():
        if sizes.get(value, 0) < n:
            raise InputError(
                f"{before.path}: class {names.get(value, str(value))!r} has {n} units already, more than "
                f"{sizes.get(value, 0)}; --extend only adds units."
            )
    more = {value: n - before.sizes.get(value, 0) for value, n in sizes.items()}
    if not any(more.values()):
        raise InputError(f"{before.path}: the sample has as many units already; ask for more.")
    fresh = draw_more(grid, more, pixels=pixels, seed=before.seed, before=before.drawn)
    return Drawn(
        **{
            name: np.concatenate([getattr(before.drawn, name), getattr(fresh, name)])
            for name in ("stratum", "row", "column")
        }
    )


def copy_verdicts(source: Path, target: Path) -> None:
    """Verdicts of a sample that was labelled in the browser, into the larger one; units keep their numbers."""
    crs = crs_of_verdicts(source)
    if crs is None:
        return
    file = VerdictFile(target, crs=crs)
    for verdict in read_verdicts(source):
        file.put(verdict)


def how_extended(how: Mapping[str, Any], before: Before) -> dict[str, Any]:
    """What the design says of the draw."""
    return {**how, "seed": before.seed, "extends": len(before.drawn.row)}
