"""Estimators that a proposal chooses from: the code of each pipeline, for the columns of a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models_store.features.category import Category
from models_store.features.feature import Feature
from models_store.targets.classes import Classes
from models_store.targets.kinds import Target
from prediction.proposals import code
from prediction.proposals.drafts import Constant

MANY_ROWS, FEW_ROWS = 20_000, 2_000
MANY_CLASSES = 5

LISTED = "listed = [list(SPEC.inputs[name].categories) for name in CATEGORIES]"
"""With its categories named, an encoder does not take a missing value for one of them."""


@dataclass(frozen=True)
class Groups:
    """The columns of the frame by what must be done with them.

    Parameters
    ----------
    open
        Of each open category the values that get a column.
    gaps
        Whether a number may be missing.
    """

    numbers: list[str]
    listed: list[str]
    open: Mapping[str, Sequence[str]]
    texts: list[str]
    gaps: bool

    @property
    def constants(self) -> Mapping[str, Constant]:
        """The lists that the code of a pipeline names."""
        found: dict[str, Constant] = {
            "NUMBERS": self.numbers,
            "CATEGORIES": self.listed,
            "FREQUENT": self.open,
        }
        return {} if self.only_numbers else {name: columns for name, columns in found.items() if columns}

    @property
    def only_numbers(self) -> bool:
        """Whether all columns are numbers: they need no names then."""
        return not (self.listed or self.open or self.texts)


def groups(features: Sequence[Feature], frequent: Mapping[str, Sequence[str]]) -> Groups:
    """Sort the columns of features.

    Parameters
    ----------
    frequent
        Of each open category the values that get a column.
    """
    numbers = [each for each in features if not each.is_text]
    categories = [each for each in features if isinstance(each, Category)]
    return Groups(
        [column for each in numbers for column in each.columns],
        [each.name for each in categories if not each.open],
        {each.name: frequent[each.name] for each in categories if each.open},
        [each.name for each in features if each.kind == "text"],
        any(each.optional for each in numbers),
    )


@dataclass(frozen=True)
class Estimator:
    """One choice.

    Parameters
    ----------
    name
        For tables.
    module, made
        The module of scikit-learn and the call that makes it.
    scaled, filled
        Whether it needs numbers of one scale, and numbers without gaps.
    words
        What it does, after "then ".
    """

    name: str
    module: str
    made: str
    scaled: bool = False
    filled: bool = True

    @property
    def imported(self) -> str:
        """The name of its class."""
        return self.made.partition("(")[0]


def choices(target: Target, rows: int, parts: Groups) -> list[Estimator]:
    """Return the estimators that suit a table, the simplest first."""
    is_classes = isinstance(target, Classes)
    kind = "Classifier" if is_classes else "Regressor"
    if is_classes:
        made = "LogisticRegression(max_iter=1000, random_state=seed)"
        found = [Estimator("logistic regression", "linear_model", made, scaled=True)]
    else:
        found = [Estimator("ridge regression", "linear_model", "Ridge(random_state=seed)", scaled=True)]
    if rows <= MANY_ROWS:
        made = f"RandomForest{kind}(min_samples_leaf=2, random_state=seed)"
        found.append(Estimator("random forest", "ensemble", made))
    if rows <= MANY_ROWS and not (is_classes and len(target.texts) > MANY_CLASSES):
        made = f"GradientBoosting{kind}(subsample=0.5, random_state=seed)"
        found.append(Estimator("gradient boosting", "ensemble", made))
    if rows > FEW_ROWS and not parts.texts:  # it takes no sparse columns
        made = f"HistGradientBoosting{kind}(learning_rate=0.05, random_state=seed)"
        found.append(Estimator("histogram boosting", "ensemble", made, filled=False))
    return found


def pipeline(choice: Estimator, parts: Groups) -> str:
    """Return the code of `pipeline(seed)`."""
    steps = _steps(choice, parts)
    imports = sorted({*_imports(choice, parts), f"from sklearn.{choice.module} import {choice.imported}"})
    lines = [
        "def pipeline(seed: int) -> Pipeline:",
        f"{code.INDENT}{code.docstring([_words(choice, parts)])}",
        *(f"{code.INDENT}{line}" for line in imports),
        "",
        *([f"{code.INDENT}{LISTED}"] if parts.listed else []),
        *_returned(steps, choice, parts),
    ]
    return "\n".join(lines)


def _words(choice: Estimator, parts: Groups) -> str:
    """Say in a sentence what the pipeline does."""
    done = []
    if parts.numbers:
        done += ["fill gaps"] if parts.gaps and choice.filled else []
        done += ["scale"] if choice.scaled else []
    done += ["one-hot the categories"] if parts.listed or parts.open else []
    done += ["count the words"] if parts.texts else []
    sentence = ", ".join([*done, f"then {choice.name}" if done else choice.name])
    return sentence[:1].upper() + sentence[1:] + "."


def _numbers(choice: Estimator, parts: Groups) -> list[str]:
    """Return the transformers of the numbers."""
    done = ['SimpleImputer(strategy="median")'] if parts.gaps and choice.filled else []
    return done + (["StandardScaler()"] if choice.scaled else [])


def _steps(choice: Estimator, parts: Groups) -> list[str]:
    """Return the transformers of a `ColumnTransformer`, as code."""
    steps = []
    if parts.numbers:
        done = _numbers(choice, parts)
        made = (
            f"make_pipeline({', '.join(done)})" if len(done) > 1 else done[0] if done else '"passthrough"'
        )
        steps.append(f'("numbers", {made}, NUMBERS)')
    if parts.listed:
        steps.append(f'("categories", {_one_hot("ignore", "categories=listed, ")}, CATEGORIES)')
    if parts.open:
        known = _one_hot("ignore", "categories=list(FREQUENT.values()), ")
        steps.append(f'("frequent", {known}, list(FREQUENT))')
    for name in parts.texts:
        words = "TfidfVectorizer(lowercase=False, max_features=10_000)"
        steps.append(f'("words_of_{name}", {words}, {code.literal(name)})')
    return steps


def _one_hot(unknown: str, more: str) -> str:
    return f'OneHotEncoder({more}handle_unknown="{unknown}", sparse_output=False)'


def _returned(steps: Sequence[str], choice: Estimator, parts: Groups) -> list[str]:
    if parts.only_numbers:
        inner = [*_numbers(choice, parts), choice.made]
        return [code.call("return make_pipeline", inner, indent=1)]
    margin = code.INDENT
    lines = [f"{margin}return make_pipeline(", f"{margin * 2}ColumnTransformer(", f"{margin * 3}["]
    for step in steps:
        opened = step.removeprefix("(").removesuffix(")")
        lines.append(_step(opened))
    made = code.call(choice.imported, _arguments(choice.made), indent=2, ending=",")
    return [*lines, f"{margin * 3}]", f"{margin * 2}),", made, f"{margin})"]


def _step(inner: str) -> str:
    """Return a step of a `ColumnTransformer`: name, transformer, columns."""
    margin = code.INDENT * 4
    whole = f"{margin}({inner}),"
    if len(whole) <= code.WIDTH:
        return whole
    name, _, rest = inner.partition(", ")
    made, _, columns = rest.rpartition(", ")
    long = code.call(made.partition("(")[0], _arguments(made), indent=5, ending=",")
    return "\n".join(
        [
            f"{margin}(",
            f"{margin}{code.INDENT}{name},",
            long,
            f"{margin}{code.INDENT}{columns},",
            f"{margin}),",
        ]
    )


def _arguments(made: str) -> list[str]:
    """Return the arguments of a call as code; none of them holds a comma, except within brackets."""
    inner = made.partition("(")[2].removesuffix(")")
    found, depth = [""], 0
    for character in inner:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            found.append("")
        else:
            found[-1] += character
    return [each.strip() for each in found if each.strip()]


def _imports(choice: Estimator, parts: Groups) -> list[str]:
    used = _numbers(choice, parts) if parts.numbers else []
    found = ["from sklearn.pipeline import make_pipeline"]
    found += ["from sklearn.compose import ColumnTransformer"] if not parts.only_numbers else []
    found += ["from sklearn.feature_extraction.text import TfidfVectorizer"] if parts.texts else []
    found += ["from sklearn.impute import SimpleImputer"] if any("Imputer" in each for each in used) else []
    scaled = ["StandardScaler"] if any("Scaler" in each for each in used) else []
    encoded = ["OneHotEncoder"] if parts.listed or parts.open else []
    needed = ", ".join([*encoded, *scaled])
    return found + ([f"from sklearn.preprocessing import {needed}"] if needed else [])
