"""One feature: a text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models_store.spec import Features, Spec, classes, text

if TYPE_CHECKING:
    import pandas as pd


class NoteFeatures(Features):
    """A text."""

    note: str | None = text("Note", max_length=500, example="slow answer", optional=True)


def load() -> tuple[pd.DataFrame, pd.Series]:
    """Return 200 rows; the label follows from the feature, with noise."""
    import numpy as np
    import pandas as pd

    rng, rows = np.random.default_rng(0), 200
    words = np.array(["slow", "quick", "answer", "bill", "kind", "staff"])
    values = np.array([" ".join(rng.choice(words, rng.integers(0, 9))) for _ in range(rows)], object)
    is_high = np.array(["slow" in each for each in values])
    X = pd.DataFrame({"note": values})
    return X, pd.Series(np.where(is_high ^ (rng.random(rows) < 0.1), "high", "low"))


def pipeline(seed: int) -> Any:
    """A column for each word."""
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    words = ColumnTransformer([("words", TfidfVectorizer(), "note")])
    return make_pipeline(words, LogisticRegression(random_state=seed))


SPEC = Spec(
    name="notes",
    title="A model with a text",
    features=NoteFeatures,
    target=classes("high", "low"),
    load=load,
    pipeline=pipeline,
)
