"""Errors: status, message, log line and count of each. In this process, over ASGI."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from prometheus_client import REGISTRY

from models_store import errors as store_errors
from models_store.errors import Error
from prediction import errors
from prediction.network import error_answers
from tests.http.asgi import World, refused, series


def test_an_unforeseen_error_is_logged_and_not_told(
    world: World, good: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure of ours is a 500 without any detail, and the log has the traceback."""

    async def run(_value: Any) -> Any:
        raise ValueError("the password is hunter2")

    world.run = run
    before = refused("internal", "iris")
    answer = world.ask("POST", "/iris/echo", good)

    assert 500 == answer.status
    assert {"error": "the server failed: its log has the traceback", "detail": []} == answer.problem
    assert "hunter2" in caplog.text
    assert "Traceback" in caplog.text
    assert ["POST '/iris/echo' failed"] == [line.getMessage() for line in caplog.records]
    assert before + 1 == refused("internal", "iris")


def test_an_error_of_ours_that_nobody_mapped_is_not_told_either(world: World, good: bytes) -> None:
    """An error without a status in the table is unforeseen, whatever its words."""

    async def run(_value: Any) -> Any:
        raise Error("the password is hunter2", [{"loc": ["x"], "msg": "hunter2"}])

    world.run = run
    answer = world.ask("POST", "/iris/echo", good)

    assert 500 == answer.status
    assert b"hunter2" not in answer.body


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (store_errors.InvalidInput("no", [{"loc": [3, "x"], "msg": "bad"}], ["x"]), 400),
        (store_errors.UnknownModel("no"), 404),
        (store_errors.UnknownVersion("no"), 404),
        (errors.UnknownPrediction("no"), 404),
        (errors.UnknownRun("no"), 404),
        (errors.ConflictingLabel("no"), 409),
        (errors.RunEnded("no"), 409),
        (errors.NothingToRollBack("no"), 409),
        (store_errors.DamagedVersion("no"), 409),
        (errors.NotReady("no"), 503),
        (errors.JournalUnavailable("no"), 503),
        (errors.JournalBusy("no"), 503),
    ],
    ids=lambda item: type(item).__name__ if isinstance(item, Exception) else str(item),
)
def test_every_known_error_has_its_status(
    world: World, good: bytes, error: Error, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Errors of the loop become their status, in their own words, with no traceback in the log."""

    async def run(_value: Any) -> Any:
        raise error

    world.run = run
    answer = world.ask("POST", "/iris/echo", good)

    assert status == answer.status
    assert {"error": "no", "detail": error.detail} == answer.problem
    assert ("1" if status == 503 else None) == answer.headers.get("retry-after")
    assert "Traceback" not in caplog.text


def test_a_cause_of_many_lines_is_one_line_of_the_log(
    world: World, good: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """What a database says in its further lines, rows and statements, stays out of the log."""

    async def run(_value: Any) -> Any:
        raise errors.JournalUnavailable("no") from ValueError(
            "it failed\nDETAIL: Key (label)=(secret-7731)"
        )

    world.run = run
    world.ask("POST", "/iris/echo", good)

    assert ["POST '/iris/echo' 503 journal: it failed"] == [line.getMessage() for line in caplog.records]


def test_a_refused_request_is_one_line_without_its_values(
    world: World, good: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A 4xx is logged once, as information, and not one value of the body with it."""
    caplog.set_level(logging.DEBUG, "bentoml.prediction")

    world.ask("POST", "/iris/echo", good.replace(b"5.1", b'"secret-7731"'))

    (line,) = [record for record in caplog.records if record.name == "bentoml.prediction"]
    assert "INFO" == line.levelname
    assert "POST '/iris/echo' 400 invalid" == line.getMessage()
    assert "7731" not in caplog.text


def test_a_long_path_does_not_fill_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A path that a scanner makes up is cut, and can't break a line of the log."""
    caplog.set_level(logging.DEBUG, "bentoml.prediction")

    world.ask("GET", "/" + "x\n" * 5_000)

    (line,) = [record.getMessage() for record in caplog.records if record.name == "bentoml.prediction"]
    assert len(line) < 300
    assert "\n" not in line


def test_refusals_and_wrong_fields_are_counted(world: World, good: bytes) -> None:
    """Each refusal is counted by its reason, and each wrong feature by its name, once a value."""
    row = json.loads(good) | {"petal_width_cm": "x", "sepal_width_cm": 99, "colour": "red"}
    before = refused("invalid", "iris")
    fields = {name: invalid_fields(name) for name in json.loads(good)}

    world.ask("POST", "/iris/echo", json.dumps(row).encode())

    assert before + 1 == refused("invalid", "iris")
    wrong = {"petal_width_cm", "sepal_width_cm"}
    assert {name: count + (name in wrong) for name, count in fields.items()} == {
        name: invalid_fields(name) for name in fields
    }


def test_strangers_add_no_series(world: World, good: bytes) -> None:
    """Unknown paths and methods, wrong types and sizes, and fields made up are counted in what is there."""
    world.ask("POST", "/iris/echo", b"{}")
    before = series()

    for number in range(50):
        world.ask("GET", f"/scanner/{number}")
        world.ask(f"M{number}", "/iris/echo")
        world.ask("POST", "/iris/echo", good, content_type=f"text/{number}")
        world.ask("POST", "/iris/echo", json.dumps({f"field{number}": 1}).encode())
        world.ask("POST", "/iris/echo", b" " * 2_000)

    assert before == series()


def invalid_fields(feature: str) -> float:
    """Return how many values of an iris feature were refused."""
    labels = {"model": "iris", "feature": feature}
    return REGISTRY.get_sample_value("prediction_invalid_fields_total", labels) or 0


def test_the_cause_of_a_refusal_is_not_logged(
    world: World, good: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """The cause of a 4xx may hold a value of the client; only the causes of a 503 are in the log."""
    caplog.set_level(logging.DEBUG, "bentoml.prediction")

    async def run(_value: Any) -> Any:
        raise errors.ConflictingLabel("no") from ValueError("secret-7731")

    world.run = run
    world.ask("POST", "/iris/echo", good)

    assert [("INFO", "POST '/iris/echo' 409 conflict")] == [
        (line.levelname, line.getMessage()) for line in caplog.records if line.name == "bentoml.prediction"
    ]


def test_an_unavailable_journal_is_a_warning(
    world: World, good: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A 503 is logged as a warning, without a cause if it has none."""

    async def run(_value: Any) -> Any:
        raise errors.JournalUnavailable("no")

    world.run = run
    world.ask("POST", "/iris/echo", good)

    assert [("WARNING", "POST '/iris/echo' 503 journal")] == [
        (line.levelname, line.getMessage()) for line in caplog.records
    ]


def test_an_error_s_answer_has_at_most_64_kilobytes() -> None:
    """Of a long detail the first places are sent, and a long message is cut."""
    places = [{"loc": [number, "x"], "msg": "é" * 1_000} for number in range(100)]
    for error in (store_errors.InvalidInput("no", places), errors.UnknownRun("\x01" * 1_000_000)):
        _, _, body, _ = error_answers.explain(error)

        problem = json.loads(body)
        assert len(body) <= 65_536
        assert problem["error"] == str(error)[: error_answers.MAX_MESSAGE]
        assert problem["detail"] == error.detail[: len(problem["detail"])]
        assert bool(problem["detail"]) == bool(error.detail)
