"""Columns of a table as numbers, with the row of whatever is none."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from landweave.errors import InputError
from landweave.patch.tables.reading import COMMA_NUMBER, Table

if TYPE_CHECKING:
    import pandas as pd

MISSING = frozenset(
    {"#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL",
     "NaN", "None", "n/a", "nan", "null", "NaT"}
)  # fmt: skip
"""Words that stand for a missing number, as pandas takes them; in a column of names they are names."""

_LOOKS = re.compile(
    r"[+-]?([0-9]{1,3}([.,'\u2019 \u00a0\u202f][0-9]{3})+([.,][0-9]+)?|[0-9]*[.,]?[0-9]+([eE][+-]?[0-9]+)?)\s*[%‰]?"
)
_TRUTH = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True, kw_only=True)
class NumberColumn:
    """A column as numbers; arrays are (row,)."""

    values: np.ndarray
    """float64, NaN where missing or no number."""

    stray: np.ndarray
    """Bool: something stands there that is no number."""

    like: np.ndarray
    """Bool: of the stray ones those that a person would read as a number, such as ``0,12`` or ``12 %``."""


def to_numbers(column: "pd.Series", decimal: str = ".") -> NumberColumn:
    """A column as numbers: of numbers, truth values, decimals, or text as Python writes numbers.

    With ``decimal = ","`` a column whose numbers all have a comma or no mark is read with decimal commas.
    """
    import pandas as pd

    if decimal == "," and pd.api.types.is_string_dtype(column) and has_commas(column):
        column = column.astype(str).str.replace(",", ".")

    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    nothing = np.zeros(len(column), bool)
    if pd.api.types.is_complex_dtype(column):
        return NumberColumn(values=np.full(len(column), np.nan), stray=~nothing, like=nothing)
    if pd.api.types.is_numeric_dtype(column):
        return NumberColumn(values=column.to_numpy("float64", na_value=np.nan), stray=nothing, like=nothing)
    if pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(column):
        return NumberColumn(values=np.full(len(column), np.nan), stray=column.notna().to_numpy(), like=nothing)
    try:  # most columns are numbers throughout
        values = pd.to_numeric(column.astype(object)).to_numpy("float64", na_value=np.nan)
    except (ValueError, TypeError, OverflowError):
        pass
    else:
        return NumberColumn(values=values, stray=nothing, like=nothing)
    codes, distinct = pd.factorize(column, use_na_sentinel=True)
    texts = [str(value).strip() for value in distinct]
    found = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").to_numpy("float64")
    truth = {text.lower() for text in texts} - {""} <= set(_TRUTH)
    found = np.array([_TRUTH.get(text.lower(), np.nan) for text in texts]) if truth else found
    missing = np.array([not text or text in MISSING for text in texts], bool)
    bare = np.isnan(found) & ~missing
    like = bare & np.array([_LOOKS.fullmatch(text) is not None for text in texts], bool)
    none = codes < 0
    spread = [np.append(array, last)[codes] for array, last in ((found, np.nan), (bare, False), (like, False))]
    return NumberColumn(values=np.where(none, np.nan, spread[0]), stray=spread[1], like=spread[2])


def has_commas(column: "pd.Series") -> bool:
    """Whether a column of text holds numbers with decimal commas, and whole numbers, and nothing else."""
    texts = column.dropna().astype(str).str.strip()
    texts = texts[~texts.isin(MISSING) & (texts != "")]
    return bool(texts.str.contains(",").any() and texts.str.fullmatch(COMMA_NUMBER.pattern).all())


def read_numbers(
    table: Table, name: str, *, needed: bool = False, what: str = "a number", decimal: str | None = None
) -> np.ndarray:
    """A column as numbers, float64 (row,), NaN where a cell is empty; ``decimal`` as the table's where None.

    Raises
    ------
    InputError
        For the first row that holds no number, an infinite one, or, where it is ``needed``, nothing.
    """
    column = table.column(name)
    numbers = to_numbers(column, table.decimal if decimal is None else decimal)
    wrong = np.flatnonzero(numbers.stray | np.isinf(numbers.values))
    if wrong.size:
        refuse_cell(table, name, int(wrong[0]), what)
    empty = np.flatnonzero(np.isnan(numbers.values))
    if needed and empty.size:
        raise InputError(
            f"{table.where(int(empty[0]))}: no {name} ({empty.size} rows without one); fill it in or remove the row."
        )
    return numbers.values


def refuse_cell(table: Table, name: str, row: int, what: str = "a number") -> None:
    """Raise the InputError of a cell that is no number, with what to do about it."""
    value = table.frame[name].iloc[row]
    shown = shown_cell(table, name, row)
    raise InputError(f"{table.where(row)}: {name} is {shown}; give {what}{_hint(str(value).strip())}.")


def shown_cell(table: Table, name: str, row: int) -> str:
    """A cell as a message shows it."""
    return repr(str(table.frame[name].iloc[row]))


def _hint(text: str) -> str:
    if text.endswith(("%", "‰")):
        return ", not per cent or per mille"
    if re.fullmatch(r"[+-]?[0-9]{0,3}([.\u2019' ]?[0-9]{3})*,[0-9]+", text):
        return "; write decimals with a point, and nothing between thousands"
    if _LOOKS.fullmatch(text):
        return "; write nothing between thousands"
    return ""
