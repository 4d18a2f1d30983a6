"""Hosts of the release before, behind nginx, become hosts of this release in turn, under load."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from models_store import store
from tests import buckets, clusters, databases
from tests.buckets import S3
from tests.clusters import ADMIN, TOKEN, Clients
from tests.databases import Postgres, query
from tests.servers import PROJECT, Server, free_port
from tests.test_behind_a_proxy import NGINX
from tests.test_releases import BEFORE, EARLIER, HOME, KNOWN, unpack
from tests.timing import eventually

s3 = buckets.s3
postgres = databases.postgres
pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx")


RETRIED = "error timeout non_idempotent"
"""A host of release 0.1 closes its connections at once when it ends: nginx asks another host again."""


class Hosts:
    """Hosts by number, of either release, on one journal. Only those of this release share versions."""

    def __init__(self, folder: Path, stack: ExitStack, journal_url: str) -> None:
        self.folder = folder
        self.ports = [free_port() for _ in range(3)]
        self.running: dict[int, Server] = {}
        self._stack = stack
        self._settings = {"database_url": journal_url, "admin_token": TOKEN, "workers": 1}
        (folder / "catalog").mkdir()
        for name in KNOWN:
            shutil.copy(PROJECT / "models_store" / "catalog" / f"{name}.py", folder / "catalog")

    def start(self, number: int, home: Path, release: Path, **settings: Any) -> Server:
        """Start a host; if its number runs already, that one ends first."""
        if number in self.running:
            assert 0 == self.running[number].stop()
        given = {**self._settings, **settings}
        server = Server(home, "service:prediction", cwd=release, port=self.ports[number], **given)
        self.running[number] = self._stack.enter_context(server)
        return server

    def upgrade(self, number: int, home: Path, **settings: Any) -> None:
        """Start a host of this release under load; end when nginx asks it again.

        nginx leaves a host that failed alone for a while: the next one that ended then would be the last.
        """
        server = self.start(number, home, PROJECT, **settings)
        eventually(lambda: clusters.counted(server).total() > 0)


def test_no_request_fails(postgres: Postgres, s3: S3, tmp_path: Path) -> None:
    """Then an empty host joins, all follow a promotion, and every answer is in the journal."""
    homes = [unpack(HOME, tmp_path / name) / "home" for name in ("one", "two")]
    empty = tmp_path / "empty"
    empty.mkdir()
    before = unpack(BEFORE, tmp_path / "before")
    with ExitStack() as stack:
        url = stack.enter_context(postgres.database())
        hosts = Hosts(tmp_path, stack, url)
        clients = Clients(stack.enter_context(clusters.front(tmp_path, hosts.ports, RETRIED)))
        for number, home in enumerate(homes):
            hosts.start(number, home, before)
        shared = {"artifacts_url": "s3://models/upgrade", "catalog": hosts.folder / "catalog"}
        with clients.busy():
            for number, home in enumerate([*homes, empty]):
                hosts.upgrade(number, home, **shared)
            promotion = {"version": EARLIER, "reason": "the tests"}
            owner = hosts.running[0]
            assert 200 == owner.client.post("/iris/promote", json=promotion, headers=ADMIN).status_code
            eventually(lambda: [EARLIER] * 3 == versions(owner))
            clients.go_on()
        ((recorded,),) = query(url, "SELECT count(*) FROM predictions")

    assert [] == clients.failed()
    assert EARLIER in [each.version for each in store.versions(empty, "iris")]
    assert sum(clients.answered().values()) <= recorded


def versions(server: Server) -> list[str]:
    """Return the version of iris that each worker of all hosts serves."""
    return [worker["version"] for worker in server.get("/models/iris").json()["workers"]]
