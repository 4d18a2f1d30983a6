"""The converter of scikit-learn to ONNX, with what this project writes otherwise."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from models_store.graphs import boosters, encoders, nodes, steps, votes

if TYPE_CHECKING:
    from onnx import ModelProto


def convert(estimator: Any, types: list[tuple[str, Any]], more: dict[int, Any] | None = None) -> ModelProto:
    """Convert a fitted estimator.

    Parameters
    ----------
    types
        The names and the types of the inputs, of skl2onnx.
    more
        Options of estimators inside, by their ids.
    """
    from onnx import helper
    from skl2onnx import to_onnx

    _register()
    boosters.register()  # their packages may have been imported since
    options = {id(estimator): {"zipmap": False}} if hasattr(estimator, "predict_proba") else {}
    model = to_onnx(estimator, initial_types=types, options=options | (more or {}) or None)
    for node in model.graph.node:
        if node.op_type == "FeatureVectorizer":  # it joins columns, and rounds them to float32
            node.op_type, node.domain = "Concat", ""
            node.ClearField("attribute")
            node.attribute.append(helper.make_attribute("axis", 1))
    if any(node.op_type == nodes.KIND for node in model.graph.node):
        for used in model.opset_import:
            if used.domain == nodes.DOMAIN:
                used.version = nodes.OPSET
    return model


@lru_cache(maxsize=1)
def _register() -> None:
    for each in (nodes, encoders, steps, votes):
        each.register()
