"""Counting on a disk without room: nothing fails, nothing dies, nothing is forgotten."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict

from prediction import counter_files
from prediction.counter_files import FIRST_BYTES, CounterFile


@contextmanager
def no_room(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def seen(path: Path) -> dict[str, float]:
    """Return what a scrape reads of a file."""
    found = MmapedDict.read_all_values_from_file(str(path))  # type: ignore[no-untyped-call]
    return {key: value for key, value, _, _ in found}


def fill(file: CounterFile, start: int, stop: int) -> None:
    """Count in so many entries; some hundred fill a file of the first size."""
    for number in range(start, stop):
        key = f"entry {number:04d} {'x' * 100}"
        assert (0.0, 0.0) == file.read_value(key)  # type: ignore[no-untyped-call]
        file.write_value(key, float(number), 0.0)  # type: ignore[no-untyped-call]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a file is."""
    return tmp_path / "counter_1.db"


def test_the_room_of_a_file_is_reserved(path: Path) -> None:
    """Every page has its block on the disk before something is written to it, also after it has grown."""
    file = CounterFile(str(path))
    assert path.stat().st_blocks * 512 >= path.stat().st_size == FIRST_BYTES
    assert {} == seen(path)

    fill(file, 0, 1_000)

    assert path.stat().st_blocks * 512 >= path.stat().st_size > FIRST_BYTES
    assert list(map(float, range(1_000))) == sorted(seen(path).values())
    assert [path] == list(path.parent.iterdir())
    file.close()  # type: ignore[no-untyped-call]


def test_a_file_that_is_there_is_continued(path: Path) -> None:
    """A process may get the id of one that has ended."""
    first = CounterFile(str(path))
    fill(first, 0, 10)
    first.close()  # type: ignore[no-untyped-call]
    second = CounterFile(str(path))
    fill(second, 10, 20)

    assert list(map(float, range(20))) == sorted(seen(path).values())
    second.close()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("size", [0, FIRST_BYTES])
def test_without_room_it_counts_in_memory(
    path: Path, size: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a new file nor one that must grow fails; once there is room, a scrape finds all of it."""
    monkeypatch.setattr(counter_files, "RETRY_SECONDS", 0.0)
    with no_room(size):
        file = CounterFile(str(path))
        fill(file, 0, 1_000)
        assert path.exists() == (size > 0)
        assert not size or 100 < len(seen(path)) < 1_000
    file.write_value(f"entry 0007 {'x' * 100}", 7_000.0, 0.0)  # type: ignore[no-untyped-call]

    assert [*map(float, range(7)), *map(float, range(8, 1_000)), 7_000.0] == sorted(seen(path).values())
    assert 1 == caplog.text.count("has no room for metrics")
    fill(file, 1_000, 3_000)
    assert 3_000 == len(seen(path))
    file.close()  # type: ignore[no-untyped-call]


def test_a_folder_that_is_gone_fails_nothing(tmp_path: Path) -> None:
    """Another server may have deleted it."""
    file = CounterFile(str(tmp_path / "missing" / "counter_1.db"))
    fill(file, 0, 1_000)

    assert not (tmp_path / "missing").exists()
