"""What a traced request notes of itself: its stages and its answers. It knows nothing of OpenTelemetry.

A request that is not traced notes nothing: `current` is then an object that does nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol

from prediction.telemetry.traceparents import Parent

MAX_IDS = 100
"""Prediction ids in a span; a batch may have more rows."""


class Identified(Protocol):
    """An answer, as it is recorded."""

    @property
    def prediction_id(self) -> str | None:
        """Its id, if it is recorded."""


class Stage:
    """A part of a request, timed by `with`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.started_ns = self.ended_ns = 0
        self.error = ""
        """The kind of error that ended it; empty if there was none."""

    def __enter__(self) -> None:
        self.started_ns = time.time_ns()

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: object) -> None:
        self.ended_ns = time.time_ns()
        self.error = kind.__name__ if kind is not None else ""


@dataclass
class Trace:
    """One request of a trace that is recorded.

    `attributes` are fields by OpenTelemetry's names; the request's own are added at its end.
    """

    parent: Parent
    started_ns: int
    tracestate: str = ""
    name: str = ""
    error: str = ""
    ended_ns: int = 0
    stages: list[Stage] = field(default_factory=list)
    of_answer: dict[str, Any] = field(default_factory=dict)
    of_request: dict[str, Any] = field(default_factory=dict)

    def by(self, model: str, version: str) -> None:
        """Note which version answers."""
        self.of_answer |= {"prediction.model": model, "prediction.version": version}

    def stage(self, name: str) -> Stage:
        """Return a stage to be timed."""
        self.stages.append(Stage(name))
        return self.stages[-1]

    def answered(self, answers: Sequence[Identified]) -> None:
        """Note the ids of the answers: one as `prediction.id`, the first of many as `prediction.ids`."""
        ids = [each.prediction_id for each in answers[:MAX_IDS] if each.prediction_id is not None]
        self.of_answer["prediction.rows"] = len(answers)
        if ids:
            self.of_answer |= {"prediction.id": ids[0]} if len(answers) == 1 else {"prediction.ids": ids}


class _Nothing:
    """The stage of a request that is not traced, and its trace."""

    def by(self, _model: str, _version: str) -> None: ...

    def stage(self, _name: str) -> _Nothing:
        return self

    def answered(self, _answers: Sequence[Identified]) -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(
        self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None: ...


_NOTHING = _Nothing()
_current: ContextVar[Trace | _Nothing] = ContextVar("trace", default=_NOTHING)


def current() -> Trace | _Nothing:
    """Return the trace of the request that is being answered."""
    return _current.get()


def begin(trace: Trace) -> None:
    """Make this the trace of the request whose task calls it."""
    _current.set(trace)


def end() -> None:
    """Forget the trace: a request that is started by this task would go on with it."""
    _current.set(_NOTHING)
