"""Copying from the wizard to its end, in a real browser."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tradeguard.tests.served_desk import wait_until
from tradeguard.tests.test_browser import PATIENCE_MS, Visitor, browser, maya

__all__ = ["browser", "maya"]  # its fixtures, used here as well

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    """Wait for what a busy machine is slow with, as long as every other wait does."""
    expect.set_options(timeout=PATIENCE_MS)
    yield
    expect.set_options(timeout=None)


def choose(page: Page, field: str, name: str) -> None:
    """Choose the account of this name in a list of accounts."""
    select = page.locator(f"[name={field}]")
    label = next(
        text for text in select.locator("option").all_inner_texts() if text.startswith(f"{name} ")
    )
    select.select_option(label=label)


def row_of(page: Page, provider: str, follower: str) -> Locator:
    """Return the row of a relationship in the list."""
    return page.locator(f"#copying-rows tr:has-text('{provider}'):has-text('{follower}')")


def buy(page: Page, url: str, account: str, lots: str) -> None:
    """Buy EURUSD through the ticket of an account."""
    page.goto(f"{url}/accounts")
    page.click(f"main a:has-text('{account}')")
    page.click("main a:has-text('New order')")
    page.fill("#modal [name=symbol]", "EURUSD")
    page.click("#modal .ticket-buy")
    page.fill("#modal [name=volume]", lots)
    expect(page.locator("#ticket-answer .verdict")).to_contain_text("Allowed")
    page.click("#modal .ticket-send")
    expect(page.locator("#order-outcome")).to_contain_text(f"Filled {lots} lots")


def test_a_trade_is_copied_before_ones_eyes(maya: Visitor) -> None:
    page, url = maya.page, maya.desk.url
    page.goto(f"{url}/copying/new")
    page.click("[data-next]")
    expect(page.locator(".errors")).to_have_text("Choose the account whose trades are copied.")
    choose(page, "provider", "Mirror Ratio")
    page.click("[data-next]")
    choose(page, "follower", "Mirror Fixed")
    page.click("[data-next]")
    page.fill("[name=example_symbol]", "EURUSD")
    expect(page.locator("#example .example-here")).to_contain_text("EURUSD")
    page.select_option("[name=sizing]", "fixed_lot")
    page.click("[data-next]")
    expect(page.locator(".errors")).to_have_text("Say how many lots each copy has.")
    page.fill("[name=fixed_lots]", "0.03")
    expect(page.locator("#example .example-sum")).to_contain_text("0.03 EURUSD here")
    page.click("[data-next]")
    page.click("[data-next]")
    expect(page.locator("#review")).to_contain_text("Always 0.03 lots")
    page.click("[data-finish]")
    expect(page.locator("#copying-head .status").first).to_have_text("Active")
    relationship = page.url
    page.click("a:has-text('All of it')")
    page.wait_for_url("**/copying/ledger?relationship=*")
    loads = maya.page_loads

    other = page.context.new_page()
    other.set_default_timeout(PATIENCE_MS)
    buy(other, url, "Mirror Ratio", "0.11")
    event = page.locator(".events li:has-text('Buy 0.11 EURUSD')")
    expect(event).to_contain_text("1 copied")
    event.locator("summary").click()
    copy = event.locator(".copies tbody tr")
    expect(copy).to_contain_text(re.compile("Mirror Fixed.*Copied.*0.03", re.DOTALL))
    # What one has opened stays open while the ledger goes on.
    buy(other, url, "Mirror Ratio", "0.12")
    expect(page.locator(".events li:has-text('Buy 0.12 EURUSD')")).to_contain_text("1 copied")
    expect(copy).to_be_visible()
    other.close()
    assert maya.page_loads == loads

    page.goto(relationship)
    expect(page.locator(".held-table tbody tr")).to_have_count(2)
    page.click("a:has-text('Pause…')")
    page.fill("#modal [name=reason]", "Looking at it first.")
    page.click("#modal button:has-text('Pause')")
    expect(page.locator("#copying-head .status").first).to_have_text("Paused")
    expect(page.locator("#copying-head")).to_contain_text("Looking at it first.")
    page.click("a:has-text('End…')")
    expect(page.locator("#modal")).to_contain_text("2 positions, 0.06 lots")
    page.check("#modal [value=close_now]")
    page.click("#modal button:has-text('End it')")
    expect(page.locator("#copying-head .status").first).to_have_text("Terminated")
    expect(page.locator(".held-table")).to_have_count(0)


def test_a_relationship_is_paused_and_resumed_from_the_list_by_keyboard(maya: Visitor) -> None:
    page = maya.page
    page.goto(f"{maya.desk.url}/copying")
    row = row_of(page, "Lead Signals", "Mirror Contra")
    expect(row.locator(".status")).to_have_text("Active")
    row.locator("a:has-text('Pause…')").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#modal")).to_contain_text("Closes go on")
    page.keyboard.press("Escape")
    expect(page.locator("#modal")).not_to_be_visible()
    expect(row.locator("a:has-text('Pause…')")).to_be_focused()
    page.keyboard.press("Enter")
    page.locator("#modal button:has-text('Pause')").press("Enter")
    expect(page.locator("#copying-head .status").first).to_have_text("Paused")
    page.click("a:has-text('Resume…')")
    page.click("#modal button:has-text('Resume')")
    expect(page.locator("#copying-head .status").first).to_have_text("Active")


def test_the_demos_ledger_is_alive(maya: Visitor) -> None:
    page = maya.page
    page.goto(f"{maya.desk.url}/copying/ledger")
    events = page.locator(".events > li")
    expect(events.first).to_contain_text("Lead Signals", timeout=3 * PATIENCE_MS)
    loads, newest = maya.page_loads, events.first.inner_text()
    wait_until(lambda: events.first.inner_text() != newest, "the ledger moves", seconds=180)
    assert maya.page_loads == loads


def test_an_offer_is_read_and_declined(maya: Visitor) -> None:
    page = maya.page
    page.goto(f"{maya.desk.url}/copying")
    offer = page.locator(".offer")
    expect(offer).to_contain_text("jonas offers Bluewater Macro to copy Nordwind 1")
    offer.locator("a:has-text('Decline…')").click()
    page.fill("#modal [name=reason]", "Not this year.")
    page.click("#modal button:has-text('Decline')")
    expect(page.locator("#copying-head .status").first).to_have_text("Declined")


def test_a_page_that_is_not_answered_does_not_look_live(maya: Visitor) -> None:
    page = maya.page
    page.goto(f"{maya.desk.url}/copying")
    row = row_of(page, "Lead Signals", "Mirror Ratio")
    address = row.locator('a:has-text("provider\'s page")').get_attribute("href")
    page.goto(f"{maya.desk.url}{address}")
    group = page.locator("#copy-group")
    expect(group.locator("[data-alarm]")).to_be_hidden()
    page.context.set_offline(True)
    expect(group.locator("[data-alarm]")).to_be_visible()
    expect(group).to_have_class(re.compile("is-lost"))
    page.context.set_offline(False)
    expect(page.locator(".is-lost")).to_have_count(0)
    expect(group.locator("[data-alarm]")).to_be_hidden()
    # What was asked in vain stands in the console, as it should.
    vain = ("htmx:sendError", "htmx:afterRequest", "ERR_INTERNET_DISCONNECTED")
    maya.errors[:] = [each for each in maya.errors if not any(word in each for word in vain)]


def test_a_phone_has_room_for_every_page_of_copying(maya: Visitor) -> None:
    page = maya.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{maya.desk.url}/copying")
    row = row_of(page, "Lead Signals", "Mirror Ratio")
    one = row.locator("a.pair").get_attribute("href")
    provider = row.locator('a:has-text("provider\'s page")').get_attribute("href")
    paths = ("/copying", "/copying/new", "/copying/ledger", "/copying/metrics")
    for path in (*paths, one, provider, f"{one}/edit", f"{one}/end", f"{one}/pause"):
        page.goto(f"{maya.desk.url}{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        small = page.eval_on_selector_all(
            "main :is(button, .button, .tool, select, input[type=text], summary):not([hidden])",
            """found => found
                .filter(each => each.offsetParent && each.getBoundingClientRect().height < 40)
                .map(each => each.outerHTML.slice(0, 120))""",
        )
        assert small == [], path


TOASTS = """
for (let number = 0; number < 4; number++)
  document.getElementById("toasts").insertAdjacentHTML("beforeend",
    `<div class="toast" data-toast data-fold="${number}"><span>Something long has happened on an
     account, and on another one as well, and a sentence says which</span></div>`);
"""


IS_FREE = """button => {
    const box = button.getBoundingClientRect();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    return button.contains(document.elementFromPoint(x, y));
}"""


def test_what_is_told_meanwhile_leaves_the_ends_of_rows_free(maya: Visitor) -> None:
    page = maya.page
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(f"{maya.desk.url}/copying")
    expect(row_of(page, "Lead Signals", "Mirror Ratio")).to_be_visible()
    page.evaluate(TOASTS)
    assert page.locator("#toasts > :visible").count() >= 1
    buttons = page.locator("#copying-rows .row-actions a")
    is_shown = "button => button.getBoundingClientRect().bottom < innerHeight"
    shown = [each for each in buttons.all() if each.evaluate(is_shown)]
    assert len(shown) >= 15
    assert all(each.evaluate(IS_FREE) for each in shown)


def test_the_wizard_is_walked_by_keyboard(maya: Visitor) -> None:
    page = maya.page
    page.goto(f"{maya.desk.url}/copying/new")
    described = "field => field.getAttribute('aria-describedby')"
    page.locator("[data-next]").press("Enter")
    provider = page.locator("[name=provider]")
    expect(provider).to_be_focused()
    expect(provider).to_have_attribute("aria-invalid", "true")
    assert provider.evaluate(described) == "id_provider_error"
    choose(page, "provider", "Mirror Ratio")
    assert provider.evaluate(described) is None
    page.locator("[data-next]").press("Enter")
    expect(page.locator("h2:has-text('Who copies them?')")).to_be_focused()
    choose(page, "follower", "Mirror Contra")
    page.locator("[data-next]").press("Enter")
    page.select_option("[name=sizing]", "risk_percent")
    page.locator("[data-next]").press("Enter")
    risk = page.locator("[name=risk_fraction]")
    expect(risk).to_be_focused()
    assert risk.evaluate(described) == "id_risk_fraction_error id_risk_fraction_helptext"
    risk.press_sequentially("1")
    assert risk.evaluate(described) == "id_risk_fraction_helptext"
    risk.press("Enter")
    expect(page.locator("h2:has-text('Filters and limits')")).to_be_focused()
    page.locator("[data-go='1']").press("Enter")
    expect(page.locator("h2:has-text('Whose trades are copied?')")).to_be_focused()


def test_what_is_told_meanwhile_leaves_the_buttons_of_a_form_free(maya: Visitor) -> None:
    page = maya.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{maya.desk.url}/copying/new")
    choose(page, "provider", "Mirror Ratio")
    page.click("[data-next]")
    page.evaluate(TOASTS)
    assert page.locator("#toasts > :visible").count() <= 1
    assert page.locator("[data-next]").evaluate(IS_FREE)
