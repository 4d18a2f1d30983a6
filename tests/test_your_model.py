"""docs/your-model.md, played: from an empty folder to a Bento, with four tables that others have made.

No file is edited. The tables have gaps, dates, remarks, ids, an odd encoding, decimal commas, rare classes,
a quantity.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pandas as pd
import pytest
from sklearn import datasets

from tests.documents import DOCS, blocks, started, wait_ready
from tests.servers import PROJECT, Server, free_port, run

PAGE = DOCS / "your-model.md"
WEATHER = PROJECT / "tests" / "tables" / "seattle-weather.csv"
TARGETS = {"penguins": "Species", "cancer": "diagnosis", "diabetes": "target", "weather": "weather"}
RAW = {
    "penguins": "colony/notes.csv",
    "cancer": "cancer.csv",
    "diabetes": "diabetes.jsonl",
    "weather": "weather.csv",
}
"""The tables as others have them."""

SCORED = """
import json, sys
from pathlib import Path
from prediction import batch
url, raw = sys.argv[1], json.loads(sys.argv[2])
for name, file in raw.items():
    batch.score(name, Path("..") / file, f"{name}-scored.csv", server=url)
    batch.score(name, f"catalog/{name}.parquet", f"{name}-prepared.csv")
"""
ROWS = 40
"""Of each table, labelled."""

pytestmark = pytest.mark.timeout(1_500)


@dataclass(frozen=True)
class Session:
    """A project with four models, what its commands have printed, and the port of its server."""

    project: Path
    home: Path
    shown: str
    used: str
    port: int

    def loop(self, *arguments: str) -> tuple[int, str]:
        """Run a command in the project; return its exit code and all that it printed."""
        done = run("python", "-m", "prediction", *arguments, home=self.home, cwd=self.project)
        return done.returncode, done.stdout + done.stderr


def write_tables(folder: Path) -> str:
    """Write three more tables, and return the command that makes their models, in one process."""
    cancer = datasets.load_breast_cancer(as_frame=True)
    names = {0: "malignant", 1: "benign"}
    frame = cancer.frame.drop(columns="target").assign(diagnosis=cancer.target.map(names))
    frame.to_csv(folder / "cancer.csv", sep=";", decimal=",", encoding="utf-16", index=False)
    diabetes = datasets.load_diabetes(as_frame=True, scaled=False).frame
    lines = [json.dumps(row) for row in diabetes.to_dict("records")]
    (folder / "diabetes.jsonl").write_text("\n".join(lines))
    weather = pd.read_csv(WEATHER, parse_dates=["date"]).assign(version="1.0")
    weather.to_csv(folder / "weather.csv", sep="\t", decimal=",", date_format="%d.%m.%Y", index=False)
    calls = [["new", name, f"../{RAW[name]}", "--target", TARGETS[name]] for name in list(TARGETS)[1:]]
    code = "from prediction.commands import cli; import sys"
    return f"python -c '{code}; sys.exit(max(map(cli.main, {json.dumps(calls)})))'"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Type the blocks of the page; the other models are added before the training."""
    folder = tmp_path_factory.mktemp("own")
    first, new, train, call, _build = blocks(PAGE, "sh")
    port, home, project = free_port(), folder / "home", folder / "colony"
    before, serve = train.replace("loop train penguins", "loop train").splitlines()
    script = "\n".join([first, new, write_tables(folder), before])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(PROJECT))  # the installed code is this one
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        logs = [folder / f"{name}.log" for name in ("made", "served", "called")]
        with started(script, folder, home, logs[0]) as making:
            assert 0 == making.wait(timeout=800), logs[0].read_text()
        with started(f"{serve} --port {port}", project, home, logs[1]) as server:
            wait_ready(f"http://127.0.0.1:{port}", server, logs[1])
            with started(call.replace("3000", str(port)), project, home, logs[2]) as calling:
                assert 0 == calling.wait(timeout=300), logs[2].read_text()
            yield Session(project, home, logs[0].read_text(), logs[2].read_text(), port)


def test_the_table_on_the_page_is_the_one_that_is_printed(session: Session) -> None:
    """Each line of it, but for the width of the columns."""
    shown, *_ = blocks(PAGE, "text")
    for line in shown.splitlines():
        for cell in re.split(r"│|: ", line):
            words = cell.split()
            assert words == [] or words[0] in session.shown


def test_every_model_is_trained_without_an_edit_and_compiled(session: Session) -> None:
    """Their tables say so."""
    for name in TARGETS:
        assert f"written: catalog/{name}.py" in session.shown
        assert re.search(rf"{name}: \w+ is the champion", session.shown)
    served = re.findall(r"│ served by +│ (\S+)", session.shown)
    assert ["onnx"] * 4 == served


def test_the_pages_request_is_answered(session: Session) -> None:
    """A row of the notes, by the names of the features; then the whole file, by those of the table."""
    assert '"predicted_class":"Adelie Penguin (Pygoscelis adeliae)"' in session.used
    assert re.search(r"│ scored +│ 344 ", session.used)


@pytest.fixture(scope="module")
def scored(session: Session) -> Path:
    """Let the server score the raw tables, and this code the prepared ones, in one process for all."""
    url = f"http://127.0.0.1:{session.port}"
    command = ("python", "-c", SCORED, url, json.dumps(RAW))
    done = run(*command, home=session.home, cwd=session.project)
    assert 0 == done.returncode, done.stderr
    return session.project


@pytest.mark.parametrize("name", TARGETS)
def test_a_raw_table_has_the_answers_of_the_prepared_one(name: str, scored: Path) -> None:
    """Whatever its encoding, separator, decimals and dates are; each number is the same."""
    prepared = pd.read_csv(scored / f"{name}-prepared.csv")
    raw = pd.read_csv(scored / f"{name}-scored.csv").dropna(subset=[TARGETS[name]])
    answers = [each for each in prepared if each.startswith(("predicted_", "probability_"))]

    assert ("version_given" in raw) == (name == "weather")  # the version that answers has this name
    assert answers
    pd.testing.assert_frame_equal(prepared[answers], raw[answers].reset_index(drop=True))


@pytest.mark.parametrize("name", TARGETS)
def test_the_loop_goes_round(name: str, session: Session, scored: Path) -> None:
    """Labels of the scored table come back, and a retraining has a verdict."""
    with (scored / f"{name}-scored.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row[TARGETS[name]]][:ROWS]
    label = float if name == "diabetes" else str
    given = [{"prediction_id": row["prediction_id"], "label": label(row[TARGETS[name]])} for row in rows]
    url = f"http://127.0.0.1:{session.port}"
    answer = httpx.post(f"{url}/{name}/feedback_batch", json=given, timeout=60)
    assert 200 == answer.status_code, answer.text
    assert ["recorded"] * ROWS == [each["status"] for each in answer.json()]
    _, shown = session.loop("retrain", name, "--force")
    assert re.search(r"^(promoted|rejected): ", shown, re.MULTILINE), shown


def own_package(project: Path) -> Path:
    """Put a wheel into a project and its requirements, as `pip wheel` does; return the wheel."""
    wheel = project / "wheels" / "shopkit-1.2-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("shopkit.py", "")
        archive.writestr(
            "shopkit-1.2.dist-info/METADATA", "Name: shopkit\nVersion: 1.2\nRequires-Dist: psutil\n"
        )
    with (project / "requirements.txt").open("a") as file:
        file.write(f"./wheels/{wheel.name}\n")
    (project / "catalog" / "_boosted.py").write_text("def make():\n    import lightgbm\n")
    return wheel


def test_the_bento_has_the_installed_code_and_serves_the_models(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From an empty folder: nothing of the project is beside it. It has the packages of the project too,
    and LightGBM, because a file of the catalog imports it.
    """
    wheel = own_package(session.project)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (PROJECT, wheel))))  # it is installed here
    done = run("bentoml", "build", "--output", "tag", home=session.home, cwd=session.project)
    assert done.returncode == 0, done.stderr
    (tag,) = re.findall(r"prediction:[a-z0-9]+", done.stdout)
    bento = session.home / "bentos" / "prediction" / tag.partition(":")[2]

    code = {"service.py", "prediction", "models_store", "requirements.txt", "bentofile.yaml", "wheels"}
    assert code == {path.name for path in (bento / "src").iterdir()}
    assert wheel.read_bytes() == (bento / "src" / "wheels" / wheel.name).read_bytes()
    dockerfile = (bento / "env" / "docker" / "Dockerfile").read_text()
    copied, installed = dockerfile.index("./src/wheels ./src/wheels"), dockerfile.index("uv --directory")
    assert copied < installed
    pins = (bento / "env" / "python" / "requirements.txt").read_text()
    lines = re.sub(r"==[\d.]+$", "==", pins, flags=re.MULTILINE).splitlines()
    packages = ("scikit-learn==", "lightgbm==", "shopkit==", "psutil==", f"./wheels/{wheel.name}")
    assert [] == [each for each in packages if each not in lines]
    assert "index-url" not in pins
    elsewhere = session.project.parent / "elsewhere"  # a store of its own, with this Bento alone
    shutil.copytree(bento, elsewhere / "bentos" / "prediction" / bento.name, symlinks=True)
    with Server(elsewhere, tag, cwd=elsewhere, workers=1) as server:
        assert TARGETS.keys() == {model["name"] for model in server.client.get("/models").json()["models"]}
