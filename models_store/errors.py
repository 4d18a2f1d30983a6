"""The base of the error tree. It knows no HTTP: one table in `prediction.http.entrance` maps it."""

from collections.abc import Sequence
from typing import Any

Detail = dict[str, Any]


class Error(Exception):
    """What went wrong and what to do about it, in one sentence.

    Parameters
    ----------
    message
        Names the thing and the next step; it is shown to users as it is.
    detail
        Pairs `{"loc": [...], "msg": "..."}`, one for each place that is wrong.
    """

    def __init__(self, message: str, detail: Sequence[Detail] = ()) -> None:
        super().__init__(message)
        self.detail = list(detail)


class InvalidSpec(Error):
    """A file of the catalog does not describe a model."""


class NoCatalog(Error):
    """There is no folder of specs, or it is empty."""


class InvalidInput(Error):
    """Values sent by a client do not fit the spec's feature schema.

    Parameters
    ----------
    features
        The features of the spec that are wrong, once a wrong value.
    """

    def __init__(self, message: str, detail: Sequence[Detail] = (), features: Sequence[str] = ()) -> None:
        super().__init__(message, detail)
        self.features = list(features)


class UnknownModel(Error):
    """No spec of that name."""


class UnknownVersion(Error):
    """No such version in the store."""


class DamagedVersion(Error):
    """A version whose files are not those that were saved."""


class NothingTrained(Error):
    """The store holds no version of a spec."""


def none_trained(model: str | None = None) -> NothingTrained:
    """Make the error for a model, or for all models, without a version in the model store."""
    if model is None:
        return NothingTrained("nothing is trained yet: run `loop train`")
    return NothingTrained(f"{model} is not trained yet: run `loop train --missing`")
