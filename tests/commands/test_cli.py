"""The operator's commands: each through a real process, their finer points through `main`."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from models_store import catalog
from prediction import home
from prediction.commands import cli
from prediction.http import bodies
from prediction.journal import ledger, predictions, workers
from prediction.journal.database import Journal
from prediction.journal.ledger import NewChampion
from prediction.pages import reports
from prediction.times import DAY_US, now_us
from tests import command_line, databases
from tests.command_line import IRIS_FEATURES, Main, command, iris
from tests.databases import PASSWORD, Postgres, record
from tests.servers import Server

postgres = databases.postgres
journal_url = databases.journal_url
journal = databases.journal
main = command_line.main


# ------------------------------------------------------------------------- through real processes


def test_prune_in_a_process(tmp_path: Path) -> None:
    """`prune` deletes what is older than the setting says, and tells how much that was."""
    with databases.opened(f"sqlite:///{tmp_path / 'journal.db'}") as journal:
        record(journal, [iris(number, at_us=now_us() - 31 * DAY_US) for number in range(3)])
        (young,) = record(journal, [iris(9, at_us=now_us() - 29 * DAY_US)])

        done = command(tmp_path, "prune", journal_days=30)

        assert (0, "3 predictions deleted; 30 days are kept\n") == (done.returncode, done.stdout)
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
    sentence = f"prediction restore: process {server.process.pid} serves {server.home}: stop it, or"
    assert 1 == refused.returncode
    assert refused.stderr.startswith(sentence)
    assert 1 == refused.stderr.count("\n")
    assert 200 == server.get(f"/iris/predictions/{prediction_id}").status_code
    assert (0, f"the journal is what {copy} holds\n") == (restored.returncode, restored.stdout)
    with databases.opened(f"sqlite:///{tmp_path / 'other' / 'journal.db'}") as journal:
        assert prediction_id == predictions.find(journal, prediction_id).prediction_id


def test_postgresql_is_backed_up_by_its_own_tools(postgres: Postgres, tmp_path: Path) -> None:
    """On PostgreSQL `backup` names the tool, in one line, without the password."""
    with postgres.database() as url:
        done = command(tmp_path, "backup", str(tmp_path / "copy.db"), database_url=url)

    assert (1, "") == (done.returncode, done.stdout)
    assert "prediction backup: the journal is on PostgreSQL: use pg_dump\n" == done.stderr


def test_a_command_that_is_none_is_misused(tmp_path: Path) -> None:
    """An unknown command ends with the usage and exit code 2, and touches nothing."""
    done = command(tmp_path, "purge")

    assert 2 == done.returncode
    assert "invalid choice: 'purge'" in done.stderr
    assert [] == list(tmp_path.iterdir())


# --------------------------------------------------------------------------------- finer points


@pytest.mark.parametrize("journal_url", ["sqlite"], indirect=True)
def test_an_unknown_model_is_told_with_those_there_are(main: Main, tmp_path: Path) -> None:
    """Every command that takes a model refuses another one in a sentence that lists them all."""
    for arguments in (
        ["export", "tulips", str(tmp_path / "a.csv")],
        ["import-feedback", "tulips", str(tmp_path / "a.csv")],
        ["status", "tulips"],
        ["history", "tulips"],
        ["promote", "tulips", "v", "--reason", "because"],
        ["rollback", "tulips", "--reason", "because"],
        ["retrain", "tulips"],
    ):
        sentence = f"there is no model 'tulips': the models are {', '.join(catalog.load())}"
        assert (1, "", f"prediction {arguments[0]}: {sentence}\n") == main(*arguments)
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize("journal_url", ["sqlite"], indirect=True)
def test_what_can_t_be_done_is_one_sentence(main: Main, journal: Journal, tmp_path: Path) -> None:
    """A span that is none, a folder that is missing, a version that does not exist: exit code 1."""
    for arguments, words in [
        (["export", "iris", str(tmp_path / "a.csv"), "--since", "soon"], "is no span of time"),
        (["export", "iris", str(tmp_path / "a.csv"), "--since", ""], "is no span of time"),
        (["export", "iris", str(tmp_path / "missing" / "a.csv")], "can't be written"),
        (["export", "iris", str(tmp_path / "a.txt")], "the name must end with .csv"),
        (["backup", str(tmp_path / "missing" / "a.db")], "can't be written"),
        (["backup", str(tmp_path / "journal.db")], "is the journal itself"),
        (["backup", ""], ". can't be written: it is a folder"),
        (["import-feedback", "iris", ""], "the name must end with .csv"),
        (["restore", str(tmp_path / "missing.db")], "is no backup of a journal"),
        (["promote", "iris", "v", "--reason", "because"], "iris"),
        (["rollback", "iris", "--reason", "because"], "iris"),
    ]:
        code, output, errors = main(*arguments)
        assert (1, "") == (code, output)
        assert errors.startswith(f"prediction {arguments[0]}: ")
        assert words in errors
        assert 1 == errors.count("\n")


@pytest.mark.parametrize("arguments", [[], ["export", "iris"], ["backup"], ["promote", "iris", "v"]])
def test_missing_arguments_are_misuse(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A command without its arguments ends with the usage and exit code 2."""
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)

    assert 2 == caught.value.code
    assert "usage: python -m prediction" in capsys.readouterr().err


@pytest.mark.parametrize("reason", ["", "   ", "a\0b", "\udcff", "x" * 1001])
def test_a_reason_that_is_none_is_misuse(reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Blanks, bytes that are no text, and more than the ledger keeps are refused as over HTTP."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["rollback", "iris", "--reason", reason])

    assert 2 == caught.value.code
    assert "--reason: give up to 1,000 characters" in capsys.readouterr().err
    with pytest.raises(ValueError, match="reason"):
        bodies.Rollback(reason=reason)


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
        sentence = "prediction restore: the journal is on PostgreSQL: use pg_restore\n"
        assert (1, "", sentence) == main("restore", str(tmp_path / "copy.db"))


def test_a_newer_journal_is_not_touched(main: Main, journal: Journal, journal_url: str) -> None:
    """No command works on a journal that a newer release has written."""
    with databases.connected(journal_url) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    code, _, errors = main("prune")
    assert (1, 1) == (code, errors.count("\n"))
    assert errors.startswith("prediction prune: the journal was written by a newer release: ")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"mysql://user:{PASSWORD}@host/journal", "PREDICTION_DATABASE_URL"),
        (f"postgresql://user:{PASSWORD}@127.0.0.1:1/journal", "refused"),
        ("sqlite:////missing/journal.db", "unable to open database file"),
    ],
)
def test_an_unusable_url_is_one_sentence(
    url: str,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """A journal that is not there, or of another kind, is told in one line without its password."""
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path))
    monkeypatch.setenv("PREDICTION_DATABASE_URL", url)

    assert 1 == cli.main(["prune"])
    captured = capsys.readouterr()
    assert ("", 1) == (captured.out, captured.err.count("\n"))
    assert captured.err.startswith("prediction prune: ")
    assert reason in captured.err
    assert PASSWORD not in captured.err


def test_a_damaged_journal_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A file in the journal's place that is no database is told, and not overwritten."""
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path))
    monkeypatch.delenv("PREDICTION_DATABASE_URL", raising=False)
    (tmp_path / "journal.db").write_text("this is a letter" * 1_000)

    assert 1 == cli.main(["prune"])
    assert capsys.readouterr().err.startswith("prediction prune: ")
    assert (tmp_path / "journal.db").read_text().startswith("this is a letter")


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
        assert model != "iris" or (version in history and reports.printable(reason) in history)
    assert len(ledger) == status.count("champion")


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
    assert "and not the champion" not in well
    assert amiss.endswith("iris: a worker serves nothing, older, and not the champion\n")


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


def test_a_home_that_can_t_be_made_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Whichever command looks for it, by the variable that names it."""
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "home"
    monkeypatch.setenv("BENTOML_HOME", str(folder))

    for arguments in (["status"], ["score", "iris", "a.csv", "b.csv"]):
        assert 1 == cli.main(arguments)
        told = capsys.readouterr().err
        assert told.startswith(f"prediction {arguments[0]}: BENTOML_HOME: {folder} can't be written to by")
        assert 1 == told.count("\n")


def test_a_home_that_is_not_there_yet_is_made(tmp_path: Path) -> None:
    """Whoever looks first sees that nothing is trained, and no failure."""
    done = command(tmp_path / "new" / "home", "status")

    assert (0, "") == (done.returncode, done.stderr)
