"""How far an interpreter has come, and how often interpreters agree: plain counts, no statistics."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

BLOCK = 10
"""Shared places are counted in blocks, so that no single answer of another interpreter shows in the count."""

Row = tuple[str, str, str | None]
"""Place's key, interpreter, class that is named or None for unsure."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """One interpreter beside another."""

    interpreter: str
    """The other one."""
    judged: int
    """Places of the queue that the other one has judged."""
    shared: int
    """Places that both have judged, as far as they are counted yet."""
    named: int
    """Those of them for which both name a class."""
    agree: int
    """Those of them with the same class."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where an interpreter stands."""

    judged: int
    unsure: int
    others: tuple[Agreement, ...]
    differ: tuple[str, ...]
    """Keys where the interpreter and another one name different classes; empty until the whole queue is judged."""


def progress_of(
    rows: Sequence[Row], interpreter: str, keys: Collection[str], *, first: Sequence[Row] | None = None
) -> Standing:
    """Progress of an interpreter through a queue.

    Until the whole queue is judged, agreement is counted on what both said first: a count that moved when a place is
    judged again would show what the other one said of it.

    Parameters
    ----------
    rows
        The verdicts that count, of all interpreters, oldest first.
    interpreter
        Whose progress.
    keys
        The places of the queue.
    first
        What each interpreter said first of each place, oldest first; default: ``rows``.

    >>> rows = [("1", "ana", "forest"), ("1", "bo", "water"), ("2", "bo", None)]
    >>> found = progress_of(rows, "bo", ["1", "2"])
    >>> found.judged, found.unsure, found.others[0].agree, found.differ
    (2, 1, 0, ('1',))
    """
    wanted = set(keys)
    now, at_first = _by_name(rows, wanted), _by_name(rows if first is None else first, wanted)
    judged = now.get(interpreter, {})
    whole = len(judged) == len(wanted)
    by_name = now if whole else at_first
    mine = by_name.pop(interpreter, {})
    others, differ = [], set()
    for who, theirs in sorted(by_name.items()):
        shared = [key for key in mine if key in theirs]
        if not whole:
            shared = shared[: len(shared) // BLOCK * BLOCK]
        named = [key for key in shared if mine[key] is not None and theirs[key] is not None]
        unlike = {key for key in named if mine[key] != theirs[key]}
        agree = len(named) - len(unlike)
        counted = Agreement(
            interpreter=who, judged=len(now.get(who, {})), shared=len(shared), named=len(named), agree=agree
        )
        others.append(counted)
        differ |= unlike if whole else set()
    return Standing(
        judged=len(judged), unsure=sum(name is None for name in judged.values()), others=tuple(others),
        differ=tuple(key for key in mine if key in differ),
    )  # fmt: skip


def _by_name(rows: Sequence[Row], wanted: Collection[str]) -> dict[str, dict[str, str | None]]:
    """Interpreter to place's key to class, of some places."""
    found: dict[str, dict[str, str | None]] = {}
    for key, who, name in rows:
        if key in wanted:
            found.setdefault(who, {})[key] = name
    return found
