"""The POST routes of a spec, as they are described; what they do is shown on real servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from models_store.spec import Spec
from prediction.http.calls import Call
from prediction.http.posts import Posts
from prediction.journal.database import Journal
from prediction.retraining.steps import Plan
from prediction.serving.runtime import Runtime


@pytest.fixture
def calls(tmp_path: Path, specs: dict[str, Spec]) -> dict[str, Call]:
    """The calls of every spec, by path."""
    journal = Journal(f"sqlite:///{tmp_path / 'journal.db'}")
    runtime = Runtime(specs, tmp_path, journal)
    made = [
        Posts(spec, runtime, Plan(spec, tmp_path, journal, 50, 10), max_rows=100) for spec in specs.values()
    ]
    return {call.path: call for posts in made for call in posts.calls()}


def test_every_spec_gets_every_route(calls: dict[str, Call], specs: dict[str, Spec]) -> None:
    """A new file of the catalog needs no other edit."""
    names = ["predict", "predict_batch", "feedback", "feedback_batch"]
    names += ["retrain", "cancel", "promote", "rollback"]

    assert {f"/{spec}/{name}" for spec in specs for name in names} == set(calls)


def test_what_changes_the_champion_is_for_administrators(calls: dict[str, Call]) -> None:
    """And nothing else is."""
    admin = {call.name for call in calls.values() if call.admin}

    assert {"retrain", "cancel", "promote", "rollback"} == admin


def test_arrays_have_the_limit_of_the_settings(calls: dict[str, Call]) -> None:
    """Rows and labels alike."""
    limited = {call.name: call.max_rows for call in calls.values() if call.max_rows is not None}

    assert {"predict_batch": 100, "feedback_batch": 100} == limited


def test_the_examples_are_valid_bodies(calls: dict[str, Call]) -> None:
    """What the docs page offers to send is never refused for its form."""
    for call in calls.values():
        rows = call.example if call.max_rows is not None else [call.example]
        for row in rows:
            call.validator.object(row)
