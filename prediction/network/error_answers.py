"""Errors as answers: their status, reason, one body shape, log line and count."""

from __future__ import annotations

import logging
from typing import Any

from pydantic_core import to_json
from starlette.types import Scope

from models_store import errors as store_errors
from models_store.errors import Error
from prediction import errors, metrics
from prediction.telemetry import requests

STATUSES: dict[type[Error], tuple[int, str]] = {
    store_errors.InvalidInput: (400, "invalid"),
    store_errors.BrokenSpec: (503, "broken_spec"),
    store_errors.UnknownModel: (404, "not_found"),
    store_errors.UnknownVersion: (404, "not_found"),
    errors.UnknownPrediction: (404, "not_found"),
    errors.UnknownRun: (404, "not_found"),
    errors.ConflictingLabel: (409, "conflict"),
    errors.RunEnded: (409, "conflict"),
    errors.NothingToRollBack: (409, "conflict"),
    errors.AlreadyChampion: (409, "conflict"),
    store_errors.DamagedVersion: (409, "conflict"),
    errors.NotReady: (503, "not_ready"),
    errors.JournalUnavailable: (503, "journal"),
    errors.ArtifactsUnavailable: (503, "artifacts"),
    errors.NoRoom: (503, "no_room"),
}
"""The status of each error, and its reason in `prediction_refused_requests_total`."""

REFUSALS = {
    "unauthorized": 401,
    "forbidden": 403,
    "foreign": 403,
    "unknown_path": 404,
    "method": 405,
    "slow_body": 408,
    "too_large": 413,
    "not_json": 415,
    "encoded": 415,
    "not_gzip": 400,
    "host": 421,
    "busy": 429,
}
"""The status of each refusal before any work, by reason."""

MAX_ANSWER_BYTES = 65_536
"""The size of an error's answer. Of a longer detail, the first places are sent."""

MAX_MESSAGE = 4_000
"""Characters of a message: some repeat a text that a client sent."""

_log = logging.getLogger("bentoml.prediction")


class Refusal(Exception):
    """A request is refused before any work; `reason` is one of `REFUSALS`."""

    def __init__(self, reason: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.headers = headers or {}


def busy(reason: str = "the worker is busy") -> Refusal:
    """Make the refusal for a worker without free capacity."""
    return Refusal("busy", f"{reason}: try again in a second", {"retry-after": "1"})


def explain(error: Exception, is_plain: bool = False) -> tuple[int, str, bytes, dict[str, str]]:
    """Return the status, the reason, the body and the headers of an error's answer.

    Parameters
    ----------
    is_plain
        Whether the body has the message only, as the Open Inference Protocol wants it.
    """
    headers: dict[str, str] = {}
    if isinstance(error, Refusal):
        status, reason, headers = REFUSALS[error.reason], error.reason, dict(error.headers)
    else:
        status, reason = status_of(error)
    message = "the server failed: its log has the traceback" if status == 500 else str(error)
    detail: list[Any] = error.detail if isinstance(error, Error) and status < 500 else []
    if status == 503 and reason != "broken_spec":  # that one lasts until somebody corrects a file
        headers["retry-after"] = "1"
    body = to_json({"error": message[:MAX_MESSAGE]}) if is_plain else _body(message[:MAX_MESSAGE], detail)
    return status, reason, body, headers


def _body(message: str, detail: list[Any]) -> bytes:
    body = to_json({"error": message, "detail": detail})
    while len(body) > MAX_ANSWER_BYTES:
        detail = detail[: len(detail) // 2]
        body = to_json({"error": message, "detail": detail})
    return body


def status_of(error: Exception) -> tuple[int, str]:
    """Return the status and the reason of an error; an unknown error is a 500."""
    known = (STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    return next(known, (500, "internal"))


def log_error(scope: Scope, status: int, reason: str, error: Exception) -> None:
    """Log one line with the request's ids and without values; only a 500 gets a traceback."""
    ids = requests.ids_in_words(scope)
    of_request = requests.attributes(scope) | {"http.response.status_code": status, "error.type": reason}
    extra = {"attributes": of_request}
    if status == 500:
        text = "%s %.200r failed%s"
        _log.error(text, scope["method"], scope["path"], ids, exc_info=error, extra=extra)
    else:
        level = logging.INFO if status < 500 else logging.WARNING
        cause = f": {errors.cause(error)}" if status >= 500 and error.__cause__ else ""
        text = "%s %.200r %d %s%s%s"
        _log.log(level, text, scope["method"], scope["path"], status, reason, cause, ids, extra=extra)


def count(model: str, reason: str, error: Exception) -> None:
    """Count a refused request, and the features that were invalid."""
    metrics.REFUSED.labels(model, reason).inc()
    if isinstance(error, store_errors.InvalidInput):
        for feature in error.features:
            metrics.INVALID_FIELDS.labels(model, feature).inc()
