"""Dates, boxes and plain values out of pickles of old EOPatch folders, without ever unpickling.

A pickle is a program. Here its instructions are read (``pickletools.genops``) and those few that make lists, numbers,
texts, dates and boxes are followed, with a stack and functions of our own. A name that is not in :data:`NAMES` is
refused before anything is done with it; no name is ever looked up or imported.
"""

import datetime
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from landweave.errors import InputError

LONGEST = 16 * 1024 * 1024
"""Bytes of a pickle that is read at all: the dates of a patch need some thousands."""


MOST_VALUES, DEEPEST = 1_000_000, 100
"""Values in all, and lists within lists: what is told of twice counts twice, so that it grows no further when shown."""


class _Box(dict[str, Any]):
    """What a pickled BBox holds."""


class _Crs(str):
    """A pickled CRS: the number of its EPSG code."""

    __slots__ = ()


class _Utc:
    """A pickled ``tzutc`` before it is put into a date."""


class _Refused(Exception):  # noqa: N818 - says what happened, and never leaves this file
    """What is not followed, in words."""


def _datetime(packed: Any, zone: Any = None) -> datetime.datetime:
    if not (isinstance(packed, bytes) and len(packed) == 10):
        raise _Refused("a date that is not packed as usual")
    if zone is not None and not isinstance(zone, _Utc | datetime.timezone):
        raise _Refused("a date with an unknown time zone")
    year, (month, day, hour, minute, second) = int.from_bytes(packed[:2], "big"), packed[2:7]
    micro = int.from_bytes(packed[7:], "big")
    # The first bit of the month tells which of two equal hours it is when clocks go back.
    moment = datetime.datetime(year, month & 127, day, hour, minute, second, micro, fold=month >> 7)  # noqa: DTZ001
    return moment.replace(tzinfo=datetime.UTC if isinstance(zone, _Utc) else zone)


def _date(packed: Any) -> datetime.date:
    if not (isinstance(packed, bytes) and len(packed) == 4):
        raise _Refused("a date that is not packed as usual")
    return datetime.date(int.from_bytes(packed[:2], "big"), packed[2], packed[3])


def _timedelta(*numbers: Any) -> datetime.timedelta:
    if len(numbers) > 3 or not all(isinstance(number, int) for number in numbers):
        raise _Refused("a duration that is not packed as usual")
    return datetime.timedelta(*numbers)


def _timezone(offset: Any) -> datetime.timezone:
    if not isinstance(offset, datetime.timedelta):
        raise _Refused("a time zone that is not packed as usual")
    return datetime.timezone(offset)


def _latin(text: Any, encoding: Any) -> bytes:
    # How protocols 0 to 2 write bytes.
    if not (isinstance(text, str) and encoding == "latin1"):
        raise _Refused("bytes that are not packed as usual")
    return text.encode("latin1")


def _box() -> _Box:
    return _Box()


def _crs(value: Any) -> _Crs:
    if not isinstance(value, str | int):
        raise _Refused("a CRS that is not a code")
    return _Crs(value)


def _utc() -> _Utc:
    return _Utc()


NAMES: dict[tuple[str, str], Callable[..., Any]] = {
    ("datetime", "datetime"): _datetime,
    ("datetime", "date"): _date,
    ("datetime", "timedelta"): _timedelta,
    ("datetime", "timezone"): _timezone,
    ("dateutil.tz.tz", "tzutc"): _utc,
    ("dateutil.tz", "tzutc"): _utc,
    ("_codecs", "encode"): _latin,
    ("sentinelhub.geometry", "BBox"): _box,
    ("sentinelhub.common", "BBox"): _box,
    ("sentinelhub.constants", "CRS"): _crs,
}
"""All names that a pickle may hold, and what stands here in their place."""

_MADE = set(NAMES.values())
_ATOMS = {
    "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8",
}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_DICT": dict}
_MARK = object()


def read_old_pickle(data: bytes, path: str | Path) -> Any:
    r"""Follow a pickle of plain values, dates and boxes.

    Parameters
    ----------
    data
        The pickle, of any protocol.
    path
        The file it comes from, for messages.

    Returns
    -------
    object
        ``None``, numbers, text, bytes, dates, durations, and lists, tuples and dicts of them. A box is a dict with
        ``min_x``, ``min_y``, ``max_x``, ``max_y`` and ``_crs`` or ``crs``; a CRS the text of its EPSG number.

    Raises
    ------
    InputError
        For any other name or instruction, and for what is damaged; nothing of it has been carried out.

    >>> read_old_pickle(b"(lI2017\naI1\na.", "meta_info.pkl")  # a list, two numbers appended
    [2017, 1]
    """
    if len(data) > LONGEST:
        raise InputError(f"{path}: a pickle of over {LONGEST >> 20} MB is not read; eo-learn writes dates in less.")
    try:
        return _Walk().follow(data)
    except _Refused as refusal:
        reason = str(refusal)
    except Exception:  # noqa: BLE001 - a damaged program fails in any way
        reason = "it is damaged or truncated"
    raise InputError(
        f"{path}: {reason}, so this pickle is not read; save the patch again with eo-learn 1.5, which writes none."
    )


class _Walk:
    """The stack and memory of a pickle that is being followed."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memory: dict[int, Any] = {}

    def follow(self, data: bytes) -> Any:
        for code, argument, _ in pickletools.genops(data):
            if code.name == "STOP":
                break
            self._step(code.name, argument)
        (result,) = self.stack
        if result is _MARK or isinstance(result, _Utc) or (callable(result) and result in _MADE):
            raise _Refused("it contains no value")
        _count(result)
        return result

    def _step(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in {"PROTO", "FRAME"}:
            return
        if name in _ATOMS:
            stack.append(_CONSTANTS.get(name, argument))
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name == "MARK":
            stack.append(_MARK)
        elif name in {"PUT", "BINPUT", "LONG_BINPUT"}:
            self.memory[argument] = stack[-1]
        elif name == "MEMOIZE":
            self.memory[len(self.memory)] = stack[-1]
        elif name in {"GET", "BINGET", "LONG_BINGET"}:
            stack.append(self.memory[argument])
        elif name in {"GLOBAL", "STACK_GLOBAL", "REDUCE", "NEWOBJ", "BUILD"}:
            self._make(name, argument)
        else:
            self._gather(name)

    def _make(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name == "GLOBAL":
            stack.append(_known(*str(argument).split(" ", 1)))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(_known(module, attribute))
        elif name == "BUILD":
            state, thing = stack.pop(), stack[-1]
            if isinstance(thing, _Utc) and not state:
                return
            if not (isinstance(thing, _Box) and type(state) is dict):
                raise _Refused("it changes an object that is not a box")
            thing.update(state)
        else:
            given, maker = stack.pop(), stack.pop()
            # Only what `_known` put there: nothing else on the stack is ever called.
            if type(given) is not tuple or not callable(maker) or maker not in _MADE:
                raise _Refused("it calls an unknown name")
            stack.append(maker(*given))

    def _gather(self, name: str) -> None:
        stack = self.stack
        if name in {"TUPLE1", "TUPLE2", "TUPLE3"}:
            count = int(name[-1])
            parts = [stack.pop() for _ in range(count)][::-1]
            stack.append(tuple(parts))
        elif name == "APPEND":
            part = stack.pop()
            _only(list, stack[-1]).append(part)
        elif name == "SETITEM":
            value, key = stack.pop(), stack.pop()
            _put(_only(dict, stack[-1]), [key, value])
        elif name in {"TUPLE", "LIST", "DICT", "APPENDS", "SETITEMS"}:
            parts = []
            while (part := stack.pop()) is not _MARK:
                parts.append(part)
            parts.reverse()
            if name == "TUPLE":
                stack.append(tuple(parts))
            elif name == "LIST":
                stack.append(parts)
            elif name == "DICT":
                stack.append(_put({}, parts))
            elif name == "APPENDS":
                _only(list, stack[-1]).extend(parts)
            else:
                _put(_only(dict, stack[-1]), parts)
        else:
            raise _Refused(f"it contains the instruction {name}")


def _count(result: Any) -> None:
    # A list may hold another several times, that one a third, and so on: a few bytes of file, more than memory holds.
    left, waiting = MOST_VALUES, [iter((result,))]
    while waiting:
        for value in waiting[-1]:
            left -= 1 + (len(value) // 16 if isinstance(value, str | bytes) else 0)
            if left < 0:
                raise _Refused(f"it contains over {MOST_VALUES} values, or as much text")
            if isinstance(value, list | tuple | dict):
                if len(waiting) > DEEPEST:
                    raise _Refused(f"it contains nested lists, over {DEEPEST} deep")
                waiting.append(iter([*value, *value.values()] if isinstance(value, dict) else value))
                break
        else:
            waiting.pop()


def _known(module: Any, name: Any = None) -> Callable[..., Any]:
    if not (isinstance(module, str) and isinstance(name, str)):
        raise _Refused("it contains a name that is not text")
    if (module, name) not in NAMES:
        raise _Refused(f"it contains the name {f'{module}.{name}'[:80]!r}")
    return NAMES[module, name]


def _only(kind: type, thing: Any) -> Any:
    if type(thing) is not kind:
        raise _Refused("it fills an object that cannot be filled")
    return thing


def _put(target: dict[Any, Any], parts: list[Any]) -> dict[Any, Any]:
    for key, value in zip(parts[::2], parts[1::2], strict=True):
        # Keys are hashed: a nested tuple could be made to take forever.
        if not isinstance(key, str | int | float | bytes | None):
            raise _Refused("a dict has a key that is neither text nor number")
        target[key] = value
    return target
