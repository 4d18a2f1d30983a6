"""Spans as a collector receives them, and a collector that fails: one line, without secrets."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from prediction.telemetry import exporter
from prediction.telemetry.exporter import Exporter
from prediction.telemetry.spans import Trace
from tests.collectors import Collector, collecting
from tests.servers import free_port
from tests.telemetry.test_spans import PARENT, answer

SECRET = "hunter22"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that the variables name."""
    with collecting() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        yield running


@pytest.fixture(autouse=True)
def _fresh_words() -> None:
    """Let each test hear sentences that an earlier one has heard."""
    for watch in exporter.WATCHES.values():
        watch.said.clear()


def trace() -> Trace:
    """Return a request that has ended."""
    made = Trace(PARENT, 1_000_000, tracestate="vendor=1", name="POST /iris/predict", ended_ns=9_000_000)
    made.by("iris", "v1")
    with made.stage("scoring"):
        pass
    made.answered([answer("a")])
    made.of_request["http.response.status_code"] = 200
    return made


def test_spans_arrive_as_they_were_noted(collector: Collector) -> None:
    """The request is the child of the client's span, and the parent of its stages."""
    sender = Exporter()
    sender.send(trace())
    sender.begin_end().join()
    found = collector.of(PARENT.trace_id, 2)
    request, scoring = found["POST /iris/predict"], found["scoring"]

    assert PARENT.span_id == request.span.parent_span_id.hex()
    assert request.span.span_id == scoring.span.parent_span_id
    assert (1_000_000, 9_000_000) == (request.span.start_time_unix_nano, request.span.end_time_unix_nano)
    assert ("vendor=1", 2) == (request.span.trace_state, request.span.kind)
    of_answer = {
        "prediction.model": "iris",
        "prediction.version": "v1",
        "prediction.rows": 1,
        "prediction.id": "a",
    }
    assert of_answer == scoring.attributes
    assert of_answer | {"http.response.status_code": 200} == request.attributes
    assert "prediction" == request.process["service.name"]


def test_an_error_is_the_spans_status(collector: Collector) -> None:
    """The kind of the error is named, its words are not."""
    sender = Exporter()
    failed = trace()
    failed.error = failed.stages[0].error = "JournalBusy"
    sender.send(failed)
    sender.begin_end().join()

    for each in collector.of(PARENT.trace_id, 2).values():
        assert (2, "JournalBusy") == (each.span.status.code, each.attributes["error.type"])


def test_the_operators_names_win(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenTelemetry's variables name the service and its attributes, and bring headers."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "fraud")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"api-key={SECRET}")
    sender = Exporter()
    sender.send(trace())
    sender.begin_end().join()
    span = collector.of(PARENT.trace_id, 2)["scoring"]

    assert ("fraud", "test") == (span.process["service.name"], span.process["deployment.environment.name"])
    assert SECRET == span.headers["api-key"]


@pytest.mark.parametrize("batch", ["", "512"])
def test_fewer_spans_may_wait_than_are_sent_at_once(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, batch: str
) -> None:
    """OpenTelemetry refuses a queue that is shorter than a batch: fewer are sent at once then."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "100")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", batch)
    sender = Exporter()
    sender.send(trace())
    sender.begin_end().join()

    assert 2 == len(collector.of(PARENT.trace_id, 2))


def test_a_size_that_is_no_number_is_one_line(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """OpenTelemetry takes its default then; its traceback is not in the log."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "soon")
    sender = Exporter()
    sender.send(trace())
    sender.begin_end().join()

    assert 2 == len(collector.of(PARENT.trace_id, 2))
    expected = "a variable OTEL_BSP_... is no whole number: OpenTelemetry takes its default"
    assert [expected] == [each.getMessage() for each in caplog.records]


@pytest.mark.parametrize(
    ("headers", "status", "expected"),
    [
        (f"api-key={SECRET}", 401, "spans can't be sent to the collector: status 401"),
        (f"{SECRET}", 200, "OTEL_EXPORTER_OTLP_HEADERS: an entry is not name=value, and is ignored"),
        (f"api-key={SECRET}%0d%0ax", 200, "spans can't be sent to the collector: InvalidHeader"),
    ],
)
def test_a_fault_is_one_line_without_secrets(
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    headers: str,
    status: int,
    expected: str,
) -> None:
    """The line says what is wrong; the package's own would repeat the header."""
    collector.status = status
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", headers)
    sender = Exporter()
    sender.send(trace())
    sender.begin_end().join()

    assert [expected] == [line.getMessage() for line in caplog.records if line.levelno > logging.INFO]
    assert SECRET not in caplog.text


def test_a_collector_that_is_down_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """More spans than can wait are lost without a line for each."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")
    sender = Exporter()
    for _ in range(200):
        sender.send(trace())
    sender.begin_end().join()
    said = [line.getMessage() for line in caplog.records]

    assert len(said) < 10, said
    assert all(line.startswith("spans ") for line in said)
    assert any(line.startswith("spans can't be sent to the collector") for line in said)


def test_a_protocol_that_is_not_spoken_is_named(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The variable has no effect, and the log says so."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    Exporter().begin_end().join()

    assert "OTEL_EXPORTER_OTLP_PROTOCOL has no effect: spans are sent by http/protobuf" in caplog.text


def test_a_clients_malformed_tracestate_leaves_no_line(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    """Any client could fill the log with them; its spans are sent without."""
    sender = Exporter()
    bad = trace()
    bad.tracestate = "???,=,\x00"
    sender.send(bad)
    sender.begin_end().join()

    assert "" == collector.of(PARENT.trace_id, 2)["scoring"].span.trace_state
    assert [] == caplog.records
