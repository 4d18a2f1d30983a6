"""Intervals around predicted numbers, and the proof that a graph predicts the same."""

from __future__ import annotations

import numpy as np
import pytest

from models_store.targets.intervals import (
    TOLERANCE,
    QuantityAgreement,
    QuantityProof,
    Width,
    read_width,
)

SPAN = (0.0, 100.0)
VALUES = np.array([10.0, 20.0])


def test_the_half_width_is_a_factor_of_the_expected_error() -> None:
    """The expected error is that of the model, or the floor where that is higher."""
    width = Width(factor=2.0, floor=1.0, graphs=("spread.onnx",))
    errors = width.expected([np.array([[0.2], [4.0]])], 2)
    low, high = width.ends(VALUES, errors, SPAN)

    assert [1.0, 4.0] == errors.tolist()
    assert ([8.0, 12.0], [12.0, 28.0]) == (low.tolist(), high.tolist())


def test_without_a_model_every_row_has_the_same_width() -> None:
    """And without a calibration the interval is the range."""
    constant = Width(factor=2.0, floor=3.0)

    assert [3.0, 3.0] == constant.expected([], 2).tolist()
    assert np.isnan(Width().expected([], 2)).all()
    low, high = Width().ends(VALUES, Width().expected([], 2), SPAN)
    assert ([0.0, 0.0], [100.0, 100.0]) == (low.tolist(), high.tolist())


def test_a_width_is_stored_as_plain_values() -> None:
    """And read again."""
    width = Width(sd=2.0, factor=1.5, floor=0.1, method="folds", rows=90, graphs=("spread.onnx",))

    assert width == read_width(width.as_dict())
    assert Width() == read_width(Width().as_dict())


@pytest.mark.parametrize(("share", "holds"), [(0.9, True), (1.1, False)])
def test_a_graph_may_differ_by_a_share_of_the_standard_deviation(share: float, holds: bool) -> None:
    """That of the labels, or of the predictions where there are no labels."""
    proof = QuantityProof(VALUES, SPAN, labels=[0.0, 50.0, 100.0])
    sd = float(np.std([0.0, 50.0, 100.0]))
    agreement, decision, words = proof.compare([(VALUES + share * TOLERANCE * sd)[:, None]])

    assert agreement is not None
    assert (holds, sd, 2) == (agreement.holds, decision.sd, agreement.rows)
    assert ("agrees on 2 rows" in words) is holds


def test_numbers_are_compared_as_they_are_answered() -> None:
    """Beyond the range both answers are its end."""
    proof = QuantityProof(np.array([500.0, 20.0]), SPAN, [])
    agreement, _, _ = proof.compare([np.array([700.0, 20.0])])

    assert agreement == QuantityAgreement(2, 0.0, 40.0)


def test_a_graph_with_other_outputs_agrees_with_nothing() -> None:
    """Several columns, or values that are no numbers."""
    proof = QuantityProof(VALUES, SPAN, [])

    assert proof.compare([np.ones((2, 2))])[0] is None
    agreement, _, _ = proof.compare([VALUES * np.nan])
    assert agreement is not None
    assert not agreement.holds
