"""What the tests of the entrance share."""

from __future__ import annotations

import json

import pytest

from models_store.spec import Spec
from tests.http.asgi import World, echo


@pytest.fixture
def world(specs: dict[str, Spec]) -> World:
    """An entrance whose call gives the row back."""
    return World(specs["iris"], echo)


@pytest.fixture
def good(specs: dict[str, Spec]) -> bytes:
    """A valid body."""
    return json.dumps(specs["iris"].example).encode()
