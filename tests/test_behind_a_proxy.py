"""The service behind Debian's nginx, with the configuration that docs/behind-a-proxy.md prints."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import bentoml
import httpx
import numpy as np
import psutil
import pytest

from models_store.spec import Spec
from tests.documents import DOCS, blocks
from tests.servers import PROJECT, Server, free_port

PAGE = DOCS / "behind-a-proxy.md"
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
NAME = "ml.example.com"
TOKEN = "a-token-of-the-tests"
ORIGIN = "https://app.example.com"
PREFIXES = ("/ml", "/kept")
CONNECTIONS = 50
BURSTS = 10
LEAST_IDLE = 5
"""A busy machine answers a burst on few connections; a server that closes idle ones would leave none."""

BATCH_ROWS = 200  # slow enough for all requests of a burst to be there at once
IDLE_SECONDS = (58.0, 63.0)
"""Around the 60 s for which the printed configuration keeps idle connections."""

MAIN = """\
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxied;
    fastcgi_temp_path f;
    uwsgi_temp_path u;
    scgi_temp_path s;
    include prediction.conf;
}
"""
"""The parts of nginx.conf that Debian has, for one process that writes only into its folder."""

pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx")


@dataclass
class Proxied:
    """A server, nginx in front of it, and a client that checks the certificate."""

    server: Server
    client: httpx.Client
    process: subprocess.Popen[bytes]
    log: Path

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send one request to nginx."""
        return self.client.request(method, path, extensions={"sni_hostname": NAME}, **options)

    def upstream_connections(self) -> int:
        """Return how many connections nginx has to the server."""
        found = psutil.Process(self.process.pid).net_connections("tcp4")
        return sum(
            1 for each in found if each.status == "ESTABLISHED" and each.raddr.port == self.server.port
        )


def configure(folder: Path, port: int, server_port: int) -> None:
    """Write what the page prints, with free ports and the files of this folder; make its certificate."""
    (certificate,) = blocks(PAGE, "sh")
    subprocess.run(["sh", "-c", certificate], cwd=folder, check=True, capture_output=True)
    (printed,) = blocks(PAGE, "nginx")
    changes = {
        "127.0.0.1:3000 ": f"127.0.0.1:{server_port} ",
        "127.0.0.1:3001 ": f"127.0.0.1:{free_port()} ",  # nobody answers there
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "/etc/nginx/": f"{folder}/",
    }
    write(folder, printed, changes)


def write(folder: Path, text: str, changes: dict[str, str]) -> None:
    """Write a configuration with these changes."""
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "prediction.conf").write_text(text)
    (folder / "nginx.conf").write_text(MAIN)


@contextmanager
def nginx(folder: Path, server: Server) -> Iterator[Proxied]:
    """Run nginx in front of a server."""
    port = free_port()
    configure(folder, port, server.port)
    with started(folder, port) as (process, log):
        trusted = ssl.create_default_context(cafile=str(folder / "prediction.crt"))
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        url = f"https://127.0.0.1:{port}"
        with httpx.Client(base_url=url, verify=trusted, limits=limits, timeout=30) as client:
            yield Proxied(server, client, process, log)


@contextmanager
def started(folder: Path, port: int) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run nginx with the configuration in a folder; lend its process and its log."""
    log = folder / "nginx.log"
    with log.open("wb") as errors:
        command = [str(NGINX), "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
        process = subprocess.Popen(command, stdout=errors, stderr=errors)
    try:
        deadline = time.monotonic() + 20
        while not _listens(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield process, log
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def proxied(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """A server that is published under both prefixes of the page."""
    folder = tmp_path_factory.mktemp("proxy")
    home = Path(shutil.copytree(trained_home, folder / "home", symlinks=True))
    settings: dict[str, Any] = {
        "workers": 1,
        "admin_token": TOKEN,
        "root_path": "/kept",
        "trusted_proxies": "127.0.0.1",
        "cors_origins": ORIGIN,
    }
    with Server(home, **settings) as server, nginx(folder, server) as running:
        yield running


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_loop_works_under_a_prefix(proxied: Proxied, specs: dict[str, Spec], prefix: str) -> None:
    """A prediction, its label and a read, whether nginx removes the prefix or not."""
    predicted = proxied.ask("POST", f"{prefix}/iris/predict", json=specs["iris"].example)
    prediction_id = predicted.json()["prediction_id"]
    label = {"prediction_id": prediction_id, "label": specs["iris"].target.texts[0]}

    assert 200 == predicted.status_code
    assert "recorded" == proxied.ask("POST", f"{prefix}/iris/feedback", json=label).json()["status"]
    path = f"{prefix}/iris/predictions/{prediction_id}"
    assert 401 == proxied.ask("GET", path).status_code
    found = proxied.ask("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
    assert label["label"] == found.json()["feedback"]["label"]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("path", ["/", "/dashboard", "/dashboard?model=tulips"])
def test_every_link_of_a_page_leads_behind_the_proxy(proxied: Proxied, prefix: str, path: str) -> None:
    """Files and links of the pages are found where a browser looks for them."""
    page = proxied.ask("GET", prefix + path)
    links = {html.replace("&amp;", "&") for html in re.findall(r'(?:href|src)="([^"#]+)"', page.text)}
    links = {link for link in links if not link.startswith("data:")}

    assert (404 if "tulips" in path else 200) == page.status_code
    assert len(links) >= 2
    for link in links:
        address = urljoin(prefix + path, link)
        assert address.startswith(f"{prefix}/"), link
        assert 200 == proxied.ask("GET", address).status_code, link


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_description_names_the_prefix(proxied: Proxied, prefix: str) -> None:
    """Generated clients call nginx; the docs page reads the same file."""
    document = proxied.ask("GET", f"{prefix}/docs.json").json()

    assert [{"url": prefix}] == document["servers"]
    script = proxied.ask("GET", f"{prefix}/static_content/swagger-initializer.js").text
    assert 'url: "./docs.json"' in script
    assert "](dashboard)" in document["info"]["description"]


def test_a_client_can_not_choose_the_prefix(proxied: Proxied) -> None:
    """nginx overwrites the header of its clients, and the server believes nobody else."""
    headers = {"X-Forwarded-Prefix": "/elsewhere"}

    for prefix in PREFIXES:
        answer = proxied.ask("GET", f"{prefix}/docs.json", headers=headers)
        assert [{"url": prefix}] == answer.json()["servers"]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_bare_prefix_leads_to_the_docs_page(proxied: Proxied, prefix: str) -> None:
    """nginx redirects it if it removes the prefix, the server if not; neither names a host."""
    answer = proxied.ask("GET", prefix)

    assert answer.status_code in (301, 308)
    assert f"{prefix}/" == answer.headers["location"]


def test_bentomls_client_takes_the_prefix_as_part_of_the_address(
    proxied: Proxied, specs: dict[str, Spec]
) -> None:
    """It finds the routes and calls them, here without TLS."""
    with bentoml.SyncHTTPClient(f"{proxied.server.url}/kept") as client:
        answer = client.iris_predict(**specs["iris"].example)

    assert answer["predicted_class"] in specs["iris"].target.texts


def test_probes_need_no_prefix(proxied: Proxied) -> None:
    """An orchestrator and Prometheus ask the server itself."""
    assert [200] * 3 == [proxied.server.get(path).status_code for path in ("/readyz", "/livez", "/metrics")]


def test_a_batch_of_more_than_a_megabyte_passes(proxied: Proxied, specs: dict[str, Spec]) -> None:
    """The limit of nginx is raised to ours."""
    body = json.dumps([specs["iris"].example]).encode() + b" " * 1_500_000
    headers = {"Content-Type": "application/json"}
    answer = proxied.ask("POST", "/ml/iris/predict_batch", content=body, headers=headers)

    assert (200, 1) == (answer.status_code, len(answer.json()))


def test_an_id_passes_through_to_the_log(proxied: Proxied) -> None:
    """The id of a client is in the answer and in the server's log."""
    answer = proxied.ask("POST", "/ml/iris/predict", json={}, headers={"X-Request-Id": "ticket-7"})

    assert (400, "ticket-7") == (answer.status_code, answer.headers["x-request-id"])
    deadline = time.monotonic() + 10
    while "POST '/iris/predict' 400 invalid, request ticket-7" not in proxied.server.read_log():
        assert time.monotonic() < deadline, proxied.server.read_log()
        time.sleep(0.05)


def test_a_preflight_of_an_admin_route_is_answered(proxied: Proxied) -> None:
    """A page of an allowed origin may then send the token."""
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    preflight = proxied.ask("OPTIONS", "/ml/iris/rollback", headers=headers)
    call = proxied.ask("POST", "/ml/iris/rollback", headers={"Origin": ORIGIN}, json={"reason": "x"})

    assert [204, 401] == [preflight.status_code, call.status_code]
    assert {ORIGIN} == {each.headers["access-control-allow-origin"] for each in (preflight, call)}


def test_nginx_tries_the_other_server(proxied: Proxied, specs: dict[str, Spec]) -> None:
    """One of the two servers is dead; no client notices when nginx asks it again, every few seconds."""
    statuses = Counter[int]()
    before = proxied.log.read_text().count("Connection refused")
    deadline = time.monotonic() + 20
    while proxied.log.read_text().count("Connection refused") == before:
        assert time.monotonic() < deadline, proxied.log.read_text()
        answer = proxied.ask("POST", "/ml/iris/predict", json=specs["iris"].example)
        statuses[answer.status_code] += 1
        time.sleep(0.05)

    assert {200} == set(statuses)


def test_the_nginx_of_compose_works(proxied: Proxied, specs: dict[str, Spec], tmp_path: Path) -> None:
    """Its own configuration, with a replica that lives and one that does not: no request fails."""
    port, server = free_port(), proxied.server
    places = {
        "replica1:3000": f"127.0.0.1:{free_port()}",
        "replica2:3000": f"127.0.0.1:{server.port}",
        "listen 80;": f"listen 127.0.0.1:{port};",
    }
    write(tmp_path, (PROJECT / "deploy" / "nginx" / "replicas.conf").read_text(), places)
    headers = {"X-Forwarded-Prefix": "/elsewhere"}
    with (
        started(tmp_path, port),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers) as client,
    ):
        answers = [client.post("/iris/predict", json=specs["iris"].example) for _ in range(5)]
        batch = json.dumps([specs["iris"].example]).encode() + b" " * 1_500_000
        kind = {"Content-Type": "application/json"}
        answers.append(client.post("/iris/predict_batch", content=batch, headers=kind))
        answers.append(client.get("/dashboard"))
        document = client.get("/docs.json").json()

    assert {200} == {answer.status_code for answer in answers}
    assert "/elsewhere" not in str(document["servers"])


def test_idle_connections_never_give_a_502(proxied: Proxied, specs: dict[str, Spec]) -> None:
    """500 POSTs, the first ones on connections that have been idle nearly as long as nginx keeps them."""
    batch = [specs["iris"].example] * BATCH_ROWS
    together = threading.Barrier(CONNECTIONS)

    def predict(_: int) -> int:
        together.wait(60)
        return proxied.ask("POST", "/ml/iris/predict_batch", json=batch).status_code

    def burst() -> list[int]:
        return list(pool.map(predict, range(CONNECTIONS)))

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        burst()  # the client's handshakes take so long that nginx needs few connections
        statuses = burst()
        started = time.monotonic()
        time.sleep(IDLE_SECONDS[0] - 1)
        idle = proxied.upstream_connections()
        for number in range(BURSTS):
            moment = started + np.interp(number, (0, BURSTS - 1), IDLE_SECONDS)
            time.sleep(max(0.0, moment - time.monotonic()))
            statuses += burst()

    assert {200: CONNECTIONS * (1 + BURSTS)} == Counter(statuses)
    assert idle >= LEAST_IDLE, "the server closed them before nginx did"
