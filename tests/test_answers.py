"""Predictions over HTTP: what is answered, and how it is looked up. On a real server."""

from __future__ import annotations

import json
import re
import time
import uuid
from typing import Any

import httpx
import numpy as np
import pytest

from models_store import catalog, store
from models_store.spec import Spec
from prediction.retraining import datasets
from tests import kinds
from tests.servers import Server, problem, run, series

REFERENCE = """
import json
import bentoml
from models_store import catalog
from tests import kinds
found = {}
for name, spec in catalog.load().items():
    frame = spec.frame(spec.columns_of(spec.load()[0]))
    found[name] = kinds.ask(spec, bentoml.sklearn.load_model(f"{name}:latest"), frame).tolist()
print(json.dumps(found))
"""
SINGLES = 350
"""So many rows of a dataset are also sent one by one."""


@pytest.fixture(scope="module")
def reference(server: Server) -> dict[str, list[list[float]]]:
    """What BentoML's own way to load the newest models says of every row of their datasets."""
    done = run("python", "-c", REFERENCE, home=server.home)
    assert 0 == done.returncode, done.stderr
    return dict(json.loads(done.stdout))


def rows_of(spec: Spec) -> list[dict[str, Any]]:
    """Return every row of a spec's dataset as a client sends it."""
    columns = datasets.load(spec).columns
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def test_predict_answers_the_example_of_every_spec(server: Server, specs: dict[str, Spec]) -> None:
    """The example of the docs page gets an answer."""
    for name, spec in specs.items():
        answer = server.post(f"/{name}/predict", spec.example)
        assert answer.status_code == 200, answer.text
        assert set(spec.target.texts) == set(answer.json().get("probabilities", ()))


def test_an_answer_is_complete(server: Server, specs: dict[str, Spec]) -> None:
    """An answer has id, model, version, class, probabilities in class order, and warnings."""
    for name, spec in specs.items():
        if not kinds.predicts_classes(spec):
            continue
        answer = server.post(f"/{name}/predict", spec.example).json()

        expected = ["prediction_id", "model", "version", "predicted_class", "probabilities", "warnings"]
        assert expected == list(answer)
        assert (name, store.newest(server.home, name).version) == (answer["model"], answer["version"])
        assert list(spec.target.texts) == list(answer["probabilities"])
        assert 1 == pytest.approx(sum(answer["probabilities"].values()), abs=1e-6)
        assert max(answer["probabilities"].values()) == answer["probabilities"][answer["predicted_class"]]
        assert [] == answer["warnings"]


def test_a_number_is_complete(server: Server, specs: dict[str, Spec]) -> None:
    """An answer has id, model, version, number, unit, interval, and warnings."""
    for name, spec in specs.items():
        if kinds.predicts_classes(spec):
            continue
        answer = server.post(f"/{name}/predict", spec.example).json()

        expected = [
            "prediction_id",
            "model",
            "version",
            "predicted_value",
            "unit",
            "interval",
            "warnings",
        ]
        assert expected == list(answer)
        assert (name, store.newest(server.home, name).version) == (answer["model"], answer["version"])
        assert ["level", "low", "high"] == list(answer["interval"])
        assert answer["interval"]["low"] < answer["predicted_value"] < answer["interval"]["high"]
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
    """Alone and in a batch, each row's numbers are within the tolerance of the stored pipeline's."""
    rows, spec = rows_of(specs[name]), specs[name]
    batch = server.post(f"/{name}/predict_batch", rows).json()
    singles = [server.post(f"/{name}/predict", row).json() for row in rows[:SINGLES]]
    found = np.array([kinds.figures(spec, answer) for answer in [*batch, *singles]])
    expected = np.array([*reference[name], *reference[name][: len(singles)]])

    assert len(rows) == len(batch) == len(reference[name])
    np.testing.assert_allclose(found, expected, rtol=0, atol=kinds.tolerance(spec))
    if kinds.predicts_classes(spec):
        said = [spec.target.texts[best] for best in expected.argmax(axis=1)]
        assert said == [answer["predicted_class"] for answer in [*batch, *singles]]


def test_a_batch_is_answered_in_its_order(server: Server, specs: dict[str, Spec]) -> None:
    """The answers of a batch have the order of its rows."""
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


def test_a_prediction_can_be_looked_up(server: Server, specs: dict[str, Spec]) -> None:
    """An answer's id leads to what was asked and answered, whichever worker is asked."""
    for name, spec in specs.items():
        answer = server.post(f"/{name}/predict", spec.example).json()
        for _ in range(4):
            found = httpx.get(f"{server.url}/{name}/predictions/{answer['prediction_id']}").json()
            assert answer == {key: found[key] for key in answer}
            assert spec.example == found["features"]
            assert found["metrics"].get("accuracy", found["metrics"].get("r2")) > 0.8
            assert re.fullmatch("[0-9a-f]{64}", found["data_digest"])


def test_an_unknown_prediction_is_not_found(server: Server, specs: dict[str, Spec]) -> None:
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
