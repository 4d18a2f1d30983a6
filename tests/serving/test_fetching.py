"""Workers that lack a version: fetched while the old one serves, whatever the store of artefacts does."""

from __future__ import annotations

import logging
import time
from functools import partial
from pathlib import Path

import pytest

from models_store import store
from models_store.errors import DamagedVersion, Error, UnknownVersion
from models_store.store import Version
from prediction.artifacts import bucket
from prediction.errors import ArtifactsUnavailable, Fetching
from prediction.journal import ledger, runs
from prediction.serving import champions, fetching
from prediction.serving.fetching import Fetcher
from tests import buckets, databases, disks
from tests import hosts as tests_hosts
from tests.buckets import KEY, S3, SECRET, Wire
from tests.hosts import Host, Hosts, counted, iris_home
from tests.timing import eventually

FETCHES = "prediction_artifact_fetches_total"
s3 = buckets.s3
postgres = databases.postgres
hosts = tests_hosts.hosts


def promote(host: Host, version: str) -> ledger.Entry:
    """Promote a version on a host, as an administrator would."""
    return champions.promote(
        host.journal, host.home, "iris", version, by="me", reason="why not", exchange=host.exchange
    )


def swaps(host: Host, version: str) -> bool:
    """Let the worker of a host follow, and return whether it serves a version."""
    host.worker.follow()
    return host.version() == version


def until_it_fails(fetcher: Fetcher, entry: ledger.Entry) -> Error:
    """Ask for a version until there is an answer, which is an error."""
    while True:
        try:
            fetcher.obtain(entry)
        except Fetching:
            continue
        except Error as error:
            return error


@pytest.fixture
def promoted(hosts: Hosts) -> Version:
    """A new champion that the first host has made, and that the other one lacks; the old one is there."""
    hosts.empty.prepare()
    hosts.empty.worker.follow()
    made = hosts.first.candidate()
    promote(hosts.first, made.version)
    return made


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tries follow each other at once."""
    monkeypatch.setattr(fetching, "FIRST_DELAY_SECONDS", 0.05)
    monkeypatch.setattr(fetching, "MAX_DELAY_SECONDS", 0.1)
    monkeypatch.setattr(bucket, "ANSWER_SECONDS", 1.0)


def test_a_champion_of_another_host_is_fetched_and_served(hosts: Hosts, promoted: Version) -> None:
    """An empty home gets it at its start, and each later champion when the ledger names it."""
    fetched = counted(FETCHES, model="iris", result="fetched")
    assert hosts.empty.version() == store.versions(hosts.first.home, "iris")[-1].version

    eventually(lambda: swaps(hosts.empty, promoted.version))

    assert promoted.digest == store.get(hosts.empty.home, "iris", promoted.version).digest
    assert fetched + 1 == counted(FETCHES, model="iris", result="fetched")


def test_a_worker_alone_fetches_too(hosts: Hosts) -> None:
    """The start of the server could not: the store of artefacts was down at that moment."""
    assert "" == hosts.empty.version()
    eventually(lambda: swaps(hosts.empty, hosts.first.version()))


def test_a_rollback_fetches_what_is_missing(hosts: Hosts, promoted: Version) -> None:
    """The host that rolls back lacks the champion before, and so may others."""
    eventually(lambda: swaps(hosts.empty, promoted.version))
    first = hosts.first.version()
    store.delete(hosts.empty.home, "iris", first)

    entry = champions.roll_back(
        hosts.empty.journal,
        hosts.empty.home,
        "iris",
        by="me",
        reason="worse",
        exchange=hosts.empty.exchange,
    )

    assert first == entry.to_version
    eventually(lambda: swaps(hosts.empty, first))


def test_an_earlier_champion_is_promoted_where_it_is_not(hosts: Hosts, promoted: Version) -> None:
    """The ledger has its digest. A version that it does not know is refused, whoever has published it."""
    first = hosts.first.version()
    eventually(lambda: swaps(hosts.empty, promoted.version))
    store.delete(hosts.empty.home, "iris", first)
    unknown = hosts.first.candidate()
    hosts.first.exchange.publish(unknown)

    assert first == promote(hosts.empty, first).to_version
    with pytest.raises(UnknownVersion, match="no digest to fetch it by: promote it on the host"):
        promote(hosts.empty, unknown.version)


@pytest.mark.usefixtures("quick")
def test_a_store_that_is_down_leaves_the_old_version_in_use(
    hosts: Hosts,
    promoted: Version,
    s3: S3,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is counted and logged once, tried again, and the swap comes when the store is back."""
    old, failed = hosts.empty.version(), partial(counted, FETCHES, result="unavailable")
    failures = counted("prediction_version_load_failures_total", model="iris")
    with Wire(s3.port) as wire, caplog.at_level(logging.INFO, "bentoml.prediction"):
        wire.cut()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{wire.port}")
        tried = {failed(model="iris")}
        for _ in range(3):
            eventually(lambda: swaps(hosts.empty, old) and failed(model="iris") not in tried)
            tried.add(failed(model="iris"))
        lines = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
        assert [f"iris:{promoted.version} is not served, {old} still answers"] == [
            line.partition(": the store")[0] for line in lines
        ]
        assert counted("prediction_version_load_failures_total", model="iris") >= failures + 3
        wire.connect()
        eventually(lambda: swaps(hosts.empty, promoted.version))
    assert not [secret for secret in (KEY, SECRET) if secret in caplog.text]


def test_tries_come_ever_more_slowly(
    hosts: Hosts, promoted: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that is down is not asked each second by every worker."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    entry = ledger.champion(hosts.empty.journal, "iris")
    assert entry is not None
    fetcher = hosts.empty.worker._fetcher
    delays = []
    for _ in range(8):
        assert isinstance(until_it_fails(fetcher, entry), ArtifactsUnavailable)
        fetch = fetcher._fetches[entry]
        delays.append(fetch.delay_seconds)
        fetch.next_at = 0.0

    assert [2, 4, 8, 16, 30, 30, 30, 30] == delays


@pytest.mark.usefixtures("quick")
def test_a_store_that_hangs_holds_back_no_other_model(hosts: Hosts, promoted: Version, s3: S3) -> None:
    """The worker asks again and again, and never waits longer than a moment."""
    with s3.frozen():
        longest = 0.0
        for _ in range(5):
            began = time.monotonic()
            assert not swaps(hosts.empty, promoted.version)
            longest = max(longest, time.monotonic() - began)
        assert longest < fetching.WAIT_SECONDS + 5

    eventually(lambda: swaps(hosts.empty, promoted.version))


def flip(content: bytes) -> bytes:
    """Flip one bit in the middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("cut", [False, True])
def test_a_damaged_object_is_not_served(hosts: Hosts, promoted: Version, tmp_path: Path, cut: bool) -> None:
    """The old version answers, and a good object mends it."""
    old = hosts.empty.version()
    key = f"iris/{promoted.version}/{promoted.digest}.tar"
    hosts.bucket.get(key, tmp_path / "good")
    good = (tmp_path / "good").read_bytes()
    damaged = counted(FETCHES, model="iris", result="damaged")
    hosts.spoil(promoted, good[: len(good) // 2] if cut else flip(good))

    eventually(
        lambda: swaps(hosts.empty, old) and counted(FETCHES, model="iris", result="damaged") > damaged
    )
    assert [] == [each for each in store.versions(hosts.empty.home, "iris") if each == promoted]
    hosts.spoil(promoted, good)
    eventually(lambda: swaps(hosts.empty, promoted.version))


@pytest.mark.usefixtures("quick")
def test_an_empty_host_serves_the_champion_before_if_the_champion_is_lost(
    hosts: Hosts, promoted: Version, specs: dict[str, object], tmp_path: Path
) -> None:
    """Somebody has deleted it in the store of artefacts."""
    hosts.bucket.delete(f"iris/{promoted.version}/{promoted.digest}.tar")
    new = Host(hosts.first.specs, tmp_path / "new", hosts.empty.journal, hosts.bucket)
    new.prepare()

    eventually(lambda: swaps(new, hosts.empty.version()))


@pytest.mark.usefixtures("quick")
def test_a_full_disk_leaves_the_old_version_in_use(
    hosts: Hosts, promoted: Version, trained_home: Path
) -> None:
    """Once there is room, the champion is fetched."""
    folder = hosts.empty.home.parent / "disk"
    with disks.small(folder, "2m"):
        host = Host(
            hosts.first.specs, iris_home(trained_home, folder / "home"), hosts.empty.journal, hosts.bucket
        )
        (host.home / "staging").mkdir()
        (host.home / "artifacts").mkdir()
        disks.fill(folder)
        old = hosts.first.version()
        before = counted(FETCHES, model="iris", result="no_room")
        eventually(lambda: swaps(host, old) and counted(FETCHES, model="iris", result="no_room") > before)
        disks.free(folder)
        eventually(lambda: swaps(host, promoted.version))


def test_a_candidate_of_a_run_is_prefetched(hosts: Hosts, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """The swap then needs no store of artefacts."""
    hosts.empty.prepare()
    hosts.empty.worker.follow()
    made = hosts.first.candidate()
    hosts.first.exchange.publish(made)
    run, _ = runs.request(hosts.first.journal, "iris", force=False)
    hosts.empty.worker.prefetch()
    assert [] == list((hosts.empty.home / "artifacts").glob("*.tar"))
    runs.offer(hosts.first.journal, run.run_id, made.version)

    hosts.empty.worker.prefetch()

    assert 1 == len(list((hosts.empty.home / "artifacts").glob(f"iris@{made.version}@*.tar")))
    assert hosts.first.version() == store.newest(hosts.empty.home, "iris").version
    promote(hosts.first, made.version)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    eventually(lambda: swaps(hosts.empty, made.version))  # a busy machine may unpack it for a second


def test_what_the_ledger_does_not_vouch_for_is_never_served(hosts: Hosts, promoted: Version) -> None:
    """Another version lies under the key: sound in itself, and not what was promoted."""
    other = hosts.first.candidate()
    hosts.first.exchange.publish(other)
    path = hosts.first.home / "other"
    hosts.bucket.get(f"iris/{other.version}/{other.digest}.tar", path)
    hosts.spoil(promoted, path.read_bytes())

    with pytest.raises(DamagedVersion):
        hosts.empty.exchange.obtain("iris", promoted.version, promoted.digest)
