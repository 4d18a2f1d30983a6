"""The GET routes on a real store and a real journal, in this process."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from models_store import store
from models_store.spec import Spec
from prediction import metrics
from prediction.http import bodies
from prediction.http.calls import Call
from prediction.http.entrance import Entrance
from prediction.http.resources import Resources
from prediction.journal import feedback, ledger, runs, workers
from prediction.journal.database import Journal
from prediction.journal.feedback import Label
from prediction.journal.ledger import NewChampion
from prediction.journal.predictions import Inserter, Prediction
from prediction.journal.runs import Ending
from prediction.serving import predictor, preparing
from prediction.times import now_us
from tests.serving.test_predictor import copy_version


async def nobody(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Answer nothing: what stands behind the entrance is not asked here."""
    raise AssertionError("only resources are asked")


def nothing(spec: Spec) -> Call:
    """Make a call of a model that is not asked here: the entrance knows the models by their calls."""

    async def run(_: object) -> None:
        raise AssertionError("only resources are asked")

    return Call(spec.name, "nothing", "", spec.rows, bodies.answer(spec), spec.example, run)


@dataclass(frozen=True)
class World:
    """A prepared home, its journal, and a way to ask its resources."""

    home: Path
    journal: Journal
    specs: dict[str, Spec]

    def get(self, path: str, method: str = "GET") -> httpx.Response:
        """Ask for a path as a client would."""
        routes = Resources(self.specs, self.home, self.journal).routes()
        calls = {call.path: call for call in map(nothing, self.specs.values())}
        app = Entrance(app=nobody, calls=calls, resources=routes, max_body_bytes=1, max_in_flight=1)

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path)

        return asyncio.run(ask())

    def predict(self, name: str) -> Prediction:
        """Answer and record the example of a spec."""
        spec = self.specs[name]
        version = store.newest(self.home, name)
        loaded = predictor.load(spec, version, version.digest)
        (answer,) = loaded.predict([spec.rows.object(spec.example)])
        writer = Inserter(self.journal)
        writer.insert([answer])
        writer.close()
        return answer


@pytest.fixture
def world(specs: dict[str, Spec], home: Path) -> Iterator[World]:
    """A home whose ledger begins with this test."""
    for path in home.glob("journal.db*"):
        path.unlink()
    journal = Journal(f"sqlite:///{home / 'journal.db'}")
    preparing.prepare(specs, home, journal, [])
    yield World(home, journal, specs)
    journal.close()


def moment(text: str) -> datetime:
    """Read a time, which must be ISO 8601 in UTC."""
    read = datetime.fromisoformat(text)
    assert UTC.utcoffset(None) == read.utcoffset()
    return read


# ------------------------------------------------------------------------------------------ models


def test_models_lists_every_spec(world: World) -> None:
    """`GET /models` describes each model as `GET /models/{model}` does."""
    answer = world.get("/models").json()

    assert {"models"} == set(answer)
    assert list(world.specs) == [item["name"] for item in answer["models"]]
    for item in answer["models"]:
        assert item == world.get(f"/models/{item['name']}").json()


def test_a_model_shows_champion_versions_ledger_and_workers(world: World) -> None:
    """One model's description has all that an operator asks for first."""
    newest = store.newest(world.home, "iris")

    answer = world.get("/models/iris").json()

    expected = {"name", "title", "fault", "champion", "versions", "ledger", "next", "workers", "agree"}
    assert expected == set(answer)
    assert newest.version == answer["champion"]
    (version,) = answer["versions"]
    assert {"version", "created_at", "runtime", "decision", "metrics", "verdict", "origin"} == set(version)
    assert (newest.version, "onnx", None) == (version["version"], version["runtime"], version["verdict"])
    assert newest.metrics == version["metrics"]
    assert newest.created_at == moment(version["created_at"])


def test_a_promotion_is_shown_in_words_that_people_use(world: World) -> None:
    """An entry of the ledger says from which version to which, why, by whom and when."""
    (entry,) = world.get("/models/iris").json()["ledger"]

    assert {"model", "from", "to", "reason", "by", "at"} == set(entry)
    assert ("iris", None, "first start", "server") == (
        entry["model"],
        entry["from"],
        entry["reason"],
        entry["by"],
    )
    assert abs((datetime.now(UTC) - moment(entry["at"])).total_seconds()) < 60


def test_lists_are_newest_first_and_limited(world: World) -> None:
    """Versions and ledger begin with the newest, and are no longer than asked for."""
    made = [copy_version(store.newest(world.home, "iris"), world.home, lambda _: None) for _ in range(3)]
    for version in made:
        ledger.promote(
            world.journal, NewChampion("iris", version.version, version.digest, by="test", reason="because")
        )
    newest_first = [version.version for version in made[::-1]]

    whole, two = world.get("/models/iris").json(), world.get("/models/iris?limit=2").json()

    assert newest_first == [item["version"] for item in whole["versions"]][:3]
    assert newest_first == [item["to"] for item in whole["ledger"]][:3]
    assert newest_first[:2] == [item["version"] for item in two["versions"]]
    assert newest_first[:2] == [item["to"] for item in two["ledger"]]
    assert newest_first[0] == two["champion"]


def test_the_ledger_is_read_on_by_its_cursor(world: World) -> None:
    """Following `next` until there is none gives every promotion once."""
    for number in range(6):
        ledger.promote(
            world.journal, NewChampion("iris", f"v{number}", "d" * 64, by="test", reason="because")
        )

    pages, before = [], ""
    while True:
        answer = world.get(f"/models/iris?limit=3{before}").json()
        pages.append([item["to"] for item in answer["ledger"]])
        if answer["next"] is None:
            break
        before = f"&before={answer['next']}"

    first = store.newest(world.home, "iris").version
    assert [["v5", "v4", "v3"], ["v2", "v1", "v0"], [first]] == pages


def test_runs_and_predictions_are_read_on_by_their_cursor(world: World) -> None:
    """A full page names the last of its rows as `next`; a page that is not full has no `next`."""
    predicted = [world.predict("iris").prediction_id for _ in range(3)][::-1]
    started: list[str] = []
    for _ in range(3):
        run, _ = runs.request(world.journal, "iris", force=True)
        runs.finish(world.journal, run.run_id, Ending("failed", "on purpose"))
        started.insert(0, run.run_id)

    for name, key, ids in (("predictions", "prediction_id", predicted), ("runs", "run_id", started)):
        first = world.get(f"/iris/{name}?limit=2").json()
        last = world.get(f"/iris/{name}?limit=2&before={first['next']}").json()

        assert (ids[:2], ids[1]) == ([item[key] for item in first[name]], first["next"])
        assert (ids[2:], None) == ([item[key] for item in last[name]], last["next"])


def test_a_cursor_that_is_no_id_is_refused(world: World) -> None:
    """The message names the parameter and says where its value comes from."""
    for path in ("/iris/runs", "/iris/predictions"):
        answer = world.get(f"{path}?before=yesterday")

        assert 400 == answer.status_code
        assert "before must be the `next` value of the previous page" == answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/models/iris?limi=2", "limi is not a parameter: the parameters are limit, before"),
        ("/models/iris?limit=2&limit=3", "limit is given more than once"),
        ("/models/iris?limit=2&=3", " is not a parameter: the parameters are limit, before"),
        ("/iris/monitoring?windw=7d", "windw is not a parameter: the parameters are window"),
        ("/iris/runs/x?limit=1", "limit is not a parameter: this path has none"),
        ("/iris/predictions?label=setosa", "label is not a parameter: the parameters are limit, before"),
    ],
)
def test_a_parameter_that_is_not_known_is_told(world: World, path: str, words: str) -> None:
    """A name that was misspelt would else be left out in silence."""
    answer = world.get(path)

    assert (400, words) == (answer.status_code, answer.json()["error"])
    assert words.partition(" ")[0] == answer.json()["detail"][0]["loc"][0]


@pytest.mark.parametrize(
    "query",
    [
        *(
            "limit=0",
            "limit=-1",
            "limit=x",
            "limit=1.5",
            "limit=",
            "limit=1001",
            "limit=1000000",
            "limit=%D9%A3",
        ),
        *("before=0", "before=x", "limit=99999999999999999999", "limit=00000000015x"),
    ],
)
def test_a_wrong_cursor_or_limit_is_told_by_its_name(world: World, query: str) -> None:
    """A query that is no whole number in range is invalid input, and says which it is."""
    answer = world.get(f"/models/iris?{query}")

    name = query.partition("=")[0]
    assert 400 == answer.status_code
    assert [[name]] == [item["loc"] for item in answer.json()["detail"]]
    assert name in answer.json()["error"]


@pytest.mark.parametrize("path", ["/models", "/models/iris", "/iris/runs", "/iris/predictions"])
def test_no_list_is_longer_than_fits_an_answer(world: World, path: str) -> None:
    """A thousand at a time are given, no more, and the description says so."""
    resources = Resources(world.specs, world.home, world.journal)
    limits = [
        parameter["schema"]
        for parameter in resources.operations()[0][path.replace("iris", "{model}")]["parameters"]
        if parameter["name"] == "limit"
    ]

    assert 200 == world.get(f"{path}?limit=1000").status_code
    assert 400 == world.get(f"{path}?limit=1001").status_code
    assert "limit must be a whole number from 1 to 1000" == world.get(f"{path}?limit=1001").json()["error"]
    assert [{"type": "integer", "minimum": 1, "maximum": 1000, "default": 50}] == limits


def test_zeros_before_a_number_mean_nothing(world: World) -> None:
    """A number with zeros before it is that number."""
    for number in range(3):
        ledger.promote(
            world.journal, NewChampion("iris", f"v{number}", "d" * 64, by="test", reason="because")
        )

    assert 3 == len(world.get("/models/iris?limit=000000000003").json()["ledger"])


def test_workers_that_serve_another_version_are_seen(world: World) -> None:
    """`agree` says whether every worker serves the champion; each is listed with what it serves."""
    champion = world.get("/models/iris").json()["champion"]
    workers.report(world.journal, "left", 1, {"iris": (champion, 1_000_000)})
    agreeing = world.get("/models/iris").json()
    workers.report(world.journal, "right", 2, {"iris": ("old", 2_000_000)})
    disagreeing = world.get("/models/iris").json()

    left = {"host": "left", "worker": 1, "version": champion, "since": "1970-01-01T00:00:01.000000+00:00"}
    right = {"host": "right", "worker": 2, "version": "old", "since": "1970-01-01T00:00:02.000000+00:00"}
    assert ([left], True) == (agreeing["workers"], agreeing["agree"])
    assert ([left, right], False) == (disagreeing["workers"], disagreeing["agree"])


def test_a_worker_that_fell_silent_is_not_shown(world: World) -> None:
    """A worker that was killed is no longer listed after a while."""
    workers.report(world.journal, "left", 1, {"iris": ("old", 1)})
    with closing(sqlite3.connect(world.home / "journal.db")) as connection, connection:
        silent_since = now_us() - workers.SILENCE_US - 1_000_000
        connection.execute("UPDATE workers SET seen_us = ?", (silent_since,))

    answer = world.get("/models/iris").json()

    assert ([], False) == (answer["workers"], answer["agree"])


def test_a_worker_that_serves_none_agrees_with_nobody(world: World) -> None:
    """A worker that can load no version of a model is listed, with null in its place."""
    workers.report(world.journal, "left", 1, {"iris": ("", 1)})

    answer = world.get("/models/iris").json()

    assert ([None], False) == ([worker["version"] for worker in answer["workers"]], answer["agree"])


# -------------------------------------------------------------------------------------- predictions


def test_a_prediction_is_shown_with_its_version(world: World) -> None:
    """A lookup gives what was asked and answered, and the figures of the version that answered."""
    made = world.predict("penguins")
    version = store.newest(world.home, "penguins")

    answer = world.get(f"/penguins/predictions/{made.prediction_id}").json()

    assert {
        "prediction_id": made.prediction_id,
        "at": answer["at"],
        "model": "penguins",
        "version": version.version,
        "features": world.specs["penguins"].example,
        "predicted_class": made.predicted_class,
        "probabilities": made.read_probabilities(),
        "warnings": [],
        "metrics": version.metrics,
        "data_digest": version.metadata["data_digest"],
        "feedback": None,
    } == answer
    assert made.at_us == round(moment(answer["at"]).timestamp() * 1e6)


def test_a_prediction_is_shown_with_its_labels(world: World) -> None:
    """Feedback stands beside the prediction, with every label that was replaced, newest first."""
    made = str(world.predict("iris").prediction_id)
    for label in ("setosa", "virginica", "versicolor"):
        feedback.give(world.journal, "iris", [Label(made, label, correct=True)])

    answer = world.get(f"/iris/predictions/{made}").json()["feedback"]

    assert {"label", "at", "history"} == set(answer)
    assert "versicolor" == answer["label"]
    assert ["virginica", "setosa"] == [old["label"] for old in answer["history"]]
    for old in answer["history"]:
        assert moment(old["at"]) <= moment(old["replaced_at"]) <= moment(answer["at"])


def test_a_prediction_outlives_its_version(world: World) -> None:
    """When the version that answered was deleted, the prediction tells still what that was trained on."""
    made = world.predict("iris")
    version = store.newest(world.home, "iris")
    shutil.rmtree(version.path)

    answer = world.get(f"/iris/predictions/{made.prediction_id}").json()

    assert made.predicted_class == answer["predicted_class"]
    assert (None, version.data_digest) == (answer["metrics"], answer["data_digest"])


def test_a_prediction_is_found_under_its_own_model_only(world: World) -> None:
    """An id of another model is as unknown as one that nobody was given."""
    made = world.predict("iris")

    answer = world.get(f"/penguins/predictions/{made.prediction_id}")

    assert 404 == answer.status_code
    assert [] == answer.json()["detail"]


@pytest.mark.parametrize(
    "unknown", ["x", "%00", "%FF%FE", "%ED%A0%80", "' OR 1=1 --", "01a20576-e6f4-7194-8645-000000000001"]
)
def test_an_unknown_prediction_is_not_found(world: World, unknown: str) -> None:
    """Whatever stands in the place of an id, an unknown one is a 404 in the common shape."""
    answer = world.get(f"/iris/predictions/{unknown}")

    assert 404 == answer.status_code
    assert {"error", "detail"} == set(answer.json())


def test_no_cache_keeps_rows(world: World) -> None:
    """Predictions are not to be stored on the way; figures may be."""
    made = world.predict("iris")

    for path in ("/iris/predictions", f"/iris/predictions/{made.prediction_id}"):
        assert "no-store" == world.get(path).headers["cache-control"]
    assert "cache-control" not in world.get("/models/iris").headers


# -------------------------------------------------------------------------------------- every route


@pytest.mark.parametrize(
    "path", ["/models/tulips", "/tulips/predictions/x", "/tulips/runs", "/tulips/runs/x"]
)
def test_an_unknown_model_lists_the_known_ones(world: World, path: str) -> None:
    """A model that does not exist is a 404 that says which do."""
    answer = world.get(path)

    assert 404 == answer.status_code
    assert answer.json()["error"].endswith(f"the models are {', '.join(world.specs)}")


def test_every_route_is_described(world: World) -> None:
    """Each route has its operation, with a parameter for each part of its path, and the errors."""
    resources = Resources(world.specs, world.home, world.journal)
    described, _ = resources.operations()

    assert [route.path for route in resources.routes()] == list(described)  # type: ignore[attr-defined]
    for path, operation in described.items():
        in_path = [part["name"] for part in operation["parameters"] if part["in"] == "path"]
        assert [part[1:-1] for part in path.split("/") if part.startswith("{")] == in_path
        assert operation["summary"]
        assert {200, 400, 500, 503} <= set(operation["responses"])
        assert in_path == [] or 404 in operation["responses"]


def test_asking_changes_nothing(world: World) -> None:
    """No GET writes to the journal."""
    made = world.predict("iris")
    with closing(sqlite3.connect(world.home / "journal.db")) as connection:
        before = list(connection.iterdump())
        for path in ("/models", "/models/iris", f"/iris/predictions/{made.prediction_id}", "/models/x"):
            world.get(path)
            world.get(path, "HEAD")
        assert before == list(connection.iterdump())


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize(
    "path", ["/models", "/models/iris", "/iris/predictions/x", "/iris/runs", "/iris/runs/x"]
)
def test_only_reading_is_allowed(world: World, path: str, method: str) -> None:
    """Any other method is refused, with those that are allowed."""
    answer = world.get(path, method)

    assert 405 == answer.status_code
    assert "GET, HEAD" == answer.headers["allow"]


@pytest.mark.parametrize(
    ("path", "model", "reason"),
    [
        ("/iris/monitoring?window=bad", "iris", "invalid"),
        ("/iris/runs/x", "iris", "not_found"),
        ("/models/iris?limit=x", "iris", "invalid"),
        ("/nope/monitoring?window=bad", "", "not_found"),
        ("/models/nope", "", "not_found"),
        ("/models?limit=x", "", "invalid"),
    ],
)
def test_a_refusal_is_counted_under_the_model_that_the_path_names(
    world: World, path: str, model: str, reason: str
) -> None:
    """Where there is such a model: names that strangers think of add no series."""

    def counted() -> dict[tuple[str, str], float]:
        samples = next(iter(metrics.REFUSED.collect())).samples
        return {(s.labels["model"], s.labels["reason"]): s.value for s in samples if "_total" in s.name}

    before = counted()
    world.get(path)
    after = counted()

    assert {(model, reason): 1} == {
        key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key, 0)
    }
    assert {"", *world.specs} >= {name for name, _ in after.keys() - before.keys()}


@pytest.mark.parametrize(
    "path", ["/models", "/models/iris", f"/iris/predictions/{'0' * 8}-" + "0000-" * 3 + "0" * 12]
)
def test_a_journal_that_fails_is_told_to_be_tried_again(world: World, path: str) -> None:
    """When the journal does not answer, so does the route, with the time to wait, and no words of SQL."""
    with closing(sqlite3.connect(world.home / "journal.db")) as connection:
        for table in ("ledger", "predictions", "workers"):
            connection.execute(f"DROP TABLE {table}")

    answer = world.get(path)

    assert (503, "1") == (answer.status_code, answer.headers["retry-after"])
    assert "table" not in answer.text
    assert {"error", "detail"} == set(answer.json())
