"""Rows beside thresholds: they are on both sides, and show a graph that rounds otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models_store.compiled import MATRIX, Session
from models_store.graphs import converter, thresholds
from models_store.spec import Features, Spec, classes, integer, number

NAMES = ["width", "height", "rooms"]


class Flat(Features):
    """Two numbers and a whole one."""

    width: float = number("Width", unit="m", low=-50, high=50, example=5)
    height: float = number("Height", unit="m", low=-50, high=50, example=3)
    rooms: int = integer("Rooms", unit="", low=0, high=20, example=2)


def load() -> tuple[pd.DataFrame, pd.Series]:
    """Return 300 rows; the label follows from all features."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(0.1, 10, (300, 2)).clip(-50, 50), columns=NAMES[:2])
    X["rooms"] = rng.integers(0, 9, 300)
    return X, pd.Series(np.where(X.sum(axis=1) + rng.normal(size=300) > 3, "large", "small"))


SPEC = Spec("flat", "Flats", Flat, classes("large", "small"), load, lambda _: None)


def scaled() -> Any:
    """Return a forest behind a scaler, fitted."""
    X, y = load()
    forest = RandomForestClassifier(20, random_state=0)
    return make_pipeline(StandardScaler(), forest).fit(SPEC.frame(SPEC.columns_of(X)), y)


def made(model: onnx.ModelProto) -> Any:
    """Make rows beside the thresholds of a graph."""
    (ensemble,) = thresholds.of(model)
    part = Session(thresholds.before(model, [ensemble]).SerializeToString(), SPEC)
    columns = SPEC.columns_of(load()[0])
    return thresholds.beside(
        ensemble,
        lambda rows, name: part.run(rows, [name])[0],
        columns,
        SPEC.inputs,
        np.random.default_rng(0),
    )


def differing(model: onnx.ModelProto, pipeline: Any, columns: Any) -> int:
    """Count the rows that a graph answers otherwise than scikit-learn."""
    found = Session(model.SerializeToString(), SPEC).run(columns, ["probabilities"])[0]
    return int((np.abs(found - pipeline.predict_proba(SPEC.frame(columns))).max(axis=1) > 1e-6).sum())


@pytest.fixture(scope="module")
def graph() -> tuple[Any, onnx.ModelProto]:
    """A pipeline and its graph."""
    pipeline = scaled()
    return pipeline, converter.convert(pipeline, [(MATRIX, DoubleTensorType([None, 3]))])


def test_rows_are_valid_and_on_both_sides(graph: Any) -> None:
    """Of two neighbours, of which one feature differs, many have other probabilities."""
    pipeline, model = graph
    columns = made(model)
    frame = SPEC.frame(columns)
    for row in zip(*columns.values(), strict=True):
        SPEC.rows.object(dict(zip(columns, row, strict=True)))

    p = pipeline.predict_proba(frame)[:, 0]
    is_near = (frame.diff().abs().sum(axis=1) < 1e-4).to_numpy()
    assert len(p) > 1_000
    assert (np.abs(np.diff(p, prepend=p[0]))[is_near] > 0.001).sum() > 100


def test_a_right_graph_agrees_beside_thresholds(graph: Any) -> None:
    """On every row."""
    pipeline, model = graph

    assert 0 == differing(model, pipeline, made(model))


def test_a_graph_that_rounds_otherwise_is_noticed(graph: Any) -> None:
    """Its scaler rounds to float32: thousands of random rows do not show it."""
    pipeline, model = graph
    spoilt = onnx.ModelProto()
    spoilt.CopyFrom(model)
    (scaled,) = [node for node in spoilt.graph.node if node.op_type == "Sub" and MATRIX in node.input]
    scaled.input[0] = "rounded"
    casts = [
        onnx.helper.make_node("Cast", [MATRIX], ["narrow"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("Cast", ["narrow"], ["rounded"], to=onnx.TensorProto.DOUBLE),
    ]
    nodes = [*casts, *spoilt.graph.node]
    del spoilt.graph.node[:]
    spoilt.graph.node.extend(nodes)
    random = SPEC.random_columns(3_000, np.random.default_rng(1))

    assert differing(spoilt, pipeline, random) < 5
    assert differing(spoilt, pipeline, made(spoilt)) > 100
