"""The whole loop on real servers: predict, feedback, retrain, gate, swap, rollback, and its faults."""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from models_store import store
from models_store.spec import Spec
from prediction.journal import ledger, runs
from prediction.journal.database import Journal
from tests.servers import Server
from tests.timing import eventually

TOKEN = "a-token-of-the-tests"
ADMIN = {"Authorization": f"Bearer {TOKEN}"}
ENDED = {"promoted", "rejected", "failed", "cancelled", "interrupted"}


@pytest.fixture
def admin(home: Path) -> Iterator[Server]:
    """A server of two workers with an admin token, on a home of its own."""
    with Server(home, admin_token=TOKEN, min_outcomes=20) as running:
        yield running


@pytest.fixture(scope="module")
def shared(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with an admin token for tests that give no labels."""
    home = tmp_path_factory.mktemp("shared") / "home"
    shutil.copytree(trained_home, home, symlinks=True)
    with Server(home, admin_token=TOKEN, min_outcomes=20) as running:
        yield running


def post(server: Server, path: str, body: Any, status: int = 200) -> Any:
    """POST as administrator."""
    answer = server.client.post(path, json=body, headers=ADMIN)
    assert status == answer.status_code, answer.text
    return answer.json()


def champion(server: Server) -> str:
    """Return the champion of iris once all workers agree."""
    eventually(lambda: server.get("/models/iris").json()["agree"])
    return str(server.get("/models/iris").json()["champion"])


def give_feedback(server: Server, spec: Spec, rows: int, flipped: float, shift_cm: float = 0.0) -> None:
    """Predict noisy rows of the dataset, and label them, a share of them wrongly."""
    draw = random.Random(7)
    X, y = spec.load()
    columns, labels = spec.columns_of(X), list(y)
    bodies, truth = [], []
    for _ in range(rows):
        row = draw.randrange(len(labels))
        moved = shift_cm if labels[row] == "virginica" else 0.0
        values = {name: values[row] + draw.gauss(moved, 0.08) for name, values in columns.items()}
        bodies.append({name: max(0.1, round(value, 3)) for name, value in values.items()})
        others = [name for name in spec.target.texts if name != labels[row]]
        truth.append(draw.choice(others) if draw.random() < flipped else labels[row])
    answers = post(server, "/iris/predict_batch", bodies)
    items = [
        {"prediction_id": answer["prediction_id"], "label": label}
        for answer, label in zip(answers, truth, strict=True)
    ]
    recorded = post(server, "/iris/feedback_batch", items)
    assert {"recorded"} == {item["status"] for item in recorded}


def retrain(server: Server, **body: Any) -> dict[str, Any]:
    """Retrain iris, and return the run as it ended."""
    run_id = post(server, "/iris/retrain", body, 202)["run_id"]
    eventually(lambda: server.get(f"/iris/runs/{run_id}").json()["status"] in ENDED, 200)
    return dict(server.get(f"/iris/runs/{run_id}").json())


def retrain_until_promoted(server: Server, spec: Spec, rows: int, shift_cm: float = 0.0) -> dict[str, Any]:
    """Give honest feedback and retrain; which rows are held out is drawn by their ids, so try again."""
    ended: dict[str, Any] = {}
    for _ in range(4):
        give_feedback(server, spec, rows, flipped=0.0, shift_cm=shift_cm)
        ended = retrain(server)
        if ended["status"] == "promoted":
            break
    return ended


def test_the_whole_loop(admin: Server, specs: dict[str, Spec]) -> None:
    """Serve, predict, feedback, retrain, promoted, the new version answers, rollback, the old does."""
    spec = specs["iris"]
    first = champion(admin)
    ended = retrain_until_promoted(admin, spec, rows=200)

    assert ended["status"] == "promoted", ended
    second = champion(admin)
    assert ended["candidate"] == second != first
    assert second == post(admin, "/iris/predict", spec.example)["version"]
    versions = {item["version"]: item for item in admin.get("/models/iris").json()["versions"]}
    assert versions[second]["verdict"]["promote"] is True
    assert ended["rows"]["of_feedback"] > 50

    undone = post(admin, "/iris/rollback", {"reason": "a test"})

    assert (second, first, "admin", "a test") == tuple(
        undone[key] for key in ("from", "to", "by", "reason")
    )
    assert first == champion(admin)
    assert first == post(admin, "/iris/predict", spec.example)["version"]


def test_poisoned_labels_are_rejected(admin: Server, specs: dict[str, Spec]) -> None:
    """Two of five labels flipped, three times as many as the dataset has: the dataset's part says no."""
    first = champion(admin)
    give_feedback(admin, specs["iris"], rows=450, flipped=0.4)

    ended = retrain(admin)

    assert ended["status"] == "rejected", ended
    assert "dataset log-loss rose" in ended["verdict"]["sentence"]
    assert first == champion(admin)
    assert [ended["candidate"]] == [v.version for v in store.versions(admin.home, "iris-rejected")]
    assert first == store.newest(admin.home, "iris").version


def test_honest_new_data_is_promoted_and_better_on_it(admin: Server, specs: dict[str, Spec]) -> None:
    """A class whose flowers have changed is learnt from its labels."""
    ended = retrain_until_promoted(admin, specs["iris"], rows=450, shift_cm=-0.45)

    assert ended["status"] == "promoted", ended
    rules = {rule["name"]: rule for rule in ended["verdict"]["rules"]}
    better = rules["feedback log-loss"]
    assert better["candidate"] < better["champion"]


def test_few_labels_are_not_worth_a_retraining(shared: Server) -> None:
    """Unless forced, a run ends at once and says how many labels are wanted."""
    ended = retrain(shared)

    assert ended["status"] == "rejected"
    assert "0 new labels" in ended["verdict"]["sentence"]
    assert ended["verdict"]["promote"] is False


def test_asking_again_answers_the_run_that_goes_on(shared: Server) -> None:
    """One retraining a model, whichever worker is asked."""
    asked = {post(shared, "/iris/retrain", {"force": True}, 202)["run_id"] for _ in range(8)}

    assert len(asked) == 1


def test_cancel_is_obeyed_within_two_seconds(shared: Server) -> None:
    """Whatever the run computes; nothing of it stays."""
    run_id = post(shared, "/penguins/retrain", {"force": True}, 202)["run_id"]
    eventually(lambda: shared.get(f"/penguins/runs/{run_id}").json()["status"] == "running")

    post(shared, "/penguins/cancel", {"run_id": run_id})

    eventually(lambda: shared.get(f"/penguins/runs/{run_id}").json()["status"] == "cancelled", 6)
    assert len(store.versions(shared.home, "penguins")) == 1


@pytest.mark.parametrize("path", ["retrain", "cancel", "promote", "rollback"])
def test_admin_routes_need_the_token(shared: Server, path: str) -> None:
    """Absent, wrong and half right tokens are 401, with the header that says what is wanted."""
    body = {"run_id": "x"} if path == "cancel" else {"version": "x", "reason": "x"}
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
        answer = shared.client.post(f"/iris/{path}", json=body, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


def test_without_a_token_admin_routes_are_shut(server: Server) -> None:
    """They say which variable opens them; single rows may be read."""
    answer = server.post("/iris/retrain", {})

    assert answer.status_code == 403
    assert "PREDICTION_ADMIN_TOKEN" in answer.json()["error"]


def test_single_rows_need_the_token_once_there_is_one(shared: Server, specs: dict[str, Spec]) -> None:
    """Aggregates stay open."""
    prediction_id = post(shared, "/iris/predict", specs["iris"].example)["prediction_id"]
    path = f"/iris/predictions/{prediction_id}"

    assert shared.get(path).status_code == 401
    assert shared.client.get(path, headers=ADMIN).status_code == 200
    assert shared.get("/models/iris").status_code == 200


def test_the_token_is_written_nowhere(shared: Server) -> None:
    """Not in a file, a log, a metric or an error."""
    retrain(shared, force=True)
    metrics = shared.client.get("/metrics", headers=ADMIN).text
    refused = shared.client.post("/iris/promote", json={"x": TOKEN}, headers=ADMIN).text

    files = [path for path in shared.home.rglob("*") if path.is_file()]
    assert shared.log in files
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []
    assert TOKEN not in metrics
    assert TOKEN not in refused


def test_a_killed_run_is_interrupted_and_the_next_one_runs(shared: Server) -> None:
    """Nobody has to clean up after a run whose process died."""
    run_id = post(shared, "/iris/retrain", {"force": True}, 202)["run_id"]
    eventually(lambda: bool(run_processes(run_id)))
    for process in run_processes(run_id):
        process.kill()

    eventually(lambda: shared.get(f"/iris/runs/{run_id}").json()["status"] == "interrupted")

    assert retrain(shared, force=True)["status"] in ("promoted", "rejected")


def test_a_killed_worker_leaves_the_run_going(shared: Server) -> None:
    """The run has a session of its own."""
    run_id = post(shared, "/iris/retrain", {"force": True}, 202)["run_id"]
    eventually(lambda: bool(run_processes(run_id)))
    for worker in shared.workers:
        worker.kill()

    journal = Journal(f"sqlite:///{shared.home / 'journal.db'}")
    eventually(lambda: runs.get(journal, "iris", run_id).status in ENDED, 200)
    assert runs.get(journal, "iris", run_id).status in ("promoted", "rejected")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_does_not_outlive_its_server(home: Path, number: signal.Signals) -> None:
    """It ends as interrupted; champion and store are whole, and the next server's run goes through."""
    with Server(home, admin_token=TOKEN, workers=1) as running:
        first = champion(running)
        run_id = post(running, "/penguins/retrain", {"force": True}, 202)["run_id"]
        eventually(lambda: running.get(f"/penguins/runs/{run_id}").json()["status"] == "running")
        if number == signal.SIGTERM:
            running.stop()
        else:
            running.process.kill()
            running.process.wait(timeout=30)

        journal = Journal(f"sqlite:///{home / 'journal.db'}")
        eventually(lambda: runs.get(journal, "penguins", run_id).status == "interrupted")
    for name in ("iris", "penguins"):
        (version,) = store.versions(home, name)
        store.verify(version, ledger.champions(journal)[name].digest)
    with Server(home, admin_token=TOKEN, workers=1) as again:
        assert first == champion(again)
        assert retrain(again, force=True)["status"] in ("promoted", "rejected")


def run_processes(run_id: str) -> list[Any]:
    """Return the processes of a run."""
    return [
        process for process in psutil.process_iter(["cmdline"]) if run_id in (process.info["cmdline"] or [])
    ]
