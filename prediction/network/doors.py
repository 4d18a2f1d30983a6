"""Who gets in: the host names by which clients may call this server, their pages, and the admin token.

It also owns the headers of pages for people, which let in nothing from outside.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import re
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from starlette.types import Scope

from prediction import metrics
from prediction.network.error_answers import Refusal
from prediction.network.proxies import Network, is_trusted

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
PROBES = frozenset({"/livez", "/healthz", "/readyz"})
"""Whoever restarts a container asks these by its address, which nobody knows beforehand."""

MAX_HOST_SHOWN = 100
"""Characters of a refused host name in the answer."""

DELAY_SECONDS, MAX_DELAY_SECONDS = 0.25, 2.0
"""Delay of the second wrong token of an address; it doubles with each further one, up to the limit."""

MEMORY_SECONDS = 60.0
"""Seconds without a wrong token after which an address starts anew."""

MAX_WAITING = 8
"""Wrong tokens of one address that wait for their answers at a time."""

MAX_ADDRESSES = 1_024
"""Addresses that are remembered; the one that was silent for longest is forgotten first."""

PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Nothing comes from other hosts, and only our files are scripts. Plotly and Swagger set inline styles."""


class Hosts:
    """The names of this server, each with any port or none. Any other name gets 421.

    A foreign page can make its own name point to this server (DNS rebinding). The browser then sends that
    name as `Host`, and the page may read the answers.

    Parameters
    ----------
    names
        Names and IP addresses, those of version 6 without brackets.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(dict.fromkeys(names))
        written = "|".join(re.escape(f"[{name}]" if ":" in name else name) for name in self.names)
        self._pattern = re.compile(rf"(?:{written})(?::[0-9]*)?".encode(), re.IGNORECASE)

    def check(self, scope: Scope) -> None:
        """Refuse a request that calls this server by another name. One without `Host` is no browser's.

        Raises
        ------
        Refusal
        """
        for name, value in scope["headers"]:
            if name != b"host" or self._pattern.fullmatch(value):
                continue
            if scope["path"] in PROBES and _is_address(value):
                continue
            shown = value[:MAX_HOST_SHOWN].decode("latin-1")
            raise Refusal(
                "host",
                f"this server does not answer as {shown!r}: use {self.names[0]}, or add the name to"
                " PREDICTION_HOSTS where the server starts",
            )


def demand_own_page(scope: Scope) -> None:
    """Refuse a body without a type that a page of another origin may have sent.

    For a body with a type, browsers ask before they send it: see `network/origins.py`.

    Raises
    ------
    Refusal
    """
    headers = dict(scope["headers"])
    if headers.get(b"content-type", b"").split(b";")[0].strip():
        return
    site = headers.get(b"sec-fetch-site", b"none").strip().lower()
    origin = headers.get(b"origin")
    host = headers.get(b"host", b"").lower()
    is_own = origin is None or origin.lower().partition(b"://")[2] == host
    if site not in (b"none", b"same-origin") or not is_own:
        message = "a page of another origin must send the header Content-Type: application/json"
        raise Refusal("foreign", message)


def default_names(bound: str | None) -> tuple[str, ...] | None:
    """Return the names of a server that is bound to an address; None: every name.

    Parameters
    ----------
    bound
        The address on which it listens, or None if that is unknown.
    """
    try:
        if bound is None or ipaddress.ip_address(bound).is_unspecified:
            return None
    except ValueError:  # a Unix socket
        return None
    return (*LOCAL_NAMES, bound)


def _is_address(host: bytes) -> bool:
    """Return whether a `Host` is an IP address, with a port or without. It is no rebound name then."""
    text = host.decode("latin-1")
    bracketed = re.fullmatch(r"\[([^\]]*)\](:[0-9]*)?", text)
    try:
        ipaddress.ip_address(bracketed[1] if bracketed else text.partition(":")[0])
    except ValueError:
        return False
    return True


@dataclass
class _Guesses:
    """The wrong tokens of one address."""

    count: int = 0
    last: float = 0.0
    waiting: int = 0


@dataclass
class Keeper:
    """Checks the admin token, and slows addresses that send wrong ones.

    Parameters
    ----------
    token
        The admin token; without one nobody is an administrator.
    trusted
        Networks of trusted proxies. Their addresses are not slowed: many clients share the address of one.
    """

    token: str | None
    trusted: tuple[Network, ...] = ()
    _addresses: OrderedDict[str, _Guesses] = field(default_factory=OrderedDict, init=False)

    async def demand(self, scope: Scope) -> None:
        """Refuse a request without the admin token.

        Raises
        ------
        Refusal
            After a delay, if the address has sent wrong tokens before.
        """
        if self.token is None:
            message = "admin routes are shut: set PREDICTION_ADMIN_TOKEN where the server starts"
            raise Refusal("forbidden", message)
        if await self.is_admin(scope):
            return
        message = "send the admin token: Authorization: Bearer <PREDICTION_ADMIN_TOKEN>"
        if _bearer(scope):
            message = (
                "the admin token is wrong: send the value that PREDICTION_ADMIN_TOKEN has where the server"
                " runs, as Authorization: Bearer <PREDICTION_ADMIN_TOKEN>"
            )
        raise Refusal("unauthorized", message, {"www-authenticate": "Bearer"})

    async def is_admin(self, scope: Scope) -> bool:
        """Return whether a request has the admin token. A wrong one is counted, and waits.

        Raises
        ------
        Refusal
            When too many wrong tokens of this address wait already; the token is not looked at then.
        """
        given = _bearer(scope)
        if self.token is None or not given:
            return False
        guesses = self._guesses(_address(scope, self.trusted))
        if guesses and guesses.waiting >= MAX_WAITING:
            message = "too many wrong admin tokens came from this address: try again in a few seconds"
            raise Refusal("busy", message, {"retry-after": f"{MAX_DELAY_SECONDS:.0f}"})
        if hmac.compare_digest(given, self.token.encode()):
            return True
        metrics.WRONG_TOKENS.inc()
        if guesses:
            await _slow(guesses)
        return False

    def _guesses(self, address: str | None) -> _Guesses | None:
        """Return the wrong tokens of an address; None for one that is never slowed."""
        if address is None:
            return None
        found = self._addresses.pop(address, None)
        if found is None or (not found.waiting and time.monotonic() > found.last + MEMORY_SECONDS):
            found = _Guesses()
        self._addresses[address] = found
        if len(self._addresses) > MAX_ADDRESSES:
            self._addresses.popitem(last=False)
        return found


async def _slow(guesses: _Guesses) -> None:
    """Count a wrong token of an address, and wait."""
    delay = DELAY_SECONDS * 2 ** (min(guesses.count, 10) - 1) if guesses.count else 0.0
    guesses.count += 1
    guesses.last = time.monotonic()
    guesses.waiting += 1
    try:
        await asyncio.sleep(min(delay, MAX_DELAY_SECONDS))
    finally:
        guesses.waiting -= 1


def _bearer(scope: Scope) -> bytes:
    """Return the token of a request; empty without one, or with another scheme."""
    scheme, _, given = dict(scope["headers"]).get(b"authorization", b"").partition(b" ")
    return bytes(given.strip()) if scheme.lower() == b"bearer" else b""


def _address(scope: Scope, trusted: tuple[Network, ...]) -> str | None:
    """Return the client's address, of version 6 the first half of it; None if it must not be slowed."""
    client = scope.get("client")
    if not client or is_trusted(client[0], trusted):  # without a client: a Unix socket
        return None
    try:
        address = ipaddress.ip_address(client[0])
    except ValueError:
        return str(client[0])
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or int(address) >> 64)
