"""The store of artefacts, as a real S3 server and as a folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from prediction.artifacts import bucket
from prediction.artifacts.bucket import Bucket
from prediction.errors import ArtifactsUnavailable
from tests import buckets
from tests.buckets import KEY, S3, SECRET, Wire
from tests.servers import free_port

s3 = buckets.s3


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of some bytes."""
    (tmp_path / "file").write_bytes(b"content" * 1_000)
    return tmp_path / "file"


@pytest.fixture(params=["s3", "file"])
def shared(request: pytest.FixtureRequest, s3: S3, tmp_path: Path) -> Bucket:
    """An empty store of artefacts of each kind."""
    kinds = {"s3": f"s3://models/{tmp_path.name}", "file": f"file://{tmp_path}/shared folder"}
    return Bucket(kinds[request.param])


@pytest.fixture
def wire(s3: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """A way to the S3 server, which this test takes."""
    with Wire(s3.port) as made:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{made.port}")
        yield made


def test_an_object_is_written_once(shared: Bucket, file: Path, tmp_path: Path) -> None:
    """The second one is refused, and changes nothing."""
    assert shared.put("iris/a/b.tar", file)
    (tmp_path / "other").write_bytes(b"other")
    assert not shared.put("iris/a/b.tar", tmp_path / "other")

    assert shared.get("iris/a/b.tar", tmp_path / "back")
    assert file.read_bytes() == (tmp_path / "back").read_bytes()


def test_objects_are_listed_found_and_deleted(shared: Bucket, file: Path) -> None:
    """A prefix ends where a part of a key ends."""
    assert [] == shared.list()
    for key in ("iris/a/b.tar", "iris2/a/b.tar"):
        shared.put(key, file)

    assert ["iris/a/b.tar"] == [each.key for each in shared.list("iris/")]
    assert {"iris/a/b.tar", "iris2/a/b.tar"} == {each.key for each in shared.list()}
    found = shared.find("iris/a/b.tar")
    assert found is not None
    assert 7_000 == found.size
    shared.delete("iris/a/b.tar")
    shared.delete("iris/a/b.tar")
    assert shared.find("iris/a/b.tar") is None


def test_what_is_not_there_is_no_file(shared: Bucket, tmp_path: Path) -> None:
    """The target is not made."""
    assert not shared.get("iris/a/b.tar", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_of_many_writers_one_wins(shared: Bucket, tmp_path: Path) -> None:
    """The object is that of the one who was told so."""
    files = [tmp_path / str(number) for number in range(8)]
    for path in files:
        path.write_text(path.name * 1_000)
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda path: shared.put("iris/a/b.tar", path), files))

    assert 1 == sum(won)
    shared.get("iris/a/b.tar", tmp_path / "back")
    assert files[won.index(True)].read_bytes() == (tmp_path / "back").read_bytes()


def failure(shared: Bucket, file: Path) -> str:
    """Return the message of every call that fails; it must be the same one."""
    calls = (
        lambda: shared.put("iris/a/b.tar", file),
        lambda: shared.get("iris/a/b.tar", file.with_name("back")),
        lambda: shared.list("iris/"),
        lambda: shared.delete("iris/a/b.tar"),
    )
    told = set()
    for call in calls:
        with pytest.raises(ArtifactsUnavailable) as caught:
            call()
        told.add(str(caught.value))
        assert caught.value.__cause__ is None, "the library's own words may hold keys"
    assert 1 == len(told), told
    return told.pop()


@pytest.mark.parametrize("wrong", ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"])
def test_wrong_credentials_are_one_sentence(
    s3: S3, file: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """It shows none of them."""
    monkeypatch.setenv(wrong, "another-one")
    message = failure(Bucket("s3://models/credentials"), file)

    assert "it refuses the credentials in the environment, or there are none" in message
    assert not [each for each in (KEY, SECRET, "another-one", "127.0.0.1") if each in message]


def test_a_store_that_is_down_is_one_sentence(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens at the endpoint."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)

    message = failure(Bucket("s3://models/down"), file)
    assert "the store of artefacts can't be used: it does not answer" == message


def test_a_store_that_hangs_does_not_answer(s3: S3, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that ran into its timeout is not repeated."""
    monkeypatch.setattr(bucket, "ANSWER_SECONDS", 0.5)
    began = time.monotonic()
    with s3.frozen(), pytest.raises(ArtifactsUnavailable, match="it does not answer"):
        Bucket("s3://models/hangs").put("iris/a/b.tar", file)

    assert time.monotonic() - began < 10


def test_a_slow_store_is_waited_for_as_long_as_its_bytes_may_take(
    wire: Wire, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """7,000 bytes in pieces of 1 KB: they arrive, unless that takes longer than the limit."""
    shared = Bucket(f"s3://models/{tmp_path.name}")
    shared.put("iris/a/b.tar", file)
    wire.pause_seconds = 0.05
    assert shared.get("iris/a/b.tar", tmp_path / "back")
    wire.pause_seconds = 0.4
    monkeypatch.setattr(bucket, "ANSWER_SECONDS", 1.0)

    with pytest.raises(ArtifactsUnavailable, match="it does not answer"):
        shared.get("iris/a/b.tar", tmp_path / "back")


def test_a_folder_that_can_t_be_written_to_is_one_sentence(file: Path, tmp_path: Path) -> None:
    """A file is in its place."""
    with pytest.raises(ArtifactsUnavailable, match="the store of artefacts can't be used"):
        Bucket(f"file://{file}").put("iris/a/b.tar", file)
