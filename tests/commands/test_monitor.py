"""`loop monitor`: the same figures in three shapes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prediction.journal import ledger
from prediction.journal.database import Journal
from prediction.journal.ledger import NewChampion
from tests import command_line, databases
from tests.command_line import Main, iris, label_all
from tests.databases import record

postgres = databases.postgres
journal_url = databases.journal_url
journal = databases.journal
main = command_line.main


@pytest.fixture
def answered(journal: Journal) -> Journal:
    """A journal in which one of two answers has its label."""
    ledger.promote(journal, NewChampion("iris", "v1", "d" * 64, "admin", "because"))
    ids = record(journal, [iris(1, version="v1"), iris(2, version="v1")])
    label_all(journal, ids[:1], "setosa")
    return journal


def test_tables_and_json_tell_the_same(main: Main, answered: Journal) -> None:
    """`--json` prints what `GET /{model}/monitoring` answers."""
    code, tables, _ = main("monitor", "iris", "--window", "1h")
    again, text, _ = main("monitor", "iris", "--window", "1h", "--json")

    found = json.loads(text)
    assert (0, 0) == (code, again)
    assert ("iris", "1h", 2) == (found["model"], found["window"], found["predictions"])
    assert [("v1", 1)] == [(item["version"], item["outcomes"]) for item in found["versions"]]
    assert "iris, the last 1h: 2 predictions" in tables


def test_a_page_is_written(main: Main, answered: Journal, tmp_path: Path) -> None:
    """Whole, or the sentence says why not."""
    assert 0 == main("monitor", "iris", "--html", str(tmp_path / "page.html"))[0]
    code, _, errors = main("monitor", "iris", "--html", str(tmp_path / "missing" / "page.html"))

    assert "iris" in (tmp_path / "page.html").read_text()
    assert 1 == code
    assert errors.startswith(f"loop monitor: {tmp_path / 'missing' / 'page.html'} can't be written: ")


def test_a_window_that_is_none_is_one_sentence(main: Main, answered: Journal) -> None:
    """With the name of the option's value."""
    code, output, errors = main("monitor", "iris", "--window", "soon")

    assert (1, "", 1) == (code, output, errors.count("\n"))
    assert errors.startswith("loop monitor: window: ")
