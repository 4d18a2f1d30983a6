"""Three hosts that need no volume, behind nginx: they share one PostgreSQL and one S3 server.

The tests build on each other's cluster, and each leaves it with the hosts that it found, or one more.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from models_store import catalog, store
from prediction.retraining import training
from tests import buckets, clusters, databases
from tests.buckets import KEY, S3, SECRET
from tests.clusters import Clients, Cluster
from tests.databases import PASSWORD, Postgres, query
from tests.swapping import noise
from tests.test_behind_a_proxy import NGINX
from tests.test_loop import ENDED
from tests.timing import eventually

s3 = buckets.s3
postgres = databases.postgres
pytestmark = [pytest.mark.skipif(NGINX is None, reason="needs nginx"), pytest.mark.timeout(900)]
SWAP_SECONDS = 3.0
"""Within which all hosts serve a new champion. A busy machine may take longer, but not each time."""

RETRAIN_SECONDS = 400
"""A retraining has a low priority: beside clients it waits on a machine with few cores."""


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> Iterator[str]:
    """The journal of the hosts."""
    with postgres.database() as made:
        yield made


@pytest.fixture(scope="module")
def cluster(
    trained_home: Path, tmp_path_factory: pytest.TempPathFactory, s3: S3, url: str
) -> Iterator[Cluster]:
    """Three hosts that run; two of them began with an empty home."""
    folder = tmp_path_factory.mktemp("cluster")
    settings = {"database_url": url, "artifacts_url": "s3://models/cluster", "min_outcomes": 20}
    with clusters.running(trained_home, folder, 3, **settings) as made:
        yield made


@pytest.fixture
def clients(cluster: Cluster) -> Clients:
    """Clients of nginx."""
    return Clients(cluster.url)


def test_empty_homes_serve_what_one_host_has_trained(cluster: Cluster) -> None:
    """They have fetched it, and nothing was trained there."""
    champion = cluster.champion()

    assert cluster.agree(champion)
    for number in (1, 2):
        home = cluster.servers[number].home
        assert [champion] == [each.version for each in store.versions(home, "iris")]
        assert f"serving {champion}" in cluster.servers[number].read_log()


def test_all_hosts_follow_and_no_request_fails(cluster: Cluster, clients: Clients, url: str) -> None:
    """Promoted on one host, rolled back on another one, retrained on a third: every answer is counted."""
    first = cluster.champion()
    spec = catalog.load()["iris"]
    home = cluster.servers[0].home
    second = training.save(training.train(spec, 1, examples=noise(spec, 1)), home).version
    before = cluster.counted()
    with clients.busy():
        cluster.post(0, "/iris/promote", {"version": second, "reason": "a swap"})
        seconds = [cluster.seconds_to(second)]
        cluster.post(1, "/iris/rollback", {"reason": "back"})
        seconds.append(cluster.seconds_to(first))
        eventually(lambda: clients.labelled > 60)
        asked = [cluster.post(number, "/iris/retrain", {"force": True}) for number in (2, 0, 1)]
        assert 1 == len({run["run_id"] for run in asked})
        path = f"/iris/runs/{asked[0]['run_id']}"
        eventually(lambda: cluster.any.get(path).json()["status"] in ENDED, RETRAIN_SECONDS)
        run = cluster.any.get(path).json()
        assert "promoted" == run["status"], run
        seconds.append(cluster.seconds_to(run["candidate"]))
        clients.go_on()

    assert [] == clients.failed()
    assert {first, second, run["candidate"]} == set(clients.answered())
    assert clients.answered() == cluster.counted() - before
    assert min(seconds) <= SWAP_SECONDS, seconds
    for number in (0, 1):
        log = cluster.servers[number].read_log()
        assert f"iris:{run['candidate']} was prefetched from the store of artefacts" in log
    assert_monitored(cluster, url)


def assert_monitored(cluster: Cluster, url: str) -> None:
    """Assert that each host's figures are those of the journal."""
    rows = dict(query(url, "SELECT version, count(*) FROM predictions GROUP BY version"))
    ((labels,),) = query(url, "SELECT count(*) FROM feedback")
    for server in cluster.servers.values():
        found = server.get("/iris/monitoring?window=24h").json()["versions"]
        assert rows == {each["version"]: each["predictions"] for each in found if each["predictions"]}
        assert labels == sum(each["outcomes"] for each in found)


def test_a_killed_host_takes_only_its_requests_along(cluster: Cluster, clients: Clients, url: str) -> None:
    """Those that begin afterwards are answered by the others, and the host comes back."""
    with clients.busy():
        killed = cluster.servers.pop(1)
        began = time.monotonic()
        killed.kill()
        ended = time.monotonic()
        clients.go_on(200)
        cluster.start(1)
        clients.go_on()

    assert [] == [each for each in clients.failed() if each.began > ended or each.ended < began]
    assert len(clients.failed()) <= clients.count
    eventually(lambda: cluster.agree(cluster.champion()))
    assert_monitored(cluster, url)


def test_an_empty_host_joins_under_load(cluster: Cluster, clients: Clients) -> None:
    """It fetches the champion before it is ready, and then nginx sends it requests."""
    with clients.busy():
        added = cluster.start(3)
        eventually(lambda: clusters.counted(added).total() > 0)
    champion = cluster.champion()

    assert [] == clients.failed()
    assert {champion} == set(clients.answered()) == set(clusters.counted(added))
    eventually(lambda: cluster.agree(champion))


def test_each_host_restarts_in_turn(cluster: Cluster, clients: Clients, url: str) -> None:
    """As an upgrade does it: no request fails."""
    with clients.busy():
        for number in sorted(cluster.servers):
            assert 0 == cluster.servers.pop(number).stop()
            cluster.start(number)
            clients.go_on()

    assert [] == clients.failed()
    eventually(lambda: cluster.agree(cluster.champion()))
    assert_monitored(cluster, url)


def test_no_secret_is_in_a_log_or_a_metric(cluster: Cluster) -> None:
    """Neither of the S3 server nor of PostgreSQL."""
    for server in cluster.servers.values():
        shown = server.log.read_text() + server.get("/metrics").text + server.get("/models").text
        assert not [secret for secret in (KEY, SECRET, PASSWORD) if secret in shown]
