"""The gate of a quantity: what it passes, what it refuses, and that one row of feedback does not decide."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models_store.spec import QuantityRules
from models_store.targets.intervals import QuantityAnswers
from models_store.targets.quantity import quantity as declare
from prediction.figures import gate
from prediction.figures.gate import Part, Verdict
from prediction.figures.targets import quantity

TARGET = declare("Rent", unit="CHF", low=-1000, high=1000)
RULES = QuantityRules()
ERROR = "mean absolute error"


def answers(values: np.ndarray, half: float) -> QuantityAnswers:
    """Make answers with intervals of one width."""
    return QuantityAnswers(values, values, np.full(len(values), half), values - half, values + half)


def part(
    rows: int, worse: float = 1.0, bias: float = 0.0, half: float = 20.0, name: str = "dataset"
) -> Part:
    """Make a part whose candidate has larger errors by a factor, and a bias."""
    rng = np.random.default_rng(rows)
    truth = rng.normal(100, 50, rows)
    errors = rng.normal(0, 10, rows)
    return Part(
        name,
        np.array([TARGET.text(each) for each in truth], object),
        answers(truth - errors, 20.0),
        answers(truth - (worse * errors + rng.normal(0, 1, rows)) - bias, half),
        is_feedback=name == "feedback",
    )


def judge(*parts: Part, limits: Any = RULES) -> Verdict:
    """Judge parts."""
    return gate.judge(parts, quantity.rules(TARGET), limits)


def failed(verdict: Verdict) -> list[str]:
    """Return the names of the rules that failed."""
    return [rule.name for rule in verdict.rules if rule.passed is False]


def test_an_equal_candidate_is_promoted() -> None:
    """The sentence has its error."""
    verdict = judge(part(400))

    assert verdict.promote, verdict.sentence
    assert f"dataset {ERROR} " in verdict.sentence
    assert [] == failed(verdict)
    assert "dataset mean absolute error within 10% of the champion's" in {
        rule.name for rule in verdict.rules
    }


@pytest.mark.parametrize(
    ("worse", "words"),
    [
        ({"worse": 1.3}, {f"{ERROR}", f"{ERROR} within 10% of the champion's"}),
        ({"bias": 8}, {"bias"}),
        ({"half": 9}, {"coverage of the intervals"}),
        ({"half": 90}, {"interval score"}),
    ],
)
def test_a_worse_candidate_is_refused_by_its_rule(worse: dict[str, Any], words: set[str]) -> None:
    """Larger errors, a bias, intervals that are too narrow or say nothing."""
    verdict = judge(part(400, **worse))

    assert not verdict.promote
    assert {f"dataset {word}" for word in words} <= set(failed(verdict))


def test_few_rows_of_the_dataset_show_nothing() -> None:
    """A candidate that is much noisier passes no gate of 20 rows; its champion's twin does."""
    noisy = replace(
        part(20), candidate=answers(part(20).candidate.values + 9.0 * (-1) ** np.arange(20), 20.0)
    )
    twin = replace(part(20), candidate=part(20).champion)

    assert not judge(noisy).promote
    assert judge(twin).promote


def test_few_rows_of_feedback_do_not_vote_on_what_they_can_t_show() -> None:
    """Otherwise nothing would be promoted until there are hundreds of labels."""
    verdict = judge(part(400), part(30, name="feedback"))
    rule = next(each for each in verdict.rules if each.name.startswith(f"feedback {ERROR} within"))

    assert rule.passed is None
    assert verdict.promote
    assert "undecided: feedback mean absolute error within" in verdict.sentence


def test_no_single_row_of_feedback_decides() -> None:
    """A label far away, which fails three rules, is not enough; two are."""
    one = part(60, name="feedback")
    values = one.candidate.values.copy()
    values[0] += 600
    verdict = judge(part(400), replace(one, candidate=answers(values, 20.0)))
    values[1] += 600
    again = judge(part(400), replace(one, candidate=answers(values, 20.0)))

    assert verdict.promote, verdict.sentence
    assert "a single row against" in verdict.sentence
    assert not again.promote


def with_one_more(part: Part, truth: float, champion: float, candidate: float) -> Part:
    """Add a row to a part; its intervals hold nothing else."""
    labels = np.append(part.labels, TARGET.text(truth)).astype(object)
    both = [
        QuantityAnswers(*(np.append(each, value) for each in of))
        for of, value in ((part.champion, champion), (part.candidate, candidate))
    ]
    return replace(part, labels=labels, champion=both[0], candidate=both[1])


@pytest.mark.parametrize("worse", [1.0, 1.6])
def test_a_row_of_any_value_changes_no_verdict(worse: float) -> None:
    """Neither that of a good candidate, nor that of a bad one which is perfect on this row."""
    feedback, ends = part(60, worse=worse, name="feedback"), (-1000.0, 100.0, 1000.0)
    dataset = part(400)
    verdicts = {
        judge(dataset, with_one_more(feedback, truth, champion, candidate)).promote
        for truth in ends
        for champion in ends
        for candidate in ends
    }

    assert {worse == 1.0} == verdicts
    saved = judge(dataset, with_one_more(feedback, -1000.0, 1000.0, -1000.0)).sentence
    assert worse == 1.0 or f"feedback {ERROR} without one row rose from 8" in saved, saved


def test_small_losses_do_not_add_up() -> None:
    """The error is compared with the best one so far."""
    best = replace(part(400), best_loss=5.0)

    assert [f"dataset {ERROR}"] == failed(judge(best))


def test_too_few_rows_do_not_vote() -> None:
    """With fewer than ten held-out rows nothing is promoted."""
    assert gate.NO_VOTE == judge(part(9)).sentence


def test_answers_that_are_no_numbers_are_refused() -> None:
    """Before any rule."""
    broken = part(50)
    broken.candidate.raw[3] = np.nan

    assert gate.NOT_FINITE == judge(broken).sentence


def test_figures_are_told_in_words() -> None:
    """Without R2 where all labels are equal."""
    metrics = quantity.metrics(TARGET, ["1.0", "1.0"], answers(np.array([1.0, 3.0]), 1.5)).as_dict()
    told = quantity.table(metrics)

    assert ("1 on the holdout", "-1") == (told["mean absolute error"], told["bias"])
    assert "50.0% of the intervals hold the number, mean width 3" == told["coverage"]
    assert "R2" not in told
    assert metrics[quantity.LOSS] == 1.0
