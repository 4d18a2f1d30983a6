"""Names of hosts, the admin token, and the headers of pages. Most of it in this process, over ASGI."""

from __future__ import annotations

from prediction.network import doors


def test_pages_load_nothing_from_outside() -> None:
    """Everything that the policy does not name is refused, and scripts are files of this server."""
    policy = dict(part.split(" ", 1) for part in doors.PAGE_HEADERS["content-security-policy"].split("; "))

    assert "'none'" == policy.pop("default-src")
    assert "'self'" == policy.pop("script-src")
    assert not [sources for sources in policy.values() if "//" in sources or "*" in sources]
