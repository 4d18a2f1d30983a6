"""Versions as archives: the same bytes everywhere, and nothing unpacked that no digest vouches for."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from models_store import store
from models_store.artifacts import archives
from models_store.errors import DamagedVersion
from models_store.store import Version
from tests.models_store.test_store import latest, remains


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Version:
    """A version in the store of a home."""
    home = tmp_path_factory.mktemp("saved")
    with store.stage(home) as staged:
        (staged / store.PIPELINE).write_bytes(os.urandom(70_000))
        (staged / store.PROFILE).write_text("{}")
        metadata = {"runtime": "scikit-learn", "metrics": {"accuracy": 0.9}}
        return store.publish(home, staged, "iris", {"spec": "iris"}, metadata)


@pytest.fixture
def archive(saved: Version, tmp_path: Path) -> Path:
    """The archive of that version."""
    archives.pack(saved, tmp_path / "iris.tar")
    return tmp_path / "iris.tar"


def unpack(archive: Path, saved: Version, digest: str | None = None) -> Version:
    """Unpack an archive of the version into a home of its own."""
    return archives.unpack(archive.parent / "home", archive, "iris", saved.version, digest or saved.digest)


def rewrite(archive: Path, changes: Callable[[dict[str, bytes]], None]) -> None:
    """Change the files of an archive."""
    with tarfile.open(archive) as old:
        files = {each.name: old.extractfile(each).read() for each in old}  # type: ignore[union-attr]
    changes(files)
    with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as new:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))


def assert_refused(archive: Path, saved: Version, words: str, digest: str | None = None) -> None:
    """Assert that an archive is refused, and that nothing is kept of it."""
    with pytest.raises(DamagedVersion, match=words):
        unpack(archive, saved, digest)
    home = archive.parent / "home"
    assert [] == remains(home)
    assert [] == store.versions(home, "iris")


def test_a_version_comes_out_as_it_went_in(archive: Path, saved: Version) -> None:
    """All files are the same, and it is the newest version of the other home."""
    found = unpack(archive, saved)

    assert (saved.digest, saved.metadata, saved.created_at) == (
        found.digest,
        found.metadata,
        found.created_at,
    )
    assert {path.name: path.read_bytes() for path in saved.path.iterdir()} == {
        path.name: path.read_bytes() for path in found.path.iterdir()
    }
    assert saved.version == latest(archive.parent / "home")


def test_an_archive_is_the_same_on_every_host(archive: Path, saved: Version, tmp_path: Path) -> None:
    """Neither times nor owners nor the order of a folder are in it."""
    other = unpack(archive, saved)
    for path in other.path.iterdir():
        os.utime(path, (1, 1))
        path.chmod(0o600)
    archives.pack(other, tmp_path / "other.tar")

    assert archive.read_bytes() == (tmp_path / "other.tar").read_bytes()


def test_a_damaged_version_gives_way_and_a_good_one_is_replaced_by_itself(
    archive: Path, saved: Version
) -> None:
    """The store is a cache: what is damaged in it is fetched anew, its description too."""
    damaged = unpack(archive, saved)
    (damaged.path / store.PIPELINE).write_bytes(b"torn")
    text = (damaged.path / store.MODEL_YAML).read_text()
    (damaged.path / store.MODEL_YAML).write_text(text.replace("accuracy: 0.9", "accuracy: 1.0"))
    assert 1.0 == store.get(archive.parent / "home", "iris", saved.version).metrics["accuracy"]

    mended = unpack(archive, saved)

    store.verify(mended, saved.digest)
    assert 0.9 == mended.metrics["accuracy"]
    store.verify(unpack(archive, saved), saved.digest)
    assert [] == remains(archive.parent / "home")


@pytest.mark.parametrize("place", [0.0, 0.2, 0.5, 0.9])
def test_a_flipped_bit_is_refused(archive: Path, saved: Version, place: float) -> None:
    """Wherever it is: in a header, in a file, in the text that describes the version."""
    content = bytearray(archive.read_bytes())
    content[int(place * (len(content) - tarfile.RECORDSIZE))] ^= 1
    archive.write_bytes(content)

    assert_refused(archive, saved, "iris:")


@pytest.mark.parametrize("size", [0, 100, 512, 3_000, 60_000])
def test_a_cut_archive_is_refused(archive: Path, saved: Version, size: int) -> None:
    """Wherever it ends."""
    archive.write_bytes(archive.read_bytes()[:size])

    assert_refused(archive, saved, "cut|missing")


def test_an_archive_of_another_digest_is_refused(archive: Path, saved: Version) -> None:
    """It may be sound in itself: the ledger decides."""
    assert_refused(archive, saved, "not the one that was promoted", "0" * 64)


def test_the_figures_of_a_version_are_vouched_for(archive: Path, saved: Version) -> None:
    """`model.yaml` is not among the files of the manifest, but its digest is in it."""

    def flatter(files: dict[str, bytes]) -> None:
        files[store.MODEL_YAML] = files[store.MODEL_YAML].replace(b"accuracy: 0.9", b"accuracy: 1.0")

    rewrite(archive, flatter)

    assert_refused(archive, saved, "model.yaml was changed after it was saved")


def test_a_version_of_an_earlier_release_is_unpacked(saved: Version, tmp_path: Path) -> None:
    """Its manifest says nothing of `model.yaml`, which must still name it and its digest."""
    old = Path(shutil.copytree(saved.path, tmp_path / "models" / "iris" / saved.version))
    manifest = json.dumps({"files": saved.read_json(store.MANIFEST)["files"]}).encode()
    digest = hashlib.sha256(manifest).hexdigest()
    (old / store.MANIFEST).write_bytes(manifest)
    text = (old / store.MODEL_YAML).read_text().replace(saved.digest, digest)
    (old / store.MODEL_YAML).write_text(text)
    archives.pack(store.get(tmp_path, "iris", saved.version), tmp_path / "old.tar")

    assert digest == unpack(tmp_path / "old.tar", saved, digest).digest
    rewrite(tmp_path / "old.tar", lambda files: files.update({store.MODEL_YAML: b"name: other"}))
    shutil.rmtree(tmp_path / "home")
    assert_refused(tmp_path / "old.tar", saved, "another version's or no model.yaml", digest)


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "a/b", ".hidden", "-rf", "ä", "extra"])
def test_no_other_file_comes_in(archive: Path, saved: Version, name: str) -> None:
    """Neither out of the folder, nor into it."""
    rewrite(archive, lambda files: files.update({name: b"x"}))

    assert_refused(archive, saved, "may not be there|exactly the files")
    assert not (archive.parent / "escaped").exists()


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE, b"x"],
)
def test_only_plain_files_are_unpacked(archive: Path, saved: Version, kind: bytes) -> None:
    """No links, folders, devices, sparse files or extended headers."""
    member = tarfile.TarInfo("profile.json")
    member.type, member.linkname = kind, "/etc/passwd"
    archive.write_bytes(member.tobuf(tarfile.USTAR_FORMAT) + archive.read_bytes())

    assert_refused(archive, saved, "more than plain files")


def test_a_file_given_twice_is_refused(archive: Path, saved: Version) -> None:
    """The second one would replace the first."""
    member = tarfile.TarInfo(store.PROFILE)
    archive.write_bytes(member.tobuf(tarfile.USTAR_FORMAT) + archive.read_bytes())

    assert_refused(archive, saved, "may not be there")


def test_a_text_is_small(archive: Path, saved: Version) -> None:
    """The manifest is read as a whole."""
    rewrite(archive, lambda files: files.update({store.MANIFEST: bytes(archives.MAX_TEXT_BYTES + 1)}))

    assert_refused(archive, saved, "too large at manifest.json")


def test_the_size_of_an_archive_is_known_before_it_is_written(archive: Path, saved: Version) -> None:
    """Exactly, so that a cut object in a bucket is noticed."""
    assert archive.stat().st_size == archives.size_of(saved)


def test_an_incomplete_version_is_not_packed(saved: Version, tmp_path: Path) -> None:
    """The message names the file."""
    shutil.copytree(saved.path, tmp_path / "models" / "iris" / saved.version)
    incomplete = store.get(tmp_path, "iris", saved.version)
    (incomplete.path / store.PROFILE).unlink()

    with pytest.raises(DamagedVersion, match=r"profile.json is missing"):
        archives.pack(incomplete, tmp_path / "iris.tar")
