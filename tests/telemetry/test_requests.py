"""What log lines say of a request, and what they never say."""

from __future__ import annotations

from typing import Any

from prediction.telemetry import requests
from tests.telemetry.test_traceparents import GOOD, TRACE


def scope(**more: Any) -> dict[str, Any]:
    """Return the scope of a request whose query and headers hold secrets."""
    headers = [(b"authorization", b"Bearer hunter22")]
    return {"method": "GET", "path": "/iris", "query_string": b"key=hunter22", "headers": headers} | more


def test_a_request_is_named_by_its_id_and_trace() -> None:
    """Both are in the fields and in the words."""
    named = scope(request_id="r-1", headers=[(b"traceparent", GOOD)])

    assert f", request r-1, trace {TRACE}" == requests.ids_in_words(named)
    assert {
        "http.request.method": "GET",
        "url.path": "/iris",
        "prediction.request_id": "r-1",
        "trace_id": TRACE,
        "trace_flags": "01",
    } == requests.attributes(named)


def test_a_request_without_ids_has_none_in_its_line() -> None:
    """Neither a field nor a word is left empty, and no secret is in them."""
    assert requests.ids_in_words(scope()) == ""
    assert {"http.request.method": "GET", "url.path": "/iris"} == requests.attributes(scope())


def test_a_long_path_is_cut() -> None:
    """A path of a client does not fill the log."""
    assert requests.MAX_PATH == len(requests.attributes(scope(path="/" * 60_000))["url.path"])
