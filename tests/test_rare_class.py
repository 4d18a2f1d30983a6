"""A fraud in some fifty payments through the whole loop: by a threshold of the pipeline, and by costs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models_store import store
from tests.servers import Server, run, train
from tests.timing import eventually

HELPER = '''
"""What both specs share. It is no model: its name begins with _."""

from models_store.spec import Features, number

NAMES = [f"x{place}" for place in range(6)]


def features():
    from pydantic import create_model

    fields = {name: (float, number(name, unit="", low=-30, high=30, example=0)) for name in NAMES}
    return create_model("Payment", __base__=Features, **fields)


def draw():
    import pandas as pd
    from sklearn.datasets import make_classification

    X, y = make_classification(
        8_000, 6, n_informative=4, n_clusters_per_class=1, weights=[.98], flip_y=0.004, random_state=0
    )
    return pd.DataFrame(X, columns=NAMES), pd.Series(y).map({0: "fine", 1: "fraud"})


def load():
    X, y = draw()
    return X[:5_000], y[:5_000]
'''

SPEC = '''
"""Payments."""

from models_store.catalog import _payments
from models_store.spec import Cost, GateRules, Spec, classes


def pipeline(seed):
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import FixedThresholdClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scaled = make_pipeline(StandardScaler(), LogisticRegression())
    return {pipeline}


TARGET = classes("fine", "fraud", positive="fraud"{cost})
SPEC = Spec("{name}", "Payments", _payments.features(), TARGET, _payments.load, pipeline)
'''

MODELS = {
    "fixed": ('FixedThresholdClassifier(scaled, threshold=.03, pos_label="fraud")', ""),
    "costly": ("scaled", ", cost=Cost(false_alarm=1, miss=30)"),
}
TOKEN = "a-token-of-the-tests"
ENDED = {"promoted", "rejected", "failed"}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write both specs, and the module that they share."""
    folder = tmp_path_factory.mktemp("catalog")
    (folder / "_payments.py").write_text(HELPER)
    for name, (pipeline, cost) in MODELS.items():
        text = SPEC.replace("{pipeline}", pipeline).replace("{cost}", cost).replace("{name}", name)
        (folder / f"{name}.py").write_text(text)
    return folder


@pytest.fixture(scope="module")
def running(catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Train both models, and serve them."""
    home = tmp_path_factory.mktemp("home")
    train(home, catalog)
    with Server(home, workers=1, catalog=catalog, admin_token=TOKEN) as server:
        yield server


def payments() -> tuple[pd.DataFrame, pd.Series]:
    """Return payments that no model was trained on."""
    scope: dict[str, Any] = {}
    exec(HELPER, scope)
    X, y = scope["draw"]()
    return X[5_000:], y[5_000:]


def predict(server: Server, name: str, X: pd.DataFrame) -> list[dict[str, Any]]:
    """Predict rows in batches."""
    rows, found = X.to_dict("records"), []
    for start in range(0, len(rows), 1000):
        answer = server.post(f"/{name}/predict_batch", rows[start : start + 1000])
        assert 200 == answer.status_code, answer.text
        found += answer.json()
    return found


def label(server: Server, name: str, answers: list[dict[str, Any]], labels: pd.Series) -> None:
    """Give labels to predictions."""
    given = zip(answers, labels, strict=True)
    items = [{"prediction_id": answer["prediction_id"], "label": each} for answer, each in given]
    for start in range(0, len(items), 1000):
        answer = server.post(f"/{name}/feedback_batch", items[start : start + 1000])
        assert {"recorded"} == {item["status"] for item in answer.json()}


@pytest.mark.parametrize("name", MODELS)
def test_a_rare_class_goes_through_the_loop(running: Server, name: str) -> None:
    """The service flags what the pipeline flags; monitoring counts it; a retraining is judged by it."""
    X, y = payments()
    version = store.newest(running.home, name)
    pipeline = store.load_pipeline(version, version.digest)
    expected = pipeline.predict(X)
    answers = predict(running, name, X)
    said = np.array([answer["predicted_class"] for answer in answers])

    assert ("onnx", "threshold") == (version.runtime, version.metadata["decision"]["rule"])
    assert expected.tolist() == said.tolist()
    is_alarm, is_fraud = said == "fraud", (y == "fraud").to_numpy()
    assert is_alarm.sum() > 2 * (pipeline.predict_proba(X)[:, 1] > 0.5).sum() > 0

    label(running, name, answers, y)
    (item,) = running.get(f"/{name}/monitoring?window=1h").json()["versions"]
    hits = (is_alarm & is_fraud).sum()
    found = {key: item["positive"][key]["value"] for key in ("precision", "recall", "alert_rate")}
    assert found == pytest.approx(
        {
            "precision": hits / is_alarm.sum(),
            "recall": hits / is_fraud.sum(),
            "alert_rate": is_alarm.mean(),
        }
    )
    assert not item["labels_are_selective"]
    states = {each["name"]: each["state"] for each in item["drift"]}
    assert "stable" == states["predicted class"]
    assert "as estimated" == item["against_estimate"]["state"]
    assert {"as in training"} == set(item["positive"]["states"].values())
    assert 5_000 * 0.2 < item["positive"]["trained"]["alert_rate"]["n"] <= 5_000
    assert (
        (name == "costly") is bool(item["cost"]) is ("as in training" == (item["cost"] or {}).get("state"))
    )

    started = running.client.post(
        f"/{name}/retrain", json={}, headers={"Authorization": f"Bearer {TOKEN}"}
    ).json()
    path = f"/{name}/runs/{started['run_id']}"
    eventually(lambda: running.get(path).json()["status"] in ENDED, 200)
    ended = running.get(path).json()
    rules = {rule["name"] for rule in ended["verdict"]["rules"]}
    assert {"dataset average precision", "dataset ROC AUC", "feedback Brier skill"} <= rules
    assert ended["status"] == "promoted", ended["verdict"]["sentence"]


def test_costs_choose_the_threshold(running: Server) -> None:
    """It costs less than the most probable class, on payments that nobody has seen; all places show it."""
    X, y = payments()
    version = store.versions(running.home, "costly")[-1]
    pipeline = store.load_pipeline(version, version.digest)
    threshold = version.metadata["decision"]["threshold"]
    is_fraud, p = (y == "fraud").to_numpy(), pipeline.predict_proba(X)[:, 1]

    def spent(limit: float) -> int:
        return int((~is_fraud & (p >= limit)).sum() + 30 * (is_fraud & (p < limit)).sum())

    assert 0.005 < threshold < 0.2
    assert spent(threshold) < 0.8 * spent(0.5)
    item = next(
        each
        for each in running.get("/costly/monitoring?window=1h").json()["versions"]
        if each["version"] == version.version
    )
    assert spent(threshold) / len(X) == pytest.approx(item["cost"]["value"])
    shown = {each["version"]: each for each in running.get("/models/costly").json()["versions"]}
    words = f"fraud from a probability of {threshold:.6g} on"
    assert words == shown[version.version]["decision"]
    assert {"per_row", "saved"} == set(shown[version.version]["metrics"]["cost"])
    page = running.get("/dashboard?model=costly&window=1h").text
    assert words in page
    assert "1 for a false alarm, 30 for a miss" in page
    assert page.count("average precision") > 1  # of the version that answers, and in the list of all
    assert "as in training" in page
    rules = [
        rule["name"] for each in shown.values() for rule in (each["verdict"] or {"rules": []})["rules"]
    ]
    assert {"dataset cost saved", "feedback cost saved"} <= {*rules}
    assert any(re.fullmatch("dataset cost within .* of the champion's", name) for name in rules)
    assert not [name for name in rules if "macro-F1" in name or "accuracy" in name]


def test_a_module_that_specs_share_is_no_model(running: Server) -> None:
    """Its name begins with _; nobody asks it for a `SPEC`."""
    assert set(MODELS) == {each["name"] for each in running.get("/models").json()["models"]}
    assert "_payments" not in running.get("/dashboard?model=fixed&window=1h").text


def test_commands_show_costs(running: Server, catalog: Path) -> None:
    """The table of a training, and the one of monitoring."""
    command = ("python", "-m", "prediction")
    done = run(
        *command, "train", "costly", "--no-promote", "--seed", "1", home=running.home, catalog=catalog
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    for words in (
        *("1 for a false alarm, 30 for a miss", "less than one answer", "fraud from a probability"),
        *("average precision", "ROC AUC", "Brier"),
    ):
        assert words in done.stdout
    done = run(*command, "monitor", "costly", "--window", "1h", home=running.home, catalog=catalog)
    assert "cost of a row" in done.stdout, done.stdout + done.stderr
