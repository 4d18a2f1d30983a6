"""The steps of one retraining, in this process; `tests/test_loop.py` tests it on servers."""

from __future__ import annotations

import shutil
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from models_store import store
from models_store.spec import Spec
from prediction.artifacts.bucket import Bucket
from prediction.artifacts.exchange import Exchange
from prediction.errors import JournalUnavailable
from prediction.journal import feedback, ledger, runs, tables
from prediction.journal.database import Journal
from prediction.journal.ledger import NewChampion
from prediction.journal.runs import Retraining
from prediction.retraining import judging, steps, training
from prediction.times import now_us
from tests import databases, labels
from tests.servers import run


def retrain(home: Path, journal: Journal, spec: Spec, min_outcomes: int = 50) -> Retraining:
    """Retrain in this process."""
    run, _ = runs.request(journal, spec.name, force=min_outcomes == 0)
    return steps.execute(steps.Plan(spec, home, journal, min_outcomes, 10), run)


def test_labels_count_once(home: Path, specs: dict[str, Spec]) -> None:
    """After a retraining, the labels that it used are not new any more."""
    journal = labels.give(home, specs["iris"], rows=120)
    assert "promoted" == retrain(home, journal, specs["iris"]).status

    again = retrain(home, journal, specs["iris"])

    assert "rejected" == again.status
    assert again.verdict is not None
    assert "rejected: 0 new labels" in again.verdict["sentence"]


def test_labels_that_bring_nothing_new_are_counted(home: Path, specs: dict[str, Spec]) -> None:
    """Labels of rows that are known already: the run ends before the fit, and says how many they are."""
    spec = specs["iris"]
    journal = labels.give(home, spec, rows=120)
    assert "promoted" == retrain(home, journal, spec).status
    with journal.write(durable=True) as connection:  # the same rows, labelled again
        connection.execute(sa.update(tables.feedback).values(at_us=now_us()))
    seen: list[str] = []
    asked, _ = runs.request(journal, "iris", force=False)

    ended = steps.execute(steps.Plan(spec, home, journal, 50, 10), asked, watch=seen.append)

    assert ended.verdict is not None
    assert ended.rows is not None
    held = ended.rows["feedback_holdout"]
    assert ("rejected", None) == (ended.status, ended.candidate)
    assert "rejected: nothing new to learn" in ended.verdict["sentence"]
    assert (
        f"of 120 labels, {120 - held} repeat known rows and {held} are held out"
        in ended.verdict["sentence"]
    )
    assert ["read the labels", "load the data"] == seen


def test_labels_of_a_new_journal_are_new(home: Path, specs: dict[str, Spec]) -> None:
    """A new journal numbers labels from 1 again, so numbers can't say which labels a version has used."""
    journal = labels.give(home, specs["iris"], rows=120)
    assert "promoted" == retrain(home, journal, specs["iris"]).status
    journal.close()
    for path in home.glob("journal.db*"):
        path.unlink()
    journal = Journal(f"sqlite:///{home / 'journal.db'}")
    journal.migrate()
    version = store.newest(home, "iris")
    ledger.promote_first(
        journal, NewChampion("iris", version.version, version.digest, by="test", reason="first start")
    )
    journal.close()
    journal = labels.give(home, specs["iris"], rows=60)

    ended = retrain(home, journal, specs["iris"])

    assert "promoted" == ended.status, ended


def test_labels_that_do_not_fit_the_spec_are_left_out(home: Path, specs: dict[str, Spec]) -> None:
    """Predictions of other features or classes, from before an edit of the spec, stop no retraining."""
    journal = labels.give(home, specs["iris"], rows=60)
    ids = [item.prediction.prediction_id for item in feedback_of(journal)]
    with journal.write() as connection:
        predictions, given = tables.predictions, tables.feedback
        strange = predictions.update().where(predictions.c.prediction_id == ids[0])
        connection.execute(strange.values(features='{"stem_length_cm": 1.0}'))
        renamed = given.update().where(given.c.prediction_id == ids[1])
        connection.execute(renamed.values(label="alba"))

    ended = retrain(home, journal, specs["iris"])

    assert "promoted" == ended.status, ended
    assert ended.rows is not None
    assert 2 == ended.rows["of_another_schema"]


def feedback_of(journal: Journal) -> list[feedback.Outcome]:
    """Return all outcomes of iris."""
    return [item for chunk in feedback.outcomes(journal, "iris") for item in chunk]


def test_a_retrained_version_keeps_the_best_log_loss_so_far(home: Path, specs: dict[str, Spec]) -> None:
    """A version that was trained by hand has none: it is a new start."""
    journal = labels.give(home, specs["iris"], rows=120)
    first = store.newest(home, "iris")
    assert "promoted" == retrain(home, journal, specs["iris"]).status

    second = store.get(home, "iris", ledger.champions(journal)["iris"].to_version)

    assert "best_log_loss" not in first.metadata
    losses = [version.metrics["log_loss"] for version in (first, second)]
    assert min(losses) == pytest.approx(second.metadata["best_log_loss"])


CANCELLED_AT = """
import sys
from pathlib import Path
from models_store import catalog
from prediction.artifacts.bucket import Bucket
from prediction.artifacts.exchange import Exchange
from prediction.journal import runs
from prediction.retraining import steps
from prediction.journal.database import Journal

home = Path(sys.argv[1])
journal = Journal(f"sqlite:///{home / 'journal.db'}")
run, _ = runs.request(journal, "iris", True)

def watch(step):
    if step == "promote":
        runs.cancel(journal, "iris", run.run_id)

steps.execute(steps.Plan(catalog.load()["iris"], home, journal, 0, 10), run, watch=watch)
"""


def test_a_run_can_be_cancelled_until_it_promotes(home: Path, specs: dict[str, Spec]) -> None:
    """The run ends as cancelled, and its version is deleted."""
    journal = labels.give(home, specs["iris"], 120)
    before, versions = ledger.champions(journal), store.versions(home, "iris")

    run("python", "-c", CANCELLED_AT, str(home), home=home)

    (ended,) = runs.latest(journal, "iris", limit=1)
    assert ("cancelled", "cancelled on request") == (ended.status, ended.step)
    assert before == ledger.champions(journal)
    assert versions == store.versions(home, "iris")


def test_a_champion_that_was_promoted_meanwhile_stays(home: Path, specs: dict[str, Spec]) -> None:
    """The candidate was not compared with it, so the candidate is rejected."""
    journal = labels.give(home, specs["iris"], 120)
    other = training.save(training.train(specs["iris"], seed=1), home)
    asked, _ = runs.request(journal, "iris", force=True)

    def watch(reported: str) -> None:
        if reported == "judge":
            ledger.promote(
                journal, NewChampion("iris", other.version, other.digest, by="admin", reason="at 3 a.m.")
            )

    plan = steps.Plan(specs["iris"], home, journal, 0, 10)
    ended = steps.execute(plan, asked, watch=watch)

    assert ("rejected", None) == (ended.status, ended.candidate)
    assert ended.verdict is not None
    assert judging.OVERTAKEN == ended.verdict["sentence"]
    assert other.version == ledger.champions(journal)["iris"].to_version
    assert 2 == len(store.versions(home, "iris"))


def test_a_candidate_is_deleted_if_the_journal_fails(home: Path, specs: dict[str, Spec]) -> None:
    """Otherwise it would be the newest version, and a server with an empty journal would promote it."""
    journal, versions = labels.give(home, specs["iris"], 120), store.versions(home, "iris")
    asked, _ = runs.request(journal, "iris", force=True)

    def watch(reported: str) -> None:
        if reported == "promote":
            with databases.connected(f"sqlite:///{home / 'journal.db'}") as connection:
                connection.exec_driver_sql("ALTER TABLE ledger RENAME TO lost")

    plan = steps.Plan(specs["iris"], home, journal, 0, 10)
    ended = steps.execute(plan, asked, watch=watch)

    assert ("failed", None) == (ended.status, ended.candidate)
    assert "the journal does not answer" in ended.step
    assert versions == store.versions(home, "iris")


def test_a_candidate_is_deleted_if_the_journal_fails_after_the_publication(
    home: Path, specs: dict[str, Spec], tmp_path: Path
) -> None:
    """As on a host whose network was cut: other hosts mark the run as interrupted."""
    journal, versions = labels.give(home, specs["iris"], 120), store.versions(home, "iris")
    asked, _ = runs.request(journal, "iris", force=True)

    def watch(reported: str) -> None:
        if reported == "publish":
            rename_runs(home, "runs", "lost")

    shared = Exchange(home, Bucket((tmp_path / "shared").as_uri()))
    plan = steps.Plan(specs["iris"], home, journal, 0, 10, exchange=shared)
    with pytest.raises(JournalUnavailable):
        steps.execute(plan, asked, watch=watch)

    assert versions == store.versions(home, "iris")


def test_a_run_waits_for_the_journal_to_learn_how_its_promotion_ended(
    home: Path, specs: dict[str, Spec]
) -> None:
    """The journal fails at the promotion, and is back a moment later: nothing was promoted."""
    journal, versions = labels.give(home, specs["iris"], 120), store.versions(home, "iris")
    asked, _ = runs.request(journal, "iris", force=True)
    back = threading.Timer(2.0, rename_runs, (home, "lost", "runs"))

    def watch(reported: str) -> None:
        if reported == "promote":
            rename_runs(home, "runs", "lost")
            back.start()

    ended = steps.execute(steps.Plan(specs["iris"], home, journal, 0, 10), asked, watch=watch)
    back.join()

    assert "failed" == ended.status
    assert versions == store.versions(home, "iris")


def rename_runs(home: Path, old: str, new: str) -> None:
    """Take the table of runs away from a journal, or put it back."""
    with databases.connected(f"sqlite:///{home / 'journal.db'}") as connection:
        connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")


def test_a_promotion_deletes_old_versions(home: Path, specs: dict[str, Spec]) -> None:
    """Two versions are left: the champion, which is the newest, and the champion before it."""
    journal = labels.give(home, specs["iris"], 120)
    before = ledger.champions(journal)["iris"].to_version
    for seed in (1, 2):
        training.save(training.train(specs["iris"], seed), home)
    asked, _ = runs.request(journal, "iris", force=True)

    ended = steps.execute(steps.Plan(specs["iris"], home, journal, 0, 1), asked)

    assert "promoted" == ended.status, ended
    kept = {version.version for version in store.versions(home, "iris")}
    assert {before, ended.candidate} == kept


KILLED_AT = """
import os, signal, sys
from pathlib import Path
import onnxruntime, pandas, skl2onnx, sklearn.linear_model  # once for all
from models_store import catalog
from prediction.artifacts.bucket import Bucket
from prediction.artifacts.exchange import Exchange
from prediction.journal import runs
from prediction.retraining import steps
from prediction.journal.database import Journal

def retrain(home, wanted):
    journal = Journal(f"sqlite:///{home / 'journal.db'}")
    run, _ = runs.request(journal, "iris", True)

    def watch(step):
        if step.startswith(wanted):
            os.kill(os.getpid(), signal.SIGKILL)

    shared = Exchange(home, Bucket((home / "shared").as_uri()))
    steps.execute(steps.Plan(spec, home, journal, 0, 10, exchange=shared), run, watch=watch)

spec = catalog.load()["iris"]
for step in sys.argv[2:]:
    process = os.fork()
    if process == 0:
        retrain(Path(sys.argv[1], step), step)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
"""


@pytest.fixture(scope="module")
def killed(trained_home: Path, specs: dict[str, Spec], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a home for each step; in each, a retraining process was killed as the step began."""
    homes = tmp_path_factory.mktemp("killed")
    for step in steps.STEPS:
        labels.give(
            Path(shutil.copytree(trained_home, homes / step, symlinks=True)), specs["iris"], 30
        ).close()
    done = run("python", "-c", KILLED_AT, str(homes), *steps.STEPS, home=homes)
    assert [str(-signal.SIGKILL)] * len(steps.STEPS) == done.stdout.split(), done.stderr
    return homes


@pytest.mark.parametrize("step", steps.STEPS)
def test_a_run_killed_at_any_step_harms_nothing(
    step: str, killed: Path, trained_home: Path, specs: dict[str, Spec]
) -> None:
    """Store and champion are complete, the silent run is marked as interrupted, and the next run works."""
    home = killed / step
    journal = Journal(f"sqlite:///{home / 'journal.db'}")

    assert store.newest(trained_home, "iris").version == ledger.champions(journal)["iris"].to_version
    for version in store.versions(home, "iris"):
        store.verify(version, version.digest)
    (dead,) = runs.latest(journal, "iris", limit=1)
    assert dead.status in ("queued", "running")
    with journal.write() as connection:  # as if it had been silent for long
        connection.execute(sa.update(tables.runs).values(beat_us=now_us() - runs.QUEUED_US - 1))
    runs.interrupt_silent(journal)
    assert "interrupted" == runs.get(journal, "iris", dead.run_id).status
    assert retrain(home, journal, specs["iris"], min_outcomes=0).status in ("promoted", "rejected")
    assert {".lock"} == {path.name for path in (home / "staging").iterdir()}


def test_a_run_whose_estimator_fails_has_the_reason(home: Path, specs: dict[str, Spec]) -> None:
    """In one sentence with step, cause and remedy; the champion stays."""
    journal = labels.give(home, specs["iris"], 60)
    before = ledger.champions(journal)

    def broken(_: int) -> Any:
        raise ModuleNotFoundError("No module named 'nowhere'")

    ended = retrain(home, journal, replace(specs["iris"], pipeline=broken), min_outcomes=0)

    assert "failed" == ended.status
    assert ended.step.startswith("iris: pipeline() failed in test_steps.py, line ")
    assert ": ModuleNotFoundError: No module named 'nowhere': install the package in the" in ended.step
    assert before == ledger.champions(journal)
