"""A spec proposed for a table: what its file says, and that it holds for every row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models_store.errors import InvalidInput
from models_store.spec import Spec
from prediction.proposals import proposing, running, writing
from prediction.proposals.proposing import Proposal, TableWish
from prediction.retraining import datasets

ROWS = 400


def customers() -> pd.DataFrame:
    """Make a table as people have it: names that are no identifiers, gaps, an id, a constant, a leak."""
    rng = np.random.default_rng(0)
    months = rng.integers(0, 72, ROWS)
    left = np.where(rng.random(ROWS) < 1 / (1 + np.exp((months - 20) / 6)), "Yes", "No").astype(object)
    left[5] = None
    return pd.DataFrame(
        {
            "customerID": [f"{number:04}-X" for number in rng.permutation(ROWS)],
            "months": months,
            "Monthly charges ($)": np.where(
                rng.random(ROWS) < 0.1, np.nan, rng.uniform(18, 118, ROWS).round(2)
            ),
            "class": rng.choice(["gold", "silver"], ROWS),
            "city": rng.choice([f"city {number}" for number in range(40)], ROWS),
            "joined": pd.date_range("2020-01-01", periods=ROWS, freq="31h").strftime("%Y-%m-%d %H:%M:%S"),
            "country": "FR",
            "reason": np.where(left == "Yes", "gone", "here"),
            "left": left,
        }
    )


@pytest.fixture(scope="module")
def proposal(tmp_path_factory: pytest.TempPathFactory) -> Proposal:
    """Propose a spec for the customers."""
    path = tmp_path_factory.mktemp("table") / "customers.csv"
    customers().to_csv(path, index=False)
    return proposing.propose(TableWish("churn", path, "left", zone="Europe/Paris"))


def test_the_file_holds_for_every_row_of_the_table(proposal: Proposal, tmp_path: Path) -> None:
    """Its `load` reads the table beside it, and each row is valid input."""
    writing.write(tmp_path, "churn", proposal)
    path = tmp_path / "churn.py"
    with running.run(path.read_text(), str(path)) as module:
        spec: Spec = module.SPEC
        dataset = datasets.load(spec)

    assert ROWS - 1 == dataset.own_rows
    assert ["months", "monthly_charges", "class_value", "city", "joined"] == list(spec.inputs)
    assert {"Monthly charges ($)": "monthly_charges", "class": "class_value"} == spec.headers
    assert ("Yes", ("No", "Yes")) == (spec.target.positive, spec.target.labels)  # type: ignore[union-attr]
    assert dataset.columns["joined"][0] == "2020-01-01T00:00:00+01:00"


def test_the_file_says_what_was_left_out_and_why(proposal: Proposal) -> None:
    """And how the estimator was chosen, with the table of all."""
    text = proposal.text

    assert "- customerID: nearly each row has another value: it names the row" in text
    assert "- country: it has the same value in each row, FR" in text
    assert "- reason: it gives the target away: it alone tells 100.0% of the classes" in text
    assert "1 row without left left out" in " ".join(text.split())
    assert "Chosen by cross-validation on 399 rows in 5 folds" in " ".join(text.split())
    assert "estimator            log-loss  accuracy  seconds" in text
    assert "# The ranges are guesses" in text
    assert "times without an offset are of Europe/Paris" in " ".join(text.replace("#", " ").split())
    assert max(map(len, text.splitlines())) <= 108


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "No"}, "'No' is no name of a model"),
        ({"target": "lefd"}, "has no column 'lefd': like it are left"),
        ({"target": "zzz"}, "has no column 'zzz': there are months, left"),
        ({"zone": "Europe/Atlantis"}, "there is no zone 'Europe/Atlantis': name one such as"),
        ({"keep": ["left"]}, "left is the target: it is no feature"),
        ({"leave_out": ["months"]}, "has no column to learn from"),
    ],
)
def test_what_can_not_be_proposed_is_one_sentence(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    """With what to do."""
    path = tmp_path / "rows.csv"
    pd.DataFrame({"months": range(20), "left": ["no", "yes"] * 10}).to_csv(path, index=False)
    wish: dict[str, Any] = {"name": "churn", "path": path, "target": "left", **changes}

    with pytest.raises(InvalidInput, match=words):
        proposing.propose(TableWish(**wish))


def test_a_table_of_few_rows_is_refused(tmp_path: Path) -> None:
    """One row is none to learn from."""
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n")

    with pytest.raises(InvalidInput, match=r"b is 2 in each row|has 1 rows with a target: give 10 or more"):
        proposing.propose(TableWish("one", path, "b", "quantity"))
