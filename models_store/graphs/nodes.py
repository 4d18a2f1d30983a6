"""Ensembles of trees as nodes of a graph, and the converters of the estimators that have such trees.

All trees become `TreeEnsemble` of float64: it compares and adds exactly. Where an estimator reads float32,
its values are rounded to float32 first, as the estimator rounds them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from models_store.graphs import trees
from models_store.graphs.trees import Ensemble
from models_store.graphs.writer import Nodes

if TYPE_CHECKING:
    from onnx import TensorProto

KIND, DOMAIN = "TreeEnsemble", "ai.onnx.ml"
OPSET, KNOWN_OPSET = 5, 3
"""The first of this domain with `TreeEnsemble`, and the last that the converter knows."""

BELOW_OR_EQUAL, BELOW = 0, 1
"""Modes of a node."""

CLASSIFIER_OPTIONS = {
    "zipmap": [True, False, "columns"],
    "raw_scores": [True, False],
    "nocl": [True, False],
    "output_class_labels": [False, True],
}

Reader = Callable[[Any], Ensemble]


def _tensor(values: Any, like: Any) -> TensorProto:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.asarray(values, like), "values")


def sums(writer: Nodes, ensemble: Ensemble, values: str) -> str:
    """Add the nodes that make the sums of the trees, (n, sums), or the rows of leaves, (n, classes)."""
    known = ensemble.trees
    mode = BELOW if ensemble.is_below else BELOW_OR_EQUAL
    found = writer.add(
        KIND,
        [values],
        at=(DOMAIN, KNOWN_OPSET),
        aggregate_function=1,
        post_transform=0,
        n_targets=ensemble.sums,
        nodes_modes=_tensor(np.full(len(known.feature), mode), np.uint8),
        nodes_featureids=known.feature.tolist(),
        nodes_splits=_tensor(known.threshold, np.float64),
        nodes_truenodeids=known.left.tolist(),
        nodes_falsenodeids=known.right.tolist(),
        nodes_trueleafs=known.is_leaf_left.astype(int).tolist(),
        nodes_falseleafs=known.is_leaf_right.astype(int).tolist(),
        nodes_missing_value_tracks_true=known.is_missing_left.astype(int).tolist(),
        tree_roots=known.roots.tolist(),
        leaf_targetids=known.target.tolist(),
        leaf_weights=_tensor(known.weight, np.float64),
    )
    if ensemble.rows is not None:
        from onnx import TensorProto

        numbers = writer.cast(found, TensorProto.INT32)
        gathered = writer.add("Gather", [writer.constant(ensemble.rows), numbers], axis=0)
        found = writer.add("ReduceSum", [gathered, writer.constant([1], np.int64)], keepdims=0)
    if ensemble.count > 1:
        found = writer.add("Div", [found, writer.constant([float(ensemble.count)])])
    if ensemble.base.any():
        found = writer.add("Add", [found, writer.constant(ensemble.base)])
    return found


def _values(writer: Nodes, ensemble: Ensemble, operator: Any) -> str:
    """Add the nodes that round the input as the estimator does; they end with float64."""
    from onnx import TensorProto
    from skl2onnx.common.data_types import guess_proto_type

    name: str = operator.inputs[0].full_name
    given = guess_proto_type(operator.inputs[0].type)
    if ensemble.reads is np.float32 and given != TensorProto.FLOAT:
        name, given = writer.cast(name, TensorProto.FLOAT), TensorProto.FLOAT
    return name if given == TensorProto.DOUBLE else writer.cast(name, TensorProto.DOUBLE)


def _answer(writer: Nodes, operator: Any, position: int, found: str) -> None:
    """Add the node that gives an output of an operator its name and its type."""
    from onnx import TensorProto
    from skl2onnx.common.data_types import guess_proto_type

    output = operator.outputs[position]
    wanted = guess_proto_type(output.type)
    if wanted == TensorProto.DOUBLE:
        writer.add("Identity", [found], output.full_name)
    else:
        writer.add("Cast", [found], output.full_name, to=TensorProto.FLOAT)


def _regressor(read: Reader, scope: Any, operator: Any, container: Any) -> None:
    writer, ensemble = Nodes(scope, container), read(operator.raw_operator)
    found = sums(writer, ensemble, _values(writer, ensemble, operator))
    if ensemble.link == trees.EXP:
        found = writer.add("Exp", [found])
    _answer(writer, operator, 0, found)


def _classifier(read: Reader, scope: Any, operator: Any, container: Any) -> None:
    from onnx import TensorProto
    from skl2onnx.common.utils_classifier import _finalize_converter_classes, get_label_classes

    estimator = operator.raw_operator
    writer, ensemble = Nodes(scope, container), read(estimator)
    found = sums(writer, ensemble, _values(writer, ensemble, operator))
    is_raw = container.get_options(estimator, {"raw_scores": False})["raw_scores"]
    found = _scores(writer, ensemble, found) if is_raw else _probabilities(writer, ensemble, found)
    _answer(writer, operator, 1, found)
    best = writer.add("ArgMax", [found], axis=1)
    classes = np.asarray(get_label_classes(scope, estimator))
    label = operator.outputs[0].full_name
    _finalize_converter_classes(scope, best, label, container, classes, TensorProto.DOUBLE)


def _scores(writer: Nodes, ensemble: Ensemble, found: str) -> str:
    if ensemble.sums > 1 or ensemble.link == trees.IDENTITY:
        return found
    return writer.add("Concat", [writer.add("Neg", [found]), found], axis=1)


def _probabilities(writer: Nodes, ensemble: Ensemble, found: str) -> str:
    if ensemble.rows is not None:
        return found
    if ensemble.link == trees.SOFTMAX:
        return writer.add("Softmax", [found], axis=1)
    if ensemble.link == trees.LOGISTIC:
        found = writer.add("Sigmoid", [found])
    other = writer.add("Sub", [writer.constant([1.0]), found])
    return writer.add("Concat", [other, found], axis=1)


def register() -> None:
    """Let the converter write the trees of all estimators of scikit-learn in this way."""
    from sklearn import ensemble, tree

    for name in ("DecisionTree", "ExtraTree"):
        _register(tree, name, trees.forest)
    for name in ("RandomForest", "ExtraTrees"):
        _register(ensemble, name, trees.forest)
    _register(ensemble, "GradientBoosting", trees.gradient_boosting)
    _register(ensemble, "HistGradientBoosting", trees.histogram_boosting)


def _register(module: Any, name: str, read: Reader) -> None:
    classifier, regressor = getattr(module, f"{name}Classifier"), getattr(module, f"{name}Regressor")
    register_classifier(classifier, read)
    register_regressor(regressor, read)


def register_classifier(kind: type, read: Reader) -> None:
    """Let the converter write the trees of a class of classifiers."""
    from skl2onnx import update_registered_converter
    from skl2onnx._parse import sklearn_classifier_list

    if kind not in sklearn_classifier_list:
        sklearn_classifier_list.append(kind)
    convert = partial(_classifier, read)
    update_registered_converter(
        kind, f"Trees{kind.__name__}", _shape_of_classifier, convert, options=CLASSIFIER_OPTIONS
    )


def register_regressor(kind: type, read: Reader) -> None:
    """Let the converter write the trees of a class of regressors."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import calculate_linear_regressor_output_shapes

    update_registered_converter(
        kind, f"Trees{kind.__name__}", calculate_linear_regressor_output_shapes, partial(_regressor, read)
    )


def _shape_of_classifier(operator: Any) -> None:
    """Say that probabilities of float64 are float64: the converter thinks that those of forests are not."""
    from skl2onnx.common.data_types import DoubleTensorType
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes

    calculate_linear_classifier_output_shapes(operator)
    if isinstance(operator.inputs[0].type, DoubleTensorType):
        operator.outputs[1].type = DoubleTensorType(operator.outputs[1].type.shape)
