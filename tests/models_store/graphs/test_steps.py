"""Steps before an estimator as nodes: on their edges, one step beside them, and on rows of zeros."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, KBinsDiscretizer, Normalizer, PolynomialFeatures

from models_store.graphs import converter

X = np.random.default_rng(0).normal(size=(200, 3)).round(1)


def rows(edges: Any = ()) -> Any:
    """Return rows on edges and one step beside them, of extremes, and of zeros."""
    near = [np.nextafter(edge, end) for edge in edges for end in (-np.inf, edge, np.inf)]
    singles = [float(np.float32(value)) for value in near]
    more = [0.0, -0.0, 5e-324, 1e-16, 1e-12, -1e300, 2.0**24 + 1]
    column = np.array([*near, *singles, *more])[:, None]
    return np.vstack([X, np.hstack([column] * 3), np.hstack([column, column * 0, column * 0])])


def ask(step: Any, given: Any) -> Any:
    """Ask the graph of a step."""
    model = converter.convert(step, [("rows", DoubleTensorType([None, given.shape[1]]))])
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"rows": given})[0]


@pytest.mark.parametrize("encode", ["ordinal", "onehot-dense", "onehot"])
@pytest.mark.parametrize("strategy", ["uniform", "quantile", "kmeans"])
@pytest.mark.filterwarnings("ignore:Feature 2 is constant:UserWarning")
def test_bins_agree_on_every_edge(strategy: str, encode: str) -> None:
    """Columns have different numbers of bins, one of them a single bin."""
    step = KBinsDiscretizer(
        [2, 7, 4], strategy=strategy, encode=encode, quantile_method="averaged_inverted_cdf"
    )
    given = X.copy()
    given[:, 2] = 0 if strategy == "quantile" else given[:, 2]
    step.fit(given)
    edges = np.concatenate(step.bin_edges_)
    asked = rows(edges[np.isfinite(edges)])
    expected = step.transform(asked)

    np.testing.assert_array_equal(ask(step, asked), expected.toarray() if encode == "onehot" else expected)


@pytest.mark.parametrize("threshold", [0.3, 0.0])
def test_a_value_above_a_threshold_is_one(threshold: float) -> None:
    """A value is compared as it is: 0.30000000000000004 is above 0.3."""
    step, asked = Binarizer(threshold=threshold).fit(X), rows([threshold, 0.3])

    np.testing.assert_array_equal(ask(step, asked), step.transform(asked))


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_a_row_of_zeros_has_no_norm(norm: Any) -> None:
    """It stays as it is, and is not divided by 0."""
    step = Normalizer(norm).fit(X)
    asked = rows()[np.abs(rows()).max(axis=1) < 1e100]

    np.testing.assert_allclose(ask(step, asked), step.transform(asked), rtol=1e-15)
    assert not ask(step, np.zeros((1, 3))).any()


@pytest.mark.parametrize(
    "step",
    [
        PolynomialFeatures(),
        PolynomialFeatures(3, include_bias=False),
        PolynomialFeatures((2, 3), interaction_only=True),
        PolynomialFeatures(0),
    ],
    ids=str,
)
def test_products_agree_to_the_last_bit(step: Any) -> None:
    """They are multiplied in scikit-learn's order."""
    step.fit(X)

    np.testing.assert_array_equal(ask(step, X), step.transform(X))


@pytest.mark.filterwarnings("ignore:Feature 0 is constant:UserWarning")
def test_steps_follow_each_other() -> None:
    """The type of one is that of the next."""
    bins = KBinsDiscretizer(3, encode="ordinal", strategy="uniform")
    made = make_pipeline(Normalizer(), PolynomialFeatures(), bins).fit(X)

    np.testing.assert_array_equal(ask(made, X), made.transform(X))


def test_it_says_what_it_does_not_write() -> None:
    """Bins that are compared in float32."""
    step = KBinsDiscretizer(3, dtype=np.float32, strategy="uniform").fit(X)

    with pytest.raises(NotImplementedError, match="no converter knows KBinsDiscretizer"):
        ask(step, X)
