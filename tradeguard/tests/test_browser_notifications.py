"""The bell, what one is told and the ways to be reached, in a real browser."""

import re

import pytest
from playwright.sync_api import expect

from tradeguard.tests.test_browser import PATIENCE_MS, Visitor, browser, maya

__all__ = ["browser", "maya"]  # its fixtures, used here as well

pytestmark = pytest.mark.browser
_ENDED = re.compile("sent at|log at")  # with a mail server, and without one


def test_the_bell_is_read_without_a_reload(maya: Visitor) -> None:
    page = maya.page
    expect(page.locator("#bell-count")).to_have_text(re.compile(r"\d"), timeout=PATIENCE_MS)
    loads = maya.page_loads
    page.click("#bell summary")
    unread = page.locator("#bell-sheet .note-new")
    row = unread.first.get_attribute("id")
    page.click(f"#{row} .note-tools button")
    expect(page.locator(f"#{row}")).not_to_have_class(re.compile("note-new"))
    expect(page.locator(f"#{row} .note-tools button")).to_be_focused()
    page.click("#bell-sheet button:has-text('Mark all as read')")
    expect(page.locator("#bell-sheet .note").first).to_be_visible()
    assert maya.page_loads == loads


def test_the_centre_reads_and_deletes_without_a_reload(maya: Visitor) -> None:
    page = maya.page
    page.goto(f"{maya.desk.url}/notifications")
    loads = maya.page_loads
    first = page.locator("#inbox .note").first
    row = first.get_attribute("id")
    first.locator("summary").click()
    expect(first.locator(".note-deliveries")).not_to_contain_text("Show by which ways")
    first.locator("button[title='Delete']").press("Enter")
    expect(page.locator(f"#{row}")).to_have_count(0)
    expect(page.locator("#inbox .note").first.locator("a, button").first).to_be_focused()
    assert maya.page_loads == loads


def test_what_one_is_told_is_saved_without_losing_the_place(maya: Visitor) -> None:
    page = maya.page
    page.goto(f"{maya.desk.url}/notifications/preferences")
    loads = maya.page_loads
    page.fill("[name=quiet_from]", "00:00")
    page.fill("[name=quiet_until]", "23:59")
    expect(page.locator(".hours-now")).to_contain_text(re.compile("quiet until 23:59"))
    page.fill("[name=quiet_from]", "")
    page.fill("[name=quiet_until]", "")
    page.select_option("[name=mode-cascade]", "off")
    expect(page.locator("[data-unsaved]")).to_be_visible()
    page.click("form.preferences .save-bar button")
    expect(page.locator(".toast:has-text('Saved.')")).to_be_visible()
    expect(page.locator("[data-unsaved]")).not_to_be_visible()
    assert maya.page_loads == loads
    page.reload()
    expect(page.locator("[name=mode-cascade]")).to_have_value("off")


def test_a_test_tells_how_it_went(maya: Visitor) -> None:
    page = maya.page
    page.goto(f"{maya.desk.url}/notifications/channels")
    loads = maya.page_loads
    card = page.locator(".channel:has(h2:has-text('E-mail'))")
    card.locator("button:has-text('Send me a test')").click()
    expect(card.locator(".test")).to_contain_text(_ENDED, timeout=PATIENCE_MS)
    expect(card.locator(".channel-last")).to_contain_text(re.compile("now|second"))
    page.click("#add-telegram")
    expect(page.locator("#modal .steps li")).to_have_count(3)
    page.keyboard.press("Escape")
    expect(page.locator("#add-telegram")).to_be_focused()
    assert maya.page_loads == loads


def test_a_way_is_tested_where_it_is_chosen(maya: Visitor) -> None:
    page = maya.page
    page.goto(f"{maya.desk.url}/notifications/preferences")
    loads = maya.page_loads
    page.select_option("[name=mode-order_rejected]", "silent")
    page.click(".way-column:has-text('E-mail') .way-test")
    expect(page.locator("#tested-email .test")).to_contain_text(_ENDED, timeout=PATIENCE_MS)
    expect(page.locator(".way-column .way-test").first).to_be_enabled()
    expect(page.locator("[data-unsaved]")).to_be_visible()  # what was chosen is still there
    assert maya.page_loads == loads


def test_a_secret_is_not_lost_by_one_key(maya: Visitor) -> None:
    page = maya.page
    page.goto(f"{maya.desk.url}/notifications/channels")
    page.click("#add-webhook")
    expect(page.locator("#modal [name=url]")).to_be_focused()
    # As extensions of browsers mark what they fill in.
    page.eval_on_selector("#modal [name=url]", "field => { field.style.color = 'red' }")
    page.click("#modal button[type=submit]")
    expect(page.locator("#modal .field-wrong")).to_have_count(1)
    page.fill("#modal [name=url]", "http://127.0.0.1:9/hook")
    page.fill("#modal [name=name]", "My robot")
    page.click("#modal button[type=submit]")
    expect(page.locator("#modal .made")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#modal [data-trouble]")).to_contain_text("shown only once")
    page.keyboard.press("Escape")
    expect(page.locator(".channel h2:has-text('My robot')")).to_be_visible()
    expect(page.locator(".made")).to_have_count(0)


def test_on_a_phone_each_kind_is_one_line_that_unfolds(maya: Visitor) -> None:
    page = maya.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{maya.desk.url}/notifications/preferences")
    row = page.locator(".choice-row:has([name=mode-connection_lost])")
    expect(row.locator("select").first).not_to_be_visible()
    line = row.locator("[data-unfold]")
    expect(line).to_contain_text("On · E-mail")
    line.press("Enter")
    row.locator("[name=mode-connection_lost]").select_option("silent")
    expect(line).to_contain_text("Silent")
    line.press("Enter")
    expect(row.locator("select").first).not_to_be_visible()
    page.click("form.preferences .save-bar button")
    expect(page.locator(".toast:has-text('Saved.')")).to_be_visible()
