"""Backup, restore and prune."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from prediction import home
from prediction.journal import backups, predictions
from prediction.journal.database import Journal
from prediction.times import DAY_US, now_us
from tests import command_line, databases
from tests.command_line import IRIS_FEATURES, Main, command, iris
from tests.databases import Postgres, query, record
from tests.servers import PROJECT, Server, environment

postgres = databases.postgres
journal_url = databases.journal_url
journal = databases.journal
main = command_line.main


def test_prune_in_a_process(tmp_path: Path) -> None:
    """`prune` deletes what is older than the setting says, and tells how much that was."""
    with databases.opened(f"sqlite:///{tmp_path / 'journal.db'}") as journal:
        record(journal, [iris(number, at_us=now_us() - 31 * DAY_US) for number in range(3)])
        (young,) = record(journal, [iris(9, at_us=now_us() - 29 * DAY_US)])

        done = command(tmp_path, "prune", journal_days=30)

        assert (0, "3 predictions deleted; 30 days are kept, labelled ones ten times as long\n") == (
            done.returncode,
            done.stdout,
        )
        assert young == predictions.find(journal, young).prediction_id


def test_backup_and_restore_beside_a_server(server: Server, tmp_path: Path) -> None:
    """While a server runs a backup is made and a restore is refused; elsewhere the backup is whole."""
    prediction_id = server.post("/iris/predict", IRIS_FEATURES).json()["prediction_id"]
    copy = tmp_path / "copy.db"

    made = command(server.home, "backup", str(copy))
    refused = command(server.home, "restore", str(copy))
    restored = command(tmp_path / "other", "restore", str(copy))

    assert 0 == made.returncode, made.stderr
    assert f"the journal is copied to {copy}: {copy.stat().st_size} bytes\n" == made.stdout
    sentence = f"loop restore: process {server.process.pid} serves {server.home}: stop it, or"
    assert 1 == refused.returncode
    assert refused.stderr.startswith(sentence)
    assert 1 == refused.stderr.count("\n")
    assert 200 == server.get(f"/iris/predictions/{prediction_id}").status_code
    assert (0, f"the journal was replaced by {copy}\n") == (restored.returncode, restored.stdout)
    with databases.opened(f"sqlite:///{tmp_path / 'other' / 'journal.db'}") as journal:
        assert prediction_id == predictions.find(journal, prediction_id).prediction_id


def ask(answer: str, folder: Path, *arguments: str) -> tuple[int, str]:
    """Run a command on a terminal, type an answer, and return the exit code and all it wrote."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "prediction", *arguments],
        env=environment(folder),
        cwd=PROJECT,
        stdin=its,
        stdout=its,
        stderr=its,
    )
    os.close(its)
    os.write(ours, answer.encode())
    written = b""
    with suppress(OSError):  # its end is an error of the terminal
        while part := os.read(ours, 4096):
            written += part
    os.close(ours)
    return process.wait(timeout=60), written.decode()


def test_a_restore_asks_and_keeps_the_old_journal(tmp_path: Path) -> None:
    """A terminal is asked; elsewhere `--yes` is needed. No old journal is ever lost."""
    path, copy = tmp_path / "journal.db", tmp_path / "copy.db"
    with databases.opened(f"sqlite:///{path}") as journal:
        (kept,) = record(journal, [iris(1)])
        backups.backup(journal, copy)
        (later,) = record(journal, [iris(2)])

    silent = command(tmp_path, "restore", str(copy))
    refused = ask("n\n", tmp_path, "restore", str(copy))
    untouched = ids_of(path)
    agreed = ask("y\n", tmp_path, "restore", str(copy))
    forced = command(tmp_path, "restore", str(copy), "--yes")

    sentence = f"loop restore: {path} would be replaced, and there is no terminal to ask: add --yes\n"
    assert (1, sentence) == (silent.returncode, silent.stderr)
    assert 1 == refused[0]
    assert f"Replace {path}? " in refused[1]
    assert f"loop restore: {path} was not replaced" in refused[1]
    assert [kept, later] == untouched
    assert 0 == agreed[0], agreed[1]
    first, second = tmp_path / "journal.db.before-restore", tmp_path / "journal.db.before-restore-2"
    assert f"the old one is {first}" in agreed[1]
    assert f"the journal was replaced by {copy}; the old one is {second}\n" == forced.stdout
    assert [kept, later] == ids_of(first)
    assert [kept] == ids_of(second) == ids_of(path)


def ids_of(path: Path) -> list[str]:
    """Return the ids of the predictions in a file."""
    rows = query(f"sqlite:///{path}", "SELECT prediction_id FROM predictions ORDER BY seq")
    return [each for (each,) in rows]


def test_postgresql_is_backed_up_by_its_own_tools(postgres: Postgres, tmp_path: Path) -> None:
    """On PostgreSQL `backup` names the tool, in one line, without the password."""
    with postgres.database() as url:
        done = command(tmp_path, "backup", str(tmp_path / "copy.db"), database_url=url)

    assert (1, "") == (done.returncode, done.stdout)
    assert "loop backup: the journal is on PostgreSQL: use pg_dump\n" == done.stderr


def test_restore_is_refused_while_the_home_is_locked(
    main: Main, journal: Journal, journal_url: str, tmp_path: Path
) -> None:
    """The home's lock keeps a restore away, and on PostgreSQL the sentence names the tool."""
    if journal.is_sqlite:
        assert 0 == main("backup", str(tmp_path / "copy.db"))[0]
        (later,) = record(journal, [iris(1)])
        with home.lock(tmp_path):
            assert "serves" in main("restore", str(tmp_path / "copy.db"))[2]
        assert later == predictions.find(journal, later).prediction_id
    else:
        sentence = "loop restore: the journal is on PostgreSQL: use pg_restore\n"
        assert (1, "", sentence) == main("restore", str(tmp_path / "copy.db"))
