"""Graphs ask for the versions of operators that they need."""

from __future__ import annotations

import onnx
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from models_store.graphs import converter, nodes


def versions(estimator: object) -> dict[str, int]:
    """Return the versions that a graph asks for."""
    fitted = estimator.fit(*load_iris(return_X_y=True))  # type: ignore[attr-defined]
    model = converter.convert(fitted, [("rows", DoubleTensorType([None, 4]))])
    onnx.checker.check_model(model)
    return {used.domain: used.version for used in model.opset_import}


def test_a_graph_with_trees_asks_for_the_version_that_has_them() -> None:
    """The converter itself knows an earlier one."""
    assert nodes.OPSET == versions(DecisionTreeClassifier())[nodes.DOMAIN]


def test_other_graphs_are_as_the_converter_makes_them() -> None:
    """Without trees there is no need of a later version."""
    assert versions(LogisticRegression(max_iter=1000))[nodes.DOMAIN] < nodes.OPSET
