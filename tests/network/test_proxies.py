"""The prefix, removed or not, and the headers of trusted proxies. In this process, over ASGI."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network
from typing import Any

import pytest

from prediction.network.proxies import Network, Proxies
from tests.http.asgi import Answer, World, ask

LOCAL = (ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))


def send(
    world: World, method: str, path: str, body: bytes = b"", *, proxies: dict[str, Any], **headers: str
) -> Answer:
    """Send one request to the entrance behind proxies; the peer is 127.0.0.1."""
    given = {"root_path": "", "trusted": (), "own": frozenset({"iris", "things", "livez"}), **proxies}
    return asyncio.run(ask(Proxies(world.app, **given), method, path, body, **headers))


@pytest.mark.parametrize("path", ["/iris/echo", "/ml/iris/echo"])
def test_a_prefix_may_be_removed_by_the_proxy_or_not(world: World, good: bytes, path: str) -> None:
    """Both ways lead to the same route."""
    assert 200 == send(world, "POST", path, good, proxies={"root_path": "/ml"}).status


@pytest.mark.parametrize(
    "path", ["/ml/ml/iris/echo", "/mliris/echo", "/m/iris/echo", "/ML/iris/echo", "//ml/iris/echo"]
)
def test_other_paths_are_not_found(world: World, good: bytes, path: str) -> None:
    """Only the whole prefix is removed, once; the sentence leads to the docs page behind the proxy."""
    answer = send(world, "POST", path, good, proxies={"root_path": "/ml"})

    assert 404 == answer.status
    assert "no such path: the routes are listed at /ml/" == answer.problem["error"]


def test_the_application_behind_knows_the_prefix(world: World) -> None:
    """BentoML's application gets its own paths, and the prefix beside them."""
    send(world, "GET", "/ml/livez", proxies={"root_path": "/ml"})

    (scope,) = world.scopes
    assert ("/livez", b"/livez", "/ml", "") == (
        scope["path"],
        scope["raw_path"],
        scope["prefix"],
        scope["root_path"],
    )


@pytest.mark.parametrize(("query", "expected"), [("", "/a/b/"), ("?x=1", "/a/b/?x=1")])
def test_the_bare_prefix_is_redirected(world: World, query: str, expected: str) -> None:
    """Without a host: only the proxy knows the one that clients use."""
    answer = send(world, "GET", f"/a/b{query}", proxies={"root_path": "/a/b"})

    assert (308, expected) == (answer.status, answer.headers["location"])


def test_a_prefix_like_a_path_of_ours_is_left_to_the_proxy(world: World, good: bytes) -> None:
    """`/iris` + `/iris/echo` and `/iris/echo` can't be told apart, so `/iris/echo` is always the route."""
    world_of_iris = {"root_path": "/iris"}

    assert 200 == send(world, "POST", "/iris/echo", good, proxies=world_of_iris).status
    assert 404 == send(world, "POST", "/iris/iris/echo", good, proxies=world_of_iris).status


def scope_of(world: World, trusted: tuple[Network, ...], **headers: str) -> dict[str, Any]:
    """Return the scope behind proxies with a header of a prefix of our own."""
    world.scopes.clear()
    app = Proxies(world.app, "/ml", trusted, frozenset())
    answer = asyncio.run(ask(app, "GET", "/livez", b"", **headers))
    assert 200 == answer.status
    return world.scopes[0]


FORWARDED = {
    "x_forwarded_prefix": "/other",
    "x_forwarded_for": "192.0.2.9",
    "x_forwarded_proto": "https",
}


def test_nobody_is_believed_by_default(world: World) -> None:
    """Not even 127.0.0.1, which every process of this machine has."""
    for trusted in ((), (ip_network("10.0.0.0/8"),)):
        scope = scope_of(world, trusted, **FORWARDED)

        assert ("/ml", "http", ("127.0.0.1", 1)) == (scope["prefix"], scope["scheme"], scope["client"])
        assert "is_proxied" not in scope


def test_a_trusted_proxy_is_believed(world: World) -> None:
    """Its headers change the prefix, the scheme and the client's address."""
    scope = scope_of(world, LOCAL, **FORWARDED)

    assert ("/other", "https", ("192.0.2.9", 0)) == (scope["prefix"], scope["scheme"], scope["client"])
    assert scope["is_proxied"]


def test_a_forwarded_prefix_is_removed_from_the_path(world: World, good: bytes) -> None:
    """A proxy that keeps the prefix may send it as a header."""
    for path in ("/iris/echo", "/deep/place/iris/echo"):
        answer = send(
            world, "POST", path, good, proxies={"trusted": LOCAL}, x_forwarded_prefix="/deep/place/"
        )
        assert 200 == answer.status


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "/",
        "//evil.example.com",
        "/a//b",
        "/..",
        "/a/../b",
        "/a b",
        "a",
        "/a, /b",
        "/\u00e9",
        "/" + "a" * 200,
    ],
)
def test_an_unusable_prefix_is_ignored(world: World, prefix: str) -> None:
    """It could lead to another host or out of the proxy's path."""
    assert "/ml" == scope_of(world, LOCAL, x_forwarded_prefix=prefix)["prefix"]


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ("198.51.100.1, 192.0.2.9", "192.0.2.9"),
        ("192.0.2.9, 10.1.2.3, 127.0.0.5", "192.0.2.9"),
        ("10.1.2.3", "10.1.2.3"),
        ("192.0.2.9:55123", "192.0.2.9"),
        ("[2001:db9::5]:443, [2001:db8::1]", "2001:db9::5"),
        ("2001:db9::5", "2001:db9::5"),
        ("::ffff:192.0.2.9", "192.0.2.9"),
        ("192.0.2.9, nonsense", "127.0.0.1"),
        ("nonsense, 10.0.0.1", "10.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
def test_the_client_is_the_last_address_that_no_trusted_proxy_has(
    world: World, forwarded: str, expected: str
) -> None:
    """A client writes what it likes in front; only the addresses that trusted proxies add count."""
    assert expected == scope_of(world, LOCAL, x_forwarded_for=forwarded)["client"][0]


@pytest.mark.parametrize("scheme", ["", "ftp", "https, http", "HTTPS\u00e9"])
def test_another_scheme_is_ignored(world: World, scheme: str) -> None:
    """Only http and https are schemes of requests."""
    assert "http" == scope_of(world, LOCAL, x_forwarded_proto=scheme)["scheme"]
