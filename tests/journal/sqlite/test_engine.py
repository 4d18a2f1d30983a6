"""Connections to SQLite never make a file."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from prediction.errors import JournalUnavailable
from prediction.journal import ledger
from prediction.journal.database import Journal
from tests.databases import opened


def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    """Only a migration makes one: a deleted journal must not become an empty one."""
    path = tmp_path / "journal.db"
    with closing(Journal(f"sqlite:///{path}")) as journal:
        with pytest.raises(JournalUnavailable):
            ledger.champions(journal)
        assert [] == list(tmp_path.iterdir())
        journal.migrate()
        assert {} == ledger.champions(journal)


def test_a_deleted_file_is_not_made_again(tmp_path: Path) -> None:
    """Neither by connections that were open nor by new ones."""
    path = tmp_path / "journal.db"
    with opened(f"sqlite:///{path}") as journal:
        ledger.champions(journal)
        path.unlink()
        for _ in range(20):
            with pytest.raises(JournalUnavailable):
                ledger.champions(journal)

    assert not path.exists()
