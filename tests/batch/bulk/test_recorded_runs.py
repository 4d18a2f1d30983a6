"""Runs whose rows are recorded: once, however often a run is cut, and labelled by the ids in its parts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from models_store import store
from models_store.errors import InvalidInput
from models_store.spec import Spec
from prediction import batch
from prediction.batch.bulk import runs
from prediction.batch.bulk.places import OutputFolder
from prediction.batch.bulk.runs import Workers
from prediction.batch.bulk.units import Sizes
from prediction.batch.files import Unwritable
from prediction.batch.jobs import Summary
from prediction.errors import InvalidSettings
from prediction.journal import feedback
from prediction.journal.database import Journal
from prediction.journal.feedback import Label
from tests import databases
from tests.dask_clusters import Scheduler
from tests.scoring import random_frame

journal_url = databases.journal_url
journal = databases.journal

ROWS = 1_000
SIZES = Sizes(bytes=1, rows=300, small=0)
BROKEN = 2
"""The unit whose part can't be written."""


@pytest.fixture
def home(module_home: Path, journal_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that runs only read; the journal is elsewhere."""
    monkeypatch.setenv("PREDICTION_DATABASE_URL", journal_url)
    return module_home


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory, specs: dict[str, Spec]) -> Path:
    """A file of four units; one row is refused."""
    path = tmp_path_factory.mktemp("in") / "rows.parquet"
    frame = random_frame(specs["iris"], ROWS)
    frame.loc[700, "petal_width_cm"] = 99.0
    frame.to_parquet(path, row_group_size=250)
    return path


def run(home: Path, spec: Spec, rows: Path, target: Path, journal: bool = True) -> Summary:
    """Score the file in small units, one after the other."""
    version = store.newest(home, "iris").version
    with ThreadPoolExecutor(1) as pool:
        workers = Workers(pool, outstanding=1)
        output = OutputFolder(target)
        return runs.score(
            spec, [rows], output, version=version, workers=workers, sizes=SIZES, journal=journal
        )


def recorded(url: str) -> list[str]:
    """Return the ids in the journal."""
    return [each for (each,) in databases.query(url, "SELECT prediction_id FROM predictions")]


def ids(target: Path) -> list[str]:
    """Return the ids in the parts."""
    parts = pd.concat(map(pd.read_parquet, sorted(target.glob("part-*"))))
    return list(parts["prediction_id"])


def contents(target: Path) -> dict[str, bytes]:
    """Return the bytes of each part."""
    return {path.name: path.read_bytes() for path in target.glob("part-*")}


def test_rows_are_recorded_once_however_often_a_run_is_cut(
    home: Path, journal: Journal, journal_url: str, rows: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """Rows of a unit without a part are there already when it is scored again, and have the same ids."""
    target = tmp_path / "out"
    blocker = target / f"part-{BROKEN:05d}.parquet"
    blocker.mkdir(parents=True)
    (blocker / "file").touch()
    for _ in range(2):
        with pytest.raises(Unwritable, match="2 of 4 units are done"):
            run(home, specs["iris"], rows, target)
        assert 749 == len(recorded(journal_url))  # the rows of three units, one of them without a part
    shutil.rmtree(blocker)
    summary = run(home, specs["iris"], rows, target)

    assert (ROWS, 1) == (summary.rows, summary.refused)
    assert ROWS - 1 == len(set(ids(target)))
    assert sorted(ids(target)) == sorted(recorded(journal_url))
    label = Label(ids(target)[600], "setosa")
    assert ["recorded", "unchanged"] == feedback.give(journal, "iris", [label, label])


def test_a_plan_gives_the_same_ids_anywhere(
    home: Path, journal_url: str, rows: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """So the bytes of parts do not depend on which worker scores a unit, and when."""
    run(home, specs["iris"], rows, tmp_path / "out")
    (tmp_path / "again").mkdir()
    shutil.copy(tmp_path / "out" / "plan.json", tmp_path / "again")
    run(home, specs["iris"], rows, tmp_path / "again")
    run(home, specs["iris"], rows, tmp_path / "other")

    assert contents(tmp_path / "out") == contents(tmp_path / "again")
    assert set(ids(tmp_path / "out")).isdisjoint(ids(tmp_path / "other"))
    assert 2 * (ROWS - 1) == len(recorded(journal_url))


@pytest.mark.parametrize("journal_url", ["sqlite"], indirect=True)
def test_a_run_goes_on_as_it_began(home: Path, rows: Path, tmp_path: Path, specs: dict[str, Spec]) -> None:
    """A part of its rows in the journal would be of no use."""
    run(home, specs["iris"], rows, tmp_path / "recorded")
    run(home, specs["iris"], rows, tmp_path / "silent", journal=False)

    with pytest.raises(InvalidInput, match="a run of rows that are recorded in the journal"):
        run(home, specs["iris"], rows, tmp_path / "recorded", journal=False)
    with pytest.raises(InvalidInput, match="a run of rows that are not recorded in the journal"):
        run(home, specs["iris"], rows, tmp_path / "silent")


class Elsewhere(Executor):
    """An executor whose workers may be on other machines."""

    def submit(self, call: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Call a function at once."""
        future: Future[Any] = Future()
        future.set_result(call(*arguments, **named))
        return future


def test_workers_elsewhere_record_on_postgresql_only(
    home: Path, journal_url: str, rows: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """Each machine would write into a SQLite file of its own."""
    version = store.newest(home, "iris").version

    def score() -> Any:
        return batch.score(
            "iris", rows, tmp_path / "out/", version=version, journal=True, executor=Elsewhere()
        )

    if journal_url.startswith("sqlite"):
        with pytest.raises(InvalidInput, match="PREDICTION_DATABASE_URL"):
            score()
        with pytest.raises(InvalidInput, match="PREDICTION_DATABASE_URL"):
            batch.score("iris", rows, tmp_path / "out/", journal=True, dask="tcp://127.0.0.1:1")
        assert not (tmp_path / "out").exists()
    else:
        assert ROWS == score().rows
        assert ROWS - 1 == len(recorded(journal_url))


@pytest.mark.parametrize("journal_url", ["postgresql"], indirect=True)
def test_a_cluster_records_in_the_journal_of_the_run_only(
    home: Path, journal_url: str, rows: Path, tmp_path: Path, specs: dict[str, Spec]
) -> None:
    """A worker that was started with another database is set aside, and another one gets its units."""
    with Scheduler(tmp_path) as scheduler:
        scheduler.work(home, database_url=f"sqlite:///{tmp_path}/elsewhere.db")
        version = store.newest(home, "iris").version

        def score() -> Summary:
            return runs.score(
                specs["iris"],
                [rows],
                OutputFolder(tmp_path / "out"),
                version=version,
                workers=Workers(dask=scheduler.address),
                sizes=SIZES,
                journal=True,
            )

        with pytest.raises(InvalidSettings, match="records rows on sqlite, and this run on postgresql"):
            score()
        assert [] == recorded(journal_url)
        scheduler.work(home, database_url=journal_url)
        assert ROWS == score().rows

    assert sorted(ids(tmp_path / "out")) == sorted(recorded(journal_url))
