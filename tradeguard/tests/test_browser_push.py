"""A person who lets a real Chromium show notifications; the push service is one of ours."""

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from notifications.tests import browser_side
from notifications.tests.http_receiver import Receiver, answering, receiving
from tradeguard.tests.chromium import find_chromium
from tradeguard.tests.served_desk import ServedDesk, wait_until

pytestmark = pytest.mark.browser
PATIENCE_MS = 60_000

# Chromium asks Google's push service for an address, which tests cannot; all else is its own.
PUSH_SERVICE = """
(() => {
  const given = %s;
  const bytes = (text) => {
    const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(plain, (sign) => sign.charCodeAt(0)).buffer;
  };
  const subscription = {
    endpoint: given.endpoint,
    getKey: (name) => bytes(given[name]),
    unsubscribe: async () => { localStorage.removeItem("subscribed"); return true; },
  };
  PushManager.prototype.subscribe = async (options) => {
    localStorage.setItem("subscribed", JSON.stringify(options));
    return subscription;
  };
  PushManager.prototype.getSubscription = async () =>
    (localStorage.getItem("subscribed") ? subscription : null);
})();
"""
SHOWN = """async () => {
  const registration = await navigator.serviceWorker.getRegistration("/");
  const shown = await registration.getNotifications();
  return shown.map((each) => ({
    title: each.title, body: each.body, tag: each.tag, stays: each.requireInteraction,
    url: each.data.url,
  }));
}"""


@pytest.fixture
def service() -> Iterator[Receiver]:
    with receiving(answering(201)) as receiver:
        yield receiver


@pytest.fixture
def person(service: Receiver) -> browser_side.Browser:
    return browser_side.Browser(f"{service.url}/send/1")


@pytest.fixture
def page(desk: ServedDesk, person: browser_side.Browser) -> Iterator[Page]:
    """Show the page of channels to the demo's main user; nothing may go wrong in it."""
    errors: list[str] = []
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=find_chromium(), args=sandbox)
        context = chromium.new_context()
        context.grant_permissions(["notifications"], origin=desk.url)
        context.add_init_script(PUSH_SERVICE % json.dumps(person.subscription))
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{desk.url}/login?next=/notifications/channels")
        page.fill("[name=username]", desk.username)
        page.fill("[name=password]", desk.password)
        page.click("main button[type=submit]")
        page.wait_for_url("**/notifications/channels")
        yield page
        chromium.close()
    assert errors == []


def push(page: Page, origin: str, data: str) -> None:
    """Have the push service's message arrive in the service worker."""
    session = page.context.new_cdp_session(page)
    known: list[Any] = []
    session.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda event: known.extend(event["registrations"]),
    )
    session.send("ServiceWorker.enable")
    for _ in range(500):
        if known:
            break
        page.wait_for_timeout(20)
    message = {"origin": origin, "registrationId": known[-1]["registrationId"], "data": data}
    session.send("ServiceWorker.deliverPushMessage", message)


def sent_as_tests(service: Receiver, person: browser_side.Browser) -> list[Any]:
    told = [person.read(request.body) for request in service.requests]
    return [each for each in told if each["title"] == "A test from TradeGuard"]


def shown(page: Page, *tags: str) -> list[Any]:
    """Wait until these are shown and no other, and return them.

    While a notification takes the place of another one of its tag, both may be listed.
    """
    found: list[Any] = []
    for _ in range(PATIENCE_MS // 50):
        found = page.evaluate(SHOWN)
        if sorted(each["tag"] for each in found) == sorted(tags):
            break
        page.wait_for_timeout(50)
    assert sorted(each["tag"] for each in found) == sorted(tags)
    return found


def test_a_browser_is_switched_on_tested_and_switched_off(
    page: Page, desk: ServedDesk, service: Receiver, person: browser_side.Browser
) -> None:
    enable, disable = page.locator("[data-push-enable]"), page.locator("[data-push-disable]")
    expect(enable).to_be_visible()
    enable.click()
    expect(disable).to_be_visible()
    expect(enable).to_be_hidden()
    expect(page.locator("[data-push-state]")).to_contain_text("Chrome on")

    card = page.locator(".channel:has(h2:has-text('Chrome on'))")
    card.get_by_role("button", name="Send me a test").click()
    # Beside it the browser hears what else there is to tell, that it was added among it.
    wait_until(lambda: bool(sent_as_tests(service, person)), "the test arrives at the push service")
    [told] = sent_as_tests(service, person)

    push(page, desk.url, json.dumps({**told, "priority": "urgent"}))
    assert shown(page, told["id"]) == [
        {
            "title": told["title"],
            "body": told["body"],
            "tag": told["id"],
            "stays": True,
            "url": f"/notifications/{told['id']}/open",
        }
    ]
    push(page, desk.url, json.dumps(told))  # the same letter once more
    push(page, desk.url, "no JSON at all")
    shown(page, told["id"], "tradeguard")

    disable.click()
    expect(enable).to_be_visible()
    expect(page.get_by_role("heading", name="Chrome on")).to_have_count(0)
