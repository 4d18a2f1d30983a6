"""Versions between homes and a store of artefacts, on a real S3 server."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from models_store import store
from models_store.errors import DamagedVersion, UnknownVersion
from models_store.store import Version
from prediction.artifacts import exchange
from prediction.artifacts.bucket import Bucket
from prediction.artifacts.exchange import Exchange, key_of
from prediction.errors import ArtifactsUnavailable, NoRoom
from tests import buckets, disks
from tests.buckets import S3, Wire, small_version

s3 = buckets.s3


@pytest.fixture
def shared(s3: S3, tmp_path: Path) -> Bucket:
    """An empty store of artefacts."""
    return Bucket(f"s3://models/{tmp_path.name}")


@pytest.fixture
def here(shared: Bucket, tmp_path: Path) -> Exchange:
    """The exchange of a home."""
    return Exchange(tmp_path / "here", shared)


@pytest.fixture
def there(shared: Bucket, tmp_path: Path) -> Exchange:
    """The exchange of another home."""
    return Exchange(tmp_path / "there", shared)


@pytest.fixture
def version(here: Exchange) -> Version:
    """A version that is published."""
    made = small_version(here.home)
    assert here.publish(made)
    return made


@pytest.fixture
def down(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Take the S3 server away, when called."""
    return lambda: monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")


def obtain(by: Exchange, version: Version) -> Version:
    """Obtain a version by its digest."""
    return by.obtain(version.model, version.version, version.digest)


def left(home: Path) -> list[str]:
    """List what fetches have left in a home, beside versions and locks."""
    found = [*(home / "artifacts").iterdir(), *(home / "staging").iterdir()]
    return sorted(path.name for path in found if not path.name.endswith("lock"))


def test_a_published_version_comes_to_another_home(
    here: Exchange, there: Exchange, version: Version
) -> None:
    """It is the same one, and nothing is left over; the second time it is there."""
    found = obtain(there, version)

    assert (version.digest, version.metadata) == (found.digest, found.metadata)
    assert there.home in found.path.parents
    store.verify(found, version.digest)
    assert [] == left(here.home) + left(there.home)
    assert found == obtain(there, version)


def test_publishing_twice_is_a_success(here: Exchange, there: Exchange, version: Version) -> None:
    """Also from another home that has the version."""
    assert not here.publish(version)
    assert not there.publish(obtain(there, version))
    assert [version.version] == [each.version for each in here.published("iris")]


def test_hosts_publish_one_version_at_once(shared: Bucket, tmp_path: Path) -> None:
    """All succeed, and one of them has written it."""
    first = Exchange(tmp_path / "0", shared)
    made = small_version(first.home)
    homes = [first]
    for number in (1, 2, 3):
        homes.append(Exchange(tmp_path / str(number), shared))
        target = homes[-1].home / "models" / "iris"
        target.mkdir(parents=True)
        shutil.copytree(made.path, target / made.version)
    at_once = threading.Barrier(len(homes))

    def publish(by: Exchange) -> bool:
        mine = store.get(by.home, "iris", made.version)
        at_once.wait()
        return by.publish(mine)

    with ThreadPoolExecutor(len(homes)) as pool:
        assert [False, False, False, True] == sorted(pool.map(publish, homes))
    assert 1 == len(first.published())


def test_two_workers_fetch_one_version_once(
    here: Exchange, there: Exchange, version: Version, shared: Bucket
) -> None:
    """The second one waits, and finds it."""
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: obtain(Exchange(there.home, shared), version), range(4)))

    assert {version.digest} == {each.digest for each in found}
    assert [] == left(there.home)


def test_a_damaged_version_of_the_home_is_fetched_anew(there: Exchange, version: Version) -> None:
    """The store of a home is a cache."""
    (obtain(there, version).path / store.PIPELINE).write_bytes(b"torn")

    store.verify(obtain(there, version), version.digest)


def replace(shared: Bucket, version: Version, change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    """Put another content in the place of a version."""
    key = key_of(version.model, version.version, version.digest)
    shared.get(key, tmp_path / "object")
    (tmp_path / "object").write_bytes(change((tmp_path / "object").read_bytes()))
    shared.delete(key)
    shared.put(key, tmp_path / "object")


def flip(content: bytes) -> bytes:
    """Flip one bit in the middle."""
    middle = len(content) // 5
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("change", [flip, lambda content: content[:3_000], lambda _: b""])
def test_a_damaged_object_is_refused(
    shared: Bucket, there: Exchange, version: Version, change: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    """A flipped bit, a cut object, an empty one: nothing of it is kept."""
    replace(shared, version, change, tmp_path)

    with pytest.raises(DamagedVersion, match=version.version):
        obtain(there, version)
    assert [] == left(there.home)
    assert [] == store.versions(there.home, "iris")


def test_a_cut_object_is_not_counted_as_published(
    shared: Bucket, here: Exchange, version: Version, tmp_path: Path
) -> None:
    """The message names it, because nobody else can delete it."""
    replace(shared, version, lambda content: content[:3_000], tmp_path)

    with pytest.raises(DamagedVersion, match=rf"the object iris/{version.version}/\w+.tar is damaged"):
        here.publish(version)


def test_another_version_under_the_digest_is_refused(
    shared: Bucket, here: Exchange, there: Exchange, version: Version, tmp_path: Path
) -> None:
    """Whoever has put it there: the ledger's digest decides."""
    other = small_version(here.home)
    here.publish(other)
    shared.get(key_of("iris", other.version, other.digest), tmp_path / "other")
    replace(shared, version, lambda _: (tmp_path / "other").read_bytes(), tmp_path)

    with pytest.raises(DamagedVersion):
        obtain(there, version)


def test_what_nobody_published_is_unknown(here: Exchange, there: Exchange) -> None:
    """The message says where it was looked for."""
    with pytest.raises(UnknownVersion, match="neither in this model store nor in the store of artefacts"):
        obtain(there, small_version(here.home))


def test_a_store_that_is_down_hides_no_version_that_is_here(
    here: Exchange, there: Exchange, version: Version, down: Callable[[], None]
) -> None:
    """What is missing is a sentence about the store."""
    down()

    assert version == obtain(here, version)
    with pytest.raises(ArtifactsUnavailable, match="does not answer"):
        obtain(there, version)
    with pytest.raises(ArtifactsUnavailable, match=f"{version.tag} can't be published: "):
        here.publish(version)


def test_publishing_waits_for_a_store_that_comes_back(
    here: Exchange, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as its caller has patience."""
    monkeypatch.setattr(exchange, "RETRY_SECONDS", 0.2)
    with Wire(s3.port) as wire:
        wire.cut()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{wire.port}")
        back = threading.Timer(0.5, wire.connect)
        back.start()
        assert here.publish(small_version(here.home), patience_seconds=60)
        back.join()


def test_a_full_disk_stops_a_fetch_and_leaves_nothing(
    shared: Bucket, here: Exchange, tmp_path: Path
) -> None:
    """Once there is room, the version comes."""
    large = small_version(here.home, size=400_000)
    here.publish(large)
    with disks.small(tmp_path / "disk", "700k"):
        there = Exchange(tmp_path / "disk", shared)
        (tmp_path / "disk" / "artifacts").mkdir()
        (tmp_path / "disk" / "staging").mkdir()
        (tmp_path / "disk" / "ballast").write_bytes(bytes(500_000))
        with pytest.raises(NoRoom, match="has no room for a version of iris: make room"):
            obtain(there, large)  # the archive does not fit
        assert [] == left(there.home)
        (tmp_path / "disk" / "ballast").write_bytes(bytes(100_000))
        with pytest.raises(NoRoom):
            obtain(there, large)  # the archive fits, and its files do not fit beside it
        assert [] == left(there.home)
        assert [] == store.versions(there.home, "iris")


def test_a_candidate_is_downloaded_before_it_is_promoted(
    s3: S3, there: Exchange, version: Version, down: Callable[[], None]
) -> None:
    """It comes into the store only when the ledger has named its digest; the store may be down then."""
    assert there.prefetch("iris", version.version)
    assert not there.prefetch("iris", version.version)
    assert [] == store.versions(there.home, "iris")
    down()

    assert version.digest == obtain(there, version).digest
    assert [] == left(there.home)


def test_a_prefetched_archive_of_another_digest_is_not_used(there: Exchange, version: Version) -> None:
    """Two objects of one version: nobody knows which one is meant."""
    key = key_of("iris", version.version, "0" * 64)
    there.bucket.get(key_of("iris", version.version, version.digest), there.home.parent / "object")
    there.bucket.put(key, there.home.parent / "object")

    assert not there.prefetch("iris", version.version)


def test_other_objects_in_the_bucket_are_ignored(here: Exchange, version: Version, tmp_path: Path) -> None:
    """The list has versions only."""
    (tmp_path / "note").write_text("hello")
    for key in ("README.md", "iris/notes.txt", f"iris/{version.version}/abc.tar"):
        here.bucket.put(key, tmp_path / "note")

    assert [version.version] == [each.version for each in here.published()]


def test_a_home_on_its_own_publishes_nothing(tmp_path: Path) -> None:
    """It has what is in its store."""
    alone = Exchange(tmp_path)
    made = small_version(tmp_path)

    assert not alone.publish(made)
    assert made == alone.obtain("iris", made.version, made.digest)
    assert not alone.prefetch("iris", "another")
    with pytest.raises(UnknownVersion, match="PREDICTION_ARTIFACTS_URL"):
        alone.published()


def test_a_fetch_that_was_killed_is_no_obstacle(there: Exchange, version: Version) -> None:
    """Its remains are overwritten."""
    (there.home / "artifacts").mkdir(parents=True)
    (there.home / "artifacts" / "iris.part").write_bytes(b"half")

    store.verify(obtain(there, version), version.digest)
    assert [] == left(there.home)
