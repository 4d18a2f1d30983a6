"""Object stores: what errors of the library say. `tests/artifacts/test_bucket.py` asks a real server."""

from __future__ import annotations

import pytest
from obstore.exceptions import GenericError, PermissionDeniedError, UnauthenticatedError

from prediction import object_stores
from prediction.object_stores import REFUSED, SILENT


@pytest.mark.parametrize(
    ("error", "said", "may_pass"),
    [
        (GenericError("Generic S3 error: HTTP error: error sending request"), SILENT, True),
        (GenericError("Generic S3 error: operation timed out"), SILENT, True),
        (
            GenericError("Server returned non-2xx status code: 503 Slow Down"),
            "it answers with the status 503",
            True,
        ),
        (
            GenericError("Server returned non-2xx status code: 429 secret"),
            "it answers with the status 429",
            True,
        ),
        (
            GenericError("Server returned non-2xx status code: 400 secret"),
            "it answers with the status 400",
            False,
        ),
        (GenericError("Server returned non-2xx status code: 403 secret"), REFUSED, False),
        (PermissionDeniedError("secret"), REFUSED, False),
        (UnauthenticatedError("secret"), REFUSED, False),
        (ValueError("no such scheme"), "no such scheme", False),
        (GenericError("secret"), "GenericError in the library: check the URL and the credentials", False),
        (
            GenericError("no\nDebug source: HTTP error secret"),
            "GenericError in the library: check the URL and",
            False,
        ),
    ],
)
def test_errors_are_words_of_ours(error: Exception, said: str, may_pass: bool) -> None:
    """Only those that may end by themselves are worth another attempt."""
    found = object_stores.reason(error, "the URL")

    assert found.startswith(said)
    assert "secret" not in found
    assert may_pass == object_stores.may_pass(found)
