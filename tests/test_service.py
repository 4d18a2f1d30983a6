"""The routes, over HTTP, on a real server."""

from __future__ import annotations

import json
import re
import shutil
import socket
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from models_store import catalog, store
from models_store.spec import Spec
from prediction.monitoring import gauges
from prediction.retraining import training
from tests.servers import SHIPPED, Server, free_port, run
from tests.timing import eventually

REFERENCE = """
import json, sys
import bentoml, pandas
from models_store import catalog
from prediction.monitoring import gauges
from prediction.retraining import training
found = {}
for name, spec in catalog.load().items():
    X, _ = spec.load()
    found[name] = bentoml.sklearn.load_model(f"{name}:latest").predict_proba(X).tolist()
print(json.dumps(found))
"""

CLIENTS = """
import asyncio, json, sys
import bentoml

url, iris = sys.argv[1], json.loads(sys.argv[2])
answers = {}
with bentoml.SyncHTTPClient(url) as client:
    answers["row"] = client.iris_predict(**iris)
    answers["rows"] = client.iris_predict_batch([iris, iris])
    answers["partly"] = client.penguins_predict(island="Biscoe")
    try:
        client.iris_predict(**{**iris, "petal_width_cm": "wide"})
    except bentoml.exceptions.BentoMLException as error:
        answers["refused"] = str(error)

async def main():
    async with bentoml.AsyncHTTPClient(url) as client:
        answers["async row"] = await client.iris_predict(**iris)
        answers["async rows"] = await client.iris_predict_batch([iris])

asyncio.run(main())
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def reference(server: Server) -> dict[str, list[list[float]]]:
    """What BentoML's own way to load the newest models says of every row of their datasets."""
    done = run("python", "-c", REFERENCE, home=server.home)
    assert 0 == done.returncode, done.stderr
    return dict(json.loads(done.stdout))


def rows_of(spec: Spec) -> list[dict[str, Any]]:
    """Return every row of a spec's dataset as a client sends it."""
    columns = training.load_dataset(spec).columns
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Return an error's body, which must be in the common shape, and tell no one's names or links."""
    assert status == answer.status_code, answer.text
    assert "application/json" == answer.headers["content-type"]
    body = answer.json()
    assert {"error", "detail"} == set(body)
    assert body["error"]
    assert "Features" not in answer.text
    assert "pydantic" not in answer.text
    assert "://" not in answer.text
    for item in body["detail"]:
        assert {"loc", "msg"} == set(item)
        assert all(isinstance(part, str | int) for part in item["loc"])
    return dict(body)


def series(server: Server) -> dict[str, float]:
    """Return every series of `/metrics` with its value."""
    lines = server.get("/metrics").text.splitlines()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
    }


def count_rows(server: Server) -> int:
    """Return how many predictions are in the journal."""
    with closing(sqlite3.connect(server.home / "journal.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM predictions").fetchone()[0])


def test_predict_answers_the_example_of_every_spec(server: Server, specs: dict[str, Spec]) -> None:
    """What the docs page offers to try is answered as it stands."""
    for name, spec in specs.items():
        answer = server.post(f"/{name}/predict", spec.example)
        assert answer.status_code == 200, answer.text
        assert set(spec.classes) == set(answer.json()["probabilities"])


# ----------------------------------------------------------------------------------------- answers


def test_an_answer_is_complete(server: Server, specs: dict[str, Spec]) -> None:
    """An answer has id, model, version, class, probabilities in class order, and warnings."""
    for name, spec in specs.items():
        answer = server.post(f"/{name}/predict", spec.example).json()

        expected = ["prediction_id", "model", "version", "predicted_class", "probabilities", "warnings"]
        assert expected == list(answer)
        assert (name, store.newest(server.home, name).version) == (answer["model"], answer["version"])
        assert list(spec.classes) == list(answer["probabilities"])
        assert 1 == pytest.approx(sum(answer["probabilities"].values()), abs=1e-6)
        assert max(answer["probabilities"].values()) == answer["probabilities"][answer["predicted_class"]]
        assert [] == answer["warnings"]


def test_ids_are_uuid7_over_all_workers(server: Server, specs: dict[str, Spec]) -> None:
    """No id comes twice, whichever worker answers, and each is a UUID of version 7."""
    answers = server.post("/iris/predict_batch", [specs["iris"].example] * 200).json()
    answers += [server.post("/iris/predict", specs["iris"].example).json() for _ in range(50)]
    ids = {uuid.UUID(answer["prediction_id"]) for answer in answers}

    assert 250 == len(ids)
    assert {7} == {item.version for item in ids}
    assert all(abs((item.int >> 80) / 1000 - time.time()) < 60 for item in ids)


@pytest.mark.parametrize("name", list(catalog.load()))
def test_every_row_of_the_dataset_is_answered_as_scikit_learn_does(
    server: Server, specs: dict[str, Spec], reference: dict[str, list[list[float]]], name: str
) -> None:
    """Alone and in a batch, each row's probabilities are within 1e-6 of the stored pipeline's."""
    rows, spec = rows_of(specs[name]), specs[name]
    batch = server.post(f"/{name}/predict_batch", rows).json()
    singles = [server.post(f"/{name}/predict", row).json() for row in rows]

    assert len(rows) == len(batch) == len(reference[name])
    for expected, *answers in zip(reference[name], batch, singles, strict=True):
        for answer in answers:
            assert expected == pytest.approx(list(answer["probabilities"].values()), abs=1e-6)
            assert spec.classes[expected.index(max(expected))] == answer["predicted_class"]


def test_a_batch_is_answered_in_its_order(server: Server, specs: dict[str, Spec]) -> None:
    """The answers of a batch stand where their rows stood."""
    rows = rows_of(specs["iris"])
    mixed = [rows[(7 * number) % len(rows)] for number in range(len(rows))]

    answers = server.post("/iris/predict_batch", mixed).json()

    for row, answer in zip(mixed[:20], answers[:20], strict=True):
        found = server.get(f"/iris/predictions/{answer['prediction_id']}").json()
        assert row == found["features"]
        assert answer["probabilities"] == found["probabilities"]


def test_no_rows_get_no_answers(server: Server) -> None:
    """An empty batch is an empty array."""
    answer = server.post("/iris/predict_batch", [])

    assert (200, []) == (answer.status_code, answer.json())


def test_as_many_rows_as_are_allowed_are_answered(server: Server, specs: dict[str, Spec]) -> None:
    """10,000 rows are one answer; one more is refused with the limit."""
    row = specs["iris"].example

    assert 10_000 == len(server.post("/iris/predict_batch", [row] * 10_000).json())
    refused = problem(server.post("/iris/predict_batch", [row] * 10_001), 400)
    assert "at most 10000 rows" in refused["error"]


def test_a_missing_value_is_null_or_left_out(server: Server, specs: dict[str, Spec]) -> None:
    """Where the training data has missing values, null and absence are the same."""
    absent = server.post("/penguins/predict", {"island": "Dream", "body_mass_g": 4000}).json()
    nulls = {name: None for name, feature in specs["penguins"].inputs.items() if feature.optional}
    null = server.post("/penguins/predict", nulls | {"island": "Dream", "body_mass_g": 4000}).json()

    assert absent["probabilities"] == null["probabilities"]


def test_a_surprising_value_is_answered_with_a_warning(server: Server, specs: dict[str, Spec]) -> None:
    """A value unlike the training data gets an answer, a warning that names it, and is counted."""
    name = 'prediction_out_of_training_range_total{feature="petal_length_cm",model="iris"}'
    before = series(server).get(name, 0)

    answer = server.post("/iris/predict", specs["iris"].example | {"petal_length_cm": 25}).json()

    assert [["petal_length_cm"]] == [warning["loc"] for warning in answer["warnings"]]
    assert "25 is above the training range" in answer["warnings"][0]["msg"]
    assert before + 1 == series(server)[name]


# -------------------------------------------------------------------------------------- strictness

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


@pytest.mark.parametrize("value", ["Antarctica", "dream", "", " Dream", 3, True, None, ["Dream"]])
def test_a_category_that_does_not_exist_is_told_the_others(server: Server, value: Any) -> None:
    """The allowed categories are listed where another is sent."""
    (item,) = problem(server.post("/penguins/predict", {"island": value}), 400)["detail"]

    assert {"loc": ["island"], "msg": "must be one of Biscoe, Dream, Torgersen"} == item


def test_a_missing_or_unknown_field_is_told_by_name(server: Server, specs: dict[str, Spec]) -> None:
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
def test_what_is_no_object_is_told_the_names(server: Server, specs: dict[str, Spec], body: Any) -> None:
    """Who sends a list of floats, as in many a classroom, is told the four names."""
    raw = json.dumps(body)
    answer = server.client.post("/iris/predict", content=raw, headers={"content-type": "application/json"})
    found = problem(answer, 400)

    assert all(name in found["error"] for name in specs["iris"].inputs)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe\x00", b"{'a': 1}", b"[" * 100_000, b"{}{}", b"\x00"])
def test_what_is_no_json_is_told_so(server: Server, raw: bytes) -> None:
    """A body that can't be read is a 400, and says where reading ended."""
    for path in ("/iris/predict", "/penguins/predict_batch"):
        answer = server.client.post(path, content=raw, headers={"content-type": "application/json"})

        assert "the body is not JSON" in problem(answer, 400)["error"]


def test_every_bad_row_is_told_by_its_index_and_nothing_is_predicted(
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


def test_a_body_full_of_errors_is_answered_quickly(server: Server) -> None:
    """Megabytes of nonsense do not stall a worker, and the answer stays shorter than the question."""
    for body in ([{"x": 1}] * 10_000, [0] * 3_000_000, {f"field{number}": 1 for number in range(200_000)}):
        started = time.monotonic()
        answer = server.post("/iris/predict_batch", body)
        problem(answer, 400)
        assert time.monotonic() - started < 10
        assert len(answer.content) < 8_000_000


# ------------------------------------------------------------------------------- routes and limits


@pytest.mark.parametrize(
    "path", ["/nope", "/iris/predict/", "/tulips/predict", "/models/", "/static_content/x"]
)
def test_an_unknown_path_is_not_found(server: Server, path: str) -> None:
    """A path that does not exist is a 404 in the common shape, whatever the method."""
    for method in ("GET", "POST", "DELETE"):
        problem(server.client.request(method, path), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/iris/predict", "POST"), ("POST", "/models", "GET, HEAD"), ("PUT", "/metrics", "GET, HEAD")],
)
def test_another_method_is_told_the_right_one(server: Server, method: str, path: str, allowed: str) -> None:
    """A wrong method is a 405 with the header that lists the right ones."""
    answer = server.client.request(method, path)

    problem(answer, 405)
    assert allowed == answer.headers["allow"]


def test_a_form_is_not_json(server: Server) -> None:
    """Forms and files are a 415, also where BentoML alone would fail on them."""
    for content in ("a=1", b"--x\r\nbroken"):
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/csv"):
            answer = server.client.post("/iris/predict", content=content, headers={"content-type": kind})
            problem(answer, 415)


def test_a_body_over_the_limit_is_refused_and_the_next_one_answered(
    server: Server, specs: dict[str, Spec]
) -> None:
    """More than 8 MB is a 413, announced or in chunks, and the client may go on at once."""
    chunk = b" " * 1_000_000
    for content in (chunk * 9, (chunk for _ in range(9))):
        answer = server.client.post(
            "/iris/predict", content=content, headers={"content-type": "application/json"}
        )
        assert "8000000 bytes" in problem(answer, 413)["error"]
        assert 200 == server.post("/iris/predict", specs["iris"].example).status_code


def test_a_get_may_be_a_head(server: Server) -> None:
    """HEAD answers as GET does, without a body."""
    for path in ("/models", "/models/iris", "/livez", "/metrics", "/docs.json"):
        answer = server.client.head(path)

        assert (200, b"") == (answer.status_code, answer.content)


def test_the_probes_answer(server: Server) -> None:
    """A server with all its champions loaded is alive and ready."""
    assert [200, 200, 200] == [server.get(path).status_code for path in ("/livez", "/healthz", "/readyz")]


@pytest.fixture(scope="module", autouse=True)
def slow_sender(server: Server) -> Iterator[socket.socket]:
    """A client that began to send a body when these tests began, and never ends."""
    with closing(socket.create_connection(("127.0.0.1", server.port))) as slow:
        kind = b"Content-Type: application/json\r\n"
        slow.sendall(b"POST /iris/predict HTTP/1.1\r\nHost: x\r\n" + kind + b"Content-Length: 100\r\n\r\n{")
        yield slow


# ------------------------------------------------------------------------------------- looking up


def test_a_prediction_can_be_looked_up(server: Server, specs: dict[str, Spec]) -> None:
    """An answer's id leads to what was asked and answered, whichever worker is asked."""
    for name, spec in specs.items():
        answer = server.post(f"/{name}/predict", spec.example).json()
        for _ in range(4):
            found = httpx.get(f"{server.url}/{name}/predictions/{answer['prediction_id']}").json()
            assert answer == {key: found[key] for key in answer}
            assert spec.example == found["features"]
            assert found["metrics"]["accuracy"] > 0.8
            assert re.fullmatch("[0-9a-f]{64}", found["data_digest"])


def test_what_was_never_answered_is_not_found(server: Server, specs: dict[str, Spec]) -> None:
    """Another model's id, and one that nobody was given, are a 404."""
    answer = server.post("/iris/predict", specs["iris"].example).json()

    problem(server.get(f"/penguins/predictions/{answer['prediction_id']}"), 404)
    problem(server.get(f"/iris/predictions/{uuid.uuid4()}"), 404)
    assert ", ".join(specs) in problem(server.get("/tulips/predictions/x"), 404)["error"]


def test_models_show_that_all_workers_agree(server: Server, specs: dict[str, Spec]) -> None:
    """Each model lists its champion, and both workers serve it."""
    models = {item["name"]: item for item in server.get("/models").json()["models"]}

    assert set(specs) == set(models)
    for name, model in models.items():
        assert store.newest(server.home, name).version == model["champion"]
        assert {worker.pid for worker in server.workers} == {item["worker"] for item in model["workers"]}
        assert model["agree"]
        assert store.newest(server.home, name).runtime == model["versions"][0]["runtime"]


# ----------------------------------------------------------------------------- clients and documents


def test_bentomls_clients_call_by_keywords_and_lists(server: Server, specs: dict[str, Spec]) -> None:
    """`SyncHTTPClient` and `AsyncHTTPClient` have a method a route, as BentoML's users expect."""
    done = run("python", "-c", CLIENTS, server.url, json.dumps(specs["iris"].example), home=server.home)
    assert 0 == done.returncode, done.stderr
    answers = json.loads(done.stdout)

    expected = server.post("/iris/predict", specs["iris"].example).json()["probabilities"]
    for answer in (answers["row"], answers["async row"], *answers["rows"], *answers["async rows"]):
        assert expected == answer["probabilities"]
        assert server.get(f"/iris/predictions/{answer['prediction_id']}").status_code == 200
    assert 2 == len(answers["rows"])
    assert "Gentoo" == answers["partly"]["predicted_class"]
    assert "petal_width_cm" in answers["refused"]


def test_the_description_is_whole(server: Server) -> None:
    """`docs.json` refers to nothing that is not in it, and every operation has a name of its own."""
    document = server.get("/docs.json").json()
    operations = [item for path in document["paths"].values() for item in path.values()]
    ids = [item["operationId"] for item in operations if "operationId" in item]

    assert "3.1.0" == document["openapi"]
    assert document["info"]["title"]
    assert document["info"]["version"] not in ("", "None")
    assert len(ids) == len(set(ids))
    for reference in set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document))):
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
    for path, methods in document["paths"].items():
        in_path = re.findall(r"\{(\w+)\}", path)
        for operation in methods.values():
            named = [item["name"] for item in operation.get("parameters", []) if item["in"] == "path"]
            assert in_path == named
            assert operation["responses"]


def test_the_description_s_examples_are_answered(server: Server, specs: dict[str, Spec]) -> None:
    """What the docs page sends on "try it" for a prediction is answered, and fits the described answer."""
    document = server.get("/docs.json").json()
    for name in specs:
        for route in ("predict", "predict_batch"):
            operation = document["paths"][f"/{name}/{route}"]["post"]
            example = operation["requestBody"]["content"]["application/json"]["example"]

            answer = server.post(f"/{name}/{route}", example)

            assert 200 == answer.status_code
            described = operation["responses"]["200"]["content"]["application/json"]["schema"]
            fits(document, described, answer.json())


def test_every_answer_is_as_it_is_described(server: Server, specs: dict[str, Spec]) -> None:
    """What GETs answer has the fields that `docs.json` lists, all of them and no other."""
    predicted = server.post("/iris/predict", specs["iris"].example).json()["prediction_id"]
    label = {"prediction_id": predicted, "label": "setosa"}
    for body in (label, label | {"label": "virginica", "correct": True}):
        assert 200 == server.post("/iris/feedback", body).status_code
    document = server.get("/docs.json").json()
    for schema in document["components"]["schemas"].values():
        schema["additionalProperties"] = False
    asked = {"/{model}/predictions/{prediction_id}": f"/iris/predictions/{predicted}"}
    for path, methods in document["paths"].items():
        if "get" not in methods or methods["get"]["tags"] != ["models"] or "run_id" in path:
            continue
        answer = server.get(asked.get(path, path.replace("{model}", "iris")))
        described = methods["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(answer.json(), {**described, "components": document["components"]})


def fits(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    """Assert that a value fits a schema, as far as answers need it."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        kinds = {item.get("type") for item in schema["anyOf"]}
        assert (None if value is None else "string") in kinds | {None}
        return
    if "const" in schema or "enum" in schema:
        assert value in schema.get("enum", [schema.get("const")])
    types: dict[str, type[Any]] = {"object": dict, "array": list, "string": str, "number": float}
    assert type(value) is types[schema["type"]]
    if schema["type"] == "object" and "properties" in schema:
        assert set(schema["required"]) <= set(value)
        assert set(value) <= set(schema["properties"])
        for name, item in value.items():
            fits(document, schema["properties"][name], item)
    for item in value if schema["type"] == "array" else ():
        fits(document, schema["items"], item)


def test_the_docs_page_loads_nothing_from_outside(server: Server) -> None:
    """The page and what it runs first name no other host, so that no one is told who reads it."""
    page = server.get("/")
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)

    assert page.headers["content-type"].startswith("text/html")
    assert files
    assert "//" not in page.text.replace("</", "")
    for file in files:
        assert file.startswith("./static_content/")
        assert 200 == server.get(file[1:]).status_code
    assert "googletagmanager" not in page.text + server.get("/static_content/swagger-initializer.js").text


# -------------------------------------------------------------------------- metrics and processes


def test_a_thousand_unknown_urls_add_no_series(server: Server) -> None:
    """A scanner does not grow the metrics, wherever it looks; gauges follow what the journal has."""
    folders = ("", "/iris", "/models", "/static_content", "/iris/predictions")

    def counted() -> set[str]:
        return {each for each in series(server) if each.partition("{")[0] not in gauges.GAUGES}

    for folder in folders:
        for method in ("GET", "POST", "PUT"):
            server.client.request(method, f"{folder}/first")
    time.sleep(0.2)
    before = counted()

    for number in range(1_000):
        server.client.request(
            ("GET", "POST", "PUT")[number % 3], f"{folders[number % len(folders)]}/scan{number}"
        )

    assert set() == counted() - before


def test_answers_and_refusals_are_counted_over_all_workers(server: Server, specs: dict[str, Spec]) -> None:
    """`/metrics` sums up what every worker counted, whichever answers."""
    version = store.newest(server.home, "iris").version
    rows = f'prediction_predictions_total{{model="iris",predicted_class="setosa",version="{version}"}}'
    refused = 'prediction_refused_requests_total{model="iris",reason="invalid"}'
    before = series(server)

    for _ in range(10):
        httpx.post(f"{server.url}/iris/predict_batch", json=[specs["iris"].example] * 3)
        httpx.post(f"{server.url}/iris/predict", json={})

    after = series(server)
    assert 30 == after[rows] - before.get(rows, 0)
    assert 10 == after[refused] - before.get(refused, 0)


def test_workers_hold_no_training_packages(server: Server, specs: dict[str, Spec]) -> None:
    """No worker has mapped scikit-learn or pandas, nor all of scipy, where every model is compiled."""
    assert 2 == len(server.workers)
    if {"onnx"} != {store.newest(server.home, name).runtime for name in specs}:
        assert set(SHIPPED) < set(specs), "the models that come with the project compile"
        return
    for worker in server.workers:
        mapped = Path(f"/proc/{worker.pid}/maps").read_text()
        assert "onnxruntime" in mapped
        late = ("/sklearn/", "/pandas/", "/scipy/stats/", "/scipy/optimize/")
        assert [] == [name for name in late if name in mapped]


def test_a_locked_journal_is_waited_for_and_then_told(server: Server, specs: dict[str, Spec]) -> None:
    """Behind a lock requests wait a while; then they are a 503 that says when to come back."""
    with closing(sqlite3.connect(server.home / "journal.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        answer = server.post("/iris/predict", specs["iris"].example)
        waited = time.monotonic() - started
        assert 200 == server.get("/livez").status_code
        connection.execute("ROLLBACK")

    problem(answer, 503)
    assert "1" == answer.headers["retry-after"]
    assert 0.5 < waited < 5
    assert 200 == server.post("/iris/predict", specs["iris"].example).status_code


def test_refused_values_are_not_in_the_log(server: Server, specs: dict[str, Spec]) -> None:
    """What a client sent wrong is its own: the log has a line of it, and no value and no traceback."""
    server.post("/iris/predict", specs["iris"].example | {"petal_width_cm": "secret-word"})
    eventually(lambda: "POST '/iris/predict' 400 invalid" in server.read_log())

    assert "secret-word" not in server.read_log()
    assert "Traceback" not in server.read_log()


def test_a_body_that_never_ends_is_given_up(slow_sender: socket.socket) -> None:
    """Who sends too slowly is told so after 20 s, and the connection is closed."""
    slow_sender.settimeout(40)
    answer = b""
    while part := slow_sender.recv(4096):
        answer += part

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408")
    assert {"error", "detail"} == set(json.loads(body))


# ------------------------------------------------------------------------------------------ starting


def refuse(home: Path, port: int = 0) -> str:
    """Run `bentoml serve`, which ends with one sentence, and return that."""
    port = port or free_port()
    done = run("bentoml", "serve", ".", "--host", "127.0.0.1", "--port", str(port), home=home)
    said = done.stdout + done.stderr

    assert done.returncode != 0
    assert "Traceback" not in said
    assert 1 == len(said.strip().splitlines())
    return said


def test_without_a_trained_model_the_start_says_what_to_do(tmp_path: Path) -> None:
    """An empty home ends the start with one sentence that names the command, and no traceback."""
    assert "run `loop train" in refuse(tmp_path)


def test_a_bad_setting_ends_the_start_with_its_name(tmp_path: Path) -> None:
    """A variable that can't be used ends the start with one sentence that names it."""
    done = run("bentoml", "serve", ".", "--port", str(free_port()), home=tmp_path, max_batch_rows="lots")
    said = done.stdout + done.stderr

    assert done.returncode != 0
    assert "PREDICTION_MAX_BATCH_ROWS" in said
    assert "Traceback" not in said


def test_a_second_server_on_a_home_leaves_the_first_alone(server: Server, specs: dict[str, Spec]) -> None:
    """A second start ends with one sentence that names the first one's process; its metrics go on."""
    server.post("/iris/predict", specs["iris"].example)
    before = {name: value for name, value in series(server).items() if name.startswith("prediction_p")}

    assert f"process {server.process.pid} serves {server.home}" in refuse(server.home)
    after = series(server)
    assert before == {name: after.get(name) for name in before}
    assert 200 == server.post("/iris/predict", specs["iris"].example).status_code


def test_a_port_that_is_taken_ends_the_start(server: Server, trained_home: Path, tmp_path: Path) -> None:
    """With one sentence that names it, and the option that gives another."""
    home = Path(shutil.copytree(trained_home, tmp_path / "home", symlinks=True))
    words = f"port {server.port} of 127.0.0.1: Address already in use: give another one by --port"

    assert words in refuse(home, server.port)


def test_a_version_trained_beside_a_server_is_served_by_it_and_after_a_restart(
    trained_home: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """`train.py` promotes what it saves: a running server swaps to it, and a restarted one serves it."""
    home = Path(shutil.copytree(trained_home, tmp_path / "home", symlinks=True))
    old = store.newest(home, "iris").version
    seen: set[str] = set()
    with Server(home) as first:
        stop = threading.Event()

        def ask() -> None:
            with httpx.Client(base_url=first.url) as client:
                while not stop.wait(0.01):
                    answer = client.post("/iris/predict", json=specs["iris"].example)
                    assert 200 == answer.status_code
                    seen.add(answer.json()["version"])

        asking = threading.Thread(target=ask)
        asking.start()
        done = run("python", "train.py", "iris", "--seed", "7", home=home)
        assert 0 == done.returncode, done.stderr
        new = store.newest(home, "iris").version
        eventually(lambda: new in seen and first.get("/models/iris").json()["agree"])
        stop.set()
        asking.join()
    with Server(home, workers=1) as second:
        answer = second.post("/iris/predict", specs["iris"].example).json()
        ledger = second.get("/models/iris").json()["ledger"]

    assert {old, new} == seen
    assert new == answer["version"]
    assert [("train", old, new), ("train", None, old)] == [
        (item["by"], item["from"], item["to"]) for item in ledger
    ]
