"""The pipelines that a proposal chooses from: each fits and answers, whatever the columns are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from models_store.features.category import Category
from models_store.features.integer import Integer
from models_store.features.number import Number
from models_store.features.text import Text
from models_store.spec import classes, quantity
from prediction.proposals import drafts, estimators
from prediction.proposals.drafts import Draft
from tests.proposals.test_drafts import LOAD, spec_of

ROWS = 60
FEATURES: dict[str, Any] = {
    "gap": Number(name="gap", description="Gap", low=0, high=9, example=1.5, optional=True),
    "whole": Integer(name="whole", description="Whole", low=0, high=9, example=1),
    "plan": Category(name="plan", description="Plan", categories=("a", "b"), example="a", optional=True),
    "code": Category(name="code", description="Code", open=True, example="x"),
    "remark": Text(name="remark", description="Remark", max_length=50, example="good"),
}
RNG = np.random.default_rng(0)
COLUMNS = {
    "gap": [None if each < 1 else float(each) for each in RNG.uniform(0, 9, ROWS)],
    "whole": RNG.integers(0, 9, ROWS).tolist(),
    "plan": RNG.choice(["a", "b"], ROWS).tolist(),
    "code": RNG.choice(["x", "y", "z"], ROWS).tolist(),
    "remark": RNG.choice(["good work", "bad work", "none at all"], ROWS).tolist(),
}


@pytest.mark.parametrize(
    "names", ["whole", "gap whole", "plan", "gap plan code", "whole remark", "gap plan code remark"]
)
@pytest.mark.parametrize(
    "target", [classes("no", "yes"), quantity("Tip", unit="", low=0, high=9)], ids=lambda each: each.kind
)
def test_every_pipeline_fits_and_answers(names: str, target: Any) -> None:
    """The written code, on the frame of the written features."""
    features = [FEATURES[name] for name in names.split()]
    parts = estimators.groups(features, {"code": ["x", "y"]})
    labels = ["no", "yes"] * (ROWS // 2) if target.kind == "classes" else list(map(str, range(ROWS)))
    for choice in estimators.choices(target, 5_000, parts):
        draft = Draft(
            "shop",
            "Shop",
            features,
            target,
            "A row.",
            ["Shop."],
            LOAD,
            estimators.pipeline(choice, parts),
            parts.constants,
        )
        text = drafts.written(draft)
        assert max(map(len, text.splitlines())) <= 100
        spec = spec_of(text)
        X = spec.frame({name: COLUMNS[name] for name in spec.inputs})

        fitted = spec.pipeline(0).fit(X, spec.target.as_y(labels))

        assert ROWS == len(fitted.predict(X))
        assert isinstance(X, pd.DataFrame)


def test_large_tables_and_many_classes_leave_out_what_takes_long() -> None:
    """Forests of many rows are large, and boosting fits trees for each class."""
    parts = estimators.groups([FEATURES["whole"]], {})
    many = classes(*range(8))

    assert ["logistic regression", "histogram boosting"] == [
        each.name for each in estimators.choices(classes(0, 1), 100_000, parts)
    ]
    assert "gradient boosting" not in [each.name for each in estimators.choices(many, 1_000, parts)]
    assert (
        "ridge regression" == estimators.choices(quantity("T", unit="", low=0, high=1), 90, parts)[0].name
    )
