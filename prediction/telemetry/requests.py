"""What log lines say of a request: method, path, id and trace. Never its body, query or headers."""

from __future__ import annotations

from typing import Any

from starlette.types import Scope

from prediction.telemetry import traceparents

MAX_PATH = 200
"""Characters of a path in a log line."""


def attributes(scope: Scope) -> dict[str, Any]:
    """Return the fields of a request, by OpenTelemetry's names."""
    found = {"http.request.method": scope["method"], "url.path": scope["path"][:MAX_PATH]}
    if "request_id" in scope:
        found["prediction.request_id"] = scope["request_id"]
    return found | _trace(scope)


def ids_in_words(scope: Scope) -> str:
    """Return how the text of a line names a request: its id, and its trace if it belongs to one."""
    request = f", request {scope['request_id']}" if "request_id" in scope else ""
    trace = _trace(scope).get("trace_id")
    return f"{request}, trace {trace}" if trace else request


def _trace(scope: Scope) -> dict[str, str]:
    parent = traceparents.find(scope["headers"])
    return {"trace_id": parent.trace_id, "trace_flags": f"{parent.flags:02x}"} if parent else {}
