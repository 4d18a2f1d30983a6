"""Parameters of GET routes: the server's rules, and the same rules in `docs.json`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from starlette.requests import Request

from models_store.errors import InvalidInput
from prediction.http import parameters

ID = "01900000-0000-7000-8000-000000000000"
NUMBERS = ["0", "-1", "1", "+1", "1.5", "x", "", "1 ", "50", "999", "1000", "1001", "1000000", "1000001"]
CURSORS = ["", "x", ID, ID.upper(), f"{ID}0", ID[1:], f" {ID}", "%00", "%D9%A3"]
WINDOWS = [
    *("", "0s", "00h", "-1h", "1", "h", "1w", "1H", "1.5h", "1h1m", "long", "%D9%A3h"),
    *("1s", "007d", "30m", "24h", "9h", "10h", "99h", "100h", "1m", "999s"),
    *("365d", "366d", "367d", "400d", "1000d", "299d", "300d", "359d", "360d", "99d", "0366d", "0367d"),
    *("8783h", "8784h", "8785h", "8790h", "8800h", "9000h", "7999h", "10000h"),
    *("527039m", "527040m", "527041m", "527100m", "527050m", "600000m", "999999m", "1000000m"),
    *("999998s", "999999s", "1000000s", "31622400s"),
]


def ask(query: str) -> Request:
    """Make a request with a query."""
    return Request({"type": "http", "query_string": query.encode(), "headers": []})


@pytest.mark.parametrize(
    ("read", "described", "values"),
    [
        (parameters.limit, parameters.described_limit(), NUMBERS),
        (parameters.position, parameters.described_position(), NUMBERS),
        (parameters.cursor, parameters.described_cursor(), CURSORS),
        (parameters.window, parameters.described_window(), WINDOWS),
    ],
)
def test_a_schema_allows_what_the_server_takes(
    read: Callable[[Request], Any], described: dict[str, Any], values: list[str]
) -> None:
    """Each value is refused by both or by neither."""
    accepted = set()
    for value in values:
        request = ask(f"{described['name']}={value}")
        raw = request.query_params.get(described["name"], "")
        instance: Any = raw
        if described["schema"]["type"] == "integer" and re.fullmatch("-?[0-9]+", raw):
            instance = int(raw)
        try:
            read(request)
            is_taken = True
        except InvalidInput:
            is_taken = False
        is_described = jsonschema.Draft202012Validator(described["schema"]).is_valid(instance)

        assert is_taken == is_described, value
        accepted.add(is_taken)
    assert {True, False} == accepted


def test_a_parameter_may_be_missing() -> None:
    """Each parameter has a default."""
    for read in (parameters.limit, parameters.position, parameters.cursor, parameters.window):
        read(ask(""))
    assert 50 == parameters.limit(ask(""))
    assert (None, None) == (parameters.position(ask("")), parameters.cursor(ask("")))
    assert "24h" == parameters.window(ask("")).text


@pytest.mark.parametrize(
    ("query", "known", "words"),
    [
        ("limi=2", ("limit", "before"), "limi is not a parameter: the parameters are limit, before"),
        ("limit=2&limit=2", ("limit",), "limit is given more than once"),
        ("limit=2", (), "limit is not a parameter: this path has none"),
        (f"{'x' * 60}=2", (), f"{'x' * 50} is not a parameter: this path has none"),
    ],
)
def test_unknown_and_repeated_parameters_are_refused(
    query: str, known: tuple[str, ...], words: str
) -> None:
    """The message names the parameter, and the parameters that exist."""
    with pytest.raises(InvalidInput) as caught:
        parameters.check(ask(query), known)

    assert words == str(caught.value)
