"""Feedback over HTTP, and faults: real servers on either database, killed, locked out, filled up."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil
import pytest

from models_store.spec import Spec
from prediction.journal import backups, retention
from prediction.journal.database import Journal
from tests import databases, disks, kinds
from tests.databases import KINDS, PASSWORD, Postgres, query
from tests.load import Load
from tests.servers import Server, free_port, run
from tests.timing import eventually

postgres = databases.postgres

ABOUT_A_SECOND = 1.6
AT_ONCE = 0.4
"""What most answers take no longer than; one alone may meet a moment when other tests have the machine."""

IN_ANY_CASE = 5.0
"""What no answer takes longer than: requests that waited for one another would."""


class Victim:
    """A home with its journal, and the server on it, started anew whenever it is gone."""

    def __init__(self, home: Path, url: str) -> None:
        self.home = home
        self.url = url
        self._server: Server | None = None

    def server(self) -> Server:
        """Return the running server."""
        if self._server is None or self._server.process.poll() is not None:
            self._server = Server(self.home, database_url=self.url)
        return self._server

    def end(self) -> str:
        """End it, if it runs, and return its log."""
        if self._server is None:
            return ""
        self._server.stop()
        return self._server.read_log()


@pytest.fixture(scope="module", params=KINDS)
def victim(
    request: pytest.FixtureRequest, trained_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Victim]:
    """A server of two workers that tests may do anything to, once on each database."""
    home = tmp_path_factory.mktemp("victim") / "home"
    shutil.copytree(trained_home, home, symlinks=True)
    with databases.empty_database(request.param, tmp_path_factory.mktemp("journal")) as url:
        victim = Victim(home, url)
        try:
            yield victim
        finally:
            victim.end()


@pytest.fixture
def row(specs: dict[str, Spec]) -> dict[str, Any]:
    """A row of iris."""
    return dict(specs["iris"].example)


def predict(server: Server, row: dict[str, Any]) -> str:
    """Ask for a prediction of iris and return its id."""
    answer = server.post("/iris/predict", row)
    assert 200 == answer.status_code, answer.text
    return str(answer.json()["prediction_id"])


def counted(server: Server, name: str, **labels: str) -> float:
    """Return the sum of a metric's series with these labels."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    lines = server.get("/metrics").text.splitlines()
    found = [line for line in lines if line.startswith(name) and all(each in line for each in wanted)]
    return sum(float(line.rpartition(" ")[2]) for line in found)


# --------------------------------------------------------------------------- feedback over HTTP


def test_feedback_over_http(victim: Victim, row: dict[str, Any]) -> None:
    """Each clause of the contract has its status, and errors have the common shape."""
    server = victim.server()
    prediction_id = predict(server, row)

    def give(label: str, model: str = "iris", **more: Any) -> tuple[int, dict[str, Any]]:
        body = {"prediction_id": prediction_id, "label": label} | more
        answer = server.post(f"/{model}/feedback", body)
        return answer.status_code, answer.json()

    said = {"prediction_id": prediction_id, "label": "setosa"}
    assert (200, said | {"status": "recorded"}) == give("setosa")
    assert (200, said | {"status": "unchanged"}) == give("setosa")
    for status, words, answer in [
        (409, "labelled setosa already", give("virginica")),
        (404, "no prediction of penguins", give("Adelie", "penguins")),
        (404, "no prediction of iris", give("setosa", prediction_id="x" * 36)),
        (404, "no prediction of iris", give("setosa", prediction_id="\x00" * 36)),
        (400, "one of setosa, versicolor, virginica", give("tulip")),
        (400, "true or false", give("setosa", correct="yes")),
    ]:
        assert (status, {"error", "detail"}) == (answer[0], set(answer[1]))
        assert words in answer[1]["error"]
    assert (200, said | {"label": "virginica", "status": "corrected"}) == give("virginica", correct=True)


def test_a_batch_of_feedback_over_http(victim: Victim, row: dict[str, Any]) -> None:
    """A batch is 200, each label in its place with what became of it or its own status and reason."""
    server = victim.server()
    one, two = predict(server, row), predict(server, row)

    answer = server.post(
        "/iris/feedback_batch",
        [
            {"prediction_id": one, "label": "setosa"},
            {"prediction_id": one, "label": "virginica"},
            {"prediction_id": "x" * 36, "label": "setosa"},
            {"prediction_id": two, "label": "setosa", "correct": True},
            {"prediction_id": one, "label": "virginica", "correct": True},
        ],
    )

    assert 200 == answer.status_code
    found = answer.json()
    assert ["recorded", "error", "error", "recorded", "corrected"] == [item["status"] for item in found]
    assert [409, 404] == [item["code"] for item in found[1:3]]
    assert [one, one, "x" * 36, two, one] == [item["prediction_id"] for item in found]
    assert "labelled setosa already" in found[1]["error"]


def test_a_prediction_tells_its_whole_story(victim: Victim, row: dict[str, Any]) -> None:
    """What was asked and answered, by what version trained on which data, and every label."""
    server = victim.server()
    answered = server.post("/iris/predict", row).json()
    path = f"/iris/predictions/{answered['prediction_id']}"
    before = server.get(path).json()
    for label in ("setosa", "virginica"):
        body = {"prediction_id": answered["prediction_id"], "label": label, "correct": True}
        assert 200 == server.post("/iris/feedback", body).status_code
    after = server.get(path).json()

    assert answered == {name: before[name] for name in answered}
    assert row == before["features"]
    assert before["feedback"] is None
    assert 64 == len(before["data_digest"])
    assert 0.9 < before["metrics"]["accuracy"] <= 1
    assert before | {"feedback": after["feedback"]} == after
    (old,) = after["feedback"]["history"]
    assert ("virginica", "setosa") == (after["feedback"]["label"], old["label"])
    assert before["at"] < old["at"] < old["replaced_at"] == after["feedback"]["at"]
    assert 404 == server.get(path.replace("iris", "penguins")).status_code


def test_one_worker_s_prediction_is_fed_back_through_another(victim: Victim, row: dict[str, Any]) -> None:
    """A label may come a millisecond after the answer, by a connection to the other worker."""
    server = victim.server()
    with ExitStack() as stack:
        clients: dict[int, httpx.Client] = {}
        for _ in range(100):
            client = stack.enter_context(httpx.Client(base_url=server.url, timeout=20))
            clients.setdefault(worker_of(client, server), client)
            if len(clients) == 2:
                break
        left, right = clients.values()
        for number in range(50):
            asked, told = (left, right) if number % 2 else (right, left)
            prediction_id = asked.post("/iris/predict", json=row).json()["prediction_id"]
            answer = told.post("/iris/feedback", json={"prediction_id": prediction_id, "label": "setosa"})
            assert "recorded" == answer.json().get("status"), answer.text


def worker_of(client: httpx.Client, server: Server) -> int:
    """Return the worker that a client is connected to."""
    with client.stream("GET", "/livez") as answer:
        port = answer.extensions["network_stream"].get_extra_info("client_addr")[1]
        answer.read()
    for worker in server.workers:
        for connection in worker.net_connections(kind="tcp"):
            if connection.raddr and connection.raddr.port == port:
                return worker.pid
    raise AssertionError("no worker has that connection")


# ------------------------------------------------------------------------- a journal that fails


def requests_of(server: Server, row: dict[str, Any], prediction_id: str) -> dict[str, Callable[[], Any]]:
    """Return one request of each kind that writes to the journal."""
    label = {"prediction_id": prediction_id, "label": "setosa"}
    bodies = {"predict": row, "predict_batch": [row] * 100, "feedback": label, "feedback_batch": [label]}
    return {name: partial(server.post, f"/iris/{name}", body) for name, body in bodies.items()}


@dataclass
class Waited:
    """The seconds that requests waited for their 503, and /livez for its 200 meanwhile."""

    refused: list[float] = field(default_factory=list)
    alive: list[float] = field(default_factory=list)

    def ask(self, server: Server, requests: dict[str, Callable[[], Any]]) -> None:
        """Make requests at once, and hold that each gets 503 in the common shape."""
        with ThreadPoolExecutor(len(requests)) as pool:
            promised = {name: pool.submit(timed, request) for name, request in requests.items()}
            while not (self.alive and all(promise.done() for promise in promised.values())):
                answer, seconds = timed(partial(server.get, "/livez"))
                assert 200 == answer.status_code
                self.alive.append(seconds)
                time.sleep(0.01)
        for name, promise in promised.items():
            answer, seconds = promise.result()
            self.refused.append(seconds)
            assert (name, 503) == (name, answer.status_code)
            assert {"error", "detail"} == set(answer.json())
            assert "try again" in answer.json()["error"]
            assert "1" == answer.headers["retry-after"]

    def assert_short(self) -> None:
        """Assert that the one took about a second, and the other no time."""
        assert median(self.refused) < ABOUT_A_SECOND
        assert median(self.alive) < AT_ONCE
        assert max(self.refused + self.alive) < IN_ANY_CASE


def timed(request: Callable[[], httpx.Response]) -> tuple[httpx.Response, float]:
    """Return an answer and its seconds."""
    started = time.monotonic()
    answer = request()
    return answer, time.monotonic() - started


def faults_of(victim: Victim, postgres: Postgres) -> dict[str, AbstractContextManager[None]]:
    """Return what may happen to the journal of a server."""
    if victim.url.startswith("sqlite"):
        return {"locked": databases.locked(victim.url)}
    return {
        "stopped": postgres.stopped(),
        "frozen": postgres.frozen(),
        "locked": databases.locked(victim.url),
    }


def test_a_journal_that_fails_is_503_until_it_answers(
    victim: Victim, postgres: Postgres, row: dict[str, Any]
) -> None:
    """Locked for 5 s, stopped or hanging: 503 within a second, counted; /livez answers; all recovers."""
    server = victim.server()
    prediction_id = predict(server, row)
    requests = requests_of(server, row, prediction_id)
    for name, fault in faults_of(victim, postgres).items():
        failures = counted(server, "prediction_journal_failures_total")
        refused = counted(server, "prediction_refused_requests_total", reason="journal")
        with fault:
            until = time.monotonic() + (5 if name == "locked" else 2)
            rounds, waited = 0, Waited()
            while time.monotonic() < until:
                waited.ask(server, requests)
                rounds += 1
            waited.assert_short()
            if name == "stopped":
                assert 200 == server.get("/readyz").status_code
                assert 503 == server.get(f"/iris/predictions/{prediction_id}").status_code
        eventually(partial(answers, server, "/iris/predict", row))
        assert {200} == {request().status_code for request in requests.values()}
        assert counted(server, "prediction_journal_failures_total") - failures >= 2 * rounds
        assert (
            counted(server, "prediction_refused_requests_total", reason="journal") - refused >= 4 * rounds
        )
    assert PASSWORD not in server.read_log()
    assert "Traceback" not in server.read_log()


def answers(server: Server, path: str, body: Any) -> bool:
    """Tell whether a request is answered."""
    return server.post(path, body).status_code == 200


@pytest.mark.parametrize("victim", ["postgresql"], indirect=True)
def test_a_worker_that_starts_without_its_journal_serves_when_it_is_there(
    victim: Victim, postgres: Postgres, row: dict[str, Any]
) -> None:
    """A worker that was killed while PostgreSQL was down comes back, and serves once it is up."""
    server = victim.server()
    before = {worker.pid for worker in server.workers}
    with postgres.stopped():
        for worker in server.workers:
            worker.kill()
        eventually(partial(replaced, server, before, 2))
        time.sleep(1)

    eventually(lambda: reaches(server, "/iris/predict", row))
    assert "Traceback" not in server.read_log()


def fresh(server: Server, before: set[int]) -> set[int]:
    """Return the workers that were not there before."""
    try:
        return {worker.pid for worker in server.workers} - before
    except psutil.Error:
        return set()


def replaced(server: Server, before: set[int], count: int) -> bool:
    """Tell whether so many workers are there that were not there before."""
    return len(fresh(server, before)) == count


def reaches(server: Server, path: str, body: Any) -> bool:
    """Tell whether a request by a new connection is answered; there may be nobody to take it."""
    try:
        return httpx.post(f"{server.url}{path}", json=body, timeout=20).status_code == 200
    except httpx.TransportError:
        return False


# ------------------------------------------------------------------------------- killed processes


def kill_all(server: Server) -> bool:
    """Kill every worker; tell whether that was done: one that is just ending can't be looked at."""
    try:
        for worker in server.workers:
            worker.kill()
    except psutil.Error:
        return False
    return True


def test_a_killed_worker_loses_nothing_acknowledged(victim: Victim, specs: dict[str, Spec]) -> None:
    """`kill -9` of one worker under load, then of all: others take their place, no row is lost."""
    server = victim.server()
    load = Load(server, specs)
    with load.running():
        before = {worker.pid for worker in server.workers}
        server.workers[0].kill()
        load.go_on()
        eventually(partial(kill_all, server))
        eventually(partial(replaced, server, before, 2))
        eventually(lambda: fresh(server, before) <= serving(server))
        load.go_on()

    assert {200} == load.statuses
    load.assert_recorded(victim.url)
    for prediction_id in list(load.predicted)[:20]:
        model = load.predicted[prediction_id]["model"]
        assert 200 == httpx.get(f"{server.url}/{model}/predictions/{prediction_id}").status_code


def serving(server: Server) -> set[int]:
    """Return the workers that say of themselves that they serve the champion."""
    model = httpx.get(f"{server.url}/models/iris", timeout=20).json()  # not by a connection that died
    return {item["worker"] for item in model["workers"] if item["version"] == model["champion"]}


def test_a_killed_server_loses_nothing_acknowledged(victim: Victim, specs: dict[str, Spec]) -> None:
    """`kill -9` of the server with all its workers under load: a restart serves, no row is lost."""
    load = Load(victim.server(), specs)
    with load.running():
        victim.server().kill()
        eventually(lambda: load.requests[-1].status is None)

    assert {200} == load.statuses
    load.assert_recorded(victim.url)
    again = victim.server()
    load.assert_recorded(victim.url)
    for name, spec in specs.items():
        answer = again.post(f"/{name}/predict", spec.example).json()
        known = next(item for item in load.predicted.values() if item["model"] == name)
        assert known["version"] == answer["version"]
        assert kinds.figures(spec, known) == kinds.figures(spec, answer)


def test_a_server_that_ends_answers_what_it_was_asked(victim: Victim, specs: dict[str, Spec]) -> None:
    """SIGTERM while requests wait for the journal: they are answered, all processes end, with 0."""
    server = victim.server()
    workers = server.workers
    load = Load(server, specs)
    with load.running():
        with databases.locked(victim.url):
            time.sleep(0.1)
            told = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
        code = server.process.wait(timeout=30)

    assert 0 == code
    assert len(load.in_flight(told)) >= load.clients // 2
    assert {200} == {request.status for request in load.in_flight(told)}
    assert {200} == load.statuses
    assert [] == [worker for worker in workers if worker.is_running() and not is_zombie(worker)]
    load.assert_recorded(victim.url)
    log = server.read_log()
    assert "Traceback" not in log
    assert PASSWORD not in log


def is_zombie(process: psutil.Process) -> bool:
    """Tell whether a process has ended, and only its parent has not noticed."""
    return bool(process.status() == psutil.STATUS_ZOMBIE)


# --------------------------------------------------------------------------- servers of one's own


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder with no disk behind it, where there is one: a disk alone may hold a lock for a second."""
    shared = Path("/dev/shm")
    with TemporaryDirectory(dir=shared if shared.is_dir() else tmp_path) as folder:
        yield Path(folder)


def test_four_workers_share_one_sqlite_file(
    trained_home: Path, memory: Path, specs: dict[str, Spec]
) -> None:
    """Under full load, feedback, a backup and a prune included, every answer is 200."""
    home = Path(shutil.copytree(trained_home, memory / "home", symlinks=True))
    with Server(home, workers=4) as server:
        load = Load(server, specs, clients=8, pause_seconds=0.0)
        with load.running(), closing(Journal(f"sqlite:///{home / 'journal.db'}")) as journal:
            backups.backup(journal, memory / "copy.db")
            load.go_on()
            assert 0 == sum(retention.prune(journal, days=1))
            load.go_on(300)
        assert [] == [line for line in server.read_log().splitlines() if "locked" in line]

    assert {200} == load.statuses
    load.assert_recorded(f"sqlite:///{home / 'journal.db'}")


def test_without_a_required_journal_predictions_are_answered(
    trained_home: Path, tmp_path: Path, row: dict[str, Any]
) -> None:
    """Where the journal is not required, an answer that can't be recorded has no id, and is counted."""
    home = Path(shutil.copytree(trained_home, tmp_path / "home", symlinks=True))
    url = f"sqlite:///{home / 'journal.db'}"
    with Server(home, workers=1, journal_required="false") as server:
        prediction_id = predict(server, row)
        with databases.locked(url):
            one = server.post("/iris/predict", row)
            many = server.post("/iris/predict_batch", [row] * 3)
            label = server.post("/iris/feedback", {"prediction_id": prediction_id, "label": "setosa"})
        unrecorded = counted(server, "prediction_unrecorded_total", model="iris")
        again = predict(server, row)
        failures = counted(server, "prediction_journal_failures_total")
        answered = counted(server, "prediction_predictions_total", model="iris")

    assert [200, 200, 503] == [answer.status_code for answer in (one, many, label)]
    assert [None] * 4 == [item["prediction_id"] for item in [one.json(), *many.json()]]
    assert {"setosa"} == {item["predicted_class"] for item in [one.json(), *many.json()]}
    assert (6, 4) == (answered, unrecorded)
    assert failures >= 2
    assert [(prediction_id,), (again,)] == query(url, "SELECT prediction_id FROM predictions ORDER BY seq")


def test_a_crowd_in_front_of_a_locked_journal_is_told_in_time(
    trained_home: Path, tmp_path: Path, row: dict[str, Any]
) -> None:
    """Each of 40 labels has its 503 about a second after it came, and a batch waits behind none of them."""
    home = Path(shutil.copytree(trained_home, tmp_path / "home", symlinks=True))
    with Server(home, workers=1) as server, ThreadPoolExecutor(41) as pool:
        requests = requests_of(server, row, predict(server, row))
        with databases.locked(f"sqlite:///{home / 'journal.db'}"):
            labels = [pool.submit(timed, requests["feedback"]) for _ in range(40)]
            time.sleep(0.2)
            batch = pool.submit(timed, requests["predict_batch"])
            told = [promise.result() for promise in [*labels, batch]]
        assert 200 == requests["feedback"]().status_code

    assert {503} == {answer.status_code for answer, _ in told}
    assert median(seconds for _, seconds in told) < ABOUT_A_SECOND
    assert max(seconds for _, seconds in told) < IN_ANY_CASE


def test_a_postgresql_that_hangs_holds_up_what_needs_it_only(
    trained_home: Path, tmp_path: Path, postgres: Postgres, row: dict[str, Any]
) -> None:
    """While everything that asks it hangs, probes and the scrape are answered; each request in its time.

    What was given up meanwhile is not done when the PostgreSQL goes on.
    """
    home = Path(shutil.copytree(trained_home, tmp_path / "home", symlinks=True))
    admin = {"Authorization": "Bearer a-token-of-the-tests"}
    with (
        postgres.database() as url,
        Server(home, workers=1, database_url=url, admin_token="a-token-of-the-tests") as server,
        ThreadPoolExecutor(90) as pool,
    ):
        requests = requests_of(server, row, predict(server, row))
        before = server.get("/models/iris").json()
        promotion = {"version": before["champion"], "reason": "a try"}
        requests["promote"] = partial(server.client.post, "/iris/promote", json=promotion, headers=admin)
        paths = ["/models", "/iris/monitoring", "/iris/runs", "/iris/predictions", "/dashboard"] * 10
        gets = [partial(server.client.get, path, headers=admin) for path in paths]
        with postgres.frozen():
            hanging = [pool.submit(timed, get) for get in gets]
            promised = {
                name: [pool.submit(timed, request) for _ in range(5)] for name, request in requests.items()
            }
            time.sleep(0.2)
            for path in ("/livez", "/readyz", "/metrics"):
                assert (path, 200) == (path, server.get(path).status_code)
                assert not all(promise.done() for promise in hanging)
            limits = {"promote": 6.0}
            for name, promises in promised.items():
                told = [promise.result() for promise in promises]
                assert (name, {503}) == (name, {answer.status_code for answer, _ in told})
                assert median(seconds for _, seconds in told) < limits.get(name, ABOUT_A_SECOND)
            told = [promise.result() for promise in hanging]
            assert {503} == {answer.status_code for answer, _ in told}
            assert max(seconds for _, seconds in told) < 15
        eventually(partial(answers, server, "/iris/predict", row))
        assert {200} == {get().status_code for get in gets[:5]}
        assert before["ledger"] == server.get("/models/iris").json()["ledger"]
        assert "Traceback" not in server.read_log()


def test_a_start_without_its_journal_says_why(trained_home: Path, tmp_path: Path) -> None:
    """In one sentence, and without the password."""
    home = Path(shutil.copytree(trained_home, tmp_path / "home", symlinks=True))
    url = f"postgresql://user:{PASSWORD}@127.0.0.1:1/journal"
    done = run("bentoml", "serve", ".", "--port", str(free_port()), home=home, database_url=url)
    said = (done.stdout + done.stderr).strip()

    assert 0 != done.returncode
    assert "the journal does not answer" in said
    assert "refused" in said
    assert PASSWORD not in said
    assert 1 == len(said.splitlines())


class Disk:
    """A folder that can be filled up: a file system of its own, or a limit where none may be mounted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.mounted = disks.mount(folder, "4m")

    def fill(self, server: Server) -> None:
        """Leave no room."""
        if not self.mounted:
            self._limit(server, (self.folder / "journal.db-wal").stat().st_size)
            return
        disks.fill(self.folder)

    def free(self, server: Server) -> None:
        """Make room again."""
        disks.free(self.folder)
        if not self.mounted:
            self._limit(server, resource.RLIM_INFINITY)

    def _limit(self, server: Server, size: int) -> None:
        for worker in server.workers:
            _, most = resource.prlimit(worker.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (size, most))

    def close(self) -> None:
        """Give the file system up."""
        if self.mounted:
            subprocess.run(["umount", str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A small disk for a journal."""
    disk = Disk(tmp_path / "disk")
    yield disk
    disk.close()


def test_a_full_disk_is_503_until_there_is_room(
    trained_home: Path, tmp_path: Path, disk: Disk, row: dict[str, Any]
) -> None:
    """With no room for the journal: 503 at once, /livez answers; once there is room, all is well."""
    home = Path(shutil.copytree(trained_home, tmp_path / "home", symlinks=True))
    url = f"sqlite:///{disk.folder / 'journal.db'}"
    with Server(home, workers=1, database_url=url) as server:
        acknowledged = [predict(server, row) for _ in range(100)]
        requests = requests_of(server, row, acknowledged[0])
        disk.fill(server)
        eventually(lambda: not answers(server, "/iris/predict", row))
        del requests["feedback"], requests["feedback_batch"]  # one label may still find room
        waited = Waited()
        waited.ask(server, requests)
        waited.assert_short()
        assert 200 == server.get(f"/iris/predictions/{acknowledged[0]}").status_code
        assert counted(server, "prediction_journal_failures_total") >= 2
        disk.free(server)
        eventually(partial(answers, server, "/iris/predict", row))
        label = {"prediction_id": acknowledged[0], "label": "setosa"}
        assert "recorded" == server.post("/iris/feedback", label).json().get("status")
        acknowledged += [predict(server, row) for _ in range(10)]
        assert "Traceback" not in server.read_log()

    recorded = {each for (each,) in query(url, "SELECT prediction_id FROM predictions")}
    assert set(acknowledged) <= recorded
    assert [("ok",)] == query(url, "PRAGMA integrity_check")
