"""Booleans in tensors: as such, or as texts, as files have them; an empty text is a missing one."""

from __future__ import annotations

from typing import Any

from models_store.features.flag import Flag

ACCEPTED = ("BOOL", "BYTES")
_WORDS: dict[Any, bool | None] = {"true": True, "false": False, "": None}


def datatype(feature: Flag) -> str:
    """Return the datatype that the metadata names; no boolean in binary says that a value is missing."""
    return "BYTES" if feature.optional else "BOOL"


def plain(values: list[Any]) -> list[Any]:
    """Return values as JSON holds them; None is a missing value. The spec refuses other texts."""
    if str not in set(map(type, values)):
        return values
    return [_WORDS.get(value.lower(), value) if type(value) is str else value for value in values]
