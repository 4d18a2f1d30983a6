"""Every kind of feature, by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models_store.features.category import Category
from models_store.features.feature import Feature
from models_store.features.flag import Flag
from models_store.features.integer import Integer
from models_store.features.moment import Moment
from models_store.features.number import Number
from models_store.features.text import Text

KINDS: dict[str, type[Feature]] = {
    kind.kind: kind for kind in (Number, Integer, Flag, Category, Text, Moment)
}


def revive(name: str, shape: Mapping[str, Any]) -> Feature:
    """Return a feature as a version has noted it by `Feature.shape`."""
    kind: str = shape["kind"]
    facts: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in shape.items()
    }
    del facts["kind"]
    return KINDS[kind](name=name, **facts)
