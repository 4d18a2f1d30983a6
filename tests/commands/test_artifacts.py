"""`loop artifacts`, and the commands that publish or fetch by the way, with a folder as the store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models_store import store
from prediction.journal import ledger
from prediction.journal.database import Journal
from prediction.serving import versions
from tests import command_line, databases
from tests.command_line import Main
from tests.hosts import iris_home
from tests.serving.test_predictor import copy_version

journal = databases.journal
main = command_line.main


@pytest.fixture
def journal_url(tmp_path: Path) -> str:
    """A journal that two homes share."""
    return f"sqlite:///{tmp_path / 'shared.db'}"


@pytest.fixture
def shared(
    main: Main, journal: Journal, trained_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder as the store of artefacts; the home has a version of iris that is not promoted yet."""
    iris_home(trained_home, tmp_path)
    monkeypatch.setenv("PREDICTION_ARTIFACTS_URL", f"file://{tmp_path}/shared")
    return tmp_path / "shared"


def listed(main: Main) -> dict[str, list[str]]:
    """Return the notes of each version of iris."""
    code, output, _ = main("artifacts", "list", "iris", "--json")
    assert 0 == code
    return {each["version"]: each["notes"] for each in json.loads(output)["artifacts"]}


def test_versions_go_from_home_to_home(
    main: Main, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promoted here, listed, pulled into an empty home; there a file is scored, and one goes back."""
    first = store.newest(tmp_path, "iris").version
    second = copy_version(store.newest(tmp_path, "iris"), tmp_path, lambda _: None).version
    for version in (first, second):
        assert 0 == main("promote", "iris", version, "--reason", "x")[0]
    assert {second: ["champion", "here"], first: ["in use", "here"]} == listed(main)
    other = tmp_path / "other"
    monkeypatch.setenv("BENTOML_HOME", str(other))
    assert {second: ["champion"], first: ["in use"]} == listed(main)

    rows = tmp_path / "rows.csv"
    rows.write_text("sepal_length_cm,sepal_width_cm,petal_length_cm,petal_width_cm\n5.1,3.5,1.4,0.2\n")
    assert 0 == main("score", "iris", str(rows), str(tmp_path / "scored.csv"))[0]
    assert second in (tmp_path / "scored.csv").read_text()
    assert 0 == main("score", "iris", str(rows), str(tmp_path / "scored.csv"), "--version", first)[0]
    assert first in (tmp_path / "scored.csv").read_text()
    store.delete(other, "iris", first)
    assert 0 == main("artifacts", "pull", "iris")[0]
    assert {first, second} == {each.version for each in store.versions(other, "iris")}
    assert "was here" in main("artifacts", "pull")[1]
    store.delete(other, "iris", first)
    code, output, _ = main("rollback", "iris", "--reason", "x")
    assert (0, f"iris: {first} is the champion again; it was {second}\n") == (code, output)


def test_a_home_that_shares_for_the_first_time_pushes(
    main: Main, shared: Path, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its champion was promoted before the setting was made."""
    monkeypatch.delenv("PREDICTION_ARTIFACTS_URL")
    first = store.newest(tmp_path, "iris").version
    assert 0 == main("promote", "iris", first, "--reason", "x")[0]
    code, _, errors = main("artifacts", "list")
    assert (1, "loop artifacts: there is no store of artefacts: set PREDICTION_ARTIFACTS_URL\n") == (
        code,
        errors,
    )
    monkeypatch.setenv("PREDICTION_ARTIFACTS_URL", f"file://{shared}")
    assert "nothing to list\n" == main("artifacts", "list")[1]

    assert "published" in main("artifacts", "push")[1]
    assert "was there" in main("artifacts", "push", "iris")[1]
    assert {first: ["champion", "here"]} == listed(main)


def test_prune_deletes_what_nobody_needs(
    main: Main, shared: Path, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here a version that was rolled back; the champion stays, though it is not among the newest."""
    monkeypatch.setenv("PREDICTION_KEEP_VERSIONS", "2")
    first = store.newest(tmp_path, "iris")
    made = [copy_version(first, tmp_path, lambda _: None).version for _ in range(3)]
    assert 0 == main("promote", "iris", first.version, "--reason", "x")[0]
    for version in made:
        assert 0 == main("promote", "iris", version, "--reason", "x")[0]
        assert 0 == main("rollback", "iris", "--reason", "x")[0]
    assert "nothing to prune\n" == main("artifacts", "prune")[1]  # they are too young
    monkeypatch.setattr(versions, "MOMENT", -versions.MOMENT)

    code, output, _ = main("artifacts", "prune", "iris", "--json")

    assert (0, [made[0]]) == (code, [each["version"] for each in json.loads(output)["artifacts"]])
    assert {first.version, *made[1:]} == set(listed(main))
    assert first.version == ledger.champions(journal)["iris"].to_version


def test_a_model_that_nobody_knows_is_refused(main: Main, shared: Path) -> None:
    """The error names the models."""
    code, _, errors = main("artifacts", "pull", "tulips")

    assert 1 == code
    assert "there is no model 'tulips'" in errors


def test_train_publishes_and_does_not_train_what_can_be_fetched(
    main: Main, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make serve` on an empty home fetches the champions of the other hosts."""
    assert 0 == main("train", "iris", "--promote")[0]
    (version,) = listed(main)
    other = tmp_path / "other"
    monkeypatch.setenv("BENTOML_HOME", str(other))

    code, output, _ = main("train", "iris", "--missing")

    assert (0, "iris: the champion was fetched from the store of artefacts\n") == (code, output)
    assert [version] == [each.version for each in store.versions(other, "iris")]


def test_a_training_that_can_t_be_published_is_kept_and_not_promoted(
    main: Main, shared: Path, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says how it is promoted later."""
    shared.write_text("a file is in the place of the store")
    monkeypatch.setattr("prediction.retraining.trainings.PUBLISH_SECONDS", 0.0)

    code, _, errors = main("train", "iris", "--promote")

    newest = store.newest(tmp_path, "iris").version
    assert 1 == code
    assert (
        f"The version is saved, and not promoted: run `loop promote iris {newest} --reason ...` later"
        in errors
    )
    assert {} == ledger.champions(journal)
