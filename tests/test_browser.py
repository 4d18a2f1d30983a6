"""The dashboard in Chromium, on a real server: the loop by hand, by keyboard, small, dark, closed in."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from models_store.spec import Spec
from prediction.journal import Journal
from tests import databases
from tests.serving import PROJECT, Server, run
from tests.test_monitoring import rows

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TOKEN = "a-token-of-tests"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def served(
    trained_home: Path, specs: dict[str, Spec], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server with an admin token, and some predictions of iris that have drifted."""
    home = tmp_path_factory.mktemp("browser") / "home"
    shutil.copytree(trained_home, home, symlinks=True)
    with Server(home, admin_token=TOKEN) as running:
        version = running.get("/models/iris").json()["champion"]
        journal = Journal(f"sqlite:///{home / 'journal.db'}")
        databases.record(journal, rows(specs["iris"], version, 90, 0, petal_width_cm=0.6))
        journal.close()
        yield running


@contextmanager
def opened(
    browser: Browser, server: Server, query: str = "", refused: int = 400, **options: Any
) -> Iterator[Page]:
    """Open the page, and hold that it neither complains nor asks another host for anything.

    Parameters
    ----------
    refused
        The status that the test makes the server answer with, and Chromium tells of.
    """
    context = browser.new_context(**{"viewport": {"width": 1600, "height": 1000}, **options})
    page = context.new_page()
    complaints: list[str] = []
    hosts: set[str] = set()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: hosts.add(re.split(r"[/?]", request.url, maxsplit=3)[2]))
    page.goto(f"{server.url}/dashboard{query}")
    try:
        yield page
    finally:
        context.close()
    assert [] == [text for text in complaints if f"status of {refused} " not in text]
    assert {server.url.removeprefix("http://")} == hosts - {""}


def unlock(page: Page) -> None:
    """Give the token, by keyboard."""
    page.get_by_role("button", name="Unlock").press("Enter")
    page.get_by_label("Admin token").fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Lock", exact=True)).to_be_visible()


def test_the_whole_loop(browser: Browser, served: Server) -> None:
    """Predict, say what was true, see it counted, retrain, read the verdict, roll back."""
    with opened(browser, served, "?model=penguins") as page:
        cards = page.locator("#cards")
        expect(cards).to_contain_text("no labels yet")
        for right in (True, True, False):
            page.get_by_role("button", name="Predict").click()
            if right:
                page.get_by_role("button", name="Right").click()
            else:
                said = page.locator("#answer b").inner_text()
                page.locator("#answer select").select_option("Gentoo" if said != "Gentoo" else "Adelie")
                page.get_by_role("button", name="Say so").click()
            expect(page.locator("#answer")).to_contain_text("recorded")
        expect(cards).to_contain_text("66.7")
        expect(cards).to_contain_text(re.compile(r"n\s=\s3"))
        expect(page.locator("#recent")).to_contain_text("with the admin token only")
        unlock(page)
        expect(page.locator("#recent .pill.wrong")).to_have_count(1)
        first = cards.locator(".value.mono").inner_text()
    with opened(browser, served) as page:
        unlock(page)
        first = page.locator("#cards .value.mono").inner_text()
        page.get_by_role("button", name="Retrain").click()
        expect(page.locator("#runs progress")).to_be_visible()
        expect(page.locator("#runs details").first).to_contain_text(re.compile("promoted|rejected"))
        page.locator("#runs summary").first.click()
        expect(page.locator("#runs table").first).to_contain_text("dataset log-loss")
        page.wait_for_timeout(4_000)  # what was opened stays open while the page renews itself
        expect(page.locator("#runs table").first).to_be_visible()
        if page.locator("#cards .value.mono").inner_text() == first:  # an honest gate may say no
            return
        page.get_by_role("button", name="Roll back").click()
        page.get_by_label("Reason").fill("a test")
        page.keyboard.press("Enter")
        expect(page.locator("#notice")).to_contain_text(f"{first} is the champion")
        expect(page.locator("#cards .value.mono")).to_have_text(first)
        expect(page.locator("#ledger")).to_contain_text("a test")


def test_what_is_impossible_is_marked_at_its_field(browser: Browser, served: Server) -> None:
    """The server's own words, and the field is marked as invalid."""
    with opened(browser, served) as page:
        page.locator("[name=petal_width_cm]").fill("-3")
        page.locator("[name=petal_width_cm]").press("Enter")

        expect(page.locator("#answer .error")).to_contain_text("must be a number from 0.1 to 30 cm")
        expect(page.locator("[name=petal_width_cm]")).to_have_attribute("aria-invalid", "true")
        expect(page.locator("[name=sepal_width_cm]")).not_to_have_attribute("aria-invalid", "true")


def test_a_wrong_token_is_told_and_forgotten(browser: Browser, served: Server) -> None:
    """Nothing is kept: neither in the page's storage, nor in a cookie, nor in the address."""
    with opened(browser, served, refused=401) as page:
        page.get_by_role("button", name="Unlock").click()
        page.get_by_label("Admin token").fill("wrong-token")
        page.keyboard.press("Enter")
        expect(page.locator("#notice")).to_contain_text("send the admin token")
        expect(page.get_by_role("button", name="Unlock")).to_be_visible()
        page.goto("about:blank")
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{served.url}/dashboard")
    unlock(page)
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert '[{},{},""]' == kept
    assert TOKEN not in page.url
    page.reload()
    expect(page.get_by_role("button", name="Unlock")).to_be_visible()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
@pytest.mark.parametrize("model", ["iris", "penguins"])
def test_it_fits_and_can_be_read(
    browser: Browser, served: Server, model: str, width: int, scheme: Any
) -> None:
    """No sideways scrolling, and nothing that axe finds by WCAG 2.1 AA, contrast among it."""
    size = {"width": width, "height": 900}
    with opened(browser, served, f"?model={model}", viewport=size, color_scheme=scheme) as page:
        unlock(page)
        page.wait_for_selector("#recent :is(details, .empty)")
        page.wait_for_selector("#accuracy :is(.main-svg, .empty)")
        assert width == page.evaluate("document.documentElement.scrollWidth")
        rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
        found = Axe().run(page, options=rules)

        assert 0 == found.violations_count, found.generate_report()


def test_it_can_be_steered_by_keyboard(browser: Browser, served: Server) -> None:
    """From the top: tab leads through everything that can be used, in the order of the page."""
    with opened(browser, served) as page:
        reached: list[str] = []
        for _ in range(40):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.name || document.activeElement.innerText"))
        steps = ["Skip to the figures", "penguins", "7d", "Unlock", "sepal_length_cm", "Predict", "Retrain"]
        positions = [reached.index(step) for step in steps]

        assert sorted(positions) == positions


def test_a_server_that_is_gone_is_told(browser: Browser, trained_home: Path, tmp_path: Path) -> None:
    """The page says so, and is live again by itself when there is a server again."""
    home = Path(shutil.copytree(trained_home, tmp_path / "home", symlinks=True))
    context = browser.new_context()
    page = context.new_page()
    with Server(home, workers=1) as running:
        page.goto(f"{running.url}/dashboard")
        expect(page.locator("#pulse")).to_have_text("live")
    expect(page.locator("#pulse")).to_have_text("no answer")
    with Server(home, workers=1, port=running.port):
        expect(page.locator("#pulse")).to_have_text("live")
    context.close()


def test_the_report_is_drawn_without_a_server(browser: Browser, served: Server, tmp_path: Path) -> None:
    """One file, opened from the disk, with its figures."""
    target = tmp_path / "report.html"
    done = run("python", "-m", "prediction", "monitor", "iris", "--html", str(target), home=served.home)
    assert 0 == done.returncode, done.stderr
    context = browser.new_context(offline=True)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(target.as_uri())
    page.wait_for_selector(".plot .main-svg")

    assert 5 <= page.locator(".plot .main-svg").count()
    assert [] == complaints
    context.close()


def test_the_javascript_of_the_clients_page(browser: Browser, served: Server) -> None:
    """Its block, run in a page of the server's own origin, predicts and gives the label."""
    (block,) = re.findall(r"^```js\n(.*?)^```$", (PROJECT / "docs" / "clients.md").read_text(), re.M | re.S)
    with opened(browser, served) as page:
        said = page.evaluate(f"async () => {{ {block}; return [predicted_class, status] }}")

    assert ["setosa", "recorded"] == said
