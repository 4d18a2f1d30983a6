"""Buckets of runs, with a real S3 server that may be down, hang, be slow or refuse."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from models_store.errors import InvalidInput
from prediction.batch.bulk import buckets as bulk_buckets
from prediction.batch.bulk import places, ranges
from prediction.batch.bulk.places import InputFile, OutputFolder
from prediction.errors import PlaceUnavailable
from tests import buckets, disks
from tests.buckets import KEY, S3, SECRET, Wire
from tests.servers import free_port

s3 = buckets.s3
DATA = bytes(range(256)) * 4_000
NAMES = ("a.csv", "b c%20[1].csv", "day=1/c.csv", "_SUCCESS", "day=1/.hidden")


@pytest.fixture(scope="module")
def root(s3: S3) -> str:
    """A place with some objects."""
    root = "s3://models/places/in"
    for name in NAMES:
        folder, _, file = f"{root}/{name}".rpartition("/")
        OutputFolder(folder).put(file, DATA)
    return root


@pytest.fixture
def wire(s3: S3, root: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """A way to the S3 server, which this test takes."""
    with Wire(s3.port) as made:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{made.port}")
        yield made


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("/", ["a.csv", "b c%20[1].csv", "day=1/c.csv"]),
        ("", ["a.csv", "b c%20[1].csv", "day=1/c.csv"]),
        ("/*.csv", ["a.csv", "b c%20[1].csv"]),
        ("/**/*.csv", ["a.csv", "b c%20[1].csv", "day=1/c.csv"]),
        ("/*/c.csv", ["day=1/c.csv"]),
        ("/b c%20[1].csv", ["b c%20[1].csv"]),
    ],
)
def test_objects_are_listed_like_files(root: str, pattern: str, found: list[str]) -> None:
    """Hidden ones are left out, in the same order."""
    assert [f"{root}/{name}" for name in found] == [each.url for each in places.find([root + pattern])]


def test_an_object_that_stands_for_a_folder_is_none_to_score(root: str) -> None:
    """Consoles write such objects: without bytes, and the library leaves out the slash of their names."""
    bucket, _, folder = f"{root}-made".rpartition("/")
    OutputFolder(bucket).put(folder, b"")
    OutputFolder(f"{root}-made-2").put("day=2", b"")
    OutputFolder(f"{root}-made-2").put("a.csv", b"")

    with pytest.raises(InvalidInput, match=rf"{folder}: there is no such file"):
        places.find([f"{root}-made/"])
    assert [f"{root}-made-2/a.csv"] == [each.url for each in places.find([f"{root}-made-2/"])]


def test_an_object_is_read_by_ranges(root: str) -> None:
    """Any range, as a file."""
    (file,) = places.find([f"{root}/a.csv"])
    assert len(DATA) == file.size
    with file.open() as whole:
        assert DATA == whole.read()
    with file.open(1_000, 900_000) as part:
        part.seek(500_000)
        assert DATA[501_000:501_100] == part.read(100)


def test_what_is_not_there_is_one_sentence(root: str) -> None:
    """An object, a prefix, a bucket."""
    for name in ("x.csv", "x/", "x*.csv"):
        with pytest.raises(InvalidInput, match=f"{root}/x.*there is no such file"):
            places.find([f"{root}/{name}"])
    with pytest.raises(InvalidInput, match="there is no bucket s3://nobody"):
        places.find(["s3://nobody/in/*.csv"])


def test_an_object_that_has_changed_is_not_read(root: str) -> None:
    """Neither from the beginning nor from the middle on."""
    output = OutputFolder(f"{root}-changes")
    output.put("a.csv", DATA * 2)
    (file,) = places.find([f"{output.url}/a.csv"])
    opened = file.open()
    assert DATA[:1] == opened.read(1)
    output.put("a.csv", DATA[::-1] * 2)

    with opened, pytest.raises(InvalidInput, match=r"a\.csv has changed since the run began"):
        opened.read()
    with file.open() as again, pytest.raises(InvalidInput, match=r"a\.csv has changed"):
        again.read(1)
    output.delete("a.csv")
    with file.open() as gone, pytest.raises(InvalidInput, match=r"a\.csv is gone"):
        gone.read(1)


def test_an_object_is_written_whole_or_not_at_all(s3: S3) -> None:
    """Small ones and those that are sent in pieces; of two who create one wins."""
    output = OutputFolder("s3://models/places/out/")
    assert {} == output.list()
    assert output.read("a") is None
    output.put("a", b"first")
    output.put("a", b"second")
    assert b"second" == output.read("a")
    assert not output.create("a", b"third")
    assert output.create("b", b"new")

    assert {"a": 6, "b": 3} == output.list()
    output.delete("a")
    output.delete("a")
    assert {"b": 3} == output.list()


def test_the_name_of_an_output_is_no_pattern(s3: S3) -> None:
    """A run that was cut finds its parts."""
    output = OutputFolder("s3://models/places/out-[1]/")
    output.put("part-00000.csv", b"1")

    assert ["s3://models/places/out-[1]/part-00000.csv"] == [each.url for each in output.files()]
    with output.files()[0].open() as part:
        assert b"1" == part.read()


def test_a_large_part_is_sent_in_pieces(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes are those of the draft."""
    monkeypatch.setattr(bulk_buckets, "SINGLE_BYTES", 1 << 20)
    monkeypatch.setattr(bulk_buckets, "PIECE_BYTES", 5 << 20)
    output = OutputFolder("s3://models/places/pieces")
    output.put("part-00000.parquet", DATA * 12)
    (file,) = places.find([output.url])

    with file.open() as opened:
        assert DATA * 12 == opened.read()


def faults(file: InputFile, output: OutputFolder) -> str:
    """Return what every call says; it must be the same, but for the place."""
    calls = (
        lambda: places.find([file.url]),
        lambda: file.open().read(),
        lambda: output.put("a", b"x"),
        lambda: output.create("new", b"x"),
        output.list,
        lambda: output.read("a"),
    )
    told = set()
    for call in calls:
        with pytest.raises(PlaceUnavailable) as caught:
            call()
        told.add(str(caught.value).partition(": ")[2])
        assert caught.value.__cause__ is None, "the library's own words may hold keys"
    assert 1 == len(told), told
    return told.pop()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No attempt after the first."""
    monkeypatch.setattr(bulk_buckets, "PATIENCE_SECONDS", 0.0)


def test_wrong_credentials_are_one_sentence(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, and without the credentials."""
    (file,) = places.find([f"{root}/a.csv"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-one")
    message = faults(file, OutputFolder("s3://models/places/refused"))

    assert "it refuses the credentials in the environment, or there are none" == message
    assert not [each for each in (KEY, SECRET, "another-one") if each in message]


@pytest.mark.usefixtures("impatient")
def test_a_store_that_is_down_is_one_sentence(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens at the endpoint."""
    (file,) = places.find([f"{root}/a.csv"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")

    assert "it does not answer" == faults(file, OutputFolder("s3://models/places/down"))


@pytest.mark.usefixtures("impatient")
def test_a_store_that_hangs_does_not_answer(s3: S3, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request has a timeout, and so has a part of a file."""
    (file,) = places.find([f"{root}/a.csv"])
    monkeypatch.setattr(bulk_buckets, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(ranges, "MOST_BYTES", 100_000)
    with s3.frozen():
        with pytest.raises(PlaceUnavailable, match=r"in/a\.csv can't be read: it does not answer"):
            file.open().read()
        with pytest.raises(PlaceUnavailable, match="hangs can't be written: it does not answer"):
            OutputFolder("s3://models/places/hangs").put("a", b"x")


def test_a_store_that_comes_back_costs_only_time(
    wire: Wire, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file whose reading was cut is read on, and a part is written, once the store answers."""
    (file,) = places.find([f"{root}/a.csv"])
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        if threading.current_thread() is threading.main_thread():  # the wire has threads
            pauses.append(seconds)
            if len(pauses) % 2 == 0:
                wire.connect()

    monkeypatch.setattr(bulk_buckets, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(time, "sleep", pause)
    with file.open() as opened:
        begin = opened.read(1_000)
        wire.cut()
        assert DATA == begin + opened.read()
    wire.cut()
    OutputFolder("s3://models/places/back").put("a", b"x")

    assert b"x" == OutputFolder("s3://models/places/back").read("a")
    assert 4 == len(pauses)


def test_a_slow_store_is_waited_for(wire: Wire, root: str) -> None:
    """As long as its bytes may take."""
    (file,) = places.find([f"{root}/a.csv"])
    wire.pause_seconds = 0.005
    with file.open(0, 100_000) as opened:
        assert DATA[:100_000] == opened.read()


def test_a_full_disk_for_drafts_is_one_sentence(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the disk of the worker, and nothing is written."""
    disk = tmp_path / "disk"
    with disks.small(disk, "1m"):
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        output = OutputFolder("s3://models/places/full")
        with pytest.raises(InvalidInput, match=f"{disk}/.* can't be written: No space left on device"):
            output.put("part-00000.parquet", b"x" * 2_000_000)
        assert {} == output.list()


def test_drafts_belong_to_their_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that somebody else has put there is not followed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"loop-score-{os.getuid()}").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(InvalidInput, match="belongs to another user: set TMPDIR"):
        OutputFolder("s3://models/places/out").put("a", b"x")
