"""`loop train`, as its users run it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models_store import catalog, store
from models_store.spec import Spec
from models_store.store import Version
from prediction.journal import ledger
from prediction.journal.database import Journal
from prediction.journal.ledger import Entry
from prediction.retraining import training
from tests import kinds
from tests.servers import PROJECT, SHIPPED, interruptible, run

LAST = ["seconds", "size", "served by", "decision"]
LABELS = ["rows", "classes", "accuracy", "macro-F1", "log-loss", *LAST]
OF_A_QUANTITY = ["rows", "predicts", "mean absolute error", "bias", "RMSE", "R2", "coverage", *LAST]

LOAD = """
import json, sys, bentoml
from models_store import catalog
from tests import kinds
for name, spec in catalog.load().items():
    frame = spec.frame(spec.columns_of(spec.load()[0]))
    print(json.dumps(kinds.ask(spec, bentoml.sklearn.load_model(f"{name}:latest"), frame).tolist()))
"""

BOOSTED = '''
"""Irises again, with an estimator that does not compile."""

from dataclasses import replace

from models_store.catalog import iris


def pipeline(seed):
    """Boost histograms."""
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    boosting = HistGradientBoostingClassifier(max_iter=5, random_state=seed)
    return make_pipeline(FunctionTransformer(np.positive), boosting)


SPEC = replace(iris.SPEC, name="boosted", pipeline=pipeline)
'''


def train(*arguments: str, home: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return run("python", "-m", "prediction", "train", *arguments, home=home, **options)


def promotions(home: Path, name: str) -> list[Entry]:
    """Read a model's promotions, newest first."""
    with closing(Journal(f"sqlite:///{home / 'journal.db'}")) as journal:
        return ledger.entries(journal, name, limit=100)


def table(printed: str) -> dict[str, str]:
    """Read the first table: label to figure, the lines of a long figure joined."""
    found: dict[str, str] = {}
    label = ""
    for line in printed[: printed.index("└")].splitlines():
        if line.startswith("│"):
            first, second = (cell.strip() for cell in line.strip("│").split("│"))
            label = first or label
            found[label] = f"{found.get(label, '')} {second}".strip()
    return found


def assert_one_sentence(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Check that a command failed with a sentence that holds these words."""
    assert 1 == done.returncode
    assert "" == done.stdout
    assert done.stderr.startswith("loop train: ")
    assert 1 == len(done.stderr.splitlines()), done.stderr
    assert not [word for word in words if word not in done.stderr], done.stderr


@pytest.fixture(scope="module")
def again(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A trained home in which all models were trained again and not promoted, and what was printed."""
    home = Path(shutil.copytree(trained_home, tmp_path_factory.mktemp("again") / "home"))
    done = train("--seed", "0", "--no-promote", home=home)
    assert (0, "") == (done.returncode, done.stderr)
    return home, done.stdout


def pair(home: Path, name: str) -> tuple[Version, Version]:
    """Return the newest version and the one before."""
    newest, before = store.versions(home, name)
    return newest, before


def test_every_model_is_trained_saved_and_promoted(trained_home: Path, specs: dict[str, Spec]) -> None:
    """Without arguments each spec has one version, and it is the champion, by `train`."""
    for name in specs:
        (version,) = store.versions(trained_home, name)
        (promotion,) = promotions(trained_home, name)
        store.verify(version, promotion.digest)

        assert (version.version, None) == (promotion.to_version, promotion.from_version)
        assert ("train", "trained, seed 0") == (promotion.by, promotion.reason)
        assert "onnx" == version.runtime or name not in SHIPPED


def test_the_table_tells_the_figures(again: tuple[Path, str], specs: dict[str, Spec]) -> None:
    """Rows, classes, accuracy, macro-F1, log-loss, seconds, size and what serves it, as in the metadata."""
    home, printed = again
    for name, spec in specs.items():
        version, _ = pair(home, name)
        told = table(printed[printed.index(f"{name} {version.version}") :])
        kept, metrics = version.metadata, version.metrics

        assert (LABELS if kinds.predicts_classes(spec) else OF_A_QUANTITY) == list(told)
        assert f"{kept['rows']['training']} trained on, {kept['rows']['holdout']} held out" == told["rows"]
        if kinds.predicts_classes(spec):
            assert ", ".join(spec.target.texts) == told["classes"]
            assert f"{metrics['accuracy']:.3f} on the holdout" == told["accuracy"]
            assert f"{metrics['macro_f1']:.3f}" == told["macro-F1"]
            assert f"{metrics['log_loss']:.3f}" == told["log-loss"]
            assert "the most probable class" == told["decision"]
        else:
            assert f"{metrics['mae']:.4g} on the holdout" == told["mean absolute error"]
            assert f"{metrics['coverage']:.1%} of the intervals hold the number" in told["coverage"]
        assert float(told["seconds"]) > 0
        assert told["size"].endswith(" KiB")
        assert f"{version.runtime} ({kept['compiled']})" == told["served by"]
        assert f"{name}: load the data" in printed


def test_the_same_seed_repeats_itself_in_another_process(
    again: tuple[Path, str], specs: dict[str, Spec]
) -> None:
    """Metrics, data digest and the answers to the golden requests are the same, to the last bit."""
    for name in specs:
        newest, before = pair(again[0], name)

        assert before.metrics == newest.metrics
        assert before.metadata["data_digest"] == newest.metadata["data_digest"]
        assert before.read_json(store.GOLDEN) == newest.read_json(store.GOLDEN)


def test_no_promote_leaves_the_champion(again: tuple[Path, str], specs: dict[str, Spec]) -> None:
    """The version is saved and the latest, and the ledger has not grown."""
    home, printed = again

    assert "champion" not in printed
    for name in specs:
        newest, before = pair(home, name)
        assert [before.version] == [promotion.to_version for promotion in promotions(home, name)]
        assert newest.version == (home / "models" / name / "latest").read_text()


def test_the_same_training_again_is_rejected(home: Path) -> None:
    """Exit code 1, the verdict in one line, and the option that promotes without the gate."""
    done = train("iris", home=home)

    told = done.stdout.splitlines()
    assert (1, "") == (done.returncode, done.stderr)
    assert "iris: rejected: nothing new to learn: the training rows, the pipeline," in done.stdout
    assert "iris: the champion stays; the same command with --promote asks no gate" in told
    assert 1 == len(promotions(home, "iris"))


def test_a_seed_is_something_new_and_the_gate_judges_it(home: Path) -> None:
    """The verdict stands below the table, in JSON beside the figures, and in the ledger."""
    done = train("iris", "--seed", "4", "--json", home=home)

    (found,) = json.loads(done.stdout)
    (promotion, _) = promotions(home, "iris")
    assert 0 == done.returncode, done.stderr
    assert (True, promotion.to_version) == (found["champion"], found["version"])
    assert found["verdict"]["sentence"].startswith("promoted: not worse on any rule")
    assert f"trained, seed 4, and {found['verdict']['sentence']}" == promotion.reason


def test_promote_does_not_ask_the_gate(home: Path) -> None:
    """It promotes what the gate would reject; it excludes --no-promote."""
    done = train("iris", "--promote", home=home)
    both = train("iris", "--promote", "--no-promote", home=home)

    assert 0 == done.returncode, done.stderr
    assert "rejected" not in done.stdout
    assert 2 == len(promotions(home, "iris"))
    assert (2, True) == (both.returncode, "not allowed with argument --promote" in both.stderr)


def test_a_champion_that_can_t_be_compared_asks_for_promote(home: Path) -> None:
    """One sentence, before anything is trained."""
    shutil.rmtree(home / "models" / "iris")

    done = train("iris", home=home)

    assert_one_sentence(done, "the gate can't compare with the champion", "`loop train iris --promote`")
    assert [] == store.versions(home, "iris")
    assert "is the champion" in train("--missing", home=home).stdout


def test_bentoml_loads_and_predicts(trained_home: Path, specs: dict[str, Spec]) -> None:
    """`bentoml.sklearn.load_model("iris:latest")` answers every row as our own loading does."""
    done = run("python", "-c", LOAD, home=trained_home)
    assert 0 == done.returncode, done.stderr
    for line, (name, spec) in zip(done.stdout.splitlines(), specs.items(), strict=True):
        version = store.newest(trained_home, name)
        frame = spec.frame(spec.columns_of(spec.load()[0]))
        expected = kinds.ask(spec, store.load_pipeline(version, version.digest), frame)
        np.testing.assert_allclose(json.loads(line), expected, rtol=0, atol=1e-12)


def test_missing_trains_nothing_that_is_there(home: Path, specs: dict[str, Spec]) -> None:
    """With a version of every model there is nothing to do, and nothing to say."""
    done = train("--missing", home=home)

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert {1} == {len(store.versions(home, name)) for name in specs}


def test_a_model_that_cannot_be_compiled_says_so(home: Path, tmp_path: Path) -> None:
    """`--missing` trains the new model alone, with its seed; scikit-learn serves it, for a reason."""
    copy = tmp_path / "project"
    for package in ("models_store", "prediction"):
        shutil.copytree(PROJECT / package, copy / package)
    shutil.copy(PROJECT / "train.py", copy)
    (copy / "models_store" / "catalog" / "boosted.py").write_text(BOOSTED)
    done = train("--missing", "--seed", "7", home=home, cwd=copy)
    assert (0, "") == (done.returncode, done.stderr)
    version = store.newest(home, "boosted")
    (promotion,) = promotions(home, "boosted")

    assert table(done.stdout)["served by"].startswith("scikit-learn (float64 matrix, float32 matrix")
    assert f"boosted: {version.version} is the champion" in done.stdout
    assert ("scikit-learn", 7) == (version.runtime, version.metadata["seed"])
    assert "FunctionTransformer" in version.metadata["compiled"]
    assert (version.version, "trained, seed 7") == (promotion.to_version, promotion.reason)
    assert not (version.path / store.ONNX).exists()
    assert [1, 1] == [len(store.versions(home, name)) for name in ("iris", "penguins")]


FAILING = """
from dataclasses import replace

from models_store.catalog import iris


def pipeline(seed):
    raise ValueError("no two\\nlines")


SPEC = replace(iris.SPEC, name="failing", pipeline=pipeline)
"""


def test_a_model_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    """It is one line at the end, and the exit code is 1; `python train.py` does the same."""
    folder = tmp_path / "specs"
    folder.mkdir()
    shutil.copy(PROJECT / "models_store" / "catalog" / "iris.py", folder)
    (folder / "failing.py").write_text(FAILING)
    done = run("python", "train.py", home=tmp_path / "home", catalog=folder)

    assert 1 == done.returncode
    assert (
        "loop train: failing: pipeline() failed in failing.py, line 8: ValueError: no two lines:"
        " it must return an estimator\n"
    ) == done.stderr
    assert 1 == len(promotions(tmp_path / "home", "iris"))
    assert [] == store.versions(tmp_path / "home", "failing")


def test_an_unknown_model_is_told_the_known_ones(tmp_path: Path) -> None:
    """One sentence, exit code 1, and nothing is trained, not even the models that are known."""
    done = train("iris", "roses", home=tmp_path)

    assert_one_sentence(done, "'roses'", ", ".join(catalog.load()))
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(("name", "value"), [("workers", 0), ("max_batch_rows", "many")])
def test_an_invalid_setting_is_told_by_its_name(name: str, value: object, tmp_path: Path) -> None:
    """One sentence that names the variable, before anything is trained."""
    done = train("iris", home=tmp_path, **{name: value})

    assert_one_sentence(done, f"PREDICTION_{name.upper()}")
    assert not (tmp_path / "models").exists()


def test_a_home_that_is_no_folder_is_told(tmp_path: Path) -> None:
    """One sentence that names the path."""
    (tmp_path / "home").write_text("a file")

    assert_one_sentence(train("iris", home=tmp_path / "home"), str(tmp_path / "home"))


def test_a_journal_that_fails_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    """One sentence that says why, without the password."""
    url = "postgresql://user:hunter2@127.0.0.1:1/journal"
    done = train("iris", home=tmp_path / "home", database_url=url)

    assert_one_sentence(done, "the journal does not answer", "127.0.0.1", "refused")
    assert "hunter2" not in done.stderr
    assert [] == store.versions(tmp_path / "home", "iris")


@pytest.mark.parametrize("seed", ["-1", "x"])
def test_a_seed_that_is_none_is_refused(seed: str, tmp_path: Path) -> None:
    """The command line's own error: usage and exit code 2, before anything is trained."""
    done = train("iris", "--seed", seed, home=tmp_path)

    assert 2 == done.returncode
    assert "--seed" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupted_training_leaves_nothing(tmp_path: Path) -> None:
    """One sentence, the exit code that shells know, and no version."""
    process = interruptible("python", "-u", "-m", "prediction", "train", "penguins", home=tmp_path)
    assert process.stdout is not None
    while "fit on" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)

    assert (130, "loop train: interrupted\n") == (process.returncode, errors)
    assert [] == store.versions(tmp_path, "penguins")


def test_old_versions_go(home: Path, specs: dict[str, Spec]) -> None:
    """Of many versions a training keeps the newest, the champion among them, and the one before that."""
    first = store.newest(home, "iris").version
    saved = [training.save(training.train(specs["iris"], seed), home).version for seed in (1, 2)]

    assert 0 == train("iris", "--seed", "3", home=home, keep_versions=2).returncode

    promoted = [entry.to_version for entry in promotions(home, "iris")]
    assert first == promoted[-1]
    assert [promoted[0], saved[1], first] == [each.version for each in store.versions(home, "iris")]


def test_a_home_that_can_t_be_written_to_is_told() -> None:
    """One sentence, and no traceback."""
    assert_one_sentence(train("iris", home=Path("/proc/nowhere")), "BENTOML_HOME", "/proc/nowhere")


def test_what_was_trained_as_json(home: Path) -> None:
    """The steps go to the errors' stream, so that the output is one document."""
    done = train("iris", "--seed", "5", "--no-promote", "--json", home=home)

    (found,) = json.loads(done.stdout)
    version = store.newest(home, "iris")
    assert 0 == done.returncode
    assert "iris: fit on" in done.stderr
    assert ("iris", version.version, False) == (found["model"], found["version"], found["champion"])
    assert version.metrics == found["metrics"]
