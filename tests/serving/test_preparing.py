"""The start of a server that shares versions: published before the ledger names them, or not named."""

from __future__ import annotations

import logging

import pytest

from models_store import store
from models_store.errors import DamagedVersion, NothingTrained
from prediction.artifacts import bucket
from prediction.artifacts.exchange import Exchange
from prediction.errors import ArtifactsUnavailable
from prediction.journal import ledger
from prediction.journal.database import Journal
from prediction.serving import champions, preparing, versions
from tests import buckets, databases
from tests import hosts as tests_hosts
from tests.buckets import S3
from tests.hosts import Host, Hosts

s3 = buckets.s3
postgres = databases.postgres
hosts = tests_hosts.hosts


def published(host: Host) -> set[str]:
    """Return the versions of iris in the store of artefacts."""
    return {each.version for each in host.exchange.published("iris")}


def test_a_first_champion_is_published(hosts: Hosts) -> None:
    """Before the ledger has named it."""
    entry = ledger.champion(hosts.first.journal, "iris")

    assert entry is not None
    assert {entry.to_version} == published(hosts.first)


def test_an_empty_home_is_filled(hosts: Hosts) -> None:
    """Nothing was trained on that host, and its champion is there before its workers start."""
    hosts.empty.prepare()

    assert published(hosts.first) == {each.version for each in store.versions(hosts.empty.home, "iris")}
    assert 1 == len(ledger.entries(hosts.empty.journal, "iris", limit=10))


def test_an_empty_home_without_a_store_has_nothing(hosts: Hosts) -> None:
    """As before: it says what to run."""
    with pytest.raises(NothingTrained):
        preparing.prepare(hosts.empty.specs, hosts.empty.home, hosts.empty.journal, [])


def test_a_first_champion_that_can_t_be_published_is_not_named(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start ends with one sentence."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(preparing, "FIRST_SECONDS", 0.0)
    first = hosts.first
    with databases.start_postgres().database() as url, databases.opened(url) as journal:
        with pytest.raises(ArtifactsUnavailable, match=r"iris:\w+ can't be published: .*not answer"):
            preparing.prepare(first.specs, first.home, journal, [], exchange=first.exchange)
        assert {} == ledger.champions(journal)


def test_a_home_with_its_champion_starts_without_the_store(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning says that nothing is shared."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with caplog.at_level(logging.WARNING, "bentoml.prediction"):
        hosts.first.prepare()
        hosts.empty.prepare()

    assert 2 == caplog.text.count("is neither fetched nor shared: ")


def test_champions_from_before_the_setting_are_shared(hosts: Hosts) -> None:
    """The champion and the one before it, at the next start."""
    for each in hosts.first.exchange.published():
        hosts.first.exchange.delete(each)
    second = hosts.first.candidate()
    champions.promote(hosts.first.journal, hosts.first.home, "iris", second.version, by="me", reason="x")
    assert set() == published(hosts.first)

    hosts.first.prepare()

    assert {second.version, hosts.first.version()} == published(hosts.first)


def test_a_promotion_that_can_t_be_published_is_refused(
    hosts: Hosts, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is down, or hangs: one sentence, and the champion stays."""
    host, made = hosts.first, hosts.first.candidate()
    monkeypatch.setattr(bucket, "ANSWER_SECONDS", 0.5)

    def promote() -> None:
        champions.promote(
            host.journal, host.home, "iris", made.version, by="me", reason="x", exchange=host.exchange
        )

    with s3.frozen(), pytest.raises(ArtifactsUnavailable, match="does not answer"):
        promote()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(ArtifactsUnavailable, match="refuses the credentials"):
        promote()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(ArtifactsUnavailable, match=f"{made.tag} can't be published: "):
        promote()

    assert host.version() == champion(host.journal)
    assert {host.version()} == {each.to_version for each in ledger.entries(host.journal, "iris", limit=9)}


def champion(journal: Journal) -> str:
    """Return the champion of iris."""
    return ledger.champions(journal)["iris"].to_version


def test_a_rollback_needs_no_store_for_a_version_that_is_here(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was published when it was promoted, and a rollback is urgent."""
    host, made, first = hosts.first, hosts.first.candidate(), hosts.first.version()
    champions.promote(
        host.journal, host.home, "iris", made.version, by="me", reason="x", exchange=host.exchange
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    champions.roll_back(host.journal, host.home, "iris", by="me", reason="x", exchange=host.exchange)

    assert first == champion(host.journal)


def test_a_damaged_version_is_not_published(hosts: Hosts) -> None:
    """Nothing changes."""
    made = hosts.first.candidate()
    (made.path / store.ONNX).write_bytes(b"torn")

    with pytest.raises(DamagedVersion):
        hosts.first.exchange.publish(made)
    assert {hosts.first.version()} == published(hosts.first)


def test_pruning_keeps_what_is_in_use(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    """The champion, those that rollbacks restore, what workers serve, and what is about to be promoted."""
    host = hosts.first
    first, second, third, fourth = host.version(), *(host.candidate() for _ in range(3))
    for made in (second, third):
        champions.promote(
            host.journal, host.home, "iris", made.version, by="me", reason="x", exchange=host.exchange
        )
    champions.roll_back(host.journal, host.home, "iris", by="me", reason="x", exchange=host.exchange)
    host.exchange.publish(fourth)
    shared = Exchange(host.home, host.bucket)

    assert [] == versions.prune_shared(host.journal, shared, "iris", keep=0)
    monkeypatch.setattr(versions, "MOMENT", versions.MOMENT * -1)
    gone = versions.prune_shared(host.journal, shared, "iris", keep=0)

    assert {third.version, fourth.version} == {each.version for each in gone}
    assert {first, second.version} == published(host)
