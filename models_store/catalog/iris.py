"""Fisher's iris: three species told apart by the size of their petals and sepals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models_store.spec import Features, Spec, classes, number

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline


class IrisFeatures(Features):
    """The four lengths that were measured on one flower."""

    sepal_length_cm: float = number("Length of the sepal", unit="cm", low=0.1, high=30, example=5.1)
    sepal_width_cm: float = number("Width of the sepal", unit="cm", low=0.1, high=30, example=3.5)
    petal_length_cm: float = number("Length of the petal", unit="cm", low=0.1, high=30, example=1.4)
    petal_width_cm: float = number("Width of the petal", unit="cm", low=0.1, high=30, example=0.2)


def load() -> tuple[pd.DataFrame, pd.Series]:
    """Return the 150 flowers that scikit-learn ships."""
    from sklearn.datasets import load_iris

    data = load_iris(as_frame=True)
    X = data.data.set_axis(list(IrisFeatures.model_fields), axis=1)
    y = data.target.map(dict(enumerate(data.target_names.tolist())))
    return X, y


def pipeline(seed: int) -> Pipeline:
    """Scale, then logistic regression: the classes are almost linearly separable."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, random_state=seed))


SPEC = Spec(
    name="iris",
    title="Species of an iris flower",
    features=IrisFeatures,
    target=classes("setosa", "versicolor", "virginica"),
    load=load,
    pipeline=pipeline,
)
