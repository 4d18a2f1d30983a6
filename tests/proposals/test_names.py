"""Names of fields made of the names of columns."""

from __future__ import annotations

import pytest

from prediction.proposals import names


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("tenure", "tenure"),
        ("MonthlyCharges", "MonthlyCharges"),
        ("Monthly Charges ($)", "monthly_charges"),
        ("Größe in cm", "grosse_in_cm"),
        ("2023 sales", "n_2023_sales"),
        ("class", "class_value"),
        ("text", "text_value"),
        ("label", "label_value"),
        ("copy", "copy_value"),
        ("model_year", "model_year"),
        ("model_dump", "the_model_dump"),
        ("_private", "private"),
        ("", "column_1"),
        ("数量", "column_1"),
        ("% of rain", "percent_of_rain"),
    ],
)
def test_a_header_becomes_a_name_that_a_field_may_have(header: str, name: str) -> None:
    """One that can be a name stays; one that the file of a spec uses itself gets an ending."""
    assert [name] == names.fields([header])
    assert names.is_field(name)


def test_two_headers_never_get_the_same_name() -> None:
    """Also not that of a third one."""
    assert ["a_b", "a_b_2", "a_b_3"] == names.fields(["a b", "a-b", "a_b_3"])
    assert ["a_b_2", "a_b"] == names.fields(["a b", "a_b"])


@pytest.mark.parametrize(
    ("header", "words", "unit"),
    [
        ("Weight (kg)", "Weight", "kg"),
        ("body_mass_g", "Body mass g", ""),
        ("length_mm", "Length mm", "mm"),
        ("MonthlyCharges", "Monthly Charges", ""),
        ("mm", "Mm", ""),
        ("fat_pct", "Fat pct", "%"),
    ],
)
def test_a_header_is_told_in_words(header: str, words: str, unit: str) -> None:
    """With the unit that it names."""
    assert (words, unit) == (names.description(header, "x"), names.unit(header))


def test_classes_are_named_in_camel_case() -> None:
    """As the file of a spec names its schema."""
    assert ("CustomerChurn", "Churn") == (names.camel("customer_churn"), names.camel("churn"))
