"""`loop check`, as its users run it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prediction.commands import cli
from tests.servers import PROJECT, run

IRIS = (PROJECT / "models_store" / "catalog" / "iris.py").read_text()
CHANGES = {
    "range.py": ("low=0.1, high=30, example=5.1", "low=40, high=30, example=5.1"),
    "wrong.py": ("features=IrisFeatures", "feature=IrisFeatures"),
    "raising.py": ("from sklearn.datasets", "from sklearn.data_sets"),
    "iris.py": ("", ""),
}


def test_all_faults_of_all_specs_are_listed(tmp_path: Path) -> None:
    """Each line begins with file and line, as an editor reads it; nothing is trained."""
    for name, (old, new) in CHANGES.items():
        text = IRIS.replace(old, new, 1).replace('"iris"', f'"{name.removesuffix(".py")}"')
        (tmp_path / name).write_text(text)
    done = run("python", "-m", "prediction", "check", home=tmp_path / "home", catalog=tmp_path)
    lines = done.stdout.splitlines()

    assert 1 == done.returncode, done.stderr
    assert "" == done.stderr
    assert "iris: ok; 4 features, 150 of 150 rows checked; " in done.stdout
    assert any("range.py:17: features.sepal_length_cm: low is 40" in line for line in lines), done.stdout
    assert any("wrong.py:42: Spec() does not know feature: it takes name," in line for line in lines)
    assert any(": load() failed in raising.py, line " in line for line in lines)
    assert ["iris: ok", "raising: 1 fault", "range: 1 fault", "wrong: 1 fault"] == [
        line.partition(";")[0] for line in lines if not line.startswith((str(tmp_path), "/"))
    ]
    assert not (tmp_path / "home").exists()


def test_it_imports_neither_server_nor_journal(tmp_path: Path) -> None:
    """They would take longer than the check of a model, and all models together have five seconds."""
    (tmp_path / "iris.py").write_text(IRIS)
    code = (
        "import sys; from prediction.commands import cli; code = cli.main(['check']);"
        "print(code, sorted({'bentoml', 'sqlalchemy', 'starlette'} & set(sys.modules)))"
    )
    done = run("python", "-c", code, home=tmp_path / "home", catalog=tmp_path)

    assert done.stdout.endswith("\n0 []\n"), done.stdout + done.stderr


def test_a_good_spec_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is 0."""
    assert 0 == cli.main(["check", "iris", "--json"])
    (found,) = json.loads(capsys.readouterr().out)

    assert ("iris", []) == (found["model"], found["faults"])


def test_an_unknown_model_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    """With the known names."""
    assert 1 == cli.main(["check", "rose"])
    assert "there is no model 'rose': the models are iris, " in capsys.readouterr().err
