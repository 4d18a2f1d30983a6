"""Promotion and rollback by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from models_store import catalog, store
from models_store.errors import DamagedVersion, UnknownVersion
from prediction.errors import AlreadyChampion, NothingToRollBack
from prediction.journal import ledger
from prediction.journal.database import Journal
from prediction.retraining import training
from prediction.serving import champions


@pytest.fixture
def journal(home: Path) -> Journal:
    """The journal of a home in which `train.py` has promoted one version."""
    return Journal(f"sqlite:///{home / 'journal.db'}")


def another_version(home: Path) -> str:
    """Save one more version of iris, and return it."""
    candidate = training.train(catalog.load()["iris"], seed=1)
    return training.save(candidate, home).version


def champion(journal: Journal) -> str:
    """Return the champion of iris."""
    return ledger.champions(journal)["iris"].to_version


def test_a_complete_version_becomes_champion(home: Path, journal: Journal) -> None:
    """The entry has both versions, the person and the reason."""
    first, second = champion(journal), another_version(home)

    entry = champions.promote(journal, home, "iris", second, by="me", reason="better")

    assert (first, second, "me", "better") == (
        entry.from_version,
        entry.to_version,
        entry.by,
        entry.reason,
    )
    assert second == champion(journal)


def test_a_version_may_be_named_by_its_tag(home: Path, journal: Journal) -> None:
    """Such a tag is in `bentoml models list`; the ledger keeps only the version."""
    second = another_version(home)

    assert (
        second
        == champions.promote(journal, home, "iris", f"iris:{second}", by="me", reason="why not").to_version
    )
    assert second == champion(journal)


def test_the_champion_is_not_promoted_again(home: Path, journal: Journal) -> None:
    """The error says so, and the ledger does not grow."""
    (entry,) = ledger.entries(journal, "iris", limit=10)

    with pytest.raises(AlreadyChampion, match=f"{entry.to_version} is the champion of iris already"):
        champions.promote(journal, home, "iris", "latest", by="me", reason="to be sure")

    assert [entry] == ledger.entries(journal, "iris", limit=10)


def test_a_version_that_is_not_there_is_refused(home: Path, journal: Journal) -> None:
    """Nothing changes when the version is unknown."""
    first = champion(journal)

    with pytest.raises(UnknownVersion, match=f"not in the model store: the newest versions are {first}"):
        champions.promote(journal, home, "iris", "nothere", by="me", reason="why not")

    assert first == champion(journal)


def test_a_damaged_version_is_refused(home: Path, journal: Journal) -> None:
    """Nothing changes if a file of the version was changed."""
    first, second = champion(journal), another_version(home)
    (store.get(home, "iris", second).path / store.ONNX).write_bytes(b"torn")

    with pytest.raises(DamagedVersion, match="was changed after it was saved"):
        champions.promote(journal, home, "iris", second, by="me", reason="why not")

    assert first == champion(journal)


def test_rollback_goes_to_the_champion_before(home: Path, journal: Journal) -> None:
    """A second rollback does not return to a version that was rolled back."""
    first, second = champion(journal), another_version(home)
    champions.promote(journal, home, "iris", second, by="me", reason="better")
    third = another_version(home)
    champions.promote(journal, home, "iris", third, by="me", reason="better still")

    assert second == champions.roll_back(journal, home, "iris", by="me", reason="worse").to_version
    assert first == champions.roll_back(journal, home, "iris", by="me", reason="worse too").to_version
    with pytest.raises(NothingToRollBack):
        champions.roll_back(journal, home, "iris", by="me", reason="no further")
    assert first == champion(journal)


def test_rollback_after_a_new_promotion_returns_from_that(home: Path, journal: Journal) -> None:
    """The champion before it is the one to which the first rollback went."""
    first, second = champion(journal), another_version(home)
    champions.promote(journal, home, "iris", second, by="me", reason="better")
    champions.roll_back(journal, home, "iris", by="me", reason="worse")
    third = another_version(home)
    champions.promote(journal, home, "iris", third, by="me", reason="better")

    assert first == champions.roll_back(journal, home, "iris", by="me", reason="worse").to_version


def test_rollback_to_a_deleted_version_says_what_to_do(home: Path, journal: Journal) -> None:
    """Another version can be promoted; the champion stays."""
    first, second = champion(journal), another_version(home)
    champions.promote(journal, home, "iris", second, by="me", reason="better")
    store.delete(home, "iris", first)

    with pytest.raises(UnknownVersion, match=f"{first} is not in the model store: promote another"):
        champions.roll_back(journal, home, "iris", by="me", reason="worse")

    assert second == champion(journal)


def test_rollback_to_a_damaged_version_is_refused(home: Path, journal: Journal) -> None:
    """The champion stays if the one before it is damaged."""
    first, second = champion(journal), another_version(home)
    champions.promote(journal, home, "iris", second, by="me", reason="better")
    (store.get(home, "iris", first).path / store.ONNX).unlink()

    with pytest.raises(DamagedVersion):
        champions.roll_back(journal, home, "iris", by="me", reason="worse")

    assert second == champion(journal)
