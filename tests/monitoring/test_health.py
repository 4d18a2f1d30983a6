"""How a model is doing: figures by version and window, on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models_store import store
from models_store.errors import InvalidInput
from models_store.spec import Spec
from prediction.journal import feedback, ledger, predictions, rollups, tables
from prediction.journal.database import Journal
from prediction.journal.feedback import Label
from prediction.journal.ledger import NewChampion
from prediction.journal.rollups import Count
from prediction.monitoring import health
from prediction.monitoring.targets import calibrations
from prediction.times import DAY_US, HOUR_US, MINUTE_US, iso, now_us, parse_span
from tests import databases
from tests.databases import prediction, record

journal_url = databases.journal_url
journal = databases.journal


@pytest.fixture
def spec(specs: dict[str, Spec]) -> Spec:
    """The spec of iris."""
    return specs["iris"]


def rows(spec: Spec, version: str, n: int, first: int, **shift: float) -> list[Any]:
    """Make predictions of rows of the dataset, drawn again, each feature moved by so much."""
    X, y = spec.load()
    rng = np.random.default_rng(first)
    made = []
    for number, row in enumerate(rng.integers(0, len(X), n)):
        features = {name: float(X[name].iloc[row]) + shift.get(name, 0.0) for name in spec.inputs}
        label = str(y.iloc[row])
        others = dict.fromkeys(spec.target.texts, 0.05)
        made.append(
            prediction(
                first + number,
                at_us=now_us() - number * MINUTE_US,
                version=version,
                features=json.dumps(features),
                predicted_class=label,
                probabilities=json.dumps(others | {label: 0.9}),
            )
        )
    return made


def described(spec: Spec, home: Path, journal: Journal, text: str = "24h") -> dict[str, Any]:
    """Return the figures, as JSON has them."""
    found = health.describe(spec, home, journal, health.window(text))
    return dict(json.loads(json.dumps(found)))


def test_a_label_counts_for_the_version_that_predicted(
    spec: Spec, trained_home: Path, journal: Journal
) -> None:
    """Two versions, of which one was wrong in a fifth of the rows that got a label."""
    old = record(journal, rows(spec, "old", 100, 0))
    record(journal, rows(spec, "new", 60, 1_000))
    said = {i: predictions.find(journal, i).predicted_class for i in old}
    wrong = {name: spec.target.texts[index - 1] for index, name in enumerate(spec.target.texts)}
    labels = [Label(i, said[i] if number % 5 else wrong[said[i]]) for number, i in enumerate(old[:50])]
    feedback.give(journal, "iris", labels)
    found = described(spec, trained_home, journal)

    assert (160, 50) == (found["predictions"], found["outcomes"])
    before, after = found["versions"]
    assert ("old", 100, 50, 50) == tuple(
        before[key] for key in ("version", "predictions", "outcomes", "labels_outstanding")
    )
    assert (0.8, 50) == (before["accuracy"]["value"], before["accuracy"]["n"])
    assert 0.66 < before["accuracy"]["low"] < 0.8 < before["accuracy"]["high"] < 0.9
    assert 0.5 < before["macro_f1"] < 0.9
    assert 50 == sum(share["n"] for share in before["recall"].values())
    assert 50 == sum(sum(row.values()) for row in before["confusion"].values())
    assert 0.9 == pytest.approx(before["estimated_accuracy"]["value"])
    assert 100 == before["estimated_accuracy"]["n"]
    assert ("new", None, None, {}) == tuple(
        after[key] for key in ("version", "accuracy", "macro_f1", "recall")
    )
    assert 1 == pytest.approx(sum(item["share"] for item in after["classes"].values()))


def labelled(journal: Journal, home: Path, ids: list[str], wrong: int) -> None:
    """Label predictions as a server does, some of them with another class than the predicted one."""
    measure = calibrations.measure(home, "iris")
    other = {"setosa": "versicolor", "versicolor": "virginica", "virginica": "setosa"}
    said = [predictions.find(journal, each).predicted_class for each in ids]
    labels = [
        Label(i, other[each] if n < wrong else each)
        for n, (i, each) in enumerate(zip(ids, said, strict=True))
    ]
    assert {"recorded"} == set(feedback.give(journal, "iris", labels, measure))


@pytest.mark.parametrize("window", ["4h", "24h"])
def test_labels_are_compared_with_their_own_estimate(
    spec: Spec, trained_home: Path, journal: Journal, window: str
) -> None:
    """A fifth of confident predictions is wrong; those without a label do not matter."""
    version = store.newest(trained_home, "iris").version
    ids = record(journal, rows(spec, version, 150, 0))
    assert described(spec, trained_home, journal, window)["versions"][0]["against_estimate"] is None
    labelled(journal, trained_home, ids[:40], 0)
    (before,) = described(spec, trained_home, journal, window)["versions"]
    labelled(journal, trained_home, ids[40:120], 25)
    (after,) = described(spec, trained_home, journal, window)["versions"]

    assert ("platt", 150) == (before["calibration"]["method"], before["calibration"]["rows"])
    assert ("as estimated", 1.0, 40) == tuple(
        before["against_estimate"][key] for key in ("state", "accuracy", "n")
    )
    found = after["against_estimate"]
    assert ("below estimate", 95 / 120, 120) == tuple(found[key] for key in ("state", "accuracy", "n"))
    assert found["p"] <= found["limit"] < before["against_estimate"]["p"]
    curve = calibrations.of(trained_home, "iris", version)
    assert curve.at(0.9)[0] == pytest.approx(found["estimate"], abs=1e-6)
    assert curve.at(0.9)[0] == pytest.approx(after["estimated_accuracy"]["value"])


def test_hours_with_labels_of_an_older_release_are_not_compared(
    spec: Spec, trained_home: Path, journal: Journal
) -> None:
    """Nothing was summed for them: the hours that are whole count."""
    version = store.newest(trained_home, "iris").version
    then = (now_us() // HOUR_US - 2) * HOUR_US
    made = [
        item._replace(at_us=then + (number % 2) * HOUR_US + number)
        for number, item in enumerate(rows(spec, version, 60, 0))
    ]
    ids = record(journal, made)
    old = predictions.find(journal, ids[0])
    feedback.give(journal, "iris", [Label(ids[0], old.predicted_class)])
    labelled(journal, trained_home, ids[1:], 0)
    (found,) = described(spec, trained_home, journal)["versions"]

    assert (60, 30) == (found["outcomes"], found["against_estimate"]["n"])


def test_a_version_without_a_calibration_has_its_confidence(
    spec: Spec, home: Path, journal: Journal
) -> None:
    """It was trained by an older release: the estimate is the mean of the probabilities, as before."""
    version = store.newest(home, "iris")
    profile = version.read_json(store.PROFILE)
    del profile["calibration"]
    (version.path / store.PROFILE).write_text(json.dumps(profile))
    ids = record(journal, rows(spec, version.version, 100, 0))
    labelled(journal, home, ids, 50)
    (found,) = described(spec, home, journal)["versions"]

    assert {"method": "none", "rows": 0} == found["calibration"]
    assert 0.9 == pytest.approx(found["estimated_accuracy"]["value"])
    assert ("below estimate", 0.5) == tuple(found["against_estimate"][key] for key in ("state", "accuracy"))
    assert 0.9 == pytest.approx(found["against_estimate"]["estimate"])


def test_a_label_whose_prediction_is_not_counted_makes_no_version(
    spec: Spec, trained_home: Path, journal: Journal
) -> None:
    """Its two differences add up to no prediction at all: nothing is a share of that."""
    at_us = now_us() - 3_600_000_000
    with journal.write() as connection:
        journal.order(connection)
        both = [
            Count("iris", at_us, "gone", "setosa", label, rows) for label, rows in (("", -1), ("setosa", 1))
        ]
        rollups.add(journal, connection, both)

    assert [] == described(spec, trained_home, journal)["versions"]


def test_drift_is_against_the_version_that_answered(
    spec: Spec, trained_home: Path, journal: Journal
) -> None:
    """A moved feature shows, the others do not; a version that is gone has no profile to compare with."""
    version = store.newest(trained_home, "iris").version
    record(journal, rows(spec, version, 200, 0, petal_width_cm=0.8))
    record(journal, rows(spec, "gone", 60, 1_000))
    mine, gone = described(spec, trained_home, journal)["versions"]
    states = {item["name"]: item["state"] for item in mine["drift"]}

    assert gone["drift"] is None
    assert "drifted" == states.pop("petal_width_cm")
    assert {"stable"} == set(states.values())
    (drifted,) = [item for item in mine["drift"] if item["state"] == "drifted"]
    assert ("cm", 200, 0) == (drifted["unit"], drifted["rows"], drifted["rows_needed"])
    assert drifted["p"] < 0.001 < 0.25 < drifted["psi_low"] < drifted["psi"] - drifted["psi_by_chance"]
    assert [True, True] == [each["holds"] for each in drifted["conditions"]]
    histogram = drifted["histogram"]
    assert 1 == pytest.approx(sum(histogram["live"]) + histogram["below"] + histogram["above"])


def test_a_version_with_few_rows_among_many_has_a_sample(
    spec: Spec, trained_home: Path, journal: Journal
) -> None:
    """A new champion, and one of an hour long ago: as many rows as they have are looked at."""
    version = store.newest(trained_home, "iris").version
    now = now_us()
    reigns = [("old", 50), (version, 12), ("old", 11), ("new", 0.1)]  # hours ago
    row = {"model": "iris", "from_version": None, "digest": "", "by": "", "reason": ""}
    with journal.write() as connection:
        for position, (name, hours) in enumerate(reigns):
            at_us = now - round(hours * HOUR_US)
            promoted = {"position": position, "to_version": name, "at_us": at_us, "is_rollback": False}
            connection.execute(tables.ledger.insert(), [row | promoted])
    made = [
        prediction(number, version="old", at_us=now - 48 * HOUR_US + number * HOUR_US // 1_000)
        for number in [*range(36_000), *range(37_000, 47_000)]
    ]
    made += [prediction(n, version="new", at_us=now - 90_000 + n) for n in range(50_000, 50_080)]
    made += [
        item._replace(at_us=now - 12 * HOUR_US + number * MINUTE_US // 2)
        for number, item in enumerate(rows(spec, version, 70, 60_000))
    ]
    record(journal, sorted(made, key=lambda item: item.at_us))
    found = {item["version"]: item for item in described(spec, trained_home, journal, "3d")["versions"]}

    assert 4_500 < found["old"]["quality"]["rows"] <= 5_000
    assert (80, 80) == (found["new"]["predictions"], found["new"]["quality"]["rows"])
    assert (70, 70) == (found[version]["predictions"], found[version]["quality"]["rows"])
    assert {("stable", 0)} == {(item["state"], item["rows_needed"]) for item in found[version]["drift"]}


def test_the_quality_of_the_data(spec: Spec, trained_home: Path, journal: Journal) -> None:
    """Shares of missing values, and of values unlike the training data, of each feature."""
    warning = {"loc": ["petal_width_cm"], "msg": "9 is above the training range"}
    unlike = prediction(
        1, warnings=json.dumps([warning]), features='{"petal_width_cm":9.0,"sepal_width_cm":null}'
    )
    record(journal, [unlike, *rows(spec, unlike.version, 3, 10)])
    (found,) = described(spec, trained_home, journal)["versions"]

    assert 4 == found["quality"]["rows"]
    features = found["quality"]["features"]
    assert {"missing": 0.0, "out_of_training_range": 0.25} == features["petal_width_cm"]
    assert {"missing": 0.25, "out_of_training_range": 0.0} == features["sepal_width_cm"]


def test_figures_over_time(spec: Spec, trained_home: Path, journal: Journal) -> None:
    """Pieces without gaps or overlaps, that sum to the whole, and the promotions between them."""
    ids = record(journal, rows(spec, "old", 200, 0))
    labels = [Label(i, predictions.find(journal, i).predicted_class) for i in ids[::2]]
    feedback.give(journal, "iris", labels)
    ledger.promote(journal, NewChampion("iris", "old", "d" * 64, by="test", reason="test"))
    found = described(spec, trained_home, journal, "6h")

    assert 200 == sum(piece["predictions"] for piece in found["over_time"])
    accuracies = [piece["accuracy"] for piece in found["over_time"] if piece["accuracy"]]
    assert 100 == sum(item["n"] for item in accuracies)
    assert {1.0} == {item["value"] for item in accuracies}
    assert found["since"] == found["over_time"][0]["at"]
    assert found["until"] >= found["over_time"][-1]["at"]
    assert [None, "old"] == [found["promotions"][0][key] for key in ("from", "to")]


def test_a_window_holds_what_it_says(spec: Spec, trained_home: Path, journal: Journal) -> None:
    """Rows before it are not in it, whether it is read from the journal or from counts."""
    now = now_us()
    ages = [MINUTE_US // 2, 20 * MINUTE_US, 5 * HOUR_US, 40 * HOUR_US]
    record(journal, [prediction(number, at_us=now - age) for number, age in enumerate(ages)])

    for text, expected in {"1m": 1, "30m": 2, "12h": 3, "7d": 4, "366d": 4}.items():
        assert expected == described(spec, trained_home, journal, text)["predictions"], text


@pytest.mark.parametrize("text", ["1m", "1h", "30d"])
def test_what_was_refused_says_since_when(
    spec: Spec, trained_home: Path, journal: Journal, text: str
) -> None:
    """It is counted by the hour, and so may reach further back than the window does."""
    span = health.window(text)
    hour_us = span.since_us // HOUR_US * HOUR_US
    row = {"model": "iris", "reason": "invalid", "feature": ""}
    with journal.write() as connection:
        for at_us, requests in ((hour_us, 5), (hour_us - HOUR_US, 7)):
            connection.execute(tables.refusals.insert(), [row | {"hour_us": at_us, "requests": requests}])
    found = health.describe(spec, trained_home, journal, span)

    assert [{"reason": "invalid", "feature": None, "requests": 5}] == found["refused"]
    assert iso(hour_us) == found["refused_since"] <= found["since"]


def test_nothing_yet(spec: Spec, trained_home: Path, journal: Journal) -> None:
    """An empty journal has figures without values, and no version."""
    found = described(spec, trained_home, journal)

    assert (0, 0, [], [], None) == tuple(
        found[key] for key in ("predictions", "outcomes", "versions", "refused", "champion")
    )
    assert {None} == {piece["accuracy"] for piece in found["over_time"]}


def test_a_window_has_one_name() -> None:
    """However it is written: the dashboard has a tab for it."""
    assert {"7d"} == {health.window(text).text for text in ("7d", " 7d\n", "007d")}


@pytest.mark.parametrize("text", ["", "24", "h", "-1h", "1.5h", "1y", "0h", "367d", "99999d", "1h; DROP"])
def test_what_is_no_window_is_refused(text: str) -> None:
    """With the words that would be right, at the place of the parameter."""
    with pytest.raises(InvalidInput, match=r"^window: .*(write 30m, 24h or 7d|at most 366d)") as caught:
        health.window(text)

    assert [["window"]] == [place["loc"] for place in caught.value.detail]


NOON_US = 1_790_000_000_000_000 // DAY_US * DAY_US + 12 * HOUR_US


@pytest.mark.parametrize("day", range(7))
@pytest.mark.parametrize("text", ["1s", "50m", "59m", "1h", "24h", "7d", "30d", "350d", "366d"])
def test_a_window_has_few_pieces(text: str, day: int) -> None:
    """At most ceil(length / bucket) + 1, on any day of a week; the first begins at or before the window."""
    length_us = parse_span(text)

    for moment_us in (-12 * HOUR_US, -12 * HOUR_US + 1, 0, 12 * HOUR_US - 1):  # of the day
        found = health.window(text, NOON_US + day * DAY_US + moment_us)
        pieces = range(found.since_us, found.until_us, found.bucket_us)

        assert -(-length_us // found.bucket_us) <= len(pieces) <= -(-length_us // found.bucket_us) + 1
        assert len(pieces) <= (health.MAX_BUCKETS + 1 if "366d" != text else 54)
        assert found.since_us <= found.until_us - length_us < found.since_us + found.bucket_us
        assert 0 == found.since_us % found.bucket_us


def test_a_window_ends_now() -> None:
    """Where no other time is given."""
    before = now_us()

    assert before <= health.window("24h").until_us <= now_us()


def test_the_longest_window_has_54_pieces_on_some_days_only() -> None:
    """A year of weeks touches 53 or 54 of them: which, is a matter of the day."""
    spans = [health.window("366d", NOON_US + day * DAY_US) for day in range(7)]

    assert {53, 54} == {len(range(span.since_us, span.until_us, span.bucket_us)) for span in spans}
