"""The place behind a proxy: the path prefix, and the headers of the proxies that are trusted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from prediction.settings import PREFIX

Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Proxies:
    """Gives the application paths without the prefix, and the address and scheme of the client.

    The scope then has `prefix`, for the links that need it, and `is_proxied` for a trusted proxy. Only a
    trusted proxy can change the prefix, the client's address and the scheme, by `X-Forwarded-Prefix`,
    `X-Forwarded-For` and `X-Forwarded-Proto`.

    Parameters
    ----------
    root_path
        The prefix where no trusted proxy sends one; may be empty.
    trusted
        The networks of the trusted proxies.
    own
        The first parts of the service's own paths. A prefix that begins with one of them is not removed
        here, because nobody can tell `/iris` + `/iris/predict` from `/iris/predict`: the proxy removes it.
    """

    app: ASGIApp
    root_path: str
    trusted: tuple[Network, ...]
    own: frozenset[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            scope = self._read_headers({**scope, "prefix": self.root_path})
            self._remove_prefix(scope)
            if scope["path"] == "":  # relative links of the docs page need the slash
                await _redirect(scope, send)
                return
        await self.app(scope, receive, send)

    def _read_headers(self, scope: Scope) -> Scope:
        """Change a scope by the headers of a trusted proxy."""
        client = scope.get("client")
        if client is None or not is_trusted(client[0], self.trusted):
            return scope
        scope["is_proxied"] = True
        headers: dict[bytes, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name, []).append(value.decode("latin-1"))
        prefix = ", ".join(headers.get(b"x-forwarded-prefix", [])).rstrip("/")
        if PREFIX.fullmatch(prefix):
            scope["prefix"] = prefix
        scheme = ", ".join(headers.get(b"x-forwarded-proto", []))
        if scheme in ("http", "https"):
            scope["scheme"] = scheme
        scope["client"] = self._client(client, ",".join(headers.get(b"x-forwarded-for", [])))
        return scope

    def _client(self, peer: tuple[str, int], forwarded: str) -> tuple[str, int]:
        """Return the last address that no trusted proxy has; a client can forge those before it."""
        found = peer
        for text in reversed(forwarded.split(",")):
            address = _address(text.strip())
            if address is None:
                break
            found = (str(address), 0)
            if not is_trusted(found[0], self.trusted):
                break
        return found

    def _remove_prefix(self, scope: Scope) -> None:
        prefix, path = scope["prefix"], scope["path"]
        if not prefix or prefix.split("/")[1] in self.own:
            return
        if path == prefix or path.startswith(f"{prefix}/"):
            scope["path"] = path[len(prefix) :]
            scope["raw_path"] = scope["raw_path"].removeprefix(prefix.encode())


@lru_cache(maxsize=4096)
def is_trusted(host: str, trusted: tuple[Network, ...]) -> bool:
    """Return whether an address is in one of the networks."""
    address = _address(host)
    return address is not None and any(address in network for network in trusted)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address, with a port or without; None if it is none."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    # A socket that listens on `::` sees IPv4 clients so.
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


async def _redirect(scope: Scope, send: Send) -> None:
    """Send a client from the prefix to the docs page; without a host, which only the proxy knows."""
    query = scope["query_string"]
    location = scope["prefix"].encode() + b"/" + (b"?" + query if query else b"")
    headers = [(b"location", location), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 308, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
