"""What interpreters wrote, as values of classes."""

import difflib
from collections.abc import Mapping

import numpy as np

from landweave.errors import InputError
from landweave.runs.estimate.sample_file import LabelledSample


def folded(text: str) -> str:
    """A name without what people write in two ways: case, and blanks within.

    >>> folded("Broad  leaf")
    'broad leaf'
    """
    return " ".join(text.casefold().split())


def class_values(read: LabelledSample, names: Mapping[int, str]) -> np.ndarray:
    """Class values of the labels, which may be names or, where no class is called by a number, values."""
    table = {name: value for value, name in names.items()}
    if not any(name.isdecimal() for name in table):
        table |= {str(value): value for value in names}
    alike = {folded(name): value for name, value in table.items()}
    found = []
    for place, text in zip(read.places, read.labels, strict=True):
        value = table.get(text, alike.get(folded(text)))
        if value is None:
            near = difflib.get_close_matches(text, table, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(names.values())}."
            raise InputError(f"{read.path}, {place}: the legend has no class {text!r}; {hint}")
        found.append(value)
    return np.array(found, "int64")
