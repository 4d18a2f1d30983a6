"""The bodies of answers: what clients and the docs page are told."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from models_store.errors import InvalidInput
from models_store.spec import Spec
from prediction.http import bodies
from prediction.times import iso
from tests import kinds


def good_answer(spec: Spec) -> dict[str, object]:
    """Return an answer as the service gives it."""
    if kinds.predicts_classes(spec):
        said: dict[str, object] = {
            "predicted_class": spec.target.texts[0],
            "probabilities": dict.fromkeys(spec.target.texts, 0.25),
        }
    else:
        said = {
            "predicted_value": spec.target.example,
            "unit": spec.target.as_dict()["unit"],
            "interval": {"level": 0.9, "low": 1.5, "high": 2.5},
        }
    return {
        "prediction_id": "01a20576-e6f4-7194-8645-6aff202c1351",
        "model": spec.name,
        "version": "p7cwx3xgy6tw6ax4",
        **said,
        "warnings": [{"loc": [next(iter(spec.inputs))], "msg": "unusual"}],
    }


def test_an_answer_has_the_promised_fields_in_order(specs: dict[str, Spec]) -> None:
    """The fields of an answered row are those of the contract, and all are required."""
    for spec in specs.values():
        schema = bodies.answer(spec).model_json_schema()
        names = list(good_answer(spec))

        assert names == list(schema["properties"])
        assert names == schema["required"]


def test_an_answer_reads_what_the_service_sends(specs: dict[str, Spec]) -> None:
    """A real answer passes its own model and comes out as it went in."""
    for spec in specs.values():
        sent = good_answer(spec)

        assert sent == bodies.answer(spec).model_validate(sent).model_dump()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", "another"),
        ("predicted_class", "dandelion"),
        ("probabilities", {"dandelion": 1.0}),
    ],
)
def test_an_answer_names_only_what_the_spec_has(specs: dict[str, Spec], field: str, value: object) -> None:
    """The model's name and the classes are closed lists, so clients can rely on them."""
    spec = specs["iris"]

    with pytest.raises(ValidationError, match=field):
        bodies.answer(spec).model_validate(good_answer(spec) | {field: value})


def test_answers_of_two_models_have_different_names(specs: dict[str, Spec]) -> None:
    """Schemas stand under their names in one document, so no two are called the same."""
    names = [bodies.answer(spec).__name__ for spec in specs.values()]

    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[A-Za-z]+Prediction", name) for name in names)


def test_a_problem_is_a_sentence_and_places() -> None:
    """An error's detail may point into a row of a batch by its number."""
    raw = {"error": "wrong", "detail": [{"loc": [3, "body_mass_g"], "msg": "too heavy"}]}

    assert raw == TypeAdapter(bodies.Problem).validate_python(raw).model_dump()


@pytest.mark.parametrize(
    ("at_us", "expected"),
    [
        (0, "1970-01-01T00:00:00.000000+00:00"),
        (1_795_388_008_180_575, "2026-11-22T22:53:28.180575+00:00"),
        (1_795_388_008_000_000, "2026-11-22T22:53:28.000000+00:00"),
    ],
)
def test_times_are_written_in_utc_to_the_microsecond(at_us: int, expected: str) -> None:
    """Times are ISO 8601 in UTC and keep every digit that the journal holds."""
    assert expected == iso(at_us)


def test_no_microsecond_is_lost_in_writing_a_time() -> None:
    """A time can be read back exactly, for the next hundred years."""
    from datetime import datetime

    for at_us in range(1_795_388_008_180_575, 4_000_000_000_000_000, 987_654_321_987_654 // 1000):
        back = datetime.fromisoformat(iso(at_us))

        assert at_us == round(back.timestamp() * 1e6)


@pytest.mark.parametrize(
    ("kind", "body", "told"),
    [
        (bodies.Retrain, {"force": 1}, "force: must be true or false: train even with few"),
        (bodies.Cancel, {}, "run_id: is required: a text without NUL: the id of a run, from the answer"),
        (bodies.Promote, {"version": "v" * 65, "reason": "x"}, "version: must be .* from GET /models"),
        (bodies.Rollback, {"reason": " "}, "reason: must be a text .* not only blanks"),
    ],
)
def test_a_refused_admin_body_gets_the_words_of_the_docs_page(
    kind: type[bodies.Request], body: dict[str, Any], told: str
) -> None:
    """The message says the same as the description of the field."""
    with pytest.raises(InvalidInput, match=told):
        bodies.request_validator(kind, "a test").object(body)


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (bodies.Promote, "reason"),
        (bodies.Promote, "version"),
        (bodies.Rollback, "reason"),
        (bodies.Cancel, "run_id"),
    ],
)
def test_no_text_of_an_administrator_holds_nul(kind: type[bodies.Request], field: str) -> None:
    """PostgreSQL can't store it: the field is named, as for any other wrong value."""
    validator = bodies.request_validator(kind, "a test")
    good = dict.fromkeys(kind.model_fields, "line one\nline two é")

    assert good == validator.object(good).model_dump()
    for text in ("\0", "a\0b", "line one\n\0"):
        with pytest.raises(InvalidInput, match="without NUL") as caught:
            validator.row(json.dumps({**good, field: text}).encode())
        assert [[field]] == [item["loc"] for item in caught.value.detail]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": "tulip"}, "label: must be one of setosa, versicolor, virginica"),
        ({"correct": 1}, "correct: must be true or false"),
        ({"prediction_id": "x" * 35}, "prediction_id: must be the id of a prediction"),
        ({"prediction_id": "x" * 37}, "prediction_id: must be the id of a prediction"),
        ({"by": "me"}, "by: unknown field; the fields are prediction_id, label, correct"),
    ],
)
def test_wrong_feedback_is_refused_by_field(
    specs: dict[str, Spec], change: dict[str, Any], message: str
) -> None:
    """Each message begins with the model and names the field and a good value."""
    validator = bodies.feedback_validator(specs["iris"])
    good = {"prediction_id": "x" * 36, "label": "setosa"}

    assert validator.object(good).correct is False
    with pytest.raises(InvalidInput, match=f"invalid input for feedback of iris: {message}"):
        validator.object(good | change)
