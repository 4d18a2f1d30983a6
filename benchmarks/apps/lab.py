"""The lab's way for any classifier of numbers: FastAPI, a frame of one row, then scikit-learn."""
# mypy: disable-error-code="import-not-found, untyped-decorator, misc"

import os
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import create_model

models: dict[str, Any] = {
    path.stem: joblib.load(path) for path in Path(os.environ["LAB_MODELS"]).glob("*.pkl")
}
names = list(next(iter(models.values())).feature_names_in_)
fields: dict[str, Any] = dict.fromkeys(names, (float, ...))
Row: Any = create_model("Row", **fields)
app = FastAPI()


@app.post("/{model}/predict")
async def predict(model: str, row: Row) -> dict[str, object]:
    """Answer one row."""
    found, X = models[model], pd.DataFrame([row.model_dump()])
    p = found.predict_proba(X)[0]
    return {
        "predicted_class": str(found.predict(X)[0]),
        "probabilities": dict(zip(found.classes_.tolist(), p.tolist(), strict=True)),
    }
