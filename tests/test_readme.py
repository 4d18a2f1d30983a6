"""README and docs: what they print works as printed, and their tables are the code's."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from models_store.spec import Spec
from prediction.http import entrance
from prediction.journal import ledger
from prediction.journal.database import Journal
from tests.servers import PROJECT, Server, environment, free_port, run

README = PROJECT / "README.md"
PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")])
START_SECONDS = 300

pytestmark = pytest.mark.timeout(900)


def blocks(page: Path, *languages: str) -> list[str]:
    """Return the code blocks of a page, in order."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [text for language, text in found if language in languages]


def copy_project(folder: Path) -> Path:
    """Copy the project as a clone would have it, its environment made already: that of the tests."""
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns(".*", "__pycache__", "results"))
    made, here = folder / ".venv", Path(sys.prefix)
    (made / "bin").mkdir(parents=True)
    for name in (
        "pyvenv.cfg",
        "include",
        "lib",
        *(f"bin/{path.name}" for path in (here / "bin").iterdir()),
    ):
        (made / name).symlink_to(here / name)
    for name in ("bin/uv", "serving", "testing"):  # make compares their times
        if not (made / name).exists():
            (made / name).touch()
    return folder


@contextmanager
def started(
    script: str, cwd: Path, home: Path, output: Path, **settings: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a script as one types it, and end it by Ctrl+C."""
    variables = environment(home, **{"workers": 1, **settings})
    variables["PATH"] = os.environ["PATH"]  # the project's environment is for the script to find
    for name in ("HOST", "PORT", "PYTHON"):  # make would take them
        variables.pop(name, None)
    with output.open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=cwd,
            env=variables,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=60)


def wait_ready(url: str, process: subprocess.Popen[bytes], output: Path) -> None:
    """Wait until a server answers."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"no server at {url}:\n{output.read_text()}")
        time.sleep(0.2)


def port_or_free(port: int) -> int:
    """Return the port that a page prints, or another one where it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return free_port()
    return port


@dataclass(frozen=True)
class Session:
    """What a user sees who copies the README's blocks one after the other."""

    project: Path
    home: Path
    ports: dict[str, int]
    served: str
    shown: list[str]
    python: list[subprocess.CompletedProcess[str]]
    elsewhere: Any

    def shown_by(self, words: str) -> str:
        """Return what the shell block that holds these words printed."""
        (index,) = [i for i, block in enumerate(shell_blocks()) if words in block]
        return self.shown[index]


def shell_blocks() -> list[str]:
    """Return the blocks for the second terminal, the one that does not end at the end."""
    others = [block for block in blocks(README, "sh") if not block.startswith("make ")]
    return sorted(others, key=lambda block: "bentoml serve" in block)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Copy the project; `make serve` in one terminal; every other block in a second one."""
    folder = tmp_path_factory.mktemp("readme")
    project, home = copy_project(folder / "prediction-loop"), folder / "home"
    ports = {"3000": port_or_free(3000), "3001": port_or_free(3001)}
    first, second = folder / "first.log", folder / "second.log"

    def as_printed(block: str) -> str:
        return re.sub(r"\b300[01]\b", lambda match: str(ports[match[0]]), block)

    mark = "echo; echo '---- next block'"
    script = "\n".join(f"{mark}\n{as_printed(block)}" for block in shell_blocks())
    port = {} if ports["3000"] == 3000 else {"PORT": ports["3000"]}
    make = " ".join([blocks(README, "sh")[0].strip(), *(f"{name}={value}" for name, value in port.items())])
    with started(make, project, home, first) as server:
        wait_ready(f"http://127.0.0.1:{ports['3000']}", server, first)
        python = [
            run(".venv/bin/python", "-c", as_printed(block), home=home, cwd=project)
            for block in blocks(README, "python")
        ]
        with started(script, project, home, second) as terminal:
            elsewhere = f"http://127.0.0.1:{ports['3001']}"
            wait_ready(elsewhere, terminal, second)
            models = httpx.get(f"{elsewhere}/models").json()
        shown = second.read_text().split("\n---- next block\n")[1:]
        yield Session(project, home, ports, first.read_text(), shown, python, models)


def test_make_serve_trains_what_is_missing_and_serves(session: Session, specs: dict[str, Spec]) -> None:
    """From an empty home: a table a model, the address of the docs page, and a server."""
    for name in specs:
        assert f"{name}: fit on " in session.served
        assert re.search(rf"{name}: \w+ is the champion", session.served)
    for row in ("rows", "classes", "accuracy", "macro-F1", "log-loss", "seconds", "size", "served by"):
        assert len(specs) == session.served.count(f"│ {row} ")
    assert f"Docs page:  http://127.0.0.1:{session.ports['3000']}/\n" in session.served


def test_the_curl_that_make_serve_prints_works(session: Session) -> None:
    """The line can be copied as it stands."""
    (command,) = re.findall(r"^Try: +(curl .*)$", session.served, re.MULTILINE)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)

    assert json.loads(done.stdout)["predicted_class"] == "setosa"


def test_a_second_start_trains_nothing(session: Session) -> None:
    """With a version of every model in the store there is nothing to do."""
    done = run("make", "train", home=session.home, cwd=session.project)

    assert done.returncode == 0, done.stderr
    assert not done.stdout + done.stderr


def test_every_shell_block_runs(session: Session) -> None:
    """The shell stops at the first command that fails; it came to the last."""
    assert len(shell_blocks()) == len(session.shown)


def test_answers_are_those_that_are_printed(session: Session) -> None:
    """Where the page shows an answer, the command before it gives it, but for ids and the last digits."""
    pairs = re.findall(r"^```sh\n([^`]*?)^```\n\n```json\n(.*?)^```$", README.read_text(), re.M | re.S)

    assert len(blocks(README, "json")) == len(pairs)
    for block, printed in pairs:
        assert_alike(json.loads(printed), parsed(session.shown[shell_blocks().index(block)]))


def parsed(shown: str) -> Any:
    """Return the JSON that a block printed last; curl's progress stands before it."""
    return json.loads(next(line for line in reversed(shown.splitlines()) if line.startswith(("{", "["))))


def assert_alike(expected: Any, actual: Any, key: str = "") -> None:
    """Compare two answers: the same shape and words, and figures to four digits."""
    if isinstance(expected, dict):
        assert list(expected) == list(actual)
        for name, value in expected.items():
            assert_alike(value, actual[name], name)
    elif isinstance(expected, list):
        for item, other in zip(expected, actual, strict=True):
            assert_alike(item, other, key)
    elif isinstance(expected, float):
        assert actual == pytest.approx(expected, abs=1e-4)
    elif key not in ("prediction_id", "version"):
        assert expected == actual


def test_the_batch_is_answered_in_order_with_its_warning(session: Session) -> None:
    """Two penguins in, two out; the second has flippers longer than any in the data."""
    first, second = parsed(session.shown_by("/penguins/predict_batch"))

    assert (first["predicted_class"], first["warnings"]) == ("Adelie", [])
    assert [warning["loc"] for warning in second["warnings"]] == [["flipper_length_mm"]]


def test_a_prediction_is_found_by_its_id(session: Session) -> None:
    """The look-up shows what was sent, gaps as null."""
    found = parsed(session.shown_by("/penguins/predictions/"))

    assert found["features"]["flipper_length_mm"] == 217
    assert found["features"]["sex"] is None


def test_python_blocks_run(session: Session) -> None:
    """BentoML's client and its model store do what the page says."""
    for done in session.python:
        assert done.returncode == 0, done.stderr
    assert session.python[0].stdout.startswith("setosa ")
    assert session.python[1].stdout.strip() == "['Adelie' 'Chinstrap' 'Gentoo']"


def test_its_label_can_follow(session: Session) -> None:
    """The same label from a file changes nothing, and the outcome is exported."""
    shown = session.shown_by("import-feedback")

    assert "0 recorded, 1 unchanged, 0 corrected, 0 refused" in shown
    assert "1 labelled predictions of penguins in outcomes.parquet" in shown
    assert "the journal is copied to journal-copy.db" in shown
    assert "0 predictions deleted" in shown


def test_it_is_retrained_and_rolled_back(session: Session) -> None:
    """The run ends with a verdict in words, and the champion of before is back."""
    shown = session.shown_by("prediction retrain")

    assert re.search(r"^(promoted|rejected): ", shown, re.MULTILINE)
    assert re.search(r"^iris: \w+ is the champion again; it was \w+$", shown, re.MULTILINE)
    assert "seed 0" in shown


def test_bentomls_commands_show_the_models(session: Session, specs: dict[str, Spec]) -> None:
    """The listing has every model, and `get` tells its story."""
    shown = session.shown_by("bentoml models list")

    assert not [name for name in specs if f"{name}:" not in shown]
    for words in ("runtime: onnx", "estimator: LogisticRegression", "log_loss:", "data_digest:"):
        assert words in shown


def test_the_bento_is_served_elsewhere(session: Session, specs: dict[str, Spec]) -> None:
    """Exported, imported into an empty home and served there, it has the champions."""
    journal = Journal(f"sqlite:///{session.home}/journal.db")
    champions = {name: entry.to_version for name, entry in ledger.champions(journal).items()}
    journal.close()

    assert specs.keys() == champions.keys()
    assert champions == {model["name"]: model["champion"] for model in session.elsewhere["models"]}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_blocks_name_targets(page: Path) -> None:
    """A block that calls make, which the tests can't do to themselves, calls it by a target that exists."""
    for block in blocks(page, "sh"):
        for target in re.findall(r"^make (\w+)", block, re.MULTILINE):
            done = run("make", "--dry-run", target, home=PROJECT / "none")
            assert done.returncode == 0, done.stderr


def test_settings_are_set_as_the_page_shows(trained_home: Path, tmp_path: Path) -> None:
    """Its example starts a server with those settings."""
    (block,) = blocks(PROJECT / "docs" / "settings.md", "sh")
    home = Path(shutil.copytree(trained_home, tmp_path / "home", symlinks=True))
    port, log = free_port(), tmp_path / "log"
    url = f"http://127.0.0.1:{port}"
    with started(f"{block.strip()} PORT={port}", copy_project(tmp_path / "copy"), home, log) as server:
        wait_ready(url, server, log)
        answer = httpx.post(f"{url}/iris/predict_batch", json=[{}] * 101)

    assert answer.status_code == 400
    assert answer.json()["detail"][0]["msg"] == "at most 100 rows in a batch: split it"


def test_the_table_of_the_penguins_is_what_its_block_prints(tmp_path: Path) -> None:
    """The cross-validation, run as printed, gives the same rows, and figures to two digits."""
    page = PROJECT / "docs" / "penguins.md"
    (block,) = blocks(page, "python")
    done = run(sys.executable, "-c", block, home=tmp_path)
    assert done.returncode == 0, done.stderr
    without_code = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    printed, measured = (
        [line for line in text.splitlines() if line.startswith("|")] for text in (without_code, done.stdout)
    )

    for expected, actual in zip(printed, measured, strict=True):
        assert words(expected) == words(actual)
        assert figures(actual) == pytest.approx(figures(expected), rel=0.1, abs=0.01)


def words(row: str) -> list[str]:
    """Return the words of a table's row."""
    return re.findall(r"[a-zA-Z][a-zA-Z -]+", re.sub(r"\d\S*", "", row))


def figures(row: str) -> list[float]:
    """Return the figures of a table's row."""
    return [float(figure) for figure in re.findall(r"\d+\.?\d*(?:e-\d+)?", row)]


def test_the_table_of_routes_is_exact(server: Server, specs: dict[str, Spec]) -> None:
    """It lists every route that docs.json has, and the pages for people."""
    printed = set(re.findall(r"`(GET|POST) (/\S*)`", README.read_text()))
    described = {
        (method.upper(), re.sub(rf"^/({'|'.join(specs)})/", "/{model}/", path))
        for path, operations in server.get("/docs.json").json()["paths"].items()
        for method in operations
    }

    pages = {("GET", "/"), ("GET", "/docs.json"), ("GET", "/dashboard")}
    assert described | pages == printed


def test_the_table_of_errors_is_exact() -> None:
    """It lists every status that is ever answered, in order."""
    printed = [int(status) for status in re.findall(r"^\| (\d{3}) \|", README.read_text(), re.MULTILINE)]
    answered = (
        {status for status, _ in entrance.STATUSES.values()} | set(entrance.REFUSALS.values()) | {500}
    )

    assert sorted(answered) == printed


def test_the_table_of_make_is_exact() -> None:
    """It lists every target that `make help` does."""
    printed = re.findall(r"^\| `make (\w+)` \|", README.read_text(), re.MULTILINE)
    targets = re.findall(r"^(\w+):.*## ", (PROJECT / "Makefile").read_text(), re.MULTILINE)

    assert sorted(targets) == sorted(printed)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """A link to a file of the project leads to one."""
    links = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text())

    assert not [link for link in links if not (page.parent / link).exists()]
