"""`loop status`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prediction.commands import cli
from prediction.journal import ledger, workers
from prediction.journal.database import Journal
from prediction.journal.ledger import NewChampion
from prediction.times import now_us
from tests import command_line, databases
from tests.command_line import Main, command
from tests.servers import Server

postgres = databases.postgres
journal_url = databases.journal_url
journal = databases.journal
main = command_line.main


def test_status_tells_what_is_amiss(main: Main, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A champion that the store lacks, and workers that serve another version or none."""
    monkeypatch.setenv("COLUMNS", "200")
    ledger.promote(journal, NewChampion("iris", "goneaway", "d" * 64, "admin", "because"))
    workers.report(journal, "host", 1, {"iris": ("goneaway", 0)})
    _, well, _ = main("status", "iris")
    workers.report(journal, "host", 2, {"iris": ("older", 0)})
    workers.report(journal, "host", 3, {"iris": ("", 0)})
    _, amiss, _ = main("status", "iris")

    (line,) = (line for line in well.splitlines() if "goneaway" in line)
    assert "champion, missing from the store" in line
    assert "instead of the champion" not in well
    assert amiss.endswith("iris: at least one worker serves nothing, older instead of the champion\n")


@pytest.mark.parametrize(("serving", "words"), [(1, "champion, 1 worker "), (2, "champion, 2 workers ")])
def test_status_counts_workers(
    serving: int,
    words: str,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One is a worker, and two are workers."""
    monkeypatch.setenv("BENTOML_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("PREDICTION_DATABASE_URL", raising=False)
    with databases.opened(f"sqlite:///{home / 'journal.db'}") as journal:
        version = ledger.champions(journal)["iris"].to_version
        for number in range(serving):
            workers.report(journal, "here", number, {"iris": (version, now_us())})

    assert 0 == cli.main(["status", "iris"])

    assert words in capsys.readouterr().out


def test_the_state_as_json(server: Server) -> None:
    """It is what `GET /models` answers."""
    done = command(server.home, "status", "--json")

    assert (0, "") == (done.returncode, done.stderr)
    assert server.get("/models").json() == json.loads(done.stdout)
