"""Versions copied from another store, as a Bento brings them."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from models_store import artifacts, store
from models_store.errors import UnknownVersion
from models_store.store import Version
from tests.models_store.test_store import latest, listed, publish, remains


@pytest.fixture
def saved(tmp_path: Path) -> Version:
    """A version in the store of a home."""
    with store.stage(tmp_path) as staged:
        (staged / store.PIPELINE).write_bytes(b"some bytes")
        return store.publish(tmp_path, staged, "iris", {}, {"runtime": "scikit-learn"})


def test_a_version_is_adopted_from_another_store(saved: Version, tmp_path: Path) -> None:
    """It has the same content, and is the latest."""
    home = tmp_path / "home"
    artifacts.adopt(home, saved.path)
    (adopted,) = store.versions(home, "iris")

    assert (saved.version, saved.digest) == (adopted.version, adopted.digest)
    store.verify(adopted, saved.digest)
    assert saved.version == latest(home)
    assert {f"iris:{saved.version}"} == listed(home)
    assert [] == remains(home)


def test_adopting_a_version_that_is_there_changes_nothing(saved: Version, tmp_path: Path) -> None:
    """It may come from its own store, or from another one."""
    before = {path: path.stat().st_mtime_ns for path in saved.path.iterdir()}
    artifacts.adopt(tmp_path, saved.path)
    other = shutil.copytree(saved.path, tmp_path / "other" / "iris" / saved.version)
    artifacts.adopt(tmp_path, other)

    assert before == {path: path.stat().st_mtime_ns for path in saved.path.iterdir()}
    assert [saved] == store.versions(tmp_path, "iris")


def test_a_version_that_is_there_is_not_copied_again(saved: Version, tmp_path: Path) -> None:
    """Its source is not even read: an incomplete one is no error then."""
    other = shutil.copytree(saved.path, tmp_path / "other" / "iris" / saved.version)
    (other / store.MODEL_YAML).unlink()

    artifacts.adopt(tmp_path, other)

    store.verify(store.get(tmp_path, "iris", saved.version), saved.digest)


def test_a_version_of_the_same_name_is_never_replaced(saved: Version, tmp_path: Path) -> None:
    """A version does not change: the files that are there stay, and no copy is left behind."""
    other = shutil.copytree(saved.path, tmp_path / "other" / "iris" / saved.version)
    (other / store.PIPELINE).write_bytes(b"another one")

    artifacts.adopt(tmp_path, other)

    store.verify(store.get(tmp_path, "iris", saved.version), saved.digest)
    assert [] == remains(tmp_path)


def test_an_older_version_is_adopted_behind_the_newest(tmp_path: Path) -> None:
    """A version of a Bento does not become the latest if a newer one was trained here."""
    old = publish(tmp_path / "bento")
    new = publish(tmp_path / "home")
    artifacts.adopt(tmp_path / "home", old.path)

    assert [new.version, old.version] == [
        item.version for item in store.versions(tmp_path / "home", "iris")
    ]
    assert new.version == latest(tmp_path / "home")


def test_a_folder_that_is_not_a_version_is_not_adopted(tmp_path: Path) -> None:
    """A folder without `model.yaml` would break BentoML's listings."""
    source = tmp_path / "bento" / "iris" / "half"
    source.mkdir(parents=True)
    (source / store.PIPELINE).write_bytes(b"x")
    with pytest.raises(UnknownVersion, match=r"half is not a version: it has no model\.yaml"):
        artifacts.adopt(tmp_path / "home", source)

    assert set() == listed(tmp_path / "home")


def test_concurrent_servers_adopt_a_version_once(saved: Version, tmp_path: Path) -> None:
    """All of them find it in the store afterwards."""
    for number in range(10):
        home = tmp_path / f"home{number}"
        with ThreadPoolExecutor(4) as pool:
            for attempt in [pool.submit(artifacts.adopt, home, saved.path) for _ in range(4)]:
                attempt.result()

        assert [saved.version] == [version.version for version in store.versions(home, "iris")]
        assert [] == remains(home)
