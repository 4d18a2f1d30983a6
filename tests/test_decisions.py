"""Every type of label and every rule of decision, with real processes: HTTP = file = `pipeline.predict`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bentoml
import pandas as pd
import pytest

from models_store import store
from tests.servers import Server, run, train

SPEC = '''
"""Payments."""

from models_store.spec import Features, Spec, classes, number


class Payment(Features):
    """Three figures of a payment."""

    x0: float = number("One", unit="", low=-9, high=9, example=0)
    x1: float = number("Two", unit="", low=-9, high=9, example=0)
    x2: float = number("Three", unit="", low=-9, high=9, example=0)


def load():
    import pandas as pd
    from sklearn.datasets import make_blobs, make_classification

    if len({labels}) == 2:
        X, y = make_classification(
            400, 3, n_informative=3, n_redundant=0, weights=[0.85], class_sep=0.6, random_state=0
        )
    else:
        X, y = make_blobs(400, 3, centers=3, cluster_std=6, random_state=0)
    X = pd.DataFrame(X.clip(-9, 9), columns=["x0", "x1", "x2"])
    return X, pd.Series(y).map(dict(enumerate({labels})))


def pipeline(seed):
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
    from sklearn.svm import SVC

    return {pipeline}


SPEC = Spec("{name}", "Payments", Payment, classes{labels}, load, pipeline)
'''

MODELS = {
    "texts": (("a", "b", "c"), "SVC(probability=True, random_state=0)", "label"),
    "integers": ((0, 1), "FixedThresholdClassifier(LogisticRegression(), threshold=0.1)", "threshold"),
    "booleans": ((False, True), "TunedThresholdClassifierCV(LogisticRegression(), cv=3)", "threshold"),
    "fraud": (
        ("fine", "fraud"),
        "FixedThresholdClassifier(RandomForestClassifier(20, max_depth=4, random_state=0),"
        " threshold=0.2, pos_label='fraud')",
        "threshold",
    ),
    "scores": (
        (1, 2),
        "FixedThresholdClassifier(LogisticRegression(), threshold=-2.0, pos_label=2,"
        " response_method='decision_function')",
        "predict",
    ),
    "plain": (("no", "yes"), "LogisticRegression()", "argmax"),
}
"""By model: its labels, its estimator, and the rule of its decision."""

TYPES = {"texts": "str", "integers": "int64", "booleans": "bool", "fraud": "str", "scores": "int64"}
WRONG = {"texts": [0, "d", True], "integers": ["0", True, 2], "booleans": ["true", 1, None]}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a folder of specs, one for each rule and each type of label."""
    folder = tmp_path_factory.mktemp("catalog")
    for name, (labels, pipeline, _) in MODELS.items():
        text = SPEC.replace("{labels}", repr(labels)).replace("{pipeline}", pipeline)
        (folder / f"{name}.py").write_text(text.replace("{name}", name))
    return folder


@pytest.fixture(scope="module")
def running(catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Train all models, and serve them."""
    home = tmp_path_factory.mktemp("home")
    train(home, catalog)
    with Server(home, workers=1, catalog=catalog) as server:
        yield server


def dataset(catalog: Path, name: str) -> pd.DataFrame:
    """Return the rows of a model."""
    scope: dict[str, Any] = {}
    exec((catalog / f"{name}.py").read_text(), scope)
    X: pd.DataFrame = scope["load"]()[0]
    return X


def predicted(home: Path, name: str, X: pd.DataFrame) -> list[Any]:
    """Return what the version's pipeline itself predicts."""
    version = store.newest(home, name)
    found: list[Any] = store.load_pipeline(version, version.digest).predict(X).tolist()
    return found


@pytest.mark.parametrize("name", MODELS)
def test_http_and_files_say_what_predict_says(
    running: Server, catalog: Path, tmp_path: Path, name: str
) -> None:
    """On every row, in the labels' own type; probabilities are those of `predict_proba`."""
    X = dataset(catalog, name)
    X.to_parquet(tmp_path / "rows.parquet")
    expected = predicted(running.home, name, X)
    answers = running.post(f"/{name}/predict_batch", X.to_dict("records")).json()
    ways = [("here.parquet", ()), ("there.parquet", ("--server", running.url))]
    for target, more in ways if name in WRONG else ways[:1]:
        command = ("score", name, str(tmp_path / "rows.parquet"), str(tmp_path / target), *more)
        done = run("python", "-m", "prediction", *command, home=running.home, catalog=catalog)
        assert 0 == done.returncode, done.stderr
        scored = pd.read_parquet(tmp_path / target)["predicted_class"]
        assert expected == scored.tolist()
        assert TYPES.get(name, "str") in (scored.dtype.name, scored.dtype.name.replace("object", "str"))
    said = [answer["predicted_class"] for answer in answers]

    assert expected == said
    assert {type(label) for label in expected} == {type(label) for label in said}
    assert all(set(map(type, answer["probabilities"])) == {str} for answer in answers)


@pytest.mark.parametrize("name", MODELS)
def test_a_version_states_its_rule(running: Server, name: str) -> None:
    """In its metadata, and in the file that every load reads."""
    version = store.newest(running.home, name)
    rule = MODELS[name][2]

    assert rule == version.metadata["decision"]["rule"]
    assert rule == version.read_json(store.GOLDEN)["decision"]["rule"]
    assert ("scikit-learn" if rule == "predict" else "onnx") == version.runtime


@pytest.mark.parametrize("name", WRONG)
def test_feedback_has_the_labels_themselves(running: Server, name: str) -> None:
    """A label is answered as it was sent, and found again; another type is refused with a 400."""
    label = MODELS[name][0][1]
    made = running.post(f"/{name}/predict", {"x0": 1, "x1": 1, "x2": 1}).json()
    body = {"prediction_id": made["prediction_id"], "label": label}

    assert body | {"status": "recorded"} == running.post(f"/{name}/feedback", body).json()
    assert body | {"status": "unchanged"} == running.post(f"/{name}/feedback", body).json()
    for wrong in WRONG[name]:
        answer = running.post(f"/{name}/feedback", body | {"label": wrong})
        assert (400, "label") == (answer.status_code, answer.json()["detail"][0]["loc"][0])
    story = running.get(f"/{name}/predictions/{made['prediction_id']}").json()
    assert made["predicted_class"] == story["predicted_class"]
    assert (label, type(label)) == (story["feedback"]["label"], type(story["feedback"]["label"]))
    listed = running.get(f"/{name}/predictions?limit=1").json()["predictions"][0]
    assert (made["predicted_class"], label) == (listed["predicted_class"], listed["label"])
    schema = json.dumps(
        running.get("/docs.json").json()["components"]["schemas"][f"{name.title()}Feedback"]
    )
    assert json.dumps(list(MODELS[name][0])) in schema


@pytest.mark.parametrize("name", WRONG)
def test_bentomls_client_takes_and_gives_labels(running: Server, name: str) -> None:
    """Its typed methods send and return them as they are."""
    label = MODELS[name][0][0]
    with bentoml.SyncHTTPClient(running.url) as client:
        made = getattr(client, f"{name}_predict")(x0=-1, x1=0, x2=1)
        given = getattr(client, f"{name}_feedback")(prediction_id=made["prediction_id"], label=label)

    assert type(label) is type(made["predicted_class"])
    assert (label, type(label), "recorded") == (given["label"], type(given["label"]), given["status"])


@pytest.mark.parametrize(
    ("name", "kind"),
    [("texts", "parquet"), ("integers", "csv"), ("booleans", "csv"), ("booleans", "jsonl")],
)
def test_labels_are_exported_and_imported(
    running: Server, catalog: Path, tmp_path: Path, name: str, kind: str
) -> None:
    """A file of labels is taken as it was written, whatever its kind is."""
    label = MODELS[name][0][1]
    rows = [{"x0": number, "x1": 0, "x2": 0} for number in range(3)]
    ids = [row["prediction_id"] for row in running.post(f"/{name}/predict_batch", rows).json()]
    given = pd.DataFrame({"prediction_id": ids, "label": [label] * 3})
    path = tmp_path / f"labels.{kind}"
    if kind == "csv":
        given.to_csv(path, index=False)
    elif kind == "jsonl":
        given.to_json(path, orient="records", lines=True)
    else:
        given.to_parquet(path)
    loop = ("python", "-m", "prediction")
    for told in ("3 recorded", "0 recorded, 3 unchanged"):
        done = run(*loop, "import-feedback", name, str(path), home=running.home, catalog=catalog)
        assert (0, True) == (done.returncode, told in done.stdout), done.stdout + done.stderr
    done = run(*loop, "export", name, str(tmp_path / "out.parquet"), home=running.home, catalog=catalog)
    assert 0 == done.returncode, done.stderr
    out = pd.read_parquet(tmp_path / "out.parquet").set_index("prediction_id").loc[ids]
    assert [label] * 3 == out["label"].tolist()
    assert out["label"].dtype == out["predicted_class"].dtype


def test_refused_rows_of_a_frame_leave_gaps_and_no_floats(catalog: Path, running: Server) -> None:
    """An integer label stays one, beside a row that has no answer."""
    script = (
        "import pandas as pd; from prediction import batch;"
        "found = batch.score('integers', pd.DataFrame({'x0': [0., 99.], 'x1': [0., 0.], 'x2': [0., 0.]}));"
        "print(found['predicted_class'].dtype, found['predicted_class'].isna().tolist())"
    )
    done = run("python", "-c", script, home=running.home, catalog=catalog)

    assert "Int64 [False, True]" == done.stdout.strip(), done.stderr
