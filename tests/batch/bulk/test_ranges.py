"""Ranges as files: how much is fetched, and what a source may do wrong."""

from __future__ import annotations

import os
import random

import pytest

from prediction.batch.bulk import ranges
from prediction.batch.bulk.ranges import FIRST_BYTES, MOST_BYTES, open_range

DATA = random.Random(0).randbytes(3 << 20)


class Counting:
    """Some bytes, which note what is fetched of them."""

    def __init__(self, data: bytes = DATA) -> None:
        self._data = data
        self.fetched: list[tuple[int, int]] = []
        self.is_closed = False

    def fetch(self, start: int, end: int) -> bytes:
        """Return bytes."""
        self.fetched.append((start, end))
        return self._data[start:end]

    def close(self) -> None:
        """Note that it is closed."""
        self.is_closed = True


def test_reading_on_fetches_longer_and_longer_ranges() -> None:
    """Each byte is fetched once."""
    source = Counting()
    with open_range(source, 10, len(DATA)) as file:
        parts = []
        while part := file.read(50_000):
            parts.append(part)

    assert DATA[10:] == b"".join(parts)
    lengths = [end - start for start, end in source.fetched]
    assert len(DATA) - 10 == sum(lengths)
    assert [FIRST_BYTES, 4 * FIRST_BYTES] == lengths[:2]
    assert len(lengths) < 5
    assert source.is_closed


def test_a_look_at_a_place_fetches_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parquet reads its end first, and then a few columns."""
    monkeypatch.setattr(ranges, "FIRST_BYTES", 1_000)
    source = Counting()
    with open_range(source, 0, len(DATA)) as file:
        for place in (2 << 20, 1 << 20, 100):
            file.seek(place)
            assert DATA[place : place + 8] == file.read(8)

    assert 3 == len(source.fetched)
    assert sum(end - start for start, end in source.fetched) < 500_000


def test_a_long_read_is_several_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """So none takes longer than its timeout allows for."""
    monkeypatch.setattr(ranges, "MOST_BYTES", 1 << 20)
    source = Counting()
    with open_range(source, 0, len(DATA)) as file:
        assert DATA == file.read(len(DATA))

    assert {1 << 20} == {end - start for start, end in source.fetched}
    assert MOST_BYTES > 1 << 20


def test_any_reading_gives_the_bytes_of_a_file() -> None:
    """Seeks and reads in any order."""
    dice = random.Random(1)
    with open_range(Counting(), 0, len(DATA)) as file:
        at = 0
        for _ in range(200):
            if dice.random() < 0.5:
                at = file.seek(dice.randrange(len(DATA)))
            count = dice.choice((1, 100, 10_000, 300_000))
            assert DATA[at : at + count] == file.read(count)
            at = file.tell()


def test_places_before_the_beginning_are_refused() -> None:
    """As by other files."""
    with open_range(Counting(), 0, 10) as file, pytest.raises(ValueError, match="before its beginning"):
        file.seek(-11, os.SEEK_END)


def test_an_answer_that_is_cut_is_an_error() -> None:
    """Otherwise rows would be lost silently."""
    with open_range(Counting(b"short"), 0, 10) as file, pytest.raises(OSError, match="cut"):
        file.read()
