"""Which requests are traced, and what they note. In this process, over ASGI."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from prediction.telemetry import spans
from prediction.telemetry.spans import Trace
from prediction.telemetry.tracing import Traced, Tracing
from tests.telemetry.test_traceparents import GOOD, SPAN, TRACE


class Kept:
    """Keeps traces in place of an exporter."""

    def __init__(self) -> None:
        self.traces: list[Trace] = []

    def send(self, trace: Trace) -> None:
        self.traces.append(trace)


def ask(*headers: tuple[bytes, bytes], trusts: bool = True, status: int = 200, **more: Any) -> list[Trace]:
    """Send a request with these headers; return what was traced."""
    tracing, kept = Tracing(trusts), Kept()
    tracing.exporter = kept  # type: ignore[assignment]

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        with spans.current().stage("scoring"):
            pass
        if status:
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    async def receive() -> Any: ...

    async def send(_message: Any) -> None: ...

    scope = {"type": "http", "method": "POST", "path": "/iris/predict", "headers": list(headers)} | more
    asyncio.run(Traced(app, lambda scope: scope["path"], tracing)(scope, receive, send))
    return kept.traces


def test_a_sampled_request_is_traced() -> None:
    """With its route, status, stages and the client's span."""
    (trace,) = ask(
        (b"traceparent", GOOD), (b"tracestate", b"a=1"), (b"tracestate", b"b=2"), request_id="r-1"
    )

    assert (TRACE, SPAN, 1) == trace.parent
    assert ("POST /iris/predict", "a=1,b=2", "") == (trace.name, trace.tracestate, trace.error)
    assert ["scoring"] == [stage.name for stage in trace.stages]
    assert 0 < trace.started_ns <= trace.stages[0].started_ns <= trace.ended_ns
    assert {
        "http.request.method": "POST",
        "url.scheme": "http",
        "url.path": "/iris/predict",
        "http.route": "/iris/predict",
        "http.response.status_code": 200,
        "prediction.request_id": "r-1",
    } == trace.of_request


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"traceparent", GOOD[:-1] + b"0")],
        [(b"traceparent", b"nonsense")],
        [(b"traceparent", GOOD), (b"traceparent", GOOD)],
    ],
)
def test_other_requests_are_not_traced(headers: list[tuple[bytes, bytes]]) -> None:
    """No parent, an unsampled one, a malformed one, and two."""
    assert [] == ask(*headers)


def test_flags_of_clients_count_only_if_they_are_trusted() -> None:
    """Otherwise those of a trusted proxy count."""
    assert [] == ask((b"traceparent", GOOD), trusts=False)
    assert 1 == len(ask((b"traceparent", GOOD), trusts=False, is_proxied=True))


@pytest.mark.parametrize(("status", "error"), [(200, ""), (404, ""), (500, "500"), (503, "503"), (0, "")])
def test_an_error_of_the_server_is_one_of_its_span(status: int, error: str) -> None:
    """Errors of clients are not; a client that leaves has no status."""
    (trace,) = ask((b"traceparent", GOOD), status=status)

    assert error == trace.error
    assert (status or None) == trace.of_request.get("http.response.status_code")


def test_a_made_up_method_makes_no_name() -> None:
    """Names of spans are few."""
    (trace,) = ask((b"traceparent", GOOD), method="HACK", path="")

    assert ("HTTP", "_OTHER") == (trace.name, trace.of_request["http.request.method"])


def test_nothing_is_traced_before_the_start() -> None:
    """A worker's tracing is off until it has started, and its end needs no start."""
    tracing = Tracing()
    with tracing.ending():
        pass

    assert tracing.exporter is None


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "max_queue_size must be a positive integer"),
        ("OTEL_BSP_SCHEDULE_DELAY", "-1", "schedule_delay_millis must be positive"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "few", "OTEL_ATTRIBUTE_COUNT_LIMIT must be a non-negative integer"),
        ("OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", "hunter22", "RuntimeError"),
    ],
)
def test_a_worker_that_cant_trace_starts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, value: str, words: str
) -> None:
    """A variable that OpenTelemetry refuses is one line at the level ERROR, and requests are answered."""
    monkeypatch.setenv(name, value)
    tracing = Tracing()
    tracing.start()
    with tracing.ending():
        assert tracing.exporter is None

    (line,) = caplog.records
    assert ("ERROR", True) == (line.levelname, words in line.getMessage())
    assert line.getMessage().startswith("nothing is traced: OpenTelemetry refuses a variable OTEL_...: ")
    assert "hunter22" not in line.getMessage()
