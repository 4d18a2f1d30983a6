"""The Palmer penguins: three species, with missing measurements and two categories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from models_store.spec import Features, Spec, category, classes, number

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

ISLANDS = ("Biscoe", "Dream", "Torgersen")
SEXES = ("female", "male")
NUMBERS = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]


class PenguinFeatures(Features):
    """What was noted of one adult penguin near Palmer Station, Antarctica."""

    bill_length_mm: float | None = number(
        "Length of the bill", unit="mm", low=10, high=100, example=39.1, optional=True
    )
    bill_depth_mm: float | None = number(
        "Depth of the bill", unit="mm", low=5, high=40, example=18.7, optional=True
    )
    flipper_length_mm: float | None = number(
        "Length of the flipper", unit="mm", low=100, high=300, example=181.0, optional=True
    )
    body_mass_g: float | None = number(
        "Body mass", unit="g", low=1000, high=10000, example=3750.0, optional=True
    )
    island: Literal["Biscoe", "Dream", "Torgersen"] = category("Island of the colony", example="Torgersen")
    sex: Literal["female", "male"] | None = category("Sex", example="male", optional=True)


def load() -> tuple[pd.DataFrame, pd.Series]:
    """Return the 344 penguins that the package `palmerpenguins` ships."""
    from palmerpenguins import load_penguins

    data = load_penguins()
    X = data[list(PenguinFeatures.model_fields)]
    return X.astype({"island": "object", "sex": "object"}), data["species"].astype("object")


def pipeline(seed: int) -> Pipeline:
    """Impute medians, one-hot the categories, then gradient boosting.

    `docs/penguins.md` shows the cross-validation behind the choice. A missing sex is its own
    pattern: no column of the one-hot is set. There is no scaler, because scikit-learn's trees read
    float32 themselves: without one, a compiled model falls on the same side of every split.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    one_hot = OneHotEncoder(
        categories=[list(ISLANDS), list(SEXES)], handle_unknown="ignore", sparse_output=False
    )
    return make_pipeline(
        ColumnTransformer(
            [
                ("numbers", SimpleImputer(strategy="median"), NUMBERS),
                ("categories", one_hot, ["island", "sex"]),
            ]
        ),
        GradientBoostingClassifier(
            n_estimators=200, learning_rate=0.05, max_depth=2, subsample=0.5, random_state=seed
        ),
    )


SPEC = Spec(
    name="penguins",
    title="Species of a penguin of the Palmer Archipelago",
    features=PenguinFeatures,
    target=classes("Adelie", "Chinstrap", "Gentoo"),
    load=load,
    pipeline=pipeline,
)
