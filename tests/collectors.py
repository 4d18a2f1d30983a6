"""A collector of spans: a real HTTP server of this process that decodes OTLP. It can hang."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PATIENCE_SECONDS = 30


@dataclass
class Received:
    """A span as it arrived, with the attributes of its process and the headers of its request."""

    span: Any
    attributes: dict[str, Any]
    process: dict[str, Any]
    headers: dict[str, str]

    @property
    def name(self) -> str:
        """The span's name."""
        return str(self.span.name)


@dataclass
class Collector:
    """What a running collector has received.

    Parameters
    ----------
    goes_on
        Cleared, it lets requests wait for an answer.
    status
        The status of its answers.
    """

    url: str
    goes_on: threading.Event = field(default_factory=threading.Event)
    status: int = 200
    spans: list[Received] = field(default_factory=list)
    requests: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """Decode a request."""
        assert "/v1/traces" == path
        assert "application/x-protobuf" == headers["content-type"]
        with self._changed:
            self.requests += 1
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                process = plain(resource.resource.attributes)
                found = [span for scope in resource.scope_spans for span in scope.spans]
                self.spans += [Received(span, plain(span.attributes), process, headers) for span in found]
            self._changed.notify_all()

    def of(self, trace_id: str, count: int) -> dict[str, Received]:
        """Wait for this many spans of a trace; return them by name."""
        with self._changed:
            self._changed.wait_for(lambda: count <= len(self._of(trace_id)), PATIENCE_SECONDS)
            found = self._of(trace_id)
        assert count == len(found), [each.name for each in found]
        return {each.name: each for each in found}

    def wait_for_request(self, number: int) -> None:
        """Wait until this many requests have come."""
        with self._changed:
            assert self._changed.wait_for(lambda: number <= self.requests, PATIENCE_SECONDS)

    def _of(self, trace_id: str) -> list[Received]:
        return [each for each in self.spans if trace_id == each.span.trace_id.hex()]


def plain(attributes: Any) -> dict[str, Any]:
    """Return attributes as values of Python."""
    return {each.key: _value(each.value) for each in attributes}


def _value(given: Any) -> Any:
    kind = given.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in given.array_value.values]
    return getattr(given, kind)


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.take(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            collector.goes_on.wait()
            self.send_response(collector.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        collector.goes_on.set()
        thread = threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            collector.goes_on.set()
            server.shutdown()
            thread.join()
