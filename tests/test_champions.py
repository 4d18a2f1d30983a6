"""Which champion is served: swaps under load, promotions at once, and champions that are broken."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from models_store import store
from models_store.spec import Spec
from models_store.store import Version
from prediction.journal import ledger
from prediction.journal.database import Journal
from prediction.journal.ledger import NewChampion
from prediction.retraining import training
from tests import databases, swapping
from tests.databases import Postgres
from tests.servers import Server, problem
from tests.serving.test_predictor import copy_version
from tests.swapping import TOKEN
from tests.test_loop import ADMIN, ENDED, champion, post
from tests.timing import eventually

postgres = databases.postgres


@pytest.fixture(scope="module")
def server(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose champions the tests break, and mend."""
    home = tmp_path_factory.mktemp("broken") / "home"
    shutil.copytree(trained_home, home, symlinks=True)
    with Server(home, admin_token=TOKEN) as running:
        yield running


def test_swaps_under_load_never_fail_a_request(home: Path) -> None:
    """Four workers, many swaps: every answer is good, has its version's numbers, and is counted once.

    `python -m benchmarks.loop` does fifty of them.
    """
    shown = swapping.swap_under_load(home, swaps=8, pause_seconds=0.01)

    assert ([], []) == (shown.failures, shown.wrong)
    answered = Counter(shown.versions)
    assert 3 == len(answered)
    assert answered == shown.counted == shown.monitored
    assert 8 == len(shown.seconds)


def test_promotions_at_once_have_one_order_and_all_workers_end_at_the_last(
    server: Server, specs: dict[str, Spec]
) -> None:
    """32 clients promote two versions at the same moment: each entry follows the one before.

    A client that finds its version promoted already gets 409, and no entry.
    """
    first = champion(server)
    other = training.save(training.train(specs["iris"], seed=1), server.home).version
    before = len(server.get("/models/iris?limit=1000").json()["ledger"])

    def promote(number: int) -> int:
        body = {"version": other if number % 2 else first, "reason": str(number)}
        return server.client.post("/iris/promote", json=body, headers=ADMIN).status_code

    with ThreadPoolExecutor(32) as pool:
        statuses = list(pool.map(promote, range(32)))

    made = [str(number) for number, status in enumerate(statuses) if status == 200]
    ledger = server.get("/models/iris?limit=1000").json()["ledger"]
    assert {200, 409} >= set(statuses)
    assert sorted(made) == sorted(entry["reason"] for entry in ledger[: len(ledger) - before])
    assert [entry["from"] for entry in ledger[:-1]] == [entry["to"] for entry in ledger[1:]]
    assert [] == [entry for entry in ledger if entry["from"] == entry["to"]]
    assert ledger[0]["to"] == champion(server)
    if other == champion(server):
        post(server, "/iris/promote", {"version": first, "reason": "as before"})
    assert first == champion(server)
    again = server.client.post("/iris/promote", json={"version": first, "reason": "again"}, headers=ADMIN)
    assert f"{first} is the champion of iris already" in problem(again, 409)["error"]


# --------------------------------------------------------------------------------- broken champions


def truncate(version: Version) -> str:
    """Leave half of the graph."""
    onnx = version.path / store.ONNX
    onnx.write_bytes(onnx.read_bytes()[: onnx.stat().st_size // 2])
    return version.digest


def change_a_byte(version: Version) -> str:
    """Flip one bit in the middle of the pipeline."""
    pipeline = version.path / store.PIPELINE
    content = bytearray(pipeline.read_bytes())
    content[len(content) // 2] ^= 1
    pipeline.write_bytes(content)
    return version.digest


def lose_a_file(version: Version) -> str:
    """Delete the graph."""
    (version.path / store.ONNX).unlink()
    return version.digest


def lose_everything(version: Version) -> str:
    """Delete the whole version."""
    shutil.rmtree(version.path)
    return version.digest


def change_an_answer(version: Version) -> str:
    """Expect another answer to a golden request, in a version whose every digest is right."""
    golden = version.path / store.GOLDEN
    content = json.loads(golden.read_bytes())
    content["probabilities"][0].reverse()
    golden.write_text(json.dumps(content))
    manifest = version.path / store.MANIFEST
    listed = json.loads(manifest.read_bytes())
    listed["files"][store.GOLDEN] = hashlib.sha256(golden.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(listed))
    return hashlib.sha256(manifest.read_bytes()).hexdigest()


def disown(_: Version) -> str:
    """Leave the version as it is; the ledger vouches for another digest."""
    return "0" * 64


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncate, "model.onnx was changed after it was saved"),
        (change_a_byte, "saved_model.pkl was changed after it was saved"),
        (lose_a_file, "model.onnx"),
        (lose_everything, "is not in the model store"),
        (change_an_answer, "gives other answers to its golden requests"),
        (disown, "is not the one that was promoted"),
    ],
)
def test_a_broken_champion_is_never_served(
    damage: Callable[[Version], str], words: str, server: Server, specs: dict[str, Spec]
) -> None:
    """The old one answers, workers stay ready, and `/models`, a counter and the log say what is wrong."""
    spec, first, counted = specs["iris"], champion(server), failures(server)
    broken = training.save(training.train(spec, seed=1), server.home)
    digest = damage(broken)
    journal = Journal(f"sqlite:///{server.home / 'journal.db'}")
    ledger.promote(journal, NewChampion("iris", broken.version, digest, by="a test", reason="breaks"))
    journal.close()

    eventually(lambda: failures(server) >= counted + 2)  # both workers tried
    state = server.get("/models/iris").json()

    assert broken.version == state["champion"]
    assert (False, {first}) == (state["agree"], {worker["version"] for worker in state["workers"]})
    assert first == post(server, "/iris/predict", spec.example)["version"]
    assert 200 == server.get("/readyz").status_code
    told = [line for line in server.read_log().splitlines() if broken.version in line]
    assert words in "".join(told)
    post(server, "/iris/promote", {"version": first, "reason": "mended"})
    assert first == champion(server)


class Started(Server):
    """A server that is let run although it may not be ready."""

    def _is_ready(self) -> bool:
        return self.client.get("/readyz").status_code in (200, 503)


def test_a_start_without_a_champion_that_loads_is_503_with_the_reason(
    home: Path, specs: dict[str, Spec]
) -> None:
    """Of the broken model only; `/readyz` has the shape of all errors, and `/livez` is 200."""
    truncate(store.newest(home, "iris"))
    with Started(home) as started:
        broken = started.post("/iris/predict", specs["iris"].example)
        whole = started.post("/penguins/predict", specs["penguins"].example)
        ready = started.get("/readyz")

        assert 503 == broken.status_code
        assert "model.onnx was changed after it was saved" in broken.json()["error"]
        assert (200, 200) == (whole.status_code, started.get("/livez").status_code)
        assert (503, "1") == (ready.status_code, ready.headers["Retry-After"])
        assert {"error", "detail"} == set(ready.json())
        assert "/models" in ready.json()["error"]


def test_a_rotten_champion_is_passed_over_until_it_is_mended(home: Path, specs: dict[str, Spec]) -> None:
    """A start on a champion whose file is damaged serves the last good one, says so, and mends itself."""
    good = store.newest(home, "iris")
    bad = copy_version(good, home, lambda _: None)
    journal = Journal(f"sqlite:///{home / 'journal.db'}")
    ledger.promote(journal, NewChampion("iris", bad.version, bad.digest, by="test", reason="because"))
    journal.close()
    graph = bad.path / store.ONNX
    whole = graph.read_bytes()
    graph.write_bytes(whole[:100] + b"rot" + whole[103:])

    with Server(home, workers=1) as server:
        answer = server.post("/iris/predict", specs["iris"].example)
        model = server.get("/models/iris").json()
        log = server.read_log()
        graph.write_bytes(whole)
        assert bad.version == champion(server)
        mended = server.post("/iris/predict", specs["iris"].example)

    assert (200, good.version) == (answer.status_code, answer.json()["version"])
    assert (bad.version, False) == (model["champion"], model["agree"])
    assert {good.version} == {worker["version"] for worker in model["workers"]}
    assert f"iris:{bad.version}: {store.ONNX} was changed after it was saved" in log
    assert "Traceback" not in log
    assert (200, bad.version) == (mended.status_code, mended.json()["version"])


def failures(server: Server) -> float:
    """Return how often a champion of iris could not be loaded."""
    prefix = 'prediction_version_load_failures_total{model="iris"} '
    lines = server.get("/metrics").text.splitlines()
    return sum(float(line.removeprefix(prefix)) for line in lines if line.startswith(prefix))


# ------------------------------------------------------------------------------------- several hosts


def test_two_servers_on_one_journal_retrain_once(
    trained_home: Path, tmp_path: Path, postgres: Postgres
) -> None:
    """Two homes, one PostgreSQL: both are asked at once, again and again, and there is one run."""
    homes = [tmp_path / name for name in ("one", "two")]
    for each in homes:
        shutil.copytree(trained_home, each, symlinks=True)
    with (
        postgres.database() as url,
        Server(homes[0], database_url=url, admin_token=TOKEN, workers=1) as one,
        Server(homes[1], database_url=url, admin_token=TOKEN, workers=1) as two,
    ):
        together = threading.Barrier(8)

        def ask(number: int) -> str:
            together.wait()
            run = post((one, two)[number % 2], "/penguins/retrain", {"force": True}, 202)
            return str(run["run_id"])

        with ThreadPoolExecutor(8) as pool:
            asked = set(pool.map(ask, range(8)))

        assert 1 == len(asked)
        (run_id,) = asked
        assert [run_id] == [run["run_id"] for run in two.get("/penguins/runs").json()["runs"]]
        eventually(lambda: two.get(f"/penguins/runs/{run_id}").json()["status"] in ENDED, 200)
        ended = one.get(f"/penguins/runs/{run_id}").json()
        assert ended["status"] in ("promoted", "rejected"), ended
