"""A validator for one feature, as a spec makes it for all of its own."""

from __future__ import annotations

from typing import Any

from pydantic import create_model

from models_store.features import feature
from models_store.features.feature import Feature
from models_store.spec import Features
from models_store.validation import Validator


def validator(annotation: Any, made: Feature) -> Validator[Any]:
    """Validate rows that have one feature, `a`."""
    fields: dict[str, Any] = {"a": (annotation, feature.field(made))}
    model = create_model("Row", __base__=Features, **fields)
    return Validator(model, "rows", {"a": made.expected})
