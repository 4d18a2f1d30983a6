"""Saves a trained pipeline as an MLflow model: `python mlflow_model.py PIPELINE FOLDER METHOD`."""
# mypy: disable-error-code="import-not-found"

import sys

import joblib
import mlflow.sklearn

if __name__ == "__main__":
    pipeline, folder, method = sys.argv[1:]
    mlflow.sklearn.save_model(
        joblib.load(pipeline),
        folder,
        pyfunc_predict_fn=method,
        serialization_format="cloudpickle",
        pip_requirements=["scikit-learn", "pandas"],
    )
