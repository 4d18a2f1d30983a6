"""Files of specs as they are written: valid, complete, and laid out as a formatter would do it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from models_store.features.category import Category
from models_store.features.flag import Flag
from models_store.features.integer import Integer
from models_store.features.moment import Moment
from models_store.features.number import Number
from models_store.features.text import Text
from models_store.spec import Dialect, Spec, classes, quantity
from prediction.proposals import drafts
from prediction.proposals.drafts import Draft

LOAD = '''\
def load() -> tuple[pd.DataFrame, pd.Series]:
    """Return two rows."""
    import pandas as pd

    data = pd.read_parquet(Path(__file__).with_name("shop.parquet"))
    return data[list(ShopFeatures.model_fields)], data["left"]
'''
PIPELINE = '''\
def pipeline(seed: int) -> Pipeline:
    """Scale, then logistic regression."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(random_state=seed))
'''
DRAFT = Draft(
    name="shop",
    title='Who leaves the "shop"',
    features=[
        Number(
            name="spent",
            description="Spent",
            unit="€",
            low=0,
            high=50_000,
            example=12.5,
            header="Spent (€)",
        ),
        Integer(name="visits", description="Visits", low=0, high=200, example=3, optional=True),
        Flag(name="is_new", description="Is new", example=True),
        Category(
            name="plan", description="Plan", categories=("it's", 'so "called"', "a\\b"), example="it's"
        ),
        Category(
            name="region",
            description="Region",
            categories=tuple(f"a region with number {number}" for number in range(12)),
            example="a region with number 0",
            optional=True,
        ),
        Category(name="code", description="Code", open=True, example="x"),
        Text(name="remark", description="Remark", max_length=2_000, example='"""', optional=True),
        Moment(
            name="joined",
            description="Joined",
            zone="Europe/Paris",
            parts=("month",),
            naive=True,
            example="2024-01-02",
        ),
    ],
    target=classes("no", "yes"),
    row="One client.",
    notes=["Who leaves the shop.", "Left out:\n- C:\\new: a constant"],
    load=LOAD,
    pipeline=PIPELINE,
    constants={"NUMBERS": ["spent", "visits"]},
    remarks={"spent": "0.5 to 812 in the data"},
    header="Ranges are guesses: correct them.",
)


def spec_of(text: str) -> Spec:
    """Run the file of a spec."""
    module = ModuleType("written_by_a_test")
    sys.modules[module.__name__] = module  # where pydantic looks for the names of annotations
    try:
        exec(compile(text, "shop.py", "exec"), vars(module))
        found: Spec = module.SPEC
        assert found.rows is not None
        return found
    finally:
        del sys.modules[module.__name__]


def test_the_file_declares_what_the_draft_says() -> None:
    """Every kind of feature with all its facts, the target, and both functions."""
    spec = spec_of(drafts.written(DRAFT))

    assert {each.name: each for each in DRAFT.features} == dict(spec.inputs)
    assert DRAFT.target == spec.target
    assert (DRAFT.name, DRAFT.title) == (spec.name, spec.title)
    assert spec.rows.object(spec.example) is not None


@pytest.mark.parametrize(
    "target",
    [
        classes(0, 1),
        classes(False, True, positive=True),
        classes(*sorted(f"a class with number {number}" for number in range(9))),
        quantity("Delay", unit="min", low=-200, high=2_000_000.5),
    ],
)
def test_every_target_is_written(target: Any) -> None:
    """As it was given, with a positive class if it has one."""
    assert target == spec_of(drafts.written(replace(DRAFT, target=target))).target


def test_the_file_is_laid_out_as_a_formatter_does_it(tmp_path: Path) -> None:
    """And a linter finds nothing in it: no import that is not used, and none that lacks."""
    path = tmp_path / "shop.py"
    path.write_text(drafts.written(DRAFT), encoding="utf-8")
    for arguments in (
        ["format", "--check", "--diff"],
        ["check", "--select", "E,F,I,D", "--ignore", "D203,D213,D301,D407"],
    ):
        options = ["--isolated", "--line-length", "100", "--no-cache", "--target-version", "py311"]
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *arguments, *options, str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_dialect_of_its_files_is_in_the_file() -> None:
    """On one line if it is short, and laid out else; a draft without one imports no Dialect."""
    short = Dialect(separator="\t", times={"joined": "%d.%m.%Y"})
    long = Dialect(
        encoding="cp1252",
        separator=";",
        numbers=dict.fromkeys(("spent", "visits"), "1.234,5"),
        missing={
            "visits": ("n\\a", 'so "many"'),
            "spent": ("unknown to all of us",),
            "joined": ("-" * 30,),
        },
    )
    for dialect in (short, long, Dialect()):
        text = drafts.written(replace(DRAFT, dialect=dialect))

        assert dialect == spec_of(text).dialect
        assert max(map(len, text.splitlines())) <= 100
    assert '    dialect=Dialect(separator="\\t", times={"joined": "%d.%m.%Y"}),\n' in drafts.written(
        replace(DRAFT, dialect=short)
    )
    assert "Dialect" not in drafts.written(DRAFT)
