"""A broken file of the catalog: its model is out of service, and nothing else is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from models_store import store
from models_store.spec import Spec
from prediction.journal import ledger
from prediction.journal.database import Journal
from prediction.journal.ledger import NewChampion
from tests.servers import PROJECT, Server, problem, run, series
from tests.timing import eventually

FAULT = "penguins.py, line 2: ZeroDivisionError: division by zero"
MODELS = ("iris", "penguins")
BROKEN = "\nSPEC = 1 / 0\n"


def make_catalog(folder: Path) -> Path:
    """Make a folder of specs with two of the project."""
    folder.mkdir()
    for name in MODELS:
        shutil.copy(PROJECT / "models_store" / "catalog" / f"{name}.py", folder)
    return folder


@pytest.fixture(scope="module")
def specs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog whose penguins are broken, and which has a file that leaves the process."""
    folder = make_catalog(tmp_path_factory.mktemp("broken") / "specs")
    (folder / "penguins.py").write_text(BROKEN)
    (folder / "leaver.py").write_text("import sys\nsys.exit()")
    return folder


@pytest.fixture(scope="module")
def broken_home(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which both models were trained before the file broke; penguins have had two champions."""
    home = Path(shutil.copytree(trained_home, tmp_path_factory.mktemp("home") / "home", symlinks=True))
    version = store.newest(home, "penguins")
    with closing(Journal(f"sqlite:///{home / 'journal.db'}")) as journal:
        for name in ("other", version.version):
            ledger.promote(journal, NewChampion("penguins", name, version.digest, "test", "test"))
        ledger.promote(journal, NewChampion("penguins", "worse", "d" * 64, "test", "test"))
    return home


@pytest.fixture(scope="module")
def half(broken_home: Path, specs_folder: Path) -> Iterator[Server]:
    """A server that was started with the broken catalog."""
    with Server(
        broken_home, catalog=specs_folder, probe="/livez", admin_token="a-token-of-tests"
    ) as server:
        eventually(lambda: series(server).get("prediction_journal_up") == 1)
        yield server


def loop(*arguments: str, home: Path, catalog: Path) -> subprocess.CompletedProcess[str]:
    """Run a command on the broken catalog."""
    done = run("python", "-m", "prediction", *arguments, home=home, catalog=catalog)
    assert "Traceback" not in done.stderr
    return done


def test_the_other_models_answer(half: Server, specs: dict[str, Spec]) -> None:
    """Predictions, and everything that is read."""
    assert 200 == half.post("/iris/predict", specs["iris"].example).status_code
    for path in ("/iris/runs", "/iris/monitoring", "/models/iris", "/dashboard", "/docs.json", "/livez"):
        assert 200 == half.get(path).status_code, path


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/penguins/predict"),
        ("POST", "/penguins/predict_batch"),
        ("POST", "/penguins/feedback"),
        ("POST", "/penguins/retrain"),
        ("POST", "/penguins/rollback"),
        ("GET", "/penguins/runs"),
        ("GET", "/penguins/monitoring"),
        ("GET", "/penguins/predictions"),
        ("GET", "/penguins/predictions/x"),
    ],
)
def test_every_route_of_the_broken_model_says_why(half: Server, method: str, path: str) -> None:
    """503 in the one shape, with file, line, fault and remedy, and without folders of the server."""
    answer = half.client.request(method, path, json={})

    told = problem(answer, 503)["error"]
    assert f"penguins can't answer: {FAULT}: correct the file and restart the server" == told
    assert "retry-after" not in answer.headers


def test_a_server_that_started_so_is_not_ready(half: Server) -> None:
    """A broken release must not roll out; the body has the reasons."""
    told = problem(half.get("/readyz"), 503)["error"]

    assert FAULT in told
    assert "leaver.py, line 2: SystemExit" in told


def test_a_broken_file_is_logged_once(half: Server, specs_folder: Path) -> None:
    """One line at the level ERROR, although every worker reads the file."""
    half.post("/penguins/predict", {})
    lines = [line for line in half.read_log().splitlines() if "penguins is not served" in line]

    (line,) = lines
    assert "[ERROR]" in line
    assert f"{specs_folder / 'penguins.py'}, line 2: ZeroDivisionError: division by zero: correct" in line


def test_models_dashboard_docs_and_metrics_show_it(half: Server) -> None:
    """Beside the champion and the ledger, which need no spec."""
    found = {each["name"]: each for each in half.get("/models").json()["models"]}
    assert ["iris", "leaver", "penguins"] == list(found)
    assert (None, FAULT) == (found["iris"]["fault"], found["penguins"]["fault"])
    assert ("worse", 4) == (found["penguins"]["champion"], len(found["penguins"]["ledger"]))
    assert found["penguins"] == half.get("/models/penguins").json()
    assert FAULT in half.get("/dashboard").text
    page = half.get("/dashboard?model=penguins")
    assert (503, True) == (page.status_code, FAULT in page.text)
    assert FAULT in half.get("/docs.json").json()["info"]["description"]
    assert "prediction_broken_specs 2.0" in half.get("/metrics").text
    counted = 'prediction_refused_requests_total{model="penguins",reason="broken_spec"}'
    half.post("/penguins/predict", {})
    assert series(half)[counted] >= 1


def test_status_shows_it(half: Server, specs_folder: Path) -> None:
    """The table of its versions and the reason; as JSON it is what the server answers."""
    done = loop("status", home=half.home, catalog=specs_folder)
    assert (0, "") == (done.returncode, done.stderr)
    reason = f"{specs_folder / 'penguins.py'}, line 2: ZeroDivisionError: division by zero"
    assert f"penguins can't be used: {reason}: correct the file, or remove it" in done.stdout

    done = loop("status", "penguins", "--json", home=half.home, catalog=specs_folder)
    (found,) = json.loads(done.stdout)["models"]
    assert FAULT == found["fault"]


def test_the_operator_rolls_back_a_broken_model(half: Server, specs_folder: Path) -> None:
    """And promotes, and reads its ledger: these need no spec."""
    done = loop("rollback", "penguins", "--reason", "worse", home=half.home, catalog=specs_folder)
    assert (0, "") == (done.returncode, done.stderr)
    assert "is the champion again; it was worse" in done.stdout
    done = loop("promote", "penguins", "latest", "--reason", "best", home=half.home, catalog=specs_folder)
    assert (1, True) == (done.returncode, "promote another version, or roll back" in done.stderr), (
        done.stderr
    )
    assert 0 == loop("history", "penguins", home=half.home, catalog=specs_folder).returncode


def test_a_model_without_a_file_is_rolled_back_too(broken_home: Path, tmp_path: Path) -> None:
    """Its name may have been misspelt in the catalog; the ledger knows it."""
    folder = make_catalog(tmp_path / "specs")
    (folder / "penguins.py").rename(folder / "penguin.py")

    done = loop("history", "penguins", home=broken_home, catalog=folder)

    assert (0, "") == (done.returncode, done.stderr)
    for name, words in (("penguin", "give it the file's name, 'penguin'"), ("x", "there is no model 'x'")):
        done = loop("history" if name == "x" else "monitor", name, home=broken_home, catalog=folder)
        assert (1, True) == (done.returncode, words in done.stderr), done.stderr


@pytest.mark.parametrize("command", ["monitor", "retrain", "train"])
def test_commands_that_need_the_spec_say_why(command: str, half: Server, specs_folder: Path) -> None:
    """One line with file, line, fault and remedy."""
    done = loop(command, "penguins", home=half.home, catalog=specs_folder)

    (line,) = done.stderr.splitlines()
    assert 1 == done.returncode
    assert f"{specs_folder / 'penguins.py'}, line 2: ZeroDivisionError" in line
    assert line.endswith(": correct the file, or remove it")


def test_commands_on_other_models_work(half: Server, specs_folder: Path, tmp_path: Path) -> None:
    """They do not mention it."""
    rows, scored = tmp_path / "rows.csv", tmp_path / "scored.csv"
    rows.write_text("sepal_length_cm,sepal_width_cm,petal_length_cm,petal_width_cm\n5.1,3.5,1.4,0.2\n")
    commands: list[tuple[str, ...]] = [
        ("score", "iris", str(rows), str(scored)),
        ("score", "iris", str(rows), str(scored), "--server", half.url),
        ("monitor", "iris"),
        ("train", "iris", "--no-promote"),
        ("history", "iris"),
        ("backup", str(tmp_path / "copy.db")),
    ]
    for command in commands:
        done = loop(*command, home=half.home, catalog=specs_folder)
        assert (0, "") == (done.returncode, done.stderr), command
        assert "penguins" not in done.stdout, command


def test_training_all_trains_the_others_and_fails(specs_folder: Path, tmp_path: Path) -> None:
    """Each broken file is one line; a server of this home starts."""
    done = loop("train", "--json", home=tmp_path / "home", catalog=specs_folder)

    assert 1 == done.returncode
    assert ["iris"] == [each["model"] for each in json.loads(done.stdout)]
    told = [line for line in done.stderr.splitlines() if line.startswith("loop train: ")]
    assert ["leaver.py", "penguins.py"] == [re.findall(r"(\w+\.py), line 2", line)[0] for line in told]


def test_a_broken_catalog_makes_no_bento(half: Server, specs_folder: Path) -> None:
    """A server of it would never be ready."""
    done = run("bentoml", "build", home=half.home, catalog=specs_folder)

    assert 0 != done.returncode
    assert "penguins.py, line 2: ZeroDivisionError" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_a_model_added_beside_a_server_is_served_after_a_restart(
    half: Server, specs_folder: Path, specs: dict[str, Spec], tmp_path: Path
) -> None:
    """Training says that the server must be restarted; until then the server has no such path."""
    iris = (specs_folder / "iris.py").read_text()
    (specs_folder / "lilies.py").write_text(iris.replace('"iris"', '"lilies"'))
    done = loop("train", "lilies", home=half.home, catalog=specs_folder)

    assert (0, "") == (done.returncode, done.stderr)
    told = " is the champion\nThe server that runs on .+ does not know this model yet: restart it "
    assert re.search(f"lilies: .+{told}", done.stdout)
    assert 404 == half.post("/lilies/predict", specs["iris"].example).status_code
    home = Path(shutil.copytree(half.home, tmp_path / "home", symlinks=True))  # the server keeps its own
    with Server(home, catalog=specs_folder, probe="/livez", workers=1) as restarted:
        answer = restarted.post("/lilies/predict", specs["iris"].example)
        assert (200, "lilies") == (answer.status_code, answer.json()["model"])
    (specs_folder / "lilies.py").unlink()


def test_a_catalog_of_broken_files_is_served(trained_home: Path, tmp_path: Path) -> None:
    """The server starts, is alive and not ready, and each route says why."""
    home = Path(shutil.copytree(trained_home, tmp_path / "home", symlinks=True))
    folder = tmp_path / "specs"
    folder.mkdir()
    for name in ("penguins", "models"):
        (folder / f"{name}.py").write_text(BROKEN)

    with Server(home, catalog=folder, probe="/livez", workers=1) as server:
        assert FAULT in problem(server.get("/readyz"), 503)["error"]
        assert FAULT in problem(server.post("/penguins/predict", {}), 503)["error"]
        assert ["models", "penguins"] == [each["name"] for each in server.get("/models").json()["models"]]
        assert 503 == server.get("/dashboard").status_code
        assert 200 == server.get("/docs.json").status_code


def kill_worker(server: Server) -> None:
    """Kill one worker, and wait until BentoML has started another one."""
    before = {worker.pid for worker in server.workers}
    starts = server.read_log().count("Completed startup hook")
    psutil.Process(min(before)).kill()
    eventually(lambda: server.read_log().count("Completed startup hook") > starts)


def test_a_file_that_breaks_later_leaves_the_server_ready(home: Path, tmp_path: Path) -> None:
    """A restarted worker logs it and answers 503 for its model; the host stays ready."""
    folder = make_catalog(tmp_path / "specs")
    with Server(home, catalog=folder) as server:
        (folder / "penguins.py").write_text(BROKEN)
        kill_worker(server)
        found: dict[int, Any] = {}

        def both_have_answered() -> bool:
            with closing(type(server.client)(base_url=server.url)) as client:  # a new connection each time
                assert 200 == client.get("/readyz").status_code
                answer = client.get("/penguins/runs")
            found[answer.status_code] = answer
            return {200, 503} <= set(found)

        eventually(both_have_answered)
        assert FAULT in problem(found[503], 503)["error"]
        assert 1 == server.read_log().count("penguins is not served")
