"""Where the blocks of a TIFF file are, by its header, and a small file of that header and some of the blocks.

GDAL decodes the small file as it decodes the whole one: its blocks are the same bytes, and reading a block that it does
not hold fails. (TIFF 6.0 and BigTIFF; the ghost area of cloud-optimised files describes distances between blocks, which
are other ones here, and is hidden.)
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

LONGEST = 8 << 20
"""Bytes of the longest header; of others, and of those that do not come first in a file, GDAL reads what it needs."""

MOST_LEVELS = 64

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_KINDS = {1: "u1", 3: "u2", 4: "u4", 16: "u8"}
_KIND, _WIDTH, _HEIGHT, _SAMPLES, _PLANAR, _ROWS, _ACROSS, _DOWN = 254, 256, 257, 277, 284, 278, 322, 323
_OFFSETS, _COUNTS, _NESTED = (273, 324), (279, 325), (330, 34665)
_REDUCED, _MASK = 1, 4
_GHOST = b"GDAL_STRUCTURAL"

Block = tuple[int, int]
"""Number of the level, and of the block in it."""


class StrangeTiffError(Exception):
    """No TIFF file, or one that only GDAL knows how to read."""


class ShortError(Exception):
    """The header is longer than what was given; ``stop`` says at least how long."""

    def __init__(self, stop: int) -> None:
        super().__init__(stop)
        self.stop = stop


@dataclass(frozen=True, kw_only=True)
class TiffImage:
    """One image in a file: the pixels, a smaller copy of them, or a mask."""

    shape: tuple[int, int]
    """Rows and columns."""
    block: tuple[int, int]
    """Rows and columns of a block."""
    planes: int
    """In how many layers of blocks the bands are: one, or one for each band."""
    offsets: np.ndarray
    """Byte of the file at which each block begins."""
    counts: np.ndarray
    """Bytes of each block; 0 where there is none."""
    place: int
    """Where the offsets are in the header."""
    dtype: str
    reduced: bool
    mask: bool

    def touched(self, top: int, left: int, height: int, width: int, band: int) -> list[int]:
        """Numbers of the blocks that hold a part of a band, counted from 1."""
        rows, columns = self.block
        across, down = -(-self.shape[1] // columns), -(-self.shape[0] // rows)
        bottom, right = min(top + height, self.shape[0]), min(left + width, self.shape[1])
        first = (band - 1) * across * down if self.planes > 1 else 0
        return [
            first + row * across + column
            for row in range(max(top, 0) // rows, -(-bottom // rows))
            for column in range(max(left, 0) // columns, -(-right // columns))
        ]


@dataclass(frozen=True, kw_only=True)
class Tiff:
    """A file's header."""

    header: bytes
    """All of the file up to the end of what describes it."""
    levels: tuple[TiffImage, ...]

    @property
    def is_bare(self) -> bool:
        """Whether the header holds no pixels: not where an image is described behind the pixels of another."""
        return all(
            not ((level.counts > 0) & (level.offsets > 0) & (level.offsets < len(self.header))).any()
            for level in self.levels
        )

    def part(self, top: int, left: int, height: int, width: int, band: int) -> list[Block]:
        """Blocks of a part of a band at full resolution, and of its mask, that are in the file."""
        whole = self.levels[0]
        found = [
            (number, block)
            for number, level in enumerate(self.levels)
            if number == 0 or (level.mask and not level.reduced and level.shape == whole.shape)
            for block in level.touched(top, left, height, width, 1 if level.mask else band)
        ]
        return self._stored(found)

    def coarse(self, shape: tuple[int, int] | None, band: int) -> list[Block]:
        """Blocks of the smallest copy, or of the smallest that is as large as ``shape``."""
        wanted = shape or min((level.shape for level in self.levels if not level.mask), key=lambda s: s[0] * s[1])
        large = [
            (level.shape, number, level) for number, level in enumerate(self.levels)
            if level.shape[0] >= wanted[0] and level.shape[1] >= wanted[1]
        ]  # fmt: skip
        size = min((shape for shape, _, level in large if not level.mask), default=self.levels[0].shape)
        found = [
            (number, block)
            for there, number, level in large
            if there == size
            for block in level.touched(0, 0, *there, 1 if level.mask else band)
        ]
        return self._stored(found)

    def ends(self, block: Block) -> tuple[int, int]:
        """First byte of a block in the file, and the first one behind it."""
        level = self.levels[block[0]]
        start = int(level.offsets[block[1]])
        return start, start + int(level.counts[block[1]])

    def small(self, blocks: Mapping[Block, bytes]) -> bytes:
        """A file with the same header and these blocks alone."""
        content = bytearray(self.header)
        for start in (8, 16):
            if content.startswith(_GHOST, start):
                content[start : start + 4] = b"    "
        places: dict[Block, int] = {}
        for block, data in blocks.items():
            places[block] = len(content)
            content += data
        for number, level in enumerate(self.levels):
            # Beyond the end: a block that is not here must be an error, not a hole.
            absent = (1 << 32) - (1 << 16) if level.dtype.endswith("u4") else 1 << 50
            offsets = np.where(level.counts > 0, absent, 0).astype(level.dtype)
            mine = {block[1]: place for block, place in places.items() if block[0] == number}
            offsets[list(mine)] = list(mine.values())
            content[level.place : level.place + offsets.nbytes] = offsets.tobytes()
        return bytes(content)

    def _stored(self, blocks: list[Block]) -> list[Block]:
        levels = self.levels
        return [(level, n) for level, n in blocks if levels[level].counts[n] > 0 and levels[level].offsets[n] > 0]


def parse(data: bytes, size: int) -> Tiff:
    """Read a header.

    Parameters
    ----------
    data
        The beginning of a file.
    size
        Bytes of the file.

    Raises
    ------
    ShortError
        Where more of the file is needed.
    StrangeTiffError
        For a file that is not understood, or whose header is not in its beginning.
    """
    try:
        return _parse(data, size)
    except (struct.error, ValueError, KeyError, IndexError, OverflowError) as error:
        raise StrangeTiffError(str(error)) from None


def _parse(data: bytes, size: int) -> Tiff:
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 16:
        raise StrangeTiffError("no TIFF")
    big = struct.unpack(order + "H", data[2:4])[0] == 43
    if not big and struct.unpack(order + "H", data[2:4])[0] != 42:
        raise StrangeTiffError("no TIFF")
    following = struct.unpack(order + ("Q" if big else "I"), data[8:16] if big else data[4:8])[0]
    levels, end, seen = [], 0, set[int]()
    while following:
        if following in seen or len(seen) >= MOST_LEVELS:
            raise StrangeTiffError("too many images")
        seen.add(following)
        entries, following, behind = _directory(data, following, order, big=big, size=size)
        fields = {tag: (kind, count, place) for tag, kind, count, place in entries}
        if set(_NESTED) & set(fields):
            raise StrangeTiffError("images within images")
        end = max(end, behind, *(place + count * _SIZES[kind] for _, kind, count, place in entries))
        _within(end, len(data), size)
        levels.append(_level(data, fields, order))
    if not levels or levels[0].reduced or levels[0].mask:
        raise StrangeTiffError("no image")
    return Tiff(header=data[:end], levels=tuple(levels))


def _directory(
    data: bytes, start: int, order: str, *, big: bool, size: int
) -> tuple[list[tuple[int, int, int, int]], int, int]:
    """Entries (tag, type, count, place of the values), where the next directory is, and the end of this one."""
    head, step, inline = (8, 20, 8) if big else (2, 12, 4)
    _within(start + head, len(data), size)
    count = struct.unpack_from(order + ("Q" if big else "H"), data, start)[0]
    behind = start + head + count * step + inline
    _within(behind, len(data), size)
    entries = []
    for number in range(count):
        place = start + head + number * step
        tag, kind, many = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, place)
        place += step - inline
        if many * _SIZES[kind] > inline:
            place = struct.unpack_from(order + ("Q" if big else "I"), data, place)[0]
        entries.append((tag, kind, many, place))
    following = struct.unpack_from(order + ("Q" if big else "I"), data, behind - inline)[0]
    return entries, following, behind


def _within(stop: int, there: int, size: int) -> None:
    if stop > min(size, LONGEST):
        raise StrangeTiffError("the header is not in the beginning of the file")
    if stop > there:
        raise ShortError(stop)


def _level(data: bytes, fields: Mapping[int, tuple[int, int, int]], order: str) -> TiffImage:
    def numbers(tag: int) -> np.ndarray:
        kind, count, place = fields[tag]
        return np.frombuffer(data, order + _KINDS[kind], count, place)

    def one(tag: int, default: int | None = None) -> int:
        return int(numbers(tag)[0]) if tag in fields or default is None else default

    height, width = one(_HEIGHT), one(_WIDTH)
    block = (one(_DOWN), one(_ACROSS)) if _ACROSS in fields else (min(one(_ROWS, height), height), width)
    offsets, counts = (next((tag for tag in tags if tag in fields), 0) for tags in (_OFFSETS, _COUNTS))
    planes = one(_SAMPLES, 1) if one(_PLANAR, 1) == 2 else 1
    if min(height, width, *block) < 1 or _KINDS[fields[offsets][0]] not in {"u4", "u8"}:
        raise StrangeTiffError("no grid of blocks")
    level = TiffImage(
        shape=(height, width), block=block, planes=planes, offsets=numbers(offsets), counts=numbers(counts),
        place=fields[offsets][2], dtype=order + _KINDS[fields[offsets][0]],
        reduced=bool(one(_KIND, 0) & _REDUCED), mask=bool(one(_KIND, 0) & _MASK),
    )  # fmt: skip
    blocks = -(-height // block[0]) * -(-width // block[1]) * planes
    if not len(level.offsets) == len(level.counts) == blocks:
        raise StrangeTiffError("blocks and their places do not fit")
    return level


def merged(ends: Iterator[tuple[int, int]] | list[tuple[int, int]], *, gap: int, most: int) -> list[tuple[int, int]]:
    """Ranges of bytes as few longer ones: neighbours at most ``gap`` bytes apart come together, up to ``most`` bytes.

    >>> merged([(0, 10), (12, 20), (90, 95)], gap=4, most=100)
    [(0, 20), (90, 95)]
    """
    found: list[tuple[int, int]] = []
    for start, stop in sorted(ends):
        if found and start - found[-1][1] <= gap and stop - found[-1][0] <= most:
            found[-1] = found[-1][0], max(found[-1][1], stop)
        else:
            found.append((start, stop))
    return found
