"""A stored patch in strips: every shard written or read once, straight from or into the arrays of its strip.

Zarr's own code, made for any layout, copies each chunk several times on its way and starts a task for each; for the
one layout that :func:`landweave.patch.staging.assemble` writes, what is done here takes less than half the time.
Everything else is left to Zarr.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from landweave.errors import InputError, named, parsed
from landweave.patch.model import TIME, X, Y

_BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
_ABSENT = 2**64 - 1
_FILL = 0

_SIZE = slice(4, 8)
"""Where a chunk of Blosc's says how many bytes it unpacks to."""

_SIDE = 64
"""Columns of a chunk."""

_LEVEL = 2
"""Of Blosc, which makes zstd's third of it: another takes twice the time for a hundredth of the bytes."""


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Some rows of a patch."""

    bands: np.ndarray
    """int16 (band, time, y, x)."""

    masks: Mapping[str, np.ndarray]
    """The other variables, (time, y, x)."""


def strip_reader(
    path: str | Path, *, bands: Sequence[str], masks: Sequence[str] = (), dates: Sequence[int] | None = None
) -> Callable[[slice], Strip]:
    """A function that reads rows of a patch kept as Zarr.

    Parameters
    ----------
    path
        The Zarr folder.
    bands
        Variables int16 (time, y, x) that become :attr:`Strip.bands`.
    masks
        Other variables (time, y, x).
    dates
        Positions on the time axis, rising; all by default.

    Returns
    -------
    callable
        Given rows, returns their :class:`Strip`. Its arrays are good until the function has been called twice more:
        then they are written over. So it may read one strip ahead of those who work on them, in another thread.

    Raises
    ------
    InputError
        When a variable is not stored there; from the function, when a file of it is damaged.
    """
    layers = {name: _layer(Path(path), name) for name in (*bands, *masks)}
    turns: list[dict[str, np.ndarray]] = [{}, {}]

    def read(rows: slice) -> Strip:
        turns.reverse()
        kept = turns[0]
        some = [layers[name] for name in bands]
        cube = _room(kept, "", (len(some), *_shape(some, rows, dates)), "int16")
        for layer, block in zip(some, cube, strict=True):
            layer.read(rows, dates, block)
        for name in masks:
            layers[name].read(rows, dates, _room(kept, name, _shape([layers[name]], rows, dates), layers[name].dtype))
        return Strip(bands=cube, masks={name: kept[name] for name in masks})

    return read


def _shape(layers: Sequence[Any], rows: slice, dates: Sequence[int] | None) -> tuple[int, int, int]:
    if not layers:
        return (0 if dates is None else len(dates), rows.stop - rows.start, 0)
    times, _, width = layers[0].shape
    return (times if dates is None else len(dates), rows.stop - rows.start, width)


def _room(kept: dict[str, np.ndarray], name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array to read into: the one that was used before, since memory that is given back comes back cleared."""
    if name not in kept or kept[name].shape != shape:
        kept[name] = np.empty(shape, dtype)
    return kept[name]


def describe(folder: Path, shape: tuple[int, int, int], dtype: str, *, rows: int) -> None:
    """Begin a variable of a patch: a Zarr array whose shards :func:`write_shard` writes.

    Parameters
    ----------
    folder
        Of the variable; made.
    shape
        (time, y, x).
    dtype
        ``int16`` or ``uint8``.
    rows
        Of a shard and of a chunk, which hold all dates.
    """
    times, _, width = shape
    size = np.dtype(dtype).itemsize
    blosc = {"typesize": size, "cname": "zstd", "clevel": _LEVEL, "shuffle": "bitshuffle", "blocksize": 0}
    sharding = {
        "chunk_shape": [times, rows, _SIDE],
        "codecs": [_BYTES if size > 1 else {"name": "bytes"}, {"name": "blosc", "configuration": blosc}],
        "index_codecs": [_BYTES, {"name": "crc32c"}],
        "index_location": "end",
    }
    facts = {
        "shape": list(shape),
        "data_type": dtype,
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": [times, rows, -(-width // _SIDE) * _SIDE]},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": _FILL,
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        "attributes": {"coordinates": "spatial_ref"},
        "dimension_names": [TIME, Y, X],
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }
    (folder / "c" / "0").mkdir(parents=True)
    (folder / "zarr.json").write_text(json.dumps(facts, indent=2), encoding="utf-8")


def write_shard(folder: Path, number: int, block: np.ndarray, *, rows: int) -> None:
    """Write rows of a variable that :func:`describe` began.

    Parameters
    ----------
    folder
        Of the variable.
    number
        The shard's, from the top.
    block
        (time, y, x), all columns, ``rows`` rows or, of the last shard, fewer.
    rows
        Of a whole shard.
    """
    import google_crc32c
    from numcodecs.blosc import BITSHUFFLE, Blosc

    codec = Blosc(cname="zstd", clevel=_LEVEL, shuffle=BITSHUFFLE)
    width = block.shape[2]
    packed, table, offset = [], [], 0
    for left in range(0, width, _SIDE):
        part = block[:, :, left : left + _SIDE]
        if not part.any():
            # As Zarr has it: chunks of nothing but the fill value are not written.
            table += [_ABSENT, _ABSENT]
            continue
        chunk = np.full((block.shape[0], rows, _SIDE), _FILL, block.dtype)
        chunk[:, : part.shape[1], : part.shape[2]] = part
        packed.append(codec.encode(chunk))
        table += [offset, len(packed[-1])]
        offset += len(packed[-1])
    if not packed:
        return
    index = np.array(table, "<u8").tobytes()
    place = folder / "c" / "0" / str(number)
    place.mkdir()
    (place / "0").write_bytes(b"".join([*packed, index, google_crc32c.value(index).to_bytes(4, "little")]))


@dataclass(frozen=True, kw_only=True)
class _Sharded:
    """A variable in the layout that is known here."""

    folder: Path
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    fill: int
    shard: tuple[int, int, int]
    chunk: tuple[int, int, int]

    def read(self, rows: slice, dates: Sequence[int] | None, out: np.ndarray) -> None:
        for number in range(rows.start // self.shard[1], -(-rows.stop // self.shard[1])):
            top = number * self.shard[1]
            first, last = max(rows.start, top), min(rows.stop, top + self.shard[1])
            self._decode(number, slice(first - top, last - top), dates, out[:, first - rows.start : last - rows.start])

    def _decode(self, number: int, rows: slice, dates: Sequence[int] | None, out: np.ndarray) -> None:
        path = self.folder / "c" / "0" / str(number) / "0"
        if not path.exists():
            out[:] = self.fill
            return
        with named(path):
            raw = path.read_bytes()
        width = self.chunk[2]
        view, chunk = memoryview(raw), np.empty(self.chunk, self.dtype)
        try:
            for column, (offset, size) in enumerate(self._index(raw)):
                place = out[:, :, column * width : (column + 1) * width]
                if not place.size:
                    break
                if offset == _ABSENT:
                    place[:] = self.fill
                    continue
                _unpack(view[offset : offset + size], chunk)
                part = chunk[:, rows, : place.shape[2]]
                place[:] = part if dates is None else part[list(dates)]
        except (RuntimeError, ValueError) as error:
            raise InputError(f"{path}: damaged ({error}); remove it and run again.") from None

    def _index(self, raw: bytes) -> list[list[int]]:
        """Offset and size of each chunk; the last four bytes guard the table against damage."""
        import google_crc32c

        size = 16 * (self.shard[2] // self.chunk[2])
        table, guard = raw[-size - 4 : -4], int.from_bytes(raw[-4:], "little")
        if len(table) != size or google_crc32c.value(table) != guard:
            raise ValueError("its table of chunks is incomplete")
        return np.frombuffer(table, "<u8").reshape(-1, 2).tolist()


def _unpack(packed: memoryview, chunk: np.ndarray) -> None:
    from numcodecs.blosc import Blosc

    # Blosc fills what a shorter chunk holds, and leaves the rest as it was.
    if int.from_bytes(packed[_SIZE], "little") != chunk.nbytes:
        raise ValueError("a chunk of it is incomplete")
    Blosc().decode(packed, out=chunk)


@dataclass(frozen=True, kw_only=True)
class _Plain:
    """A variable in any other layout."""

    path: Path
    array: Any

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.array.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype  # type: ignore[no-any-return]

    def read(self, rows: slice, dates: Sequence[int] | None, out: np.ndarray) -> None:
        with named(self.path):
            out[:] = self.array[:, rows] if dates is None else self.array.oindex[list(dates), rows]


def _layer(path: Path, name: str) -> _Sharded | _Plain:
    try:
        facts = parsed(json.loads, (path / name / "zarr.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no variable {name}.") from None
    except ValueError as error:
        raise InputError(f"{path / name}: zarr.json is damaged ({error}); remove {path.name} and run again.") from None
    known = _known(path / name, facts)
    if known is not None:
        return known
    import zarr

    return _Plain(path=path / name, array=zarr.open_array(path / name, mode="r"))


def _known(folder: Path, facts: Mapping[str, Any]) -> _Sharded | None:
    """The facts of an array of Zarr 3, where its shards hold all dates and all columns, packed by Blosc."""
    try:
        sharding = facts["codecs"][0]["configuration"]
        layer = _Sharded(
            folder=folder,
            shape=tuple(facts["shape"]),
            dtype=np.dtype(facts["data_type"]),
            fill=facts["fill_value"],
            shard=tuple(facts["chunk_grid"]["configuration"]["chunk_shape"]),
            chunk=tuple(sharding["chunk_shape"]),
        )
        packed = sharding["codecs"]
        same = (
            [codec["name"] for codec in facts["codecs"]] == ["sharding_indexed"]
            and (packed[0] == _BYTES or layer.dtype.itemsize == 1)
            and [codec["name"] for codec in packed] == ["bytes", "blosc"]
            and sharding["index_codecs"] == [_BYTES, {"name": "crc32c"}]
            and sharding["index_location"] == "end"
            and facts["chunk_key_encoding"] == {"name": "default", "configuration": {"separator": "/"}}
            and not facts.get("storage_transformers")
            and layer.chunk[:2] == layer.shard[:2]
            and layer.shard[0] == layer.shape[0]
            and layer.shard[2] >= layer.shape[2]
        )
    except (KeyError, IndexError, TypeError):
        return None
    return layer if same else None
