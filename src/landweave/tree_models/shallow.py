"""Scores and probabilities of LightGBM models whose trees have few leaves: all pixels of a block ask all questions.

How it works (QuickScorer, Lucchese et al. 2015, over vectors of bytes): every tree begins with a bit for each leaf, all
set. A node whose question a pixel answers with "to the second side" clears the leaves of its first side, so every node
can be asked, in any order, with no branch. The lowest bit left is the leaf that the pixel ends in.

*Proof.* The leaves are numbered so that at every node those of the first side come before those of the second. The
exit leaf is never cleared: a node clears leaves below itself on the side where the pixel does not go, and of the nodes
above the exit leaf none has it on that side. Every leaf before the exit leaf is cleared: where the ways to the two
part, this leaf lies on the first side and the exit leaf on the second, so that node, which the pixel does pass, clears
it.

The first side is the one with fewer leaves, left or right, so that most nodes touch eight leaves or less: one byte.

Nothing here is approximate. A value's rank among a column's thresholds answers the comparisons that LightGBM makes in
double precision (:mod:`landweave.tree_models.columns`), and the leaves of a class are added in float64, iteration after
iteration from 0.0, which are LightGBM's additions in LightGBM's order: the sums are equal to the last bit, so no margin
between two classes is too narrow. The probabilities are made by its formulas in its order; they are the same bits
where the exponential function is the same.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from landweave.tree_models.columns import NEARLY_ZERO, Columns, columns_of, rank_codes
from landweave.tree_models.text import Forest, NotCovered

MOST_LEAVES = 256
"""Of a tree, so that a leaf's number is a byte."""

NODATA = -32768
"""A missing feature, in int16."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ShallowForest:
    """A forest laid out for :func:`probabilities`: class after class, the trees of each in the order of iterations.

    Eight leaves of a tree are a *plane*; an *entry* is what a node does to a plane.
    """

    n_features: int
    n_classes: int

    objective: str
    """As in :class:`landweave.tree_models.text.Forest`, like the next."""

    sigmoid: float

    iterations: int
    """What sums are divided by before they become probabilities: 1 but for a random forest."""

    columns: Columns

    plane_start: np.ndarray
    """int64 (trees + 1,): the first plane of each tree."""

    entry_start: np.ndarray
    """int64 (planes + 1,): the first entry of each plane."""

    entry_column: np.ndarray
    """int32 (entries,)."""

    entry_rank: np.ndarray
    """int8 (entries,): the threshold's number less 128."""

    right: np.ndarray
    """uint8 (entries,): the leaves that are kept where the pixel goes right."""

    left: np.ndarray
    """uint8 (entries,): the same for left."""

    leaf_value: np.ndarray
    """float64 (trees, leaves)."""

    @cached_property
    def codes(self) -> np.ndarray:
        """int8 (columns, 65536): ranks of every int16 less 128, 64 kB a column; made when first asked for."""
        return (rank_codes(self.columns, nodata=NODATA) ^ np.uint8(128)).view("int8")


def shallow_forest(forest: Forest) -> ShallowForest:
    """Lay a forest out.

    Raises
    ------
    NotCovered
        For a tree of more than 256 leaves.
    """
    if forest.most_leaves > MOST_LEAVES:
        raise NotCovered(f"it has a tree of {forest.most_leaves} leaves, and at most {MOST_LEAVES} are supported")
    nodes, leaves = np.diff(forest.node_start), np.diff(forest.leaf_start)
    iterations = forest.n_trees // forest.n_classes
    # Tree i adds to class i % n_classes.
    order = np.arange(forest.n_trees).reshape(iterations, forest.n_classes).T.ravel()
    place = np.argsort(order)
    begin, end, swapped, position = _numbered(forest)
    plane_start = np.concatenate([[0], np.cumsum(-(-leaves[order] // 8))])
    # An entry for each plane that a node's first side reaches into.
    reach = (end - 1) // 8 - begin // 8 + 1
    node = np.repeat(np.arange(begin.size), reach)
    plane = begin[node] // 8 + np.arange(node.size) - np.repeat(np.cumsum(reach) - reach, reach)
    low, high = (np.clip(edge[node] - 8 * plane, 0, 8) for edge in (begin, end))
    kept = 255 - ((1 << high) - (1 << low))
    whole = plane + plane_start[place[np.repeat(np.arange(forest.n_trees), nodes)]][node]
    turn = np.argsort(whole, kind="stable")
    node, kept = node[turn], kept[turn].astype("uint8")
    columns = columns_of(forest)
    value = np.zeros((forest.n_trees, 8 * (-(-forest.most_leaves // 8))))
    value[place[np.repeat(np.arange(forest.n_trees), leaves)], position] = forest.leaf_value
    return ShallowForest(
        n_features=forest.n_features,
        n_classes=forest.n_classes,
        objective=forest.objective,
        sigmoid=forest.sigmoid,
        iterations=iterations if forest.average_output else 1,
        columns=columns,
        plane_start=plane_start,
        entry_start=np.searchsorted(whole[turn], np.arange(plane_start[-1] + 1)),
        entry_column=columns.column[node].astype("int32"),
        entry_rank=(columns.rank[node] ^ np.uint8(128)).view("int8"),
        right=np.where(swapped[node], np.uint8(255), kept),
        left=np.where(swapped[node], kept, np.uint8(255)),
        leaf_value=value,
    )


def raw_scores(forest: ShallowForest, X: np.ndarray) -> np.ndarray:
    """Sum of the leaves of each class.

    Parameters
    ----------
    forest
        From :func:`shallow_forest`.
    X
        (pixels, features), the model's features in order, in any layout of memory: int16, -32768 missing, or float32,
        NaN missing.

    Returns
    -------
    numpy.ndarray
        float64 (pixels, classes): bit for bit what ``Booster.predict(X, raw_score=True)`` gives.

    Raises
    ------
    ValueError
        For another number of features, or another type.

    Notes
    -----
    One thread, which holds no lock of the interpreter. A pixel's score depends on its own values alone.
    """
    from landweave.tree_models.shallow_kernels import SCORES

    return _evaluated(forest, X, SCORES, iterations=1, slope=1.0, offset=np.zeros(forest.n_classes))


def probabilities(
    forest: ShallowForest, X: np.ndarray, *, slope: float = 1.0, offset: np.ndarray | None = None
) -> np.ndarray:
    """exp(z_k) / sum exp(z), z = slope * s + offset, of the scores s; other objectives: 1 / (1 + exp(-sigmoid * s)).

    Parameters
    ----------
    forest, X
        As for :func:`raw_scores`.
    slope, offset
        A number and (classes,); for ``multiclass`` alone. A class whose offset is -inf gets 0.

    Returns
    -------
    numpy.ndarray
        float64 (pixels, classes): with the default slope and offset what ``Booster.predict(X)`` gives; a binary
        model's only column is that of "yes".

    Raises
    ------
    ValueError
        As for :func:`raw_scores`, and for slope or offset where the objective has none.
    """
    from landweave.tree_models.shallow_kernels import LOGISTIC, SOFTMAX

    shift = np.zeros(forest.n_classes) if offset is None else np.asarray(offset, "float64")
    if forest.objective == "multiclass":
        return _evaluated(forest, X, SOFTMAX, iterations=forest.iterations, slope=slope, offset=shift)
    if slope != 1.0 or offset is not None:
        raise ValueError(f"Scores of a {forest.objective} model are not scaled.")
    return _evaluated(forest, X, LOGISTIC, iterations=forest.iterations, slope=forest.sigmoid, offset=shift)


def _evaluated(
    forest: ShallowForest, X: np.ndarray, link: int, *, iterations: int, slope: float, offset: np.ndarray
) -> np.ndarray:
    from landweave.tree_models import shallow_kernels as kernels

    if X.ndim != 2 or X.shape[1] != forest.n_features:
        raise ValueError(f"The model needs (pixels, {forest.n_features}), not an array {X.shape}.")
    out = np.empty((X.shape[0], forest.n_classes))
    columns = forest.columns
    entries = (
        forest.plane_start, forest.entry_start, forest.entry_column, forest.entry_rank, forest.right, forest.left,
    )  # fmt: skip
    rest = (entries, forest.leaf_value, (link, float(iterations), slope, offset), out)
    if X.dtype == np.int16:
        kernels.run(kernels.from_codes, X, columns.feature, forest.codes, *rest)
    elif X.dtype == np.float32:
        missing = (columns.of_nan, columns.of_zero, NEARLY_ZERO)
        kernels.run(kernels.from_reals, X, columns.feature, columns.thresholds, missing, *rest)
    else:
        raise ValueError(f"The model needs int16 or float32, not {X.dtype}.")
    return out


def _numbered(forest: Forest) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Number the leaves of every tree so that at each node the side with fewer comes first.

    Returns
    -------
    begin, end
        int64 (nodes,): the leaves of a node's first side.
    swapped
        bool (nodes,): the first side is the right one.
    position
        int64 (leaves,): the number of each leaf in its tree.
    """
    nodes, root, base = np.diff(forest.node_start), forest.node_start, forest.leaf_start
    # A child comes after its parent, so the n-th nodes of all trees can be looked at together.
    turns = [np.flatnonzero(nodes > n) for n in range(nodes.max(initial=0))]
    below, begin = np.ones((2, forest.left.size), "int64"), np.zeros(forest.left.size, "int64")
    for n in reversed(range(len(turns))):
        at = root[turns[n]] + n
        for side, child in enumerate((forest.left[at], forest.right[at])):
            inner = child >= 0
            below[side, at[inner]] = below[:, (root[turns[n]] + child)[inner]].sum(axis=0)
    swapped = below[1] < below[0]
    first = np.where(swapped, below[1], below[0])
    position = np.zeros(forest.leaf_value.size, "int64")
    for n, trees in enumerate(turns):
        at = root[trees] + n
        left, right = forest.left[at], forest.right[at]
        for child, after in ((left, swapped[at]), (right, ~swapped[at])):
            start = begin[at] + np.where(after, first[at], 0)
            inner = child >= 0
            begin[(root[trees] + child)[inner]] = start[inner]
            position[(base[trees] + ~child)[~inner]] = start[~inner]
    return begin, begin + first, swapped, position
