"""Labels of the journal as examples."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from models_store.spec import Spec
from prediction.journal import feedback, tables
from prediction.retraining import examples
from tests import labels


def test_labels_are_read_with_features_and_times(home: Path, specs: dict[str, Spec]) -> None:
    """Each example has the id, the features, the label and the time of its prediction."""
    journal = labels.give(home, specs["iris"], rows=20)
    outcomes = [item for chunk in feedback.outcomes(journal, "iris") for item in chunk]

    found = examples.read(specs["iris"], journal)

    assert (20, 0) == (found.new, found.others)
    assert max(item.labelled_us for item in outcomes) == found.newest_us
    for example, item in zip(found.examples, outcomes, strict=True):
        assert (str(item.prediction.prediction_id), item.label) == (example.prediction_id, example.label)
        assert (item.prediction.read_features(), item.prediction.at_us) == (example.features, example.at_us)


def test_labels_that_are_known_are_not_new(home: Path, specs: dict[str, Spec]) -> None:
    """All are read, and those that were given after a time are counted as new."""
    journal = labels.give(home, specs["iris"], rows=20)
    newest_us = examples.read(specs["iris"], journal).newest_us

    found = examples.read(specs["iris"], journal, newest_us)

    assert (20, 0, newest_us) == (len(found.examples), found.new, found.newest_us)


def test_labels_of_another_schema_are_left_out(home: Path, specs: dict[str, Spec]) -> None:
    """Other features or another class, from before an edit of the spec, are counted and not used."""
    journal = labels.give(home, specs["iris"], rows=20)
    with journal.write() as connection:
        predictions, given = tables.predictions, tables.feedback
        first, second = (str(UUID(int=number)) for number in range(2))
        strange = predictions.update().where(predictions.c.prediction_id == first)
        connection.execute(strange.values(features='{"stem_length_cm": 1.0}'))
        connection.execute(given.update().where(given.c.prediction_id == second).values(label="alba"))

    found = examples.read(specs["iris"], journal)

    assert (18, 2) == (len(found.examples), found.others)
