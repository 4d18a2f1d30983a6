"""A home that an earlier release made serves, retrains and rolls back unchanged.

`homes/` holds one of release 0.1: three versions of iris and one of penguins, 151 predictions, 120 labels,
one of them corrected, a retraining, and a ledger of four entries.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests import servers
from tests.servers import PROJECT, Server, run
from tests.timing import eventually

HOMES = sorted((PROJECT / "tests" / "homes").iterdir())
LABELLED = "01a21811-d4e8-76f4-8c80-11d3472400f4"
CHAMPION, BEFORE = "mxkfzsxjt2unkax4", "ihfdyhxjt2322ax4"
RECORDED = {
    "setosa": 0.979336290969304,
    "versicolor": 0.020663395827115936,
    "virginica": 3.1320358001308003e-7,
}
"""What the version `BEFORE` answered for the prediction `LABELLED`, then."""


@pytest.fixture(params=HOMES, ids=[path.name for path in HOMES])
def old_home(request: pytest.FixtureRequest, trained_home: Path, tmp_path: Path) -> Path:
    """A home as an earlier release left it, after `loop train --missing` has trained what is new."""
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    servers.add_new_models(tmp_path / "home", trained_home)
    return tmp_path / "home"


def ask(server: Server, path: str) -> Any:
    """GET a path, and return its JSON."""
    answer = server.get(path)
    assert 200 == answer.status_code, answer.text
    return answer.json()


def test_an_old_home_is_served_and_rolled_back(old_home: Path) -> None:
    """Champion, ledger, labels and retrainings are there, and an old version answers as it did then."""
    settings: dict[str, Any] = {"workers": 1, "journal_days": 36_500, "admin_token": "a-token-of-tests"}
    admin = {"authorization": "Bearer a-token-of-tests"}
    with Server(old_home, **settings) as server:
        served = ask(server, "/models/iris")
        (retraining,) = ask(server, "/iris/runs")["runs"]
        row = server.client.get(f"/iris/predictions/{LABELLED}", headers=admin).json()
        back = server.client.post("/iris/rollback", json={"reason": "test"}, headers=admin).json()
        eventually(lambda: BEFORE == ask(server, "/models/iris")["workers"][0]["version"])
        again = server.post("/iris/predict", row["features"]).json()

    assert CHAMPION == served["champion"]
    assert ["retrain", "train", "train"] == [entry["by"] for entry in served["ledger"]]
    assert 3 == len(served["versions"])
    assert ("promoted", CHAMPION) == (retraining["status"], retraining["candidate"])
    assert retraining["verdict"]["promote"] is True
    assert (BEFORE, RECORDED) == (row["version"], row["probabilities"])
    assert ("virginica", ["setosa"]) == (
        row["feedback"]["label"],
        [old["label"] for old in row["feedback"]["history"]],
    )
    assert (CHAMPION, BEFORE) == (back["from"], back["to"])
    assert BEFORE == again["version"]
    assert RECORDED == pytest.approx(again["probabilities"], abs=1e-6)


def test_an_old_home_is_retrained(old_home: Path) -> None:
    """The new candidate learns from the old labels and is judged against the old champion."""
    done = run("python", "-m", "prediction", "retrain", "iris", "--force", home=old_home)

    assert done.stdout.startswith(("promoted: ", "rejected: ")), done.stderr
    assert "feedback log-loss" in done.stdout
