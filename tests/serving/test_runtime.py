"""A worker: the versions that it serves, swaps, damaged versions, and periodic work."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from models_store import catalog, store
from models_store.errors import NothingTrained, UnknownModel, UnknownVersion
from models_store.spec import Features, Spec
from models_store.store import Version
from prediction.errors import JournalUnavailable, NotReady
from prediction.journal import ledger, predictions, workers
from prediction.journal.database import Journal
from prediction.journal.ledger import NewChampion
from prediction.journal.predictions import CHUNK_ROWS, Prediction
from prediction.serving import preparing
from prediction.serving.runtime import Runtime, Task
from tests.serving.test_predictor import MorePenguinFeatures, change_json, copy_version
from tests.timing import eventually, turns


@pytest.fixture
def journal(home: Path) -> Iterator[Journal]:
    """An empty, migrated journal in the home."""
    for path in home.glob("journal.db*"):
        path.unlink()
    journal = Journal(f"sqlite:///{home / 'journal.db'}")
    journal.migrate()
    yield journal
    journal.close()


@pytest.fixture
def served(specs: dict[str, Spec], home: Path, journal: Journal) -> Iterator[Runtime]:
    """A runtime that has loaded nothing yet, on a home that is prepared."""
    preparing.prepare(specs, home, journal, [])
    served = Runtime(specs, home, journal)
    yield served
    served.stop()


def another(home: Path, name: str = "iris") -> Version:
    """Publish a second version of a model, the same as the first but in name."""
    return copy_version(store.newest(home, name), home, lambda _: None)


def promote(journal: Journal, version: Version) -> None:
    """Promote a version as a person would."""
    ledger.promote(
        journal, NewChampion(version.model, version.version, version.digest, by="test", reason="because")
    )


def damage(version: Version) -> bytes:
    """Change one byte of a version's graph, and return what was there."""
    path = version.path / store.ONNX
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    return good


def rows(served: Runtime, name: str = "iris", count: int = 1) -> list[Features]:
    """Make valid rows."""
    spec = served.specs[name]
    return [spec.rows.object(spec.example)] * count


def predict(served: Runtime, name: str = "iris", count: int = 1) -> list[Prediction]:
    """Answer rows of one model."""
    return asyncio.run(served.predict(name, rows(served, name, count)))


def version_of(served: Runtime, name: str = "iris") -> str:
    """Return the version that answers."""
    return predict(served, name)[0].version


def counted(metric: str, **labels: str) -> float:
    """Return a counter of this process."""
    return REGISTRY.get_sample_value(metric, labels) or 0


# --------------------------------------------------------------------------------- before the workers


def test_a_first_start_promotes_the_newest(specs: dict[str, Spec], home: Path, journal: Journal) -> None:
    """With an empty ledger the newest version of every model becomes its champion."""
    newest = another(home)

    preparing.prepare(specs, home, journal, [])

    champions = ledger.champions(journal)
    assert set(specs) == set(champions)
    assert (newest.version, newest.digest) == (champions["iris"].to_version, champions["iris"].digest)
    assert ("server", "first start", None) == (
        champions["iris"].by,
        champions["iris"].reason,
        champions["iris"].from_version,
    )


def test_a_later_start_leaves_the_champion(specs: dict[str, Spec], home: Path, journal: Journal) -> None:
    """A restart does not promote a version that was only saved."""
    preparing.prepare(specs, home, journal, [])
    before = ledger.champions(journal)
    another(home)

    preparing.prepare(specs, home, journal, [])

    assert before == ledger.champions(journal)
    assert 1 == len(ledger.entries(journal, "iris", limit=10))


def test_a_start_without_tables_makes_them(specs: dict[str, Spec], home: Path) -> None:
    """Preparing migrates the journal."""
    fresh = Journal(f"sqlite:///{home / 'fresh.db'}")

    preparing.prepare(specs, home, fresh, [])

    assert set(specs) == set(ledger.champions(fresh))
    fresh.close()


def test_versions_of_a_bento_are_adopted(
    specs: dict[str, Spec], trained_home: Path, tmp_path: Path
) -> None:
    """Versions in a Bento's own store are copied into an empty home, and served from there."""
    home = tmp_path / "empty"
    home.mkdir()
    baked = [store.newest(trained_home, name).path for name in specs]
    journal = Journal(f"sqlite:///{home / 'journal.db'}")

    preparing.prepare(specs, home, journal, baked)
    served = Runtime(specs, home, journal)
    served.start()

    assert {path.name for path in baked} == {item.to_version for item in ledger.champions(journal).values()}
    assert baked[0].name == version_of(served)
    served.stop()


@pytest.mark.parametrize("promote_baked", [False, True])
def test_a_newer_version_of_a_bento_is_promoted_only_if_it_is_wanted(
    promote_baked: bool, specs: dict[str, Spec], home: Path, journal: Journal, tmp_path: Path
) -> None:
    """It is adopted either way; it takes over once only, so that going back from it lasts."""
    preparing.prepare(specs, home, journal, [])
    first = ledger.champions(journal)["iris"].to_version
    baked = copy_version(store.newest(home, "iris"), tmp_path / "bento", lambda _: None).path

    preparing.prepare(specs, home, journal, [baked], promote_baked)

    expected = baked.name if promote_baked else first
    assert expected == ledger.champions(journal)["iris"].to_version
    assert {first, baked.name} == {item.version for item in store.versions(home, "iris")}
    if promote_baked:
        assert "came with the image" == ledger.champions(journal)["iris"].reason
        ledger.roll_back(journal, ledger.champion_before(journal, "iris"), by="a test", reason="worse")
        preparing.prepare(specs, home, journal, [baked], promote_baked)
        assert first == ledger.champions(journal)["iris"].to_version


def test_a_version_of_the_home_itself_is_not_promoted_as_one_of_an_image(
    specs: dict[str, Spec], home: Path, journal: Journal
) -> None:
    """Outside a Bento what is "baked" is the newest of the home itself: it waits to be promoted."""
    preparing.prepare(specs, home, journal, [])
    first = ledger.champions(journal)["iris"].to_version

    preparing.prepare(specs, home, journal, [another(home).path], promote_baked=True)

    assert first == ledger.champions(journal)["iris"].to_version


def test_a_second_adoption_changes_nothing(specs: dict[str, Spec], home: Path, journal: Journal) -> None:
    """A version that is in the home already stays unchanged."""
    version = store.newest(home, "iris")

    for _ in range(2):
        preparing.prepare(specs, home, journal, [version.path])

    assert [version.version] == [item.version for item in store.versions(home, "iris")]


@pytest.mark.parametrize("untrained", list(catalog.load()))
def test_a_model_without_a_version_ends_the_start(
    specs: dict[str, Spec], home: Path, journal: Journal, untrained: str
) -> None:
    """The error names the model that was never trained, and the command that trains it."""
    shutil.rmtree(home / "models" / untrained)

    with pytest.raises(NothingTrained, match=rf"{untrained} .* `loop train {untrained}`"):
        preparing.prepare(specs, home, journal, [])


# ------------------------------------------------------------------------------------- what is served


def test_a_worker_serves_every_champion(served: Runtime, specs: dict[str, Spec], home: Path) -> None:
    """After its start a worker is ready and answers for every model with its champion."""
    assert not served.ready
    served.start()

    assert served.ready
    for name in specs:
        assert store.newest(home, name).version == version_of(served, name)


def test_answers_are_recorded(served: Runtime, journal: Journal) -> None:
    """An answered prediction is in the journal and is counted."""
    served.start()
    version = version_of(served)
    labels = {"model": "iris", "version": version, "predicted_class": "setosa"}
    before = counted("prediction_predictions_total", **labels)

    answers = predict(served, count=3)

    assert answers == [predictions.find(journal, str(answer.prediction_id)) for answer in answers]
    assert before + 3 == counted("prediction_predictions_total", **labels)


def test_a_large_batch_leaves_the_loop_to_others(served: Runtime) -> None:
    """While 10,000 rows are scored and recorded, the event loop is not blocked."""
    served.start()

    async def main() -> int:
        async with turns() as made:
            answers = await served.predict("penguins", rows(served, "penguins", 10_000))
        assert 10_000 == len({answer.prediction_id for answer in answers})
        return made[0]

    assert asyncio.run(main()) >= 10_000 / CHUNK_ROWS / 2


def test_a_promotion_is_followed(served: Runtime, home: Path, journal: Journal) -> None:
    """The new version answers, and the journal has the version of the worker."""
    served.start()
    old = version_of(served)
    new = another(home)
    promote(journal, new)
    swaps = counted("prediction_swaps_total", model="iris")

    served.follow()

    assert old != version_of(served)
    assert new.version == version_of(served)
    assert swaps + 1 == counted("prediction_swaps_total", model="iris")
    (row,) = workers.reported_since(journal, "iris", 0)
    assert (socket.gethostname(), os.getpid(), new.version) == (row.host, row.worker, row.version)


def test_what_wants_a_version_gets_it_or_no_answer(served: Runtime, home: Path, journal: Journal) -> None:
    """After a swap the version before is refused, and nothing is recorded for it."""
    served.start()
    old = served.version("iris").version
    asyncio.run(served.predict("iris", rows(served), old))
    new = another(home)
    promote(journal, new)
    served.follow()

    with pytest.raises(UnknownVersion, match=f"only the champion is, which is {new.version}"):
        asyncio.run(served.predict("iris", rows(served), old))
    answered = asyncio.run(served.predict("iris", rows(served), new.version))

    assert [new.version] == [item.version for item in answered]
    with closing(sqlite3.connect(home / "journal.db")) as connection:
        recorded = connection.execute("SELECT version FROM predictions ORDER BY seq").fetchall()
    assert [(old,), (new.version,)] == recorded


def test_a_running_worker_follows_a_promotion(served: Runtime, home: Path, journal: Journal) -> None:
    """It swaps within a few seconds, and back."""
    served.start()
    old, new = store.newest(home, "iris"), another(home)

    for version in (new, old):
        promote(journal, version)
        eventually(lambda wanted=version.version: wanted == version_of(served))  # type: ignore[misc]


def test_every_answer_has_one_version_while_swapping(served: Runtime, home: Path, journal: Journal) -> None:
    """Under load, swaps fail no request, and no batch is answered by two versions."""
    served.start()
    before = store.newest(home, "iris")
    pair = [another(home), before]
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for version in pair:
                promote(journal, version)
                served.follow()

    async def main() -> set[str]:
        seen: set[str] = set()
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            requests = (served.predict("iris", rows(served, count=count)) for count in (1, 5, 100))
            batches = await asyncio.wait_for(asyncio.gather(*requests), 10)
            for batch in batches:
                assert 1 == len({answer.version for answer in batch})
                seen.add(batch[0].version)
        return seen

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        seen = asyncio.run(main())
    finally:
        stop.set()
        swapper.join()

    assert {version.version for version in pair} == seen


def test_a_worker_reports_and_signs_off(served: Runtime, specs: dict[str, Spec], journal: Journal) -> None:
    """The journal says what a worker serves while it runs, and forgets it when it ends."""
    served.start()
    for name in specs:
        (row,) = workers.reported_since(journal, name, 0)
        assert version_of(served, name) == row.version
        assert abs(time.time() * 1e6 - row.since_us) < 60e6

    served.stop()

    assert [] == [row for name in specs for row in workers.reported_since(journal, name, 0)]


def test_a_ledger_may_have_models_that_are_not_in_the_catalog(
    specs: dict[str, Spec], home: Path, journal: Journal
) -> None:
    """A model that was removed from the catalog is not served; the others are."""
    preparing.prepare(specs, home, journal, [])
    served = Runtime({"iris": specs["iris"]}, home, journal)
    served.start()

    assert served.ready
    with pytest.raises(UnknownModel, match="the models are iris"):
        asyncio.run(served.predict("penguins", []))
    served.stop()


# ------------------------------------------------------------------------------- what can't be served


def test_a_damaged_champion_leaves_the_old_one(served: Runtime, home: Path, journal: Journal) -> None:
    """A damaged version is never served: the old version still answers, and the failure is counted."""
    served.start()
    old, new = version_of(served), another(home)
    damage(new)
    promote(journal, new)
    failures = counted("prediction_version_load_failures_total", model="iris")
    since = [row.since_us for row in workers.reported_since(journal, "iris", 0)]

    served.follow()

    assert old == version_of(served)
    assert since == [row.since_us for row in workers.reported_since(journal, "iris", 0)]
    assert served.ready
    assert failures + 1 == counted("prediction_version_load_failures_total", model="iris")
    assert [old] == [row.version for row in workers.reported_since(journal, "iris", 0)]


def test_a_deleted_champion_leaves_the_old_one(served: Runtime, home: Path, journal: Journal) -> None:
    """A champion that is not in the store does not replace the version in use."""
    served.start()
    old, new = version_of(served), another(home)
    promote(journal, new)
    shutil.rmtree(new.path)

    served.follow()

    assert old == version_of(served)


def test_a_repaired_champion_is_served(served: Runtime, home: Path, journal: Journal) -> None:
    """It is loaded without a new promotion."""
    served.start()
    new = another(home)
    good = damage(new)
    promote(journal, new)
    served.follow()

    (new.path / store.ONNX).write_bytes(good)
    served.follow()

    assert new.version == version_of(served)


def test_a_first_start_with_a_damaged_champion_serves_the_last_good_one(
    served: Runtime, home: Path, journal: Journal
) -> None:
    """It is the newest champion of the ledger that can be loaded."""
    good = store.newest(home, "iris")
    for version in (another(home), another(home)):
        promote(journal, version)
        damage(version)

    served.start()

    assert served.ready
    assert good.version == version_of(served)


def test_a_worker_with_only_damaged_versions_is_not_ready(
    served: Runtime, home: Path, journal: Journal
) -> None:
    """Requests for that model get the reason; other models are answered."""
    only = store.newest(home, "iris")
    good = damage(only)

    served.start()

    assert not served.ready
    with pytest.raises(NotReady, match=f"{only.version}.*{store.ONNX}"):
        predict(served)
    assert 1 == len(predict(served, "penguins"))

    (only.path / store.ONNX).write_bytes(good)
    served.follow()
    assert served.ready
    assert only.version == version_of(served)


def test_clients_get_the_reason_of_the_champion_and_the_log_has_it_once(
    served: Runtime, home: Path, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    """Older champions are tried too, again each second, and fail for other reasons."""
    damage(store.newest(home, "iris"))
    champion = another(home)
    promote(journal, champion)
    (champion.path / store.ONNX).unlink()

    with caplog.at_level("ERROR", logger="bentoml.prediction"):
        for _ in range(3):
            served.follow()

    with pytest.raises(NotReady, match=f"{champion.version}.*can't be read"):
        predict(served)
    assert 2 == len(caplog.records)


def test_another_reason_is_shown_and_logged_again(
    served: Runtime, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A version that fails twice in one way and then in another one is logged twice."""
    only = store.newest(home, "iris")
    damage(only)

    with caplog.at_level("ERROR", logger="bentoml.prediction"):
        served.follow()
        served.follow()
        (only.path / store.ONNX).unlink()
        served.follow()

    with pytest.raises(NotReady, match=r"model\.onnx can't be read"):
        predict(served)
    assert [True, True] == [only.version in record.message for record in caplog.records]


def test_the_log_names_the_version_that_fails_and_the_one_that_answers(
    served: Runtime, home: Path, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    """The model is still served, by the version before."""
    served.start()
    old, champion = version_of(served), another(home)
    promote(journal, champion)
    (champion.path / store.ONNX).unlink()

    with caplog.at_level("ERROR", logger="bentoml.prediction"):
        served.follow()

    said = f"iris:{champion.version} is not served, {old} still answers: "
    assert any(said in record.message for record in caplog.records)


def test_a_worker_reports_a_model_that_it_can_t_serve(
    served: Runtime, home: Path, journal: Journal
) -> None:
    """The model is reported without a version."""
    damage(store.newest(home, "iris"))

    served.start()

    assert [""] == [row.version for row in workers.reported_since(journal, "iris", 0)]


def test_a_version_with_an_unexpected_error_stops_no_other_model(
    served: Runtime, home: Path, journal: Journal
) -> None:
    """The old version is still served, and new champions of other models are loaded."""
    served.start()
    old = version_of(served)
    strange = copy_version(store.newest(home, "iris"), home, change_json(store.PROFILE, lambda _: {}))
    promote(journal, strange)
    newer = another(home, "penguins")
    promote(journal, newer)

    served.follow()

    assert (old, newer.version) == (version_of(served), version_of(served, "penguins"))
    assert counted("prediction_version_load_failures_total", model="iris") > 0


def test_before_its_start_a_worker_is_not_ready(served: Runtime) -> None:
    """A request that comes before the first load gets the advice to try again."""
    with pytest.raises(NotReady, match="try again"):
        predict(served)


def test_the_error_for_an_unknown_model_lists_the_known_ones(served: Runtime) -> None:
    """They are the models of the catalog."""
    served.start()

    with pytest.raises(UnknownModel, match=", ".join(served.specs)):
        asyncio.run(served.predict("tulips", []))


def test_an_edited_spec_stops_no_other_model(specs: dict[str, Spec], home: Path, journal: Journal) -> None:
    """A model whose schema was changed after its training is not ready; other models are served."""
    preparing.prepare(specs, home, journal, [])
    changed = replace(specs["penguins"], features=MorePenguinFeatures)
    served = Runtime({**specs, "penguins": changed}, home, journal)

    served.start()

    assert 1 == len(predict(served, "iris"))
    with pytest.raises(NotReady, match="penguins"):
        predict(served, "penguins")
    served.stop()


# ------------------------------------------------------------------------------- when the journal fails


def unusable(home: Path) -> Path:
    """Put the journal's tables away, and return where they are."""
    away = home / "away.db"
    with closing(sqlite3.connect(home / "journal.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (home / "journal.db").replace(away)
    for path in home.glob("journal.db-*"):
        path.unlink()
    return away


def test_a_worker_starts_without_the_journal_and_serves_once_it_is_back(
    specs: dict[str, Spec], home: Path, journal: Journal
) -> None:
    """A journal that does not answer leaves a worker unready, and nothing more."""
    preparing.prepare(specs, home, journal, [])
    journal.close()
    away = unusable(home)
    served = Runtime(specs, home, journal)

    served.start()
    assert not served.ready

    journal.close()
    for path in home.glob("journal.db*"):
        path.unlink()
    away.replace(home / "journal.db")
    eventually(lambda: served.ready)
    assert 1 == len(predict(served))
    served.stop()


@pytest.mark.parametrize("required", [True, False])
def test_an_answer_that_can_t_be_recorded_is_refused_or_has_no_id(
    specs: dict[str, Spec], home: Path, journal: Journal, required: bool
) -> None:
    """A required journal that fails is an error; one that is not gives answers without an id."""
    preparing.prepare(specs, home, journal, [])
    served = Runtime(specs, home, journal, journal_required=required)
    served.start()
    with closing(sqlite3.connect(home / "journal.db")) as connection:
        connection.execute("ALTER TABLE predictions RENAME TO put_away")
    counted_before = counted("prediction_unrecorded_total", model="iris")

    if required:
        with pytest.raises(JournalUnavailable):
            predict(served)
    else:
        answers = predict(served, count=2)
        assert [None, None] == [answer.prediction_id for answer in answers]
        assert "setosa" == answers[0].predicted_class
        assert counted_before + 2 == counted("prediction_unrecorded_total", model="iris")
    served.stop()


def test_periodic_work_that_fails_is_counted_and_done_again(served: Runtime) -> None:
    """A task that raises is run again, and other tasks are not affected."""
    done = {"bad": 0, "good": 0}

    def bad() -> None:
        done["bad"] += 1
        raise ValueError("on purpose")

    def good() -> None:
        done["good"] += 1

    before = counted("prediction_background_failures_total", task="bad")
    served.start([Task("bad", 0.05, bad), Task("good", 0.05, good)])
    eventually(lambda: min(done.values()) >= 3)
    served.stop()

    assert before + done["bad"] == counted("prediction_background_failures_total", task="bad")


def test_work_that_fails_is_logged_once_for_each_reason(
    served: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """Not at each try, of which there are some a second; then one line says that it works again."""
    caplog.set_level("INFO", "bentoml.prediction")
    tries = 0

    def fail() -> None:
        nonlocal tries
        tries += 1
        if tries <= 6:
            raise ValueError("early" if tries <= 3 else "late")

    served.start([Task("odd", 0.01, fail)])
    eventually(lambda: tries > 7)
    served.stop()

    assert [
        "periodic work odd failed: ValueError: early",
        "periodic work odd failed: ValueError: late",
        "periodic work odd works again",
    ] == [message for message in caplog.messages if " odd " in message]


def test_a_long_task_does_not_delay_a_swap(served: Runtime, home: Path, journal: Journal) -> None:
    """The ledger is followed in a thread of its own."""
    begun, swapped = threading.Event(), threading.Event()

    def long() -> None:
        begun.set()
        assert swapped.wait(60)

    served.start([Task("long", 0.01, long)])
    assert begun.wait(60)
    new = another(home)
    promote(journal, new)
    eventually(lambda: new.version == version_of(served))
    swapped.set()

    served.stop()


def test_a_worker_ends_even_if_the_journal_fails(served: Runtime, home: Path, journal: Journal) -> None:
    """Stopping never raises and never hangs."""
    served.start()
    with closing(sqlite3.connect(home / "journal.db")) as connection:
        connection.execute("DROP TABLE workers")

    started = time.monotonic()
    served.stop()

    assert time.monotonic() - started < 20
