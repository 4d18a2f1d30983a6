"""One retraining in the foreground; on servers it is shown by the tests of the loop."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa

from models_store import store
from models_store.spec import Spec
from prediction.journal import feedback, ledger, runs, tables, workers
from prediction.journal.database import Journal
from prediction.journal.ledger import NewChampion
from prediction.journal.predictions import Inserter
from prediction.journal.runs import Retraining
from prediction.retraining import steps, training
from prediction.serving import predictor
from prediction.times import now_us
from tests import databases
from tests.servers import PROJECT, environment, run
from tests.timing import eventually


def learn(home: Path, spec: Spec, rows: int) -> Journal:
    """Record predictions of the dataset's own rows, each with its true label.

    Which of them are held out is drawn by their ids, so these are always the same.
    """
    journal = Journal(f"sqlite:///{home / 'journal.db'}")
    version = store.newest(home, spec.name)
    answering = predictor.load(spec, version, version.digest)
    X, y = spec.load()
    columns, labels = spec.columns_of(X), [str(label) for label in y]
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


def retrain(home: Path, journal: Journal, spec: Spec, min_outcomes: int = 50) -> Retraining:
    """Retrain in this process."""
    run, _ = runs.request(journal, spec.name, force=min_outcomes == 0)
    return steps.execute(steps.Plan(spec, home, journal, min_outcomes, 10), run)


def test_a_retraining_in_the_foreground_promotes(home: Path, specs: dict[str, Spec]) -> None:
    """It tells the verdict in a sentence, and its version keeps the verdict and the data's digest."""
    journal = learn(home, specs["iris"], rows=120)
    before = ledger.champions(journal)["iris"].to_version

    done = run("python", "-m", "prediction", "retrain", "iris", home=home)

    assert 0 == done.returncode, done.stdout + done.stderr
    assert done.stdout.startswith("promoted: not worse on any rule")
    champion = ledger.champions(journal)["iris"]
    assert (before, "retrain") == (champion.from_version, champion.by)
    version = store.get(home, "iris", champion.to_version)
    assert version.metadata["verdict"]["promote"] is True
    assert version.metadata["rows"]["of_feedback"] > 50
    assert "promoted" == runs.latest(journal, "iris", 1)[0].status


def test_labels_count_once(home: Path, specs: dict[str, Spec]) -> None:
    """After a retraining, the labels that it learnt are no longer new."""
    journal = learn(home, specs["iris"], rows=120)
    assert "promoted" == retrain(home, journal, specs["iris"]).status

    again = retrain(home, journal, specs["iris"])

    assert "rejected" == again.status
    assert again.verdict is not None
    assert "rejected: 0 new labels" in again.verdict["sentence"]


def test_labels_of_a_fresh_journal_are_new(home: Path, specs: dict[str, Spec]) -> None:
    """Its labels are numbered from 1 again, which does not make them those that a version has learnt."""
    journal = learn(home, specs["iris"], rows=120)
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
    journal = learn(home, specs["iris"], rows=60)

    ended = retrain(home, journal, specs["iris"])

    assert "promoted" == ended.status, ended


def test_a_flood_weighs_no_more_than_the_dataset(specs: dict[str, Spec]) -> None:
    """Each outcome weighs min(1, dataset rows / outcomes), so that together they are no majority."""
    spec = specs["iris"]
    flood = [
        training.Labelled(
            f"id-{number}",
            {name: round(1 + number / 100, 3) for name in spec.inputs},
            spec.classes[number % 3],
        )
        for number in range(2000)
    ]

    dataset = training.load_dataset(spec, flood)

    own = [w for row, w in zip(dataset.training, dataset.weights, strict=True) if row < dataset.own_rows]
    fed = [w for row, w in zip(dataset.training, dataset.weights, strict=True) if row >= dataset.own_rows]
    assert {1.0} == set(own)
    assert len(fed) > 1000
    assert abs(sum(fed) - sum(own)) < 1e-6


def test_held_out_outcomes_are_never_trained_on(specs: dict[str, Spec]) -> None:
    """Nor is an outcome with the features of a held-out row, whatever its id."""
    spec = specs["iris"]
    plain = training.load_dataset(spec)
    held = plain.part(plain.holdout)[0]
    copies = [
        training.Labelled(f"copy-{row}", {name: values[row] for name, values in held.items()}, "setosa")
        for row in range(len(plain.holdout))
    ]

    dataset = training.load_dataset(spec, copies)

    learnt = [row for row in dataset.training if row >= dataset.own_rows]
    assert [] == learnt
    assert plain.holdout == dataset.holdout
    assert plain.training == dataset.training


def test_a_repeated_outcome_counts_once(specs: dict[str, Spec]) -> None:
    """The same features with the same label, under many ids, are one row."""
    features = {name: item.example + 0.123 for name, item in specs["iris"].inputs.items()}
    same = [training.Labelled(f"id-{number}", features, "setosa") for number in range(50)]

    dataset = training.load_dataset(specs["iris"], same)

    fed = [row for row in dataset.training if row >= dataset.own_rows]
    assert len(fed) + len(dataset.feedback_holdout) == 1


def test_what_the_spec_no_longer_takes_is_left_out(home: Path, specs: dict[str, Spec]) -> None:
    """Outcomes of other features or classes, from before the spec was edited, do not stop a retraining."""
    journal = learn(home, specs["iris"], rows=60)
    ids = [item.prediction.prediction_id for item in feedback_of(journal)]
    with journal.write() as connection:
        predictions, labels = tables.predictions, tables.feedback
        strange = predictions.update().where(predictions.c.prediction_id == ids[0])
        connection.execute(strange.values(features='{"stem_length_cm": 1.0}'))
        renamed = labels.update().where(labels.c.prediction_id == ids[1])
        connection.execute(renamed.values(label="alba"))

    ended = retrain(home, journal, specs["iris"])

    assert "promoted" == ended.status, ended
    assert ended.rows is not None
    assert 2 == ended.rows["of_another_schema"]


def feedback_of(journal: Journal) -> list[feedback.Outcome]:
    """Return all outcomes of iris."""
    return [item for chunk in feedback.outcomes(journal, "iris") for item in chunk]


def test_without_a_champion_there_is_nothing_to_retrain(home: Path, specs: dict[str, Spec]) -> None:
    """The run fails with the sentence that says how to train."""
    with Journal(f"sqlite:///{home / 'journal.db'}").write() as connection:
        connection.execute(tables.ledger.delete())

    done = run("python", "-m", "prediction", "retrain", "iris", "--force", home=home)

    assert 1 == done.returncode
    assert "failed: no trained version of iris" in done.stdout
    assert "Traceback" not in done.stderr


def test_an_estimator_without_weights_is_not_flooded_either(specs: dict[str, Spec]) -> None:
    """As many outcomes are drawn as would weigh what the dataset does."""
    from sklearn.neighbors import KNeighborsClassifier

    spec = replace(specs["iris"], pipeline=lambda _: KNeighborsClassifier(3))
    flood = [
        training.Labelled(
            f"id-{number}", dict.fromkeys(spec.inputs, 1 + number / 1000), spec.classes[number % 3]
        )
        for number in range(2000)
    ]

    fitted = training.train(spec, 0, outcomes=flood).pipeline

    own = len(training.load_dataset(spec).training)
    assert own * 1.5 < fitted.n_samples_fit_ < own * 2.5


def test_a_loss_that_grew_over_several_runs_is_noticed(home: Path, specs: dict[str, Spec]) -> None:
    """A version that was retrained remembers the best log-loss before it; one of `train.py` begins anew."""
    journal = learn(home, specs["iris"], rows=120)
    first = store.newest(home, "iris")
    assert "promoted" == retrain(home, journal, specs["iris"]).status

    second = store.get(home, "iris", ledger.champions(journal)["iris"].to_version)

    assert "best_log_loss" not in first.metadata
    losses = [version.metrics["log_loss"] for version in (first, second)]
    assert min(losses) == pytest.approx(second.metadata["best_log_loss"])


def test_old_versions_are_pruned_and_what_is_needed_stays(home: Path, specs: dict[str, Spec]) -> None:
    """The champion, its predecessor and what a worker serves outlive the rest."""
    journal = Journal(f"sqlite:///{home / 'journal.db'}")
    first = store.newest(home, "iris").version
    saved = [training.save(training.train(specs["iris"], seed), home) for seed in range(1, 7)]
    for version in saved[2:4]:
        ledger.promote(
            journal, NewChampion("iris", version.version, version.digest, by="test", reason="because")
        )
    workers.report(journal, "here", 1, {"iris": (saved[0].version, now_us())})
    names = [version.version for version in saved]

    gone = steps.prune_versions(home, journal, "iris", keep=1)

    assert sorted([first, names[1], names[4]]) == sorted(gone)
    assert {names[0], *names[2:4], names[5]} == {each.version for each in store.versions(home, "iris")}


CANCELLED_AT = """
import sys
from pathlib import Path
from models_store import catalog
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


def test_a_cancel_in_the_last_moment_is_obeyed(home: Path, specs: dict[str, Spec]) -> None:
    """Acknowledged is acknowledged: the run ends as cancelled, and its version is gone."""
    journal = learn(home, specs["iris"], 120)
    before, versions = ledger.champions(journal), store.versions(home, "iris")

    run("python", "-c", CANCELLED_AT, str(home), home=home)

    (ended,) = runs.latest(journal, "iris", limit=1)
    assert ("cancelled", "cancelled on request") == (ended.status, ended.step)
    assert before == ledger.champions(journal)
    assert versions == store.versions(home, "iris")


def test_a_champion_made_meanwhile_stays(home: Path, specs: dict[str, Spec]) -> None:
    """An operator's word counts more than a comparison with a champion that is one no more."""
    journal = learn(home, specs["iris"], 120)
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
    assert steps.OVERTAKEN == ended.verdict["sentence"]
    assert other.version == ledger.champions(journal)["iris"].to_version
    assert 2 == len(store.versions(home, "iris"))


def test_a_candidate_that_the_journal_does_not_take_is_deleted(home: Path, specs: dict[str, Spec]) -> None:
    """It would be the newest version, and a server with an empty journal begins with that."""
    journal, versions = learn(home, specs["iris"], 120), store.versions(home, "iris")
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


def test_a_retraining_that_promotes_prunes(home: Path, specs: dict[str, Spec]) -> None:
    """Of all versions there are two left: the champion, which is the newest, and the one before."""
    journal = learn(home, specs["iris"], 120)
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
from prediction.journal import runs
from prediction.retraining import steps
from prediction.journal.database import Journal

def retrain(home, wanted):
    journal = Journal(f"sqlite:///{home / 'journal.db'}")
    run, _ = runs.request(journal, "iris", True)

    def watch(step):
        if step.startswith(wanted):
            os.kill(os.getpid(), signal.SIGKILL)

    steps.execute(steps.Plan(spec, home, journal, 0, 10), run, watch=watch)

spec = catalog.load()["iris"]
for step in steps.STEPS:
    process = os.fork()
    if process == 0:
        retrain(Path(sys.argv[1], step), step)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
"""


@pytest.fixture(scope="module")
def killed(trained_home: Path, specs: dict[str, Spec], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a home for each step, in which a process that retrained was killed as it began."""
    homes = tmp_path_factory.mktemp("killed")
    for step in steps.STEPS:
        learn(Path(shutil.copytree(trained_home, homes / step, symlinks=True)), specs["iris"], 30).close()
    done = run("python", "-c", KILLED_AT, str(homes), home=homes)
    assert [str(-signal.SIGKILL)] * len(steps.STEPS) == done.stdout.split(), done.stderr
    return homes


@pytest.mark.parametrize("step", steps.STEPS)
def test_a_run_killed_at_any_step_harms_nothing(
    step: str, killed: Path, trained_home: Path, specs: dict[str, Spec]
) -> None:
    """Store and champion are whole, the run is interrupted once it is silent, and the next one runs."""
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


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_retraining_that_is_ended_gives_the_terminal_back(
    home: Path, number: signal.Signals, code: int
) -> None:
    """It says so, shows the cursor again, and its run is interrupted."""
    here, there = os.openpty()
    process = subprocess.Popen(
        ["python", "-m", "prediction", "retrain", "penguins", "--force"],
        cwd=PROJECT,
        env=environment(home) | {"TERM": "xterm"},
        stdout=subprocess.DEVNULL,
        stderr=there,
    )
    journal = Journal(f"sqlite:///{home / 'journal.db'}")
    eventually(lambda: any(each.status == "running" for each in runs.latest(journal, "penguins", 1)))
    process.send_signal(number)

    assert code == process.wait(60)
    os.close(there)
    shown = os.read(here, 100_000).decode()
    os.close(here)
    assert "\x1b[?25l" not in shown.rpartition("\x1b[?25h")[2]
    assert shown.rstrip().endswith("prediction retrain: interrupted")
    assert "interrupted" == runs.latest(journal, "penguins", 1)[0].status
