"""Is what compiled code follows in a scikit-learn model within its arrays? scikit-learn itself does not look.

An object is walked through as a whole. Trees, boosted trees, search trees and support vectors are checked where their
estimator keeps them, and refused anywhere else. All other estimators are numpy, which looks at every index.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from landweave.errors import InputError
from landweave.tree_models.checks import MOST_DEPTH, deepest

_PLAIN = (str, int, float, complex, bool, bytes, type(None), slice, range, type, np.generic, np.dtype, np.ufunc)
_OUTPUTS = "model.skops has {} with other numbers of features, classes or rows than the estimator that holds it."


def check_estimator(estimator: Any) -> None:
    """Check all that compiled code follows; search trees are built again, and numbers of threads forgotten.

    Raises
    ------
    InputError
        For an index beyond its array, a cycle, or an object that is not known to be harmless.
    """
    seen: set[int] = set()
    rest = [estimator]
    while rest:
        one = rest.pop()
        if id(one) in seen or isinstance(one, _PLAIN):
            continue
        seen.add(id(one))
        rest.extend(_within(one))


def _within(one: Any) -> Iterator[Any]:
    """What lies in an object and is still to be looked at."""
    if isinstance(one, dict):
        yield from one.keys()
        yield from one.values()
    elif isinstance(one, list | tuple | set | frozenset):
        yield from one
    elif isinstance(one, np.ndarray):
        if one.dtype.hasobject:
            yield from one.ravel().tolist()
    elif isinstance(one, np.random.RandomState):
        _check_generator(one.get_state(legacy=False))
    elif isinstance(one, np.random.Generator):
        _check_generator(one.bit_generator.state)
    elif f"{type(one).__module__}.{type(one).__name__}" == "scipy.interpolate._interpolate.interp1d":
        return  # made by isotonic regression from its own arrays when it is read
    elif type(one).__module__.split(".")[0] != "sklearn":
        raise InputError(
            f"model.skops holds a {type(one).__name__}, which landweave does not read; choose another classifier."
        )
    elif type(one).__module__ not in {"sklearn._loss._loss", "sklearn.linear_model._sgd_fast"}:
        yield from _attributes(one)


def _attributes(one: Any) -> Iterator[Any]:
    own = dict(getattr(one, "__dict__", {}))
    # One that was never fitted, such as the pattern of a forest's trees, holds its parameters alone.
    fitted = any(name.startswith("_") or name.endswith("_") for name in own.keys() - {"_sklearn_version"})
    for kind, check in _owners():
        if isinstance(one, kind) and fitted:
            for name in check(one):
                own.pop(name, None)
    if not hasattr(one, "__dict__") or isinstance(one, _kept_by_owners()):
        raise InputError(f"model.skops holds a {type(one).__name__} outside the estimator that it belongs to.")
    if own.get("n_jobs") is not None:
        # The caller says how many threads there are.
        one.n_jobs = None
    yield from own.values()


def _owners() -> list[tuple[Any, Callable[[Any], tuple[str, ...]]]]:
    """Class to the function that checks what it holds, and returns the names of the attributes that it checked."""
    from sklearn.ensemble._gb import BaseGradientBoosting
    from sklearn.ensemble._hist_gradient_boosting.gradient_boosting import BaseHistGradientBoosting
    from sklearn.neighbors._base import NeighborsBase
    from sklearn.svm._base import BaseLibSVM
    from sklearn.tree import BaseDecisionTree

    return [
        (BaseDecisionTree, _check_decision_tree),
        (BaseGradientBoosting, _check_gradient_boosting),
        (BaseHistGradientBoosting, _check_histogram_boosting),
        (NeighborsBase, _check_neighbours),
        (BaseLibSVM, _check_support_vectors),
    ]


def _kept_by_owners() -> tuple[type, ...]:
    from sklearn.ensemble._hist_gradient_boosting.binning import _BinMapper
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

    return (TreePredictor, _BinMapper)


def _check_generator(state: Mapping[str, Any]) -> None:
    """Mersenne Twister reads its next number at a place that a file can set; PCG64 has no such place."""
    name, position = state["bit_generator"], state["state"].get("pos", 0)
    if name not in {"MT19937", "PCG64"} or not 0 <= position <= 624:
        raise InputError(f"model.skops has a random generator {name} at {position}; train the model again.")


def _check_nodes(
    left: np.ndarray, right: np.ndarray, leaf: np.ndarray, feature: np.ndarray, n_features: int, what: str
) -> None:
    """Children of inner nodes come after them, each of one only; features are there; the depth is bounded.

    Parameters
    ----------
    left, right, feature
        int64 (nodes,).
    leaf
        bool (nodes,): without children.
    """
    inner = ~leaf
    parents = np.flatnonzero(inner)
    children = np.concatenate([left[inner], right[inner]])
    if children.size and not (children.min() >= 0 and children.max() < leaf.size):
        raise InputError(f"model.skops has {what} with a child beyond its {leaf.size} nodes.")
    if (children <= np.concatenate([parents, parents])).any() or np.unique(children).size != children.size:
        raise InputError(f"model.skops has {what} with a cycle.")
    asked = feature[inner]
    if asked.size and not (asked.min() >= 0 and asked.max() < n_features):
        raise InputError(f"model.skops has {what} that splits on a feature beyond its {n_features}.")
    ways = [np.where(leaf, -1, side).astype("int64") for side in (left, right)]
    if deepest(ways[0], ways[1], np.zeros(min(leaf.size, 1), "int64")) > MOST_DEPTH:
        raise InputError(f"model.skops has {what} of more than {MOST_DEPTH} levels.")


def _check_decision_tree(estimator: Any) -> tuple[str, ...]:
    from sklearn.tree._tree import TREE_LEAF, Tree

    tree = estimator.tree_
    if type(tree) is not Tree or not 1 <= tree.node_count == tree.capacity:
        raise InputError("model.skops has a tree whose number of nodes is not that of its arrays.")
    if tree.n_features != estimator.n_features_in_ or tree.n_outputs != 1:
        raise InputError(_OUTPUTS.format("a tree"))
    state = tree.__getstate__()
    nodes = state["nodes"]
    leaf = nodes["left_child"] == TREE_LEAF
    _check_nodes(nodes["left_child"], nodes["right_child"], leaf, nodes["feature"], tree.n_features, "a tree")
    if not np.isfinite(state["values"]).all() or np.isnan(nodes["threshold"]).any():
        raise InputError("model.skops has a tree with a threshold or a value that is not a number.")
    return ("tree_",)


def _check_gradient_boosting(estimator: Any) -> tuple[str, ...]:
    from sklearn.tree import BaseDecisionTree

    trees = estimator.estimators_
    columns = 1 if len(estimator.classes_) == 2 else len(estimator.classes_)
    if trees.ndim != 2 or trees.shape[1] != columns or estimator.n_trees_per_iteration_ != columns:
        raise InputError(_OUTPUTS.format("boosted trees"))
    for tree in trees.ravel():
        # The trees' arrays are read without asking the trees; each is checked on its own later.
        if not isinstance(tree, BaseDecisionTree) or tree.tree_.n_features != estimator.n_features_in_:
            raise InputError(_OUTPUTS.format("a boosted tree"))
        if int(tree.tree_.max_n_classes) != 1:
            raise InputError(_OUTPUTS.format("a boosted tree"))
    return ()


def _check_histogram_boosting(estimator: Any) -> tuple[str, ...]:
    from sklearn.ensemble._hist_gradient_boosting.binning import _BinMapper
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

    predictors = [one for iteration in estimator._predictors for one in iteration]  # noqa: SLF001 - no other way
    mapper, n_features = estimator._bin_mapper, estimator.n_features_in_  # noqa: SLF001
    if estimator._preprocessor is not None:  # noqa: SLF001
        raise InputError("model.skops has boosted trees with categories, which are not read.")
    if type(mapper) is not _BinMapper or np.shape(mapper.is_categorical_) != (n_features,):
        raise InputError(_OUTPUTS.format("boosted trees"))
    if np.any(mapper.is_categorical_):
        raise InputError("model.skops has boosted trees with categories, which are not read.")
    for one in predictors:
        nodes = getattr(one, "nodes", None)
        if type(one) is not TreePredictor or not isinstance(nodes, np.ndarray) or nodes.ndim != 1 or not nodes.size:
            raise InputError("model.skops has a boosted tree without nodes.")
        if nodes.dtype != PREDICTOR_RECORD_DTYPE:
            raise InputError("model.skops has a boosted tree of another version of scikit-learn.")
        left, right, feature = (nodes[key].astype("int64") for key in ("left", "right", "feature_idx"))
        _check_nodes(left, right, nodes["is_leaf"] != 0, feature, n_features, "a boosted tree")
        if nodes["is_categorical"].any():
            raise InputError("model.skops has boosted trees with categories, which are not read.")
        if not np.isfinite(nodes["value"]).all() or np.isnan(nodes["num_threshold"]).any():
            raise InputError("model.skops has a boosted tree with a threshold or a value that is not a number.")
    return ("_predictors", "_bin_mapper")


def _check_neighbours(estimator: Any) -> tuple[str, ...]:
    from sklearn.neighbors import BallTree, KDTree

    rows = estimator._fit_X  # noqa: SLF001 - no other way
    size = (estimator.n_samples_fit_, estimator.n_features_in_)
    if not isinstance(rows, np.ndarray) or rows.shape != size or rows.dtype.kind != "f" or not np.isfinite(rows).all():
        raise InputError(_OUTPUTS.format("neighbours"))
    if not (estimator.n_neighbors is None or 1 <= estimator.n_neighbors <= max(len(rows), 1)):
        raise InputError(f"model.skops asks for {estimator.n_neighbors} neighbours among {len(rows)} rows.")
    labels = getattr(estimator, "_y", None)
    if labels is not None:
        fits = isinstance(labels, np.ndarray) and labels.shape == (len(rows),) and labels.dtype.kind in "iu"
        classes = len(estimator.classes_)
        if not fits or estimator.outputs_2d_ or (labels.size and not 0 <= labels.min() <= labels.max() < classes):
            raise InputError(_OUTPUTS.format("neighbours"))
    kinds = {"kd_tree": KDTree, "ball_tree": BallTree}
    method, metric = estimator._fit_method, estimator.effective_metric_  # noqa: SLF001
    if method in kinds:
        if metric != "euclidean":
            raise InputError(
                f"model.skops has a search tree by the metric {str(metric)[:40]!r}; only euclidean is read."
            )
        # What a file says of a search tree is not believed: it follows from the rows.
        estimator._tree = kinds[method](rows, leaf_size=_count(estimator.leaf_size), metric="euclidean")  # noqa: SLF001
    elif method == "brute":
        estimator._tree = None  # noqa: SLF001
    else:
        raise InputError(f"model.skops has neighbours by the method {str(method)[:40]!r}, which is not known.")
    return ("_tree",)


def _count(value: Any) -> int:
    if not isinstance(value, int | np.integer) or not 1 <= value <= 1_000_000:
        raise InputError(f"model.skops has a leaf_size of {str(value)[:40]}; it must be from 1 to 1000000.")
    return int(value)


def _check_support_vectors(estimator: Any) -> tuple[str, ...]:
    from sklearn.svm import SVC, NuSVC

    if not isinstance(estimator, SVC | NuSVC) or estimator._sparse or not isinstance(estimator.kernel, str):  # noqa: SLF001
        raise InputError(f"model.skops has a {type(estimator).__name__}, of a kind that is not read.")
    if estimator.kernel not in {"linear", "poly", "rbf", "sigmoid"}:
        raise InputError(f"model.skops has the kernel {estimator.kernel[:40]!r}, which is not read.")
    vectors, classes = estimator.support_vectors_, len(estimator.classes_)
    pairs = classes * (classes - 1) // 2
    of_class = estimator._n_support  # noqa: SLF001
    fits = [
        np.shape(vectors) == (len(estimator.support_), estimator.n_features_in_),
        np.shape(of_class) == (classes,),
        np.min(of_class, initial=0) >= 0,
        np.sum(of_class, dtype="int64") == len(vectors),
        np.shape(estimator._dual_coef_) == (classes - 1, len(vectors)),
        np.shape(estimator._intercept_) == (pairs,),
        *(np.shape(values) in {(0,), (pairs,)} for values in (estimator._probA, estimator._probB)),  # noqa: SLF001
        np.shape(estimator._probA) == np.shape(estimator._probB),  # noqa: SLF001
    ]
    if not all(fits):
        raise InputError(_OUTPUTS.format("support vectors"))
    return ()
