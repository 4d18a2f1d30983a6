"""The recipe of docs/add-a-model.md, followed to the letter: one file, and everything else follows."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models_store.spec import Spec
from tests.documents import blocks, copy_project, parsed
from tests.servers import PROJECT, Server, run

PROBABILITIES = """
import json, bentoml
from models_store.catalog.wine import SPEC
X, _ = SPEC.load()
pipeline = bentoml.sklearn.load_model("wine:latest")
print(json.dumps([X.to_dict("records"), pipeline.predict_proba(X).tolist()]))
"""
CLIENT = """
import json, sys, bentoml
with bentoml.SyncHTTPClient(sys.argv[1]) as client:
    print(client.wine_predict(**json.loads(sys.argv[2]))["predicted_class"])
"""
PAGE = PROJECT / "docs" / "add-a-model.md"
WINE = Path("models_store/catalog/wine.py")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the project, and save the page's file where the page says."""
    copied = copy_project(tmp_path_factory.mktemp("wine") / "project")
    code, _ = blocks(PAGE, "python")
    assert f"`{WINE}`" in PAGE.read_text()
    (copied / WINE).write_text(code)
    return copied


@pytest.fixture(scope="module")
def home(project: Path, trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy a home that lacks the wine alone."""
    home = Path(shutil.copytree(trained_home, tmp_path_factory.mktemp("wine") / "home", symlinks=True))
    shutil.rmtree(home / "models" / "wine", ignore_errors=True)
    return home


@pytest.fixture(scope="module")
def trained(project: Path, home: Path) -> str:
    """Train what is missing, as `make serve` does first, and return what it printed."""
    done = run("make", "train", home=home, cwd=project)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wine_server(project: Path, home: Path, trained: str) -> Iterator[Server]:
    """Serve the copy."""
    with Server(home, cwd=project, workers=1) as running:
        yield running


@pytest.fixture(scope="module")
def example(project: Path) -> dict[str, Any]:
    """Read the row of the page's curl."""
    (body,) = re.findall(r"-d '(\{.*?\})'", PAGE.read_text(), re.DOTALL)
    return dict(json.loads(body))


def test_nothing_but_that_file_was_edited(project: Path) -> None:
    """Every other file of the copy is the project's, which may have the wine already."""
    copied = {path.relative_to(project) for path in project.rglob("*.py") if ".venv" not in path.parts}

    assert WINE in copied
    assert {WINE} >= {path for path in copied if not same_text(PROJECT / path, project / path)}


def test_the_second_spec_of_the_page_is_one_that_is_tested() -> None:
    """`tests/test_kinds.py` takes it through the whole loop."""
    _, code = blocks(PAGE, "python")

    assert (PROJECT / "tests" / "zoo" / "flights.py").read_text() == code


def same_text(first: Path, second: Path) -> bool:
    """Return whether both files are there and equal."""
    return first.is_file() and first.read_text() == second.read_text()


def test_the_file_passes_the_projects_checks(project: Path) -> None:
    """Ruff has nothing to say about what the page offers to copy."""
    for command in (["ruff", "check"], ["ruff", "format", "--check"]):
        done = run(*command, str(WINE), home=project / "none", cwd=project)
        assert done.returncode == 0, done.stdout


def test_only_what_is_missing_is_trained(trained: str) -> None:
    """The models that are there stay as they are."""
    assert "wine: fit on 142 rows" in trained
    assert "iris" not in trained
    assert "penguins" not in trained


def test_the_table_is_the_one_that_is_printed(trained: str) -> None:
    """The page shows the same rows, the same figures and how the wine is served."""
    (shown,) = blocks(PAGE, "")
    for row in ("rows", "classes", "accuracy", "macro-F1", "log-loss", "served by"):
        (line,) = [line for line in shown.splitlines() if line.startswith(f"│ {row} ")]
        assert line in trained
    assert "agrees on 10178 rows" in trained


def test_the_pages_commands_run(project: Path, home: Path, wine_server: Server) -> None:
    """Training it by name and the curl work as printed, on the port of the test's server."""
    make, train, curl = blocks(PAGE, "sh")
    assert make == "make serve\n"
    done = run("bash", "-euc", train, home=home, cwd=project)
    assert done.returncode == 0, done.stderr
    assert "wine: fit on 142 rows" in done.stdout
    done = subprocess.run(
        ["bash", "-euc", curl.replace(":3000", f":{wine_server.port}")],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
    )

    assert parsed(done.stdout)["predicted_class"] == "class_0"


def test_it_is_predicted_and_looked_up(wine_server: Server, example: dict[str, Any]) -> None:
    """The new routes answer, record, and are strict."""
    answer = wine_server.post("/wine/predict", example)
    assert answer.status_code == 200, answer.text
    found = wine_server.get(f"/wine/predictions/{answer.json()['prediction_id']}").json()
    batch = wine_server.post("/wine/predict_batch", [example, example])
    refused = wine_server.post("/wine/predict", example | {"proline_mg_l": -1})

    assert {"class_0", "class_1", "class_2"} == set(answer.json()["probabilities"])
    assert example == found["features"]
    for item in batch.json():
        assert item["probabilities"] == pytest.approx(answer.json()["probabilities"])
    assert refused.status_code == 400
    assert refused.json()["detail"][0]["loc"] == ["proline_mg_l"]


def test_it_answers_what_scikit_learn_does(project: Path, home: Path, wine_server: Server) -> None:
    """All wines over HTTP are within 1e-6 of `bentoml.sklearn.load_model(...).predict_proba`."""
    done = run("python", "-c", PROBABILITIES, home=home, cwd=project)
    assert done.returncode == 0, done.stderr
    rows, expected = json.loads(done.stdout)
    answers = wine_server.post("/wine/predict_batch", rows).json()

    found = [list(answer["probabilities"].values()) for answer in answers]
    assert np.allclose(np.array(expected), np.array(found), rtol=0, atol=1e-6)


def test_it_is_among_the_models(wine_server: Server, specs: dict[str, Spec]) -> None:
    """It is listed with its metrics and its champion, beside the others, and served by ONNX."""
    models = {model["name"]: model for model in wine_server.get("/models").json()["models"]}

    assert {*specs, "wine"} == set(models)
    assert models["wine"]["champion"] == models["wine"]["versions"][0]["version"]
    assert models["wine"]["versions"][0]["runtime"] == "onnx"


def test_the_docs_page_has_it(wine_server: Server, example: dict[str, Any]) -> None:
    """Its operations are described, with its example."""
    paths = wine_server.get("/docs.json").json()["paths"]

    assert {"/wine/predict", "/wine/predict_batch", "/wine/feedback", "/wine/feedback_batch"} <= set(paths)
    body = paths["/wine/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert example == body["example"]


def test_the_client_has_it(wine_server: Server, example: dict[str, Any], project: Path) -> None:
    """BentoML's client has a method for it, with the features as keywords."""
    done = run("python", "-c", CLIENT, wine_server.url, json.dumps(example), home=project / "none")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "class_0"
