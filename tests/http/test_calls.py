"""Calls: one description of a POST, from which answers and documentation are made."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from models_store.errors import InvalidInput
from models_store.spec import Features, Spec
from prediction.http import bodies, calls
from prediction.http.calls import Call
from tests import kinds


def echo(spec: Spec) -> Call:
    """Make a call that answers the row that it was sent."""

    async def run(row: Features) -> dict[str, Any]:
        return {"row": row, "model": spec.name}

    return Call(
        model=spec.name,
        name="echo",
        summary="Give the row back",
        validator=spec.rows,
        answer=bodies.answer(spec),
        example=spec.example,
        run=run,
    )


def echo_batch(spec: Spec) -> Call:
    """Make a call that answers how many rows it was sent."""

    async def run(rows: list[Features]) -> list[dict[str, Any]]:
        return [{"rows": len(rows)}]

    return Call(
        model=spec.name,
        name="echo_batch",
        summary="Count the rows",
        validator=spec.rows,
        max_rows=10,
        answer=list[bodies.answer(spec)],  # type: ignore[misc]
        example=[spec.example],
        run=run,
    )


def references(node: Any) -> set[str]:
    """Return every `$ref` in a document."""
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(references(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(references(value) for value in node))
    return set()


def test_a_call_is_named_by_its_model(specs: dict[str, Spec]) -> None:
    """Route and client method both begin with the model's name."""
    call = echo(specs["iris"])

    assert ("/iris/echo", "iris_echo") == (call.path, call.method)


def test_a_call_answers_bytes_with_bytes(specs: dict[str, Spec]) -> None:
    """A whole body in gives a whole JSON body out."""
    spec = specs["penguins"]

    answer = asyncio.run(echo(spec).respond(json.dumps(spec.example).encode()))

    assert {"row": spec.example, "model": "penguins"} == json.loads(answer)


def test_a_call_refuses_before_it_runs(specs: dict[str, Spec]) -> None:
    """An invalid body raises, and nothing is done with it."""
    ran = []

    async def run(row: Features) -> None:
        ran.append(row)

    call = Call(**{**vars(echo(specs["iris"])), "run": run})

    with pytest.raises(InvalidInput):
        asyncio.run(call.respond(b'{"sepal_length_cm": "long"}'))
    assert [] == ran


def test_a_call_with_a_limit_reads_an_array(specs: dict[str, Spec]) -> None:
    """Where the number of rows is limited the body is an array, and one row too many is refused."""
    spec = specs["iris"]
    call = echo_batch(spec)

    assert [{"rows": 10}] == json.loads(asyncio.run(call.respond(json.dumps([spec.example] * 10).encode())))
    with pytest.raises(InvalidInput, match="at most 10 rows"):
        asyncio.run(call.parse(json.dumps([spec.example] * 11).encode()))
    with pytest.raises(InvalidInput, match="an array of rows"):
        asyncio.run(call.parse(json.dumps(spec.example).encode()))


def test_others_have_their_turn_while_an_array_is_validated(specs: dict[str, Spec]) -> None:
    """A long array is validated in parts, and the event loop runs between them."""
    spec = specs["iris"]
    call = replace(echo_batch(spec), max_rows=10_000)
    raw = json.dumps([spec.example] * 10_000).encode()
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def main() -> int:
        meanwhile = asyncio.create_task(others())
        rows = await call.parse(raw)
        meanwhile.cancel()
        return len(rows)

    assert 10_000 == asyncio.run(main())
    assert turns > 20


def test_a_body_of_one_row_has_a_limit_of_its_own(specs: dict[str, Spec]) -> None:
    """An array may be as large as the server allows."""
    assert 65_536 == echo(specs["iris"]).max_bytes
    assert echo_batch(specs["iris"]).max_bytes is None


def test_operations_describe_every_call(specs: dict[str, Spec]) -> None:
    """Each path gets its summary, its client method, its example and a place among its model's."""
    every = [make(spec) for spec in specs.values() for make in (echo, echo_batch)]

    found, _ = calls.operations(every)

    assert [call.path for call in every] == list(found)
    for call in every:
        operation = found[call.path]
        body = operation["requestBody"]["content"]["application/json"]
        assert call.summary == operation["summary"]
        assert call.method == operation["operationId"] == operation["x-bentoml-name"]
        assert [call.model] == operation["tags"]
        assert call.example == body["example"]
        assert operation["requestBody"]["required"]


def test_operations_refer_only_to_schemas_that_are_there(specs: dict[str, Spec]) -> None:
    """No reference dangles, and the same schema is not written out twice."""
    found, schemas = calls.operations([make(s) for s in specs.values() for make in (echo, echo_batch)])

    names = {f"{calls.SCHEMAS}{name}" for name in schemas}
    assert names == references([found, schemas])


def test_every_error_is_documented_in_the_one_shape(specs: dict[str, Spec]) -> None:
    """The errors that a POST can give, and no others, stand in its description, with the common body."""
    plain = echo(specs["iris"])
    of_admins = replace(plain, name="of_admins", admin=True, refusals=(409,))
    found, schemas = calls.operations([plain, of_admins])
    responses = found["/iris/echo"]["responses"]

    assert {200, 400, 408, 413, 415, 421, 429, 500, 503} == set(responses)
    assert {401, 403, 409} == set(found["/iris/of_admins"]["responses"]) - set(responses)
    for status in set(responses) - {200}:
        schema = responses[status]["content"]["application/json"]["schema"]
        assert {"$ref": f"{calls.SCHEMAS}Problem"} == schema
    assert ["error", "detail"] == schemas["Problem"]["required"]


def test_features_are_documented_with_units_ranges_and_examples(specs: dict[str, Spec]) -> None:
    """What a sender must know about a feature stands in the schema."""
    _, schemas = calls.operations([echo(spec) for spec in specs.values()])

    for spec in specs.values():
        documented = schemas[spec.features.__name__]
        assert documented["additionalProperties"] is False
        for name, feature in spec.inputs.items():
            field = documented["properties"][name]
            text = json.dumps(field)
            assert field["description"].startswith(feature.description.split(",")[0])
            assert [feature.example] == field["examples"]
            assert feature.unit in field["description"]
            assert all(f'"{word}"' in text for word in kinds.categories(feature))
            if kinds.is_measured(feature):
                assert f'"minimum": {kinds.limits(feature)[0]:g}' in text.replace(".0,", ",").replace(
                    ".0}", "}"
                )
            assert feature.optional == (name not in documented.get("required", []))


def test_the_answer_of_a_call_is_documented_under_its_status(specs: dict[str, Spec]) -> None:
    """With the schema of the answer; an admin call names the token that it needs."""
    spec = specs["iris"]
    started = replace(echo(spec), name="start", status=202, admin=True, answer=bodies.Run)
    found, schemas = calls.operations([echo(spec), started])
    plain, admin = found["/iris/echo"], found["/iris/start"]

    good = admin["responses"][202]
    assert {"$ref": f"{calls.SCHEMAS}Run"} == good["content"]["application/json"]["schema"]
    assert "Run" in schemas
    assert "The answer" == good["description"]
    assert calls.PROBLEMS[401] == admin["responses"][401]["description"]
    assert 200 not in admin["responses"]
    assert [{"admin": []}] == admin["security"]
    assert "security" not in plain
    asked = plain["requestBody"]["content"]["application/json"]["schema"]
    assert {"$ref": f"{calls.SCHEMAS}{spec.features.__name__}"} == asked
