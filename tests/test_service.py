"""The service starts, or says in one sentence why it can't. Over HTTP, on real servers."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import httpx

from models_store import store
from models_store.spec import Spec
from tests.servers import Server, free_port, run, series
from tests.timing import eventually


def refuse(home: Path, port: int = 0) -> str:
    """Run `bentoml serve`, which ends with one sentence, and return that."""
    port = port or free_port()
    done = run("bentoml", "serve", ".", "--host", "127.0.0.1", "--port", str(port), home=home)
    said = done.stdout + done.stderr

    assert done.returncode != 0
    assert "Traceback" not in said
    assert 1 == len(said.strip().splitlines())
    return said


def test_without_a_trained_model_the_start_says_what_to_do(tmp_path: Path) -> None:
    """An empty home ends the start with one sentence that names the command, and no traceback."""
    assert "run `loop train" in refuse(tmp_path)


def test_a_bad_setting_ends_the_start_with_its_name(tmp_path: Path) -> None:
    """A variable that can't be used ends the start with one sentence that names it."""
    done = run("bentoml", "serve", ".", "--port", str(free_port()), home=tmp_path, max_batch_rows="lots")
    said = done.stdout + done.stderr

    assert done.returncode != 0
    assert "PREDICTION_MAX_BATCH_ROWS" in said
    assert "Traceback" not in said


def test_a_second_server_on_a_home_leaves_the_first_alone(server: Server, specs: dict[str, Spec]) -> None:
    """A second start ends with one sentence that names the first one's process; its metrics go on."""
    server.post("/iris/predict", specs["iris"].example)
    before = {name: value for name, value in series(server).items() if name.startswith("prediction_p")}

    assert f"process {server.process.pid} serves {server.home}" in refuse(server.home)
    after = series(server)
    assert before == {name: after.get(name) for name in before}
    assert 200 == server.post("/iris/predict", specs["iris"].example).status_code


def test_a_port_that_is_taken_ends_the_start(server: Server, trained_home: Path, tmp_path: Path) -> None:
    """With one sentence that names it, and the option that gives another."""
    home = Path(shutil.copytree(trained_home, tmp_path / "home", symlinks=True))
    words = f"port {server.port} of 127.0.0.1: Address already in use: choose another one with --port"

    assert words in refuse(home, server.port)


def test_a_version_trained_beside_a_server_is_served_by_it_and_after_a_restart(
    trained_home: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """`train.py` promotes what it saves: a running server swaps to it, and a restarted one serves it."""
    home = Path(shutil.copytree(trained_home, tmp_path / "home", symlinks=True))
    old = store.newest(home, "iris").version
    seen: set[str] = set()
    with Server(home) as first:
        stop = threading.Event()

        def ask() -> None:
            with httpx.Client(base_url=first.url) as client:
                while not stop.wait(0.01):
                    answer = client.post("/iris/predict", json=specs["iris"].example)
                    assert 200 == answer.status_code
                    seen.add(answer.json()["version"])

        asking = threading.Thread(target=ask)
        asking.start()
        done = run("python", "train.py", "iris", "--seed", "7", home=home)
        assert 0 == done.returncode, done.stderr
        new = store.newest(home, "iris").version
        eventually(lambda: new in seen and first.get("/models/iris").json()["agree"])
        stop.set()
        asking.join()
    with Server(home, workers=1) as second:
        answer = second.post("/iris/predict", specs["iris"].example).json()
        ledger = second.get("/models/iris").json()["ledger"]

    assert {old, new} == seen
    assert new == answer["version"]
    assert [("train", old, new), ("train", None, old)] == [
        (item["by"], item["from"], item["to"]) for item in ledger
    ]
