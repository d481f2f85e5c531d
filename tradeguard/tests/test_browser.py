"""A person at a real Chromium, in front of a real `serve`."""

import json
import os
import re
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tradeguard.tests.chromium import find_chromium
from tradeguard.tests.served_desk import ServedDesk, wait_until

pytestmark = pytest.mark.browser
PATIENCE_MS = 60_000
STATUS_OF_ALPHA_1 = "tr:has(th:has-text('Alpha 1')) .cell-status [data-status]"

NEW_ACCOUNT = {
    "broker": "Nobody",
    "server": "NoSuch-Server",
    "login": "4711",
    "initial_balance": "1000",
    "password": "not-a-password",
}


class Visitor:
    """A signed-in person's page, with all that went wrong in it."""

    def __init__(self, browser: Browser, desk: ServedDesk) -> None:
        self.desk = desk
        self.errors: list[str] = []
        self.page_loads = 0
        self.page: Page = browser.new_context().new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", self._note_message)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("domcontentloaded", self._note_load)

    def sign_in(self, username: str, password: str) -> None:
        self.page.goto(f"{self.desk.url}/")
        self.page.fill("[name=username]", username)
        self.page.fill("[name=password]", password)
        self.page.click("main button[type=submit]")
        self.page.wait_for_url("**/groups")

    def open_group(self, name: str) -> None:
        self.page.click(f"main a:has-text('{name}')")
        self.page.wait_for_selector(".cell-equity")

    def equities(self) -> list[str]:
        return self.page.locator(".cell-equity").all_inner_texts()

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def _note_load(self, _page: Page) -> None:
        self.page_loads += 1


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    assert path is not None, "there is no Chromium; `make test` installs one"
    with sync_playwright() as playwright:
        is_root = os.geteuid() == 0
        yield playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"] if is_root else []
        )


@pytest.fixture
def maya(browser: Browser, desk: ServedDesk) -> Iterator[Visitor]:
    """Return the demo's main user, signed in; nothing may have gone wrong in her page."""
    visitor = Visitor(browser, desk)
    visitor.sign_in(desk.username, desk.password)
    yield visitor
    visitor.page.context.close()
    assert visitor.errors == []


def test_the_group_page_moves_without_a_reload(maya: Visitor) -> None:
    maya.open_group("Alpha desk")
    expect(maya.page.locator("#live-banner")).to_be_visible()
    before, loads = maya.equities(), maya.page_loads
    assert len(before) == 4
    wait_until(lambda: maya.equities() != before, "a price moves an equity on the page")
    text = maya.page.inner_text(".weakest-sentence")
    assert re.match(r"^Alpha [1-4]: .*\d", text), text
    assert "trading days" not in text, "an objective decides nothing"
    assert maya.page_loads == loads


def test_a_killed_worker_shows_as_stale_and_comes_back(maya: Visitor, desk: ServedDesk) -> None:
    maya.open_group("Alpha desk")
    status = maya.page.locator(STATUS_OF_ALPHA_1)
    expect(status).not_to_have_attribute("data-status", "unknown", timeout=PATIENCE_MS)
    loads = maya.page_loads
    # While serve stands still it starts nothing again, however fast this machine is.
    desk.process.send_signal(signal.SIGSTOP)
    try:
        os.kill(desk.pid("terminals"), signal.SIGKILL)
        expect(status).to_have_attribute("data-status", "unknown", timeout=PATIENCE_MS)
    finally:
        desk.process.send_signal(signal.SIGCONT)
    expect(status).not_to_have_attribute("data-status", "unknown", timeout=PATIENCE_MS)
    before = maya.equities()
    wait_until(lambda: maya.equities() != before, "the page moves again")
    assert maya.page_loads == loads


def test_a_phone_shows_the_figures_of_a_position_at_one_edge(maya: Visitor) -> None:
    maya.page.set_viewport_size({"width": 390, "height": 844})
    maya.page.goto(f"{maya.desk.url}/accounts")
    maya.page.click("main a:has-text('Bluewater Macro')")
    maya.page.wait_for_selector(".positions .position-profit")

    edges = maya.page.eval_on_selector_all(
        ".positions :is(.position-profit, .position-now) > *",
        "found => found.map(figure => Math.round(figure.getBoundingClientRect().right))",
    )

    assert len(edges) >= 2
    assert len(set(edges)) == 1


def test_an_account_is_added_changed_and_deleted_by_keyboard(maya: Visitor) -> None:
    page = maya.page
    page.goto(f"{maya.desk.url}/accounts")
    loads = maya.page_loads
    page.focus("#add-account")
    page.keyboard.press("Enter")
    expect(page.locator("#modal [name=name]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#modal")).not_to_be_visible()
    expect(page.locator("#add-account")).to_be_focused()

    page.keyboard.press("Enter")
    page.fill("#modal [name=name]", "Typed by hand")
    page.keyboard.press("Enter")
    expect(page.locator("#modal [role=alert] >> text=another look")).to_be_visible()
    expect(page.locator("#modal [name=broker]")).to_be_focused()
    expect(page.locator("#modal [name=name]")).to_have_value("Typed by hand")

    for name, value in NEW_ACCOUNT.items():
        page.fill(f"#modal [name={name}]", value)
    page.dblclick("#modal button[type=submit]")
    expect(page.locator("#modal")).not_to_be_visible()
    expect(page.locator("#add-account")).to_be_focused()
    row = page.locator("tr:has(th:has-text('Typed by hand'))")
    expect(row).to_have_count(1)
    # No such server: the reason comes by itself.
    expect(row.locator(".account-link .connection")).to_have_attribute("data-status", "error")

    row.get_by_role("link", name="Delete Typed by hand").click()
    page.locator("#modal").get_by_role("button", name="Delete the account").click()
    expect(row).to_have_count(0)
    expect(page.locator("#modal")).not_to_be_visible()
    assert maya.page_loads == loads


def test_what_was_typed_survives_a_lost_session(maya: Visitor) -> None:
    page = maya.page
    page.goto(f"{maya.desk.url}/accounts/new")
    page.fill("[name=name]", "Still here")
    page.context.clear_cookies(name="tradeguard_session")
    page.click("main button[type=submit]")
    expect(page.locator("[data-trouble]")).to_contain_text("You are signed out")
    expect(page.locator("[name=name]")).to_have_value("Still here")


def test_the_list_is_searched_and_sorted_without_a_reload(maya: Visitor) -> None:
    page = maya.page
    page.goto(f"{maya.desk.url}/accounts")
    loads, names = maya.page_loads, page.locator("tbody th a")
    page.fill("#filter_q", "alpha")
    expect(names).to_have_text(["Alpha 1", "Alpha 2", "Alpha 3", "Alpha 4"])
    page.click("#sort-login")
    page.wait_for_url("**sort=login**")
    page.click("#sort-login")
    expect(names).to_have_text(["Alpha 4", "Alpha 3", "Alpha 2", "Alpha 1"])
    expect(page.locator("#sort-login")).to_be_focused()
    before = page.locator(".account-equity .equity").all_inner_texts()
    wait_until(
        lambda: page.locator(".account-equity .equity").all_inner_texts() != before,
        "an equity in the narrowed list moves",
    )
    assert maya.page_loads == loads


def test_a_phone_has_room_for_every_page_of_accounts(maya: Visitor) -> None:
    page = maya.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{maya.desk.url}/accounts")
    account = page.locator("tbody th a").first.get_attribute("href")
    for path in ("/accounts", account, f"{account}/connection-log", f"{account}/deals"):
        page.goto(f"{maya.desk.url}{path}")
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390, path
    page.goto(f"{maya.desk.url}/accounts")
    small = page.eval_on_selector_all(
        "main :is(button, .button, .tool, select, input):not([hidden])",
        """found => found
            .filter(each => each.offsetParent && each.getBoundingClientRect().height < 40)
            .map(each => each.outerHTML.slice(0, 120))""",
    )
    assert small == []


def test_a_newcomers_first_account_comes_and_goes(browser: Browser, desk: ServedDesk) -> None:
    page = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{desk.url}/register")
    page.fill("[name=username]", "newcomer")
    page.fill("[name=email]", "newcomer@example.com")
    page.fill("[name=password]", "violet-otter-sings")
    page.click("main button[type=submit]")
    page.wait_for_url("**/accounts")

    page.click("#add-first-account")
    for field, value in NEW_ACCOUNT.items():
        page.fill(f"dialog [name={field}]", value)
    page.press("dialog [name=login]", "Enter")
    expect(page.locator("dialog .field-wrong [name=name]")).to_be_focused()
    page.keyboard.press("Escape")  # what came back with complaints was typed as well
    expect(page.locator("dialog [data-trouble]")).to_contain_text("not saved")
    page.fill("dialog [name=name]", "First")
    page.fill("dialog [name=password]", NEW_ACCOUNT["password"])
    page.press("dialog [name=name]", "Enter")
    expect(page.locator("[data-folding] [data-fold]")).to_have_attribute("aria-expanded", "false")
    expect(page.locator("#main")).to_be_focused()

    page.click("[aria-label='Delete First']")
    page.click("dialog .button-danger")
    expect(page.locator("#add-first-account")).to_be_visible()
    expect(page.locator("#account-filters")).to_have_count(0)
    page.context.close()


def test_a_double_click_on_the_ticket_makes_one_order(maya: Visitor) -> None:
    page = maya.page
    page.goto(f"{maya.desk.url}/accounts")
    page.click("main a:has-text('Bluewater Macro')")
    page.click("main a:has-text('New order')")
    page.wait_for_selector("#symbols option", state="attached")
    page.fill("#modal [name=symbol]", "EURUSD")
    page.click("#modal .ticket-buy")
    page.fill("#modal [name=volume]", "0.01")
    expect(page.locator("#ticket-answer .verdict")).to_contain_text("Allowed")

    page.dblclick("#modal .ticket-send")

    expect(page.locator("#order-outcome")).to_contain_text("Filled 0.01 lots")
    page.click("#modal [data-modal-close].button")
    expect(page.locator(".ledger a:has-text('Buy 0.01 EURUSD')")).to_have_count(1)


def test_everything_is_closed_by_one_shortcut_and_one_press(maya: Visitor) -> None:
    page = maya.page
    page.goto(f"{maya.desk.url}/accounts")
    page.click("main a:has-text('Kestrel Gold')")
    page.wait_for_selector("#account-positions")
    loads = maya.page_loads
    page.keyboard.press("Control+Shift+X")
    close = page.locator("#modal button:has-text('Close all now')")
    expect(close).to_be_focused()
    page.locator("#modal [name=lock]").uncheck()
    close.focus()
    page.keyboard.press("Enter")
    runs = page.locator("#panic-runs .run")
    expect(runs).to_have_attribute("data-status", "safe", timeout=PATIENCE_MS)
    page.keyboard.press("Escape")
    expect(page.locator("#modal")).not_to_be_visible()
    expect(page.locator("#standing .run").first).to_be_visible()
    assert maya.page_loads == loads


def test_another_user_sees_nothing_of_it(maya: Visitor, browser: Browser) -> None:
    maya.open_group("Alpha desk")
    foreign = maya.page.url
    people = json.loads((maya.desk.home / "demo-users.json").read_text())
    password = next(row["password"] for row in people if row["username"] == "jonas")
    jonas = Visitor(browser, maya.desk)
    jonas.sign_in("jonas", password)
    expect(jonas.page.locator("main a:has-text('Nordwind')").first).to_be_visible()
    assert "Alpha" not in jonas.page.inner_text("main")
    answer = jonas.page.goto(foreign)
    assert answer is not None
    assert answer.status == 404
    assert "Alpha" not in jonas.page.content()
    jonas.page.context.close()
