"""`SimpleImputer`, `OneHotEncoder` and `OrdinalEncoder` as nodes: in float64 too, and with missing texts.

A string tensor can't hold null: a missing text is an empty one, which is no category.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from models_store.graphs.causes import NoConverter
from models_store.graphs.writer import Nodes

MISSING = ""


def register() -> None:
    """Let the converter write imputers and encoders in this way."""
    from skl2onnx import update_registered_converter
    from skl2onnx.shape_calculators import one_hot_encoder
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    hot = one_hot_encoder.calculate_sklearn_one_hot_encoder_output_shapes
    update_registered_converter(SimpleImputer, "MadeSimpleImputer", _shape_of_imputer, _imputer)
    update_registered_converter(OneHotEncoder, "MadeOneHotEncoder", hot, _one_hot)
    update_registered_converter(OrdinalEncoder, "MadeOrdinalEncoder", _shape_of_ordinal, _ordinal)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _is_text(operator: Any) -> bool:
    from skl2onnx.common.data_types import StringTensorType

    return isinstance(operator.inputs[0].type, StringTensorType)


def width(operator: Any) -> int:
    """Return how many columns an operator takes."""
    return sum(each.get_second_dimension() for each in operator.inputs)


def joined(nodes: Nodes, operator: Any) -> str:
    """Join the inputs of an operator into one matrix."""
    names = [each.full_name for each in operator.inputs]
    return nodes.add("Concat", names, axis=1) if len(names) > 1 else names[0]


# ------------------------------------------------------------------------------------- imputers


def _kept(imputer: Any) -> list[int]:
    """Return the columns that come out: those without any value at the fit are gone."""
    return [at for at, value in enumerate(imputer.statistics_.tolist()) if not _is_missing(value)]


def _indicated(imputer: Any) -> list[int]:
    return [] if imputer.indicator_ is None else imputer.indicator_.features_.tolist()


def _shape_of_imputer(operator: Any) -> None:
    first, imputer = operator.inputs[0], operator.raw_operator
    wide = len(_kept(imputer)) + len(_indicated(imputer))
    operator.outputs[0].type = type(first.type)([first.get_first_dimension(), wide])


def _imputer(scope: Any, operator: Any, container: Any) -> None:
    from skl2onnx.common.data_types import guess_numpy_type, guess_proto_type

    imputer, nodes = operator.raw_operator, Nodes(scope, container)
    if not _is_missing(imputer.missing_values):
        raise NoConverter(f"SimpleImputer(missing_values={imputer.missing_values!r})")
    given, kept, indicated = joined(nodes, operator), _kept(imputer), _indicated(imputer)
    if _is_text(operator):
        if indicated:
            raise NoConverter("SimpleImputer(add_indicator=True) of texts")
        like: Any = object
        is_missing = nodes.add("Equal", [given, nodes.constant([MISSING], object)])
    else:
        like = guess_numpy_type(operator.inputs[0].type)
        is_missing = nodes.add("IsNaN", [given])
    found = nodes.add("Where", [is_missing, nodes.constant([imputer.statistics_], like), given])
    if len(kept) < len(imputer.statistics_):
        found = nodes.add("Gather", [found, nodes.constant(kept, np.int64)], axis=1)
    if indicated:
        chosen = nodes.add("Gather", [is_missing, nodes.constant(indicated, np.int64)], axis=1)
        flags = nodes.cast(chosen, guess_proto_type(operator.inputs[0].type))
        found = nodes.add("Concat", [found, flags], axis=1)
    nodes.add("Identity", [found], operator.outputs[0].full_name)


# ------------------------------------------------------------------------------------- encoders


def _is_category(nodes: Nodes, operator: Any, categories: list[Any]) -> str:
    """Add nodes that compare each column with each of its categories, shape (n, all categories)."""
    from onnx import TensorProto
    from skl2onnx.common.data_types import guess_numpy_type

    is_text, given = _is_text(operator), joined(nodes, operator)
    like = object if is_text else guess_numpy_type(operator.inputs[0].type)
    parts = []
    for at, known in enumerate(categories):
        one = nodes.add("Gather", [given, nodes.constant([at], np.int64)], axis=1)
        values = [MISSING if is_text and _is_missing(each) else each for each in known]
        equal = nodes.add("Equal", [one, nodes.constant([values], like)])
        if not is_text and any(map(_is_missing, known)):  # no number is equal to NaN
            places = nodes.constant([list(map(_is_missing, known))], bool)
            equal = nodes.add("Or", [equal, nodes.add("And", [nodes.add("IsNaN", [one]), places])])
        parts.append(equal)
    every = nodes.add("Concat", parts, axis=1) if len(parts) > 1 else parts[0]
    return nodes.cast(every, TensorProto.FLOAT)


def _one_hot(scope: Any, operator: Any, container: Any) -> None:
    encoder, nodes = operator.raw_operator, Nodes(scope, container)
    categories = encoder.categories_
    hot = _is_category(nodes, operator, categories)
    blocks, unknown = _places(encoder)
    matrix = np.zeros((sum(map(len, blocks)), sum(each.shape[1] for each in blocks)), np.float32)
    row = column = 0
    for block in blocks:
        matrix[row : row + len(block), column : column + block.shape[1]] = block
        row, column = row + len(block), column + block.shape[1]
    if unknown is None:
        if not np.array_equal(matrix, np.eye(*matrix.shape)):
            hot = nodes.add("MatMul", [hot, nodes.constant(matrix, np.float32)])
    else:
        counted = np.zeros((len(matrix), len(blocks)), np.float32)
        counted[np.arange(len(matrix)), np.repeat(np.arange(len(blocks)), list(map(len, blocks)))] = 1
        known = nodes.add("MatMul", [hot, nodes.constant(counted, np.float32)])
        others = nodes.add("Sub", [nodes.constant([1], np.float32), known])
        more = nodes.add("Concat", [hot, others], axis=1)
        hot = nodes.add("MatMul", [more, nodes.constant(np.vstack([matrix, unknown]), np.float32)])
    _end(nodes, operator, hot)


def _places(encoder: Any) -> tuple[list[Any], Any]:
    """Return which category sets which column, a matrix a feature, and which column an unknown one sets."""
    grouped = getattr(encoder, "_infrequent_enabled", False)
    dropped: Any = encoder.drop_idx_
    dropped = [None] * len(encoder.categories_) if dropped is None else dropped
    blocks, places, start = [], [], 0
    for at, known in enumerate(encoder.categories_):
        group = encoder._default_to_infrequent_mappings[at] if grouped else None
        group = np.arange(len(known)) if group is None else group
        is_grouped = grouped and encoder.infrequent_categories_[at] is not None
        if is_grouped and dropped[at] is not None:
            raise NoConverter("OneHotEncoder that drops a category and groups infrequent ones")
        block = np.eye(group.max() + 1, dtype=np.float32)[group]
        if dropped[at] is not None:
            block = np.delete(block, dropped[at], axis=1)
        blocks.append(block)
        places.append(start + int(group.max()) if is_grouped else None)
        start += block.shape[1]
    if encoder.handle_unknown not in ("infrequent_if_exist", "warn") or not any(
        p is not None for p in places
    ):
        return blocks, None
    unknown = np.zeros((len(blocks), start), np.float32)
    for at, place in enumerate(places):
        if place is not None:
            unknown[at, place] = 1
    return blocks, unknown


def _shape_of_ordinal(operator: Any) -> None:
    from skl2onnx.common.data_types import FloatTensorType

    first = operator.inputs[0]
    operator.outputs[0].type = FloatTensorType([first.get_first_dimension(), width(operator)])


def _ordinal(scope: Any, operator: Any, container: Any) -> None:
    encoder, nodes = operator.raw_operator, Nodes(scope, container)
    hot = _is_category(nodes, operator, encoder.categories_)
    rows = sum(map(len, encoder.categories_))
    codes = np.zeros((rows, len(encoder.categories_)), np.float32)
    known, blank, row = codes.copy(), codes.copy(), 0
    for at, of_column in enumerate(encoder.categories_):
        for category in _codes(encoder, at, of_column):
            codes[row, at], known[row, at], blank[row, at] = np.nan_to_num(category), 1, np.isnan(category)
            row += 1
    found = nodes.add("MatMul", [hot, nodes.constant(codes, np.float32)])
    half = nodes.constant([0.5], np.float32)
    if encoder.handle_unknown == "use_encoded_value":
        is_known = nodes.add(
            "Greater", [nodes.add("MatMul", [hot, nodes.constant(known, np.float32)]), half]
        )
        found = nodes.add("Where", [is_known, found, nodes.constant([encoder.unknown_value], np.float32)])
    if blank.any():
        is_blank = nodes.add(
            "Greater", [nodes.add("MatMul", [hot, nodes.constant(blank, np.float32)]), half]
        )
        found = nodes.add("Where", [is_blank, nodes.constant([np.nan], np.float32), found])
    _end(nodes, operator, found)


def _codes(encoder: Any, at: int, categories: Any) -> list[float]:
    """Return the code of each category of a column."""
    grouped = getattr(encoder, "_infrequent_enabled", False)
    group = encoder._default_to_infrequent_mappings[at] if grouped else None
    missing = float(encoder.encoded_missing_value)
    return [
        missing if _is_missing(each) else float(code if group is None else group[code])
        for code, each in enumerate(categories)
    ]


def _end(nodes: Nodes, operator: Any, found: str) -> None:
    """Give the output of an operator its name and its type."""
    from skl2onnx.common.data_types import guess_proto_type

    output = operator.outputs[0]
    nodes.add("Cast", [found], output.full_name, to=guess_proto_type(output.type))
