"""The SQLite file of a running server, deleted, replaced and damaged: nothing is acknowledged and lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from models_store.spec import Spec
from tests.command_line import command
from tests.databases import query
from tests.journal.sqlite import test_guard as harms
from tests.servers import Server, problem, series
from tests.timing import eventually


@dataclass
class Acknowledged:
    """The predictions that a client got while it never stopped asking, with the times of its requests."""

    url: str
    row: dict[str, Any]
    ids: list[tuple[float, str]] = field(default_factory=list)
    statuses: list[tuple[float, int]] = field(default_factory=list)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Ask meanwhile."""
        stop = threading.Event()
        thread = threading.Thread(target=self._ask, args=(stop,))
        thread.start()
        try:
            self.go_on()
            yield
        finally:
            stop.set()
            thread.join()

    def go_on(self) -> None:
        """Wait until more predictions are acknowledged."""
        before = len(self.ids)
        eventually(lambda: len(self.ids) > before + 20)

    def _ask(self, stop: threading.Event) -> None:
        while not stop.is_set():
            began = time.monotonic()
            with httpx.Client(base_url=self.url, timeout=20) as client:  # of either worker
                answer = client.post("/iris/predict", json=self.row)
            self.statuses.append((began, answer.status_code))
            if answer.status_code == 200:
                self.ids.append((began, answer.json()["prediction_id"]))

    def since(self, moment: float) -> set[int]:
        """Return the statuses of the requests that began after a moment."""
        return {status for began, status in self.statuses if began > moment}


@pytest.fixture
def row(specs: dict[str, Spec]) -> dict[str, Any]:
    """A row of iris."""
    return dict(specs["iris"].example)


def fails(server: Server, words: str) -> bool:
    """Tell whether every worker logged its one line of a fault, and is not ready."""
    lines = [line for line in server.read_log().splitlines() if "[ERROR]" in line and words in line]
    return len(lines) == 2


HARMS: list[tuple[Callable[[Path], None], str, str]] = [
    (harms.delete, "missing", "the journal's file is missing"),
    (harms.replace, "replaced", "another file is in the place of the journal's file"),
    (harms.delete_log, "log", "the journal's log (-wal) was deleted"),
    (harms.empty, "damaged", "the journal's file is damaged"),
    (harms.overwrite, "damaged", "the journal's file is damaged"),
]


@pytest.mark.parametrize(("harm", "kind", "words"), HARMS)
def test_a_journal_that_is_gone_acknowledges_nothing(
    home: Path, row: dict[str, Any], harm: Callable[[Path], None], kind: str, words: str
) -> None:
    """503 at once, in one shape; one ERROR line of each worker; not ready; counted; a restart serves."""
    path = home / "journal.db"
    with Server(home) as server:
        load = Acknowledged(server.url, row)
        with load.asking():
            assert 0 == command(home, "backup", str(home / "copy.db")).returncode
            harm(path)
            done = time.monotonic()
            eventually(lambda: fails(server, words))
            noticed = time.monotonic()
            time.sleep(0.5)
        label = {"prediction_id": load.ids[0][1], "label": "setosa"}

        assert {503} == load.since(done)
        assert noticed - done < 5  # about a second, on a machine that is not busy
        assert words in problem(server.post("/iris/predict", row), 503)["error"]
        assert words in problem(server.post("/iris/predict_batch", [row]), 503)["error"]
        assert words in problem(server.post("/iris/feedback", label), 503)["error"]
        assert words in problem(server.get("/readyz"), 503)["error"]
        assert 200 == server.get("/livez").status_code
        found = series(server)
        assert 0 == found["prediction_journal_up"]
        assert 2 == found[f'prediction_journal_file_faults_total{{fault="{kind}"}}']
        errors = [line for line in server.read_log().splitlines() if "[ERROR]" in line]
        assert [str(path) in line for line in errors] == [True, True]
        assert "Traceback" not in server.read_log()

    if kind in ("missing", "damaged"):
        restored = command(home, "restore", str(home / "copy.db"), "--yes")
        assert 0 == restored.returncode, restored.stderr
    with Server(home, workers=1) as server:
        assert 200 == server.post("/iris/predict", row).status_code
    assert [("ok",)] == query(f"sqlite:///{path}", "PRAGMA integrity_check")
    if kind == "log":  # its rows were in the log that the workers still had open
        assert {each for _, each in load.ids} <= harms.ids(path)


def test_a_journal_that_comes_back_has_all_that_was_acknowledged(home: Path, row: dict[str, Any]) -> None:
    """Renamed away and back under load, twice: every acknowledged row is there, and no other one."""
    path, away = home / "journal.db", home / "away.db"
    with Server(home) as server:
        load = Acknowledged(server.url, row)
        with load.asking():
            for _ in range(2):
                path.rename(away)
                gone = time.monotonic()
                eventually(lambda: server.get("/readyz").status_code == 503)
                time.sleep(1.5)
                assert {503} == load.since(gone)
                away.rename(path)
                load.go_on()
                eventually(lambda: server.get("/readyz").status_code == 200)
        eventually(lambda: len(harms.ids(path)) == len(load.ids))
        assert 2 <= server.read_log().count("can be used again")

    assert {each for _, each in load.ids} == harms.ids(path)


def test_a_journal_that_is_not_required_fails_no_prediction(home: Path, row: dict[str, Any]) -> None:
    """Answers have no id, the worker stays ready, labels are refused; no command makes a new file."""
    with Server(home, workers=1, journal_required="false") as server:
        prediction_id = server.post("/iris/predict", row).json()["prediction_id"]
        harms.delete(home / "journal.db")
        eventually(lambda: "the journal's file is missing" in server.read_log())

        answer = server.post("/iris/predict", row)
        label = {"prediction_id": prediction_id, "label": "setosa"}
        status = command(home, "status")

        assert 1 == status.returncode
        assert f"loop status: {home / 'journal.db'} is missing: put it back; process" in status.stderr
        assert not (home / "journal.db").exists()
        assert (200, None) == (answer.status_code, answer.json()["prediction_id"])
        assert 200 == server.get("/readyz").status_code
        assert 503 == server.post("/iris/feedback", label).status_code


def test_a_server_does_not_start_on_a_damaged_journal(home: Path) -> None:
    """It says in one sentence what to do."""
    (home / "journal.db").write_bytes(b"damaged" * 10_000)
    done = command(home, "serve", "--port", "1")

    assert 1 == done.returncode
    assert "the journal's file is damaged: stop the server, and put a backup in its place" in done.stderr
    assert 1 == done.stderr.count("\n")
