"""67 ordinary pipelines of classifiers, and some of regressors, on small data."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from models_store.spec import Features, Spec, category, classes, number, quantity

Make = Callable[[], Any]


class Passenger(Features):
    """A passenger: numbers with gaps, and categories."""

    gender: Literal["female", "male"] = category("Gender", example="male")
    age: float | None = number("Age", unit="a", low=0, high=100, example=40, optional=True)
    cabin: Literal["1st", "2nd", "3rd", "crew"] | None = category("Class", example="2nd", optional=True)
    embarked: Literal["Belfast", "Cherbourg", "Queenstown", "Southampton"] = category(
        "Embarked", example="Belfast"
    )
    fare: float | None = number("Fare", unit="GBP", low=0, high=600, example=20, optional=True)
    sibsp: float = number("Siblings and spouses", unit="", low=0, high=10, example=1)
    parch: float = number("Parents and children", unit="", low=0, high=10, example=0)


NUMBERS = ["age", "fare", "sibsp", "parch"]
CATEGORIES = ["gender", "cabin", "embarked"]


def _matrix(names: list[str], low: float, high: float) -> type[Features]:
    made: dict[str, Any] = {
        name: number("A number", unit="", low=low, high=high, example=low) for name in names
    }
    annotations = dict.fromkeys(names, float)
    return type("Matrix", (Features,), {"__annotations__": annotations, "__module__": __name__, **made})


@lru_cache
def tumours() -> Spec:
    """30 numbers, two classes."""
    from sklearn.datasets import load_breast_cancer

    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X.columns = [name.replace(" ", "_") for name in X.columns]
    labels = y.map({0: "malignant", 1: "benign"})
    features = _matrix(list(X.columns), 0, 5000)
    return Spec("tumours", "Tumours", features, classes("benign", "malignant"), lambda: (X, labels), lr)


@lru_cache
def digits() -> Spec:
    """64 numbers, ten classes."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True, as_frame=True)
    X, labels = X[:700], y[:700].map("d{}".format)
    target = classes(*(f"d{number}" for number in range(10)))
    return Spec("digits", "Digits", _matrix(list(X.columns), 0, 16), target, lambda: (X, labels), lr)


@lru_cache
def passengers() -> Spec:
    """Numbers with gaps and categories, two classes."""
    rng, rows = np.random.default_rng(0), 700
    gender = rng.choice(["female", "male"], rows)
    age = np.where(rng.random(rows) < 0.1, np.nan, rng.gamma(4, 8, rows).clip(0, 90).round(1))
    cabin = rng.choice(np.array(["1st", "2nd", "3rd", "crew", None], object), rows)
    fare = np.where(rng.random(rows) < 0.05, np.nan, rng.gamma(1, 30, rows).clip(0, 500).round(4))
    X = pd.DataFrame(
        {
            "gender": pd.Series(gender, dtype=object),
            "age": age,
            "cabin": pd.Series(cabin, dtype=object),
            "embarked": pd.Series(
                rng.choice(["Belfast", "Cherbourg", "Queenstown", "Southampton"], rows), dtype=object
            ),
            "fare": fare,
            "sibsp": rng.integers(0, 6, rows).astype(float),
            "parch": rng.integers(0, 5, rows).astype(float),
        }
    )
    score = (gender == "female") * 2 + (cabin == "1st") - (np.nan_to_num(age, nan=30) > 40) - 0.7
    labels = pd.Series(np.where(score + rng.normal(0, 0.7, rows) > 0, "survived", "died"))
    target = classes("died", "survived")
    return Spec("passengers", "Passengers", Passenger, target, lambda: (X, labels), lr)


@lru_cache
def flats() -> Spec:
    """Six numbers, of which the answer is a number."""
    from sklearn.datasets import make_regression

    X, y = make_regression(500, 6, n_informative=5, noise=10, random_state=0)
    names = [f"x{position}" for position in range(6)]
    frame = pd.DataFrame(X.clip(-4, 4).round(3), columns=names)
    target = quantity("Price", unit="EUR", low=0, high=1e6)
    price = pd.Series(((y - y.min()) * 100 + 100).clip(0, 1e6).round(2))
    return Spec("flats", "Flats", _matrix(names, -4, 4), target, lambda: (frame, price), ridge)


def lr(_seed: int = 0) -> Any:
    """A linear model behind a scaler."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))


def ridge(_seed: int = 0) -> Any:
    """A linear model of a number."""
    return Ridge()


def after(*steps: Any) -> Any:
    """Return a linear model behind other steps."""
    return make_pipeline(*steps, StandardScaler(), LogisticRegression(max_iter=500))


def encoded(last: Any, encoder: Any = None, *, missing: Any = None, scaled: bool = True) -> Any:
    """Return an estimator behind an encoder of the categories, and an imputer of the numbers."""
    encoder = encoder or OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    numbers = [missing or SimpleImputer(strategy="median"), *([StandardScaler()] if scaled else [])]
    columns = [("numbers", make_pipeline(*numbers), NUMBERS), ("categories", encoder, CATEGORIES)]
    return make_pipeline(ColumnTransformer(columns), last)


def voting() -> Any:
    """Return three estimators that vote."""
    members = [("lr", lr()), ("rf", RandomForestClassifier(20, random_state=0)), ("nb", GaussianNB())]
    return VotingClassifier(members, voting="soft")


def stacking() -> Any:
    """Return a linear model on the answers of two estimators."""
    members = [("lr", lr()), ("rf", RandomForestClassifier(20, random_state=0))]
    return StackingClassifier(members, LogisticRegression(), cv=3)


def ordinal() -> Any:
    """Return an encoder of categories as numbers."""
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)


def filled(strategy: str) -> Any:
    """Return an imputer of categories before their encoder."""
    more = {"fill_value": "missing"} if strategy == "constant" else {}
    imputer = SimpleImputer(strategy=strategy, **more)
    return make_pipeline(imputer, OneHotEncoder(handle_unknown="ignore", sparse_output=False))


def lightgbm(**parameters: Any) -> Any:
    """Return LightGBM's classifier."""
    module = pytest.importorskip("lightgbm")
    return module.LGBMClassifier(n_estimators=30, verbose=-1, n_jobs=1, **parameters)


def xgboost(**parameters: Any) -> Any:
    """Return XGBoost's classifier."""
    module = pytest.importorskip("xgboost")
    return module.XGBClassifier(n_estimators=30, max_depth=4, n_jobs=1, **parameters)


OF_TUMOURS: dict[str, Make] = {
    "LogReg": lr,
    "LogRegCV": lambda: make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=3, cv=3)),
    "SGD log_loss": lambda: make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", random_state=0)),
    "DecisionTree": lambda: DecisionTreeClassifier(max_depth=6, random_state=0),
    "scaler+DecisionTree": lambda: make_pipeline(StandardScaler(), DecisionTreeClassifier(random_state=0)),
    "RandomForest": lambda: RandomForestClassifier(50, random_state=0),
    "scaler+RandomForest": lambda: make_pipeline(
        StandardScaler(), RandomForestClassifier(50, random_state=0)
    ),
    "ExtraTrees": lambda: ExtraTreesClassifier(50, random_state=0),
    "GradientBoosting d3": lambda: GradientBoostingClassifier(n_estimators=30, random_state=0),
    "HistGradientBoosting": lambda: HistGradientBoostingClassifier(max_iter=8, random_state=0),
    "AdaBoost": lambda: AdaBoostClassifier(n_estimators=20, random_state=0),
    "Bagging": lambda: BaggingClassifier(random_state=0),
    "SVC(probability)": lambda: make_pipeline(
        StandardScaler(), CalibratedClassifierCV(SVC(random_state=0), ensemble=False, cv=3)
    ),
    "Calibrated(SVC)": lambda: make_pipeline(StandardScaler(), CalibratedClassifierCV(SVC(), cv=3)),
    "Calibrated(LinearSVC)": lambda: make_pipeline(
        StandardScaler(), CalibratedClassifierCV(LinearSVC(random_state=0), cv=3)
    ),
    "Calibrated(RF,isotonic)": lambda: CalibratedClassifierCV(
        RandomForestClassifier(20, random_state=0), method="isotonic", cv=3
    ),
    "KNN5": lambda: make_pipeline(StandardScaler(), KNeighborsClassifier(5)),
    "KNN distance": lambda: make_pipeline(StandardScaler(), KNeighborsClassifier(5, weights="distance")),
    "GaussianNB": GaussianNB,
    "LDA": LinearDiscriminantAnalysis,
    "QDA": lambda: make_pipeline(StandardScaler(), QuadraticDiscriminantAnalysis(reg_param=0.1)),
    "MLP": lambda: make_pipeline(StandardScaler(), MLPClassifier((16,), max_iter=40, random_state=0)),
    "Voting soft LR+RF+NB": voting,
    "Stacking LR+RF": stacking,
    "Poly2+LR": lambda: after(StandardScaler(), PolynomialFeatures(2)),
    "Spline+LR": lambda: after(SplineTransformer()),
    "KBins+LR": lambda: after(KBinsDiscretizer(quantile_method="linear", encode="onehot-dense")),
    "KBins ordinal+LR": lambda: after(KBinsDiscretizer(quantile_method="linear", encode="ordinal")),
    "IterativeImputer+LR": lambda: after(IterativeImputer(max_iter=3, random_state=0)),
    "KNNImputer+LR": lambda: after(KNNImputer()),
    "log1p Function+LR": lambda: after(FunctionTransformer(np.log1p)),
    "PCA+LR": lambda: make_pipeline(StandardScaler(), PCA(8), LogisticRegression()),
    "QuantileTransformer+LR": lambda: after(QuantileTransformer(n_quantiles=20, random_state=0)),
    "PowerTransformer+LR": lambda: after(PowerTransformer()),
    "GridSearchCV(LR)": lambda: GridSearchCV(lr(), {"logisticregression__C": [0.1, 1]}, cv=3),
    "TunedThreshold(LR)": lambda: TunedThresholdClassifierCV(lr(), cv=3),
    "LightGBM": lightgbm,
    "XGBoost": xgboost,
    "CatBoost": lambda: pytest.importorskip("catboost").CatBoostClassifier(
        20, verbose=0, allow_writing_files=False
    ),
    "GaussianProcess": lambda: make_pipeline(StandardScaler(), GaussianProcessClassifier()),
}

OF_DIGITS: dict[str, Make] = {
    "LogReg": lr,
    "RandomForest": lambda: RandomForestClassifier(50, random_state=0),
    "HistGradientBoosting": lambda: HistGradientBoostingClassifier(max_iter=2, random_state=0),
    "SVC(probability)": lambda: CalibratedClassifierCV(SVC(random_state=0), ensemble=False, cv=3),
    "KNN5": lambda: KNeighborsClassifier(5),
    "MLP": lambda: MLPClassifier((16,), max_iter=8, random_state=0),
    "LDA": LinearDiscriminantAnalysis,
    "GaussianNB": GaussianNB,
    "ExtraTrees": lambda: ExtraTreesClassifier(50, random_state=0),
}

OF_PASSENGERS: dict[str, Make] = {
    "onehot+LR": lambda: encoded(LogisticRegression(max_iter=500)),
    "onehot+RF": lambda: encoded(RandomForestClassifier(50, random_state=0)),
    "onehot+GB d2": lambda: encoded(
        GradientBoostingClassifier(max_depth=2, n_estimators=30, random_state=0)
    ),
    "onehot+HistGB": lambda: encoded(HistGradientBoostingClassifier(max_iter=8, random_state=0)),
    "ordinal+HistGB categorical": lambda: encoded(
        HistGradientBoostingClassifier(max_iter=8, categorical_features=[4, 5, 6], random_state=0),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan),
    ),
    "ordinal+RF": lambda: encoded(RandomForestClassifier(50, random_state=0), ordinal()),
    "TargetEncoder+LR": lambda: encoded(LogisticRegression(), TargetEncoder(random_state=0, cv=3)),
    "impute const+onehot+LR": lambda: encoded(LogisticRegression(), filled("constant")),
    "impute most_frequent+onehot+LR": lambda: encoded(LogisticRegression(), filled("most_frequent")),
    "onehot infrequent+LR": lambda: encoded(
        LogisticRegression(),
        OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30, sparse_output=False),
    ),
    "onehot drop=first+LR": lambda: encoded(
        LogisticRegression(), OneHotEncoder(drop="first", handle_unknown="ignore", sparse_output=False)
    ),
    "missing indicator+LR": lambda: encoded(
        LogisticRegression(), missing=SimpleImputer(add_indicator=True)
    ),
    "onehot+LightGBM": lambda: encoded(lightgbm()),
    "onehot+XGBoost": lambda: encoded(xgboost()),
    "HistGB from_dtype": lambda: HistGradientBoostingClassifier(max_iter=8, random_state=0),
    "CatBoost cat_features": lambda: encoded(
        pytest.importorskip("catboost").CatBoostClassifier(20, verbose=0, allow_writing_files=False),
        ordinal(),
    ),
    "onehot sparse+LR": lambda: encoded(LogisticRegression(), OneHotEncoder(handle_unknown="ignore")),
    "onehot+Voting": lambda: encoded(voting()),
}

OF_FLATS: dict[str, Make] = {
    "Ridge": ridge,
    "scaler+RandomForest": lambda: make_pipeline(
        StandardScaler(), RandomForestRegressor(30, random_state=0)
    ),
    "ExtraTrees": lambda: ExtraTreesRegressor(30, random_state=0),
    "DecisionTree": lambda: DecisionTreeRegressor(random_state=0),
    "GradientBoosting": lambda: GradientBoostingRegressor(n_estimators=30, random_state=0),
    "scaler+HistGradientBoosting": lambda: make_pipeline(
        StandardScaler(), HistGradientBoostingRegressor(max_iter=8, random_state=0)
    ),
    "HistGradientBoosting(poisson)": lambda: HistGradientBoostingRegressor(
        max_iter=8, loss="poisson", random_state=0
    ),
    "Bagging": lambda: BaggingRegressor(random_state=0),
    "Voting": lambda: VotingRegressor([("ridge", ridge()), ("forest", RandomForestRegressor(10))]),
    "Stacking": lambda: StackingRegressor(
        [("ridge", ridge()), ("forest", RandomForestRegressor(10, random_state=0))], ridge(), cv=3
    ),
    "LightGBM": lambda: pytest.importorskip("lightgbm").LGBMRegressor(
        n_estimators=30, verbose=-1, n_jobs=1
    ),
    "XGBoost": lambda: pytest.importorskip("xgboost").XGBRegressor(n_estimators=30, n_jobs=1),
}

ALL: dict[tuple[str, str], tuple[Callable[[], Spec], Make]] = {
    (data.__name__, name): (data, make)
    for data, made in (
        (tumours, OF_TUMOURS),
        (digits, OF_DIGITS),
        (passengers, OF_PASSENGERS),
        (flats, OF_FLATS),
    )
    for name, make in made.items()
}
