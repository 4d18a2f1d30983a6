"""Nodes that are added have names of their own, and constants keep their values."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from skl2onnx.common._container import ModelComponentContainer
from skl2onnx.common._topology import Scope

from models_store.graphs.writer import Nodes


def test_nodes_are_chained_by_their_names() -> None:
    """Two nodes of one kind do not collide, and a given name is the output's."""
    container = ModelComponentContainer({"": 18, "ai.onnx.ml": 3})
    writer = Nodes(Scope("scope", target_opset=18), container)
    more = writer.add("Add", ["x", writer.constant([1.0, 2.0])])
    writer.add("Add", [writer.cast(more, onnx.TensorProto.DOUBLE), writer.constant([10.0])], "y")

    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, [None, 2]) for name in ("x", "y")
    ]
    graph = onnx.helper.make_graph(container.nodes, "g", ends[:1], ends[1:], container.initializers)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8)
    (found,) = onnxruntime.InferenceSession(model.SerializeToString()).run(["y"], {"x": np.zeros((1, 2))})
    assert [[11.0, 12.0]] == found.tolist()
