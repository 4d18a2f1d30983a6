"""What a retraining fits after a champion that came from elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from models_store import store
from models_store.catalog import iris
from models_store.errors import DamagedVersion, InvalidModel
from prediction.retraining import datasets, refits, training
from tests.elsewhere import skops_file

ESTIMATOR = make_pipeline(StandardScaler(), DecisionTreeClassifier(max_depth=2))


@pytest.fixture(scope="module")
def trained() -> training.Candidate:
    """A candidate that was trained here."""
    return training.fit(iris.SPEC, 0, datasets.load(iris.SPEC))


def version_of(candidate: training.Candidate, folder: Path, **notes: Any) -> store.Version:
    """Save it as if it came from elsewhere."""
    parameters = skops_file(folder / "p", ESTIMATOR).read_bytes()
    changed = replace(candidate, notes=notes, files={store.PARAMETERS: parameters})
    return training.save(changed, folder / "home")


def test_a_version_from_here_is_followed_by_the_pipeline_of_the_spec(
    trained: training.Candidate, tmp_path: Path
) -> None:
    """As ever."""
    assert refits.Refit(iris.SPEC) == refits.plan(iris.SPEC, training.save(trained, tmp_path))


def test_a_version_from_elsewhere_is_followed_by_a_copy_of_its_parameters(
    trained: training.Candidate, tmp_path: Path
) -> None:
    """The next one too; what is random follows the seed."""
    version = version_of(trained, tmp_path, origin={"sha256": "ab"})
    refit = refits.plan(iris.SPEC, version)
    made = refit.spec.pipeline(7)

    assert (2, 7) == (made[-1].max_depth, made[-1].random_state)
    assert made is not refit.spec.pipeline(7)
    assert {"repeats": {"version": version.version, "sha256": "ab"}} == refit.notes
    assert (
        training.recipe(refit.spec, 7)
        == training.recipe(refits.plan(iris.SPEC, version).spec, 7)
        is not None
    )
    candidate = training.fit(refit.spec, 7, trained.dataset)
    second = training.save(
        replace(candidate, notes=dict(refit.notes), files=refit.files), tmp_path / "second"
    )
    assert refit.notes == refits.plan(iris.SPEC, second).notes


def test_parameters_that_can_not_be_copied_are_said(trained: training.Candidate, tmp_path: Path) -> None:
    """With the command that fits the pipeline of the spec."""
    version = version_of(trained, tmp_path, origin={"sha256": "ab", "unrepeatable": "its parameters can't"})

    with pytest.raises(
        InvalidModel, match="came from elsewhere, and its parameters can't: `loop train iris`"
    ):
        refits.plan(iris.SPEC, version)


def test_changed_parameters_are_not_loaded(trained: training.Candidate, tmp_path: Path) -> None:
    """The digest is checked first."""
    version = version_of(trained, tmp_path, origin={"sha256": "ab"})
    (version.path / store.PARAMETERS).write_bytes(b"PK")

    with pytest.raises(DamagedVersion, match="was changed after it was saved"):
        refits.plan(iris.SPEC, version)
