"""Labels to learn from, in the journal of a home."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from models_store import store
from models_store.spec import Spec
from models_store.targets.decisions import ClassAnswers
from prediction.journal import feedback
from prediction.journal.database import Journal
from prediction.journal.predictions import Inserter
from prediction.serving import predictor


def give(home: Path, spec: Spec, rows: int) -> Journal:
    """Record predictions of the first rows of a dataset, slightly changed, with their true labels.

    Their ids decide which of them are held out, so they have the same ids each time.
    """
    journal = Journal(f"sqlite:///{home / 'journal.db'}")
    version = store.newest(home, spec.name)
    answering = predictor.load(spec, version, version.digest)
    X, y = spec.load()
    columns, labels = spec.columns_of(X), spec.target.read(y)
    picked = [
        spec.rows.object({name: round(values[row] + 0.01, 3) for name, values in columns.items()})
        for row in range(rows)
    ]
    predictions = [
        answer._replace(prediction_id=str(UUID(int=number)))
        for number, answer in enumerate(answering.predict(picked))
    ]
    writer = Inserter(journal)
    writer.insert(predictions)
    writer.close()
    given = [
        feedback.Label(str(item.prediction_id), label)
        for item, label in zip(predictions, labels, strict=False)
    ]
    assert {"recorded"} == set(feedback.give(journal, spec.name, given))
    return journal


def most_probable(probabilities: Any) -> ClassAnswers:
    """Return the answers of a model that decides for the most probable class."""
    found = np.asarray(probabilities, np.float64)
    return ClassAnswers(found, found.argmax(axis=1))
