"""A journal that can't be used: missing, damaged, empty or read-only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prediction.errors import JournalUnavailable
from prediction.journal import ledger, predictions, workers
from prediction.journal.database import Journal
from prediction.journal.predictions import Inserter
from tests.journal.test_ledger import champions, promote

PREDICTION_ID = "01a20576-e6f4-7194-8645-000000000001"


def connect(journal: Journal) -> None:
    """Open the connection that records predictions."""
    Inserter(journal).connect()


NEEDS_TABLES: list[Callable[[Journal], Any]] = [
    ledger.champions,
    lambda opened: predictions.find(opened, PREDICTION_ID),
    lambda opened: promote(opened, "a"),
    lambda opened: ledger.entries(opened, "iris", 1),
    lambda opened: workers.report(opened, "host", 1, {}),
    lambda opened: workers.reported_since(opened, "iris", 0),
]


@pytest.mark.parametrize("use", [Journal.migrate, connect, *NEEDS_TABLES])
@pytest.mark.parametrize("name", ["missing/journal.db", "letter.txt"])
def test_every_call_to_an_unusable_journal_is_an_error(
    tmp_path: Path, use: Callable[[Journal], Any], name: str
) -> None:
    """If the folder is missing, or the file is not a database, each call raises `JournalUnavailable`."""
    (tmp_path / "letter.txt").write_text("this is a letter, and not a database " * 100)
    broken = Journal(f"sqlite:///{tmp_path / name}")

    with pytest.raises(JournalUnavailable):
        use(broken)
    broken.close()


@pytest.mark.parametrize("use", NEEDS_TABLES)
def test_a_journal_without_tables_is_an_error(url: str, use: Callable[[Journal], Any]) -> None:
    """Calls to a journal that was not migrated raise the same error."""
    empty = Journal(url)

    with pytest.raises(JournalUnavailable):
        use(empty)
    empty.close()


def test_a_read_only_journal_can_be_read_and_not_written(opened: Journal, path: Path) -> None:
    """Queries of a file without write permission work; promotions fail."""
    promote(opened, "a")
    read_only = Journal(f"sqlite:///file:{path}?mode=ro&uri=true")

    assert {"iris": "a"} == champions(read_only)
    with pytest.raises(JournalUnavailable, match="does not answer"):
        promote(read_only, "b")
    read_only.close()
