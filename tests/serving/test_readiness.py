"""Which broken files hold a server back; `tests/test_broken_specs.py` has it on real servers."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from models_store.catalog import Broken
from prediction.serving import readiness

ROSES = {"roses": Broken("roses", Path("/specs/roses.py"), 3, "ValueError: thorns")}
LILIES = {"lilies": Broken("lilies", Path("/specs/lilies.py"), None, "it must define SPEC")}


def test_a_file_that_was_broken_at_the_start_holds_the_server_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file that broke later does not: the other workers answer for its model."""
    monkeypatch.setenv(readiness.VARIABLE, "roses")

    told = readiness.hold(ROSES | LILIES)

    assert "this server started with a broken catalog: roses.py, line 3: ValueError: thorns" in told
    assert "lilies" not in told
    assert "" == readiness.hold(LILIES)
    assert "" == readiness.hold({})


def test_in_the_parent_every_broken_file_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was noted yet."""
    monkeypatch.delenv(readiness.VARIABLE, raising=False)

    assert "roses.py" in readiness.hold(ROSES | LILIES)
    assert "lilies.py: it must define SPEC" in readiness.hold(ROSES | LILIES)


def test_each_broken_file_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By the parent; a worker logs what the parent did not see, with the place and the remedy."""
    monkeypatch.delenv(readiness.VARIABLE, raising=False)
    monkeypatch.setattr(logging.getLogger("bentoml"), "propagate", True)
    readiness.remember(ROSES)
    readiness.log_new(ROSES)
    readiness.log_new(ROSES | LILIES)

    assert [
        "roses is not served: /specs/roses.py, line 3: ValueError: thorns: correct the file, or remove it",
        "lilies is not served: /specs/lilies.py: it must define SPEC: correct the file, or remove it",
    ] == [record.getMessage() for record in caplog.records]
    assert {"ERROR"} == {record.levelname for record in caplog.records}
