"""Names of hosts, the admin token, and the headers of pages: in this process, and on a real server."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest

from models_store.spec import Spec
from prediction.network import doors
from prediction.network.doors import Hosts, Keeper
from prediction.network.error_answers import Refusal
from tests.http.asgi import TOKEN, World, echo, refused
from tests.servers import Server, problem, series

Scope = dict[str, object]


def asked(
    host: str | None = None, path: str = "/", token: str | None = None, client: str | None = "10.0.0.1"
) -> Scope:
    """Return the scope of a request."""
    headers = [] if host is None else [(b"host", host.encode("latin-1"))]
    if token is not None:
        headers.append((b"authorization", f"Bearer {token}".encode()))
    return {"path": path, "headers": headers, "client": client and (client, 1)}


def test_pages_load_nothing_from_outside() -> None:
    """Everything that the policy does not name is refused, and scripts are files of this server."""
    policy = dict(part.split(" ", 1) for part in doors.PAGE_HEADERS["content-security-policy"].split("; "))

    assert "'none'" == policy.pop("default-src")
    assert "'self'" == policy.pop("script-src")
    assert not [sources for sources in policy.values() if "//" in sources or "*" in sources]


# ------------------------------------------------------------------------------------------- hosts


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        *((name, True) for name in ("localhost", "LocalHost:3000", "127.0.0.1", "127.0.0.1:80", "[::1]")),
        *((name, True) for name in ("[::1]:3000", "localhost:", "models.example", "MODELS.example:443")),
        *((name, False) for name in ("", "evil.example", "localhost.evil.example", "10.0.0.7")),
        *((name, False) for name in ("xlocalhost", "localhostx")),
        *((name, False) for name in ("localhost:x", "localhost ", "a@localhost", "modelsXexample", "::1")),
        *((name, False) for name in ("localhost\n", "localhost:80:80", "\xff", "models.example.")),
    ],
)
def test_a_host_is_compared_whole(host: str, is_ours: bool) -> None:
    """Case and port do not matter; everything else does."""
    hosts = Hosts(("localhost", "127.0.0.1", "::1", "models.example"))

    if is_ours:
        hosts.check(asked(host))
    else:
        with pytest.raises(Refusal, match="PREDICTION_HOSTS"):
            hosts.check(asked(host))


def test_every_host_of_a_request_is_compared() -> None:
    """A second header can't bring in another name; a request without one is no browser's."""
    scope = asked("localhost")
    scope["headers"] = [(b"host", b"localhost"), (b"host", b"evil.example")]

    with pytest.raises(Refusal):
        Hosts(("localhost",)).check(scope)
    Hosts(("localhost",)).check(asked(None))


@pytest.mark.parametrize("path", ["/livez", "/healthz", "/readyz", "/metrics", "/iris/predict"])
@pytest.mark.parametrize("host", ["10.1.2.3:3000", "10.1.2.3", "[fd00::7]:3000", "evil.example", "[evil]"])
def test_probes_may_use_any_address(path: str, host: str) -> None:
    """Kubernetes asks a pod by its IP address, which no page can make its own; other paths are closed."""
    is_open = path in doors.PROBES and "evil" not in host
    try:
        Hosts(("models.example",)).check(asked(host, path))
        was_open = True
    except Refusal:
        was_open = False

    assert is_open == was_open


def test_a_long_host_is_shown_short() -> None:
    """An answer is small, however long the header is."""
    with pytest.raises(Refusal) as caught:
        Hosts(("localhost",)).check(asked("x" * 10_000))

    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("bound", "names"),
    [
        ("127.0.0.1", {"localhost", "127.0.0.1", "::1"}),
        ("::1", {"localhost", "127.0.0.1", "::1"}),
        ("192.168.1.5", {"localhost", "127.0.0.1", "::1", "192.168.1.5"}),
        *((anything, None) for anything in ("0.0.0.0", "::", "/run/socket", "", None)),
    ],
)
def test_names_follow_from_the_address(bound: str | None, names: set[str] | None) -> None:
    """A server that listens on every address answers to every name: nobody knows its names."""
    found = doors.default_names(bound)

    assert names == (None if found is None else set(Hosts(found).names))


def test_another_host_is_refused_before_anything_else(specs: dict[str, Spec], good: bytes) -> None:
    """It is a 421 in the common shape on every path, and counted; nothing behind is asked."""
    world = World(specs["iris"], echo)
    world.app.hosts = Hosts(("localhost",))  # the client's `Host` is `test`
    before = refused("host", "iris"), refused("host")

    for asked_for in ("POST /iris/echo", "GET /metrics", "GET /iris/rows/a", "PUT /x"):
        method, path = asked_for.split()
        answer = world.ask(method, path, good)
        assert 421 == answer.status
        assert "'test'" in answer.problem["error"]

    assert [] == world.scopes
    assert (before[0] + 2, before[1] + 2) == (refused("host", "iris"), refused("host"))


# ------------------------------------------------------------------------------------- the admin token


def test_no_token_and_a_wrong_one_are_two_sentences() -> None:
    """One says how to send it, the other that it is not the server's; neither repeats it."""

    async def sentence(token: str | None) -> str:
        with pytest.raises(Refusal) as caught:
            await Keeper(TOKEN).demand(asked(token=token))
        return str(caught.value)

    none, wrong = asyncio.run(sentence(None)), asyncio.run(sentence("a-wrong-guess"))

    assert none.startswith("send the admin token: Authorization: Bearer")
    assert wrong.startswith("the admin token is wrong")
    assert "a-wrong-guess" not in wrong
    assert TOKEN not in none + wrong


def test_wrong_tokens_of_an_address_wait_longer_and_longer() -> None:
    """Up to a limit; the right token, and other addresses, never wait."""

    async def main() -> tuple[list[float], float]:
        keeper, waits = Keeper(TOKEN), []
        for _ in range(5):
            began = time.monotonic()
            assert not await keeper.is_admin(asked(token="wrong"))
            waits.append(time.monotonic() - began)
        began = time.monotonic()
        assert await keeper.is_admin(asked(token=TOKEN))
        assert not await keeper.is_admin(asked(token="wrong", client="10.0.0.2"))
        assert not await keeper.is_admin(asked(token="wrong", client=None))
        return waits, time.monotonic() - began

    waits, others = asyncio.run(main())

    assert [0, 0.25, 0.5, 1, 2] == pytest.approx(waits, abs=0.2)
    assert others < 0.2
    assert doors.MAX_DELAY_SECONDS == 2


def test_guesses_of_an_address_at_the_same_time_are_few() -> None:
    """More than eight are refused and not compared: many connections make guessing no faster."""

    async def main() -> list[object]:
        keeper = Keeper(TOKEN)
        await keeper.is_admin(asked(token="wrong"))
        tries = [keeper.is_admin(asked(token="wrong")) for _ in range(20)]
        late = keeper.is_admin(asked(token=TOKEN))
        found = await asyncio.gather(*tries, late, return_exceptions=True)
        assert await keeper.is_admin(asked(token=TOKEN))
        return list(found)

    found = asyncio.run(main())

    assert [False] * 8 == found[:8]
    assert {"busy"} == {error.reason for error in found[8:] if isinstance(error, Refusal)}
    assert 13 == len([error for error in found[8:] if isinstance(error, Refusal)])


def test_a_trusted_proxy_is_not_slowed() -> None:
    """All clients behind it share its address; they would wait for the wrong tokens of one."""
    keeper = Keeper(TOKEN, (ip_network("10.0.0.0/24"),))
    wrong = [asked(token="a-wrong-token", client=client) for client in ("10.0.0.1", "10.0.1.1")]

    async def guess(scope: Scope) -> float:
        started = time.monotonic()
        for _ in range(3):
            assert not await keeper.is_admin(scope)
        return time.monotonic() - started

    proxy, other = (asyncio.run(guess(scope)) for scope in wrong)

    assert proxy < doors.DELAY_SECONDS < other


def test_addresses_are_forgotten() -> None:
    """A hundred thousand of them take no more memory than a thousand; a network counts as one address."""

    async def main() -> Keeper:
        keeper = Keeper(TOKEN)
        for number in range(3_000):
            await keeper.is_admin(asked(token="wrong", client=f"10.0.{number // 250}.{number % 250}"))
        return keeper

    keeper = asyncio.run(main())

    assert doors.MAX_ADDRESSES == len(keeper._addresses)
    one = {doors._address(asked(client=f"2001:db8::{number}"), ()) for number in range(9)}
    mapped = {doors._address(asked(client=f"{prefix}10.0.0.1"), ()) for prefix in ("", "::ffff:")}
    assert (1, {"10.0.0.1"}) == (len(one), mapped)


# ----------------------------------------------------------------------------------- on a real server


@pytest.fixture(scope="module")
def guarded(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with an admin token and one worker, on 127.0.0.1."""
    home = tmp_path_factory.mktemp("doors") / "home"
    shutil.copytree(trained_home, home, symlinks=True)
    with Server(home, admin_token=TOKEN, workers=1) as running:
        yield running


def test_rebinding_reaches_nothing(guarded: Server, specs: dict[str, Spec]) -> None:
    """Workers know the address on which they listen: another name is a 421 on every route."""
    for host in ("evil.example", f"evil.example:{guarded.port}", "10.0.0.1"):
        headers = {"Host": host}
        answers = [
            guarded.client.get(path, headers=headers)
            for path in ("/", "/docs.json", "/dashboard", "/models")
        ]
        answers.append(guarded.client.post("/iris/predict", json=specs["iris"].example, headers=headers))
        for answer in answers:
            assert host in problem(answer, 421)["error"]
    for host in ("localhost", f"LOCALHOST:{guarded.port}", f"127.0.0.1:{guarded.port}", "[::1]:1"):
        assert 200 == guarded.client.get("/models", headers={"Host": host}).status_code
    assert 200 == guarded.client.get("/livez", headers={"Host": "10.0.0.1:3000"}).status_code


def test_guessing_is_slow_and_counted(guarded: Server) -> None:
    """Four threads guess for three seconds; predictions and the right token are answered all the while."""
    right = {"Authorization": f"Bearer {TOKEN}"}
    end = time.monotonic() + 3

    def guess(number: int) -> list[int]:
        found = list[int]()
        with httpx.Client(base_url=guarded.url, timeout=30) as client:
            while time.monotonic() < end:
                wrong = {"Authorization": f"Bearer wrong-{number}-{len(found)}"}
                path = "/iris/predictions" if number % 2 else "/dashboard"
                found.append(client.get(path, headers=wrong).status_code)
        return found

    with ThreadPoolExecutor(4) as pool:
        guesses = pool.map(guess, range(4))
        while time.monotonic() < end - 0.5:
            assert 200 == guarded.client.get("/iris/predictions", headers=right).status_code
            assert 200 == guarded.client.get("/livez").status_code
            time.sleep(0.1)
        found = [status for each in guesses for status in each]

    assert {200, 401} == set(found)
    assert len(found) < 30
    assert len(found) == series(guarded)["prediction_wrong_tokens_total"]
