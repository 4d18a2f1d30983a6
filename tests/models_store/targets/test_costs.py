"""Costs of errors: their declaration, and the threshold that costs least."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models_store.errors import InvalidSpec
from models_store.spec import Cost, classes
from models_store.targets import costs
from models_store.targets.decisions import ClassAnswers, Decision, thresholds_of, without_threshold

COST = Cost(false_alarm=1, miss=9)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (classes(0, 1, cost=COST), "cost= needs positive="),
        (classes(0, 1, 2, positive=1, cost=COST), "positive= is for two classes"),
        (classes(0, 1, positive=1, cost=(1, 9)), "is no Cost: give cost=Cost(false_alarm=1, miss=50)"),  # type: ignore[arg-type]
        (
            classes(0, 1, positive=1, cost=Cost(0, 9)),
            "the cost of a false alarm is 0: give a number above 0",
        ),
        (classes(0, 1, positive=1, cost=Cost(1, -1)), "the cost of a miss is -1"),
        (classes(0, 1, positive=1, cost=Cost(1, float("inf"))), "the cost of a miss is inf"),
        (classes(0, 1, positive=1, cost=Cost(1, True)), "the cost of a miss is True"),
        (classes(0, 1, positive=1, cost=Cost(1, "9")), "the cost of a miss is '9'"),  # type: ignore[arg-type]
    ],
)
def test_wrong_costs_are_a_fault(target: Any, words: str) -> None:
    """The words have the remedy."""
    (found,) = target.faults()

    assert ("target",) == found.place
    assert words in found.words


def test_costs_are_shown() -> None:
    """In the table of a training and in the metadata; a target without costs shows none."""
    target = classes(0, 1, positive=1, cost=COST)

    assert [] == target.faults()
    assert "1 for a false alarm, 9 for a miss" == target.table()["costs"]
    assert {"false_alarm": 1, "miss": 9} == target.as_dict()["cost"]
    assert "1" == target.table()["positive"] == target.as_dict()["positive"]
    assert {"target", "classes"} == set(classes(0, 1).as_dict())
    assert {"classes"} == set(classes(0, 1).table())
    assert target.is_of(classes(0, 1).as_dict())


def spent(cost: Cost, truth: Any, p: Any, weights: Any, threshold: float) -> float:
    """Add up the costs of a threshold."""
    alarm = p >= threshold
    return float(weights @ (cost.false_alarm * (alarm & ~truth) + cost.miss * (~alarm & truth)))


@pytest.mark.parametrize("seed", range(30))
def test_no_other_threshold_costs_less(seed: int) -> None:
    """Of all that there are, on probabilities that are calibrated or not, with ties and weights."""
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(5, 200))
    p = rng.random(rows) if seed % 2 else rng.integers(0, 11, rows) / 10
    truth = rng.random(rows) < p ** rng.choice([0.5, 1, 3])
    truth[:2] = [False, True]
    weights = rng.choice([0.25, 1.0], rows)
    cost = Cost(float(rng.choice([1, 2.5])), float(rng.choice([1, 20])))
    threshold = costs.cheapest(cost, truth, p, weights)
    others = [0.0, *p, *(p + 1e-5), 1.0]

    assert 0 <= threshold <= 1
    least = min(spent(cost, truth, p, weights, other) for other in others if other <= 1)
    assert spent(cost, truth, p, weights, threshold) == pytest.approx(least)


@pytest.mark.parametrize(
    ("p", "truth", "threshold"),
    [
        ([0.05, 0.3], [False, True], 0.1),  # any threshold above 0.05 costs nothing
        ([0.2, 0.3], [False, True], 0.25),
        ([0.01, 0.05], [False, True], 0.03),
        ([0.4, 0.4], [True, True], 0.1),
        ([], [], 0.1),
        ([1.0, 1.0, 0.0], [False, False, True], 0),  # an alarm for each row costs 2, all else 11
    ],
)
def test_of_cheapest_thresholds_the_nearest_to_break_even_is_taken(
    p: list[float], truth: list[bool], threshold: float
) -> None:
    """Few rows say little, and calibrated probabilities ask for one in ten."""
    found = costs.cheapest(COST, np.array(truth, bool), np.array(p), np.ones(len(p)))

    assert threshold == pytest.approx(found)


def test_calibrated_probabilities_get_the_threshold_of_theory() -> None:
    """With many rows the cheapest threshold is near false alarm / (false alarm + miss)."""
    rng = np.random.default_rng(0)
    p = rng.beta(0.5, 3, 100_000)
    found = costs.cheapest(COST, rng.random(len(p)) < p, p, np.ones(len(p)))

    assert 0.1 == COST.break_even
    assert found == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("labels", [("fine", "fraud"), (0, 1), (False, True)])
@pytest.mark.parametrize("place", [0, 1])
def test_predict_follows_the_threshold(labels: tuple[Any, ...], place: int) -> None:
    """Whatever the labels are; nothing is fitted again, and the converter gets the pipeline inside."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(300, 2)), columns=["a", "b"])
    target = classes(*labels, positive=labels[place], cost=COST)
    texts = [target.texts[int(each)] for each in X["a"] + rng.normal(size=300) > 1]
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, target.as_y(texts))
    p = pipeline.predict_proba(X)
    answers = target.ask(pipeline, X)
    decision = target.choose(texts, [answers], np.ones(len(X)))
    decided = target.decided(pipeline, decision)

    assert ("threshold", place) == (decision.rule, decision.position)
    assert decision == next(iter(thresholds_of(decided)))
    assert pipeline is without_threshold(decided)
    assert np.array_equal(p, decided.predict_proba(X))
    best = np.where(p[:, place] >= decision.threshold, place, 1 - place)
    assert [labels[each] for each in best] == decided.predict(X).tolist()
    assert best.tolist() == target.decide(answers, decision).best.tolist()
    assert best.tolist() != answers.best.tolist()


def test_a_target_without_costs_leaves_the_pipeline_as_it_is() -> None:
    """Its decision is that of `predict`."""
    target, pipeline = classes(0, 1, positive=1), LogisticRegression()
    answers = ClassAnswers(np.array([[0.4, 0.6]]), np.array([0]))

    assert not target.chooses
    assert Decision("predict") == target.choose(["0"], [answers], np.ones(1))
    assert pipeline is target.decided(pipeline, Decision("predict"))
    assert answers is target.decide(answers, Decision("predict"))


@pytest.mark.parametrize("kind", [FixedThresholdClassifier, TunedThresholdClassifierCV])
def test_two_thresholds_are_refused(kind: Any) -> None:
    """One of the pipeline, and one of the costs: the sentence names both."""
    target = classes(0, 1, positive=1, cost=COST)
    with pytest.raises(InvalidSpec, match=f"{kind.__name__} has a threshold, and cost= chooses one"):
        target.demand(make_pipeline(kind(RandomForestClassifier())))
    target.demand(make_pipeline(RandomForestClassifier()))
    classes(0, 1, positive=1).demand(kind(RandomForestClassifier()))
