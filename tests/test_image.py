"""The image, built and run for real: one volume, read-only, upgraded, retrained in, ended, killed.

Needs podman, runc and mmdebstrap, which `.ci/run` installs.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from models_store import store
from models_store.spec import Spec
from tests import containers, manifests, servers
from tests.containers import BASE, Container, started
from tests.servers import Server
from tests.timing import eventually

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(containers.missing()), reason=f"not installed: {containers.missing()}"),
]

IMAGE = "localhost/prediction:of-tests"
NEWER = "localhost/prediction:newer-of-tests"


@pytest.fixture(scope="module")
def home(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose champion of iris is not its newest version, and the image of its champions."""
    home = tmp_path_factory.mktemp("image") / "home"
    shutil.copytree(trained_home, home, symlinks=True)
    done = servers.run("python", "train.py", "iris", "--seed", "7", "--no-promote", home=home)
    assert 0 == done.returncode, done.stderr
    containers.make_base(home)
    containers.build(home, IMAGE)
    return home


@pytest.fixture
def volume(home: Path) -> Iterator[str]:
    """A fresh volume."""
    name = "prediction-of-tests"
    containers.run(home, "podman", "volume", "rm", "--force", name)
    containers.run(home, "podman", "volume", "create", name)
    yield name
    containers.run(home, "podman", "volume", "rm", "--force", name)


@pytest.fixture
def container(home: Path, volume: str) -> Iterator[Container]:
    """The image on a fresh volume."""
    with started(home, IMAGE, volume, name="prediction-of-tests") as running:
        yield running


def champion(container: Container, model: str = "iris") -> str:
    """Return who answers."""
    return str(container.get(f"/models/{model}")["champion"])


def test_it_serves_the_champions_it_was_built_of(
    container: Container, home: Path, specs: dict[str, Spec]
) -> None:
    """Not the newest version, which was never promoted; at once, on an empty volume."""
    newest, promoted = store.versions(home, "iris")

    assert promoted.version == champion(container)
    assert [promoted.version] == [item["version"] for item in container.get("/models/iris")["versions"]]
    for name, spec in specs.items():
        answer = container.post(f"/{name}/predict", spec.example)
        assert set(spec.target.texts) == set(answer.get("probabilities", ()))
        assert container.client.get(f"/dashboard?model={name}").status_code == 200
    assert len(container.client.get("/dashboard/plotly.js").content) > 1_000_000
    assert newest.version not in container.execute("ls", "/data/models/iris")


def test_it_is_small_and_has_no_tools(container: Container, home: Path) -> None:
    """No compiler, no git, none of the tests; at most 650 MB more than its base; not root."""
    found = container.execute(
        "sh", "-c", "for tool in gcc cc make git pytest; do command -v $tool; done; id -un"
    )

    assert "bentoml" == found.strip()
    assert containers.size_mb(home, IMAGE) - containers.size_mb(home, BASE) <= 650
    container.execute("python", "-c", "import ctypes; ctypes.CDLL('libgomp.so.1')")  # for LightGBM


def test_it_is_ready_as_soon_as_outside(
    home: Path, volume: str, trained_home: Path, tmp_path: Path
) -> None:
    """In less than twice the time, both with two workers and a home that has served before."""
    outside = Path(shutil.copytree(trained_home, tmp_path / "home", symlinks=True))
    inside_seconds, outside_seconds = [], []
    for _ in range(5):  # other programs may have delayed one of them
        began = time.monotonic()
        with Server(outside):
            outside_seconds.append(time.monotonic() - began)
        with started(home, IMAGE, volume, name="prediction-of-tests") as running:
            inside_seconds.append(running.ready_seconds)
        if min(inside_seconds) < 2 * min(outside_seconds):
            return
    pytest.fail(f"inside {inside_seconds} s, outside {outside_seconds} s")


def test_commands_in_it_see_the_servers_store(container: Container) -> None:
    """`loop train` swaps the server, and `status` shows what it serves."""
    first = champion(container)

    container.execute("loop", "train", "iris", "--seed", "3")

    eventually(lambda: champion(container) != first and container.get("/models/iris")["agree"])
    status = container.execute("env", "COLUMNS=160", "loop", "status", "iris")
    assert champion(container) in status
    assert "2 workers" in status


def test_nothing_is_lost_by_a_restart_or_a_newer_image(
    home: Path, volume: str, specs: dict[str, Spec]
) -> None:
    """Retrained inside, ended, started as another image: versions, champion and journal stay."""
    name = "prediction-of-tests"
    with started(home, IMAGE, volume, name=name) as running:
        answer = running.post("/iris/predict", specs["iris"].example)
        label = {"prediction_id": answer["prediction_id"], "label": "setosa"}
        running.post("/iris/feedback", label)
        run_id = running.post("/iris/retrain", {"force": True}, 202)["run_id"]
        eventually(lambda: running.get(f"/iris/runs/{run_id}")["finished_at"] is not None, 120)
        before = running.get("/models/iris")
        assert 0 == running.stop()
    assert 0 == servers.run("python", "train.py", "iris", "--seed", "11", home=home).returncode
    containers.build(home, NEWER)
    newer = store.newest(home, "iris").version

    with started(home, NEWER, volume, name=name) as running:
        after = running.get("/models/iris")
        assert before["champion"] == after["champion"]
        assert before["ledger"] == after["ledger"]
        assert {newer, *versions(before)} == set(versions(after))
        story = running.client.get(
            f"/iris/predictions/{answer['prediction_id']}",
            headers={"Authorization": "Bearer a-token-of-tests"},
        )
        assert "setosa" in story.text
        running.post("/iris/promote", {"version": newer, "reason": "the new image"})
        running.post("/iris/rollback", {"reason": "and back"})

    with started(home, NEWER, volume, "--env", "PREDICTION_PROMOTE_BAKED=true", name=name) as running:
        assert before["champion"] == champion(running)  # it was champion before: going back lasts


def versions(model: dict[str, Any]) -> list[str]:
    """Return the versions of a model as `/models/{model}` lists them."""
    return [item["version"] for item in model["versions"]]


def test_a_killed_worker_is_replaced(container: Container, specs: dict[str, Spec]) -> None:
    """BentoML alone would go on with fewer, to the last."""
    workers = {worker["worker"] for worker in container.get("/models/iris")["workers"]}
    for worker in workers:
        container.execute("python", "-c", f"import os; os.kill({worker}, {int(signal.SIGKILL)})")

    def replaced() -> bool:
        try:
            living = {item["worker"] for item in container.get("/models/iris")["workers"]}
        except httpx.HTTPError:
            return False
        return len(living - workers) == 2

    eventually(replaced)
    container.post("/iris/predict", specs["iris"].example)


def test_it_drains_and_ends_with_0(container: Container) -> None:
    """On SIGTERM, soon."""
    began = time.monotonic()

    assert 0 == container.stop()
    assert time.monotonic() - began < 20


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a folder of root")
def test_it_runs_as_a_pod_does(home: Path, tmp_path: Path, specs: dict[str, Spec]) -> None:
    """A claim of root's that its group may write to, /tmp and nothing else, and no token."""
    (pod,) = (each for each in manifests.rendered("one") if each["kind"] == "Deployment")
    rights = pod["spec"]["template"]["spec"]["securityContext"]
    claim = tmp_path / "claim"
    claim.mkdir()
    os.chown(claim, 0, rights["fsGroup"])
    claim.chmod(0o2775)
    options = (
        "--read-only-tmpfs=false", "--tmpfs", "/tmp", "--security-opt", "no-new-privileges",
        "--user", f"{rights['runAsUser']}:{rights['runAsGroup']}", "--env", "PREDICTION_ADMIN_TOKEN=",
    )  # fmt: skip

    with started(home, IMAGE, str(claim), *options, name="prediction-of-tests") as running:
        running.post("/iris/predict", specs["iris"].example)
        running.post("/iris/retrain", {"force": True}, 403)
        running.execute("loop", "train", "iris", "--seed", "7")
        running.execute("python", "-m", "prediction", "retrain", "iris", "--force")
        assert 0 == running.stop()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a folder of root")
def test_a_volume_that_is_not_ours_ends_in_one_sentence(home: Path, tmp_path: Path) -> None:
    """A bind mount that root owns: which folder, which user, and no traceback."""
    foreign = tmp_path / "foreign"
    foreign.mkdir(mode=0o755)

    with (
        pytest.raises(AssertionError, match="does not answer") as error,
        started(home, IMAGE, str(foreign), name="prediction-foreign"),
    ):
        pass

    told = str(error.value)
    assert "Traceback" not in told
    assert "/data can't be written to by user 1034" in told
