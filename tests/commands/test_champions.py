"""Promote, roll back, and the ledger."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from models_store import store
from prediction.commands import cli
from prediction.http import bodies
from prediction.journal import ledger
from prediction.journal.database import Journal
from prediction.journal.ledger import NewChampion
from prediction.pages import tables
from tests import command_line, databases
from tests.command_line import Main

postgres = databases.postgres
journal_url = databases.journal_url
journal = databases.journal
main = command_line.main


def test_history_can_be_read_in_eighty_columns(main: Main, journal: Journal) -> None:
    """Time and version stand in one piece, and that there is more than is shown is told."""
    for number in range(51):
        ledger.promote(
            journal,
            NewChampion("iris", f"p7cwx3xgy6tw6{number:03}", "d" * 64, "command line", "better " * 20),
        )

    code, output, _ = main("history", "iris")

    lines = output.splitlines()
    assert (0, "the newest 50 entries; there are older ones") == (code, lines[-1])
    assert all(any(f"p7cwx3xgy6tw6{number:03}" in line for line in lines) for number in range(1, 51))
    assert "\u2026" not in output
    assert max(map(len, lines)) <= 80


def test_status_and_history_tell_what_is_served(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`status` shows each version and the champion, `history` who made it so, when and why."""
    monkeypatch.setenv("BENTOML_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("PREDICTION_DATABASE_URL", raising=False)

    with closing(sqlite3.connect(home / "journal.db")) as connection, connection:
        connection.execute(
            "UPDATE ledger SET reason = 'see [/docs] and [red] \x1b[2J' WHERE model = 'iris'"
        )
    assert 0 == cli.main(["status"])
    status = capsys.readouterr().out
    assert 0 == cli.main(["history", "iris"])
    history = capsys.readouterr().out

    with closing(sqlite3.connect(home / "journal.db")) as connection:
        ledger = connection.execute("SELECT model, to_version, reason FROM ledger").fetchall()
    assert "see [/docs] and [red]  [2J" in history
    for model, version, reason in ledger:
        assert model in status
        assert version in status
        assert model != "iris" or (version in history and tables.printable(reason) in history)
    assert len(ledger) == status.count("champion")


@pytest.mark.parametrize("reason", ["", "   ", "a\0b", "\udcff", "x" * 1001])
def test_a_reason_that_is_none_is_misuse(reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Blanks, bytes that are no text, and more than the ledger keeps are refused as over HTTP."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["rollback", "iris", "--reason", reason])

    assert 2 == caught.value.code
    assert "--reason: give up to 1,000 characters" in capsys.readouterr().err
    with pytest.raises(ValueError, match="reason"):
        bodies.Rollback(reason=reason)


@pytest.mark.parametrize("name", ["latest", "iris:latest", "{version}", "iris:{version}"])
def test_a_version_is_named_as_bentoml_names_it(
    name: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its name, its tag, or as the latest; the ledger keeps its real name."""
    monkeypatch.setenv("BENTOML_HOME", str(home))
    monkeypatch.delenv("PREDICTION_DATABASE_URL", raising=False)
    version = store.newest(home, "iris").version
    with closing(sqlite3.connect(home / "journal.db")) as connection, connection:
        connection.execute("UPDATE ledger SET to_version = 'before' WHERE model = 'iris'")

    assert 0 == cli.main(["promote", "iris", name.format(version=version), "--reason", "because"])

    assert f"iris: {version} is the champion; it was before\n" == capsys.readouterr().out


def test_promoting_the_champion_is_an_error(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence that names it, and exit code 1: a script must not believe that something changed."""
    monkeypatch.setenv("BENTOML_HOME", str(home))
    monkeypatch.delenv("PREDICTION_DATABASE_URL", raising=False)
    version = store.newest(home, "iris").version

    assert 1 == cli.main(["promote", "iris", "latest", "--reason", "because"])

    told = capsys.readouterr()
    assert ("", True) == (told.out, told.err.startswith(f"loop promote: {version} is the champion of iris"))


def test_a_version_that_does_not_exist_is_told_with_some_that_do(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence, and the champion stays."""
    monkeypatch.setenv("BENTOML_HOME", str(home))
    monkeypatch.delenv("PREDICTION_DATABASE_URL", raising=False)
    version = store.newest(home, "iris").version

    assert 1 == cli.main(["promote", "iris", "penguins:latest", "--reason", "because"])

    told = f"iris:penguins:latest is not in the model store: the newest versions are {version}"
    assert f"loop promote: {told}\n" == capsys.readouterr().err


def test_the_ledger_as_json(main: Main, journal: Journal) -> None:
    """Newest first, as `GET /models/{model}` shows it."""
    for version in ("one", "two"):
        ledger.promote(journal, NewChampion("iris", version, "d" * 64, "admin", "because"))

    code, output, _ = main("history", "iris", "--json")

    found = json.loads(output)
    assert (0, ["two", "one"]) == (code, [entry["to"] for entry in found])
    assert {"model", "from", "to", "reason", "by", "at"} == set(found[0])
