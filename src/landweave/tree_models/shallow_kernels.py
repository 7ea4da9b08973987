"""The compiled half of :mod:`landweave.tree_models.shallow`; importing it imports numba.

The words of the innermost loop work on the bytes of a whole block of pixels at once. They are written in LLVM's own
vectors, which become whatever instructions the machine has; left to itself, the compiler finds them on some machines
and not on others, and where it does not, the loop is a hundred times slower.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_jitable, register_model

BLOCK = 256
"""Pixels that go through the trees together."""

TOGETHER = 4
"""Trees whose leaves are looked up together, so that a score waits in a register."""

SCORES, SOFTMAX, LOGISTIC = 0, 1, 2
"""What the sums of leaves become."""


_BYTE, _BOOL = ir.IntType(8), ir.IntType(1)
_VECTOR = ir.VectorType(_BYTE, BLOCK)
_ALL = np.uint8(255)
# Whole numbers without a sign need no check for counting from an array's end.
_U = np.uint64
_BLOCK, _TOGETHER = _U(BLOCK), _U(TOGETHER)


class _Lanes(types.Type):  # type: ignore[misc]
    """A byte of every pixel of a block, in registers."""


_LANES = _Lanes("lanes")


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)


def _spread(builder: Any, byte: Any) -> Any:
    """One byte to all pixels."""
    nothing = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(nothing, byte, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(ir.IntType(32), BLOCK), None))


def _place(context: Any, builder: Any, kind: Any, array: Any, at: Any) -> Any:
    """Pointer to the bytes of a block."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), _VECTOR.as_pointer())


@intrinsic  # type: ignore[untyped-decorator]
def _lanes(typing: Any, byte: Any) -> Any:  # noqa: ARG001
    """The same byte for all pixels."""
    return _LANES(types.uint8), lambda _, builder, __, given: _spread(builder, given[0])


@intrinsic  # type: ignore[untyped-decorator]
def _narrowed(typing: Any, lanes: Any, ranks: Any, at: Any, rank: Any, right: Any, left: Any) -> Any:  # noqa: ARG001
    """``lanes & (right if ranks[at:][:BLOCK] > rank else left)``."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        lanes, ranks, at, *bytes_ = given
        rank, right, left = (_spread(builder, byte) for byte in bytes_)
        row = builder.load(_place(context, builder, signature.args[1], ranks, at), align=1)
        return builder.and_(lanes, builder.select(builder.icmp_signed(">", row, rank), right, left))

    return _LANES(_LANES, ranks, types.uint64, types.int8, types.uint8, types.uint8), generate


@intrinsic  # type: ignore[untyped-decorator]
def _lowest(typing: Any, lanes: Any, first: Any, otherwise: Any) -> Any:  # noqa: ARG001
    """``first`` + the number of the lowest bit set, or ``otherwise`` where none is."""

    def generate(_: Any, builder: Any, __: Any, given: Any) -> Any:
        lanes, first, otherwise = given
        kind, name = ir.FunctionType(_VECTOR, [_VECTOR, _BOOL]), f"llvm.cttz.v{BLOCK}i8"
        zeros = builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [lanes, ir.Constant(_BOOL, 0)])
        none = builder.icmp_unsigned("==", lanes, ir.Constant(_VECTOR, None))
        return builder.select(none, otherwise, builder.add(zeros, _spread(builder, first)))

    return _LANES(_LANES, types.uint8, _LANES), generate


@intrinsic  # type: ignore[untyped-decorator]
def _put(typing: Any, lanes: Any, into: Any, at: Any) -> Any:  # noqa: ARG001
    """``into[at:][:BLOCK] = lanes``."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        lanes, into, at = given
        builder.store(lanes, _place(context, builder, signature.args[1], into, at), align=1)
        return context.get_dummy_value()

    return types.void(_LANES, into, types.uint64), generate


@register_jitable  # type: ignore[untyped-decorator]
def _aligned(size: int) -> Any:
    """Zeros, int8 (size,), that begin where a cache line does: a vector that spans two is twice as slow."""
    raw = np.zeros(size + 64, np.int8)
    skipped = (64 - raw.ctypes.data % 64) % 64
    return raw[skipped : skipped + size]


@register_jitable  # type: ignore[untyped-decorator]
def _rank_codes(X: Any, start: int, size: int, feature: Any, codes: Any, ranks: Any) -> None:
    for column in range(_U(feature.size)):
        source, at = _U(feature[column]), column * _BLOCK
        for j in range(_U(size)):
            ranks[at + j] = codes[column, np.uint16(X[_U(start) + j, source])]


@register_jitable  # type: ignore[untyped-decorator]
def _rank_reals(
    X: Any, start: int, size: int, feature: Any, thresholds: Any, of_nan: Any, of_zero: Any, zero: float, ranks: Any
) -> None:
    for column in range(_U(feature.size)):
        source, at = _U(feature[column]), column * _BLOCK
        own = thresholds[column]
        for j in range(_U(size)):
            value = np.float64(X[_U(start) + j, source])
            # Eight halvings without a branch: a value says nothing about the next one's place.
            rank = _U(128) if own[_U(127)] < value else _U(0)
            rank += _U(64) if own[rank + _U(63)] < value else _U(0)
            rank += _U(32) if own[rank + _U(31)] < value else _U(0)
            rank += _U(16) if own[rank + _U(15)] < value else _U(0)
            rank += _U(8) if own[rank + _U(7)] < value else _U(0)
            rank += _U(4) if own[rank + _U(3)] < value else _U(0)
            rank += _U(2) if own[rank + _U(1)] < value else _U(0)
            rank += _U(1) if own[rank] < value else _U(0)
            found = np.uint8(rank)
            found = of_zero[column] if abs(value) <= zero else found
            found = of_nan[column] if math.isnan(value) else found
            ranks[at + j] = np.int8(found ^ np.uint8(128))


@register_jitable  # type: ignore[untyped-decorator]
def _leaves(ranks: Any, entries: Any, tree: Any, leaves: Any, at: Any) -> None:
    """Leaves of one tree that the pixels of a block end in, into ``leaves[at:][:BLOCK]``."""
    plane_start, entry_start, column, rank, right, left = entries
    first = _U(plane_start[tree])
    planes = _U(plane_start[tree + _U(1)]) - first
    leaf = _lanes(np.uint8(0))
    for i in range(planes):
        plane = planes - _U(1) - i
        kept = _lanes(_ALL)
        for entry in range(_U(entry_start[first + plane]), _U(entry_start[first + plane + _U(1)])):
            kept = _narrowed(kept, ranks, _U(column[entry]) * _BLOCK, rank[entry], right[entry], left[entry])
        leaf = _lowest(kept, np.uint8(plane * _U(8)), leaf)
    _put(leaf, leaves, at)


@register_jitable  # type: ignore[untyped-decorator]
def _add(leaves: Any, leaf_value: Any, tree: Any, trees: Any, scores: Any) -> None:
    """Add the leaves of up to TOGETHER trees in turn, as LightGBM does: the sums are the same to the last bit."""
    if trees == _TOGETHER:
        for j in range(_BLOCK):
            score = scores[j]
            for i in range(_TOGETHER):
                score += leaf_value[tree + i, _U(leaves[i * _BLOCK + j])]
            scores[j] = score
    else:
        for i in range(trees):
            for j in range(_BLOCK):
                scores[j] += leaf_value[tree + i, _U(leaves[i * _BLOCK + j])]


@register_jitable  # type: ignore[untyped-decorator]
def _link(scores: Any, size: int, what: int, iterations: float, slope: float, offset: Any, out: Any) -> None:
    """Sums of leaves (classes, pixels) -> out (pixels, classes), in LightGBM's order of operations."""
    classes = scores.shape[0]
    for j in range(size):
        top = -np.inf
        for k in range(classes):
            # Only a random forest's are over 1.
            score = scores[k, j] / iterations
            if what != SCORES:
                score = score * slope + offset[k]
            scores[k, j] = score
            top = max(top, score)
        total = 0.0
        for k in range(classes):
            score = scores[k, j]
            if what == SOFTMAX:
                score = math.exp(score - top)
                total += score
            elif what == LOGISTIC:
                score = 1.0 / (1.0 + math.exp(-score))
            out[j, k] = score
        if what == SOFTMAX:
            for k in range(classes):
                out[j, k] /= total


@register_jitable  # type: ignore[untyped-decorator]
def _block(ranks: Any, entries: Any, leaf_value: Any, leaves: Any, scores: Any) -> None:
    """Sums of leaves of one block: ranks -> scores (classes, BLOCK)."""
    per_class = _U(leaf_value.shape[0]) // _U(scores.shape[0])
    scores[:] = 0.0
    for k in range(_U(scores.shape[0])):
        done = _U(0)
        while done < per_class:
            trees = min(_TOGETHER, per_class - done)
            tree = k * per_class + done
            for i in range(trees):
                _leaves(ranks, entries, tree + i, leaves, i * _BLOCK)
            _add(leaves, leaf_value, tree, trees, scores[k])
            done += trees


def from_codes(X: Any, feature: Any, codes: Any, entries: Any, leaf_value: Any, link: Any, out: Any) -> None:
    """X int16 (pixels, features) -> out float64 (pixels, classes)."""
    ranks = _aligned(feature.size * BLOCK)
    leaves = _aligned(TOGETHER * BLOCK).view(np.uint8)
    scores = np.empty((out.shape[1], BLOCK))
    for start in range(0, X.shape[0], BLOCK):
        size = min(BLOCK, X.shape[0] - start)
        _rank_codes(X, start, size, feature, codes, ranks)
        _block(ranks, entries, leaf_value, leaves, scores)
        _link(scores, size, *link, out[start:])


def from_reals(
    X: Any, feature: Any, thresholds: Any, missing: Any, entries: Any, leaf_value: Any, link: Any, out: Any
) -> None:
    """X float32 (pixels, features) -> out float64 (pixels, classes)."""
    ranks = _aligned(feature.size * BLOCK)
    leaves = _aligned(TOGETHER * BLOCK).view(np.uint8)
    scores = np.empty((out.shape[1], BLOCK))
    for start in range(0, X.shape[0], BLOCK):
        size = min(BLOCK, X.shape[0] - start)
        _rank_reals(X, start, size, feature, thresholds, *missing, ranks)
        _block(ranks, entries, leaf_value, leaves, scores)
        _link(scores, size, *link, out[start:])


def _given(kind: Any, dimensions: int, layout: str = "C") -> Any:
    # Arrays that must not be written to are another type to numba, and would be compiled for again.
    return types.Array(kind, dimensions, layout, readonly=True)


_INDEX, _BYTES = _given(types.int64, 1), _given(types.uint8, 1)
_FOREST = (
    types.Tuple((_INDEX, _INDEX, _given(types.int32, 1), _given(types.int8, 1), _BYTES, _BYTES)),
    _given(types.float64, 2),
    types.Tuple((types.int64, types.float64, types.float64, _given(types.float64, 1))),
    types.Array(types.float64, 2, "C"),
)
_MISSING = types.Tuple((_BYTES, _BYTES, types.float64))
_SIGNATURES = {
    from_codes: types.void(_given(types.int16, 2, "A"), _INDEX, _given(types.int8, 2), *_FOREST),
    from_reals: types.void(_given(types.float32, 2, "A"), _INDEX, _given(types.float64, 2), _MISSING, *_FOREST),
}


def run(kernel: Callable[..., None], *arguments: Any) -> None:
    """Call a kernel of this file, compiled; the machine's next process finds it in numba's cache."""
    _compiled(kernel)(*arguments)


@lru_cache
def _compiled(kernel: Callable[..., None]) -> Callable[..., None]:
    try:
        return numba.njit(_SIGNATURES[kernel], nogil=True, cache=True)(kernel)  # type: ignore[no-any-return]
    except (RuntimeError, OSError):
        # No place to keep it, or the place is full or lost: the kernel itself is not at fault.
        return numba.njit(_SIGNATURES[kernel], nogil=True)(kernel)  # type: ignore[no-any-return]
