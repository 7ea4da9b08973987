"""What names of image files say: dates and variables, and the pattern that they follow."""

import datetime
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

_DAY = re.compile(r"(?<!\d)((?:19|20)\d\d)([-_.]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d)")
_DAY_OF_YEAR = re.compile(r"(?<!\d)((?:19|20)\d\d)([0-3]\d\d)(?!\d)")
_TOKENS = re.compile(r"([_\-. /]+)")
_MAGIC = frozenset("*?[]{}")

_TILE = re.compile(r"T?\d\d[C-HJ-NP-X][A-HJ-NP-Z]{2}")
"""A tile of Sentinel-2's grid."""

_SENTINEL_2 = re.compile(r"B0?([1-9])")


@dataclass(frozen=True, kw_only=True)
class NamedImage:
    """What the name of a file says."""

    name: str
    """Its path relative to the folder of images, with ``/``."""

    day: datetime.date | None
    """The first date in it; of the file's own name before those of its folders."""

    variable: str | None
    """What distinguishes it from other files of its date."""


@dataclass(frozen=True, kw_only=True)
class NamesRead:
    """What the names of all files say."""

    images: tuple[NamedImage, ...]
    """In the order of the names."""

    pattern: str | None
    """The pattern that all names follow, as ``source.pattern`` of a project; None where there is none."""


@dataclass(frozen=True, kw_only=True)
class _Split:
    name: str
    day: datetime.date | None
    form: str
    parts: tuple[str, ...]
    """The name in tokens and separators; ``\\0`` is the date, ``\\1`` any other date."""


def read_names(names: Sequence[str]) -> NamesRead:
    """Dates and variables by the names of image files.

    Parameters
    ----------
    names
        Paths relative to one folder, with ``/``.

    Examples
    --------
    >>> found = read_names(["S2_2020-01-01_B04.tif", "S2_2020-01-01_B08.tif", "S2_2020-02-01_B04.tif"])
    >>> found.pattern
    'S2_{date:%Y-%m-%d}_{variable}.tif'
    >>> found.images[1].variable, str(found.images[2].day)
    ('B08', '2020-02-01')
    """
    split = [_split(name) for name in sorted(names)]
    places = _variable_places(split)
    images = tuple(NamedImage(name=one.name, day=one.day, variable=_variable(one, places)) for one in split)
    return NamesRead(images=images, pattern=_pattern(split, places))


def _split(name: str) -> _Split:
    own = name.rfind("/") + 1
    found = [(m.start() >= own, m) for form in (_DAY, _DAY_OF_YEAR) for m in form.finditer(name)]
    dated = sorted(
        ((not inside, m.start(), m, day) for inside, m in found if (day := _day(m)) is not None), key=lambda x: x[:2]
    )
    text, day, form = name, None, ""
    if dated:
        spans = [(m.start(), m.end(), number) for number, (_, _, m, _) in enumerate(dated)]
        for start, end, number in sorted(spans, reverse=True):
            text = text[:start] + ("\0" if number == 0 else "\1") + text[end:]
        day, first = dated[0][3], dated[0][2]
        sign = first[2] if first.re is _DAY else ""
        form = f"%Y{sign}%m{sign}%d" if first.re is _DAY else "%Y%j"
    return _Split(name=name, day=day, form=form, parts=tuple(_TOKENS.split(text)))


def _day(match: "re.Match[str]") -> datetime.date | None:
    try:
        if match.re is _DAY:
            return datetime.date(int(match[1]), int(match[3]), int(match[4]))
        number = int(match[2])
        day = datetime.date(int(match[1]), 1, 1) + datetime.timedelta(days=number - 1)
        return day if number and day.year == int(match[1]) else None
    except ValueError:
        return None


def _variable_places(split: Sequence[_Split]) -> tuple[int, ...] | None:
    """Numbers of the tokens that tell files of a date apart; None where names have different numbers of tokens."""
    if len({len(one.parts) for one in split}) != 1:
        return None
    width = len(split[0].parts)
    tiles = [i for i in range(0, width, 2) if all(_TILE.fullmatch(one.parts[i]) for one in split)]
    # Tiles of one date show one thing in several places.
    of_day: dict[tuple[object, ...], list[_Split]] = defaultdict(list)
    for one in split:
        of_day[(one.day, *(one.parts[i] for i in tiles))].append(one)
    # The ending of a file is no variable.
    free = [
        i for i in range(0, width - 1, 2) if any(len({one.parts[i] for one in group}) > 1 for group in of_day.values())
    ]
    for i in free:
        if all(len({one.parts[i] for one in group}) == len(group) for group in of_day.values()):
            return (i,)
    return tuple(free)


def _variable(one: _Split, places: tuple[int, ...] | None) -> str | None:
    if places is None:
        bare = [part for part in one.parts[:-1:2] if part not in {"", "\0", "\1"}]
        return "_".join(part.replace("\0", "").replace("\1", "") for part in bare) or None
    return "_".join(one.parts[i] for i in places).replace("\0", "").replace("\1", "") or None


def _pattern(split: Sequence[_Split], places: tuple[int, ...] | None) -> str | None:
    forms = {one.form for one in split}
    fixed = {i for i in range(len(split[0].parts)) if len({one.parts[i : i + 1] for one in split}) == 1}
    if places is None or len(places) > 1 or len(forms) != 1 or len({len(one.parts) for one in split}) != 1:
        return None
    parts = []
    for i, part in enumerate(split[0].parts):
        if i in places:
            parts.append("{variable}" if "\0" not in part else "")
        elif i in fixed:
            parts.append(part)
        elif i % 2 == 0 and all("\0" in one.parts[i] for one in split):
            # A time of day beside the date, such as 20170703T101031.
            before = {one.parts[i].split("\0")[0] for one in split}
            parts.append((before.pop() if len(before) == 1 else "*") + "\0*")
        else:
            parts.append("*")
    text = "".join(parts)
    if _MAGIC & set(text.replace("{variable}", "").replace("*", "")) or (places and "{variable}" not in text):
        return None
    form = forms.pop()
    return text.replace("\0", f"{{date:{form}}}", 1).replace("\0", "*").replace("\1", "*")


def plain_bands(names: Sequence[str]) -> dict[str, str]:
    """Names of bands to those of Sentinel-2 as landweave writes them, where that is what they are; else themselves.

    >>> plain_bands(["B2", "B4", "B8A"])
    {'B2': 'B02', 'B4': 'B04', 'B8A': 'B8A'}
    >>> plain_bands(["B2", "B4"])
    {'B2': 'B2', 'B4': 'B4'}
    """
    if not {"B8A", "B12"} & {name.upper() for name in names}:
        return {name: name for name in names}
    found = {name: name for name in names}
    for name in filter(_is_band, names):
        found[name] = f"B0{name[-1]}" if _SENTINEL_2.fullmatch(name.upper()) else name.upper()
    return found if len(set(found.values())) == len(names) else {name: name for name in names}


def _is_band(name: str) -> bool:
    return re.fullmatch(r"B(0?[1-9]|1[0-2]|8A)", name.upper()) is not None
