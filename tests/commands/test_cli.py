"""The command line: what all commands share, through `main` or a process of its own."""

from __future__ import annotations

import shlex
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from models_store import catalog
from prediction.commands import cli
from prediction.journal.database import Journal
from tests import command_line, databases
from tests.command_line import Main, command
from tests.databases import PASSWORD
from tests.servers import PROJECT, run

postgres = databases.postgres
journal_url = databases.journal_url
journal = databases.journal
main = command_line.main


def test_a_command_that_is_none_is_misused(tmp_path: Path) -> None:
    """An unknown command ends with the usage and exit code 2, and touches nothing."""
    done = command(tmp_path, "purge")

    assert 2 == done.returncode
    assert "invalid choice: 'purge'" in done.stderr
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("journal_url", ["sqlite"], indirect=True)
def test_an_unknown_model_is_told_with_those_there_are(
    main: Main, journal: Journal, tmp_path: Path
) -> None:
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
        assert (1, "", f"loop {arguments[0]}: {sentence}\n") == main(*arguments)
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize("journal_url", ["sqlite"], indirect=True)
def test_what_can_t_be_done_is_one_sentence(main: Main, journal: Journal, tmp_path: Path) -> None:
    """A span that is none, a folder that is missing, a version that does not exist: exit code 1."""
    for arguments, words in [
        (["export", "iris", str(tmp_path / "a.csv"), "--since", "soon"], "is not a time span"),
        (["export", "iris", str(tmp_path / "a.csv"), "--since", ""], "is not a time span"),
        (["export", "iris", str(tmp_path / "missing" / "a.csv")], "can't be written"),
        (["export", "iris", str(tmp_path / "a.txt")], "the name must end with .csv"),
        (["backup", str(tmp_path / "missing" / "a.db")], "can't be written"),
        (["backup", str(tmp_path / "journal.db")], "is the journal itself"),
        (["backup", ""], ". can't be written: it is a folder"),
        (["import-feedback", "iris", ""], "the name must end with .csv"),
        (["restore", str(tmp_path / "missing.db")], "there is no file"),
        (["promote", "iris", "v", "--reason", "because"], "nothing is trained yet: run `loop train`"),
        (["rollback", "iris", "--reason", "because"], "nothing is trained yet: run `loop train`"),
    ]:
        code, output, errors = main(*arguments)
        assert (1, "") == (code, output)
        assert errors.startswith(f"loop {arguments[0]}: ")
        assert words in errors
        assert 1 == errors.count("\n")


@pytest.mark.parametrize("arguments", [[], ["export", "iris"], ["backup"], ["promote", "iris", "v"]])
def test_missing_arguments_are_misuse(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A command without its arguments ends with the usage and exit code 2."""
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)

    assert 2 == caught.value.code
    assert "usage: loop" in capsys.readouterr().err


STOPPED_EARLY = """
import signal, sys
from prediction.commands import cli

class Finder:
    def find_spec(self, name, *_):
        if name == "prediction.commands.score":
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Finder())
sys.exit(cli.main(["score", "iris", "a.csv", "b.csv"]))
"""


def test_a_command_that_is_stopped_while_it_is_imported_says_so() -> None:
    """In a line, as later."""
    done = subprocess.run(
        [sys.executable, "-c", STOPPED_EARLY], cwd=PROJECT, capture_output=True, text=True, check=False
    )

    assert (130, "loop score: interrupted\n") == (done.returncode, done.stderr)


def test_a_newer_journal_is_not_touched(main: Main, journal: Journal, journal_url: str) -> None:
    """No command works on a journal that asks for a newer release."""
    with databases.connected(journal_url) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        connection.exec_driver_sql("UPDATE journal_format SET min_reader = 9999")

    code, _, errors = main("prune")
    assert (1, 1) == (code, errors.count("\n"))
    assert errors.startswith("loop prune: the journal was written by a newer release: ")


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
    assert captured.err.startswith("loop prune: ")
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
    assert capsys.readouterr().err.startswith("loop prune: ")
    assert (tmp_path / "journal.db").read_text().startswith("this is a letter")


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
        assert told.startswith(f"loop {arguments[0]}: BENTOML_HOME: {folder} can't be written to by")
        assert 1 == told.count("\n")


UNTRAINED = {
    "serve": [],
    "status": [],
    "score": ["iris", "rows.csv", "scored.csv"],
    "monitor": ["iris"],
    "retrain": ["iris"],
    "promote": ["iris", "latest", "--reason", "because"],
    "rollback": ["iris", "--reason", "because"],
    "history": ["iris"],
}
WITHOUT_JOURNAL = {
    "export": ["iris", "outcomes.csv"],
    "import-feedback": ["iris", "labels.csv"],
    "backup": ["copy.db"],
    "prune": [],
}


@pytest.mark.parametrize("name", UNTRAINED)
def test_on_an_untrained_home_a_command_says_what_to_run(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Each command that needs a version ends with the same sentence, and makes no file but its home's."""
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "new" / "home"))
    monkeypatch.delenv("PREDICTION_DATABASE_URL", raising=False)

    assert 1 == cli.main([name, *UNTRAINED[name]])

    captured = capsys.readouterr()
    assert ("", f"loop {name}: nothing is trained yet: run `loop train`\n") == (captured.out, captured.err)


@pytest.mark.parametrize("name", WITHOUT_JOURNAL)
def test_commands_on_the_journal_of_an_untrained_home_are_refused(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """They say how to train, and make no empty journal."""
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path))
    monkeypatch.delenv("PREDICTION_DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)

    assert 1 == cli.main([name, *WITHOUT_JOURNAL[name]])

    assert ("", f"loop {name}: nothing is trained yet: run `loop train`\n") == capsys.readouterr()
    assert [] == list(tmp_path.iterdir())


def test_a_model_that_is_not_trained_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside others that are."""
    shutil.rmtree(home / "models" / "iris")
    with closing(sqlite3.connect(home / "journal.db")) as connection, connection:
        connection.execute("DELETE FROM ledger WHERE model = 'iris'")
    monkeypatch.setenv("BENTOML_HOME", str(home))
    monkeypatch.delenv("PREDICTION_DATABASE_URL", raising=False)

    for arguments in (["status", "iris"], ["retrain", "iris"], ["serve"]):
        assert 1 == cli.main(arguments)
        told = f"loop {arguments[0]}: iris is not trained yet: run `loop train iris`\n"
        assert ("", told) == capsys.readouterr()


def test_every_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    """Each argument is described, and each example can be parsed."""
    (commands,) = (dict[str, Any](item.choices) for item in cli.parser()._actions if item.choices)

    others = {"train", "restore", "init", "new", "check", "import", "artifacts"}
    assert {*UNTRAINED, *WITHOUT_JOURNAL, *others} == set(commands)
    for name, declared in commands.items():
        assert [] == [item.dest for item in declared._actions if not item.help], name
        _, _, examples = declared.format_help().partition("\nexample:\n")
        assert examples, name
        for line in examples.strip().splitlines():
            _, _, words = line.partition("loop ")
            assert name == cli.parser().parse_args(shlex.split(words)).command


def test_each_module_declares_its_commands() -> None:
    """The module of a command is found by this table; the others are not imported."""
    for module, names in cli.MODULES.items():
        (declared,) = (item.choices for item in cli.parser(names[0])._actions if item.choices)
        assert names == list(declared), module


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    """As pyproject.toml declares it."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])

    declared = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    assert (0, f"loop {declared}\n") == (caught.value.code, capsys.readouterr().out)


@pytest.mark.parametrize("command", [["python", "-m", "prediction"], ["loop"]])
def test_the_commands_are_one(command: list[str], tmp_path: Path) -> None:
    """`loop` and `python -m prediction` do the same; `python train.py` is `loop train`."""
    done = run(*command, "train", "tulips", home=tmp_path)
    script = run("python", "train.py", "tulips", home=tmp_path)

    assert (1, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("loop train: there is no model 'tulips': the models are ")
    assert (done.returncode, done.stderr) == (script.returncode, script.stderr)
