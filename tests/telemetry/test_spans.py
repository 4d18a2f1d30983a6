"""What a traced request notes, and what one without a trace does not."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from prediction.telemetry import spans
from prediction.telemetry.spans import MAX_IDS, Trace
from prediction.telemetry.traceparents import Parent

PARENT = Parent("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1)


def answer(name: str | None) -> Any:
    """Return an answer with this id."""
    return SimpleNamespace(prediction_id=name)


def test_a_stage_has_its_times_and_its_error() -> None:
    """An error passes through and leaves its kind, not its words."""
    trace = Trace(PARENT, 1)
    with trace.stage("scoring"):
        pass
    with pytest.raises(ValueError, match="secret"), trace.stage("commit"):
        raise ValueError("secret")
    scoring, commit = trace.stages

    assert 0 < scoring.started_ns <= scoring.ended_ns <= commit.started_ns <= commit.ended_ns
    assert ("", "ValueError") == (scoring.error, commit.error)


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["a"], {"prediction.rows": 1, "prediction.id": "a"}),
        (["a", "b"], {"prediction.rows": 2, "prediction.ids": ["a", "b"]}),
        ([None], {"prediction.rows": 1}),
        (["x"] * 1_000, {"prediction.rows": 1_000, "prediction.ids": ["x"] * MAX_IDS}),
        ([], {"prediction.rows": 0}),
    ],
)
def test_answers_are_named_by_their_ids(ids: list[str | None], expected: dict[str, Any]) -> None:
    """One id is a field, of a batch the first are a list; answers that are not recorded have none."""
    trace = Trace(PARENT, 1)
    trace.answered([answer(each) for each in ids])

    assert expected == trace.of_answer


def test_a_trace_is_that_of_its_request_only() -> None:
    """Other requests, and those that are started at its end, note nothing."""
    trace = Trace(PARENT, 1)

    async def other() -> None:
        spans.current().by("iris", "v1")
        with spans.current().stage("scoring"):
            spans.current().answered([answer("a")])

    async def traced() -> None:
        spans.begin(trace)
        with spans.current().stage("commit"):
            await asyncio.sleep(0)
        spans.end()
        await asyncio.create_task(other())

    async def both() -> None:
        await asyncio.gather(traced(), other())

    asyncio.run(both())

    assert ["commit"] == [stage.name for stage in trace.stages]
    assert {} == trace.of_answer
