"""Releases that share a journal: the one before beside this one, and this one beside the next.

`releases/` holds the code of the release before. The next one is this one with one more migration.
"""

from __future__ import annotations

import shutil
import tarfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from models_store.spec import Spec
from prediction.journal import migrations
from tests import databases, servers
from tests.databases import query
from tests.load import Load
from tests.servers import PROJECT, Server, run
from tests.timing import eventually

journal_url = databases.journal_url

(BEFORE,) = (PROJECT / "tests" / "releases").iterdir()
(HOME,) = (PROJECT / "tests" / "homes").iterdir()
EARLIER = "ihfdyhxjt2322ax4"
"""A version of iris in that home."""

TOKEN = "a-token-of-the-tests"
ADMIN = {"authorization": f"Bearer {TOKEN}"}
KNOWN = ("iris", "penguins")
"""The models of both releases."""

SETOSA = {"sepal_length_cm": 5.1, "sepal_width_cm": 3.5, "petal_length_cm": 1.4, "petal_width_cm": 0.2}
NEXT = f"{int(migrations.HEAD) + 1:04}"
MIGRATION = f'''
"""A migration of the next release."""

import sqlalchemy as sa
from alembic import op

revision = "{NEXT}"
down_revision = "{migrations.HEAD}"


def upgrade() -> None:
    op.create_table("colours", sa.Column("colour", sa.Text, primary_key=True))
    for table in ("predictions", "feedback", "ledger", "runs", "workers"):
        op.add_column(table, sa.Column("colour", sa.Text))
'''


def unpack(archive: Path, folder: Path) -> Path:
    """Extract an archive into a new folder, and return that."""
    folder.mkdir()
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder


@pytest.fixture
def homes(tmp_path: Path, trained_home: Path) -> list[Path]:
    """Two homes with the same versions, and with the model that is new; their journals are not used."""
    found = [unpack(HOME, tmp_path / name) / "home" for name in ("one", "two")]
    for home in found:
        servers.add_new_models(home, trained_home)
    return found


def make_next(folder: Path) -> Path:
    """Copy the code of this release into a folder, with one migration more, and return the folder."""
    for name in ("models_store", "prediction"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "service.py", folder)
    package = folder / "prediction" / "journal" / "migrations"
    (package / "versions" / f"{NEXT}_colours.py").write_text(MIGRATION)
    code = (package / "__init__.py").read_text()
    here = f'\nHEAD = "{migrations.HEAD}"\n'
    assert 1 == code.count(here)
    (package / "__init__.py").write_text(code.replace(here, f'\nHEAD = "{NEXT}"\n'))
    return folder


def start(home: Path, url: str, release: Path = PROJECT) -> Server:
    """Start a server of a release, as one host of several on the journal."""
    settings: dict[str, Any] = {
        "database_url": url,
        "admin_token": TOKEN,
        "workers": 1,
        "min_outcomes": 10_000,
    }
    return Server(home, "service:prediction", cwd=release, **settings)


def serves(server: Server, version: str) -> bool:
    """Return whether the server answers with a version of iris."""
    return bool(version == server.post("/iris/predict", SETOSA).json()["version"])


def counts(server: Server) -> list[Any]:
    """Return how many predictions and labels of the last day the server counts for iris, by version."""
    found = server.get("/iris/monitoring").json()["versions"]
    return sorted((each["version"], each["predictions"], each["outcomes"]) for each in found)


def restart(home: Path, url: str, release: Path) -> None:
    """Start a server of a release once more: it answers, and so does a command."""
    with start(home, url, release) as server:
        eventually(lambda: serves(server, EARLIER))
    done = run("python", "-m", "prediction", "status", home=home, cwd=release, database_url=url)
    assert (0, "") == (done.returncode, done.stderr)


def refuse(home: Path, url: str, release: Path) -> None:
    """Start a server of release 0.1 once more: it refuses, in a sentence."""
    done = run("python", "-m", "prediction", "serve", home=home, cwd=release, database_url=url)
    assert (1, True) == (done.returncode, "was written by a newer release" in done.stderr)


@pytest.mark.parametrize(
    ("pair", "again"),
    [("the release before and this one", refuse), ("this release and the next one", restart)],
)
def test_two_releases_share_a_journal(
    journal_url: str, homes: list[Path], tmp_path: Path, specs: dict[str, Spec], pair: str, again: Any
) -> None:
    """The newer one migrates it under the load of the older one. Then both serve, count and follow."""
    if pair.startswith("the release before"):
        older, newer, head = unpack(BEFORE, tmp_path / "before"), PROJECT, migrations.HEAD
    else:
        older, newer, head = PROJECT, make_next(tmp_path / "next"), NEXT
    with start(homes[0], journal_url, older) as first, ExitStack() as upgraded:
        known = {name: specs[name] for name in ("iris", "penguins")}  # the release before has no more
        load = Load(first, known, pause_seconds=0.05)
        with load.running():
            second = upgraded.enter_context(start(homes[1], journal_url, newer))
            assert [(head,)] == query(journal_url, "SELECT version_num FROM alembic_version")
            beside = Load(second, known, pause_seconds=0.05)
            with beside.running():
                load.go_on()
            promotion = {"version": EARLIER, "reason": "the tests"}
            assert 200 == second.client.post("/iris/promote", json=promotion, headers=ADMIN).status_code
            eventually(lambda: serves(first, EARLIER) and serves(second, EARLIER))
            load.go_on()
        assert counts(first) == counts(second)
        first.stop()
        with beside.running():
            again(homes[0], journal_url, older)

    for each in (load, beside):
        assert {200} == each.statuses
        each.assert_recorded(journal_url)


def use(server: Server, url: str, specs: dict[str, Spec]) -> str:
    """Predict, label, correct, get refused, retrain, promote. Return the id of a corrected prediction."""
    load = Load(server, specs, pause_seconds=0.05)
    with load.running():
        load.go_on()
    eventually(lambda: query(url, "SELECT prediction_seq FROM rollup_state") > [(0,)])
    post = partial(server.client.post, headers=ADMIN)
    labelled = [each for each in load.labelled if load.predicted[each]["model"] == "iris"]
    corrections = [{"prediction_id": each, "label": "virginica", "correct": True} for each in labelled]
    assert 200 == post("/iris/feedback_batch", json=corrections).status_code
    assert 400 == post("/iris/predict", json=SETOSA | {"petal_width_cm": -1}).status_code
    assert 202 == post("/iris/retrain", json={}).status_code
    promotion = {"version": EARLIER, "reason": "the tests"}
    assert 200 == post("/iris/promote", json=promotion).status_code
    eventually(lambda: serves(server, EARLIER))
    eventually(lambda: server.get("/iris/runs").json()["runs"][0]["finished_at"] is not None)
    eventually(lambda: bool(server.get("/iris/monitoring").json()["refused"]))
    return labelled[0]


COUNTED = ("version", "predictions", "outcomes", "labels_outstanding", "classes", "confusion", "macro_f1")
"""Figures of a version that every release computes alike."""


def facts(monitoring: dict[str, Any]) -> dict[str, Any]:
    """Return what an answer of monitoring counts, without the limits of its window and pieces without rows.

    Estimates, intervals and tests may be computed in another way by a newer release.
    """
    versions = [
        {name: each[name] for name in COUNTED}
        | {"accuracy": each["accuracy"] and (each["accuracy"]["value"], each["accuracy"]["n"])}
        | {"recall": {label: (share["value"], share["n"]) for label, share in each["recall"].items()}}
        | {"rows": [(feature["name"], feature["rows"]) for feature in each["drift"]]}
        for each in monitoring["versions"]
    ]
    pieces = [
        (piece["at"], piece["predictions"], piece["accuracy"] and piece["accuracy"]["n"])
        for piece in monitoring["over_time"]
        if piece["predictions"]
    ]
    same = ("champion", "predictions", "outcomes", "promotions", "refused")
    return {name: monitoring[name] for name in same} | {"versions": versions, "over_time": pieces}


def shown(server: Server, prediction_id: str) -> dict[str, Any]:
    """Return what a server shows of the past."""
    pages: dict[str, Any] = {}
    for model in KNOWN:
        for window in ("4h", "7d"):  # counted by minute, and by hour
            monitoring = server.get(f"/{model}/monitoring?window={window}").json()
            pages[f"{model}, {window}"] = facts(monitoring)
        pages[f"runs of {model}"] = server.get(f"/{model}/runs").json()
        pages[f"ledger of {model}"] = server.get(f"/models/{model}").json()["ledger"]
    pages["prediction"] = server.client.get(f"/iris/predictions/{prediction_id}", headers=ADMIN).json()
    return pages


def test_an_upgrade_changes_no_figure(
    journal_url: str, homes: list[Path], tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """This release shows predictions, labels, counts and runs as the one before did."""
    with start(homes[0], journal_url, unpack(BEFORE, tmp_path / "before")) as server:
        corrected = use(server, journal_url, specs)
        before = shown(server, corrected)
    with start(homes[0], journal_url) as server:
        assert [(migrations.HEAD,)] == query(journal_url, "SELECT version_num FROM alembic_version")
        after = shown(server, corrected)

    assert before == after
    iris = before["iris, 4h"]
    assert {"invalid"} <= {each["reason"] for each in iris["refused"]}
    assert 2 == len(iris["versions"])
    assert min(each["predictions"] for each in iris["versions"]) > 0
    assert iris["outcomes"] > 0
    assert ["rejected"] == [each["status"] for each in before["runs of iris"]["runs"]]
    assert "virginica" == before["prediction"]["feedback"]["label"]
