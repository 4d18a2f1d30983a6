"""How a model is doing, as tables and as one file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from models_store import store
from models_store.spec import Spec, classes
from prediction.journal import feedback, ledger, predictions
from prediction.journal.database import Journal
from prediction.journal.feedback import Label
from prediction.journal.ledger import NewChampion
from prediction.monitoring import health
from prediction.pages import dashboard, reports
from tests import databases
from tests.databases import record
from tests.monitoring.test_health import rows


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A migrated journal on SQLite."""
    with databases.opened(f"sqlite:///{tmp_path / 'journal.db'}") as opened:
        yield opened


def fill(journal: Journal, home: Path, spec: Spec) -> str:
    """Record predictions of the newest version, one of four with its label; return the version."""
    version = store.newest(home, spec.name)
    ledger.promote(
        journal, NewChampion(spec.name, version.version, version.digest, by="test", reason="<b>a test</b>")
    )
    ids = record(journal, rows(spec, version.version, 80, 0, petal_width_cm=0.9))
    labels = [Label(i, predictions.find(journal, i).predicted_class) for i in ids[:20]]
    feedback.give(journal, spec.name, labels)
    return version.version


def printed(found: dict[str, object], width: int = 160) -> str:
    """Return the tables as a terminal shows them."""
    written = StringIO()
    console = Console(width=width, file=written)
    for table in reports.tables(classes("setosa", "versicolor", "virginica"), found):
        console.print(table)
    return written.getvalue()


def test_tables_say_what_the_figures_say(
    trained_home: Path, journal: Journal, specs: dict[str, Spec]
) -> None:
    """Version, accuracy with its interval, drift with its test, and the quality of the data."""
    version = fill(journal, trained_home, specs["iris"])
    found = health.describe(specs["iris"], trained_home, journal, health.window("24h"))
    shown = printed(found)

    assert re.search(rf"{version} .* 80 .*\n.*\(champion\)", shown)
    assert "1.000 (0.839 to 1.000, n = 20)" in shown
    assert re.search(r"sepal_width_cm .*no drift .*Kolmogorov-Smirnov", shown)
    assert "drifted: both answers are yes" in " ".join(shown.split())
    assert re.search(r"petal_width_cm .*drifted .*Kolmogorov-Smirnov .*< 0.001 .*\n.* yes .* yes ", shown)
    assert re.search(r"sepal_width_cm .*\n.* no .* no ", shown)
    assert re.search(r"setosa .* n = \d+\)", shown)
    assert "data quality of 80 rows" in shown


def test_eighty_columns_are_enough(trained_home: Path, journal: Journal, specs: dict[str, Spec]) -> None:
    """Versions, features and tests stand there in one piece."""
    version = fill(journal, trained_home, specs["iris"])
    shown = printed(health.describe(specs["iris"], trained_home, journal, health.window("24h")), 80)

    assert max(map(len, shown.splitlines())) <= 80
    assert re.search(rf"^│ {version} +│ 80  ", shown, re.MULTILINE)
    assert re.search(r"^│ sepal_length_cm │ no drift  │ Kolmogorov-Smirnov +│", shown, re.MULTILINE)


def test_what_was_refused_is_told_with_its_time() -> None:
    """Of a short window it is more than the window holds: hours are counted whole."""
    refused = [{"reason": "invalid", "feature": "petal_width_cm", "requests": 5}]
    found = {"model": "iris", "window": "1m", "predictions": 0, "champion": None, "versions": []}
    since = {"refused_since": "2026-01-02T07:00:00.000000+00:00"}
    shown = printed(found | since | {"refused": refused})

    assert "refused requests since 2026-01-02 07:00:00 UTC" in " ".join(shown.split())
    assert re.search(r"invalid .* petal_width_cm .* 5", shown)


def test_a_class_of_brackets_is_shown_as_it_is() -> None:
    """A class may be any text, and is no markup."""
    item = {
        "version": "v1",
        "predictions": 1,
        "outcomes": 1,
        "accuracy": None,
        "macro_f1": None,
        "estimated_accuracy": None,
        "against_estimate": None,
        "labels_are_selective": False,
        "positive": None,
        "classes": {"[red]": {"predictions": 1}},
        "recall": {"[red]": {"value": 1.0, "low": 0.2, "high": 1.0, "n": 1}},
        "confusion": {"[red]": {"[red]": 1}},
        "drift": [],
        "quality": {"rows": 1, "features": {}},
    }
    found = {"model": "wine", "window": "24h", "predictions": 1, "champion": "v1", "refused": []}

    assert 2 == printed(found | {"versions": [item]}).count("[red]")


def test_a_positive_class_and_selective_labels_are_shown(
    trained_home: Path, journal: Journal, specs: dict[str, Spec]
) -> None:
    """In tables and on the page: the class with its three figures, and a warning beside the recalls."""
    fill(journal, trained_home, specs["iris"])
    values = dashboard.describe(specs["iris"], trained_home, journal, health.window("24h"))
    (item,) = values["health"]["versions"]
    share = {"value": 0.25, "low": 0.1, "high": 0.4, "n": 20}
    three = {"precision": share, "recall": None, "alert_rate": share}
    states = {"precision": "below training", "recall": None, "alert_rate": "as in training"}
    before = three | {"recall": share | {"value": 0.375}}
    item["positive"] = {"label": "set[osa]", **three, "trained": before, "states": states}
    item["labels_are_selective"] = True
    values["trained"] = {"positive": {"average_precision": 0.5, "roc_auc": 0.875, "brier": 0.0625}}
    shown, page = printed(values["health"]), reports.html(values)

    assert re.search(r"set\[osa\]", shown)
    assert "0.250 (0.100 to 0.400, n = 20)" in shown
    assert "labels come unequally by predicted class" in " ".join(shown.split())
    assert "below training" in shown
    rows = [
        re.sub(r"<[^>]+>|\s+", " ", row).split() for row in re.findall(r"<tr>.*?</tr>", page, re.DOTALL)
    ]
    (precision,) = [row for row in rows if row[0] == "precision"]
    assert ["precision", "below", "training", "25.0", "%", "10.0"] == precision[:6]
    assert ["recall", "-", "37.5"] in [row[:3] for row in rows]
    assert "so accuracy and recalls are biased" in page
    assert "average precision 0.500, ROC AUC 0.875, Brier 0.0625" in page


def test_nothing_yet_is_a_table_too(trained_home: Path, journal: Journal, specs: dict[str, Spec]) -> None:
    """It says that there are no predictions."""
    found = health.describe(specs["iris"], trained_home, journal, health.window("24h"))

    assert "iris, the last 24h: 0 predictions" in printed(found)


@pytest.mark.parametrize("filled", [True, False])
def test_the_report_is_one_file(
    trained_home: Path, journal: Journal, specs: dict[str, Spec], filled: bool
) -> None:
    """It loads nothing, escapes what people wrote, and is a page without predictions too."""
    if filled:
        fill(journal, trained_home, specs["iris"])
    values = dashboard.describe(specs["iris"], trained_home, journal, health.window("24h"))
    page = reports.html(values)
    without_scripts = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)

    assert [] == re.findall(r"<script src|<link|<img|@import|url\(", without_scripts)
    assert "<b>a test</b>" not in page
    assert ("&lt;b&gt;a test&lt;/b&gt;" in page) is filled
    assert ("data-figure=" in without_scripts) is filled
    assert ("No predictions in the last 24h" in page) is not filled
    assert "<form" not in page
    assert "below, or by" not in without_scripts


def test_the_report_says_whose_figures_it_shows(
    trained_home: Path, journal: Journal, specs: dict[str, Spec]
) -> None:
    """A champion that has not answered yet is not credited with another version's."""
    version = fill(journal, trained_home, specs["iris"])
    ledger.promote(journal, NewChampion("iris", "brand-new", "d" * 64, by="test", reason="better"))
    values = dashboard.describe(specs["iris"], trained_home, journal, health.window("24h"))

    assert 3 == reports.html(values).count(f'of <span class="mono">{version}</span>, not of the champion')
