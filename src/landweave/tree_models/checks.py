"""Is a forest read from a file one that can be walked? Compiled code follows its indices without looking."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from landweave.errors import InputError

MOST_LEAVES = 131072
"""Of a tree: LightGBM itself makes no larger ones."""

MOST_DEPTH = 10_000
"""Of a tree. Every pixel walks from the root to a leaf: a chain of all nodes would take minutes for a patch."""

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
        int64 (trees,): how many numbers each tree must have; of none the line is not looked at.
    kind
        ``int`` or ``float``.

    Returns
    -------
    numpy.ndarray
        int64 or float64, (sum of sizes,).

    Raises
    ------
    InputError
        For another count, and for a spelling of numbers that LightGBM would read as others (``1_0``).
    KeyError, ValueError, OverflowError
        For a line that is missing or holds something else.
    """
    lines = [tree[key] if size else "" for tree, size in zip(trees, sizes.tolist(), strict=True)]
    words = [line.split() for line in lines]
    for own, size in zip(words, sizes.tolist(), strict=True):
        if len(own) != size:
            raise InputError(f"The model's text has {len(own)} values of {key} in a tree that needs {size}.")
    if not _NUMBERS.fullmatch(" ".join(lines)):
        raise InputError(f"The model's text has a value of {key} that is not a number.")
    return np.array([kind(word) for own in words for word in own], "float64" if kind is float else "int64")


def check_children(left: np.ndarray, right: np.ndarray, nodes: np.ndarray) -> None:
    """Every node but the first, and every leaf, is a child once, and comes after its parent: no walk can go astray.

    Parameters
    ----------
    left, right
        int64 (all nodes,): a node of the same tree, or ``~leaf``.
    nodes
        int64 (trees,): nodes of each tree; it has a leaf more.

    Raises
    ------
    InputError
        Where this does not hold, and for trees of more than 10000 levels.
    """
    start, leaf_start = np.cumsum(nodes) - nodes, np.cumsum(nodes + 1) - nodes - 1
    shift, leaf_shift, size = (np.repeat(values, nodes) for values in (start, leaf_start, nodes))
    met = np.zeros(left.size + left.size + nodes.size, "int64")
    below = []
    for child in (left, right):
        if ((child >= size) | (child < -size - 1)).any():
            raise InputError("The model's text has a tree whose nodes are not each the child of one other.")
        below.append(np.where(child >= 0, child + shift, ~child + leaf_shift + left.size))
        met += np.bincount(below[-1], minlength=met.size)
    met[start[nodes > 0]] += 1
    met[left.size + leaf_start[nodes == 0]] += 1
    if (met != 1).any():
        raise InputError("The model's text has a tree whose nodes are not each the child of one other.")
    if any((child <= np.arange(left.size)).any() for child in below):
        raise InputError("The model's text has a tree that runs in a circle.")
    inner = [np.where(child < left.size, child, -1) for child in below]
    if deepest(inner[0], inner[1], start[nodes > 0]) > MOST_DEPTH:
        raise InputError(f"The model's text has a tree of more than {MOST_DEPTH} levels.")


def deepest(left: np.ndarray, right: np.ndarray, roots: np.ndarray, *, limit: int = MOST_DEPTH) -> int:
    """Nodes on the longest way down any of some trees, counted no further than ``limit + 1``.

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
    """The sets of categories of a tree.

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
        Where a line has another length, or a split needs a set that does not exist.
    """
    sets = int(lines["num_cat"])
    categorical = (decision & CATEGORICAL) > 0
    if not 0 <= sets <= max(leaves - 1, 0) or (not sets and categorical.any()):
        raise InputError(f"The model's text has {sets} sets of categories in a tree of {leaves} leaves.")
    if not sets:
        return
    edges = numbers([lines], "cat_boundaries", np.array([sets + 1]), int)
    # Shorter than the text: no line is longer than that.
    if edges[0] != 0 or (np.diff(edges) < 0).any() or edges[-1] > len(lines["cat_threshold"]):
        raise InputError("The model's text has cat_boundaries that do not rise from 0.")
    words = numbers([lines], "cat_threshold", edges[-1:], int)
    if words.size and (words.min() < 0 or words.max() >= 1 << 32):
        raise InputError("The model's text has a cat_threshold that is no word of 32 bits.")
    of_set = threshold[categorical]
    if not ((of_set >= 0) & (of_set < sets) & (of_set == np.floor(of_set))).all():
        raise InputError(f"The model's text has a split on a set of categories beyond its {sets}.")


def check_linear(lines: Mapping[str, str], leaves: int, n_features: int) -> None:
    """The linear functions in the leaves of a tree.

    Raises
    ------
    InputError, KeyError, ValueError
        Where a line has another length, or a function needs a feature that the model does not have.
    """
    size = np.array([leaves])
    constant = numbers([lines], "leaf_const", size, float)
    counts = numbers([lines], "num_features", size, int)
    if counts.min() < 0 or counts.max() > len(lines["leaf_features"]):
        raise InputError("The model's text has a leaf with an impossible number of features.")
    feature = numbers([lines], "leaf_features", counts.sum(keepdims=True), int)
    factor = numbers([lines], "leaf_coeff", counts.sum(keepdims=True), float)
    if feature.size and not (feature.min() >= 0 and feature.max() < n_features):
        raise InputError(f"The model's text has a leaf that needs feature {feature.max()} of {n_features}.")
    if not (np.isfinite(constant).all() and np.isfinite(factor).all()):
        raise InputError("The model's text has a linear leaf that is not a number.")
