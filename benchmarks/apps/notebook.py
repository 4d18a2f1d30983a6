"""A frame scored by pandas and the scikit-learn pipeline, as a notebook would."""

from functools import lru_cache
from typing import Any

import joblib
import numpy as np
import pandas as pd


def answer(pipeline: Any, frame: pd.DataFrame, model: str, version: str) -> pd.DataFrame:
    """Add the columns that this project adds."""
    text = frame.select_dtypes(exclude="number").columns
    features = frame.astype(dict.fromkeys(text, object))  # the imputer knows no pandas text
    features[text] = features[text].where(features[text].notna(), None)
    probabilities = pipeline.predict_proba(features)
    scored = frame.copy(deep=False)
    scored["predicted_class"] = pipeline.classes_[np.argmax(probabilities, axis=1)]
    for number, name in enumerate(pipeline.classes_):
        scored[f"probability_{name}"] = probabilities[:, number]
    scored["model"], scored["version"] = model, version
    return scored


@lru_cache(maxsize=1)
def load(pipeline: str) -> Any:
    """Load a pipeline, once a process."""
    return joblib.load(pipeline)


def load_and_answer(frame: pd.DataFrame, pipeline: str, model: str) -> pd.DataFrame:
    """Score a frame in a worker."""
    return answer(load(pipeline), frame, model, "version")
