"""Metrics that are read from the journal at a scrape: right, cached, and no failure of the scrape."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from models_store import store
from models_store.spec import Spec
from prediction import metrics
from prediction.journal import feedback, ledger, runs, workers
from prediction.journal.database import Journal
from prediction.journal.feedback import Label
from prediction.journal.ledger import NewChampion
from prediction.monitoring import gauges
from prediction.monitoring.gauges import Gauges
from prediction.monitoring.targets import calibrations, quantity
from prediction.times import now_us
from tests import databases
from tests.databases import Postgres, prediction, record

journal_url = databases.journal_url
journal = databases.journal
postgres = databases.postgres

OF_OTHERS = set(quantity.GAUGES) | {
    *("prediction_precision_ratio", "prediction_recall_ratio", "prediction_alert_ratio"),
    *("prediction_precision_below_training", "prediction_recall_below_training"),
    *("prediction_alert_rate_unlike_training", "prediction_cost_per_row", "prediction_cost_above_training"),
}
"""Gauges of quantities, and of classes of which one is positive."""


def read(text: str) -> dict[tuple[str, ...], float]:
    """Return every sample by its name and its labels' values."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_gauge_is_read(specs: dict[str, Spec], trained_home: Path, journal: Journal) -> None:
    """Champion, workers, outcomes, accuracy, drift and runs, as the journal has them."""
    version = store.newest(trained_home, "iris").version
    ledger.promote(journal, NewChampion("iris", version, "d" * 64, by="test", reason="test"))
    workers.report(journal, "host", 1, {"iris": (version, 0)})
    workers.report(journal, "host", 2, {"iris": ("another", 0)})
    workers.report(journal, "host", 3, {"iris": ("another", 0)})
    ids = record(journal, [prediction(number, version=version) for number in range(60)])
    labels = [Label(i, "setosa" if i != ids[0] else "virginica") for i in ids[:10]]
    feedback.give(journal, "iris", labels, calibrations.measure(trained_home, "iris"))
    runs.request(journal, "iris", force=False)
    found = read(Gauges(specs, trained_home, journal).text())

    assert 1 == found["prediction_journal_up",]
    assert 0 == found["prediction_broken_specs",]
    assert 1 == found["prediction_champion_info", "iris", version]
    assert 0 <= found["prediction_champion_age_seconds", "iris"] < 60
    assert 0 == found["prediction_unlabelled_age_seconds", "iris"]
    assert 1 == found["prediction_serving_workers", "iris", version]
    assert 2 == found["prediction_disagreeing_workers", "iris"]
    assert 0.9 == found["prediction_accuracy_ratio", "iris", version]
    assert 0.9 < found["prediction_estimated_accuracy_ratio", "iris", version] < 1
    assert 0 == found["prediction_accuracy_below_estimate", "iris", version]
    assert (10, 50) == tuple(
        found[f"prediction_{name}", "iris", version] for name in ("outcomes", "labels_outstanding")
    )
    assert 1 == found["prediction_runs", "iris", "queued"]
    assert 0 == found["prediction_runs", "penguins", "failed"]
    of_classes = ("predicted class", "iris", version)
    assert 1 == found["prediction_feature_drifted", *of_classes]
    assert found["prediction_drift_p_value", *of_classes] < 0.05
    assert found["prediction_drift_psi_lower_bound", *of_classes] >= 0.1
    assert set(gauges.GAUGES) - OF_OTHERS == {key[0] for key in found}


def test_a_model_that_nobody_ever_labelled_waits_too(
    specs: dict[str, Spec], trained_home: Path, journal: Journal
) -> None:
    """As long as it has predicted; a label ends that, and the next prediction begins it anew."""
    day_us = 86_400_000_000
    old = [prediction(number, at_us=now_us() - (5 - number) * day_us) for number in range(2)]
    ids = record(journal, old)

    def days() -> float:
        found = read(Gauges(specs, trained_home, journal).text())
        assert 0 == found["prediction_unlabelled_age_seconds", "penguins"]
        return found["prediction_unlabelled_age_seconds", "iris"] / 86_400

    assert 5 == pytest.approx(days(), abs=0.01)
    feedback.give(journal, "iris", [Label(ids[1], "setosa")])
    assert 0 == days()
    record(journal, [prediction(2)])
    assert 0 < days() < 0.01


def test_a_scrape_soon_after_reads_nothing(
    specs: dict[str, Spec], trained_home: Path, journal: Journal
) -> None:
    """Within some seconds the same text is given, however many ask at once."""
    mine = Gauges(specs, trained_home, journal)
    first = mine.text()
    record(journal, [prediction(1)])
    texts: list[str] = []
    threads = [threading.Thread(target=lambda: texts.append(mine.text())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {first} == set(texts)
    assert "labels_outstanding{" in Gauges(specs, trained_home, journal).text()


def test_without_a_journal_a_scrape_says_so(specs: dict[str, Spec], tmp_path: Path) -> None:
    """The scrape goes through, with the journal's state and what is not read from it."""
    lost = Journal("postgresql://nobody@127.0.0.1:1/none")

    assert {("prediction_journal_up",): 0.0, ("prediction_broken_specs",): 2.0} == read(
        Gauges(specs, tmp_path, lost, broken_specs=2).text()
    )


def test_a_journal_that_hangs_does_not_hold_a_scrape_up(
    specs: dict[str, Spec], trained_home: Path, postgres: Postgres
) -> None:
    """Scrapes of a PostgreSQL that hangs say so within seconds, all at once; later ones read it again."""
    with postgres.database() as url, databases.opened(url) as journal:
        mine = Gauges(specs, trained_home, journal)
        with postgres.frozen(), ThreadPoolExecutor(4) as pool:
            started = time.monotonic()
            texts = set(pool.map(lambda _: mine.text(), range(4)))
            assert time.monotonic() - started < 2 * gauges.PATIENCE_SECONDS
        assert [0.0] == [read(text)["prediction_journal_up",] for text in texts]
        assert ["prediction_champion_info" in text for text in texts] == [False]
        assert 1 == read(mine.text())["prediction_journal_up",]


def test_names_are_those_of_the_service_and_meet_no_counter() -> None:
    """Each is explained; none is also the name of what workers count."""
    items = [item for item in vars(metrics).values() if isinstance(item, MetricWrapperBase)]
    counted = {family.name for item in items for family in item.describe()}

    assert set() == counted & set(gauges.GAUGES)
    for name, (text, labels) in gauges.GAUGES.items():
        assert name.startswith("prediction_")
        assert len(text.split()) >= 3
        assert set(labels) <= {"model", "version", "feature", "status"}
