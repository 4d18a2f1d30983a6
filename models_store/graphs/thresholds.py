"""Rows one step beside the thresholds of the trees of a graph, behind scalers and encoders too.

A value that is rounded otherwise than by scikit-learn falls on the other side of a threshold there, and
hardly anywhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from models_store.graphs.nodes import KIND

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    from models_store.features.feature import Feature

THRESHOLDS = 800
"""How many thresholds of an ensemble are looked at."""

SEEN = 16
"""Rows that show which feature moves what trees read."""

SIGNIFICANT = np.int64(0x7FFF_FFFF_FFFF_FFFF)

Columns = dict[str, Any]
Read = Callable[[Columns, str], "NDArray[np.float64]"]
"""Computes what trees read of rows, by the name of their input."""


def of(model: ModelProto) -> list[NodeProto]:
    """Return the ensembles of a graph."""
    return [node for node in model.graph.node if node.op_type == KIND]


def before(model: ModelProto, ensembles: list[NodeProto]) -> ModelProto:
    """Return the part of a graph that makes what its trees read."""
    import onnx

    names = list(dict.fromkeys(node.input[0] for node in ensembles))
    found, needed, kept = onnx.ModelProto(), set(names), []
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            needed.update(node.input)
            kept.append(node)
    found.CopyFrom(model)
    del found.graph.node[:], found.graph.output[:]
    found.graph.node.extend(reversed(kept))
    double = onnx.TensorProto.DOUBLE
    found.graph.output.extend(onnx.helper.make_tensor_value_info(name, double, None) for name in names)
    return found


def beside(
    ensemble: NodeProto,
    read: Read,
    rows: Mapping[str, Sequence[Any]],
    features: Mapping[str, Feature],
    rng: np.random.Generator,
) -> Columns | None:
    """Make rows in which one feature is beside a threshold that the row reaches; None if no feature can be.

    Parameters
    ----------
    rows
        Those of the dataset.
    """
    name = ensemble.input[0]
    count = len(next(iter(rows.values())))
    drawn = rng.integers(0, count, THRESHOLDS)
    based = {each: [values[row] for row in drawn] for each, values in rows.items()}
    column, threshold = _reached(ensemble, read(based, name), rng)
    spans = {each: feature.span for each, feature in features.items() if feature.span}
    moving = _moving(read, name, {each: values[:SEEN] for each, values in based.items()}, spans)
    chosen = np.full(THRESHOLDS, -1)
    for row, of_row in enumerate(column):
        able = [number for number, moved in enumerate(moving.values()) if moved[of_row]]
        if able:
            chosen[row] = rng.choice(able)
    return _around(based, list(spans), chosen, _Crossing(read, name, column, threshold), features)


def _reached(
    ensemble: NodeProto, values: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Follow each row down one tree, and choose a node of its path: return its feature and threshold."""
    import onnx

    given: dict[str, Any] = {
        item.name: onnx.helper.get_attribute_value(item) for item in ensemble.attribute
    }
    splits, feature = onnx.numpy_helper.to_array(given["nodes_splits"]), np.array(given["nodes_featureids"])
    yes, no = np.array(given["nodes_truenodeids"]), np.array(given["nodes_falsenodeids"])
    ends = np.array(given["nodes_trueleafs"]), np.array(given["nodes_falseleafs"])
    place = rng.choice(np.array(given["tree_roots"]), len(values))
    chosen, active, depth = place.copy(), np.ones(len(values), bool), 1
    while active.any():
        chosen = np.where(active & (rng.random(len(values)) < 1 / depth), place, chosen)
        is_low = values[np.arange(len(values)), feature[place]] <= splits[place]
        at_end = np.where(is_low, ends[0][place], ends[1][place]) > 0
        place = np.where(active & ~at_end, np.where(is_low, yes[place], no[place]), place)
        active, depth = active & ~at_end, depth + 1
    return feature[chosen], splits[chosen]


def _moving(read: Read, name: str, rows: Columns, spans: Mapping[str, Any]) -> dict[str, NDArray[np.bool_]]:
    """Return which columns of what trees read each feature moves between the ends of its range."""
    found = {}
    for each, (low, high) in spans.items():
        ends = [read({**rows, each: [end] * len(rows[each])}, name) for end in (low, high)]
        found[each] = (ends[0] != ends[1]).any(axis=0)
    return found


class _Crossing:
    """Which side of its threshold each row is on."""

    def __init__(self, read: Read, name: str, column: Any, threshold: Any) -> None:
        self._read, self._name, self._column, self._threshold = read, name, column, threshold

    def is_low(self, rows: Columns, which: NDArray[np.intp]) -> NDArray[np.bool_]:
        values = self._read(rows, self._name)
        return np.asarray(values[np.arange(len(which)), self._column[which]] <= self._threshold[which])


def _around(
    based: Columns,
    names: list[str],
    chosen: NDArray[np.int64],
    crossing: _Crossing,
    features: Mapping[str, Feature],
) -> Columns | None:
    """Find where each row crosses its threshold, feature by feature, and make the rows around that."""
    made: Columns = {each: [] for each in based}
    for number, name in enumerate(names):
        which = np.flatnonzero(chosen == number)
        if not len(which):
            continue
        rows = {each: [values[row] for row in which] for each, values in based.items()}
        for row, value in _crossings(rows, name, which, crossing, features[name].span):
            for near in features[name].near(value):
                for each in made:
                    made[each].append(near if each == name else rows[each][row])
    return made if any(made.values()) else None


def _crossings(
    rows: Columns, name: str, which: NDArray[np.intp], crossing: _Crossing, span: Any
) -> Iterator[tuple[int, float]]:
    """Halve the range of a feature until the two values next to a threshold are found."""
    low, high = (np.full(len(which), _ordered(np.float64(end))) for end in span)

    def side(at: NDArray[np.int64]) -> NDArray[np.bool_]:
        return crossing.is_low({**rows, name: _number(at).tolist()}, which)

    first = side(low)
    does_cross = first != side(high)
    while (low + 1 < high).any():  # their difference may be more than an integer holds
        middle = (low >> 1) + (high >> 1) + (low & high & 1)
        is_first = side(middle) == first
        low, high = np.where(is_first, middle, low), np.where(is_first, high, middle)
    for row in np.flatnonzero(does_cross):
        yield int(row), float(_number(low[row]))


def _ordered(value: Any) -> Any:
    """Return the place of a float among all floats."""
    bits = np.asarray(value, np.float64).view(np.int64)
    return np.where(bits < 0, bits ^ SIGNIFICANT, bits)


def _number(place: Any) -> Any:
    """Return the float at a place among all floats."""
    place = np.asarray(place, np.int64)
    return np.where(place < 0, place ^ SIGNIFICANT, place).view(np.float64)
