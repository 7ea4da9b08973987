"""Checks of a forest read from a file: compiled code follows its indices without checking them."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from landweave.errors import InputError

MOST_LEAVES = 131072
"""Of a tree: LightGBM itself makes no larger ones."""

MOST_DEPTH = 10_000
"""Of a tree. Every pixel passes from the root to a leaf: one long chain of nodes would take minutes for a patch."""

LARGEST_DECISION = 15
"""LightGBM's decision_type has four bits."""

CATEGORICAL = 1
"""The bit of LightGBM's decision_type that makes a threshold the number of a set of categories."""

_NUMBERS = re.compile(r"[-+.0-9einfa ]*")


def numbers(trees: Sequence[Mapping[str, str]], key: str, sizes: np.ndarray, kind: type) -> np.ndarray:
    """The numbers of one line of every tree in LightGBM's text, one tree after the other.

    Parameters
    ----------
    trees
        Lines of each tree by name.
    key
        Name of the line.
    sizes
        int64 (trees,): how many numbers each tree must have; where it is 0 the line is ignored.
    kind
        ``int`` or ``float``.

    Returns
    -------
    numpy.ndarray
        int64 or float64, (sum of sizes,).

    Raises
    ------
    InputError
        For another count, and for numbers that LightGBM would read differently (``1_0``).
    KeyError, ValueError, OverflowError
        For a line that is missing or contains anything but numbers.
    """
    lines = [tree[key] if size else "" for tree, size in zip(trees, sizes.tolist(), strict=True)]
    words = [line.split() for line in lines]
    for own, size in zip(words, sizes.tolist(), strict=True):
        if len(own) != size:
            raise InputError(f"The model file has {len(own)} values of {key} in a tree that needs {size}.")
    if not _NUMBERS.fullmatch(" ".join(lines)):
        raise InputError(f"The model file has a value of {key} that is not a number.")
    return np.array([kind(word) for own in words for word in own], "float64" if kind is float else "int64")


def check_children(left: np.ndarray, right: np.ndarray, nodes: np.ndarray) -> None:
    """Check that each node but the first, and each leaf, is a child exactly once and comes after its parent.

    Parameters
    ----------
    left, right
        int64 (all nodes,): a node of the same tree, or ``~leaf``.
    nodes
        int64 (trees,): nodes of each tree; it has a leaf more.

    Raises
    ------
    InputError
        If this is not so, and for trees of more than 10000 levels.
    """
    start, leaf_start = np.cumsum(nodes) - nodes, np.cumsum(nodes + 1) - nodes - 1
    shift, leaf_shift, size = (np.repeat(values, nodes) for values in (start, leaf_start, nodes))
    met = np.zeros(left.size + left.size + nodes.size, "int64")
    below = []
    for child in (left, right):
        if ((child >= size) | (child < -size - 1)).any():
            raise InputError("The model file has a tree with a node that is not the child of exactly one other.")
        below.append(np.where(child >= 0, child + shift, ~child + leaf_shift + left.size))
        met += np.bincount(below[-1], minlength=met.size)
    met[start[nodes > 0]] += 1
    met[left.size + leaf_start[nodes == 0]] += 1
    if (met != 1).any():
        raise InputError("The model file has a tree with a node that is not the child of exactly one other.")
    if any((child <= np.arange(left.size)).any() for child in below):
        raise InputError("The model file has a tree with a cycle.")
    inner = [np.where(child < left.size, child, -1) for child in below]
    if deepest(inner[0], inner[1], start[nodes > 0]) > MOST_DEPTH:
        raise InputError(f"The model file has a tree of more than {MOST_DEPTH} levels.")


def deepest(left: np.ndarray, right: np.ndarray, roots: np.ndarray, *, limit: int = MOST_DEPTH) -> int:
    """Depth in nodes of the deepest of some trees; counting stops at ``limit + 1``.

    Parameters
    ----------
    left, right
        int64 (nodes,): numbers of nodes, or negative for a leaf; all within range.
    roots
        The first node of each tree.

    >>> deepest(np.array([1, -1, -3]), np.array([2, -2, -4]), np.array([0]))
    2
    """
    level, depth = roots, 0
    while level.size and depth <= limit:
        depth += 1
        level = np.concatenate([left[level], right[level]])
        level = level[level >= 0]
    return depth


def check_categories(lines: Mapping[str, str], leaves: int, decision: np.ndarray, threshold: np.ndarray) -> None:
    """Check the sets of categories of a tree.

    Parameters
    ----------
    lines
        Lines of the tree by name.
    leaves
        Number of leaves.
    decision, threshold
        int64 and float64 (leaves - 1,).

    Raises
    ------
    InputError, KeyError, ValueError
        If a line has another length, or a split needs a set that does not exist.
    """
    sets = int(lines["num_cat"])
    categorical = (decision & CATEGORICAL) > 0
    if not 0 <= sets <= max(leaves - 1, 0) or (not sets and categorical.any()):
        raise InputError(f"The model file has {sets} sets of categories in a tree of {leaves} leaves.")
    if not sets:
        return
    edges = numbers([lines], "cat_boundaries", np.array([sets + 1]), int)
    # Shorter than the text: no line is longer than that.
    if edges[0] != 0 or (np.diff(edges) < 0).any() or edges[-1] > len(lines["cat_threshold"]):
        raise InputError("The model file has cat_boundaries that are not increasing from 0.")
    words = numbers([lines], "cat_threshold", edges[-1:], int)
    if words.size and (words.min() < 0 or words.max() >= 1 << 32):
        raise InputError("The model file has a cat_threshold that does not fit in 32 bits.")
    of_set = threshold[categorical]
    if not ((of_set >= 0) & (of_set < sets) & (of_set == np.floor(of_set))).all():
        raise InputError(f"The model file has a split on a set of categories beyond the {sets} that it has.")


def check_linear(lines: Mapping[str, str], leaves: int, n_features: int) -> None:
    """Check the linear functions in the leaves of a tree.

    Raises
    ------
    InputError, KeyError, ValueError
        If a line has another length, or a function needs a feature that the model does not have.
    """
    size = np.array([leaves])
    constant = numbers([lines], "leaf_const", size, float)
    counts = numbers([lines], "num_features", size, int)
    if counts.min() < 0 or counts.max() > len(lines["leaf_features"]):
        raise InputError("The model file has a leaf with an impossible number of features.")
    feature = numbers([lines], "leaf_features", counts.sum(keepdims=True), int)
    factor = numbers([lines], "leaf_coeff", counts.sum(keepdims=True), float)
    if feature.size and not (feature.min() >= 0 and feature.max() < n_features):
        raise InputError(f"The model file has a leaf that needs feature {feature.max()} of {n_features}.")
    if not (np.isfinite(constant).all() and np.isfinite(factor).all()):
        raise InputError("The model file has a linear leaf with a value that is not a finite number.")
