"""Scores of LightGBM models whose trees are deep: blocks of like pixels go down each tree together.

The scores are LightGBM's own to the last bit: a value's rank among a column's thresholds answers the comparisons that
LightGBM makes in double precision (:mod:`landweave.tree_models.columns`), and the leaves of a pixel are added in
float64, tree after tree. The probabilities are made by its formulas; they are the same bits where the exponential
function is the same.
"""

from dataclasses import dataclass

import numpy as np

from landweave.tree_models.columns import MOST_THRESHOLDS, NEARLY_ZERO, Columns, columns_of, rank_codes
from landweave.tree_models.text import Forest, NotCovered

MOST_LEAVES = 1 << 15
"""Of a tree, so that 16 bits name a node or a leaf."""

NODATA = -32768
"""A missing feature, in int16."""

ROWS = 1 << 17
"""Pixels that are sorted and evaluated at a time; ten columns take 5 MB beside values and scores."""

_BITS = 32  # of a sorting key


@dataclass(frozen=True, kw_only=True, eq=False)
class DeepForest:
    """A forest laid out for :func:`raw_scores` and :func:`probabilities`."""

    n_features: int
    n_classes: int

    objective: str
    """As in :class:`landweave.tree_models.text.Forest`, like the next."""

    sigmoid: float

    iterations: int
    """What sums are divided by before they become probabilities: 1 but for a random forest."""

    columns: Columns

    codes: np.ndarray
    """uint8 (columns, 65536): ranks of every int16, by its bits taken as uint16."""

    spread: np.ndarray
    """uint32 (columns, 256): a rank's bits in their places in a sorting key."""

    node_start: np.ndarray
    """uint64 (trees + 1,): the first node of each tree."""

    records: np.ndarray
    """uint64 (nodes,): see :func:`landweave.tree_models.deep_kernels.descend`."""

    leaf_start: np.ndarray
    """uint64 (trees + 1,): the first leaf of each tree."""

    leaf_value: np.ndarray
    """float64 (leaves,)."""

    most_leaves: int
    """Of any tree."""


def deep_forest(forest: Forest, *, unit: float = 1.0) -> DeepForest:
    """Lay a forest out.

    Parameters
    ----------
    forest
        From :func:`landweave.tree_models.text.read_forest`.
    unit
        What int16 values are divided by before the model sees them, such as 10000 for reflectance.

    Raises
    ------
    NotCovered
        For a tree of more than 32768 leaves.
    """
    if forest.most_leaves > MOST_LEAVES:
        raise NotCovered(f"it has a tree of {forest.most_leaves} leaves, and at most {MOST_LEAVES} are supported")
    columns = columns_of(forest)
    nodes = np.diff(forest.node_start)
    # Within a tree, leaves are numbered after the nodes.
    sizes = np.repeat(nodes, nodes)
    left, right = (np.where(child >= 0, child, sizes + ~child) for child in (forest.left, forest.right))
    parts = ((columns.rank, 0), (columns.column, 8), (left, 32), (right, 48))
    records = np.zeros(sizes.size, "uint64")
    for part, bit in parts:
        records |= part.astype("uint64") << np.uint64(bit)
    return DeepForest(
        n_features=forest.n_features,
        n_classes=forest.n_classes,
        objective=forest.objective,
        sigmoid=forest.sigmoid,
        iterations=forest.n_trees // forest.n_classes if forest.average_output else 1,
        columns=columns,
        codes=rank_codes(columns, unit=unit, nodata=NODATA),
        spread=_interleaved(columns),
        node_start=forest.node_start.astype("uint64"),
        records=records,
        leaf_start=forest.leaf_start.astype("uint64"),
        leaf_value=forest.leaf_value,
        most_leaves=forest.most_leaves,
    )


def raw_scores(forest: DeepForest, X: np.ndarray) -> np.ndarray:
    """Sum of the leaves of each class.

    Parameters
    ----------
    forest
        From :func:`deep_forest`.
    X
        (pixels, features), the model's features in order: int16, which mean ``X / unit``, -32768 missing, or floating
        point, NaN missing. Fastest where the pixels of one feature lie beside each other in memory.

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
    if X.ndim != 2 or X.shape[1] != forest.n_features:
        raise ValueError(f"The model needs (pixels, {forest.n_features}), not an array {X.shape}.")
    if X.dtype != np.int16 and not np.issubdtype(X.dtype, np.floating):
        raise ValueError(f"The model needs int16 or floating-point numbers, not {X.dtype}.")
    out = np.empty((X.shape[0], forest.n_classes))
    for start in range(0, X.shape[0], ROWS):
        _evaluate(forest, X[start : start + ROWS].T, out[start : start + ROWS])
    return out


def probabilities(forest: DeepForest, X: np.ndarray) -> np.ndarray:
    """exp(s_k) / sum exp(s) of the scores s, or 1 / (1 + exp(-sigmoid * s_k)) where the objective says so.

    Arguments and errors as for :func:`raw_scores`.

    Returns
    -------
    numpy.ndarray
        float64 (pixels, classes): what ``Booster.predict(X)`` gives; a binary model's only column is that of "yes".
    """
    scores = raw_scores(forest, X) / forest.iterations
    if forest.objective != "multiclass":
        with np.errstate(over="ignore"):  # 1 / (1 + infinity) is the 0 that is meant
            return np.asarray(1.0 / (1.0 + np.exp(-forest.sigmoid * scores)))
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    # One class after another, as LightGBM adds them.
    return np.asarray(shares / np.add.accumulate(shares, axis=1)[:, -1:])


def _evaluate(forest: DeepForest, values: np.ndarray, out: np.ndarray) -> None:
    """Scores of a chunk: values (features, pixels) -> out (pixels, classes)."""
    from landweave.tree_models import deep_kernels as kernels

    columns, pixels = forest.columns, values.shape[1]
    ranks = np.empty((columns.feature.size, pixels), "uint8")
    if values.dtype == np.int16:
        kernels.run(kernels.look_up, np.ascontiguousarray(values), columns.feature, forest.codes, ranks)
    else:
        rules = (columns.thresholds, columns.of_nan, columns.of_zero, NEARLY_ZERO)
        kernels.run(kernels.count_below, np.ascontiguousarray(values, "float64"), columns.feature, *rules, ranks)
    order = np.empty((2, pixels), "uint32")
    kernels.run(kernels.sort_alike, ranks, forest.spread, order)
    blocks = np.empty((-(-pixels // kernels.LANES), ranks.shape[0], kernels.LANES), "uint8")
    kernels.run(kernels.gather, ranks, order[1], blocks)
    scores = np.zeros((forest.n_classes, blocks.shape[0] * kernels.LANES))
    trees = (forest.node_start, forest.records, forest.leaf_start, forest.leaf_value, np.uint64(forest.most_leaves))
    kernels.run(kernels.descend, blocks, *trees, scores)
    out[order[1]] = scores[:, :pixels].T


def _interleaved(columns: Columns) -> np.ndarray:
    """Where each bit of a rank stands in a key: the highest bit of every column first, that of most nodes leading."""
    size = columns.feature.size
    spread = np.zeros((size, 256), "uint32")
    popular = np.argsort(-np.bincount(columns.column, minlength=size), kind="stable")
    # The ranks of few thresholds are stretched, or their highest bits would say nothing.
    most = np.isfinite(columns.thresholds).sum(axis=1, keepdims=True).clip(1)
    ranks = np.minimum(np.arange(256) * MOST_THRESHOLDS // most, MOST_THRESHOLDS).astype("uint32")
    for place in range(min(_BITS, 8 * size)):
        bit, column = 7 - place // size, popular[place % size]
        spread[column] |= ((ranks[column] >> np.uint32(bit)) & np.uint32(1)) << np.uint32(_BITS - 1 - place)
    return spread
