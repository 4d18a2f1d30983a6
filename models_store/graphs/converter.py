"""The converter of scikit-learn to ONNX, with what this project writes otherwise."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from models_store.graphs import nodes

if TYPE_CHECKING:
    from onnx import ModelProto


def convert(estimator: Any, types: list[tuple[str, Any]]) -> ModelProto:
    """Convert a fitted estimator.

    Parameters
    ----------
    types
        The names and the types of the inputs, of skl2onnx.
    """
    from skl2onnx import to_onnx

    _register()
    options = {"zipmap": False} if hasattr(estimator, "predict_proba") else None
    model = to_onnx(estimator, initial_types=types, options=options)
    if any(node.op_type == nodes.KIND for node in model.graph.node):
        for used in model.opset_import:
            if used.domain == nodes.DOMAIN:
                used.version = nodes.OPSET
    return model


@lru_cache(maxsize=1)
def _register() -> None:
    nodes.register()
