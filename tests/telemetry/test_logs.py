"""Log lines as JSON: their fields, one line each, whatever happens. Commands and servers that fail."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from prediction.telemetry import logs
from tests.servers import PROJECT, environment, run


def lines(text: str) -> list[dict[str, Any]]:
    """Read log lines; each must be JSON with the fields that all lines have."""
    found = [json.loads(line) for line in text.splitlines()]
    for line in found:
        assert {"timestamp", "severity_text", "severity_number", "body", "service.name"} <= set(line)
    return found


def record(message: str, level: int = logging.INFO, **more: Any) -> logging.LogRecord:
    """Make a record as a logger does."""
    return logging.getLogger("bentoml.prediction").makeRecord(
        "bentoml.prediction", level, "file.py", 1, message, (), None, extra=more
    )


def test_a_line_has_opentelemetrys_names() -> None:
    """The words, the level by name and number, the time in UTC, the process, and what the record brings."""
    made = record("ready", logging.WARNING, attributes={"prediction.request_id": "r-1"})
    made.created = 1_700_000_000.25
    (line,) = lines(logs.JsonFormatter().format(made))

    assert "2023-11-14T22:13:20.250000Z" == line["timestamp"]
    assert ("WARNING", 13, "ready") == (line["severity_text"], line["severity_number"], line["body"])
    assert ("prediction", "bentoml.prediction") == (line["service.name"], line["otel.scope.name"])
    assert made.process == line["process.pid"]
    assert "r-1" == line["prediction.request_id"]


def test_the_name_of_the_service_is_the_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines and spans have the same."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "fraud")

    assert "fraud" == json.loads(logs.JsonFormatter().format(record("ready")))["service.name"]


@pytest.mark.parametrize("text", ["two\nlines", "\r", "\u2028\u2029\x85", "\x00\x1b[31m", "\ud800", '"}{'])
def test_a_line_stays_one_line(text: str) -> None:
    """No character of a client ends it, begins another one, or makes it unreadable."""
    (line,) = lines(logs.JsonFormatter().format(record(text.replace("%", "%%"))))

    assert text == line["body"]


def test_an_exception_is_in_its_line() -> None:
    """The traceback has many lines, and is one field."""
    try:
        raise ValueError("no\nway")
    except ValueError:
        made = record("failed")
        made.exc_info = sys.exc_info()
    (line,) = lines(logs.JsonFormatter().format(made))

    assert ("ValueError", "no\nway") == (line["exception.type"], line["exception.message"])
    assert line["exception.stacktrace"].startswith("Traceback")
    assert line["exception.stacktrace"].endswith("ValueError: no\nway\n")


def test_nothing_that_a_process_says_is_text() -> None:
    """Loggers with handlers of their own or without, warnings, exceptions that nobody catches."""
    script = (
        "import logging, threading, warnings\n"
        "own = logging.getLogger('own'); own.addHandler(logging.StreamHandler())\n"
        "from prediction.telemetry import logs\n"
        "logs.write_json()\n"
        "own.warning('one'); logging.getLogger('other').error('two')\n"
        "warnings.warn('three')\n"
        "thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()\n"
        "raise ValueError('five')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    one, two, three, four, five = lines(done.stderr)

    assert 1 == done.returncode
    assert ("one", "two") == (one["body"], two["body"])
    assert "UserWarning: three" in three["body"]
    assert "ZeroDivisionError" == four["exception.type"]
    assert ("CRITICAL", "five") == (five["severity_text"], five["exception.message"])


def test_a_command_fails_with_a_line(tmp_path: Path) -> None:
    """The sentence for people is the line's body; as text it is the sentence alone."""
    done = run("python", "-m", "prediction", "history", "iris", home=tmp_path, workers=0, log_format="json")
    (line,) = lines(done.stderr)

    assert 1 == done.returncode
    assert ("ERROR", 17) == (line["severity_text"], line["severity_number"])
    assert "loop history: PREDICTION_WORKERS: give a whole number from 1 to 256" == line["body"]


def test_a_server_that_does_not_start_says_so_in_lines(tmp_path: Path) -> None:
    """BentoML's command line writes JSON too: here no model is trained."""
    done = subprocess.run(
        ["bentoml", "serve", ".", "--port", "1"],
        cwd=PROJECT,
        env=environment(tmp_path, log_format="json"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = lines(done.stdout + done.stderr)

    assert 0 != done.returncode
    assert "serve` failed" in found[-1]["body"]
