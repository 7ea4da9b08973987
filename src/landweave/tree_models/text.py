"""LightGBM's saved text -> flat arrays of nodes and leaves; LightGBM itself is not needed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from landweave.errors import InputError

VERSIONS = ("v2", "v3", "v4")
"""Of the text; they differ in lines that no prediction needs."""

MISSING_NONE, MISSING_ZERO, MISSING_NAN = 0, 1, 2
"""What a node takes for missing: nothing (NaN is compared as 0), zero and NaN, NaN."""

_OBJECTIVES = {"binary", "multiclass", "multiclassova"}
_CATEGORICAL, _DEFAULT_LEFT = 1, 2  # bits of LightGBM's decision_type; the next two are the missing type


class NotCovered(Exception):  # noqa: N818
    """LightGBM can evaluate this model and the kernels here cannot; the message is the reason, without a full stop."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Forest:
    """Trees of one model, one after the other; tree ``i`` adds to the score of class ``i % n_classes``.

    A child that is 0 or more is a node of the same tree, counted from the tree's first; a negative one is the leaf
    ``~child`` of the same tree. A tree without nodes has one leaf.
    """

    n_features: int
    n_classes: int
    """Trees an iteration: 1 for a binary model."""

    objective: str
    """``"binary"``, ``"multiclass"`` or ``"multiclassova"``: how scores become probabilities."""

    sigmoid: float
    """Factor of the score in the logistic function of ``binary`` and ``multiclassova``."""

    average_output: bool
    """A random forest: scores are divided by the number of iterations."""

    feature_names: tuple[str, ...]
    """As LightGBM keeps them."""

    node_start: np.ndarray
    """int64 (trees + 1,): the first node of each tree."""

    split_feature: np.ndarray
    """int32 (nodes,)."""

    threshold: np.ndarray
    """float64 (nodes,): left where the value is not over it."""

    left: np.ndarray
    """int32 (nodes,)."""

    right: np.ndarray
    """int32 (nodes,)."""

    default_left: np.ndarray
    """bool (nodes,): where missing values go."""

    missing_type: np.ndarray
    """uint8 (nodes,): :data:`MISSING_NONE`, :data:`MISSING_ZERO` or :data:`MISSING_NAN`."""

    leaf_start: np.ndarray
    """int64 (trees + 1,): the first leaf of each tree."""

    leaf_value: np.ndarray
    """float64 (leaves,), learning rate included."""

    @property
    def n_trees(self) -> int:
        """Of all classes together."""
        return self.node_start.size - 1

    @property
    def most_leaves(self) -> int:
        """Of any tree."""
        return int(np.diff(self.leaf_start).max(initial=0))


def read_forest(text: str) -> Forest:
    """Parse what LightGBM's ``save_model`` or ``model_to_string`` wrote.

    Every number is the double that LightGBM itself reads.

    Raises
    ------
    NotCovered
        For another version of the text, another objective, categorical splits, and linear trees.
    InputError
        If the text is not LightGBM's, is truncated, or its nodes do not form a tree.
    """
    head, *parts = text.split("\nTree=")
    if not head.startswith("tree\n"):
        raise InputError("The model file is not a LightGBM text file.")
    try:
        header = _lines(head)
        trees = [_tree(_lines(part.split("\n\n", 1)[0])) for part in parts]
        if not parts or "\nend of trees" not in parts[-1] or len(trees) != len(header["tree_sizes"].split()):
            raise InputError("The model file is truncated; some trees are missing.")
        return _forest(header, trees)
    except (KeyError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"The model file is not a LightGBM text file ({type(error).__name__}: {error}).") from None


def split_totals(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Total gain and number of the splits on each feature, as LightGBM itself counts them.

    Parameters
    ----------
    text
        As for :func:`read_forest`, with any kind of split.

    Returns
    -------
    gain, splits
        float64 and int64 (f,); splits without gain are none. Gains are as the text has them, to six digits.

    Raises
    ------
    InputError
        Where the text is not LightGBM's.
    """
    head, *parts = text.split("\nTree=")
    try:
        count = int(_lines(head)["max_feature_idx"]) + 1
        gain, splits = np.zeros(count), np.zeros(count, "int64")
        for part in parts:
            lines = _lines(part.split("\n\n", 1)[0])
            feature = np.array(lines["split_feature"].split(), "int64")
            own = np.array(lines["split_gain"].split(), "float64")
            gained = own > 0
            gain += np.bincount(feature[gained], own[gained], count)
            splits += np.bincount(feature[gained], minlength=count)
    except (KeyError, ValueError) as error:
        raise InputError(f"The model file is not a LightGBM text file ({type(error).__name__}: {error}).") from None
    return gain, splits


def _lines(part: str) -> dict[str, str]:
    return {key: value for key, _, value in (line.partition("=") for line in part.split("\n"))}


def _forest(header: Mapping[str, str], trees: list[dict[str, np.ndarray]]) -> Forest:
    if header["version"] not in VERSIONS:
        raise NotCovered(f"version {header['version']} of LightGBM's text format is unknown")
    objective, *options = header.get("objective", "none").split()
    if objective not in _OBJECTIVES:
        raise NotCovered(f"the objective {objective} is not one of {', '.join(sorted(_OBJECTIVES))}")
    settings = dict(option.partition(":")[::2] for option in options)
    n_features, n_classes = int(header["max_feature_idx"]) + 1, int(header["num_tree_per_iteration"])
    if n_classes < 1 or len(trees) % n_classes:
        raise InputError(f"The model file has {len(trees)} trees for {n_classes} classes.")
    nodes = [tree["threshold"].size for tree in trees]
    leaves = [tree["leaf_value"].size for tree in trees]
    joined = {key: np.concatenate([tree[key] for tree in trees]) for key in _ARRAYS}
    decision = joined["decision_type"]
    if (decision & _CATEGORICAL).any():
        raise NotCovered("it has categorical splits")
    feature = joined["split_feature"]
    if feature.size and not (feature.min() >= 0 and feature.max() < n_features):
        raise InputError(f"The model file splits on feature {feature.max()} of {n_features}.")
    missing_type = (decision >> 2) & 3
    if (missing_type > MISSING_NAN).any():
        raise NotCovered("it has an unknown kind of missing values")
    # A threshold of infinity is usual: missing values to one side and all others to the other.
    if np.isnan(joined["threshold"]).any() or not np.isfinite(joined["leaf_value"]).all():
        raise NotCovered("it has a threshold or a leaf that is not a number")
    return Forest(
        n_features=n_features,
        n_classes=n_classes,
        objective=objective,
        sigmoid=float(settings.get("sigmoid", 1.0)),
        average_output="average_output" in header,
        feature_names=tuple(header["feature_names"].split()),
        node_start=np.concatenate([[0], np.cumsum(nodes)]).astype("int64"),
        split_feature=feature.astype("int32"),
        threshold=joined["threshold"],
        left=joined["left_child"].astype("int32"),
        right=joined["right_child"].astype("int32"),
        default_left=(decision & _DEFAULT_LEFT) > 0,
        missing_type=missing_type.astype("uint8"),
        leaf_start=np.concatenate([[0], np.cumsum(leaves)]).astype("int64"),
        leaf_value=joined["leaf_value"],
    )


def _tree(lines: Mapping[str, str]) -> dict[str, np.ndarray]:
    if lines.get("is_linear", "0") != "0":
        raise NotCovered("it has linear trees")
    leaves = int(lines["num_leaves"])
    nodes = leaves - 1
    if int(lines["num_cat"]):
        raise NotCovered("it has categorical splits")
    found = {}
    for key, kind in _ARRAYS.items():
        size = leaves if key == "leaf_value" else nodes
        # A tree of one leaf leaves these lines empty.
        words = lines[key].split() if size else []
        found[key] = np.array([kind(word) for word in words], "float64" if kind is float else "int64")
        if leaves < 1 or found[key].size != size:
            raise InputError(f"The model file has {len(words)} values of {key} in a tree of {leaves} leaves.")
    _check_children(found["left_child"], found["right_child"])
    return found


_ARRAYS = {
    "split_feature": int,
    "threshold": float,
    "decision_type": int,
    "left_child": int,
    "right_child": int,
    "leaf_value": float,
}


def _check_children(left: np.ndarray, right: np.ndarray) -> None:
    """Every node but the first, and every leaf, is a child once, and comes after its parent: no walk can go astray."""
    children = np.concatenate([left, right])
    if not np.array_equal(np.sort(children), np.r_[-left.size - 1 : 0, 1 : left.size] if left.size else children):
        raise InputError("The model file has a tree with a node that is not the child of exactly one other.")
    parents = np.arange(left.size)
    if ((left >= 0) & (left <= parents)).any() or ((right >= 0) & (right <= parents)).any():
        raise InputError("The model file has a tree with a cycle.")
