"""Which versions a home keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from models_store import catalog, staging, store
from prediction.journal import ledger, workers
from prediction.journal.database import Journal
from prediction.retraining import training
from prediction.serving import champions, versions
from prediction.times import now_us


@pytest.fixture
def journal(home: Path) -> Journal:
    """The journal of a home in which one version of each model was promoted."""
    return Journal(f"sqlite:///{home / 'journal.db'}")


def test_old_versions_are_deleted_except_those_in_use(home: Path, journal: Journal) -> None:
    """The champion, the champion before it and a version that a worker serves stay."""
    first = store.newest(home, "iris").version
    saved = [training.save(training.train(catalog.load()["iris"], seed), home) for seed in range(1, 7)]
    for version in saved[2:4]:
        ledger.promote(journal, champions.as_champion(version, "test", "because"))
    workers.report(journal, "here", 1, {"iris": (saved[0].version, now_us())})
    names = [version.version for version in saved]

    gone = versions.prune(journal, home, "iris", keep=1)

    assert sorted([first, names[1], names[4]]) == sorted(gone)
    assert {names[0], *names[2:4], names[5]} == {each.version for each in store.versions(home, "iris")}


def test_versions_that_can_not_be_deleted_are_logged(
    home: Path, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    """The champion was changed already: the failure must not be taken for one of the promotion."""
    training.save(training.train(catalog.load()["iris"], seed=1), home)
    lock = home / "staging" / staging.LOCK_FILE
    lock.unlink()
    lock.mkdir()

    with caplog.at_level("WARNING"):
        assert [] == versions.prune(journal, home, "iris", keep=1)

    assert "old versions of iris could not be deleted" in caplog.text
