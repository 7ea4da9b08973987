"""Classes, their colours, and which register code becomes which class."""

import html
import math
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from landweave.errors import InputError, blame_machine, parsed

_LONGEST = 400

_WHOLE = re.compile(r"(-?[0-9]+)\.0+")
"""A whole number written with decimals."""

NONE = 0
"""The reserved class value: no class, no data."""

# Okabe and Ito's colours first (distinguishable with colour-blind eyes), then darker and lighter relatives.
PALETTE = (
    "#e69f00", "#009e73", "#56b4e9", "#d55e00", "#0072b2", "#cc79a7", "#f0e442", "#8c510a",
    "#4d9221", "#7570b3", "#bf812d", "#35978f", "#c51b7d", "#999999", "#01665e", "#762a83",
)  # fmt: skip

KINDS = (
    ("#e4f1f9", "snow ice glaci schnee neige nieve neve sneg"),
    ("#4db6c4", "wetland marsh swamp bog mangrove peat moor humide humedal barje"),
    ("#2166ac", "water lake river pond sea ocean reservoir hydro wasser gewasser see fluss eau agua acqua voda"),
    ("#e0457b", "artificial built urban city town village settle residential road bebau siedlung bati pozidan"),
    ("#6a1b52", "orchard vine plantation olive fruit obst reb vigne verger vinograd sadovnjak"),
    ("#9c7a2e", "shrub scrub bush heath cerrado savanna gebusch arbust mato grmic"),
    ("#0b5d2a", "forest wood tree deciduous conifer broadleaf evergreen wald foret bosque floresta bosco gozd suma"),
    ("#9ccc5a", "grass meadow pasture prairie rangeland grunland wiese prato pradera pasto pastagem travnik travinj"),
    ("#f5d34b", "crop cultivated arable agricult farm field acker culture cultivo lavoura seminativ njiv"),
    ("#cdb79e", "bare barren soil rock sand desert boden fels sol nu suelo solo rocha roccia golo"),
)  # fmt: skip
"""Colours of kinds of land cover, and how words of their names begin, without accents; up to three letters are a word.
The first kind that fits holds. They differ for colour-blind eyes too."""

_SHADES = ((0.0, 255), (0.45, 255), (0.4, 0))
"""Of further classes of a kind: how much of white or black is mixed in."""

_NEAR = 70.0
"""Distance of colours (red, green, blue, 0..255) below which they look alike."""


def class_colors(names: Sequence[str], given: Sequence[str | None] | None = None) -> list[str]:
    """A colour for every class, by its name: water is blue, forest green.

    Parameters
    ----------
    names
        Names of classes, in the legend's order.
    given
        Colours that are decided already, None where not; as long as ``names``.

    Returns
    -------
    list of str
        ``#rrggbb`` each. Names that say nothing take :data:`PALETTE` in its order, without what looks like a colour
        that is taken.

    >>> class_colors(["forest", "water", "1300"])
    ['#0b5d2a', '#2166ac', '#e69f00']
    """
    colors: list[str | None] = list(given or [None] * len(names))
    for number, name in enumerate(names):
        if colors[number] is None:
            shades = (_shade(color, *shade) for color in _kind_of(name) for shade in _SHADES)
            colors[number] = next((shade for shade in shades if _far(shade, colors)), None)
    free = [color for color in PALETTE if _far(color, colors)] or list(PALETTE)
    rest = iter(range(len(names)))
    return [free[next(rest) % len(free)] if color is None else color for color in colors]


def _kind_of(name: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    words = re.findall("[a-z]+", plain)
    return [color for color, begins in KINDS if any(_begins(word, begins.split()) for word in words)][:1]


def _begins(word: str, begins: Sequence[str]) -> bool:
    return any(word == begin if len(begin) <= 3 else word.startswith(begin) for begin in begins)


def _shade(color: str, share: float, other: int) -> str:
    return "#" + "".join(f"{round(part + share * (other - part)):02x}" for part in bytes.fromhex(color[1:]))


def _far(color: str, others: Iterable[str | None]) -> bool:
    parts = bytes.fromhex(color[1:])
    taken = [bytes.fromhex(other[1:]) for other in others if other and re.fullmatch("#[0-9a-fA-F]{6}", other)]
    return all(math.dist(parts, other) >= _NEAR for other in taken)


@dataclass(frozen=True, kw_only=True)
class LandClass:
    """One class of the legend."""

    value: int
    """Pixel value, 1..255."""

    name: str
    """What people call it."""

    color: str
    """As ``#rrggbb``."""

    codes: tuple[str, ...] = ()
    """Register codes that become this class, as text; empty means the class's own name and value."""

    def __post_init__(self) -> None:
        if not 1 <= self.value <= 255:
            raise InputError(f"Class {self.name!r} has value {self.value}; class values are 1 to 255.")
        if not self.name.strip():
            raise InputError(f"The class with value {self.value} has no name; give it one.")
        if not self.name.isprintable():
            raise InputError(
                f"Class {self.value} is called {self.name!r}; names must not contain line breaks or control characters."
            )
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", self.color):
            raise InputError(f"Class {self.name!r} has color {self.color!r}; write it as #rrggbb.")

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green and blue, 0..255."""
        return int(self.color[1:3], 16), int(self.color[3:5], 16), int(self.color[5:7], 16)

    @property
    def accepted_codes(self) -> tuple[str, ...]:
        """Register codes that become this class."""
        return tuple(map(code_text, self.codes)) or (code_text(self.name), str(self.value))


@dataclass(frozen=True, kw_only=True, repr=False)
class Legend:
    """The classes in their order, and the codes to ignore.

    Raises
    ------
    InputError
        When two classes share a value, a name or a register code.

    Examples
    --------
    >>> legend = Legend.from_labels(["forest", "water"])
    >>> legend.names
    {1: 'forest', 2: 'water'}
    """

    classes: tuple[LandClass, ...]
    """The classes, in the legend's order."""

    ignore: tuple[str, ...] = ()
    """Register codes that mean no data, as text."""

    def __post_init__(self) -> None:
        if not self.classes:
            raise InputError("The legend has no class; give it at least two [[class]] tables.")
        _refuse_doubles("value", [c.value for c in self.classes])
        _refuse_doubles("name", [c.name for c in self.classes])
        _refuse_doubles("code", [code for c in self.classes for code in dict.fromkeys(c.accepted_codes)])
        both = set(map(code_text, self.ignore)) & {code_text(code) for c in self.classes for code in c.codes}
        if both:
            raise InputError(f"The legend both ignores and uses code {min(both)!r}; keep it in one place.")

    def __repr__(self) -> str:
        named = ", ".join(f"{c.value} {c.name}" for c in self.classes)
        return (
            f"<Legend of {len(self.classes)} classes: {named if len(named) < _LONGEST else named[:_LONGEST] + ' ...'}>"
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><td style="background: {c.color}; width: 2em"></td><td>{c.value}</td>'
            f'<td style="text-align: left">{html.escape(c.name)}</td></tr>'
            for c in self.classes
        )
        return f"<table><caption>Legend</caption>{rows}</table>"

    @property
    def values(self) -> tuple[int, ...]:
        """Class values in the legend's order."""
        return tuple(c.value for c in self.classes)

    @property
    def names(self) -> dict[int, str]:
        """Class value to name, in the legend's order."""
        return {c.value: c.name for c in self.classes}

    @property
    def colors(self) -> dict[int, str]:
        """Class value to ``#rrggbb``, in the legend's order."""
        return {c.value: c.color for c in self.classes}

    def cmap(self) -> tuple[Any, Any]:
        """The classes' colours for matplotlib: ``image = axes.imshow(classes, cmap=cmap, norm=norm)``.

        Returns
        -------
        cmap
            A ``matplotlib.colors.ListedColormap``, one colour a class in the order of values; 0, none, is transparent.
        norm
            A ``matplotlib.colors.BoundaryNorm`` that gives each class value its colour. On a colour bar,
            ``ticks=sorted(legend.values)`` are the classes.

        Raises
        ------
        InputError
            Where matplotlib is not installed.
        """
        try:
            from matplotlib.colors import BoundaryNorm, ListedColormap
        except ModuleNotFoundError:
            raise InputError(
                'Legend.cmap() needs matplotlib, which is not installed: pip install "landweave[plot]"'
            ) from None
        values = sorted(self.values)
        between = [(low + high) / 2 for low, high in pairwise(values)]
        colors = ListedColormap([self.colors[value] for value in values], name="legend")
        cmap = colors.with_extremes(under=(0, 0, 0, 0), bad=(0, 0, 0, 0))
        return cmap, BoundaryNorm([0.5, *between, values[-1] + 0.5], len(values))

    def value_of(self, name: str) -> int:
        """Value of the class called ``name``; InputError names the classes that exist."""
        for c in self.classes:
            if c.name == name:
                return c.value
        raise InputError(f"The legend has no class {name!r}; it has {', '.join(self.names.values())}.")

    def translate(self, codes: Iterable[Any]) -> tuple[np.ndarray, dict[str, int]]:
        """Class values of register codes, and the codes that the legend does not know.

        Parameters
        ----------
        codes
            Register codes, numbers or text; compared as :func:`code_text` writes them.

        Returns
        -------
        values
            uint8, one per code; 0 where ignored, missing or unknown.
        unknown
            Unknown code to how often it occurred.
        """
        crosswalk = {code: c.value for c in self.classes for code in c.accepted_codes}
        ignored = {*map(code_text, self.ignore), ""}
        texts = [code_text(code) for code in codes]
        unknown: dict[str, int] = {}
        for text in texts:
            if text not in crosswalk and text not in ignored:
                unknown[text] = unknown.get(text, 0) + 1
        return np.array([crosswalk.get(text, NONE) for text in texts], "uint8"), unknown

    @classmethod
    def read(cls, path: str | Path) -> "Legend":
        """Read a ``legend.toml``; every complaint names the file."""
        path = Path(path)
        try:
            content = parsed(tomllib.loads, path.read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            raise InputError(f"{path}: no such legend file.") from None
        except OSError as error:
            blame_machine(path, error)
            raise InputError(f"{path}: not readable: {error.strerror}; check the name and the permissions.") from None
        except ValueError as error:
            raise InputError(f"{path}: not valid TOML: {error}.") from None
        try:
            return cls._from_toml(content)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    @classmethod
    def _from_toml(cls, content: Mapping[str, Any]) -> "Legend":
        _refuse_unknown(content, {"ignore", "class"}, "the legend")
        classes: list[dict[str, Any]] = []
        given: list[str | None] = []
        for number, entry in enumerate(_list_of(content, "class"), start=1):
            if not isinstance(entry, dict):
                raise InputError(f"class {number} is not a [[class]] table.")
            _refuse_unknown(entry, {"value", "name", "color", "codes"}, f"[[class]] number {number}")
            value, name = entry.get("value"), entry.get("name")
            if not isinstance(value, int) or isinstance(value, bool):
                raise InputError(f"[[class]] number {number} needs value = a whole number, not {value!r}.")
            if not isinstance(name, str):
                raise InputError(f"[[class]] number {number} needs name = text, not {name!r}.")
            codes = tuple(code_text(code) for code in _list_of(entry, "codes"))
            classes.append({"value": value, "name": name, "codes": codes})
            given.append(str(entry["color"]) if "color" in entry else None)
        ignore = tuple(code_text(code) for code in _list_of(content, "ignore"))
        colors = class_colors([entry["name"] for entry in classes], given)
        made = (LandClass(**entry, color=color) for entry, color in zip(classes, colors, strict=True))
        return cls(classes=tuple(made), ignore=ignore)

    @classmethod
    def of_names(cls, names: Mapping[int, str]) -> "Legend":
        """Classes of these values and names, with colours by their names; their codes are the names.

        >>> Legend.of_names({1: "2", 2: "3"}).translate([2, 3])[0].tolist()
        [1, 2]
        """
        return cls(
            classes=tuple(
                LandClass(value=value, name=name, color=color, codes=(name,))
                for (value, name), color in zip(names.items(), class_colors([*names.values()]), strict=True)
            )
        )

    @classmethod
    def from_labels(cls, labels: Iterable[Any]) -> "Legend":
        """The sorted labels as classes 1..n, with colours by their names: see :func:`class_colors`."""
        names = sorted({code_text(label) for label in labels} - {""}, key=_by_number_then_text)
        if len(names) > 255:
            raise InputError(f"{len(names)} different labels; a legend has at most 255 classes.")
        return cls.of_names(dict(enumerate(names, start=1)))


def code_text(code: Any) -> str:
    """A register code as text: whole numbers without decimals, composed letters (NFC), and only what is null as "".

    Words such as ``None``, ``nan`` or ``NA`` are names like any other.

    >>> code_text(1100.0), code_text("1100.0"), code_text(" 1130 "), code_text("None"), code_text(None)
    ('1100', '1100', '1130', 'None', '')
    """
    if _is_null(code):
        return ""
    if isinstance(code, float | np.floating) and float(code).is_integer():
        return str(int(code))
    text = unicodedata.normalize("NFC", str(code).strip())
    # pandas and spreadsheets write a whole number beside an empty cell as 1.0.
    return whole[1] if (whole := _WHOLE.fullmatch(text)) else text


def _is_null(code: Any) -> bool:
    if isinstance(code, str):
        return False
    if isinstance(code, float | np.floating):
        return bool(np.isnan(code))
    # By name: pandas need not be imported for this.
    return (
        code is None
        or type(code).__name__ in {"NAType", "NaTType"}
        or (isinstance(code, np.datetime64) and bool(np.isnat(code)))
    )


def _by_number_then_text(text: str) -> tuple[float, str]:
    try:
        number = float(text)
    except ValueError:
        number = math.inf
    # "nan" is a name, and a number that is less than nothing and more than nothing.
    return (number if math.isfinite(number) else math.inf), text


def _refuse_doubles(what: str, items: Sequence[Any]) -> None:
    twice = [item for item in items if items.count(item) > 1]
    if twice:
        raise InputError(f"Legend uses {what} {twice[0]!r} for more than one class; give every class its own {what}.")


def _refuse_unknown(table: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        raise InputError(f"unknown key {unknown[0]!r} in {where}; known keys: {', '.join(sorted(known))}.")


def _list_of(table: Mapping[str, Any], key: str) -> list[Any]:
    value = table.get(key, [])
    if not isinstance(value, list):
        raise InputError(f"{key} must be a list, not {value!r}.")
    return value
