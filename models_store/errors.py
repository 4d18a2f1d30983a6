"""The base of the error tree. It knows no HTTP: `prediction.network.error_answers` has the statuses."""

from collections.abc import Sequence
from typing import Any

Detail = dict[str, Any]


class Error(Exception):
    """One sentence that says what is wrong and what to do.

    Parameters
    ----------
    message
        Names the thing and the next step; users see it unchanged.
    detail
        One `{"loc": [...], "msg": "..."}` for each wrong place.
    """

    def __init__(self, message: str, detail: Sequence[Detail] = ()) -> None:
        super().__init__(message)
        self.detail = list(detail)


class InvalidSpec(Error):
    """A file of the catalog does not describe a model."""


class BrokenSpec(InvalidSpec):
    """A model can't be used because its file of the catalog is broken."""


class NoCatalog(Error):
    """There is no folder of specs, or it is empty."""


class InvalidInput(Error):
    """Values sent by a client do not fit the spec's feature schema.

    Parameters
    ----------
    features
        The wrong features, once for each wrong value.
    """

    def __init__(self, message: str, detail: Sequence[Detail] = (), features: Sequence[str] = ()) -> None:
        super().__init__(message, detail)
        self.features = list(features)


class UnknownModel(Error):
    """The catalog has no spec of that name."""


class UnknownVersion(Error):
    """The store has no such version."""


class DamagedVersion(Error):
    """A version with missing or changed files."""


class InvalidModel(Error):
    """A file that was trained elsewhere is no model, or none that may be read."""


class NothingTrained(Error):
    """The store holds no version of a spec."""


def none_trained(model: str | None = None) -> NothingTrained:
    """Make the error for a model, or for all models, without a version in the model store."""
    if model is None:
        return NothingTrained("nothing is trained yet: run `loop train`")
    return NothingTrained(f"{model} is not trained yet: run `loop train {model}`")


def broken_spec(model: str, fault: str) -> BrokenSpec:
    """Make the error for a request to a model whose file is broken; `fault` says where and how."""
    return BrokenSpec(f"{model} can't answer: {fault}: correct the file and restart the server")
