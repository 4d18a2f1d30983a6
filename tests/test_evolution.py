"""A spec gets an optional feature: champion, labels and monitoring go on; the next version learns it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.servers import PROJECT, Server, run, train
from tests.timing import eventually

SETTINGS: dict[str, Any] = {"workers": 1, "admin_token": "a-token-of-tests"}
ADMIN = {"authorization": "Bearer a-token-of-tests"}
BEFORE = '    city: str = category("City", example="Lyon", open=True)\n'
AFTER = (
    BEFORE + '    staff: int | None = integer("Staff", unit="", low=0, high=99, example=3, optional=True)\n'
)


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """Copy a spec of the zoo."""
    folder = tmp_path / "catalog"
    folder.mkdir()
    shutil.copy(PROJECT / "tests" / "zoo" / "cities.py", folder)
    return folder


def edit(catalog: Path) -> None:
    """Add the feature to the spec and to its dataset, and let the pipeline take both columns."""
    path = catalog / "cities.py"
    text = path.read_text()
    for old, new in (
        (BEFORE, AFTER),
        ("category, classes", "category, classes, integer"),
        ('{"city": values}', '{"city": values, "staff": rng.choice([1.0, 2.0, np.nan], rows)}'),
    ):
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def test_a_new_optional_feature_changes_nothing_until_a_version_has_learnt_it(
    catalog: Path, tmp_path: Path
) -> None:
    """The old champion is not given it; old labels teach the new version."""
    home = tmp_path / "home"
    train(home, catalog)
    rows = [{"city": name} for name in ("Lyon", "Metz", "Brest") * 20]
    with Server(home, catalog=catalog, **SETTINGS) as server:
        before = server.post("/cities/predict_batch", rows).json()
        labels = [
            {"prediction_id": each["prediction_id"], "label": each["predicted_class"]} for each in before
        ]
        server.post("/cities/feedback_batch", labels)
    edit(catalog)
    with Server(home, catalog=catalog, **SETTINGS) as server:
        sent = [row | {"staff": 2} for row in rows]
        after = server.post("/cities/predict_batch", sent).json()
        health = server.client.get("/cities/monitoring", headers=ADMIN).json()["versions"][0]
        found = server.client.get(f"/cities/predictions/{after[0]['prediction_id']}", headers=ADMIN).json()
        page = server.client.get("/dashboard?model=cities", headers=ADMIN)
        server.client.post("/cities/retrain", json={"force": True}, headers=ADMIN)

        def ended() -> Any:
            (newest, *_) = server.client.get("/cities/runs", headers=ADMIN).json()["runs"]
            return newest["finished_at"] and newest

        eventually(lambda: bool(ended()), seconds=200)
        retraining = ended()

    assert [each["probabilities"] for each in before] == [each["probabilities"] for each in after]
    assert before[0]["version"] == after[0]["version"]
    assert sent[0] == found["features"]
    assert (120, 60) == (health["predictions"], health["outcomes"])
    assert {"city", "staff"} == set(health["quality"]["features"])
    assert ["city"] == [item["name"] for item in health["drift"] if item["name"] in ("city", "staff")]
    assert 200 == page.status_code
    assert retraining["status"] in ("promoted", "rejected"), retraining
    assert 0 == retraining["rows"]["of_another_schema"]


def test_a_feature_that_is_not_optional_needs_a_new_version(catalog: Path, tmp_path: Path) -> None:
    """The old one is refused with the reason and the remedy; rows are not answered wrongly."""
    home = tmp_path / "home"
    train(home, catalog)
    edit(catalog)
    path = catalog / "cities.py"
    path.write_text(path.read_text().replace("int | None", "int").replace(", optional=True", ""))
    rows = tmp_path / "rows.csv"
    rows.write_text("city,staff\nLyon,2\n")
    done = run(
        "python",
        "-m",
        "prediction",
        "score",
        "cities",
        str(rows),
        str(tmp_path / "out.csv"),
        home=home,
        catalog=catalog,
    )

    assert 0 != done.returncode
    assert "staff is new, and not optional" in done.stderr
    assert "loop train cities" in done.stderr
