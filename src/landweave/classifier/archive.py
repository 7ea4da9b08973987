"""A skops archive from a file: is it one that may be read? Asked before an object is made of it."""

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from landweave.errors import InputError

TRUSTED = frozenset(
    {
        "numpy.dtype",
        "sklearn._loss._loss.CyHalfBinomialLoss",
        "sklearn._loss._loss.CyHalfMultinomialLoss",
        "sklearn._loss.link.HalfLogitLink",
        "sklearn._loss.link.IdentityLink",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogLink",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.MultinomialLogit",
        "sklearn._loss.loss.ExponentialLoss",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss.loss.HalfMultinomialLoss",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.gaussian_process.kernels.ConstantKernel",
        "sklearn.gaussian_process.kernels.Product",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
    }
)
"""What a scikit-learn model may hold besides skops's own list: data carriers, none of which runs what it is given.

What compiled code follows in them (trees, search trees) is checked by :mod:`landweave.classifier.compiled`.
"""

MOST_BYTES, MOST_RATIO = 1 << 28, 100
"""An archive may unpack to 256 MiB, or to 100 times its size: a forest packs 5 times, a bomb of zeros 1000 times."""

_LOADERS = {
    "BytesNode", "DTypeNode", "DefaultDictNode", "DictNode", "FunctionNode", "JsonNode", "ListNode", "LossNode",
    "NdArrayNode", "ObjectNode", "RandomGeneratorNode", "RandomStateNode", "SetNode", "SliceNode", "TreeNode",
    "TupleNode", "TypeNode",
}  # fmt: skip
"""What skops may make: no sparse matrix, whose compiled code looks at no index; no method, no call of a type."""

_TREE = "sklearn.tree._tree.Tree"
_LOSSES = ("sklearn._loss._loss.Cy", "sklearn.linear_model._sgd_fast.")


def check_archive(content: bytes) -> None:
    """Refuse an archive that is a bomb, or that makes an object in a way of its own.

    Raises
    ------
    InputError
        For sizes, and for ways to make an object, that no model has that landweave wrote.
    zipfile.BadZipFile, KeyError, TypeError, ValueError, RecursionError
        Where it is no archive of skops.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
        _check_size(sum(entry.file_size for entry in archive.infolist()), content)
        schema = json.loads(archive.read("schema.json"))
        read = 0
        for node in _nodes(schema):
            _check_node(node, archive)
            # The same file may be read for many objects.
            read += sizes[node["file"]] if isinstance(node.get("file"), str) else 0
        _check_size(read, content)


def _check_size(size: int, content: bytes) -> None:
    if size > max(MOST_BYTES, MOST_RATIO * len(content)):
        raise InputError(
            f"model.skops of {len(content)} bytes unpacks to {size} bytes, too many for a model; train the model again."
        )


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    rest = [schema]
    while rest:
        one = rest.pop()
        if isinstance(one, dict):
            if "__loader__" in one:
                yield one
            rest.extend(one.values())
        elif isinstance(one, list):
            rest.extend(one)


def _check_node(node: dict[str, Any], archive: zipfile.ZipFile) -> None:
    loader, name = str(node["__loader__"]), f"{node.get('__module__')}.{node.get('__class__')}"
    loss = name.startswith(_LOSSES)
    fits = {"TreeNode": name == _TREE, "LossNode": loss}.get(loader, name != _TREE and not loss)
    if loader not in _LOADERS or not fits:
        raise InputError(
            f"model.skops makes a {name[:80]} by {loader[:40]}, which landweave never writes; train the model again."
        )
    if loader == "TreeNode":
        _check_tree(node["__reduce__"]["args"]["content"], archive)


def _check_tree(arguments: list[dict[str, Any]], archive: zipfile.ZipFile) -> None:
    """A tree is made of three numbers that its compiled code believes: features, classes of each output, outputs."""
    _, classes, outputs = arguments
    if outputs["__loader__"] != "JsonNode" or classes["__loader__"] != "NdArrayNode":
        raise InputError("model.skops has a tree that is not stored as scikit-learn stores it.")
    values = np.load(io.BytesIO(archive.read(classes["file"])), allow_pickle=False)
    if json.loads(outputs["content"]) != 1 or values.shape != (1,) or not 1 <= values[0] <= 255:
        raise InputError("model.skops has a tree with an impossible number of outputs or classes.")
