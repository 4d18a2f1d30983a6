"""Log lines as JSON, with OpenTelemetry's names. As text, lines are what Python and BentoML make of them.

It formats lines; who logs what is said where it is logged. BentoML's own loggers: `http/edge.py`.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import traceback
from datetime import UTC, datetime
from typing import Any

SERVICE = "prediction"
"""`service.name`, where `OTEL_SERVICE_NAME` gives no other."""

SEVERITIES = {"DEBUG": 5, "INFO": 9, "WARNING": 13, "ERROR": 17, "CRITICAL": 21}
"""OpenTelemetry's numbers of Python's levels."""

_log = logging.getLogger("bentoml.prediction")


class JsonFormatter(logging.Formatter):
    """Makes a line of JSON of a record: whatever is in it, also a traceback, it stays one line.

    A record may bring `attributes`: further fields by name.
    """

    def __init__(self) -> None:
        super().__init__()
        self._service = service_name()

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "timestamp": _iso(record.created),
            "severity_text": record.levelname,
            "severity_number": SEVERITIES.get(record.levelname, 0),
            "body": record.getMessage(),
            "service.name": self._service,
            "process.pid": record.process,
            "otel.scope.name": record.name,
            **getattr(record, "attributes", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line |= _of_exception(record.exc_info[1])
        return json.dumps(line, default=str)  # only ASCII: no character ends the line early


def service_name() -> str:
    """Return the name of the service in log lines and spans."""
    return os.environ.get("OTEL_SERVICE_NAME") or SERVICE


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _of_exception(error: BaseException) -> dict[str, Any]:
    return {
        "exception.type": type(error).__qualname__,
        "exception.message": str(error),
        "exception.stacktrace": "".join(traceback.format_exception(error)),
    }


def wants_json() -> bool:
    """Return whether lines are JSON, also where another setting can't be used: that is logged too."""
    return os.environ.get("PREDICTION_LOG_FORMAT") == "json"


def write_json() -> None:
    """Let all that this process logs be JSON: also warnings, and exceptions that nobody catches."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.StreamHandler())
    known = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    for logger in (root, *known):
        for handler in logger.handlers:
            handler.setFormatter(JsonFormatter())
        if logger is not root and logger.handlers:
            logger.propagate = False  # the root's handler would write the line again
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda args: _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)


def fail(sentence: str) -> None:
    """Write the sentence with which a command or a server fails, for people or as a log line."""
    if wants_json():
        _log.error("%s", sentence)
    else:
        print(sentence, file=sys.stderr)


def _log_uncaught(kind: type[BaseException], error: BaseException | None, trace: Any) -> None:
    if issubclass(kind, KeyboardInterrupt | SystemExit) or error is None:
        sys.__excepthook__(kind, error or kind(), trace)
    else:
        _log.critical("%s is not caught", kind.__name__, exc_info=error)
