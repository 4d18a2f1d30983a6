"""Figures of a rare class, compared with scikit-learn's, and labels that come for some predictions only."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from prediction.figures import positives


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32 - 1), st.integers(2, 200), st.sampled_from([0.0, 1.0, 2.0]))
def test_figures_are_those_of_scikit_learn(seed: int, rows: int, digits: float) -> None:
    """With ties among the probabilities, and without."""
    rng = np.random.default_rng(seed)
    probability = rng.random(rows)
    is_positive = rng.random(rows) < probability
    is_positive[:2] = True, False
    probability = probability if not digits else probability.round(int(digits))
    found = positives.rank(is_positive, probability)

    assert found is not None
    assert average_precision_score(is_positive, probability) == pytest.approx(found.average_precision)
    assert roc_auc_score(is_positive, probability) == pytest.approx(found.roc_auc)
    assert brier_score_loss(is_positive, probability) == pytest.approx(found.brier)


def test_skill_is_0_for_a_model_that_knows_the_share_only() -> None:
    """And 1 for one that knows all."""
    is_positive = np.arange(200) < 10
    constant = positives.rank(is_positive, np.full(200, 0.05))
    perfect = positives.rank(is_positive, is_positive.astype(float))

    assert constant is not None
    assert perfect is not None
    assert (0.5, 0.05) == pytest.approx((constant.roc_auc, constant.average_precision))
    assert 0 == pytest.approx(constant.brier_skill)
    assert (1, 1, 0, 1) == tuple(vars(perfect).values())


@pytest.mark.parametrize("value", [True, False])
def test_rows_of_one_class_have_no_ranking(value: bool) -> None:
    """There is nothing to tell apart."""
    assert positives.rank(np.full(5, value), np.linspace(0, 1, 5)) is None


def test_precision_recall_and_alert_rate() -> None:
    """The first two of labelled rows, the third of all."""
    confusion = {("fraud", "fraud"): 6, ("fraud", "fine"): 4, ("fine", "fraud"): 2, ("fine", "fine"): 88}
    found = positives.positive("fraud", {"fraud": 20, "fine": 980}, confusion)

    assert found.precision is not None
    assert found.recall is not None
    assert found.alert_rate is not None
    assert (0.6, 10) == (found.precision.value, found.precision.n)
    assert (0.75, 8) == (found.recall.value, found.recall.n)
    assert (0.02, 1000) == (found.alert_rate.value, found.alert_rate.n)
    assert found.recall.low < 0.75 < found.recall.high


def test_nothing_predicted_has_no_figures() -> None:
    """No share of no rows."""
    found = positives.positive("fraud", {}, {})

    assert (None, None, None) == (found.precision, found.recall, found.alert_rate)


@pytest.mark.parametrize(
    ("given_of_fraud", "given_of_fine", "expected"),
    [(20, 0, True), (18, 200, True), (4, 200, False), (6, 200, False), (20, 980, False), (0, 0, False)],
)
def test_labels_of_flagged_rows_only_are_noticed(
    given_of_fraud: int, given_of_fine: int, expected: bool
) -> None:
    """Of 20 flagged rows and 980 others; a difference that chance explains is none."""
    confusion = {("fraud", "fraud"): given_of_fraud, ("fine", "fine"): given_of_fine}
    shares = positives.labelled({"fraud": 20, "fine": 980}, confusion)

    assert expected is positives.are_selective(shares)


def test_a_class_that_was_not_predicted_is_not_compared() -> None:
    """It has no share."""
    shares = positives.labelled({"fraud": 0, "fine": 10}, {("fine", "fine"): 5})

    assert shares["fraud"] is None
    assert not positives.are_selective(shares)
