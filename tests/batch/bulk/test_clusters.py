"""Runs on a Dask cluster: the same parts, and what may happen to its scheduler and its workers."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme

from models_store import catalog, store
from models_store.errors import InvalidInput, UnknownVersion
from models_store.spec import Spec
from prediction import settings
from prediction.artifacts import exchange
from prediction.batch.bulk import clusters, runs
from prediction.batch.bulk.clusters import Cluster
from prediction.batch.bulk.places import OutputFolder
from prediction.batch.bulk.running import GivenUp
from prediction.batch.bulk.runs import Workers
from prediction.batch.bulk.units import Sizes
from prediction.batch.jobs import Summary
from prediction.errors import ClusterFailed, MissingPackage
from tests import dask_clusters, disks, scoring
from tests.batch.bulk.test_runs import digests
from tests.command_line import command
from tests.dask_clusters import Scheduler
from tests.servers import interruptible

SIZES = Sizes(rows=100, small=0)
AGAIN = "units are done: give the same command again to go on"


@pytest.fixture(scope="module")
def artifacts(module_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The store of artefacts, from which workers fetch; this process has a home with all versions."""
    folder = tmp_path_factory.mktemp("artifacts") / "store"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREDICTION_ARTIFACTS_URL", folder.as_uri())
        shared = exchange.of(settings.load())
        for model in ("iris", "penguins"):
            for version in store.versions(module_home, model):
                shared.publish(version)
        yield folder


@pytest.fixture(scope="module")
def folder(artifacts: Path, tmp_path_factory: pytest.TempPathFactory, specs: dict[str, Spec]) -> Path:
    """Twenty row groups, two of them with a refused row; a unit each."""
    folder = tmp_path_factory.mktemp("in")
    frame = scoring.random_frame(specs["iris"], 2_000)
    frame.loc[[7, 1_500], "petal_width_cm"] = 99.0
    frame.to_parquet(folder / "rows.parquet", row_group_size=100)
    return folder


@pytest.fixture(scope="module")
def scored(folder: Path, specs: dict[str, Spec], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run in threads of this process, which is that of any processes. To be read only."""
    target = tmp_path_factory.mktemp("scored") / "out"
    score_here(specs["iris"], folder, target)
    return target


@pytest.fixture(scope="module")
def scheduler(artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """A scheduler with two workers, each with an empty home of its own."""
    with Scheduler(tmp_path_factory.mktemp("dask")) as found:
        with ThreadPoolExecutor(2) as starting:
            homes = [tmp_path_factory.mktemp("home") for _ in range(2)]
            nannies = starting.map(lambda home: found.work(home, artifacts_url=artifacts.as_uri()), homes)
        found.nannies = list(nannies)
        yield found


@pytest.fixture(scope="module")
def lonely(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    """A scheduler without workers, and without this project."""
    with Scheduler(tmp_path_factory.mktemp("lonely"), bare=True) as found:
        yield found


def score_here(spec: Spec, rows: Path, target: Path) -> None:
    """Score files in small units in a thread of this process."""
    with ThreadPoolExecutor(1) as executor:
        runs.score(spec, [rows], OutputFolder(target), workers=Workers(executor), sizes=SIZES)


def score(
    spec: Spec,
    rows: Path,
    target: Path,
    scheduler: Scheduler,
    watch: Callable[[Summary, float], None] | None = None,
) -> Summary:
    """Score files in small units on a cluster."""
    workers = Workers(dask=scheduler.address, outstanding=4)
    return runs.score(spec, [rows], OutputFolder(target), workers=workers, sizes=SIZES, watch=watch)


def test_a_store_that_is_away_ends_a_run_that_goes_on_later(
    scheduler: Scheduler, artifacts: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """No worker can fetch the version; once the store is back, each fetches it by its digest."""
    scoring.random_frame(specs["penguins"], 200).to_parquet(tmp_path / "rows.parquet")
    away = artifacts.rename(artifacts.with_name("away"))

    try:
        with pytest.raises(UnknownVersion, match=f"nor in the store of artefacts; 0 of 1 {AGAIN}"):
            score(specs["penguins"], tmp_path / "rows.parquet", tmp_path / "out", scheduler)
    finally:
        shutil.rmtree(artifacts, ignore_errors=True)
        away.rename(artifacts)
    summary = score(specs["penguins"], tmp_path / "rows.parquet", tmp_path / "out", scheduler)
    assert (200, {}) == (summary.rows, summary.failed)


def test_parts_are_those_of_one_process_though_a_worker_dies(
    scheduler: Scheduler, folder: Path, scored: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """Byte for byte; its unit is scored by another one."""
    killed = list[int]()

    def kill(*_: object) -> None:
        if not killed:
            killed.append(dask_clusters.kill_worker(scheduler.nannies[0]))

    summary = score(specs["iris"], folder, tmp_path / "out", scheduler, kill)

    assert (2_000, 2, {}) == (summary.rows, summary.refused, summary.failed)
    assert killed
    assert digests(scored) == digests(tmp_path / "out")


def test_an_executor_of_dask_is_like_any_other(
    scheduler: Scheduler, folder: Path, scored: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """As `Client.get_executor` makes it."""
    import distributed

    with distributed.Client(scheduler.address, set_as_default=False) as client:
        workers, output = Workers(client.get_executor(pure=False)), OutputFolder(tmp_path / "out")
        runs.score(specs["iris"], [folder], output, workers=workers, sizes=SIZES)

    assert digests(scored) == digests(tmp_path / "out")


def test_a_worker_without_room_is_set_aside(
    scheduler: Scheduler,
    artifacts: Path,
    folder: Path,
    scored: Path,
    tmp_path: Path,
    specs: dict[str, Spec],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It can't fetch the version; the others do its work, and a line says why."""
    with disks.small(tmp_path / "disk", "1m"):
        disks.fill(tmp_path / "disk")
        nanny = scheduler.work(tmp_path / "disk", artifacts_url=artifacts.as_uri())
        with caplog.at_level(logging.WARNING):
            score(specs["iris"], folder, tmp_path / "out", scheduler)
        dask_clusters.kill(nanny)

    assert digests(scored) == digests(tmp_path / "out")
    (line,) = [each.getMessage() for each in caplog.records if "set aside" in each.getMessage()]
    assert "has no room for a version of iris: make room" in line


def test_a_stopped_run_goes_on(
    scheduler: Scheduler, folder: Path, scored: Path, tmp_path: Path, module_home: Path
) -> None:
    """Ctrl+C cancels what the cluster has not begun."""
    (tmp_path / "in").mkdir()
    for number in range(150):
        os.link(folder / "rows.parquet", tmp_path / "in" / f"{number}.parquet")
    rows, target = str(tmp_path / "in"), f"{tmp_path / 'out'}/"
    command = ("python", "-m", "prediction", "score", "iris", rows, target)
    run = interruptible(*command, "--dask", scheduler.address, home=module_home)
    while run.poll() is None and not list((tmp_path / "out").glob("part-*")):
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    said = run.communicate(timeout=60)
    assert 130 == run.returncode, said
    assert "loop score: interrupted; " in said[1]
    assert f"of 150 {AGAIN}\n" in said[1]
    assert 1 == said[1].count("\n")

    with clusters.connect(scheduler.address) as cluster:
        count(cluster)
        before = len(list((tmp_path / "out").glob("part-*")))
        assert 0 < before < 150
        (spec,) = catalog.select(["iris"])
        output, workers = OutputFolder(tmp_path / "out"), Workers(cluster)
        summary = runs.score(spec, [tmp_path / "in"], output, workers=workers)
    assert (300_000, 2_000 * before) == (summary.rows, summary.rows_before)


def count(cluster: Cluster) -> int:
    """Wait until both workers answer: what they had begun is then done."""
    return sum(each.result(60) is None for each in [cluster.submit(time.sleep, 0.2) for _ in range(2)])


def test_a_cluster_may_demand_certificates(
    module_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, specs: dict[str, Spec]
) -> None:
    """The command reads its own from Dask's variables; without them it says so."""
    scoring.random_frame(specs["iris"], 300).to_parquet(tmp_path / "rows.parquet")
    ca, pem = trustme.CA(), tmp_path / "node.pem"
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(pem)
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TLS__CA_FILE", str(tmp_path / "ca.pem"))
    for role, kind in itertools.product(("SCHEDULER", "WORKER", "CLIENT"), ("CERT", "KEY")):
        monkeypatch.setenv(f"DASK_DISTRIBUTED__COMM__TLS__{role}__{kind}", str(pem))
    with Scheduler(tmp_path, protocol="tls") as scheduler:
        scheduler.work(module_home, "--no-nanny")
        names = str(tmp_path / "rows.parquet"), f"{tmp_path / 'out'}/"
        asked = ("score", "iris", *names, "--dask", scheduler.address)
        done = command(module_home, *asked)
        monkeypatch.delenv("DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT")
        refused = command(module_home, *asked)

    assert scheduler.address.startswith("tls://")
    assert 0 == done.returncode, done.stderr
    assert (tmp_path / "out" / "part-00000.parquet").is_file()
    assert 1 == refused.returncode
    assert f"{scheduler.address} needs certificates: set DASK_DISTRIBUTED__COMM__TLS__CA" in refused.stderr


# ----------------------------------------------------------------------------- clusters that can't be used


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("scheduler", "the address of a scheduler must be such as tcp://scheduler:8786"),
        ("tcp://user:secret@scheduler:8786", "the address of a scheduler must be such as"),
        ("tls://127.0.0.1:1", r"tls://127\.0\.0\.1:1 needs certificates: set DASK_DISTRIBUTED"),
        ("tcp://127.0.0.1:1", r"no scheduler answers at tcp://127\.0\.0\.1:1: .*: start `dask scheduler`"),
    ],
)
def test_an_address_of_no_scheduler_is_said_in_a_sentence(address: str, words: str) -> None:
    """Without what may be a password."""
    with pytest.raises((InvalidInput, ClusterFailed), match=words), clusters.connect(address, 1):
        pass


def test_a_scheduler_that_hangs_is_left_in_time(lonely: Scheduler) -> None:
    """It takes connections, and answers nothing."""
    lonely.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    words = f"no scheduler answers at {lonely.address}: TimeoutError: start `dask scheduler` there"
    try:
        with pytest.raises(ClusterFailed, match=words), clusters.connect(lonely.address, 1):
            pass
    finally:
        lonely.process.send_signal(signal.SIGCONT)
    assert time.monotonic() - began < 10


def test_without_the_package_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra."""
    monkeypatch.setitem(sys.modules, "distributed", None)

    words = r"Dask needs distributed, which is not installed here: run `pip install '.*\[dask\]'`"
    with pytest.raises(MissingPackage, match=words), clusters.connect("tcp://127.0.0.1:1", 1):
        pass


def test_a_cluster_without_workers_is_said_in_a_sentence(lonely: Scheduler) -> None:
    """After some patience: a cluster may start them only now."""
    words = f"no worker of {lonely.address} has answered within 1 s: start one by `dask worker"
    with pytest.raises(ClusterFailed, match=words), clusters.connect(lonely.address, 1):
        pass


def test_a_worker_without_the_project_is_said_in_a_sentence(lonely: Scheduler, tmp_path: Path) -> None:
    """It can't import the functions."""
    refused(
        lonely,
        tmp_path,
        "can't run the functions of this release: there is no prediction here: start schedulers and",
        PYTHONPATH=str(dask_clusters.without_project(tmp_path)),
    )


def test_a_worker_of_other_versions_is_said_in_a_sentence(lonely: Scheduler, tmp_path: Path) -> None:
    """Its parts would have other bytes."""
    (tmp_path / "path" / "pyarrow-1.0.dist-info").mkdir(parents=True)
    text = "Metadata-Version: 2.1\nName: pyarrow\nVersion: 1.0\n"
    (tmp_path / "path" / "pyarrow-1.0.dist-info" / "METADATA").write_text(text)
    refused(
        lonely, tmp_path, r"the worker \S+ has pyarrow 1\.0, and this", PYTHONPATH=str(tmp_path / "path")
    )


def refused(scheduler: Scheduler, home: Path, words: str, **variables: str) -> None:
    """Check that a cluster with one odd worker is refused."""
    worker = scheduler.work(home, "--no-nanny", variables=variables)
    try:
        with pytest.raises(ClusterFailed, match=words), clusters.connect(scheduler.address):
            pass
    finally:
        dask_clusters.kill(worker)


def test_a_scheduler_that_dies_ends_a_run_that_goes_on_later(
    lonely: Scheduler,
    folder: Path,
    scored: Path,
    tmp_path: Path,
    module_home: Path,
    specs: dict[str, Spec],
) -> None:
    """Here in threads of this process, by the same plan."""
    lonely.work(module_home, "--no-nanny")

    def kill(*_: object) -> None:
        lonely.process.kill()

    words = rf"the connection to {lonely.address} is lost; \d+ of 20 {AGAIN}"
    with pytest.raises(InvalidInput, match=words):
        score(specs["iris"], folder, tmp_path / "out", lonely, kill)

    score_here(specs["iris"], folder, tmp_path / "out")
    assert digests(scored) == digests(tmp_path / "out")


def test_a_call_is_cancelled_or_answered(scheduler: Scheduler) -> None:
    """An answer that is on its way then changes nothing; an exception comes back as its text."""
    with clusters.connect(scheduler.address) as cluster:
        waiting: list[Future[None]] = [cluster.submit(time.sleep, 0.1) for _ in range(3)]
        assert waiting[0].cancel()
        assert [True, False, False] == [each.cancelled() for each in waiting]
        assert [None, None] == [each.result(60) for each in waiting[1:]]
        with pytest.raises(RuntimeError, match="ValueError: invalid literal"):
            cluster.submit(int, "x").result(60)


def test_a_unit_that_kills_its_workers_is_given_up(scheduler: Scheduler) -> None:
    """Dask does not let it kill all of them. The last test here: its workers are gone."""
    words = "has died: it may need more memory"
    with clusters.connect(scheduler.address) as cluster, pytest.raises(GivenUp, match=words):
        cluster.submit(dask_clusters.die).result(60)
