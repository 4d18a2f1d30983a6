"""Object stores by URL, through obstore: how one is opened, and what its errors say in words of ours.

No message of the library leaves this module: it may quote what a server answers to wrong credentials.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

CONNECT_SECONDS = 1.0
BYTES_A_SECOND = 1 << 20
"""A slower store counts as one that does not answer."""

RETRY: Any = {
    "max_retries": 2,
    "retry_timeout": timedelta(seconds=2),  # a request that ran into its timeout is not sent again
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(milliseconds=500),
        "base": 2,
    },
}

SILENT = "it does not answer"
MISSING = "it answers with the status 404"
"""Of a list: there is no such bucket."""

REFUSED = "it refuses the credentials in the environment, or there are none"

ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT")
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
METADATA = "//169.254.169.254/"
"""Where the library asks for credentials when there are none."""


def connect(url: str, seconds: float) -> Any:
    """Open a bucket or a prefix of one; the credentials and the endpoint are in the environment. No I/O.

    Parameters
    ----------
    seconds
        Timeout of a request.

    Raises
    ------
    ValueError
        When the URL or a variable of the environment can't be used.
    """
    from obstore.store import from_url

    if url.startswith("s3:"):
        _check_environment()

    options: Any = {
        "allow_http": True,  # an endpoint that the operator names may be one of this machine
        "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
        "timeout": timedelta(seconds=seconds),
    }
    return from_url(url, client_options=options, retry_config=RETRY)


def _check_environment() -> None:
    """Refuse variables of S3 that make the library panic, with the name and without the value."""
    for name in (*ENDPOINTS, *KEYS, *REGIONS):
        value = os.environ.get(name)
        if value is None:
            continue
        if value != value.strip() or not value.isprintable():
            raise ValueError(f"{name}: has a space or a line's end too many")
        if name in ENDPOINTS and not re.match("https?://[^/]", value):
            raise ValueError(f"{name}: give a URL such as https://s3.example.com:9000, or unset it")


@contextmanager
def calling() -> Iterator[None]:
    """Turn a panic of the library, which is no `Exception`, into an error: no thread of ours may end by it.

    Raises
    ------
    ValueError
    """
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        words = "the library fails: check the variables of the environment"
    else:
        return
    raise ValueError(words)


def reason(error: Exception, source: str) -> str:
    """Say what is wrong: the library's own words may hold keys and addresses.

    Parameters
    ----------
    source
        What names the store: a setting or an argument.
    """
    from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

    text = str(error).partition("Debug source")[0]
    if type(error) is ValueError:
        return text
    status = re.search(r"status code: (\d{3})", text)
    refused = status is not None and status[1] in ("401", "403")
    if refused or METADATA in text or isinstance(error, PermissionDeniedError | UnauthenticatedError):
        return REFUSED
    if status is not None:
        return f"it answers with the status {status[1]}"
    if "HTTP error" in text or "timed out" in text:
        return SILENT
    return f"{type(error).__name__} in the library: check {source} and the credentials"


def may_pass(said: str) -> bool:
    """Tell whether what `reason` says may end by itself."""
    return said == SILENT or re.search("status (429|5[0-9]{2})$", said) is not None
