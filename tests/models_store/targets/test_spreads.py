"""The model of the expected error: it learns which rows are hard, and compiles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from models_store import compiled
from models_store.targets import spreads
from tests import rents

TARGET: Any = rents.SPEC.target


def test_it_learns_which_rows_are_hard_and_compiles() -> None:
    """Errors that grow with the area are expected to."""
    X, _ = rents.draw(500, 0)
    columns = rents.SPEC.columns_of(X)
    frame = rents.SPEC.frame(columns)
    errors = np.abs(np.random.default_rng(0).normal(0, 1, 500)) * X.area.to_numpy()
    model = spreads.fit(frame, errors, np.ones(500), 0)
    expected = model.predict(frame)
    built = compiled.build(model, rents.SPEC, columns, 0, target=replace(TARGET, low=0.0, high=1e9))

    assert expected[X.area > 150].mean() > 2 * expected[X.area < 80].mean()
    assert built.onnx is not None
    found = compiled.Session(built.onnx, rents.SPEC).first(columns).ravel()
    np.testing.assert_allclose(expected, found, rtol=1e-4)


def test_columns_that_say_nothing_are_left_out() -> None:
    """Texts of which each is another one; if no column is left there is no model."""
    names = pd.DataFrame({"name": [f"flat {number}" for number in range(200)]}, dtype="object")

    assert spreads.fit(names, np.ones(200), np.ones(200), 0) is None


def test_a_draw_of_many_rows_is_enough() -> None:
    """The rows are more than the limit, and the fit takes as long as for the limit."""
    rows = spreads.MAX_ROWS + 10
    X = pd.DataFrame({"x": np.linspace(0, 1, rows)})
    model = spreads.fit(X, np.linspace(0, 1, rows), np.ones(rows), 0)

    assert 0.9 < model.predict(X[-1:])[0] < 1.1
