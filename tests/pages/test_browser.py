"""The dashboard in Chromium, on a real server: the loop by hand, by keyboard, small, dark, closed in."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from models_store.spec import Spec
from prediction.journal import runs
from prediction.journal.database import Journal
from prediction.journal.runs import Ending
from tests import databases
from tests.monitoring.test_health import rows
from tests.servers import PROJECT, Server, run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TOKEN = "a-token-of-tests"
ROW = {"sepal_length_cm": 6.1, "sepal_width_cm": 2.9, "petal_length_cm": 4.7, "petal_width_cm": 1.4}
RULE = {"passed": True, "champion": 0.97, "candidate": 0.98, "n": 1234, "p": None}

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
    """A server with an admin token, a second version of iris, and predictions of it that have drifted."""
    home = tmp_path_factory.mktemp("browser") / "home"
    shutil.copytree(trained_home, home, symlinks=True)
    done = run("python", "train.py", "iris", "--seed", "1", "--no-promote", home=home)
    assert 0 == done.returncode, done.stderr
    with Server(home, admin_token=TOKEN, root_path="/kept") as running:
        version = running.get("/models/iris").json()["champion"]
        journal = Journal(f"sqlite:///{home / 'journal.db'}")
        databases.record(journal, rows(specs["iris"], version, 90, 0, petal_width_cm=0.6))
        judged, _ = runs.request(journal, "iris", force=True)
        rules = [{"name": f"dataset recall of {name}", **RULE} for name in specs["iris"].target.texts]
        verdict = {"promote": False, "sentence": "rejected: a test", "rules": rules}
        runs.finish(journal, judged.run_id, Ending("rejected", "done", verdict=verdict))
        journal.close()
        yield running


@contextmanager
def opened(
    browser: Browser,
    server: Server,
    query: str = "",
    refused: int = 400,
    path: str = "/dashboard",
    **options: Any,
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
    page.goto(f"{server.url}{path}{query}")
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


def wait_for_exchanges(page: Page, times: int) -> None:
    """Wait until the page has renewed itself so many times."""
    for _ in range(times):
        page.wait_for_event("requestfinished", lambda request: "/dashboard?" in f"{request.url}?")
    page.wait_for_timeout(200)


def confirm(page: Page, reason: str) -> None:
    """Give a reason, by keyboard."""
    page.get_by_label("Reason").fill(reason)
    page.keyboard.press("Enter")


def test_predictions_are_made_labelled_and_counted(browser: Browser, served: Server) -> None:
    """By form: predict, say what was true, see the accuracy move; single rows only with the token."""
    with opened(browser, served, "?model=penguins") as page:
        cards = page.locator("#cards")
        expect(cards).to_contain_text("no labels yet")
        for right in (True, True, False):
            page.get_by_role("button", name="Predict").click()
            if right:
                page.get_by_role("button", name="Correct").click()
            else:
                said = page.locator("#answer b").inner_text()
                page.locator("#answer select").select_option(
                    label="Gentoo" if said != "Gentoo" else "Adelie"
                )
                page.get_by_role("button", name="Save").click()
            expect(page.locator("#answer .good")).to_contain_text("recorded")
            expect(page.locator("#answer .good")).to_be_focused()
        expect(cards).to_contain_text("66.7")
        expect(cards).to_contain_text(re.compile(r"n\s=\s3"))
        expect(page.locator("#recent")).to_contain_text("need the admin token")
        unlock(page)
        expect(page.locator("#recent .pill.wrong")).to_have_count(1)
        page.get_by_role("button", name="Lock", exact=True).click()
        expect(page.locator("#recent")).to_contain_text("need the admin token")


def test_versions_are_promoted_and_rolled_back(browser: Browser, served: Server) -> None:
    """The cards follow at once, the ledger tells it, and the focus stays where the button was."""
    with opened(browser, served) as page:
        unlock(page)
        champion = page.locator("#cards .value.mono")
        first = champion.inner_text()
        page.get_by_role("button", name="Promote").first.press("Enter")
        confirm(page, "a promotion")
        expect(page.locator("#notice")).to_contain_text("is the champion")
        expect(page.locator("#ledger")).to_contain_text("a promotion")
        expect(champion).not_to_have_text(first)
        expect(page.locator("#cards")).to_contain_text(f"of {first}, not of the champion")
        expect(page.locator("#versions-title")).to_be_focused()

        page.get_by_role("button", name="Roll back").press("Enter")
        confirm(page, "a way back")
        expect(champion).to_have_text(first)
        expect(page.locator("#ledger")).to_contain_text("a way back")
        expect(page.locator("#cards")).not_to_contain_text("not of the champion")
        expect(page.get_by_role("button", name="Roll back")).to_be_focused()


def test_a_retraining_is_cancelled_and_another_is_judged(browser: Browser, served: Server) -> None:
    """With few labels only where one says so; the verdict is read aloud, and its rules stay open."""
    with opened(browser, served, "?model=penguins") as page:
        unlock(page)
        newest = page.locator("#runs li").first
        page.get_by_role("button", name="Retrain").click()
        expect(newest).to_contain_text("new labels since the champion was trained")

        page.get_by_label("even with few new labels").check()
        page.get_by_role("button", name="Retrain").click()
        page.get_by_role("button", name="Cancel").press("Enter")
        expect(newest.locator(".pill")).to_have_text("cancelled")
        expect(page.locator("#told")).to_have_text("penguins: retraining cancelled")
        expect(page.locator("#runs-title")).to_be_focused()

        page.get_by_role("button", name="Retrain").click()
        expect(page.locator("#runs progress")).to_be_visible()
        # It is nice to others, and on a busy machine takes its time.
        expect(newest.locator("summary")).to_contain_text(re.compile("promoted|rejected"), timeout=200_000)
        assert f"penguins: {newest.locator('summary').inner_text()}" == page.locator("#told").inner_text()
        newest.locator("summary").click()
        expect(newest.locator("table")).to_contain_text("dataset log-loss")
        wait_for_exchanges(page, 2)
        expect(newest.locator("table")).to_be_visible()


def test_what_is_impossible_is_marked_at_its_field(browser: Browser, served: Server) -> None:
    """The server's own words, and the field is marked as invalid."""
    with opened(browser, served) as page:
        page.locator("[name=petal_width_cm]").fill("-3")
        page.locator("[name=petal_width_cm]").press("Enter")

        expect(page.locator("#answer .error")).to_contain_text("must be a number from 0.1 to 30 cm")
        expect(page.locator("[name=petal_width_cm]")).to_have_attribute("aria-invalid", "true")
        expect(page.locator("[name=sepal_width_cm]")).not_to_have_attribute("aria-invalid", "true")


def test_people_are_told_in_words_of_the_form(browser: Browser, served: Server) -> None:
    """What is refused or unusual is called as its field is, and null is no word of a form."""
    with opened(browser, served, "?model=penguins") as page:
        page.locator("[name=body_mass_g]").fill("1")
        page.locator("[name=body_mass_g]").press("Enter")

        words = "body mass must be a number from 1000 to 10000 g, or left empty"
        expect(page.locator("#answer .error")).to_have_text(words)
        page.locator("[name=body_mass_g]").fill("9000")
        page.locator("[name=body_mass_g]").press("Enter")
        expect(page.locator("#answer .warn")).to_have_text(re.compile("^body mass: "))


def test_what_was_mistyped_is_not_sent(browser: Browser, served: Server) -> None:
    """A browser holds no value for it; it is not taken for a missing one."""
    with opened(browser, served, "?model=penguins") as page:
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
        field = page.locator("[name=body_mass_g]")
        field.clear()
        field.press_sequentially("37e")
        field.press("Enter")

        expect(page.locator("#answer .error")).to_have_text("body mass is not a number")
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_be_focused()
        assert [] == sent
        field.clear()
        field.press("Enter")
        expect(page.locator("#answer .said")).to_be_visible()
        expect(field).not_to_have_attribute("aria-invalid", "true")


@pytest.mark.parametrize("wrong", ["wrong-token", "неверный"])
def test_a_wrong_token_is_told_and_what_was_typed_is_kept(
    browser: Browser, served: Server, wrong: str
) -> None:
    """In the dialog, which stays open; letters that no header can hold are no exception."""
    with opened(browser, served, refused=401) as page:
        page.get_by_role("button", name="Promote").first.click()
        page.get_by_label("Reason").fill("typed with care")
        page.get_by_label("Admin token").fill(wrong)
        page.keyboard.press("Enter")

        expect(page.locator("#ask-error")).to_have_text("wrong admin token")
        expect(page.get_by_label("Reason")).to_have_value("typed with care")
        expect(page.get_by_label("Admin token")).to_be_focused()
        wait_for_exchanges(page, 1)
        expect(page.locator("#pulse")).to_have_text("live")
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="Unlock")).to_be_visible()


def test_a_token_is_kept_nowhere(browser: Browser, served: Server) -> None:
    """Neither in the page's storage, nor in a cookie, nor in the address."""
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
        page.get_by_role("button", name="Predict").click()
        page.wait_for_selector("#answer .said")
        for section in ("#runs", "#recent"):
            for summary in page.locator(f"{section} summary").all()[:1]:
                summary.click()
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


def test_what_is_read_waits_for_its_reader(browser: Browser, served: Server) -> None:
    """An opened prediction stays while others come; the page says that they wait, and shows them."""
    with opened(browser, served) as page:
        unlock(page)
        opened_row = page.locator("#recent details").first
        key = opened_row.get_attribute("data-key")
        opened_row.locator("summary").click()
        for _ in range(25):  # more than are shown
            served.post("/iris/predict", ROW).raise_for_status()
        expect(page.locator("#waiting")).to_contain_text("There are newer predictions and labels")
        wait_for_exchanges(page, 2)
        expect(page.locator(f'#recent details[open][data-key="{key}"] .why')).to_be_visible()

        page.get_by_role("button", name="Show them").press("Enter")
        expect(page.locator(f'#recent details[data-key="{key}"]')).to_have_count(0)
        expect(page.locator("#waiting")).to_be_empty()
        expect(page.locator("#recent-title")).to_be_focused()
        newest = served.post("/iris/predict", ROW).json()["prediction_id"]
        expect(page.locator(f'#recent details[data-key="{newest}"]')).to_have_count(1)


def test_an_exchange_keeps_focus_and_scrolling(browser: Browser, served: Server) -> None:
    """Of a table that is read sideways by keyboard."""
    with opened(browser, served) as page:
        page.add_style_tag(content=".scroll { width: 120px }")
        region = page.get_by_role("region", name="Data quality").locator("xpath=self::*[@tabindex]")
        region.focus()
        region.evaluate("element => (element.scrollLeft = 40)")
        before = page.locator("#tables").inner_text()
        served.post("/iris/predict", ROW).raise_for_status()
        expect(page.locator("#tables")).not_to_have_text(before, use_inner_text=True)

        expect(region).to_be_focused()
        assert 40 == region.evaluate("element => element.scrollLeft")


def test_nothing_is_drawn_without_news(browser: Browser, served: Server) -> None:
    """Figures are drawn again where their data changes, and not because time goes on."""
    with opened(browser, served, "?window=30d") as page:
        page.wait_for_selector("#drift .main-svg")
        page.evaluate(
            "() => { const react = Plotly.react, said = document.documentElement.dataset; said.drawn = 0;"
            " Plotly.react = (...all) => { said.drawn = Number(said.drawn) + 1; return react(...all); }; }"
        )
        wait_for_exchanges(page, 3)
        expect(page.locator("html")).to_have_attribute("data-drawn", "0")
        served.post("/iris/predict", ROW).raise_for_status()
        expect(page.locator("html")).not_to_have_attribute("data-drawn", "0")


def test_windows_and_models_change_without_another_page(browser: Browser, served: Server) -> None:
    """The token and what was typed stay, the address and the way back are those of links."""
    with opened(browser, served) as page:
        unlock(page)
        current = page.locator("#windows [aria-current=page]")
        page.locator("[name=petal_width_cm]").fill("1.7")
        page.get_by_role("link", name="7d").press("Enter")
        expect(current).to_have_text("7d")
        expect(page.get_by_role("link", name="7d")).to_be_focused()
        assert "window=7d" in page.url
        expect(page.locator("[name=petal_width_cm]")).to_have_value("1.7")

        page.get_by_role("link", name="penguins").click()
        expect(page.locator("h1")).to_contain_text("penguin")
        expect(page.locator("[name=petal_width_cm]")).to_have_count(0)
        page.get_by_role("button", name="Predict").click()
        expect(page.locator("#answer")).to_contain_text("Adelie")
        expect(page.locator("#recent summary").first).to_contain_text("Adelie")
        expect(page).to_have_title(re.compile("^penguins"))

        page.go_back()
        expect(page.locator("[name=petal_width_cm]")).to_have_count(1)
        page.go_back()
        expect(current).to_have_text("24h")
        expect(page.get_by_role("button", name="Lock", exact=True)).to_be_visible()


def test_regions_that_speak_are_there_before_they_do(browser: Browser, served: Server) -> None:
    """A status that is out of the accessibility tree while it is empty is not read when it is filled."""
    with opened(browser, served) as page:
        found = page.get_by_role("status").evaluate_all("all => all.map((each) => each.id)")

        assert {"pulse", "told", "waiting", "notice"} == set(found)


def test_a_page_older_than_its_server_says_so(browser: Browser, served: Server) -> None:
    """A newer server's HTML does not meet an older page's script."""
    with opened(browser, served) as page:
        page.evaluate("document.documentElement.dataset.made = 'by an older release'")
        now = page.locator("#now").inner_text()

        expect(page.locator("#pulse")).to_contain_text("newer page: reload")
        assert now == page.locator("#now").inner_text()


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


def test_the_dashboard_works_under_a_prefix(browser: Browser, served: Server) -> None:
    """Its form, its links and its exchanges stay under the prefix of the page."""
    asked: set[str] = set()
    with opened(browser, served, "?model=penguins", path="/kept/dashboard") as page:
        page.on("request", lambda request: asked.add(urlsplit(request.url).path))
        page.get_by_role("button", name="Predict").click()
        expect(page.locator("#answer b")).to_be_visible()
        page.get_by_role("link", name="iris").click()
        expect(page).to_have_url(re.compile(r"/kept/dashboard\?model=iris"))
        wait_for_exchanges(page, 1)

    assert {"/kept/penguins/predict", "/kept/dashboard"} == asked


@pytest.mark.parametrize("prefix", ["", "/kept"])
def test_the_docs_page_works_under_its_policy(browser: Browser, served: Server, prefix: str) -> None:
    """Its "try it" calls the address in `docs.json`; the content security policy refuses nothing."""
    with opened(browser, served, path=f"{prefix}/") as page:
        operation = page.locator("#operations-iris-iris_predict")
        operation.locator(".opblock-summary-control").click()
        operation.get_by_role("button", name="Try it out").click()
        operation.get_by_role("button", name="Execute").click()

        expect(operation.locator(".request-url")).to_contain_text(f"{served.url}/kept/iris/predict")
        expect(operation.locator(".live-responses-table td.response-col_status").last).to_contain_text(
            "200"
        )
