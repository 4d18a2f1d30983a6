"""The operator's commands: each through a real process, their finer points through `main`."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import subprocess
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from prediction import cli, feedback, home, tables, tabular
from prediction.feedback import Label
from prediction.journal import Journal, now_us
from prediction.retention import DAY_US
from tests import databases
from tests.databases import PASSWORD, Postgres, prediction, record
from tests.serving import PROJECT, Server, environment, run

postgres = databases.postgres
journal_url = databases.journal_url
journal = databases.journal

Main = Callable[..., tuple[int, str, str]]
IRIS_FEATURES = {
    "sepal_length_cm": 5.1,
    "sepal_width_cm": 3.5,
    "petal_length_cm": 1.4,
    "petal_width_cm": 0.2,
}


def command(folder: Path, *arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, on a home."""
    return run("python", "-m", "prediction", *arguments, home=folder, **settings)


def on_a_terminal(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run a command whose errors go to a terminal; return exit code, output, and what was shown."""
    here, there = os.openpty()
    process = subprocess.Popen(
        ["python", "-m", "prediction", *arguments],
        cwd=PROJECT,
        env=environment(folder) | {"TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=there,
        text=True,
    )
    output, _ = process.communicate(timeout=60)
    os.close(there)
    with os.fdopen(here, errors="replace") as terminal:
        shown = os.read(terminal.fileno(), 100_000).decode()
    return process.returncode, output, shown


@pytest.fixture
def main(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, journal_url: str
) -> Main:
    """Run a command on `journal_url` in this process; return exit code, output and errors."""
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path))
    monkeypatch.setenv("PREDICTION_DATABASE_URL", journal_url)

    def run_main(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_main


def iris(number: int, **changes: Any) -> Any:
    """Make a prediction of iris with features."""
    return prediction(number, **{"features": json.dumps(IRIS_FEATURES), **changes})


def label_all(journal: Journal, ids: Sequence[str], label: str) -> None:
    """Give the same label to several predictions of iris."""
    assert ["recorded"] * len(ids) == feedback.give(journal, "iris", [Label(each, label) for each in ids])


def read(path: Path) -> list[tabular.Row]:
    """Return all rows of a file."""
    return [row for chunk in tabular.read(path) for row in chunk]


# ------------------------------------------------------------------------- through real processes


def test_prune_in_a_process(tmp_path: Path) -> None:
    """`prune` deletes what is older than the setting says, and tells how much that was."""
    with databases.opened(f"sqlite:///{tmp_path / 'journal.db'}") as journal:
        record(journal, [iris(number, at_us=now_us() - 31 * DAY_US) for number in range(3)])
        (young,) = record(journal, [iris(9, at_us=now_us() - 29 * DAY_US)])

        done = command(tmp_path, "prune", journal_days=30)

        assert (0, "3 predictions deleted; 30 days are kept\n") == (done.returncode, done.stdout)
        assert young == journal.prediction(young).prediction_id


def test_export_in_a_process(tmp_path: Path) -> None:
    """`export` writes a labelled prediction with all that is known of it, typed."""
    with databases.opened(f"sqlite:///{tmp_path / 'journal.db'}") as journal:
        ids = record(journal, [iris(1), iris(2)])
        label_all(journal, ids[:1], "virginica")

    done = command(tmp_path, "export", "iris", str(tmp_path / "outcomes.parquet"), "--since", "7d")

    path = tmp_path / "outcomes.parquet"
    assert (0, f"1 labelled predictions of iris in {path}\n") == (done.returncode, done.stdout)
    (row,) = read(path)
    assert IRIS_FEATURES == {name: row[name] for name in IRIS_FEATURES}
    assert (ids[0], "setosa", "virginica") == (
        row["prediction_id"],
        row["predicted_class"],
        row["label"],
    )
    assert [0.9, 0.1, 0.0] == [row[f"probability_{name}"] for name in ("setosa", "versicolor", "virginica")]
    assert row["at"] < row["labelled_at"]
    assert row["labelled_at"].endswith("+00:00")


def test_import_feedback_in_a_process(tmp_path: Path) -> None:
    """`import-feedback` gives the labels of a file, and says of each refused row why, in a file beside."""
    with databases.opened(f"sqlite:///{tmp_path / 'journal.db'}") as journal:
        good, labelled = record(journal, [iris(1), iris(2)])
        label_all(journal, [labelled], "setosa")
        unknown = str(iris(7).prediction_id)
        (tmp_path / "labels.csv").write_text(
            "prediction_id,label,correct\n"
            f"{good},setosa,\n"
            f"{labelled},virginica,\n"
            f"{unknown},setosa,true\n"
            f"{good},tulip,\n"
        )

        code, output, shown = on_a_terminal(
            tmp_path, "import-feedback", "iris", str(tmp_path / "labels.csv")
        )

        refused = tmp_path / "labels.refused.csv"
        summary = f"1 recorded, 0 unchanged, 0 corrected, 3 refused: see {refused}\n"
        assert (1, summary) == (code, output), shown
        assert "importing" in shown
        assert [("2", labelled), ("3", unknown), ("4", good)] == [
            (row["row"], row["prediction_id"]) for row in read(refused)
        ]
        reasons = [row["reason"] for row in read(refused)]
        assert "labelled setosa already" in reasons[0]
        assert "no prediction of iris has that id" == reasons[1]
        assert "must be one of setosa, versicolor, virginica" in reasons[2]
        assert feedback.find(journal, good) is not None


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
        assert prediction_id == journal.prediction(prediction_id).prediction_id


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


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
def test_export_leaves_out_what_was_labelled_before(
    main: Main, journal: Journal, tmp_path: Path, kind: str
) -> None:
    """With `--since` only labels of that span are there, in the order they were given."""
    ids = record(journal, [iris(number) for number in range(3)])
    label_all(journal, ids[::-1], "setosa")
    with journal.database.write() as connection:
        old = tables.feedback.update().where(tables.feedback.c.prediction_id == ids[2])
        connection.execute(old.values(at_us=now_us() - 8 * DAY_US))
    path = tmp_path / f"outcomes{kind}"

    assert (0, f"3 labelled predictions of iris in {path}\n", "") == main("export", "iris", str(path))
    assert ids[::-1] == [row["prediction_id"] for row in read(path)]
    assert 0 == main("export", "iris", str(path), "--since", "7d")[0]
    assert [ids[1], ids[0]] == [row["prediction_id"] for row in read(path)]


def test_export_of_nothing_is_a_file_without_rows(main: Main, journal: Journal, tmp_path: Path) -> None:
    """A model without labels gives a file with its columns and no rows."""
    path = tmp_path / "outcomes.csv"

    assert (0, f"0 labelled predictions of penguins in {path}\n", "") == main(
        "export", "penguins", str(path)
    )
    with path.open() as file:
        header = next(csv.reader(file))
    assert {"prediction_id", "bill_length_mm", "island", "probability_Adelie", "label"} <= set(header)


def test_export_of_categories_and_missing_values(main: Main, journal: Journal, tmp_path: Path) -> None:
    """Categories are text, and what was not given is missing."""
    features = json.dumps({"bill_length_mm": 39.1, "island": "Biscoe", "sex": None})
    (prediction_id,) = record(journal, [iris(1, model="penguins", features=features, probabilities={})])
    feedback.give(journal, "penguins", [Label(prediction_id, "Adelie")])

    assert 0 == main("export", "penguins", str(tmp_path / "outcomes.parquet"))[0]
    (row,) = read(tmp_path / "outcomes.parquet")
    assert (39.1, "Biscoe", None, None) == tuple(
        row[name] for name in ("bill_length_mm", "island", "sex", "body_mass_g")
    )


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
def test_import_feedback_reads_every_kind(main: Main, journal: Journal, tmp_path: Path, kind: str) -> None:
    """Labels come from CSV, JSON Lines and Parquet; the second time they are unchanged."""
    ids = record(journal, [iris(number) for number in range(3)])
    label_all(journal, ids[2:], "setosa")
    path = tmp_path / f"labels{kind}"
    with tabular.writer(path, {"prediction_id": str, "label": str, "correct": str}) as file:
        file.write([{"prediction_id": each, "label": "virginica", "correct": "true"} for each in ids])

    first, second = main("import-feedback", "iris", str(path)), main("import-feedback", "iris", str(path))

    assert (0, "2 recorded, 0 unchanged, 1 corrected, 0 refused\n", "") == first
    assert (0, "0 recorded, 3 unchanged, 0 corrected, 0 refused\n", "") == second
    assert not (tmp_path / "labels.refused.csv").exists()


def test_refused_rows_are_numbered_through_all_chunks(main: Main, journal: Journal, tmp_path: Path) -> None:
    """A row far down a long file is named by its own number; once all is well, no side file is left."""
    ids = record(journal, [iris(number) for number in range(2_500)])
    path, refused = tmp_path / "labels.csv", tmp_path / "labels.refused.csv"
    rows = [f"{each},setosa" for each in ids]
    rows[1_700] = f"{ids[1_700]},tulip"
    path.write_text("\n".join(["prediction_id,label", *rows]))

    assert 1 == main("import-feedback", "iris", str(path))[0]
    assert [("1701", ids[1_700], "tulip")] == [
        (row["row"], row["prediction_id"], row["label"]) for row in read(refused)
    ]
    rows[1_700] = f"{ids[1_700]},virginica"
    path.write_text("\n".join(["prediction_id,label", *rows]))
    assert (0, "1 recorded, 2499 unchanged, 0 corrected, 0 refused\n", "") == main(
        "import-feedback", "iris", str(path)
    )
    assert not refused.exists()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"prediction_id": "x", "label": "setosa"}, "must be the id of a prediction"),
        ({"prediction_id": "\ud800" * 36, "label": "setosa"}, "must be the id of a prediction"),
        ({"prediction_id": "\x00" * 36, "label": "setosa"}, "no prediction of iris has that id"),
        ({"prediction_id": None, "label": "setosa"}, "prediction_id: is required"),
        ({"prediction_id": "0" * 36}, "label: is required"),
        ({"prediction_id": "0" * 36, "label": 1}, "must be one of setosa"),
        ({"prediction_id": "0" * 36, "label": ["setosa"]}, "must be one of setosa"),
        ({"prediction_id": "0" * 36, "label": "setosa", "correct": "yes"}, "must be true or false"),
        ({"prediction_id": "0" * 36, "label": "setosa", "when": "now"}, "unknown field"),
        ({}, "is required"),
    ],
)
@pytest.mark.parametrize("journal_url", ["sqlite"], indirect=True)
def test_any_row_is_refused_with_its_reason(
    main: Main, tmp_path: Path, line: dict[str, Any], reason: str
) -> None:
    """Whatever stands in a row, the reason is in the side file and the command goes on to its end."""
    (tmp_path / "labels.jsonl").write_text(json.dumps(line) + "\n")

    code, _, errors = main("import-feedback", "iris", str(tmp_path / "labels.jsonl"))

    assert (1, "") == (code, errors)
    (row,) = read(tmp_path / "labels.refused.csv")
    assert reason in row["reason"]


def test_a_malformed_file_ends_in_one_sentence(main: Main, journal: Journal, tmp_path: Path) -> None:
    """What can't be read is told in one line, and no side file is left; labels before it are kept."""
    ids = record(journal, [iris(number) for number in range(1_001)])
    rows = [f"{each},setosa" for each in ids]
    (tmp_path / "half.csv").write_text("\n".join(["prediction_id,label", *rows, "one cell"]))
    (tmp_path / "text.parquet").write_text("prediction_id,label\n")
    (tmp_path / "sheet.xlsx").write_text("")

    for name in ("half.csv", "text.parquet", "sheet.xlsx", "missing.csv"):
        before = set(tmp_path.iterdir())
        code, output, errors = main("import-feedback", "iris", str(tmp_path / name))
        assert (1, "") == (code, output)
        assert errors.startswith("prediction import-feedback: ")
        assert str(tmp_path / name) in errors
        assert 1 == errors.count("\n")
        assert before == set(tmp_path.iterdir())


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
        sentence = "there is no model 'tulips': the models are iris, penguins"
        assert (1, "", f"prediction {arguments[0]}: {sentence}\n") == main(*arguments)
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize("journal_url", ["sqlite"], indirect=True)
def test_what_can_t_be_done_is_one_sentence(main: Main, journal: Journal, tmp_path: Path) -> None:
    """A span that is none, a folder that is missing, a version that does not exist: exit code 1."""
    for arguments, words in [
        (["export", "iris", str(tmp_path / "a.csv"), "--since", "soon"], "is no span of time"),
        (["export", "iris", str(tmp_path / "missing" / "a.csv")], "can't be written"),
        (["export", "iris", str(tmp_path / "a.txt")], "the name must end with .csv"),
        (["backup", str(tmp_path / "missing" / "a.db")], "can't be written"),
        (["backup", str(tmp_path / "journal.db")], "is the journal itself"),
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


def test_restore_is_refused_while_the_home_is_locked(
    main: Main, journal: Journal, journal_url: str, tmp_path: Path
) -> None:
    """The home's lock keeps a restore away, and on PostgreSQL the sentence names the tool."""
    if journal.database.is_sqlite:
        assert 0 == main("backup", str(tmp_path / "copy.db"))[0]
        (later,) = record(journal, [iris(1)])
        with home.lock(tmp_path):
            assert "serves" in main("restore", str(tmp_path / "copy.db"))[2]
        assert later == journal.prediction(later).prediction_id
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
    "url",
    [
        f"mysql://user:{PASSWORD}@host/journal",
        f"postgresql://user:{PASSWORD}@127.0.0.1:1/journal",
        "sqlite:////missing/journal.db",
    ],
)
def test_an_unusable_url_is_one_sentence(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A journal that is not there, or of another kind, is told in one line without its password."""
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path))
    monkeypatch.setenv("PREDICTION_DATABASE_URL", url)

    assert 1 == cli.main(["prune"])
    captured = capsys.readouterr()
    assert ("", 1) == (captured.out, captured.err.count("\n"))
    assert captured.err.startswith("prediction prune: ")
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

    assert 0 == cli.main(["status"])
    status = capsys.readouterr().out
    assert 0 == cli.main(["history", "iris"])
    history = capsys.readouterr().out

    with closing(sqlite3.connect(home / "journal.db")) as connection:
        ledger = connection.execute("SELECT model, to_version, reason FROM ledger").fetchall()
    for model, version, reason in ledger:
        assert model in status
        assert version in status
        assert model != "iris" or (version in history and reason in history)
    assert len(ledger) == status.count("champion")
