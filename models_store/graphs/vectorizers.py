"""Vectorisers of texts in graphs: words and small letters as Python has them.

skl2onnx takes words of ASCII letters only, and ONNX Runtime makes small letters by a locale that images do
not have, `en_US.UTF-8`. So a graph gets a pattern for all letters, and an input of texts in small letters.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

LOWERED = "_lower_"
"""The beginning of the name of an input of texts in small letters. No feature's name begins with _."""

PATTERN = r"(?u)\b\w\w+\b"
"""scikit-learn's default: words of two letters or more."""


@lru_cache(maxsize=1)
def words() -> str:
    """Return the same pattern for the runtime, whose letters are of another version of Unicode."""
    every = "".join(chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000)
    ends = ((ord(found[0][0]), ord(found[0][-1])) for found in re.finditer(r"\w+", every))
    letters = "".join(rf"\x{{{first:x}}}-\x{{{last:x}}}" for first, last in ends)
    return f"[{letters}][{letters}]+"


def options(estimator: Any) -> dict[int, Any]:
    """Return skl2onnx's options for the vectorisers in a fitted estimator, by their ids."""
    from sklearn.feature_extraction.text import CountVectorizer

    return {
        id(found): {"tokenexp": words()}
        for found in _inside(estimator, set())
        if isinstance(found, CountVectorizer)
        and found.analyzer == "word"
        and found.token_pattern == PATTERN
    }


def _inside(thing: Any, seen: set[int]) -> Iterator[Any]:
    """Yield all estimators in an estimator, and the estimator itself."""
    from sklearn.base import BaseEstimator

    if id(thing) in seen:
        return
    seen.add(id(thing))
    parts: Iterable[Any] = ()
    if isinstance(thing, BaseEstimator):
        yield thing
        parts = list(vars(thing).values())
    elif isinstance(thing, dict):
        parts = list(thing.values())
    elif isinstance(thing, list | tuple):
        parts = thing
    for part in parts:
        if isinstance(part, BaseEstimator | dict | list | tuple):
            yield from _inside(part, seen)


def lower_outside(model: ModelProto) -> ModelProto:
    """Replace the nodes that make small letters by inputs of texts in small letters.

    A node is replaced if it reads an input of the graph as it is.
    """
    graph = model.graph
    makers = {output: node for node in graph.node for output in node.output}
    inputs = {item.name: item for item in graph.input}
    nodes: list[NodeProto] = []
    for node in graph.node:
        source = _source(node, makers) if _is_lowering(node) else ""
        if source not in inputs:
            nodes.append(node)
            continue
        name = LOWERED + source
        if name not in {item.name for item in graph.input}:
            added = graph.input.add()
            added.CopyFrom(inputs[source])
            added.name = name
        nodes.append(_reshape(name, makers[node.input[0]], node.output[0]))
    if len(graph.input) > len(inputs):
        _keep(model, nodes)
    return model


def _is_lowering(node: NodeProto) -> bool:
    values = {item.name: item for item in node.attribute}
    is_lower = "case_change_action" in values and values["case_change_action"].s == b"LOWER"
    return node.op_type == "StringNormalizer" and is_lower and "stopwords" not in values


def _source(node: NodeProto, makers: dict[str, NodeProto]) -> str:
    """Return the input of the graph whose texts a node reads, in whatever shape; empty if there is none."""
    name = str(node.input[0])
    if name not in makers or makers[name].op_type != "Reshape":
        return ""
    while name in makers:
        if makers[name].op_type not in ("Reshape", "Identity"):
            return ""
        name = str(makers[name].input[0])
    return name


def _reshape(name: str, shaped: NodeProto, output: str) -> NodeProto:
    import onnx

    return onnx.helper.make_node("Reshape", [name, shaped.input[1]], [output], name=f"{output}_lowered")


def _keep(model: ModelProto, nodes: Sequence[NodeProto]) -> None:
    """Put nodes into a graph, without those, and without the inputs, that nothing needs any more."""
    graph = model.graph
    needed = {item.name for item in graph.output}
    kept: list[NodeProto] = []
    for node in reversed(nodes):
        if needed & set(node.output):
            kept.insert(0, node)
            needed |= set(node.input)
    inputs = [item for item in graph.input if item.name in needed]
    del graph.node[:], graph.input[:]
    graph.node.extend(kept)
    graph.input.extend(inputs)


def lower(values: Sequence[Any] | NDArray[np.object_]) -> list[str]:
    """Return texts in small letters; a missing one is empty."""
    return ["" if value is None else value.lower() for value in values]
