"""`KBinsDiscretizer`, `Binarizer`, `Normalizer` and `PolynomialFeatures` as nodes, in float64 too.

The converter's own compare in float32, where a value falls into the bin beside its own, or divide by the
norm 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from models_store.graphs.causes import NoConverter
from models_store.graphs.encoders import joined, width
from models_store.graphs.writer import Nodes


def register() -> None:
    """Let the converter write these steps in this way."""
    from skl2onnx import update_registered_converter
    from sklearn import preprocessing

    steps: dict[str, tuple[Callable[[Any], int], Callable[..., str]]] = {
        "Binarizer": (width, _binarized),
        "KBinsDiscretizer": (_width_of_bins, _bins),
        "Normalizer": (width, _normalized),
        "PolynomialFeatures": (lambda operator: len(operator.raw_operator.powers_), _products),
    }
    for name, (wide, write) in steps.items():
        update_registered_converter(
            getattr(preprocessing, name), f"Made{name}", _shape(wide), _converter(write)
        )


def _shape(wide: Callable[[Any], int]) -> Callable[[Any], None]:
    def calculate(operator: Any) -> None:
        first = operator.inputs[0]
        operator.outputs[0].type = type(first.type)([first.get_first_dimension(), wide(operator)])

    return calculate


def _converter(write: Callable[..., str]) -> Callable[..., None]:
    def convert(scope: Any, operator: Any, container: Any) -> None:
        from skl2onnx.common.data_types import guess_numpy_type

        nodes, like = Nodes(scope, container), guess_numpy_type(operator.inputs[0].type)
        found = write(nodes, operator.raw_operator, joined(nodes, operator), like)
        nodes.add("Identity", [found], operator.outputs[0].full_name)

    return convert


def _cast(nodes: Nodes, name: str, like: Any) -> str:
    from onnx import helper

    return nodes.cast(name, helper.np_dtype_to_tensor_dtype(np.dtype(like)))


def _binarized(nodes: Nodes, step: Any, given: str, like: Any) -> str:
    return _cast(nodes, nodes.add("Greater", [given, nodes.constant([step.threshold], like)]), like)


def _width_of_bins(operator: Any) -> int:
    step = operator.raw_operator
    return len(step.n_bins_) if step.encode == "ordinal" else int(step.n_bins_.sum())


def _bins(nodes: Nodes, step: Any, given: str, like: Any) -> str:
    """Add nodes that count the inner edges that a value reaches."""
    if step.dtype not in (None, np.float64):
        raise NoConverter(f"KBinsDiscretizer(dtype={step.dtype!r})")
    inner = [edges[1:-1] for edges in step.bin_edges_]
    edges = np.full((1, len(inner), max(1, *map(len, inner))), np.inf)
    for at, of_column in enumerate(inner):
        edges[0, at, : len(of_column)] = of_column
    last = nodes.constant([2], np.int64)
    reached = nodes.add(
        "GreaterOrEqual", [nodes.add("Unsqueeze", [given, last]), nodes.constant(edges, like)]
    )
    found = nodes.add("ReduceSum", [_cast(nodes, reached, like), last], keepdims=0)
    if step.encode == "ordinal":
        return found
    most = int(step.n_bins_.max())
    numbers = nodes.constant(np.arange(most)[None, None, :], like)
    hot = nodes.add("Equal", [nodes.add("Unsqueeze", [found, last]), numbers])
    flat = nodes.add(
        "Reshape", [_cast(nodes, hot, like), nodes.constant([-1, len(inner) * most], np.int64)]
    )
    kept = [at * most + number for at, bins in enumerate(step.n_bins_) for number in range(bins)]
    return nodes.add("Gather", [flat, nodes.constant(kept, np.int64)], axis=1)


def _normalized(nodes: Nodes, step: Any, given: str, like: Any) -> str:
    """Add nodes that divide a row by its norm; one without any is as it was."""
    columns = nodes.constant([1], np.int64)
    kind = {"l1": "ReduceL1", "l2": "ReduceL2", "max": "ReduceMax"}[step.norm]
    values = nodes.add("Abs", [given]) if step.norm == "max" else given
    norm = nodes.add(kind, [values, columns], keepdims=1)
    none = nodes.add("Less", [norm, nodes.constant([10 * np.finfo(like).eps], like)])
    return nodes.add("Div", [given, nodes.add("Where", [none, nodes.constant([1], like), norm])])


def _products(nodes: Nodes, step: Any, given: str, like: Any) -> str:
    """Add nodes that multiply columns, from the last one to the first, as scikit-learn does."""
    factors = [np.repeat(np.arange(len(powers)), powers)[::-1] for powers in step.powers_]
    most, one = max(1, *map(len, factors)), nodes.constant([1], like)
    found = ""
    for place in range(most):
        columns = [of_column[place] if place < len(of_column) else 0 for of_column in factors]
        is_factor = nodes.constant([[place < len(of_column) for of_column in factors]], bool)
        values = nodes.add("Gather", [given, nodes.constant(columns, np.int64)], axis=1)
        values = nodes.add("Where", [is_factor, values, one])
        found = nodes.add("Mul", [found, values]) if found else values
    return found
