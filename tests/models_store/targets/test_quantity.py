"""A quantity: which declarations, labels and estimators are taken; how answers are compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputRegressor

from models_store.errors import InvalidSpec
from models_store.spec import GateRules, QuantityRules, classes, quantity
from models_store.targets.intervals import Width
from tests.rents import SPEC

TARGET = quantity("Delay at arrival", unit="min", low=-200, high=2000)
WIDTH = Width(sd=10.0, factor=2.0, floor=3.0, method="folds", rows=50)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"low": 5, "high": 1}, "low is 5, which is above high, 1"),
        ({"low": 5, "high": 5}, "a quantity needs a range"),
        ({"low": float("nan")}, "low and high are finite numbers"),
        ({"low": True}, "low and high are finite numbers"),
        ({"low": -1.5e308, "high": 1.5e308}, "give a narrower one"),
        ({"unit": None}, "unit is a text"),
        ({"description": " "}, "describe the quantity"),
        ({"level": 0.4}, "level is a number from 0.5 to 0.99"),
        ({"level": 1}, "level is a number from 0.5 to 0.99"),
    ],
)
def test_a_wrong_declaration_is_named(changes: dict[str, Any], words: str) -> None:
    """With what would be right."""
    (fault,) = replace(TARGET, **changes).faults()

    assert words in str(fault)
    assert [] == TARGET.faults()


def test_a_spec_has_the_gate_of_its_target() -> None:
    """The rules of the other kind are refused."""
    assert QuantityRules() == SPEC.gate
    with pytest.raises(InvalidSpec, match=r"gate: give QuantityRules\(...\), not GateRules"):
        replace(SPEC, gate=GateRules())
    with pytest.raises(InvalidSpec, match=r"gate: give GateRules\(...\), not QuantityRules"):
        replace(SPEC, target=classes("a", "b"))
    with pytest.raises(InvalidSpec, match="mae_tolerance: give a number from 0 on"):
        replace(SPEC, gate=QuantityRules(mae_tolerance=-1))


def test_labels_are_read_from_every_type_of_column() -> None:
    """Their text is that of a float, so 3 and 3.0 are one label, and so are both zeros."""
    assert ["3.0", "-0.5"] == TARGET.read(pd.Series([3, -0.5]))
    assert ["3.0", "4.0"] == TARGET.read(np.array([3, 4]))
    assert ["0.0", "0.0"] == TARGET.read([0, -0.0])
    assert [3.0, -0.5] == TARGET.as_y(["3.0", "-0.5"]).tolist()
    assert (3.0, 3.0, None) == (TARGET.value("3.0"), TARGET.number("3.0"), TARGET.number("setosa"))


@pytest.mark.parametrize("label", [float("nan"), float("inf"), 2000.5, "3", None, True])
def test_a_dataset_with_another_label_is_refused(label: Any) -> None:
    """The sentence names the row and the range."""
    words = "row 1 of load\\(\\): the label .* is not a number from -200 to 2000 min"
    with pytest.raises(InvalidSpec, match=words):
        TARGET.read([3.0, label])
    with pytest.raises(InvalidSpec, match="several columns"):
        TARGET.read(np.zeros((2, 2)))


def test_old_labels_that_do_not_fit_are_not_learned() -> None:
    """For example those of an older range, or of classes."""
    assert [True, False, False] == [TARGET.knows(text) for text in ("3.0", "9999.0", "setosa")]


def test_strata_are_between_quantiles() -> None:
    """Each holds about as many rows; few rows, or equal ones, are one stratum."""
    texts = [TARGET.text(number) for number in range(200)]

    assert [40] * 5 == np.bincount(TARGET.strata(texts)).tolist()
    assert [0] * 9 == TARGET.strata(texts[:9])
    assert 1 == len(set(TARGET.strata([TARGET.text(7)] * 100)))


@pytest.mark.parametrize(
    ("estimator", "words"),
    [
        (LogisticRegression(), "LogisticRegression predicts classes: use a regressor, or declare target=c"),
        (MultiOutputRegressor(LinearRegression()), "predicts several labels a row"),
        (LinearRegression, "returns the class LinearRegression"),
        (None, "returns NoneType"),
    ],
)
def test_what_predicts_no_number_is_refused(estimator: Any, words: str) -> None:
    """Before the fit."""
    with pytest.raises(InvalidSpec, match=words):
        TARGET.demand(estimator)
    TARGET.demand(RandomForestRegressor())


def test_answers_that_are_no_column_of_numbers_are_refused() -> None:
    """For example those of an estimator that was given two labels a row."""
    X = np.arange(6.0).reshape(-1, 1)
    one = LinearRegression().fit(X, X)
    two = LinearRegression().fit(X, np.hstack([X, X]))

    np.testing.assert_allclose(X.ravel(), TARGET.ask(one, X).values, atol=1e-9)
    with pytest.raises(InvalidSpec, match=r"shape \(6, 2\) for 6 rows: it must give one number"):
        TARGET.ask(two, X)


def test_an_answer_is_limited_to_the_range_and_says_so() -> None:
    """The interval is around what is answered; its ends in the journal may lie beyond the range."""
    answers = TARGET.reader(WIDTH)([np.array([[5.0], [3000.0], [-300.0]])])
    said = TARGET.said(answers)
    (above,), (below,) = said.warnings[1], said.warnings[2]

    assert (["", "", ""], ["{}", "{}", "{}"]) == (said.classes, said.probabilities)
    assert [5.0, 2000.0, -200.0] == said.values
    assert [-1.0, 1994.0, -206.0] == said.low
    assert [11.0, 2006.0, -194.0] == said.high
    assert {1, 2} == set(said.warnings)
    assert "the model predicts 3000 min, above the range: the answer is 2000" == above["msg"]
    assert ["predicted_value"] == below["loc"]
    assert "below the range" in below["msg"]


def test_golden_answers_are_repeated_within_the_tolerance() -> None:
    """A hundred-thousandth of the standard deviation of the labels."""
    raw = np.array([5.0, 6.0])
    golden = TARGET.golden(TARGET.reader(WIDTH)([raw]), WIDTH)

    assert WIDTH == TARGET.decision(golden)
    assert TARGET.compare(golden, TARGET.reader(WIDTH)([raw + 0.9e-4])) is None
    assert "they differ by 2.0e-04 min" == TARGET.compare(golden, TARGET.reader(WIDTH)([raw + 2e-4]))
    assert TARGET.compare(golden, TARGET.reader(WIDTH)([raw * np.nan])) is not None


def test_a_version_is_of_the_target_with_its_unit() -> None:
    """The range may change without a training; the unit and the level of the intervals may not."""
    note = TARGET.as_dict()

    assert replace(TARGET, high=3000).is_of(note)
    assert not replace(TARGET, unit="h").is_of(note)
    assert not replace(TARGET, level=0.8).is_of(note)
    assert not TARGET.is_of(classes("a", "b").as_dict())
    assert not classes("a", "b").is_of(note)


def test_the_decision_is_described() -> None:
    """With the level, the width, and on how many rows it was calibrated."""
    words = TARGET.describe_decision({"decision": WIDTH.as_dict()})

    assert "90% interval: 2.00 times 3 min, calibrated on 50 training rows" in words
    assert "too few rows" in TARGET.describe_decision({"decision": Width().as_dict()})
    assert "the predicted number" == TARGET.describe_decision({"decision": {"new": 1}})
