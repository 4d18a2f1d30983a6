"""What operators see of single requests: log lines as JSON. One server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers import Server
from tests.telemetry.test_logs import lines
from tests.telemetry.test_traceparents import GOOD, TRACE

IRIS = {"sepal_length_cm": 5.1, "sepal_width_cm": 3.5, "petal_length_cm": 1.4, "petal_width_cm": 0.2}

TOKEN = "hunter22"


@pytest.fixture(scope="module")
def telling(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that logs each request as JSON."""
    home = tmp_path_factory.mktemp("telling") / "home"
    shutil.copytree(trained_home, home, symlinks=True)
    with Server(home, workers=1, log_format="json", log_requests=True, admin_token=TOKEN) as server:
        yield server


def of_request(server: Server, name: str) -> list[dict[str, Any]]:
    """Return the log lines of the request with this id."""
    return [line for line in lines(server.read_log()) if line.get("prediction.request_id") == name]


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


def test_everything_that_a_server_says_is_json(telling: Server) -> None:
    """From the start to the end, with what BentoML and a retraining say; the test is the last one."""
    secret = {"authorization": f"Bearer {TOKEN}"}
    assert 202 == telling.client.post("/iris/retrain", json={}, headers=secret).status_code
    assert 0 == telling.stop()
    found = lines(telling.read_log())

    assert {"bentoml.prediction", "bentoml.prediction.requests"} < {
        line["otel.scope.name"] for line in found
    }
    assert any("Completed startup hook" in line["body"] for line in found)
    assert any("the server ends in" in line["body"] for line in found)
    assert TOKEN not in telling.read_log()
