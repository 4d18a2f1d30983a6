"""A model of each kind of feature goes through the whole loop, with real processes."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests import odd_bodies, tensors
from tests.servers import PROJECT, Server, run, train
from tests.timing import eventually
from tests.zoo import choices, cities, counts, flags, flights, notes, times

ZOO = {each.SPEC.name: each.SPEC for each in (choices, cities, counts, flags, flights, notes, times)}
COMPILED = set(ZOO) - {"choices"}
"""No converter gives trees a category of pandas."""

ADMIN = {"authorization": "Bearer a-token-of-tests"}
UNLIKE: dict[str, tuple[dict[str, Any], str]] = {
    "choices": ({"age": 119.0}, "119 is above the training range"),
    "cities": ({"city": "Wien"}, "Wien is not in the training data (which has"),
    "counts": ({"visits": 900}, "900 is above the training range"),
    "flags": ({"age": 1}, "1 is below the training range"),
    "flights": ({"tail": "N1", "distance_mi": 50}, "50 is below the training range"),
    "notes": ({"note": "Ein ganz anderer Satz"}, "100% of its words are not in the training data"),
    "times": ({"called_at": "2031-12-31"}, "month 12: not in the training data"),
}
"""A change of the example that is possible but unlike the training data, and the warning."""


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the specs into a catalog: a package of tests is none."""
    folder = tmp_path_factory.mktemp("zoo")
    for name in ZOO:
        shutil.copy(PROJECT / "tests" / "zoo" / f"{name}.py", folder)
    return folder


@pytest.fixture(scope="module")
def home(catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train all of them."""
    home = tmp_path_factory.mktemp("home")
    train(home, catalog)
    return home


@pytest.fixture(scope="module")
def server(home: Path, catalog: Path) -> Iterator[Server]:
    """Serve all of them."""
    with Server(home, workers=1, catalog=catalog, admin_token="a-token-of-tests") as running:
        yield running


@pytest.fixture(scope="module")
def fresh(home: Path, catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve all of them to the test of drift alone: rows that others send repeatedly would be drift."""
    own = tmp_path_factory.mktemp("fresh")
    shutil.copytree(home / "models", own / "models", symlinks=True)
    with Server(own, workers=1, catalog=catalog, admin_token="a-token-of-tests") as running:
        yield running


def plain(name: str, X: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame as the validator leaves them."""
    spec = ZOO[name]
    columns = spec.columns_of(X)
    rows = (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
    return [spec.rows.object(row).model_dump() for row in rows]


@pytest.mark.parametrize("name", list(ZOO))
def test_rows_are_answered_and_found_again(server: Server, name: str) -> None:
    """The features are stored as they were sent, told in one way; a missing one is null."""
    rows = plain(name, ZOO[name].load()[0][:40])
    answers = server.post(f"/{name}/predict_batch", rows)
    assert 200 == answers.status_code, answers.text
    found = server.client.get(f"/{name}/predictions/{answers.json()[0]['prediction_id']}", headers=ADMIN)

    assert rows[0] == found.json()["features"]


@pytest.mark.parametrize("name", list(ZOO))
def test_every_kind_compiles(server: Server, name: str) -> None:
    """Texts too, with a vectoriser as it is by default; categories do with an encoder."""
    (version,) = server.client.get(f"/models/{name}", headers=ADMIN).json()["versions"]

    assert ("onnx" if name in COMPILED else "scikit-learn") == version["runtime"]


@pytest.mark.parametrize("name", list(ZOO))
def test_a_value_unlike_the_training_data_is_answered_with_a_warning(server: Server, name: str) -> None:
    """In words of its kind; the value itself is in no metric."""
    changes, words = UNLIKE[name]
    answer = server.post(f"/{name}/predict", ZOO[name].example | changes).json()

    assert [words] == [
        each["msg"][: len(words)] for each in answer["warnings"] if each["loc"][0] == list(changes)[-1]
    ]
    assert not [
        value
        for value in changes.values()
        if isinstance(value, str) and value in server.get("/metrics").text
    ]


@pytest.mark.parametrize("name", list(ZOO))
def test_files_say_the_same_as_http(
    server: Server, home: Path, catalog: Path, name: str, tmp_path: Path
) -> None:
    """CSV, JSON Lines and Parquet, scored here or by the server, and the exported labels."""
    rows = plain(name, ZOO[name].load()[0][:60])
    expected = [each["predicted_class"] for each in server.post(f"/{name}/predict_batch", rows).json()]
    frame = pd.DataFrame(rows)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    frame.to_parquet(tmp_path / "rows.parquet", index=False)
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for source, more in (("csv", ()), ("jsonl", ()), ("parquet", ()), ("csv", ("--server", server.url))):
        command = ("score", name, str(tmp_path / f"rows.{source}"), str(tmp_path / "scored.parquet"), *more)
        done = run("python", "-m", "prediction", *command, home=home, catalog=catalog)
        assert 0 == done.returncode, done.stderr
        scored = pd.read_parquet(tmp_path / "scored.parquet")

        assert expected == scored["predicted_class"].tolist()
        for feature in ZOO[name].inputs:
            assert [row[feature] for row in rows] == [
                None if value is None or value != value else value for value in scored[feature].tolist()
            ]


@pytest.mark.parametrize("name", list(ZOO))
def test_the_loop_is_closed(fresh: Server, catalog: Path, name: str, tmp_path: Path) -> None:
    """Labels are given and exported, drift is told, a retraining is judged, and the page shows it all."""
    X, y = ZOO[name].load()
    rows = plain(name, X[:120])
    answers = fresh.post(f"/{name}/predict_batch", rows).json()
    labels = [
        {"prediction_id": answer["prediction_id"], "label": label}
        for answer, label in zip(answers, y[:120].tolist(), strict=True)
    ]
    assert {"recorded"} == {each["status"] for each in fresh.post(f"/{name}/feedback_batch", labels).json()}
    exported = tmp_path / "labels.parquet"
    done = run(
        "python", "-m", "prediction", "export", name, str(exported), home=fresh.home, catalog=catalog
    )
    assert 0 == done.returncode, done.stderr
    kept = pd.read_parquet(exported).set_index("prediction_id").loc[labels[0]["prediction_id"]]
    health = fresh.client.get(f"/{name}/monitoring", headers=ADMIN).json()
    started = fresh.client.post(f"/{name}/retrain", json={"force": True}, headers=ADMIN)
    assert 202 == started.status_code, started.text

    def ended() -> bool:
        (newest, *_) = fresh.client.get(f"/{name}/runs", headers=ADMIN).json()["runs"]
        return newest["status"] in ("promoted", "rejected")

    eventually(ended, seconds=200)
    assert [rows[0][each] for each in ZOO[name].inputs] == [
        None if kept[each] is None or kept[each] != kept[each] else kept[each] for each in ZOO[name].inputs
    ]
    assert set(ZOO[name].inputs) == set(health["versions"][0]["quality"]["features"])
    drifted = {item["name"] for item in health["versions"][0]["drift"] if item["state"] == "drifted"}
    # These rows were trained on, and the profile has answers to unseen rows, with cities that are new.
    assert ({"predicted class"} if name == "cities" else set()) == drifted
    assert 200 == fresh.client.get(f"/dashboard?model={name}", headers=ADMIN).status_code


def test_text_is_in_no_log_and_in_no_metric(server: Server) -> None:
    """Neither that of a good row nor that of a bad one."""
    secret = "Frau-Schmidt-Hauptstraße"
    server.post("/notes/predict", {"note": secret})
    server.post("/notes/predict", {"note": secret + "\0"})
    server.post("/notes/predict", {"note": 600 * secret, "more": secret})

    assert secret not in server.read_log()
    assert secret not in server.get("/metrics").text


@pytest.mark.parametrize("name", list(ZOO))
def test_no_body_breaks_a_kind(server: Server, name: str) -> None:
    """Odd bodies get an answer or a short 400; `benchmarks.kinds` sends ten thousand to each."""
    bodies = 1_000 if name in COMPILED else 100  # scikit-learn needs long for a row
    requests = [(f"/{name}/{route}", body) for route, body in odd_bodies.draw(ZOO[name], bodies)]
    found = Counter(odd_bodies.statuses(server.port, requests))

    assert {200, 400} == set(found), found
    assert bodies == found.total()


@pytest.mark.parametrize("name", list(ZOO))
def test_tensors_say_the_same_as_rows(server: Server, name: str) -> None:
    """In JSON and in binary, whatever the kind, and whatever is missing; odd tensors get a short 400."""
    rows = plain(name, ZOO[name].load()[0][:60])
    expected = server.post(f"/{name}/predict_batch", rows).json()
    inputs = tensors.tensors(ZOO[name], rows)
    raw, head = tensors.binary(inputs, parameters={"binary_data_output": True})
    in_binary = server.client.post(f"/v2/models/{name}/infer", content=raw, headers=head)
    in_json = server.client.post(f"/v2/models/{name}/infer", content=json.dumps({"inputs": inputs}))
    assert 200 == in_binary.status_code == in_json.status_code, in_json.text
    answers = [
        tensors.unpack(in_json.content, {}),
        tensors.unpack(in_binary.content, {tensors.LENGTH: in_binary.headers[tensors.LENGTH]}),
    ]
    for answer in answers:
        label, probabilities = answer["outputs"]
        first = answer["parameters"]["prediction_ids"].split(",")[0]
        found = server.client.get(f"/{name}/predictions/{first}", headers=ADMIN).json()

        assert [each["predicted_class"] for each in expected] == label["data"]
        assert [p for each in expected for p in each["probabilities"].values()] == probabilities["data"]
        assert rows[0] == found["features"]

    count = 300 if name in COMPILED else 30
    requests = [(f"/v2/models/{name}/infer", *each) for each in tensors.draw(ZOO[name], count)]
    assert {200, 400} == set(odd_bodies.statuses(server.port, requests))
