"""`GET /dashboard` in this process: what it shows to whom, its headers and its empty states."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from prometheus_client import REGISTRY

from models_store import catalog, store
from models_store.spec import Spec
from prediction.http.entrance import Entrance
from prediction.journal import ledger, refusals, runs, tables, workers
from prediction.journal.database import Journal
from prediction.journal.ledger import NewChampion
from prediction.journal.runs import Ending
from prediction.pages import pages
from prediction.pages.dashboard import Dashboard
from prediction.pages.pages import plain
from prediction.times import now_us
from tests import databases, kinds
from tests.databases import prediction, record
from tests.http.test_resources import nobody
from tests.pages.test_reports import fill

journal_url = databases.journal_url
journal = databases.journal
TOKEN = {"Authorization": "Bearer a-token-of-tests"}


@dataclass(frozen=True)
class World:
    """A store, a journal, and the page on them."""

    specs: dict[str, Spec]
    home: Path
    journal: Journal

    def get(self, path: str, token: str | None = "a-token-of-tests", **headers: str) -> httpx.Response:
        """Ask as a browser would."""
        routes = Dashboard(self.specs, self.home, self.journal, token is not None).routes()
        app = Entrance(
            app=nobody,
            calls={},
            resources=routes,
            max_body_bytes=1,
            max_in_flight=1,
            admin_token=token,
        )

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.get(path, headers=headers)

        return asyncio.run(ask())


def refuse(journal: Journal, kinds: int) -> None:
    """Have so many kinds of requests refused, the first most often."""
    row = {"model": "iris", "hour_us": refusals.begin(now_us()), "feature": ""}
    rows = [row | {"reason": f"kind_{number}", "requests": 100 - number} for number in range(kinds)]
    with journal.write() as connection:
        connection.execute(tables.refusals.insert(), rows)


@pytest.fixture
def world(specs: dict[str, Spec], trained_home: Path, journal: Journal) -> World:
    """An empty journal beside a store."""
    return World(specs, trained_home, journal)


def test_what_was_refused_says_how_much_is_not_shown(world: World, journal: Journal) -> None:
    """The eight kinds that are most frequent, and where the others are."""
    refuse(journal, 8)
    assert "more kinds" not in world.get("/dashboard").text
    with journal.write() as connection:
        connection.execute(tables.refusals.delete())
    refuse(journal, 10)

    page = world.get("/dashboard").text
    assert "93 requests: kind 7" in page
    assert "kind 8" not in page
    assert "and 2 more kinds, in <code>/iris/monitoring</code>" in page


def test_nothing_yet_says_what_to_do_next(world: World) -> None:
    """Each empty part of the page is a sentence."""
    page = world.get("/dashboard").text

    for sentence in (
        "No predictions in the last 24h",
        "Distributions and drift tests appear from 50 rows on",
        "No labels yet: give the true class",
        "No retrainings yet. A retraining learns",
        "No promotions yet",
        "train one: loop train iris",
        "No request was refused since 20",
    ):
        assert sentence in page, sentence


@pytest.mark.parametrize("name", list(catalog.load()))
def test_the_form_is_made_of_the_schema(world: World, name: str) -> None:
    """Every feature with its range, unit and example; categories as a list; classes as labels."""
    page = world.get(f"/dashboard?model={name}").text

    for feature in world.specs[name].inputs.values():
        assert f'name="{feature.name}"' in page
        if kinds.is_measured(feature):
            low, high = kinds.limits(feature)
            assert f'min="{plain(low)}" max="{plain(high)}" value="{plain(feature.example)}"' in page
        for each in kinds.categories(feature):
            assert f">{each}</option>" in page
    for label in world.specs[name].target.texts:
        assert f"<option value='\"{label}\"'>{label}</option>" in page


def test_it_shows_what_is_served_and_how_it_does(world: World) -> None:
    """Champion, who made it so, accuracy with n, drift, the ledger; what people wrote is escaped."""
    version = fill(world.journal, world.home, world.specs["iris"])
    page = world.get("/dashboard").text

    assert version in page
    assert "83.9\u00a0% to 100.0\u00a0%, n&nbsp;=&nbsp;20" in page
    recall = page.partition('<tr class="recall">')[2].partition("</tr>")[0]
    assert 3 == len(re.findall(r"\d\u00a0% to 100.0\u00a0%, n&nbsp;=&nbsp;\d", recall))
    assert 'class="pill drifted">drifted' in page
    assert 'class="pill no-drift-found">no drift found' in page
    assert "p &lt; 0.001, below 0.05: <b>yes</b> (Kolmogorov-Smirnov, n&nbsp;=&nbsp;80)" in page
    judged = r"PSI at least \d\.\d\d, at least 0.1: <b>yes</b> \(\d\.\d\d counted, 0\.\d\d by chance\)"
    assert re.search(judged, page)
    assert "PSI at least 0.00, at least 0.1: <b>no</b>" in page
    assert "stable" not in page
    assert "&lt;b&gt;a test&lt;/b&gt;" in page
    assert "<b>a test</b>" not in page
    assert "not of the champion" not in page


def test_the_champion_s_card_says_whether_workers_agree(world: World) -> None:
    """No worker, one that serves the champion, and a second one that serves another version."""
    version = store.newest(world.home, "iris").version
    ledger.promote(world.journal, NewChampion("iris", version, "d" * 64, by="test", reason="better"))
    assert "no worker is running" in world.get("/dashboard").text

    workers.report(world.journal, "host", 1, {"iris": (version, 0)})
    page = world.get("/dashboard").text
    assert 'class="pill agree"' in page
    assert "1 worker<" in page

    workers.report(world.journal, "host", 2, {"iris": ("another", 0)})
    page = world.get("/dashboard").text
    assert 'class="pill disagree"' in page
    assert "2 workers<" in page


def test_figures_of_another_version_are_not_the_champions(world: World) -> None:
    """A champion that has not answered yet has none: the three cards name the version that has."""
    version = fill(world.journal, world.home, world.specs["iris"])
    ledger.promote(world.journal, NewChampion("iris", "brand-new", "d" * 64, by="test", reason="better"))
    page = world.get("/dashboard").text

    assert 3 == page.count(f'of <span class="mono">{version}</span>, not of the champion')


def test_an_accuracy_plot_stays_until_its_last_piece_ends(world: World) -> None:
    """Two pages of one minute hold the same figure, though time goes on."""
    fill(world.journal, world.home, world.specs["iris"])
    ends = []
    for _ in range(2):
        page = world.get("/dashboard?window=30d").text
        ends.append(re.findall(r'"range": \["([^"]+)", "([^"]+)"\]', page)[0])

    assert ends[0] == ends[1]
    assert {"00:00.000000+00:00"} == {end[14:] for end in ends[0]}


def test_single_predictions_are_for_administrators(world: World) -> None:
    """With a token set they are shown with it only; without one to everybody, and steering is shut."""
    (prediction_id,) = record(world.journal, [prediction(1)])

    assert prediction_id not in world.get("/dashboard").text
    assert "press Unlock" in world.get("/dashboard").text
    assert prediction_id not in world.get("/dashboard", Authorization="Bearer wrong").text
    assert prediction_id in world.get("/dashboard", **TOKEN).text
    without = world.get("/dashboard", token=None).text
    assert prediction_id in without
    assert "PREDICTION_ADMIN_TOKEN" in without
    assert 'data-do="retrain" disabled' in without


def test_a_run_shows_its_progress_and_its_verdict(world: World) -> None:
    """While it runs a bar and a button to cancel; afterwards the sentence and the rules."""
    run, _ = runs.request(world.journal, "iris", force=True)
    runs.beat(world.journal, run.run_id, "fit", 0.4)
    page = world.get("/dashboard").text
    assert '<progress max="1" value="0.4"' in page
    assert f'data-do="cancel" data-run="{run.run_id}"' in page
    rule = {
        "name": "dataset accuracy",
        "passed": None,
        "champion": 0.9,
        "candidate": 0.8,
        "n": 7,
        "p": None,
    }
    verdict = {"promote": False, "sentence": "rejected: it is <worse>", "rules": [rule]}
    runs.finish(world.journal, run.run_id, Ending("rejected", "done", verdict=verdict))
    page = world.get("/dashboard").text

    assert "rejected: it is &lt;worse&gt;" in page
    assert "no vote" in page
    assert "<progress" not in page


def test_headers_let_nothing_in(world: World) -> None:
    """No script but our files, no frame, nothing kept; assets are typed."""
    headers = world.get("/dashboard").headers

    assert "script-src 'self';" in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert ("no-store", "nosniff") == (headers["cache-control"], headers["x-content-type-options"])
    for name, kind in pages.ASSETS.items():
        answer = world.get(f"/dashboard/{name}")
        assert answer.headers["content-type"].startswith(kind)
        assert pages.asset(name).read_bytes() == answer.content


@pytest.mark.parametrize("name", pages.ASSETS)
def test_an_asset_is_asked_for_again_unless_its_address_names_its_contents(world: World, name: str) -> None:
    """So a new page never meets an old script: what has not changed is a 304, and plotly's is named."""
    answer = world.get(f"/dashboard/{name}")
    again = world.get(f"/dashboard/{name}", **{"If-None-Match": answer.headers["etag"]})
    other = world.get(f"/dashboard/{name}", **{"If-None-Match": '"older"'})
    named = world.get(f"/dashboard/{name}?v={pages.fingerprint(name)}")
    misnamed = world.get(f"/dashboard/{name}?v=older")

    assert ["no-cache"] * 4 == [each.headers["cache-control"] for each in (answer, again, other, misnamed)]
    assert (304, b"", 200) == (again.status_code, again.content, other.status_code)
    assert "max-age=31536000, immutable" == named.headers["cache-control"]
    assert f"plotly.js?v={pages.fingerprint('plotly.js')}" in world.get("/dashboard").text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/dashboard/", 404),
        ("/dashboard/docs.html", 404),
        ("/dashboard/../settings.py", 404),
        ("/dashboard/%2e%2e/pages.py", 404),
    ],
)
def test_a_file_that_is_not_there_is_told(world: World, path: str, status: int) -> None:
    """In the shape of all errors; no file but the assets can be had."""
    answer = world.get(path)

    assert status == answer.status_code
    assert answer.json()["error"]


@pytest.mark.parametrize(
    ("query", "status", "sentence"),
    [
        ("model=nope", 404, "There is no such model"),
        ("model=", 404, "There is no such model"),
        ("window=long", 400, "write 30m, 24h or 7d"),
        ("window=9999d", 400, "must be at most 366d"),
        ("window=<b>", 400, "&lt;b&gt;"),
        ("windw=7d", 400, "Windw is not a parameter: the parameters are model, window"),
        ("window=7d&window=1h", 400, "Window is given more than once"),
    ],
)
def test_a_mistyped_address_is_told_on_a_page(world: World, query: str, status: int, sentence: str) -> None:
    """It says what is wrong and leads to what there is; it is refused and counted as elsewhere."""
    labels = {"model": "", "reason": "not_found" if status == 404 else "invalid"}
    before = REGISTRY.get_sample_value("prediction_refused_requests_total", labels) or 0
    answer = world.get(f"/dashboard?{query}")

    assert (status, "text/html; charset=utf-8") == (answer.status_code, answer.headers["content-type"])
    assert sentence in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for name in world.specs:
        assert f'href="dashboard?model={name}"' in answer.text
    assert before + 1 == REGISTRY.get_sample_value("prediction_refused_requests_total", labels)


@pytest.mark.parametrize("window", ["1m", "1h", "24h", "7d", "366d"])
def test_every_window_is_a_page(world: World, window: str) -> None:
    """The one that is shown is marked, whether it is among those that are offered or not."""
    fill(world.journal, world.home, world.specs["iris"])

    assert f'window={window}" aria-current="page"' in world.get(f"/dashboard?window={window}").text
