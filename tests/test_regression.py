"""A model that predicts a number goes through the whole loop, with real processes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bentoml
import numpy as np
import pandas as pd
import pytest

from models_store import store
from models_store.catalog import planes
from models_store.spec import QuantityRules
from tests import documents, rents
from tests.servers import PROJECT, Server, problem, run, series
from tests.timing import eventually

PAGE = PROJECT / "docs" / "regression.md"
TOKEN = "a-token-of-more-than-sixteen-letters"
ENDED = ("promoted", "rejected", "failed", "cancelled", "interrupted")


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a catalog of one model."""
    folder = tmp_path_factory.mktemp("catalog")
    shutil.copy(PROJECT / "tests" / "rents.py", folder / "rents.py")
    return folder


@pytest.fixture(scope="module")
def running(catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Train the model, and serve it."""
    home = tmp_path_factory.mktemp("home")
    done = run("python", "-m", "prediction", "train", home=home, catalog=catalog)
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "mean absolute error" in done.stdout
    with Server(home, workers=2, catalog=catalog, min_outcomes=20, admin_token=TOKEN) as server:
        server.client.headers["authorization"] = f"Bearer {TOKEN}"
        yield server


def loop(server: Server, catalog: Path, *words: str) -> str:
    """Run a command on the server's home, and return what it prints."""
    done = run("python", "-m", "prediction", *words, home=server.home, catalog=catalog)
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def as_rows(X: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as JSON has them."""
    return [
        {name: None if value != value else value for name, value in row.items()}
        for row in X.to_dict("records")
    ]


def predict(server: Server, X: pd.DataFrame) -> list[dict[str, Any]]:
    """Let the server answer rows."""
    answer = server.post("/rents/predict_batch", as_rows(X))
    assert 200 == answer.status_code, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def give(server: Server, answers: list[dict[str, Any]], labels: Any) -> None:
    """Give labels; all are taken."""
    body = [
        {"prediction_id": answer["prediction_id"], "label": float(label)}
        for answer, label in zip(answers, labels, strict=True)
    ]
    found = server.post("/rents/feedback_batch", body).json()
    assert {"recorded"} == {each["status"] for each in found}, found


def retrain(server: Server) -> dict[str, Any]:
    """Ask for a retraining, and return it once it has ended."""
    run_id = server.post("/rents/retrain", {}).json()["run_id"]
    path = f"/rents/runs/{run_id}"
    eventually(lambda: server.get(path).json()["status"] in ENDED, 120)
    found: dict[str, Any] = server.get(path).json()
    return found


def test_the_page_is_true(running: Server) -> None:
    """Its block runs, its answer has the fields of a real one, and its tables are complete."""
    scope: dict[str, Any] = {}
    exec(documents.blocks(PAGE, "python")[0], scope)
    assert planes.SPEC.target == scope["target"]

    shown = json.loads(documents.blocks(PAGE, "json")[0])
    (answer,) = predict(running, rents.draw(1, 12)[0])
    assert (list(shown), list(shown["interval"])) == (list(answer), list(answer["interval"]))
    limits = dict(re.findall(r"`(\w+)=([\d.]+)` \|", PAGE.read_text()))
    defaults = {name: str(value) for name, value in vars(QuantityRules()).items() if name != "min_rows"}
    assert defaults == limits
    (figures,) = running.get("/rents/monitoring?window=1h").json()["versions"]
    named = set(re.findall(r"`(\w+)`", PAGE.read_text().partition("| field | meaning |")[2]))
    assert {name for name in figures if "mae" in name or "against" in name} | {"bias", "r2"} <= named


def test_an_answer_is_a_number_with_its_interval(running: Server) -> None:
    """What the pipeline predicts; the story of the prediction repeats it."""
    X, _ = rents.draw(50, 1)
    answers = predict(running, X)
    (version,) = store.versions(running.home, "rents")
    expected = store.load_pipeline(version, version.digest).predict(
        rents.SPEC.frame(rents.SPEC.columns_of(X))
    )
    first = answers[0]

    assert "onnx" == version.runtime
    np.testing.assert_allclose(expected, [each["predicted_value"] for each in answers], rtol=1e-4)
    assert {"prediction_id", "model", "version", "predicted_value", "unit", "interval", "warnings"} == set(
        first
    )
    assert ("CHF", 0.9) == (first["unit"], first["interval"]["level"])
    assert first["interval"]["low"] < first["predicted_value"] < first["interval"]["high"]
    story = running.get(f"/rents/predictions/{first['prediction_id']}").json()
    assert {**first, "feedback": None}.items() <= story.items()
    assert story["metrics"]["mae"] == version.metrics["mae"]


@pytest.mark.parametrize("label", [True, "1500", None, 99, 6001, 1e300, [1]])
def test_a_label_that_is_no_number_of_the_range_is_refused(running: Server, label: Any) -> None:
    """With a 400 that names it: nobody can poison the data with absurd numbers."""
    (answer,) = predict(running, rents.draw(1, 2)[0])
    body = {"prediction_id": answer["prediction_id"], "label": label}

    found = problem(running.post("/rents/feedback", body), 400)
    assert "label: must be a number from 100 to 6000 CHF" in found["error"]
    assert (400, "label") == (
        running.post("/rents/feedback_batch", [body]).status_code,
        found["detail"][0]["loc"][0],
    )


@pytest.mark.parametrize("raw", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", '"NaN"', "true"])
def test_poisoned_numbers_are_refused_as_they_are_written(running: Server, raw: str) -> None:
    """What is no JSON but passes many parsers gets a 400, alone and in a batch, and is no label."""
    (answer,) = predict(running, rents.draw(1, 2)[0])
    body = f'{{"prediction_id": "{answer["prediction_id"]}", "label": {raw}}}'
    for path, content in (("feedback", body), ("feedback_batch", f"[{body}]")):
        sent = running.client.post(
            f"/rents/{path}", content=content, headers={"content-type": "application/json"}
        )
        assert problem(sent, 400)["error"].startswith("invalid input for feedback")

    assert running.get(f"/rents/predictions/{answer['prediction_id']}").json()["feedback"] is None


def test_a_label_can_be_corrected(running: Server) -> None:
    """1500 and 1500.0 are one label; another one needs `correct`."""
    (answer,) = predict(running, rents.draw(1, 3)[0])
    body = {"prediction_id": answer["prediction_id"], "label": 1500}

    assert "recorded" == running.post("/rents/feedback", body).json()["status"]
    assert "unchanged" == running.post("/rents/feedback", body | {"label": 1500.0}).json()["status"]
    assert 409 == running.post("/rents/feedback", body | {"label": 1600}).status_code
    corrected = running.post("/rents/feedback", body | {"label": 1600, "correct": True}).json()
    assert ("corrected", 1600.0) == (corrected["status"], corrected["label"])
    told = running.get(f"/rents/predictions/{answer['prediction_id']}").json()["feedback"]
    assert (1600.0, [1500.0]) == (told["label"], [old["label"] for old in told["history"]])


def test_bentomls_client_knows_the_types(running: Server) -> None:
    """Its methods are made of the description of the service."""
    with bentoml.SyncHTTPClient(running.url) as client:
        made = client.rents_predict(area=80.0, rooms=None, town="Bex")
        given = client.rents_feedback(prediction_id=made["prediction_id"], label=1500.0)
    schemas = running.get("/docs.json").json()["components"]["schemas"]

    assert (float, "recorded") == (type(made["predicted_value"]), given["status"])
    assert {"minimum": 100, "maximum": 6000}.items() <= schemas["RentsFeedback"]["properties"][
        "label"
    ].items()


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_files_are_scored_as_requests_are(
    running: Server, catalog: Path, tmp_path: Path, kind: str
) -> None:
    """Here and by the server, with the same columns."""
    X, _ = rents.draw(30, 4)
    X.to_parquet(tmp_path / "rows.parquet")
    expected = predict(running, X)
    found = {}
    for name, more in (("here", ()), ("there", ("--server", running.url))):
        path = tmp_path / f"{name}.{kind}"
        loop(running, catalog, "score", "rents", str(tmp_path / "rows.parquet"), str(path), *more)
        read = {"csv": pd.read_csv, "jsonl": lambda path: pd.read_json(path, lines=True)}
        found[name] = read.get(kind, pd.read_parquet)(path)

    for frame in found.values():
        for column, values in {
            "predicted_value": [each["predicted_value"] for each in expected],
            "predicted_low": [each["interval"]["low"] for each in expected],
            "predicted_high": [each["interval"]["high"] for each in expected],
        }.items():
            np.testing.assert_allclose(values, frame[column], rtol=1e-9)


def test_labels_are_exported_and_imported(running: Server, catalog: Path, tmp_path: Path) -> None:
    """A row of a file that has no number, or a number out of the range, is refused with its reason."""
    answers = predict(running, rents.draw(4, 6)[0])
    ids = [answer["prediction_id"] for answer in answers]
    pd.DataFrame({"prediction_id": ids, "label": ["1500", "1.6e3", "dear", "7000"]}).to_csv(
        tmp_path / "labels.csv", index=False
    )
    command = ("import-feedback", "rents", str(tmp_path / "labels.csv"))
    done = run("python", "-m", "prediction", *command, home=running.home, catalog=catalog)
    refused = pd.read_csv(tmp_path / "labels.csv.refused.csv")
    loop(running, catalog, "export", "rents", str(tmp_path / "outcomes.csv"))
    exported = pd.read_csv(tmp_path / "outcomes.csv").set_index("prediction_id")

    assert (1, True) == (done.returncode, "2 recorded, 0 unchanged, 0 corrected, 2 refused" in done.stdout)
    assert {"label: must be a number from 100 to 6000 CHF"} == set(refused["reason"])
    assert [1500.0, 1600.0] == exported["label"][ids[:2]].tolist()
    assert answers[0]["predicted_value"] == pytest.approx(exported["predicted_value"][ids[0]])


def test_pages_show_numbers(running: Server, catalog: Path, tmp_path: Path) -> None:
    """The dashboard, the report, the tables and the metrics."""
    X, y = rents.draw(60, 7)
    give(running, predict(running, X), y)
    page = running.get("/dashboard?model=rents&window=1h").text
    loop(running, catalog, "monitor", "rents", "--html", str(tmp_path / "report.html"))
    report = (tmp_path / "report.html").read_text(encoding="utf-8")

    for shown in (page, report):
        for words in (
            "Mean absolute error",
            "Coverage of intervals",
            "True against predicted",
            "Residuals",
        ):
            assert words in shown
    tables = loop(running, catalog, "monitor", "rents")
    assert "coverage" in tables
    assert "MAE" in loop(running, catalog, "status", "rents")
    eventually(
        lambda: any(name.startswith("prediction_mean_absolute_error{") for name in series(running)), 30
    )
    found = series(running)
    version = predict(running, X[:1])[0]["version"]
    assert 0 == found[f'prediction_coverage_below_level{{model="rents",version="{version}"}}']


def test_more_honest_labels_make_a_champion(running: Server) -> None:
    """The gate passes what has learned from them, and every worker serves it."""
    before = running.get("/models/rents").json()["champion"]
    X, y = rents.draw(1500, 8)
    give(running, predict(running, X), y)
    ended = retrain(running)

    assert "promoted" == ended["status"], ended
    assert before != ended["candidate"] == running.get("/models/rents").json()["champion"]
    assert "dataset mean absolute error " in ended["verdict"]["sentence"]
    eventually(lambda: running.get("/models/rents").json()["agree"], 30)
    assert ended["candidate"] == predict(running, X[:1])[0]["version"]


def test_drift_is_found_and_poison_is_refused(running: Server) -> None:
    """Rents that rise raise the alarms; absurd labels within the range make no champion."""
    before = running.get("/models/rents").json()["champion"]
    X, y = rents.draw(300, 11, dearer=1.25)
    give(running, predict(running, X), y)
    versions = running.get("/rents/monitoring?window=1h").json()["versions"]
    figures = next(each for each in versions if each["version"] == before)
    assert ("above estimate", "below level") == (
        figures["against_estimate"]["state"],
        figures["against_level"]["state"],
    )

    X, _ = rents.draw(1500, 9)
    give(running, predict(running, X), np.where(np.arange(1500) % 2, 100.0, 6000.0))
    ended = retrain(running)
    assert "rejected" == ended["status"], ended
    assert "dataset mean absolute error rose" in ended["verdict"]["sentence"]
    assert before == running.get("/models/rents").json()["champion"]


def test_poison_moves_intervals_only_so_far(running: Server, catalog: Path, tmp_path: Path) -> None:
    """Each worker answers with wider intervals within some seconds, and with the same ones; so do files."""
    X, _ = rents.draw(60, 13)
    give(running, predict(running, X), np.full(60, 6000.0))
    X = X[:1]
    X.to_parquet(tmp_path / "rows.parquet")

    def widths() -> set[float]:
        return {predict(running, X)[0]["interval"]["adapted"] for _ in range(16)}

    eventually(lambda: len(found := widths()) == 1 and min(found) > 1, 30)
    (width,) = widths()
    assert width <= 2
    (answer,) = predict(running, X)
    story = running.get(f"/rents/predictions/{answer['prediction_id']}").json()
    assert width == story["interval"]["adapted"]
    versions = running.get("/rents/monitoring?window=1h").json()["versions"]
    assert all(1 <= each["adapted"] <= 2 for each in versions)
    loop(running, catalog, "score", "rents", str(tmp_path / "rows.parquet"), str(tmp_path / "out.parquet"))
    (row,) = pd.read_parquet(tmp_path / "out.parquet").to_dict("records")
    assert row["predicted_high"] == pytest.approx(answer["interval"]["high"])


def test_a_promotion_and_a_rollback_swap_on_all_workers(running: Server, catalog: Path) -> None:
    """The version that `loop train` makes with another seed answers, and then the old one again."""
    before = running.get("/models/rents").json()["champion"]
    loop(running, catalog, "train", "rents", "--seed", "1", "--promote")
    after = running.get("/models/rents").json()["champion"]
    X, _ = rents.draw(1, 10)

    assert before != after
    eventually(lambda: running.get("/models/rents").json()["agree"], 30)
    assert after == predict(running, X)[0]["version"]
    assert before == running.post("/rents/rollback", {"reason": "a test"}).json()["to"]
    eventually(lambda: running.get("/models/rents").json()["agree"], 30)
    assert before == predict(running, X)[0]["version"]
