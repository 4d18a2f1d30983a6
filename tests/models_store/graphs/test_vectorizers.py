"""Graphs with vectorisers: words and small letters are those of scikit-learn, in every alphabet."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from onnx import TensorProto, helper
from skl2onnx.common.data_types import StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union

from models_store import compiled
from models_store.graphs import converter, vectorizers
from models_store.spec import Features, Spec, classes, text

WORDS = [
    "slow",
    "quick",
    "Über",
    "für",
    "das",
    "Été",
    "don't",
    "A",
    "an",
    "I",
    "x2",
    "中文",
    "Straße",
    "ﬁn",
]
ODD = [
    None,
    "x",
    "!",
    "SLOW",
    "ÜBER das",
    "\u0130stanbul \u0131I",
    "ß ẞ STRASSE STRAßE",
    "١٢ ½½ a² éáb fürs",
    "de-für_das",
]


class NoteFeatures(Features):
    """One text."""

    note: str | None = text("Note", max_length=90, example="slow", optional=True)


def load() -> tuple[pd.DataFrame, pd.Series]:
    """Return 90 texts; those with one word are of one class."""
    rng = np.random.default_rng(0)
    notes = [" ".join(rng.choice(WORDS, rng.integers(0, 9))) or None for _ in range(90)]
    return pd.DataFrame({"note": notes}), pd.Series(
        ["yes" if "slow" in str(each) else "no" for each in notes]
    )


def pipeline(seed: int) -> Any:
    """Small letters for some vectorisers of one column, and the letters as they are for another."""
    both = make_union(TfidfVectorizer(), CountVectorizer(ngram_range=(1, 2)))
    made = [("both", both, "note"), ("cased", TfidfVectorizer(lowercase=False), "note")]
    return make_pipeline(ColumnTransformer(made), LogisticRegression(random_state=seed))


SPEC = Spec(
    name="notes",
    title="Notes",
    features=NoteFeatures,
    target=classes("no", "yes"),
    load=load,
    pipeline=pipeline,
)


def test_a_vectoriser_with_its_defaults_compiles_and_agrees() -> None:
    """On all rows of the proof, and on letters that ASCII does not know; one row at a time too."""
    X, y = SPEC.load()
    columns = SPEC.columns_of(X)
    fitted = SPEC.pipeline(0).fit(SPEC.frame(columns), y)
    built = compiled.build(fitted, SPEC, columns, seed=0)
    assert built.onnx is not None, built.reason
    session = compiled.Session(built.onnx, SPEC)

    for rows in ([each] for each in ODD):
        (found,) = session.run({"note": rows}, ["probabilities"])
        assert fitted.predict_proba(SPEC.frame({"note": rows})) == pytest.approx(found, abs=1e-6)
    (together,) = session.run({"note": np.array(ODD, object)}, ["probabilities"])  # type: ignore[dict-item]
    assert fitted.predict_proba(SPEC.frame({"note": ODD})) == pytest.approx(together, abs=1e-6)


def test_every_character_is_a_letter_where_it_is_one_for_python() -> None:
    """The runtime has another version of Unicode: it knows letters that Python does not."""
    rows = [f"the{chr(code)}the" for code in range(1, sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    counter = CountVectorizer(vocabulary=["the"], lowercase=False)
    model = converter.convert(
        counter, [("rows", StringTensorType([None, 1]))], vectorizers.options(counter)
    )
    found = onnxruntime.InferenceSession(model.SerializeToString()).run(
        None, {"rows": np.array(rows, object)[:, None]}
    )[0]

    others = np.flatnonzero(found.ravel() != counter.transform(rows).toarray().ravel())
    assert [] == [rows[other] for other in others]


def test_blanks_that_the_runtime_does_not_know_are_noticed() -> None:
    r"""`\S` of the runtime takes a no-break space for a letter: the pipeline is served."""
    X, y = SPEC.load()
    columns = SPEC.columns_of(X)
    pattern = ColumnTransformer([("words", CountVectorizer(token_pattern=r"\S+"), "note")])
    fitted = make_pipeline(pattern, LogisticRegression()).fit(SPEC.frame(columns), y)

    built = compiled.build(fitted, SPEC, columns, seed=0, random_rows=1_000)

    assert built.onnx is None
    assert "differs by" in built.reason


def test_only_vectorisers_of_scikit_learns_words_get_another_pattern() -> None:
    """A pattern of the spec itself is kept, and characters are no words."""
    default, own = TfidfVectorizer(), CountVectorizer(token_pattern="[a-z]+")
    made = make_pipeline(make_union(default, own, TfidfVectorizer(analyzer="char")), LogisticRegression())

    assert {id(default): {"tokenexp": vectorizers.words()}} == vectorizers.options(made)


def graph(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    """Make a graph of one column of texts, `a`, with the output `b`."""
    shape = helper.make_tensor("shape", TensorProto.INT64, [1], [-1])
    ends = [helper.make_tensor_value_info(name, TensorProto.STRING, None) for name in ("a", "b")]
    made = helper.make_graph(list(nodes), "g", ends[:1], ends[1:], [shape])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def small(source: str, output: str, **more: Any) -> onnx.NodeProto:
    """Make the node that makes small letters."""
    return helper.make_node("StringNormalizer", [source], [output], case_change_action="LOWER", **more)


def test_small_letters_become_an_input_and_the_other_is_gone() -> None:
    """If nothing else reads it."""
    made = vectorizers.lower_outside(
        graph(helper.make_node("Reshape", ["a", "shape"], ["flat"]), small("flat", "b"))
    )
    session = onnxruntime.InferenceSession(made.SerializeToString())

    assert ["_lower_a"] == [item.name for item in session.get_inputs()]
    assert ["x", "y"] == session.run(None, {"_lower_a": np.array([["x"], ["y"]], object)})[0].tolist()


@pytest.mark.parametrize(
    "nodes",
    [
        [small("a", "b")],
        [helper.make_node("Reshape", ["a", "shape"], ["flat"]), small("flat", "b", stopwords=["x"])],
        [
            small("a", "made", locale="C"),
            helper.make_node("Reshape", ["made", "shape"], ["flat"]),
            small("flat", "b"),
        ],
    ],
    ids=["of another form", "with stop words", "of texts that are made"],
)
def test_other_nodes_stay(nodes: list[onnx.NodeProto]) -> None:
    """The graph then fails or disagrees, and the pipeline is served."""
    assert graph(*nodes) == vectorizers.lower_outside(graph(*nodes))
