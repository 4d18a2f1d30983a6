"""Spans made of traces, and sent to a collector by OTLP, from a thread of its own.

OpenTelemetry's packages are imported by the worker that sends spans, once it has started. No text of theirs
is logged: it may hold headers and addresses with secrets.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from typing import Any

from prediction.telemetry import logs
from prediction.telemetry.spans import Stage, Trace

END_SECONDS = 1.0
"""Timeout for the last spans when a worker ends: a collector that hangs must not delay the end."""

REPEAT_SECONDS = 600
"""Pause before the same fault is logged again."""

PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"

SIZES = {"OTEL_BSP_MAX_QUEUE_SIZE": 2_048, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": 512}
"""OpenTelemetry's variables for the spans that wait, and for those that are sent at once; its defaults."""

_log = logging.getLogger("bentoml.prediction")


class Exporter:
    """Sends spans. The constructor imports OpenTelemetry and starts the thread.

    What, where and how it sends are OpenTelemetry's own variables, which its packages read.

    Raises
    ------
    ValueError, RuntimeError
        When a variable has a value that they refuse.
    """

    def __init__(self) -> None:
        from opentelemetry.exporter.otlp.proto.http import trace_exporter
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON

        watch_packages()
        for name in PROTOCOLS:
            if os.environ.get(name, PROTOCOL) != PROTOCOL:
                _log.warning("%s has no effect: spans are sent by %s", name, PROTOCOL)
        own = Resource.create(
            {
                "service.name": logs.SERVICE,
                "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
                "process.pid": os.getpid(),
            }
        )
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,  # only sampled requests come here
            resource=own.merge(OTELResourceDetector().detect()),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(trace_exporter.OTLPSpanExporter(), max_export_batch_size=_batch_size())
        )
        self._tracer = self._provider.get_tracer("prediction")

    def send(self, trace: Trace) -> None:
        """Make the spans of a request, and hand them to the thread."""
        from opentelemetry.trace import SpanKind, set_span_in_context

        request = self._tracer.start_span(
            trace.name,
            context=_remote(trace),
            kind=SpanKind.SERVER,
            attributes=trace.of_request | trace.of_answer,
            start_time=trace.started_ns,
        )
        inside = set_span_in_context(request)
        for stage in trace.stages:
            span = self._tracer.start_span(
                stage.name, context=inside, attributes=trace.of_answer, start_time=stage.started_ns
            )
            _end(span, stage)
        _end(request, trace)

    def begin_end(self) -> threading.Thread:
        """Send what waits, and end, in a thread: join it for at most `END_SECONDS`."""
        thread = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        thread.start()
        return thread


def _batch_size() -> int:
    """Return how many spans are sent at once: OpenTelemetry refuses more than may wait."""
    given = {name: os.environ.get(name, "") for name in SIZES}
    return min(int(text) if text.isdecimal() else SIZES[name] for name, text in given.items())


def _remote(trace: Trace) -> Any:
    """Return the context of a client's span."""
    from opentelemetry.trace import (
        NonRecordingSpan,
        SpanContext,
        TraceFlags,
        TraceState,
        set_span_in_context,
    )

    parent = trace.parent
    state = TraceState.from_header([trace.tracestate]) if trace.tracestate else None
    context = SpanContext(
        int(parent.trace_id, 16), int(parent.span_id, 16), True, TraceFlags(parent.flags), state
    )
    return set_span_in_context(NonRecordingSpan(context))


def _end(span: Any, timed: Stage | Trace) -> None:
    from opentelemetry.trace import Status, StatusCode

    if timed.error:
        span.set_attribute("error.type", timed.error)
        span.set_status(Status(StatusCode.ERROR))
    span.end(timed.ended_ns)


def watch_packages() -> None:
    """Replace what OpenTelemetry's packages log by sentences of our own."""
    for name, watch in WATCHES.items():
        logger = logging.getLogger(name)
        if watch not in logger.filters:
            logger.addFilter(watch)
    logging.getLogger("opentelemetry.trace.span").addFilter(_drop)


class _Watch(logging.Filter):
    """Drops what a package logs, and says it in our words, the same thing only now and then."""

    def __init__(self, sentence: str) -> None:
        super().__init__()
        self._sentence = sentence
        self.said: dict[str, float] = {}
        """When each sentence was logged last, by the monotonic clock."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Log our own sentence."""
        sentence = f"{self._sentence}{_cause(record)}"
        now = time.monotonic()
        if now - self.said.get(sentence, -REPEAT_SECONDS) >= REPEAT_SECONDS:
            self.said[sentence] = now
            _log.warning("%s", sentence)
        return False


def _cause(record: logging.LogRecord) -> str:
    """Return the status or the kind of error in a line; its words may repeat a secret."""
    given = record.args if isinstance(record.args, tuple) else ()
    found = [f"status {each}" for each in given if isinstance(each, int) and 100 <= each < 600]
    found += [type(each).__name__ for each in given if isinstance(each, Exception)]
    return f": {found[0]}" if found else ""


def _drop(_record: logging.LogRecord) -> bool:
    """Drop a line about a header `tracestate`: any client can send a malformed one."""
    return False


WATCHES = {
    "opentelemetry.exporter.otlp.proto.http.trace_exporter": _Watch("spans can't be sent to the collector"),
    "opentelemetry.sdk._shared_internal": _Watch("spans are lost: the collector takes none, or too few"),
    "opentelemetry.sdk.trace.export": _Watch(
        "a variable OTEL_BSP_... is no whole number: OpenTelemetry takes its default"
    ),
    "opentelemetry.util.re": _Watch(
        "OTEL_EXPORTER_OTLP_HEADERS: an entry is not name=value, and is ignored"
    ),
}
