"""Hosts in this process: each has a home of its own; they share a PostgreSQL and a store of artefacts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from models_store import store
from models_store.spec import Spec
from models_store.store import Version
from prediction.artifacts.bucket import Bucket
from prediction.artifacts.exchange import Exchange, key_of
from prediction.journal.database import Journal
from prediction.serving import preparing
from prediction.serving.runtime import Runtime
from tests.buckets import S3
from tests.databases import Postgres, opened
from tests.serving.test_predictor import copy_version


@dataclass
class Host:
    """One host with a worker, which follows the ledger when it is told to."""

    specs: dict[str, Spec]
    home: Path
    journal: Journal
    bucket: Bucket
    exchange: Exchange = field(init=False)
    worker: Runtime = field(init=False)

    def __post_init__(self) -> None:
        self.exchange = Exchange(self.home, self.bucket)
        self.worker = Runtime(self.specs, self.home, self.journal, exchange=self.exchange)

    def prepare(self) -> None:
        """Start, up to the workers."""
        preparing.prepare(self.specs, self.home, self.journal, [], exchange=self.exchange)

    def version(self) -> str:
        """Return the version of iris that its worker serves, or nothing."""
        serving = self.worker._serving.get("iris")
        return serving.predictor.version.version if serving else ""

    def candidate(self) -> Version:
        """Save another version of iris, as a training does."""
        return copy_version(store.newest(self.home, "iris"), self.home, lambda _: None)


@dataclass
class Hosts:
    """A host with a trained model, and one with an empty home."""

    first: Host
    empty: Host

    @property
    def bucket(self) -> Bucket:
        """What they share."""
        return self.first.bucket

    def spoil(self, version: Version, content: bytes) -> None:
        """Put another content in the place of a published version."""
        key = key_of(version.model, version.version, version.digest)
        self.bucket.delete(key)
        path = self.first.home / "spoilt"
        path.write_bytes(content)
        self.bucket.put(key, path)


def iris_home(trained_home: Path, home: Path) -> Path:
    """Make a home with the trained versions of iris, and nothing else."""
    shutil.copytree(trained_home / "models" / "iris", home / "models" / "iris", symlinks=True)
    return home


@pytest.fixture
def hosts(
    specs: dict[str, Spec], trained_home: Path, tmp_path: Path, s3: S3, postgres: Postgres
) -> Iterator[Hosts]:
    """Two hosts; the first one has started, so its champion is published."""
    iris = {"iris": specs["iris"]}
    bucket = Bucket(f"s3://models/{tmp_path.name}")
    with postgres.database() as url, opened(url) as journal, closing(Journal(url)) as other:
        first = Host(iris, iris_home(trained_home, tmp_path / "first"), journal, bucket)
        first.prepare()
        first.worker.follow()
        yield Hosts(first, Host(iris, tmp_path / "empty", other, bucket))


def counted(metric: str, **labels: str) -> float:
    """Return a counter of this process."""
    return REGISTRY.get_sample_value(metric, labels) or 0
