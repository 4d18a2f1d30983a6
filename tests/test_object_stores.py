"""Object stores: what errors of the library say. `tests/artifacts/test_bucket.py` asks a real server."""

from __future__ import annotations

import pytest
from obstore.exceptions import GenericError, PermissionDeniedError, UnauthenticatedError

from prediction import object_stores
from prediction.artifacts.bucket import Bucket
from prediction.batch.bulk.buckets import BucketFolder
from prediction.errors import ArtifactsUnavailable, PlaceUnavailable
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
        (GenericError("performing PUT http://169.254.169.254/latest: HTTP error"), REFUSED, False),
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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_ENDPOINT_URL", "127.0.0.1:9000"),
        ("AWS_ENDPOINT_URL", ""),
        ("AWS_ENDPOINT_URL_S3", "secret"),
        ("AWS_ACCESS_KEY_ID", "secret\n"),
        ("AWS_SECRET_ACCESS_KEY", " secret"),
        ("AWS_SESSION_TOKEN", "sec\nret"),
        ("AWS_REGION", "eu-central-1\r"),
    ],
)
def test_a_variable_that_no_request_can_be_made_of_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """The library panics at most of them: a secret made of a file ends with a line's end."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    monkeypatch.setenv(name, value)

    with pytest.raises(
        ArtifactsUnavailable, match=f"the store of artefacts can't be used: {name}: "
    ) as own:
        Bucket("s3://models/production").list()
    with pytest.raises(PlaceUnavailable, match=f"s3://models/in can't be read: {name}: "):
        BucketFolder("s3://models", "in").walk(None)

    assert "secret" not in str(own.value)


def test_a_panic_of_the_library_is_an_error() -> None:
    """It is no `Exception`, and would end the thread that follows the ledger."""
    import obstore
    from obstore.store import S3Store

    broken = S3Store("models", access_key_id="a\n", secret_access_key="b", endpoint="http://127.0.0.1:9")

    with pytest.raises(ValueError, match="the library fails"), object_stores.calling():
        obstore.head(broken, "key")
    with pytest.raises(KeyboardInterrupt), object_stores.calling():
        raise KeyboardInterrupt
