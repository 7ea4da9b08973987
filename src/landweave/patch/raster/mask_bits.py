"""What the bits or the values of a mask mean, as its maker names them: cloud, shadow, snow, fill."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from landweave.errors import InputError

MEANINGS = ("cloud", "shadow", "snow", "fill")
"""What bits and values can mean."""

VALID, NO_DATA, CLOUD, SNOW = 0, 1, 2, 3
"""Codes of a mask that was read: those of :func:`landweave.features.clouds.mask_reasons`."""

UNKNOWN = 255
"""Code where the mask says nothing; it counts as cloud."""

HIGHEST_BIT = 31

_FIELD = re.compile(r"(\d+)-(\d+)=(\d+)")


@dataclass(frozen=True, kw_only=True)
class MaskBits:
    """Which bits and values of a mask mean what. Made by :func:`mask_bits`."""

    bits: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    """Meaning to pairs: the bits that are looked at, and what they must be, both as a number."""

    values: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Meaning to whole numbers."""

    @property
    def facts(self) -> list[object]:
        """What decides the codes, for a stamp."""
        return [sorted(self.bits.items()), sorted(self.values.items())]

    def codes(self, numbers: np.ndarray) -> np.ndarray:
        """What a mask's whole numbers mean.

        Parameters
        ----------
        numbers
            Whole numbers of any type and shape.

        Returns
        -------
        numpy.ndarray
            uint8 of the same shape: 0 valid, 1 no data, 2 cloud or shadow, 3 snow; 255 for NaN, of which nothing is
            known. Of a pixel with several meanings the first of fill, cloud or shadow, snow counts.

        >>> landsat = mask_bits({"cloud": [1, 3], "shadow": [4], "snow": [5], "fill": [0]}, {})
        >>> landsat.codes(np.array([21824, 22280, 23888, 30048, 1, 54596 | 8 | 32])).tolist()
        [0, 2, 2, 3, 1, 2]
        """
        given = np.asarray(numbers)
        known = np.isfinite(given)
        whole = np.where(known, given, 0).astype("int64")
        codes = np.full(whole.shape, VALID, "uint8")
        for meaning, code in (("snow", SNOW), ("shadow", CLOUD), ("cloud", CLOUD), ("fill", NO_DATA)):
            for looked_at, wanted in self.bits.get(meaning, ()):
                codes[whole & looked_at == wanted] = code
            if meaning in self.values:
                codes[np.isin(whole, self.values[meaning])] = code
        codes[~known] = UNKNOWN
        return codes


def mask_bits(bits: Mapping[str, Sequence[int | str]], values: Mapping[str, Sequence[int]]) -> MaskBits | None:
    """Read ``source.mask_bits`` and ``source.mask_values``; None where both are empty.

    Parameters
    ----------
    bits
        Meaning to bits, 0 the lowest; a field of several bits as ``"8-9=3"``: bits 8 and 9 together hold 3.
    values
        Meaning to whole numbers.

    Raises
    ------
    InputError
        For an unknown meaning, one without an entry, a bit beyond 31, a field that cannot hold its number, and for a
        bit or a value with two meanings.

    >>> mask_bits({"cloud": ["0-1=1", 10]}, {}).codes(np.array([1, 2, 3, 1024])).tolist()
    [2, 0, 0, 2]
    """
    for key, given in (("mask_bits", bits), ("mask_values", values)):
        strange = next((meaning for meaning in given if meaning not in MEANINGS), None)
        if strange is not None:
            raise InputError(f"{key}: {strange!r} is unknown; use {', '.join(MEANINGS)}.")
        empty = next((meaning for meaning, entries in given.items() if not entries), None)
        if empty is not None:
            raise InputError(f"{key}: {empty} has no entry; name its bits or values, or remove it.")
        every = [entry for entries in given.values() for entry in entries]
        doubled = next((entry for entry in every if every.count(entry) > 1), None)
        if doubled is not None:
            raise InputError(f"{key}: {doubled} is named twice; name it once.")
    if not bits and not values:
        return None
    return MaskBits(
        bits={meaning: tuple(map(_looked_at, entries)) for meaning, entries in bits.items()},
        values={meaning: tuple(entries) for meaning, entries in values.items()},
    )


def meant(meaning: Mapping[str, MaskBits]) -> list[object]:
    """What decides the codes of some masks, for a stamp; empty where nothing does."""
    return [[name, one.facts] for name, one in sorted(meaning.items())]


def _looked_at(entry: int | str) -> tuple[int, int]:
    text = str(entry)
    found = _FIELD.fullmatch(text)
    first, last, wanted = (int(n) for n in found.groups()) if found else (-1, -1, 1)
    if found is None and text.isdecimal():
        first = last = int(text)
    if not 0 <= first <= last <= HIGHEST_BIT or wanted >= 1 << (last - first + 1):
        raise InputError(
            f'mask_bits: {entry!r} is no bit; give a number from 0 to {HIGHEST_BIT}, or a field such as "8-9=3".'
        )
    return ((1 << (last - first + 1)) - 1) << first, wanted << first
