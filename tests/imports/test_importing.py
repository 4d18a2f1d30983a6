"""A model from elsewhere becomes a version and the champion, and later a rival."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from sklearn.dummy import DummyClassifier

from models_store.catalog import iris
from models_store.errors import InvalidModel
from prediction.http.bodies import ModelState
from prediction.http.resources import Resources
from prediction.imports import files
from prediction.imports.importing import Importing
from prediction.journal import ledger
from prediction.journal.database import Journal
from prediction.retraining import trainings
from prediction.retraining.trainings import Trained, Wish
from tests.elsewhere import fitted, skops_file
from tests.pages.test_dashboard import World

WISH = Wish(0, None, missing=False, keep_versions=5)


class Home(NamedTuple):
    """A home in which a model was imported."""

    folder: Path
    journal: Journal
    first: Trained


def bring(home: Path, journal: Journal, file: Path) -> Trained:
    """Import a model of irises."""
    folder = home / file.stem
    folder.mkdir(parents=True)
    source = Importing(iris.SPEC, files.find(file, trust_pickle=False), folder).source()
    return trainings.prepare(iris.SPEC, home, journal, WISH, source).execute()


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """The first champion of a home came from elsewhere."""
    folder = tmp_path_factory.mktemp("imported")
    with closing(Journal(f"sqlite:///{folder / 'journal.db'}")) as journal:
        journal.migrate()
        first = bring(folder, journal, skops_file(folder / "own.skops", fitted()))
        yield Home(folder, journal, first)


def test_it_is_the_champion(imported: Home) -> None:
    """The ledger says where it came from."""
    entry = ledger.champion(imported.journal, "iris")

    assert imported.first.promoted
    assert entry is not None
    assert "import" == entry.by
    assert entry.reason.startswith("imported own.skops (skops, sha256 ")


def test_models_show_the_origin(imported: Home) -> None:
    """Also that a retraining can repeat it."""
    found = Resources({"iris": iris.SPEC}, imported.folder, imported.journal).describe("iris", 5)
    origin = ModelState.model_validate(found).versions[0].origin

    assert origin is not None
    assert ("own.skops", "skops", 64, [], None) == (
        origin.file,
        origin.format,
        len(origin.sha256),
        origin.warnings,
        origin.unrepeatable,
    )
    assert "scikit-learn" in origin.libraries


def test_the_page_names_the_file(imported: Home) -> None:
    """Beside its version; digest and libraries are in its title."""
    page = World({"iris": iris.SPEC}, imported.folder, imported.journal).get("/dashboard?model=iris", None)

    assert 200 == page.status_code
    assert re.search(
        r'imported: <span title="sha256 \w{64}, scikit-learn [^"]*">own\.skops</span>', page.text
    )


def test_a_worse_model_is_rejected_with_the_doubt(imported: Home) -> None:
    """Champion and candidate may both know the rows that judge."""
    file = skops_file(imported.folder / "worse.skops", fitted(DummyClassifier()))
    found = bring(imported.folder, imported.journal, file)

    assert found.verdict is not None
    assert not found.promoted
    assert "the candidate and the champion came from elsewhere, perhaps fitted on held-out rows" in (
        found.verdict.sentence
    )


def test_a_model_that_does_not_match_names_file_and_spec(imported: Home) -> None:
    """And promotes nothing."""
    X, y = iris.load()
    model = fitted().fit(X[X.columns[:2]], y)
    file = skops_file(imported.folder / "half.skops", model)

    with pytest.raises(InvalidModel, match=r"half\.skops can't become iris: 2 faults: \(1\) petal_"):
        bring(imported.folder, imported.journal, file)
