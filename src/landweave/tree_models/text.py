"""LightGBM's saved text -> flat arrays of nodes and leaves; LightGBM itself is not needed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np

from landweave.errors import InputError
from landweave.tree_models.checks import (
    CATEGORICAL,
    LARGEST_DECISION,
    MOST_LEAVES,
    check_categories,
    check_children,
    check_linear,
    numbers,
)

VERSIONS = ("v2", "v3", "v4")
"""Of the text; they differ in lines that no prediction needs."""

MISSING_NONE, MISSING_ZERO, MISSING_NAN = 0, 1, 2
"""What a node takes for missing: nothing (NaN is compared as 0), zero and NaN, NaN."""

_OBJECTIVES = {"binary", "multiclass", "multiclassova"}
_DEFAULT_LEFT = 2  # of LightGBM's decision_type; the next two bits are the missing type

_HEADER = (
    "version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "objective", "average_output",
    "feature_names", "feature_infos",
)  # fmt: skip
_WHOLE = {"num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "num_leaves", "num_cat", "is_linear"}
_TREE = (
    "num_leaves", "num_cat", "split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child",
    "leaf_value", "cat_boundaries", "cat_threshold", "is_linear", "leaf_const", "num_features", "leaf_features",
    "leaf_coeff",
)  # fmt: skip
"""Lines that predictions and gains need; each is checked. A line that LightGBM cannot read ends the process."""


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
        For another version of the text, another objective, categorical splits, and linear trees, if LightGBM itself
        can safely evaluate them.
    InputError
        If the text is not LightGBM's, is truncated, its nodes do not form a tree, or it uses a feature, a set of
        categories or a class that the model does not have.
    """
    header, parts = _parted(text)
    with _broken_is_input_error():
        n_features = _features(header)
        _check_classes(header)
        return _forest(header, parts, n_features)


def lightgbm_text(text: str) -> str:
    """The text that is given to LightGBM: header and trees of a model file, with checked lines only.

    LightGBM finds the trees by their sizes, uses the last of two lines with the same name, and checks no index. So the
    lines that it needs are written again, in its own order, with new sizes.

    Raises
    ------
    InputError
        As :func:`read_forest`, and for an objective that gives no probabilities of classes.
    """
    with suppress(NotCovered):
        read_forest(text)
    header, parts = _parted(text)
    with _broken_is_input_error():
        gains = [part for part in parts if "split_gain" in part]
        numbers(gains, "split_gain", np.array([_leaves(part) - 1 for part in gains], "int64"), float)
    objective = (header.get("objective", "none").split() or ["none"])[0]
    if objective not in _OBJECTIVES:
        raise InputError(f"The model file has the objective {objective}, which gives no probabilities of classes.")
    blocks = [
        f"Tree={number}\n" + "".join(f"{key}={_plain(key, part)}\n" for key in _TREE if key in part) + "\n\n"
        for number, part in enumerate(parts)
    ]
    lines = [key if key == "average_output" else f"{key}={_plain(key, header)}" for key in _HEADER if key in header]
    sizes = " ".join(str(len(block.encode())) for block in blocks)
    ending = "end of trees\n\nparameters:\nend of parameters\n\npandas_categorical:null\n"
    return "\n".join(["tree", *lines, f"tree_sizes={sizes}"]) + "\n\n" + "".join(blocks) + ending


def _plain(key: str, lines: Mapping[str, str]) -> str:
    """A line in a spelling that Python and LightGBM read in the same way."""
    if key in _WHOLE:
        return str(int(lines[key]))
    if key == "objective":
        name, *options = lines[key].split()
        settings = dict(option.partition(":")[::2] for option in options)
        kept = {"num_class": int, "sigmoid": float}
        settled = [f"{option}:{kind(settings[option])}" for option, kind in kept.items() if option in settings]
        return " ".join([name, *settled])
    return lines[key]


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


def _parted(text: str) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Lines of the header and of each tree, by name."""
    head, *parts = text.split("\nTree=")
    if not head.startswith("tree\n"):
        raise InputError("The model file is not a LightGBM text file.")
    header = _lines(head)
    sizes = header.get("tree_sizes", "").split()
    if not parts or "\nend of trees" not in parts[-1] or len(parts) != len(sizes):
        raise InputError("The model file is truncated; some trees are missing.")
    # LightGBM also ends a line at these; here only \n ends one.
    if "\r" in text or "\0" in text:
        raise InputError("The model file contains characters that LightGBM does not write (\\r or \\0).")
    return header, [_lines(part.split("\n\n", 1)[0]) for part in parts]


@contextmanager
def _broken_is_input_error() -> Iterator[None]:
    try:
        yield
    except (KeyError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        words = " ".join(str(error).split())[:200]
        raise InputError(f"The model file is not a LightGBM text file ({type(error).__name__}: {words}).") from None


def _features(header: Mapping[str, str]) -> int:
    count, names = int(header["max_feature_idx"]) + 1, len(header["feature_names"].split())
    if count < 1 or names != count:
        raise InputError(f"The model file has {names} names for {count} features.")
    return count


def _check_classes(header: Mapping[str, str]) -> None:
    """LightGBM allocates ``num_class`` numbers per pixel; its objective writes as many as it has classes itself."""
    classes, trees = int(header["num_class"]), int(header["num_tree_per_iteration"])
    objective, *options = header.get("objective", "none").split() or ["none"]
    own = dict(option.partition(":")[::2] for option in options).get("num_class", str(classes))
    if not 1 <= classes == trees == int(own) or (objective == "binary" and classes != 1):
        raise InputError(
            f"The model file has {classes} classes, {trees} trees per iteration and the objective "
            f"{header.get('objective', 'none')[:80]!r}, which do not agree."
        )


def _forest(header: Mapping[str, str], parts: list[dict[str, str]], n_features: int) -> Forest:
    n_classes = int(header["num_tree_per_iteration"])
    if len(parts) % n_classes:
        raise InputError(f"The model file has {len(parts)} trees for {n_classes} classes.")
    leaves = np.array([_leaves(part) for part in parts])
    joined = _joined(parts, leaves, n_features)
    decision, feature = joined["decision_type"], joined["split_feature"]
    missing_type = (decision >> 2) & 3
    objective, *options = header.get("objective", "none").split() or ["none"]
    settings = dict(option.partition(":")[::2] for option in options)
    sigmoid = float(settings.get("sigmoid", 1.0))
    if not 0 < sigmoid < np.inf:
        raise InputError(f"The model file has the sigmoid {sigmoid}; it must be positive and finite.")
    if header["version"] not in VERSIONS:
        raise NotCovered(f"version {header['version']} of LightGBM's text format is unknown")
    if any(_is_linear(part) for part in parts):
        raise NotCovered("it has linear trees")
    if (decision & CATEGORICAL).any() or any(int(part["num_cat"]) for part in parts):
        raise NotCovered("it has categorical splits")
    if objective not in _OBJECTIVES:
        raise NotCovered(f"the objective {objective} is not one of {', '.join(sorted(_OBJECTIVES))}")
    if (missing_type > MISSING_NAN).any():
        raise NotCovered("it has an unknown kind of missing values")
    return Forest(
        n_features=n_features,
        n_classes=n_classes,
        objective=objective,
        sigmoid=sigmoid,
        average_output="average_output" in header,
        feature_names=tuple(header["feature_names"].split()),
        node_start=np.concatenate([[0], np.cumsum(leaves - 1)]).astype("int64"),
        split_feature=feature.astype("int32"),
        threshold=joined["threshold"],
        left=joined["left_child"].astype("int32"),
        right=joined["right_child"].astype("int32"),
        default_left=(decision & _DEFAULT_LEFT) > 0,
        missing_type=missing_type.astype("uint8"),
        leaf_start=np.concatenate([[0], np.cumsum(leaves)]).astype("int64"),
        leaf_value=joined["leaf_value"],
    )


def _leaves(lines: Mapping[str, str]) -> int:
    leaves = int(lines["num_leaves"])
    if not 1 <= leaves <= MOST_LEAVES:
        raise InputError(f"The model file has a tree of {leaves} leaves; it must have 1 to {MOST_LEAVES}.")
    return leaves


def _joined(parts: list[dict[str, str]], leaves: np.ndarray, n_features: int) -> dict[str, np.ndarray]:
    """Checked arrays of all trees, also of those that only LightGBM can evaluate: it checks no index itself."""
    nodes = leaves - 1
    found = {key: numbers(parts, key, leaves if key == "leaf_value" else nodes, kind) for key, kind in _ARRAYS.items()}
    check_children(found["left_child"], found["right_child"], nodes)
    feature, decision, threshold = (found[key] for key in ("split_feature", "decision_type", "threshold"))
    wrong = (feature < 0) | (feature >= n_features)
    if wrong.any():
        raise InputError(f"The model file splits on feature {feature[wrong][0]} of {n_features}.")
    if decision.size and (decision.min() < 0 or decision.max() > LARGEST_DECISION):
        raise InputError("The model file has an unknown decision_type.")
    # A threshold of infinity is usual: missing values to one side and all others to the other.
    if np.isnan(threshold).any() or not np.isfinite(found["leaf_value"]).all():
        raise InputError("The model file has a threshold or a leaf that is not a number.")
    categorical = np.flatnonzero(decision & CATEGORICAL)
    first = np.cumsum(nodes) - nodes
    with_sets = set(np.searchsorted(first + nodes, categorical, side="right").tolist())
    for number, part in enumerate(parts):
        if number in with_sets or part["num_cat"] != "0":
            own = slice(first[number], first[number] + nodes[number])
            check_categories(part, int(leaves[number]), decision[own], threshold[own])
        if _is_linear(part):
            check_linear(part, int(leaves[number]), n_features)
    return found


def _is_linear(lines: Mapping[str, str]) -> bool:
    return int(lines.get("is_linear", "0")) != 0


_ARRAYS = {
    "split_feature": int,
    "threshold": float,
    "decision_type": int,
    "left_child": int,
    "right_child": int,
    "leaf_value": float,
}
