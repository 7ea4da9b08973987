"""scikit-learn's models from elsewhere: what compiled code follows is checked, and what skops makes of a file."""

import hashlib
import io
import json
import warnings
import zipfile
from functools import cache

import numpy as np
import pytest

from landweave.classifier.estimators import Learnt, settle
from landweave.classifier.model import Model, _digest
from landweave.errors import InputError

NAMES = tuple("abcdef")
CLASSES = (1, 2, 3)


def table(n=120):
    rng = np.random.default_rng(0)
    y = rng.integers(1, 4, n)
    return (rng.normal(0, 1, (n, len(NAMES))) + y[:, None]).astype("float32"), y


@cache
def makers():
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.ensemble import (
        AdaBoostClassifier,
        BaggingClassifier,
        ExtraTreesClassifier,
        GradientBoostingClassifier,
        HistGradientBoostingClassifier,
        RandomForestClassifier,
    )
    from sklearn.gaussian_process import GaussianProcessClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier, RadiusNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.semi_supervised import LabelSpreading
    from sklearn.svm import SVC, LinearSVC
    from sklearn.tree import DecisionTreeClassifier

    return {
        "tree": lambda: DecisionTreeClassifier(max_depth=4, random_state=0),
        "forest": lambda: RandomForestClassifier(4, random_state=0, n_jobs=2),
        "extra trees": lambda: ExtraTreesClassifier(4, random_state=0),
        "boosting": lambda: GradientBoostingClassifier(n_estimators=3, random_state=0),
        "histogram": lambda: HistGradientBoostingClassifier(max_iter=2, random_state=0),
        "ada": lambda: AdaBoostClassifier(n_estimators=3, random_state=0),
        "bagging": lambda: BaggingClassifier(n_estimators=3, max_features=0.5, random_state=0),
        "kd tree": lambda: KNeighborsClassifier(algorithm="kd_tree"),
        "ball tree": lambda: KNeighborsClassifier(algorithm="ball_tree"),
        "brute": lambda: KNeighborsClassifier(algorithm="brute"),
        "radius": lambda: RadiusNeighborsClassifier(20.0, algorithm="kd_tree"),
        "vectors": lambda: CalibratedClassifierCV(SVC(random_state=0), cv=2),
        "linear vectors": lambda: CalibratedClassifierCV(LinearSVC(random_state=0), method="isotonic", cv=2),
        "logistic": lambda: make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()),
        "bayes": GaussianNB,
        "discriminant": LinearDiscriminantAnalysis,
        "one against all": lambda: OneVsRestClassifier(GaussianNB()),
        "network": lambda: MLPClassifier(max_iter=3, random_state=0),
        "process": lambda: GaussianProcessClassifier(random_state=0),
        "spreading": lambda: LabelSpreading(kernel="knn"),
    }


KINDS = (
    "tree", "forest", "extra trees", "boosting", "histogram", "ada", "bagging", "kd tree", "ball tree", "brute",
    "radius", "vectors", "linear vectors", "logistic", "bayes", "discriminant", "one against all", "network", "process",
    "spreading",
)  # fmt: skip


def fitted(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return makers()[kind]().fit(*table())


def kept(estimator, folder):
    learnt = Learnt(classes=CLASSES, feature_names=NAMES, estimator=estimator)
    return Model(estimator=learnt, class_names={1: "a", 2: "b", 3: "c"}).save(folder)


def sign(folder, content):
    """Put an archive into a model's folder, as one who means harm would."""
    (folder / "model.skops").write_bytes(content)
    said = json.loads((folder / "model.json").read_text("utf-8"))
    said.pop("sha256")
    said["files"] = {"model.skops": hashlib.sha256(content).hexdigest()}
    (folder / "model.json").write_text(json.dumps({**said, "sha256": _digest(said)}), "utf-8")


def test_every_kind_is_listed():
    assert set(KINDS) == set(makers())


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_model_says_the_same_before_and_after_it_is_kept(tmp_path, kind):
    estimator = fitted(kind)
    X, _ = table()
    back = Model.load(kept(estimator, tmp_path / "model")).estimator
    np.testing.assert_array_equal(back.predict(X), estimator.predict_proba(X))
    assert getattr(back.estimator, "n_jobs", None) is None


def nodes_of(tree, **changes):
    """Change the first node of one of scikit-learn's trees."""
    state = tree.__getstate__()
    nodes = state["nodes"].copy()
    for key, value in changes.items():
        nodes[key][0] = value
    tree.__setstate__({**state, "nodes": nodes})


def predictor_of(estimator, **changes):
    one = estimator._predictors[0][0]
    nodes = one.nodes.copy()
    for key, value in changes.items():
        nodes[key][0] = value
    one.nodes = nodes


def support_of(estimator, **changes):
    one = estimator.calibrated_classifiers_[0].estimator
    for key, change in changes.items():
        setattr(one, key, change(getattr(one, key)))


def step_of(estimator, **changes):
    for key, value in changes.items():
        setattr(estimator, key, value)


def borrowed(estimator):
    """A tree that stands where none belongs, and is asked for features that it does not have."""
    estimator.estimators_[0].tree_ = fitted("bagging").estimators_[0].tree_


HARMS = {
    "tree, child": ("tree", lambda e: nodes_of(e.tree_, left_child=10**9, right_child=10**9)),
    "tree, child below": ("tree", lambda e: nodes_of(e.tree_, left_child=-(10**9))),
    "tree, right child below": ("tree", lambda e: nodes_of(e.tree_, right_child=-1)),
    "tree, circle": ("tree", lambda e: nodes_of(e.tree_, left_child=0, right_child=0)),
    "tree, one child twice": ("tree", lambda e: nodes_of(e.tree_, left_child=1, right_child=1)),
    "tree, feature": ("tree", lambda e: nodes_of(e.tree_, feature=6)),
    "tree, feature below": ("tree", lambda e: nodes_of(e.tree_, feature=-1)),
    "tree, threshold": ("tree", lambda e: nodes_of(e.tree_, threshold=np.nan)),
    "tree, features of the estimator": ("tree", lambda e: step_of(e, n_features_in_=7)),
    "forest, child": ("forest", lambda e: nodes_of(e.estimators_[-1].tree_, left_child=10**9)),
    "forest, another's tree": ("extra trees", borrowed),
    "boosting, child": ("boosting", lambda e: nodes_of(e.estimators_[0, 0].tree_, left_child=10**9)),
    "boosting, columns": ("boosting", lambda e: step_of(e, estimators_=np.hstack([e.estimators_] * 9))),
    "boosting, classes": ("boosting", lambda e: step_of(e, n_trees_per_iteration_=1)),
    "boosting, trees of classes": ("boosting", lambda e: e.estimators_.__setitem__((0, 0), fitted("tree"))),
    "histogram, child": ("histogram", lambda e: predictor_of(e, left=2**31, right=2**31)),
    "histogram, circle": ("histogram", lambda e: predictor_of(e, left=0, right=0)),
    "histogram, feature": ("histogram", lambda e: predictor_of(e, feature_idx=2**40)),
    "histogram, feature below": ("histogram", lambda e: predictor_of(e, feature_idx=-1)),
    "histogram, categories": ("histogram", lambda e: predictor_of(e, is_categorical=1, bitset_idx=2**31)),
    "histogram, no nodes": ("histogram", lambda e: setattr(e._predictors[0][0], "nodes", e._predictors[0][0].nodes[:0])),
    "histogram, nodes of another kind": ("histogram", lambda e: setattr(e._predictors[0][0], "nodes", np.zeros(9))),
    "histogram, bins": ("histogram", lambda e: setattr(e._bin_mapper, "is_categorical_", np.ones(6, "uint8"))),
    "histogram, bins elsewhere": ("logistic", lambda e: e.steps.insert(0, ("bin", fitted("histogram")._bin_mapper))),
    "neighbours, labels": ("brute", lambda e: step_of(e, _y=np.full_like(e._y, 10**9))),
    "neighbours, labels below": ("brute", lambda e: step_of(e, _y=np.full_like(e._y, -1))),
    "neighbours, fewer labels": ("kd tree", lambda e: step_of(e, _y=e._y[:-1])),
    "neighbours, columns": ("brute", lambda e: step_of(e, _fit_X=e._fit_X[:, :2].copy())),
    "neighbours, rows": ("brute", lambda e: step_of(e, n_samples_fit_=10**9, n_neighbors=10**6)),
    "neighbours, how many": ("brute", lambda e: step_of(e, n_neighbors=-5)),
    "neighbours, method": ("brute", lambda e: step_of(e, _fit_method="guess")),
    "neighbours, leaf size": ("ball tree", lambda e: step_of(e, leaf_size=0)),
    "neighbours, tree elsewhere": ("logistic", lambda e: e.steps.insert(0, ("near", fitted("kd tree")._tree))),
    "spreading, labels": ("spreading", lambda e: step_of(e.nn_fit, _fit_X=e.nn_fit._fit_X[:, :1].copy())),
    "vectors, count": ("vectors", lambda e: support_of(e, _n_support=lambda n: n + 10**6)),
    "vectors, count below": ("vectors", lambda e: support_of(e, _n_support=lambda n: n * np.array([-1, 1, 1], "int32"))),
    "vectors, columns": ("vectors", lambda e: support_of(e, support_vectors_=lambda v: v[:, :2].copy())),
    "vectors, factors": ("vectors", lambda e: support_of(e, _dual_coef_=lambda v: v[:, :2].copy())),
    "vectors, intercept": ("vectors", lambda e: support_of(e, _intercept_=lambda v: v[:1].copy())),
    "vectors, kernel": ("vectors", lambda e: support_of(e, kernel=lambda _: "precomputed")),
    "vectors, sparse": ("vectors", lambda e: support_of(e, _sparse=lambda _: True)),
    "network, layer": ("network", lambda e: e.coefs_.__setitem__(0, e.coefs_[0][:2])),
    "logistic, no coefficients": ("logistic", lambda e: delattr(e[-1], "coef_")),
    "logistic, nan": ("logistic", lambda e: e[-1].coef_.__setitem__((0, 0), np.nan)),
    "bayes, classes": ("bayes", lambda e: step_of(e, classes_=e.classes_[:2])),
    "forest, no trees": ("forest", lambda e: step_of(e, estimators_=[])),
}  # fmt: skip


@pytest.mark.parametrize("harm", HARMS)
def test_what_compiled_code_would_follow_astray_is_refused_in_one_line(tmp_path, harm):
    kind, change = HARMS[harm]
    estimator = fitted(kind)
    change(estimator)
    folder = kept(estimator, tmp_path / "model")
    with pytest.raises(InputError) as caught:
        Model.load(folder)
    assert str(caught.value).startswith(f"{folder}: model.skops ")
    assert "\n" not in str(caught.value)


def test_a_search_tree_is_built_from_its_rows_whatever_the_file_says_of_it(tmp_path):
    estimator = fitted("kd tree")
    X, _ = table()
    expected = estimator.predict_proba(X)
    state = list(estimator._tree.__getstate__())
    state[1] = np.full_like(state[1], 10**9)
    estimator._tree.__setstate__(tuple(state))
    np.testing.assert_array_equal(Model.load(kept(estimator, tmp_path / "model")).estimator.predict(X), expected)


def unpacked(estimator):
    import skops.io

    with zipfile.ZipFile(io.BytesIO(settle(skops.io.dumps(estimator)))) as archive:
        return json.loads(archive.read("schema.json")), {name: archive.read(name) for name in archive.namelist()}


def packed(schema, files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**files, "schema.json": json.dumps(schema)}.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def nodes(schema):
    if isinstance(schema, list):
        return [node for one in schema for node in nodes(one)]
    return [schema, *(node for one in schema.values() for node in nodes(one))] if isinstance(schema, dict) else []


def npy(values):
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def tree_with(outputs=None, classes=None, **changes):
    schema, files = unpacked(fitted("tree"))
    tree = next(node for node in nodes(schema) if node.get("__loader__") == "TreeNode")
    arguments = tree["__reduce__"]["args"]["content"]
    if outputs is not None:
        arguments[2]["content"] = outputs
    if classes is not None:
        files[arguments[1]["file"]] = npy(classes)
    tree.update(changes)
    return packed(schema, files)


def with_number(kind, key, value):
    """An archive in which a number of a name is another."""
    schema, files = unpacked(fitted(kind))
    for node in nodes(schema):
        if isinstance(node.get(key), dict) and node[key].get("__loader__") == "JsonNode":
            node[key]["content"] = value
    return packed(schema, files)


def claiming(rows):
    """An array's file that claims so many rows and holds none."""
    head = npy(np.zeros((1, 3)))
    return head.replace(b"(1, 3)", f"({rows}, 3)".encode())[: len(head)]


def every_array(content):
    schema, files = unpacked(fitted("bayes"))
    return packed(schema, {name: content if name.endswith(".npy") else data for name, data in files.items()})


def read_often():
    """A small file that is read for very many objects."""
    schema, files = unpacked(fitted("bayes"))
    array = next(node for node in nodes(schema) if node.get("file"))
    schema["content"]["content"]["many"] = {
        "__class__": "list", "__module__": "builtins", "__loader__": "ListNode",
        "content": [{**array, "__id__": 10**6 + number} for number in range(300)],
    }  # fmt: skip
    return packed(schema, {**files, array["file"]: npy(np.zeros(10**6))})


ARCHIVES = {
    "outputs": lambda: tree_with(outputs="1000000000"),
    "outputs below": lambda: tree_with(outputs="-1"),
    "no classes": lambda: tree_with(classes=np.zeros(0, "int64")),
    "classes": lambda: tree_with(classes=np.array([10**12])),
    "no nodes": lambda: with_number("tree", "node_count", "0"),
    "place of a generator": lambda: with_number("network", "pos", "1000000000"),
    "place below": lambda: with_number("network", "pos", "-1"),
    "another way to make a tree": lambda: tree_with(__loader__="LossNode"),
    "a call of a type": lambda: tree_with(__loader__="ConstructorFromReduceNode", content={}),
    "a bomb": lambda: packed({}, {"zeros.npy": bytes((1 << 28) + 1)}),
    "a file read often": read_often,
    "an array that claims 10^9 rows": lambda: every_array(claiming(10**9)),
    "an array that claims 10^18 rows": lambda: every_array(claiming(10**18)),
    "arrays of no shape": lambda: every_array(npy(np.float64(1))),
    "arrays of text": lambda: every_array(npy(np.array(["a"]))),
    "a deep schema": lambda: packed({}, {}).replace(b"{}", b"[]"),
    "cut short": lambda: tree_with()[:-40],
}


@pytest.mark.parametrize("harm", ARCHIVES)
def test_an_archive_of_another_make_is_refused_in_one_line(tmp_path, harm):
    folder = kept(fitted("bayes"), tmp_path / "model")
    sign(folder, ARCHIVES[harm]())
    with pytest.raises(InputError) as caught:
        Model.load(folder)
    assert str(caught.value).startswith(f"{folder}: model.skops ")
    assert "\n" not in str(caught.value)


def test_sparse_matrices_are_not_read(tmp_path):
    """The compiled code behind them looks at no index."""
    import skops.io

    estimator = fitted("logistic")
    folder = kept(estimator, tmp_path / "model")
    estimator[-1].sparsify()
    sign(folder, skops.io.dumps(estimator))
    with pytest.raises(InputError, match=r"makes a scipy\.sparse\._csr\.csr_matrix by SparseMatrixNode"):
        Model.load(folder)
