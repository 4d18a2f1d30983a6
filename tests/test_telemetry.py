"""What operators see of single requests: log lines as JSON, and spans in a collector. One server."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.collectors import Collector, collecting
from tests.servers import Server
from tests.telemetry.test_logs import lines
from tests.telemetry.test_traceparents import GOOD, SPAN, TRACE

IRIS = {"sepal_length_cm": 5.1, "sepal_width_cm": 3.5, "petal_length_cm": 1.4, "petal_width_cm": 0.2}

TOKEN = "hunter22"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """A collector of spans."""
    with collecting() as running:
        yield running


@pytest.fixture(scope="module")
def telling(
    collector: Collector, trained_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server that logs each request as JSON, and sends spans."""
    home = tmp_path_factory.mktemp("telling") / "home"
    shutil.copytree(trained_home, home, symlinks=True)
    settings: dict[str, Any] = {
        "log_format": "json",
        "log_requests": True,
        "admin_token": TOKEN,
        "grace_seconds": 10,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        patch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"api-key={TOKEN},{TOKEN}")
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        with Server(home, workers=1, **settings) as server:
            yield server


def of_request(server: Server, name: str) -> list[dict[str, Any]]:
    """Return the log lines of the request with this id."""
    return [line for line in lines(server.read_log()) if line.get("prediction.request_id") == name]


def sampled() -> tuple[str, str]:
    """Return a header of a new trace that is recorded, and the trace's id."""
    trace_id = secrets.token_hex(16)
    return f"00-{trace_id}-{SPAN}-01", trace_id


def ask(server: Server, name: str, path: str = "/iris/predict", body: Any = IRIS, **headers: str) -> Any:
    """Send a request with this id."""
    return server.client.post(path, json=body, headers={"x-request-id": name, **headers})


def test_a_prediction_has_one_line_without_features(telling: Server) -> None:
    """The line names status, time, client and trace, and no value that was sent."""
    assert (
        200
        == ask(
            telling, "good-1", body=IRIS | {"petal_width_cm": 0.23456}, traceparent=GOOD.decode()
        ).status_code
    )
    (line,) = of_request(telling, "good-1")

    assert ("POST", "/iris/predict", 200) == (
        line["http.request.method"],
        line["url.path"],
        line["http.response.status_code"],
    )
    assert ("127.0.0.1", TRACE) == (line["client.address"], line["trace_id"])
    assert 0 < line["http.server.request.duration"] < 60
    assert "0.23456" not in telling.read_log()


def test_an_error_has_its_reason_and_its_trace(telling: Server) -> None:
    """The error's line has the reason; a malformed header names no trace, and changes nothing."""
    assert 400 == ask(telling, "bad-1", body={}, traceparent=GOOD.decode()).status_code
    assert 404 == ask(telling, "bad-2", path="/nowhere/predict", traceparent="nonsense").status_code
    error, request = of_request(telling, "bad-1")
    other, _ = of_request(telling, "bad-2")

    assert ("invalid", 400, TRACE) == (
        error["error.type"],
        error["http.response.status_code"],
        error["trace_id"],
    )
    assert error["body"].endswith(f"request bad-1, trace {TRACE}")
    assert 400 == request["http.response.status_code"]
    assert "unknown_path" == other["error.type"]
    assert "trace_id" not in other


def test_a_sampled_prediction_is_traced(telling: Server, collector: Collector) -> None:
    """Request, scoring and commit have model, version and the answer's id; the log names the trace."""
    parent, trace_id = sampled()
    answer = ask(telling, "traced-1", traceparent=parent).json()
    found = collector.of(trace_id, 3)
    request, scoring, commit = (found[name] for name in ("POST /iris/predict", "scoring", "commit"))

    for each in (request, scoring, commit):
        assert ("iris", answer["version"], answer["prediction_id"]) == (
            each.attributes["prediction.model"],
            each.attributes["prediction.version"],
            each.attributes["prediction.id"],
        )
    assert SPAN == request.span.parent_span_id.hex()
    assert {request.span.span_id} == {scoring.span.parent_span_id, commit.span.parent_span_id}
    assert request.span.start_time_unix_nano <= scoring.span.start_time_unix_nano
    assert scoring.span.end_time_unix_nano <= commit.span.start_time_unix_nano
    assert commit.span.end_time_unix_nano <= request.span.end_time_unix_nano
    assert ("traced-1", 200) == (
        request.attributes["prediction.request_id"],
        request.attributes["http.response.status_code"],
    )
    assert TOKEN == request.headers["api-key"]
    assert trace_id == of_request(telling, "traced-1")[0]["trace_id"]


def test_a_batch_is_traced_by_its_first_ids(telling: Server, collector: Collector) -> None:
    """The number of its rows is there too."""
    parent, trace_id = sampled()
    answers = ask(telling, "traced-2", "/iris/predict_batch", [IRIS, IRIS], traceparent=parent).json()
    request = collector.of(trace_id, 3)["POST /iris/predict_batch"]

    assert [each["prediction_id"] for each in answers] == request.attributes["prediction.ids"]
    assert 2 == request.attributes["prediction.rows"]


def test_refused_requests_and_pages_have_one_span(telling: Server, collector: Collector) -> None:
    """Ours only: BentoML, which answers the system's paths, adds none. An unknown path makes no name."""
    for path, name in [
        ("/readyz", "GET /readyz"),
        ("/metrics", "GET /metrics"),
        ("/models/iris", "GET /models/{model}"),
        ("/nowhere", "GET"),
    ]:
        parent, trace_id = sampled()
        telling.client.get(path, headers={"traceparent": parent})

        assert [name] == list(collector.of(trace_id, 1))


def test_other_requests_leave_no_span(telling: Server, collector: Collector) -> None:
    """Without a parent, with one that is not sampled, and with a malformed one: answered all the same."""
    before = len(collector.spans)
    for parent in ("", GOOD.decode()[:-1] + "0", "nonsense", GOOD.decode().upper()):
        assert 200 == ask(telling, "plain-1", traceparent=parent).status_code
    last, trace_id = sampled()
    ask(telling, "traced-3", traceparent=last)
    collector.of(trace_id, 3)

    assert before + 3 == len(collector.spans)


def test_requests_do_not_wait_for_a_collector(telling: Server, collector: Collector) -> None:
    """While it hangs, requests are answered; what they noted arrives once it goes on."""
    collector.goes_on.clear()
    parents = [sampled() for _ in range(20)]
    for number, (parent, _) in enumerate(parents):
        assert 200 == ask(telling, f"waits-{number}", traceparent=parent).status_code
    held = collector.requests
    collector.goes_on.set()
    for _, trace_id in parents:
        collector.of(trace_id, 3)

    assert held < collector.requests


def test_the_end_does_not_wait_for_a_collector(telling: Server, collector: Collector) -> None:
    """It hangs, and the worker ends by itself. All that a server says is JSON; the test is the last one."""
    secret = {"authorization": f"Bearer {TOKEN}"}
    assert 202 == telling.client.post("/iris/retrain", json={}, headers=secret).status_code
    collector.goes_on.clear()
    before = collector.requests
    ask(telling, "last-1", traceparent=sampled()[0])
    collector.wait_for_request(before + 1)

    assert 0 == telling.stop()
    found = lines(telling.read_log())
    bodies = [line["body"] for line in found]
    assert {"bentoml.prediction", "bentoml.prediction.requests"} < {
        line["otel.scope.name"] for line in found
    }
    assert any("Completed startup hook" in body for body in bodies)
    assert any("the server ends in" in body for body in bodies)
    assert not [body for body in bodies if "had not ended by itself" in body]
    assert 1 == len([body for body in bodies if "an entry is not name=value" in body])
    assert TOKEN not in telling.read_log()
