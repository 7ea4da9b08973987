"""The compiled half of :mod:`landweave.tree_models.deep`; importing it imports numba."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.extending import intrinsic

LANES = 512
"""Pixels of a block: a whole number of words of 64."""

TOGETHER = 2
"""Blocks that go down a tree in one queue: enough to keep the processor busy, few enough for its nearest cache."""

_DIGIT = 11
"""Bits that one pass of the radix sort looks at."""

# numba makes a float of a signed and an unsigned integer, so every whole number of the walk is unsigned.
_U = np.uint64
_WORD, _WORDS, _ONE, _NONE, _ALL = _U(64), _U(LANES // 64), _U(1), _U(0), _U(2**64 - 1)
_WIDE = _U(LANES)
_LOW8, _LOW16, _LOW24 = _U(0xFF), _U(0xFFFF), _U(0xFFFFFF)
_BY8, _BY16, _BY32, _BY48 = _U(8), _U(16), _U(32), _U(48)


def run(kernel: Callable[..., None], *arguments: Any) -> None:
    """Call a kernel of this file, compiled; the machine's next process finds it in numba's cache."""
    try:
        _compiled(kernel, cache=True)(*arguments)
    except OSError:
        # The folder of compiled kernels may be full or lost: the kernel itself is not at fault.
        _compiled(kernel, cache=False)(*arguments)


@lru_cache
def _compiled(kernel: Callable[..., None], *, cache: bool) -> Callable[..., None]:
    if cache:
        try:
            return numba.njit(kernel, nogil=True, cache=True)  # type: ignore[no-any-return]
        except RuntimeError:
            # A package in a read-only place, and no home folder to write to either.
            return _compiled(kernel, cache=False)
    return numba.njit(kernel, nogil=True)  # type: ignore[no-any-return]


def look_up(values: Any, feature: Any, codes: Any, ranks: Any) -> None:
    """Rank of each int16: values (features, pixels), codes (columns, 65536) -> ranks (columns, pixels)."""
    for column in range(feature.size):
        row = values[feature[column]]
        for i in range(row.size):
            ranks[column, i] = codes[column, np.uint16(row[i])]


def count_below(
    values: Any, feature: Any, thresholds: Any, of_nan: Any, of_zero: Any, nearly_zero: float, ranks: Any
) -> None:
    """Rank of each float64: values (features, pixels), thresholds (columns, 255) -> ranks (columns, pixels)."""
    for column in range(feature.size):
        row = values[feature[column]]
        own = thresholds[column]
        for i in range(row.size):
            value = row[i]
            # Eight halvings without a branch: a value says nothing about the next one's place.
            rank = 0
            rank += 128 if own[127] < value else 0
            rank += 64 if own[rank + 63] < value else 0
            rank += 32 if own[rank + 31] < value else 0
            rank += 16 if own[rank + 15] < value else 0
            rank += 8 if own[rank + 7] < value else 0
            rank += 4 if own[rank + 3] < value else 0
            rank += 2 if own[rank + 1] < value else 0
            rank += 1 if own[rank] < value else 0
            if abs(value) <= nearly_zero:
                rank = of_zero[column]
            if math.isnan(value):
                rank = of_nan[column]
            ranks[column, i] = rank


def sort_alike(ranks: Any, spread: Any, order: Any) -> None:
    """Pixels in the order of keys that interleave the leading bits of their ranks: like ones become neighbours.

    ranks (columns, pixels), spread uint32 (columns, 256) -> order uint32 (2, pixels), of which row 1 is the answer.
    """
    pixels = ranks.shape[1]
    keys = np.zeros((2, pixels), np.uint32)
    for column in range(ranks.shape[0]):
        for i in range(pixels):
            keys[0, i] |= spread[column, ranks[column, i]]
    for i in range(pixels):
        order[0, i] = i
    counts = np.empty(1 << _DIGIT, np.int64)
    for turn in range(3):
        shift = np.uint32(turn * _DIGIT)
        old, new = turn % 2, 1 - turn % 2
        counts[:] = 0
        for i in range(pixels):
            counts[(keys[old, i] >> shift) & np.uint32((1 << _DIGIT) - 1)] += 1
        place = 0
        for digit in range(counts.size):
            count = counts[digit]
            counts[digit] = place
            place += count
        for i in range(pixels):
            digit = (keys[old, i] >> shift) & np.uint32((1 << _DIGIT) - 1)
            place = counts[digit]
            counts[digit] = place + 1
            keys[new, place] = keys[old, i]
            order[new, place] = order[old, i]


def gather(ranks: Any, order: Any, blocks: Any) -> None:
    """ranks (columns, pixels) in the given order -> blocks (blocks, columns, lanes); the last pixel fills the rest."""
    last = order.size - 1
    for block in range(blocks.shape[0]):
        for column in range(blocks.shape[1]):
            for lane in range(blocks.shape[2]):
                blocks[block, column, lane] = ranks[column, order[min(block * LANES + lane, last)]]


def descend(
    blocks: Any, node_start: Any, records: Any, leaf_start: Any, leaf_value: Any, most_leaves: Any, scores: Any
) -> None:
    """Take blocks of pixels down every tree and add what its leaves hold.

    A queue holds which node of which block is to be visited, and which of the block's pixels are there: one bit each.
    A visit compares the ranks of the whole block with the node's and appends both children. An empty child is
    overwritten by the next entry, so nothing but the queue's end is a branch. Leaves are kept from the far end of the
    same queue. No node and no leaf of a block is appended twice, so the two ends never meet.

    Parameters
    ----------
    blocks
        uint8 (blocks, columns, lanes).
    node_start, leaf_start
        uint64 (trees + 1,).
    records
        uint64 (nodes,): 8 bits of rank, 24 of column, 16 of left child, 16 of right child. A child at or above the
        tree's number of nodes is a leaf.
    leaf_value
        float64 (leaves,).
    most_leaves
        uint64, of any tree.
    scores
        float64 (classes, blocks * lanes), added to; tree ``i`` belongs to class ``i % classes``.
    """
    n_blocks, columns, classes = _U(blocks.shape[0]), _U(blocks.shape[1]), _U(scores.shape[0])
    ranks = blocks.reshape(-1)
    end = _U(TOGETHER) * (most_leaves + most_leaves) + _U(2)
    place = np.empty(end, np.uint64)  # block << 16 | node or leaf
    here = np.empty(end * _WORDS, np.uint64)
    leaf = np.empty(_U(TOGETHER * LANES), np.uint16)
    to_right = np.empty(_WORDS, np.uint64)
    first = _NONE
    while first < n_blocks:
        together = min(n_blocks - first, _U(TOGETHER))
        for tree in range(_U(node_start.size) - _ONE):
            start, nodes = node_start[tree], node_start[tree + _ONE] - node_start[tree]
            # A tree without a node is its one leaf.
            tail = together if nodes else _NONE
            head, back = _NONE, end - _ONE
            if not nodes:
                leaf[:] = 0
            for block in range(together):
                place[block] = block << _BY16
                for word in range(_WORDS):
                    here[block * _WORDS + word] = _ALL
            while head < tail:
                block = place[head] >> _BY16
                record = records[start + (place[head] & _LOW16)]
                rank = np.uint8(record & _LOW8)
                at = ((first + block) * columns + ((record >> _BY8) & _LOW24)) * _WIDE
                child = (record >> _BY32) & _LOW16
                is_leaf = _U(child >= nodes)
                slot = back if is_leaf else tail
                some_left, some_right = _NONE, _NONE
                for word in range(_WORDS):
                    now = here[head * _WORDS + word]
                    lower = _not_above(ranks, at + _WORD * word, rank)
                    here[slot * _WORDS + word] = now & lower
                    some_left |= now & lower
                    to_right[word] = now & ~lower
                    some_right |= now & ~lower
                place[slot] = (block << _BY16) | child
                some = _U(some_left != _NONE)
                back -= some & is_leaf
                tail += some & (is_leaf ^ _ONE)
                child = record >> _BY48
                is_leaf = _U(child >= nodes)
                slot = back if is_leaf else tail
                for word in range(_WORDS):
                    here[slot * _WORDS + word] = to_right[word]
                place[slot] = (block << _BY16) | child
                some = _U(some_right != _NONE)
                back -= some & is_leaf
                tail += some & (is_leaf ^ _ONE)
                head += _ONE
            for found in range(back + _ONE, end):
                number = np.uint16((place[found] & _LOW16) - nodes)
                at = (place[found] >> _BY16) * _WIDE
                for word in range(_WORDS):
                    _put(leaf, at + _WORD * word, here[found * _WORDS + word], number)
            total, base, values = scores[tree % classes], first * _WIDE, leaf_start[tree]
            for lane in range(together * _WIDE):
                total[base + lane] += leaf_value[values + _U(leaf[lane])]
        first += together


# LLVM does not find these two in a loop over bytes, and the walk lives on them; it lowers them well on any processor.


@intrinsic  # type: ignore[untyped-decorator]
def _not_above(context: Any, array: Any, at: Any, rank: Any) -> Any:  # noqa: ARG001
    """64 bits: which of the bytes of the flat array from ``at`` on are not above ``rank``."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bytes_, pointer = _vector_at(context, builder, signature, arguments, 8)
        found = builder.load(pointer, align=1)
        return builder.bitcast(
            builder.icmp_unsigned("<=", found, _repeated(builder, arguments[2], bytes_)), ir.IntType(64)
        )

    return numba.types.uint64(array, at, rank), build


@intrinsic  # type: ignore[untyped-decorator]
def _put(context: Any, array: Any, at: Any, mask: Any, value: Any) -> Any:  # noqa: ARG001
    """Write the uint16 where the mask's 64 bits are set, from ``at`` on."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        shorts, pointer = _vector_at(context, builder, signature, arguments, 16)
        chosen = builder.bitcast(arguments[2], ir.VectorType(ir.IntType(1), 64))
        old = builder.load(pointer, align=2)
        builder.store(builder.select(chosen, _repeated(builder, arguments[3], shorts), old), pointer, align=2)
        return context.get_dummy_value()

    return numba.types.void(array, at, mask, value), build


def _vector_at(context: Any, builder: Any, signature: Any, arguments: Any, bits: int) -> tuple[Any, Any]:
    """The type of 64 integers, and a pointer to those that start at element ``arguments[1]`` of ``arguments[0]``."""
    kind = ir.VectorType(ir.IntType(bits), 64)
    data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
    return kind, builder.bitcast(builder.gep(data, [arguments[1]]), kind.as_pointer())


def _repeated(builder: Any, value: Any, kind: Any) -> Any:
    nothing, index = ir.Constant(kind, ir.Undefined), ir.IntType(32)
    single = builder.insert_element(nothing, value, ir.Constant(index, 0))
    return builder.shuffle_vector(single, nothing, ir.Constant(ir.VectorType(index, 64), None))
