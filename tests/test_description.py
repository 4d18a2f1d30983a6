"""The description of the routes: BentoML's clients, `docs.json` and the docs page. On a real server."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema

from models_store.spec import Spec
from tests.servers import Server, run

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
    """The docs page's "try it" of a prediction gets an answer that fits its schema."""
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
    """The answer of a GET has exactly the fields that `docs.json` lists."""
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


def test_a_prefix_from_a_client_is_ignored(server: Server) -> None:
    """A server that names no trusted proxy believes nobody, not even on its own machine."""
    document = server.client.get("/docs.json", headers={"X-Forwarded-Prefix": "/elsewhere"}).json()

    assert [{"url": "."}] == document["servers"]


def test_the_docs_page_loads_nothing_from_outside(server: Server) -> None:
    """The page and its first script name no other host, so no other host learns who reads it."""
    page = server.get("/")
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)

    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'; script-src 'self';" in page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert files
    assert "//" not in page.text.replace("</", "")
    for file in files:
        assert file.startswith("./static_content/")
        assert 200 == server.get(file[1:]).status_code
    assert "googletagmanager" not in page.text + server.get("/static_content/swagger-initializer.js").text
