"""Flags: true and false, and nothing that only looks like them."""

from __future__ import annotations

from typing import Any

import pytest

from models_store.errors import InvalidInput
from models_store.features.flag import Flag
from tests.models_store.features.rows import validator


def test_true_and_false_are_flags() -> None:
    """And null, if the value may be missing."""
    rows = validator(bool | None, Flag(name="a", optional=True))

    assert [True, False, None] == [rows.row(b'{"a": %s}' % raw).a for raw in (b"true", b"false", b"null")]


@pytest.mark.parametrize("value", [0, 1, 1.0, "true", "yes", "", []])
def test_nothing_else_is_a_flag(value: Any) -> None:
    """The message says what would be right."""
    with pytest.raises(InvalidInput, match=r"a: must be true or false$"):
        validator(bool, Flag(name="a")).object({"a": value})


def test_a_flag_goes_with_bool() -> None:
    """Another annotation is a fault."""
    assert ["flag(...) goes with `bool`, not with `int`"] == Flag().faults(int)
