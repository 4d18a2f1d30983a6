"""The datatypes of the protocol: the values of a tensor in JSON and in binary, one class a family.

Values that no tensor of the datatype could hold are refused here; the spec decides about all others.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_LENGTH = struct.Struct("<I")
_JSON_NUMBERS = frozenset({int, float, type(None)})


class Unreadable(Exception):
    """A tensor does not hold what it says; the message says why."""


@dataclass(frozen=True)
class Datatype(ABC):
    """A datatype. A missing value is None, in numbers also NaN."""

    name: str

    @abstractmethod
    def from_binary(self, raw: bytes, count: int) -> list[Any]:
        """Read exactly so many values.

        Raises
        ------
        Unreadable
        """

    @abstractmethod
    def to_binary(self, values: Sequence[Any]) -> bytes:
        """Write values."""

    def from_json(self, values: list[Any]) -> list[Any]:
        """Read values of JSON as they come in binary, where that differs."""
        return values


@dataclass(frozen=True)
class Fixed(Datatype):
    """Numbers of one size; `layout` is numpy's name of it."""

    layout: str

    def from_binary(self, raw: bytes, count: int) -> list[Any]:
        """Read exactly so many values."""
        kind = np.dtype(self.layout)
        if len(raw) != count * kind.itemsize:
            whole = count * kind.itemsize
            raise Unreadable(f"{count} values of {self.name} are {whole} bytes, not {len(raw)}")
        values: list[Any] = np.frombuffer(raw, kind).tolist()
        return values

    def to_binary(self, values: Sequence[Any]) -> bytes:
        """Write values."""
        return np.array(values, self.layout).tobytes()


@dataclass(frozen=True)
class Single(Fixed):
    """Floats of 32 bits: the same numbers in JSON as in binary."""

    def from_json(self, values: list[Any]) -> list[Any]:
        """Round numbers to 32 bits."""
        if not set(map(type, values)) <= _JSON_NUMBERS:
            return values  # the spec refuses them
        try:
            with np.errstate(over="ignore"):  # an infinity is refused by the spec
                rounded: list[Any] = np.array(values, np.float64).astype(np.float32).tolist()
        except OverflowError:
            raise Unreadable("it has a number that FP32 can't hold") from None
        return rounded


@dataclass(frozen=True)
class Whole(Fixed):
    """Whole numbers of `bits` bits."""

    bits: int

    def from_json(self, values: list[Any]) -> list[Any]:
        """Refuse numbers that are not whole, or that the datatype can't hold."""
        end = 1 << (self.bits - 1)
        for row, value in enumerate(values):
            if type(value) is float and not value.is_integer():  # NaN and infinities too
                raise Unreadable(f"{self.name} holds whole numbers, and row {row} has another: send FP64")
            if type(value) in (int, float) and not -end <= value < end:
                raise Unreadable(f"row {row} has a number that {self.name} can't hold: send FP64")
        return values


@dataclass(frozen=True)
class Booleans(Fixed):
    """True or false, a byte each."""

    def from_binary(self, raw: bytes, count: int) -> list[Any]:
        """Read exactly so many values: a byte is 0 or 1."""
        if raw.strip(b"\0\1"):
            raise Unreadable(f"a byte of {self.name} is 0 or 1")
        return super().from_binary(raw, count)


@dataclass(frozen=True)
class Texts(Datatype):
    """Texts in UTF-8, each after its length in bytes: 4 bytes, little-endian."""

    def from_binary(self, raw: bytes, count: int) -> list[Any]:
        """Read exactly so many values. Bytes that are no UTF-8 become what no text of a spec may have."""
        found = []
        place = 0
        for _ in range(count):
            start = place + _LENGTH.size
            if start > len(raw):
                break
            place = start + _LENGTH.unpack_from(raw, place)[0]
            if place > len(raw):
                break
            found.append(raw[start:place].decode("utf-8", "surrogateescape"))
        if place != len(raw) or len(found) < count:
            texts = f"{count} texts, each after its length in 4 bytes, little-endian"
            raise Unreadable(f"its {len(raw)} bytes are not {texts}")
        return found

    def to_binary(self, values: Sequence[Any]) -> bytes:
        """Write values."""
        written = [value.encode() for value in values]
        return b"".join(part for text in written for part in (_LENGTH.pack(len(text)), text))


DATATYPES: dict[str, Datatype] = {
    each.name: each
    for each in (
        Fixed("FP64", "<f8"),
        Single("FP32", "<f4"),
        Whole("INT64", "<i8", 64),
        Whole("INT32", "<i4", 32),
        Booleans("BOOL", "?"),
        Texts("BYTES"),
    )
}
