"""Classes as a target: labels that are texts, integers or booleans, and their canonical texts.

The journal, the store and the metrics hold the canonical text of a label; clients and files get the label
itself. Everything below `http` and `batch` works with texts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from models_store.errors import InvalidSpec
from models_store.faults import Fault
from models_store.targets import costs, estimators
from models_store.targets.costs import Cost
from models_store.targets.decisions import (
    LABEL,
    PROBABILITIES,
    THRESHOLD,
    TOLERANCE,
    TRUTH,
    ClassAnswers,
    ClassProof,
    Decision,
    without_threshold,
)
from models_store.targets.labels import KINDS, Label, of_labels, of_positive, shown, text_of, wrong
from models_store.targets.rules import GateRules
from models_store.targets.said import Said, of_classes
from models_store.validation import listing

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from sklearn.base import ClassifierMixin


@dataclass(frozen=True)
class Classes:
    """Two or more classes. `classes` makes it.

    Parameters
    ----------
    labels
        All of one type, sorted, as scikit-learn orders the columns of `predict_proba`.
    positive
        The class that one looks for, if there are two.
    cost
        Chooses the threshold of the positive class at training.
    """

    kind: ClassVar[str] = "classes"
    rules: ClassVar[type] = GateRules

    labels: tuple[Label, ...]
    positive: Label | None = None
    cost: Cost | None = None

    def faults(self) -> list[Fault]:
        """Return what is wrong with the declaration."""
        words = of_labels(self.labels) or of_positive(self.labels, self.positive)
        words += costs.faults_of(self.cost, self.positive)
        return [Fault(("target",), each) for each in words]

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The canonical text of each label, in the order of the labels."""
        return tuple(text_of(label) for label in self.labels)

    @cached_property
    def values(self) -> dict[str, Label]:
        """The labels by their canonical texts."""
        return dict(zip(self.texts, self.labels, strict=True))

    @property
    def example(self) -> Label:
        """A label for descriptions."""
        return self.labels[0]

    @property
    def expected(self) -> str:
        """Describes a valid label in words."""
        kind = type(self.labels[0])  # a text "1" and the integer 1 are written alike
        return f"one of {'' if kind is str else f'the {KINDS[kind]} '}{listing(self.texts)}"

    @property
    def counted(self) -> tuple[str, ...]:
        """The names under which answers are counted."""
        return self.texts

    def as_dict(self) -> dict[str, Any]:
        """Return what the metadata of a version holds of its target."""
        more: dict[str, Any] = {"cost": asdict(self.cost)} if self.cost else {}
        if self.positive is not None:
            more["positive"] = self.text(self.positive)
        return {"target": self.kind, "classes": list(self.texts), **more}

    def table(self) -> dict[str, str]:
        """Return what a table of a training shows of the target."""
        more = {"costs": self.cost.words} if self.cost else {}
        if self.positive is not None:
            more = {"positive": self.text(self.positive), **more}
        return {"classes": ", ".join(self.texts), **more}

    def is_of(self, metadata: Mapping[str, Any]) -> bool:
        """Whether a version with this metadata was trained for this target."""
        known = metadata.get("target", self.kind), metadata.get("classes")
        return known == (self.kind, list(self.texts))

    def profile(self, texts: Sequence[str]) -> dict[str, Any]:
        """Return what the profile of a version holds of its labels: how often there is each."""
        counts = Counter(texts)
        return {"classes": {name: counts[name] for name in self.texts}}

    def number(self, _text: str) -> None:
        """Return what the journal holds beside the text of a label: nothing."""

    def text(self, label: Any) -> str:
        """Return the canonical text of a valid label."""
        return text_of(label)

    def value(self, text: str) -> Label:
        """Return the label of a canonical text; the text itself if the spec no longer has that class."""
        return self.values.get(text, text)

    def knows(self, text: str) -> bool:
        """Whether a canonical text is that of a class."""
        return text in self.values

    def read(self, y: Any) -> list[str]:
        """Return the canonical texts of the labels of a dataset.

        Raises
        ------
        InvalidSpec
            Naming the first label that is none of the classes.
        """
        if getattr(y, "ndim", 1) != 1:
            raise InvalidSpec("load() returns labels with several columns: a model has one label a row")
        labels = y.tolist() if hasattr(y, "tolist") else list(y)
        texts = [text_of(label) if type(label) in KINDS else "" for label in labels]
        for number, (label, text) in enumerate(zip(labels, texts, strict=True)):
            if type(label) is not type(self.labels[0]) or text not in self.values:
                words = wrong(label, type(self.labels[0]), self.expected)
                raise InvalidSpec(f"row {number} of load(): {words}")
        return texts

    def as_y(self, texts: Iterable[str]) -> NDArray[np.generic]:
        """Return labels as the pipeline is fitted with them, from their canonical texts."""
        kind = object if isinstance(self.labels[0], str) else type(self.labels[0])
        return np.array([self.values[text] for text in texts], kind)

    def strata(self, texts: Sequence[str]) -> list[int]:
        """Return the stratum of each label: parts of a dataset have equal shares of every stratum."""
        position = {text: number for number, text in enumerate(self.texts)}
        return [position[text] for text in texts]

    def demand(self, pipeline: Any) -> None:
        """Refuse an estimator that can't learn this target."""
        estimators.demand_classifier(pipeline)
        if self.cost:
            costs.demand_no_threshold(pipeline)

    def demand_fitted(self, pipeline: Any) -> None:
        """Refuse a fitted pipeline that can't answer with this target."""
        estimators.demand_probabilities(pipeline)
        known = np.ravel(getattr(pipeline, "classes_", [])).tolist()
        if 0 < len(known) < len(self.labels) and all(label in self.labels for label in known):
            raise InvalidSpec(f"the rows to train on have only the classes {shown(known)}")
        if known != list(self.labels):
            raise InvalidSpec(
                f"classes_ of its pipeline is {shown(known) or 'missing'} after the fit, not"
                f" {shown(self.labels)}: it must have the labels as they are declared"
            )

    @property
    def chooses(self) -> bool:
        """Whether training chooses the decision, on answers to rows that were not trained on."""
        return self.cost is not None

    def choose(
        self, labels: Sequence[str], answers: Sequence[ClassAnswers], weights: NDArray[np.float64]
    ) -> Decision:
        """Choose the decision that costs least.

        Parameters
        ----------
        labels, answers, weights
            n rows; their answers come in parts, of models that had not seen them.
        """
        if self.cost is None or self.positive is None:
            return TRUTH
        text = self.text(self.positive)
        position = self.texts.index(text)
        p = np.concatenate([np.zeros(0), *(each.probabilities[:, position] for each in answers)])
        threshold = costs.cheapest(self.cost, np.array([label == text for label in labels]), p, weights)
        return Decision(THRESHOLD, position, threshold)

    def decided(self, pipeline: ClassifierMixin, decision: Decision) -> ClassifierMixin:
        """Return a fitted pipeline whose `predict` follows a chosen decision."""
        if decision.threshold is None:
            return pipeline
        y = self.as_y(self.texts)
        return costs.with_threshold(pipeline, decision.threshold, self.positive, y)

    def decide(self, answers: ClassAnswers, decision: Decision) -> ClassAnswers:
        """Decide again, by a chosen decision."""
        if decision.threshold is None:
            return answers
        return self.reader(decision)([answers.probabilities])

    def prove(self, pipeline: ClassifierMixin, X: pd.DataFrame, _texts: Sequence[str] = ()) -> ClassProof:
        """Ask a fitted pipeline about rows, to compare others with it."""
        return ClassProof(pipeline, self.labels, X)

    def convertible(self, pipeline: ClassifierMixin) -> ClassifierMixin:
        """Return what the converter to ONNX takes of a fitted pipeline; the decision is ours."""
        return without_threshold(pipeline)

    def outputs_of(self, graph: Sequence[str]) -> list[str]:
        """Return the outputs of a graph that answers may be made of."""
        return [name for name in (PROBABILITIES, LABEL) if name == PROBABILITIES or name in graph]

    def ask(
        self,
        pipeline: ClassifierMixin,
        X: pd.DataFrame,
        decision: Decision | None = None,
        _beside: Sequence[NDArray[Any]] = (),
    ) -> ClassAnswers:
        """Let a pipeline answer rows, by default with its own `predict`."""
        decision = TRUTH if decision is None else decision
        outputs = [pipeline.predict_proba(X)]
        if np.shape(outputs[0]) != (len(X), len(self.labels)):
            raise InvalidSpec(
                f"its predict_proba gives an array of shape {np.shape(outputs[0])} for {len(X)} rows:"
                f" it must give {len(self.labels)} probabilities for each row"
            )
        if LABEL in decision.outputs:
            outputs.append(pipeline.predict(X))
        return self.reader(decision)(outputs)

    def reader(self, decision: Decision) -> Callable[[Sequence[NDArray[Any]]], ClassAnswers]:
        """Return the function that reads answers out of the outputs of a graph or a pipeline."""
        decide = decision.decider(self.labels)
        if decision == Decision():  # without a call more: most versions decide so

            def most_probable(outputs: Sequence[NDArray[Any]]) -> ClassAnswers:
                probabilities = np.asarray(outputs[0], np.float64)
                return ClassAnswers(probabilities, probabilities.argmax(axis=1))

            return most_probable

        def read(outputs: Sequence[NDArray[Any]]) -> ClassAnswers:
            probabilities = np.asarray(outputs[0], np.float64)
            return ClassAnswers(probabilities, decide([probabilities, *outputs[1:]]))

        return read

    def adapt(self, answers: ClassAnswers, _width: float) -> ClassAnswers:
        """Return the answers: they have no interval."""
        return answers

    def said(self, answers: ClassAnswers, _width: float = 1.0) -> Said:
        """Return what the journal keeps of answers."""
        return of_classes(self.texts, answers.best, answers.probabilities)

    def count(self, answers: ClassAnswers) -> dict[str, int]:
        """Count answers by their names in `counted`."""
        counts = np.bincount(answers.best, minlength=len(self.texts)).tolist()
        return dict(zip(self.texts, counts, strict=True))

    def golden(self, answers: ClassAnswers, decision: Decision) -> dict[str, Any]:
        """Return answers as a version keeps them, to be repeated at each load, and the decision."""
        return {
            "decision": decision.as_dict(),
            "probabilities": answers.probabilities.tolist(),
            "answers": [self.texts[best] for best in answers.best],
        }

    def decision(self, golden: Mapping[str, Any]) -> Decision:
        """Read the decision of a version; those of the first release state none."""
        return Decision(**golden.get("decision", {}))

    def describe_decision(self, metadata: Mapping[str, Any]) -> str:
        """Say in words how a version with this metadata decides."""
        try:
            return self.decision(metadata).words(self.texts)
        except (TypeError, ValueError):  # a newer release has saved it
            return str(metadata["decision"].get("rule"))

    def compare(self, golden: Mapping[str, Any], answers: ClassAnswers) -> str | None:
        """Say how answers differ from golden ones; None if they are the same."""
        difference = float(np.abs(answers.probabilities - np.array(golden["probabilities"])).max())
        if not difference <= TOLERANCE:
            return f"they differ by {difference:.1e}"
        others = [self.texts[best] for best in answers.best] != golden.get("answers")
        return "they are other classes" if others and "answers" in golden else None


def classes(*labels: Label, positive: Label | None = None, cost: Cost | None = None) -> Classes:
    """Declare the classes that a model tells apart.

    Parameters
    ----------
    labels
        Two or more, sorted, each once: all texts, all integers or all booleans. Answers and feedback have
        them as they are.
    positive
        The class that one looks for, "fraud" for example, if there are two.
    cost
        The costs of errors: training then chooses the threshold that costs least.
    """
    return Classes(labels, positive, cost)
