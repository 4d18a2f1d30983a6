"""`loop import`, as its users run it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models_store import store
from models_store.catalog import iris
from prediction.commands import cli
from tests.elsewhere import Bomb, mlflow_folder, pickle_file, skops_file
from tests.servers import PROJECT, run


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home."""
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def hostile(folder: Path, target: Path) -> None:
    """Put code wherever MLflow itself would run it or install something."""
    code = f"import pathlib; pathlib.Path({str(target)!r}).touch()"
    for place in (folder / "code", folder):
        place.mkdir(exist_ok=True)
        for name in ("sklearn.py", "sitecustomize.py", "mlflow.py"):
            (place / name).write_text(code)
    (folder / "conda.yaml").write_text(f"!!python/object/apply:os.system ['touch {target}']")
    pickle_file(folder / "model.pkl", Bomb(target))


def test_a_folder_of_mlflow_becomes_the_champion_of_a_new_spec(tmp_path: Path) -> None:
    """The model knows the columns by other names, and in another order; the table has one more."""
    X, y = (each[::3] for each in iris.load())
    table = X.set_axis(
        ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"], axis=1
    )
    taken = table[table.columns[:0:-1]]
    signature = json.dumps([{"name": name, "type": "double", "required": True} for name in taken])
    folder = mlflow_folder(tmp_path / "flowers", signature={"inputs": signature})
    hostile(folder, tmp_path / "exploded")
    skops_file(folder / "model.skops", make_pipeline(StandardScaler(), LogisticRegression()).fit(taken, y))
    table.assign(species=y).to_csv(tmp_path / "flowers.csv", index=False)
    catalog, home = tmp_path / "catalog", tmp_path / "home"
    catalog.mkdir()
    given = ["--new", str(tmp_path / "flowers.csv"), "--target", "species"]
    command = ("python", "-m", "prediction", "import", "flowers", str(folder))
    done = run(*command, *given, home=home, catalog=catalog)
    said = " ".join(done.stdout.replace("│", " ").split())

    assert 0 == done.returncode, done.stderr
    assert "is the champion" in said
    assert "flowers, skops, sha256" in said
    assert "it may have been fitted on the rows held out" in said
    assert "onnx (" in said
    (version,) = store.versions(home, "flowers")
    assert not (tmp_path / "exploded").exists()
    layout = list(version.read_json(store.PROFILE)["layout"])
    assert ["petal_width_cm", "petal_length_cm", "sepal_width_cm"] == layout
    assert not (version.path / store.PIPELINE).exists()


def test_the_commands_of_the_page_exist() -> None:
    """Each line of docs/from-mlflow.md is understood."""
    page = (PROJECT / "docs" / "from-mlflow.md").read_text()
    lines = re.findall(r"^loop (import .*)$", page, re.MULTILINE)

    assert 4 == len(lines)
    for line in lines:
        assert "churn" == cli.parser().parse_args(line.split()).model


def test_a_new_spec_needs_table_and_target(capsys: pytest.CaptureFixture[str]) -> None:
    """Both or none."""
    assert 1 == cli.main(["import", "roses", "model.skops", "--new", "roses.csv"])
    assert "give --new TABLE and --target COLUMN together" in capsys.readouterr().err


def test_a_pickle_is_not_run(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is made of it, no home either."""
    bomb = pickle_file(tmp_path / "bomb.pkl", Bomb(tmp_path / "exploded"))

    assert 1 == cli.main(["import", "iris", str(bomb)])
    assert "add --trust-pickle" in capsys.readouterr().err
    assert not (tmp_path / "exploded").exists()
    assert not home.exists()
