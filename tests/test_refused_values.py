"""Bodies with wrong values: the answer names each place. On a real server."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from models_store.spec import Spec
from tests.servers import Server, problem
from tests.timing import eventually


def count_rows(server: Server) -> int:
    """Return how many predictions are in the journal."""
    with closing(sqlite3.connect(server.home / "journal.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM predictions").fetchone()[0])


WRONG_NUMBERS = {
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "beyond doubles": "1e400",
    "true": "true",
    "false": "false",
    "text": '"5.1"',
    "empty text": '""',
    "null": "null",
    "array": "[5.1]",
    "object": "{}",
    "above the range": "30.01",
    "below the range": "0.09",
    "negative": "-5.1",
    "zero": "0",
    "enormous": "9" * 400,
    "tiny": "1e-400",
}


@pytest.mark.parametrize("wrong", WRONG_NUMBERS)
def test_a_wrong_number_is_refused_by_its_name(server: Server, specs: dict[str, Spec], wrong: str) -> None:
    """Anything but a finite number in range is a 400 that says which field, and what it must be."""
    raw = json.dumps(specs["iris"].example).replace("5.1", WRONG_NUMBERS[wrong])
    answer = server.client.post("/iris/predict", content=raw, headers={"content-type": "application/json"})

    (item,) = problem(answer, 400)["detail"]
    assert ["sepal_length_cm"] == item["loc"]
    assert "a number from 0.1 to 30 cm" in item["msg"]


@pytest.mark.parametrize("value", ["Antarctica", "dream", "", 3, True, None, ["Dream"]])
def test_an_unknown_category_gets_the_list_of_known_ones(server: Server, value: Any) -> None:
    """The message lists the allowed categories."""
    (item,) = problem(server.post("/penguins/predict", {"island": value}), 400)["detail"]

    assert {"loc": ["island"], "msg": "must be one of Biscoe, Dream, Torgersen"} == item


@pytest.mark.parametrize("path", ["/iris/predict", "/iris/predict_batch"])
def test_a_repeated_key_is_refused_by_its_name(server: Server, specs: dict[str, Spec], path: str) -> None:
    """The last of two values would win silently."""
    row = json.dumps(specs["iris"].example)
    raw = row[:-1] + ', "petal_width_cm": 0.2}'
    raw = f"[{row}, {raw}]" if path.endswith("batch") else raw
    answer = server.client.post(path, content=raw, headers={"content-type": "application/json"})

    (item,) = problem(answer, 400)["detail"]
    assert "petal_width_cm" == item["loc"][-1]
    assert "is given twice: send each field once" == item["msg"]


def test_a_repeated_label_is_not_recorded(server: Server, specs: dict[str, Spec]) -> None:
    """The prediction has no label afterwards, neither the first nor the second."""
    answered = server.post("/iris/predict", specs["iris"].example).json()["prediction_id"]
    raw = f'{{"prediction_id": "{answered}", "label": "setosa", "label": "virginica"}}'
    answer = server.client.post("/iris/feedback", content=raw, headers={"content-type": "application/json"})

    assert [["label"]] == [item["loc"] for item in problem(answer, 400)["detail"]]
    assert server.get(f"/iris/predictions/{answered}").json()["feedback"] is None


def test_a_byte_order_mark_is_removed(server: Server, specs: dict[str, Spec]) -> None:
    """Editors of Windows write one before the JSON."""
    raw = json.dumps(specs["iris"].example).encode("utf-8-sig")
    answer = server.client.post("/iris/predict", content=raw, headers={"content-type": "application/json"})

    assert 200 == answer.status_code


def test_a_missing_or_unknown_field_is_named(server: Server, specs: dict[str, Spec]) -> None:
    """A field too few says what is expected there; a field too many lists those that exist."""
    row = specs["iris"].example | {"colour": "red"}
    del row["petal_width_cm"]

    places = {
        item["loc"][0]: item["msg"] for item in problem(server.post("/iris/predict", row), 400)["detail"]
    }

    assert {
        "petal_width_cm": "is required: a number from 0.1 to 30 cm",
        "colour": "unknown field; the fields are " + ", ".join(specs["iris"].inputs),
    } == places


@pytest.mark.parametrize("body", [[5.1, 3.5, 1.4, 0.2], [], 5.1, "5.1", None, True])
def test_a_body_that_is_no_object_lists_the_features(
    server: Server, specs: dict[str, Spec], body: Any
) -> None:
    """A client that sends a list of floats, as many exercises do, gets the four names."""
    raw = json.dumps(body)
    answer = server.client.post("/iris/predict", content=raw, headers={"content-type": "application/json"})
    found = problem(answer, 400)

    assert all(name in found["error"] for name in specs["iris"].inputs)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe\x00", b"{'a': 1}", b"[" * 50_000, b"{}{}", b"\x00"])
def test_a_body_that_is_not_json_gets_a_message_that_says_so(server: Server, raw: bytes) -> None:
    """A body that can't be read is a 400, and says where reading ended."""
    for path in ("/iris/predict", "/penguins/predict_batch"):
        answer = server.client.post(path, content=raw, headers={"content-type": "application/json"})

        assert "the body is not JSON" in problem(answer, 400)["error"]


def test_bad_rows_are_listed_by_index_and_nothing_is_predicted(
    server: Server, specs: dict[str, Spec]
) -> None:
    """One bad row is enough to refuse a batch: all are named, and none is recorded."""
    good = specs["penguins"].example
    rows = [good, good | {"body_mass_g": "heavy"}, good, good | {"island": "Mars", "wings": 2}, 7]
    before = count_rows(server)

    found = problem(server.post("/penguins/predict_batch", rows), 400)

    places = [item["loc"] for item in found["detail"]]
    assert [[1, "body_mass_g"], [3, "island"], [3, "wings"], [4]] == places
    assert "1.body_mass_g" in found["error"]
    assert before == count_rows(server)


def test_refused_values_are_not_in_the_log(server: Server, specs: dict[str, Spec]) -> None:
    """The log has one line about a refused request, without its values and without a traceback."""
    server.post("/iris/predict", specs["iris"].example | {"petal_width_cm": "secret-word"})
    eventually(lambda: "POST '/iris/predict' 400 invalid" in server.read_log())

    assert "secret-word" not in server.read_log()
    assert "Traceback" not in server.read_log()
