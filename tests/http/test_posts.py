"""The POST routes of a spec: their descriptions, and what feedback does. Real servers show the rest."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from prometheus_client import REGISTRY

from models_store.spec import Spec
from prediction.errors import ConflictingLabel
from prediction.http.calls import Call
from prediction.http.posts import Posts
from prediction.journal import runs
from prediction.journal.database import Journal
from prediction.retraining.steps import Plan
from prediction.serving.runtime import Runtime
from tests.databases import prediction, record


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal of its own."""
    made = Journal(f"sqlite:///{tmp_path / 'journal.db'}")
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def calls(tmp_path: Path, specs: dict[str, Spec], journal: Journal) -> dict[str, Call]:
    """The calls of every spec, by path."""
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


def counted(status: str) -> float:
    """Return how many labels of iris got this status."""
    labels = {"model": "iris", "status": status}
    return REGISTRY.get_sample_value("prediction_feedback_total", labels) or 0


def test_a_label_is_recorded_once(calls: dict[str, Call], journal: Journal) -> None:
    """The same label again is unchanged, another one is a conflict unless it corrects."""
    (given,) = record(journal, [prediction(1)])
    call, label = calls["/iris/feedback"], {"prediction_id": given, "label": "setosa"}

    def give(body: dict[str, Any]) -> str:
        return str(json.loads(asyncio.run(call.respond(json.dumps(body).encode())))["status"])

    assert ["recorded", "unchanged"] == [give(label), give(label)]
    with pytest.raises(ConflictingLabel):
        give(label | {"label": "virginica"})
    assert "corrected" == give(label | {"label": "virginica", "correct": True})


def test_a_batch_of_labels_says_which_were_refused(calls: dict[str, Call], journal: Journal) -> None:
    """Each refused label has the status that it would get alone; all are counted by what they got."""
    first, second = record(journal, [prediction(1), prediction(2)])
    labels = [
        {"prediction_id": first, "label": "setosa"},
        {"prediction_id": first, "label": "virginica"},
        {"prediction_id": "01900000-0000-7000-8000-000000000000", "label": "setosa"},
        {"prediction_id": second, "label": "setosa"},
    ]
    before = counted("recorded"), counted("refused")
    raw = asyncio.run(calls["/iris/feedback_batch"].respond(json.dumps(labels).encode()))
    answers = json.loads(raw)

    assert ["recorded", "error", "error", "recorded"] == [item["status"] for item in answers]
    assert [409, 404] == [item["code"] for item in answers[1:3]]
    assert [item["prediction_id"] for item in labels] == [item["prediction_id"] for item in answers]
    assert (before[0] + 2, before[1] + 2) == (counted("recorded"), counted("refused"))


def test_a_second_retraining_is_the_active_one(calls: dict[str, Call], journal: Journal) -> None:
    """While a run is active, retrain answers that run and starts no process."""
    active, _ = runs.request(journal, "iris", force=False)
    children = psutil.Process().children()

    answer = json.loads(asyncio.run(calls["/iris/retrain"].respond(b"{}")))

    assert (active.run_id, "queued") == (answer["run_id"], answer["status"])
    assert children == psutil.Process().children()
