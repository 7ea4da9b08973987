"""Scores of LightGBM models whose trees are deep: blocks of like pixels go down each tree together.

The scores are LightGBM's own to the last bit: a value's rank among a feature's thresholds answers every comparison
that LightGBM would make in double precision, and the leaves of a pixel are added in float64, tree after tree.
"""

from dataclasses import dataclass

import numpy as np

from landweave.trees.text import MISSING_NONE, MISSING_ZERO, Forest, NotCovered

ROWS = 1 << 17
"""Pixels that are sorted and evaluated at a time; ten columns take 5 MB beside values and scores."""

_MOST = 255  # thresholds of a column, so that a rank is a byte
_NEARLY_ZERO = float(np.float32(1e-35))  # what LightGBM takes for zero
_BITS = 32  # of a sorting key


@dataclass(frozen=True, kw_only=True, eq=False)
class DeepForest:
    """A forest laid out for :func:`raw_scores`.

    A *column* is a feature as some of the nodes see it: at most 255 of its thresholds, and one rule for missing values.
    Ranks are bytes, 0..255: how many of a column's thresholds lie below the value; 0 and 255 also mean "always left"
    and "always right".
    """

    n_features: int
    n_classes: int

    feature: np.ndarray
    """int64 (columns,), that of most nodes first."""

    thresholds: np.ndarray
    """float64 (columns, 255), rising, the rest infinity."""

    of_nan: np.ndarray
    """int64 (columns,): the rank of NaN."""

    of_zero: np.ndarray
    """int64 (columns,): the rank of 0."""

    codes: np.ndarray
    """uint8 (columns, 65536): the ranks of the int16 -32768..32767 divided by ``unit``."""

    spread: np.ndarray
    """uint32 (columns, 256): a rank's bits in their places in a sorting key."""

    node_start: np.ndarray
    """uint64 (trees + 1,)."""

    records: np.ndarray
    """uint64 (nodes,): see :func:`landweave.trees.deep_kernels.descend`."""

    leaf_start: np.ndarray
    """uint64 (trees + 1,)."""

    leaf_value: np.ndarray
    """float64 (leaves,)."""

    @property
    def most_leaves(self) -> int:
        """Of any tree."""
        return int(np.diff(self.leaf_start.astype("int64")).max(initial=1))


def deep_forest(forest: Forest, *, unit: float = 1.0) -> DeepForest:
    """Lay a forest out for :func:`raw_scores`.

    Parameters
    ----------
    forest
        From :func:`landweave.trees.text.read_forest`.
    unit
        What int16 values are divided by before the model sees them, such as 10000 for reflectance.

    Raises
    ------
    NotCovered
        For a tree of more than 32768 leaves.
    """
    if forest.most_leaves > 1 << 15:
        raise NotCovered(f"it has a tree of {forest.most_leaves} leaves")
    missing = forest.missing_type.astype("int64")
    rule = np.where(missing == MISSING_NONE, 0, 2 * missing - forest.default_left)
    seen, node_of = np.unique(np.stack([forest.split_feature, rule]), axis=1, return_inverse=True)
    # Columns in any order first, then those that most nodes look at; the sorting keys begin with these.
    column, rank = np.zeros(node_of.size, "int64"), np.zeros(node_of.size, "int64")
    parts: list[tuple[int, int, np.ndarray]] = []
    for number, (feature, how) in enumerate(seen.T):
        own = np.flatnonzero(node_of == number)
        values, places = np.unique(forest.threshold[own], return_inverse=True)
        column[own], rank[own] = len(parts) + places // _MOST, places % _MOST
        parts += [(int(feature), int(how), values[at : at + _MOST]) for at in range(0, values.size, _MOST)]
    popular = np.argsort(-np.bincount(column, minlength=len(parts)), kind="stable")
    parts = [parts[old] for old in popular]
    column = np.argsort(popular, kind="stable")[column]
    thresholds = np.full((len(parts), _MOST), np.inf)
    for row, (_, _, values) in zip(thresholds, parts, strict=True):
        row[: values.size] = values
    of_zero, of_nan = _missing_ranks(parts)
    units = np.arange(-32768, 32768) / unit
    codes = np.empty((len(parts), units.size), "uint8")
    for row, (_, _, values) in zip(codes, parts, strict=True):
        row[:] = np.searchsorted(values, units)
    codes[:, np.abs(units) <= _NEARLY_ZERO] = of_zero[:, None]
    nodes = np.diff(forest.node_start)
    sizes = np.repeat(nodes, nodes)
    left, right = (np.where(child >= 0, child, sizes + ~child) for child in (forest.left, forest.right))
    return DeepForest(
        n_features=forest.n_features,
        n_classes=forest.n_classes,
        feature=np.array([feature for feature, _, _ in parts], "int64"),
        thresholds=thresholds,
        of_nan=of_nan,
        of_zero=of_zero,
        codes=codes,
        spread=_interleaved([values.size for _, _, values in parts]),
        node_start=forest.node_start.astype("uint64"),
        records=(rank | column << 8 | left << 32).astype("uint64") | right.astype("uint64") << np.uint64(48),
        leaf_start=forest.leaf_start.astype("uint64"),
        leaf_value=forest.leaf_value,
    )


def raw_scores(forest: DeepForest, values: np.ndarray) -> np.ndarray:
    """Sum of the leaves of each class, before any division by iterations or transformation to probabilities.

    Parameters
    ----------
    forest
        From :func:`deep_forest`.
    values
        (features, pixels), the model's features in order: int16, which mean ``values / unit``, or floating point, NaN
        missing.

    Returns
    -------
    numpy.ndarray
        float64 (classes, pixels): bit for bit what ``Booster.predict(values.T, raw_score=True)`` gives.

    Raises
    ------
    ValueError
        For another number of features, or integers of another type.

    Notes
    -----
    One thread, which holds no lock of the interpreter. A pixel's score depends on its own values alone.
    """
    if values.ndim != 2 or values.shape[0] != forest.n_features:
        raise ValueError(f"The model needs ({forest.n_features}, pixels), not an array {values.shape}.")
    if values.dtype != np.int16 and not np.issubdtype(values.dtype, np.floating):
        raise ValueError(f"The model needs int16 or floating-point numbers, not {values.dtype}.")
    out = np.empty((forest.n_classes, values.shape[1]))
    for start in range(0, values.shape[1], ROWS):
        out[:, start : start + ROWS] = _chunk(forest, values[:, start : start + ROWS])
    return out


def _chunk(forest: DeepForest, values: np.ndarray) -> np.ndarray:
    from landweave.trees import deep_kernels as kernels

    columns, pixels = forest.feature.size, values.shape[1]
    ranks = np.empty((columns, pixels), "uint8")
    if values.dtype == np.int16:
        kernels.run(kernels.rank_codes, np.ascontiguousarray(values), forest.feature, forest.codes, ranks)
    else:
        rules = (forest.thresholds, forest.of_nan, forest.of_zero, _NEARLY_ZERO)
        kernels.run(kernels.rank_reals, np.ascontiguousarray(values, "float64"), forest.feature, *rules, ranks)
    order = np.empty((2, pixels), "uint32")
    kernels.run(kernels.sort_alike, ranks, forest.spread, order)
    blocks = np.empty((-(-pixels // kernels.LANES), columns, kernels.LANES), "uint8")
    kernels.run(kernels.gather, ranks, order[1], blocks)
    scores = np.zeros((forest.n_classes, blocks.shape[0] * kernels.LANES))
    trees = (forest.node_start, forest.records, forest.leaf_start, forest.leaf_value, np.uint64(forest.most_leaves))
    kernels.run(kernels.descend, blocks, *trees, scores)
    out = np.empty((forest.n_classes, pixels))
    out[:, order[1]] = scores[:, :pixels]
    return out


def _missing_ranks(parts: list[tuple[int, int, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Ranks of 0 and of NaN in each column, int64 (columns,)."""
    of_zero = np.array([np.searchsorted(values, 0.0) for _, _, values in parts], "int64")
    rule = np.array([how for _, how, _ in parts], "int64")
    # Rules 1 and 2: zero and NaN are missing, and go left or right; 3 and 4: NaN is; 0: NaN is compared as 0.
    aside = np.where(rule % 2 == 1, 0, _MOST)
    of_zero = np.where((rule > 0) & (rule <= 2 * MISSING_ZERO), aside, of_zero)
    return of_zero, np.where(rule > 0, aside, of_zero)


def _interleaved(sizes: list[int]) -> np.ndarray:
    """Where each bit of a rank stands in a key: the highest bit of every column first, then the next one."""
    columns = len(sizes)
    spread = np.zeros((columns, 256), "uint32")
    for place in range(min(_BITS, 8 * columns)):
        bit, column = 7 - place // columns, place % columns
        # The ranks of few thresholds are stretched, or their highest bits would say nothing.
        ranks = np.minimum(np.arange(256) * _MOST // sizes[column], _MOST).astype("uint32")
        spread[column] |= ((ranks >> np.uint32(bit)) & np.uint32(1)) << np.uint32(_BITS - 1 - place)
    return spread
