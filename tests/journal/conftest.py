"""What tests of the journal share: an empty journal on a SQLite file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prediction.journal.database import Journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal's file is."""
    return tmp_path / "journal.db"


@pytest.fixture
def url(path: Path) -> str:
    """The URL of an empty database."""
    return f"sqlite:///{path}"


@pytest.fixture
def opened(url: str) -> Iterator[Journal]:
    """A migrated journal."""
    opened = Journal(url)
    opened.migrate()
    yield opened
    opened.close()
