"""Boosted trees of depth two as lookup tables.

Each path of such a tree uses at most two features, so all trees together are a sum of functions of one
or two features, each constant between thresholds. 600 trees become 15 lookups. `compiled` checks that
the result gives the same answers as the trees.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from models_store.graphs.nodes import KIND

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

MAX_CELLS = 1_000_000
"""The limit for all tables together: larger tables are not worth their memory."""

MAX_LEAVES = 50_000
MAX_SUMS = 100
"""More leaves are not those of small trees; more sums are the numbers of leaves, which are no scores."""

Conditions = list[tuple[int, float, bool]]
"""The conditions that lead to a leaf: feature, threshold, and whether the value is at most that."""

Thresholds = dict[int, "NDArray[np.float64]"]
"""The thresholds of each feature, ascending."""

Tables = dict[tuple[int, ...], "NDArray[np.float64]"]
"""By features: a score for each class in each interval between the thresholds of these features."""


@dataclass(frozen=True)
class Leaf:
    """A leaf of a tree: the path to it, and its contribution to each sum."""

    path: Conditions
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class SmallTrees:
    """The leaves of an ensemble, whose trees are summed up."""

    leaves: list[Leaf]
    sums: int

    @property
    def thresholds(self) -> Thresholds:
        """All thresholds of the trees."""
        found = defaultdict(set)
        for leaf in self.leaves:
            for feature, threshold, _ in leaf.path:
                found[feature].add(threshold)
        return {feature: np.array(sorted(found[feature]), np.float64) for feature in sorted(found)}


def tabulate(model: ModelProto) -> ModelProto | None:
    """Replace the trees of a graph by tables; return None if it has no trees, or they can't be tables."""
    import onnx

    nodes = [node for node in model.graph.node if node.op_type == KIND]
    trees = _read(nodes[0]) if len(nodes) == 1 else None
    tables = _tables(trees) if trees is not None else None
    if trees is None or tables is None:
        return None
    found = onnx.ModelProto()
    found.CopyFrom(model)
    del found.graph.node[:]
    for node in model.graph.node:
        in_place = [node] if node != nodes[0] else _look_ups(found, node, trees.thresholds, tables)
        found.graph.node.extend(in_place)
    return found


def _read(node: NodeProto) -> SmallTrees | None:
    """Read the leaves of an ensemble; None if it does more than compare and add, or has too many."""
    import onnx

    given = {item.name: item for item in node.attribute}
    if given["leaf_weights"].t.dims[0] > MAX_LEAVES or given["n_targets"].i > MAX_SUMS:
        return None
    values: dict[str, Any] = {name: onnx.helper.get_attribute_value(item) for name, item in given.items()}
    modes, splits, weights = (
        onnx.numpy_helper.to_array(values[name]) for name in ("nodes_modes", "nodes_splits", "leaf_weights")
    )
    if modes.any() or any(values.get("nodes_missing_value_tracks_true", [])):
        return None
    features, targets, sums = values["nodes_featureids"], values["leaf_targetids"], values["n_targets"]
    sides = (
        (values["nodes_truenodeids"], values["nodes_trueleafs"], True),
        (values["nodes_falsenodeids"], values["nodes_falseleafs"], False),
    )

    def walk(place: int, path: Conditions) -> Iterator[Leaf]:
        for places, is_leaf, is_low in sides:
            longer = [*path, (features[place], float(splits[place]), is_low)]
            if not is_leaf[place]:
                yield from walk(places[place], longer)
                continue
            scores = np.zeros(sums)
            scores[targets[places[place]]] = weights[places[place]]
            yield Leaf(longer, scores)

    return SmallTrees([leaf for root in values["tree_roots"] for leaf in walk(root, [])], sums)


def _tables(trees: SmallTrees) -> Tables | None:
    """Add up the scores of all leaves; None if a path uses three features, or tables would be too large.

    The index of a value is the number of thresholds of its feature that it does not exceed: the highest
    index is for the smallest values. A missing value has index 0, because all comparisons with it fail.
    """
    thresholds = trees.thresholds
    keys = sorted({tuple(sorted({feature for feature, _, _ in leaf.path})) for leaf in trees.leaves})
    shapes = [tuple(len(thresholds[feature]) + 1 for feature in key) for key in keys]
    if max(map(len, keys)) > 2 or sum(map(math.prod, shapes)) > MAX_CELLS:
        return None
    tables = {key: np.zeros((*shape, trees.sums)) for key, shape in zip(keys, shapes, strict=True)}
    for leaf in trees.leaves:
        places = {feature: (0, len(thresholds[feature]) + 1) for feature, _, _ in leaf.path}
        for feature, threshold, is_low in leaf.path:
            known, (low, high) = thresholds[feature], places[feature]
            # A value does not exceed this threshold if its index is at least `first`.
            first = len(known) - int(np.searchsorted(known, threshold))
            places[feature] = (max(low, first), high) if is_low else (low, min(high, first))
        tables[tuple(sorted(places))][tuple(slice(*places[key]) for key in sorted(places))] += leaf.scores
    return tables


def _look_ups(
    model: ModelProto, replaced: NodeProto, thresholds: Thresholds, tables: Tables
) -> list[NodeProto]:
    """Make the nodes: compare with all thresholds at once, and add one cell of each table."""
    from onnx import TensorProto, helper, numpy_helper

    every = [(feature, value) for feature, of_feature in thresholds.items() for value in of_feature]
    strides = np.zeros((len(every), len(tables)), np.float32)
    starts = np.zeros(len(tables), np.float32)
    begin = 0
    for column, (key, table) in enumerate(tables.items()):
        starts[column] = begin
        for position, feature in enumerate(key):
            of_feature = [row for row, (name, _) in enumerate(every) if name == feature]
            strides[of_feature, column] = math.prod(table.shape[position + 1 : -1])
        begin += math.prod(table.shape[:-1])
    cells = np.concatenate([table.reshape(-1, table.shape[-1]) for table in tables.values()])
    constants = {
        "threshold_features": np.array([feature for feature, _ in every], np.int64),
        "thresholds": np.array([[value] for _, value in every], np.float64),
        "strides": strides,
        "starts": starts,
        "cells": cells,
        "tables_axis": np.array([1], np.int64),
    }
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    model.graph.initializer.extend(stored)
    return [
        helper.make_node("Transpose", replaced.input, ["by_feature"]),
        helper.make_node("Gather", ["by_feature", "threshold_features"], ["compared"]),
        helper.make_node("LessOrEqual", ["compared", "thresholds"], ["is_low"]),
        helper.make_node("Cast", ["is_low"], ["low"], to=TensorProto.FLOAT),
        helper.make_node("Gemm", ["low", "strides", "starts"], ["place"], transA=1),
        helper.make_node("Cast", ["place"], ["cell_number"], to=TensorProto.INT32),
        helper.make_node("Gather", ["cells", "cell_number"], ["found"], axis=0),
        helper.make_node("ReduceSum", ["found", "tables_axis"], replaced.output, keepdims=0),
    ]
