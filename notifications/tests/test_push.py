import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from accounts.tests.factories import NOW
from notifications.models import Channel, Delivery, PushKey
from notifications.services.push_keys import public_push_key
from notifications.services.push_subscriptions import (
    browser_channel,
    subscribe_browser,
    unsubscribe_browser,
)
from notifications.services.switching import switch_off
from notifications.tests.browser_side import Browser
from notifications.views.push import browser_name

WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
CHROME = f"{WINDOWS} AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
LATER = NOW + timedelta(days=1)


@pytest.fixture
def page(alice: User, client: Client) -> Client:
    client.force_login(alice)
    return client


def post(client: Client, path: str, data: Any, **headers: str) -> Any:
    return client.post(
        f"/notifications/push{path}",
        data if isinstance(data, (str, bytes)) else json.dumps(data),
        content_type="application/json",
        headers={"User-Agent": CHROME, **headers},
    )


def subscribe(user: User, browser: Browser, *, previous: str = "", name: str = "Chrome") -> Channel:
    return subscribe_browser(
        user=user,
        subscription=browser.subscription,
        previous=previous,
        browser=name,
        now=NOW,
    )


def stored(channel: Channel) -> Any:
    opened = Channel.objects.get(pk=channel.pk).credentials
    assert opened is not None
    return json.loads(opened)


# --- the service ---


def test_a_browser_gets_a_channel_of_its_own(alice: User) -> None:
    browser = Browser()
    channel = subscribe(alice, browser)
    assert (channel.transport, channel.name, channel.hint) == (
        "web_push",
        "Chrome",
        "push.example.com",
    )
    assert stored(channel) == browser.subscription


def test_the_same_browser_keeps_its_channel(alice: User) -> None:
    first = subscribe(alice, Browser())
    assert subscribe(alice, Browser(), name="Something else").pk == first.pk
    assert Channel.objects.get(transport="web_push").name == "Chrome"


def test_a_browser_with_another_address_brings_its_channel_along(alice: User) -> None:
    old, new = Browser("https://push.example.com/old"), Browser("https://push.example.com/new")
    first = subscribe(alice, old)
    assert subscribe(alice, new, previous=old.endpoint).pk == first.pk
    assert stored(first) == new.subscription


def test_several_browsers_have_names_apart(alice: User) -> None:
    names = [
        subscribe(alice, Browser(f"https://push.example.com/{number}")).name for number in range(3)
    ]
    assert names == ["Chrome", "Chrome 2", "Chrome 3"]


def test_a_browser_that_comes_back_is_switched_on_again(alice: User) -> None:
    browser = Browser()
    channel = subscribe(alice, browser)
    switch_off(channel, "It has ended.", NOW)
    again = subscribe(alice, browser)
    assert again.pk == channel.pk
    assert Channel.objects.working().filter(pk=channel.pk).exists()
    assert Channel.objects.get(pk=channel.pk).failures_in_a_row == 0


def test_a_browser_of_two_users_leaves_each_their_channel(alice: User, charlie: User) -> None:
    shared = Browser("https://push.example.com/alice")
    of_alice = subscribe(alice, shared)
    of_charlie = subscribe(
        charlie, Browser("https://push.example.com/charlie"), previous=shared.endpoint
    )
    assert of_charlie.pk != of_alice.pk
    assert stored(of_alice) == shared.subscription
    assert browser_channel(user=charlie, endpoint=shared.endpoint) is None


def test_nobody_unsubscribes_somebody_elses_browser(alice: User, charlie: User) -> None:
    browser = Browser()
    channel = subscribe(alice, browser)
    assert not unsubscribe_browser(user=charlie, endpoint=browser.endpoint, now=LATER)
    assert Channel.objects.filter(pk=channel.pk).exists()
    assert unsubscribe_browser(user=alice, endpoint=browser.endpoint, now=LATER)
    assert not Channel.objects.filter(pk=channel.pk).exists()


# --- what the scripts ask ---


def test_it_says_what_a_subscription_is_bound_to(page: Client) -> None:
    state = post(page, "/state", {})
    assert state.json() == {
        "public_key": public_push_key(),
        "channel": None,
        "name": "",
        "is_working": False,
    }


def test_asking_for_the_token_makes_no_key(page: Client) -> None:
    answer = page.get("/notifications/push")
    assert list(answer.json()) == ["csrf_token"]
    assert answer.headers["Cache-Control"] == "no-store, private"
    assert not PushKey.objects.exists()


def test_it_subscribes_the_browser_that_asks(alice: User, page: Client) -> None:
    browser = Browser()
    answer = post(page, "", browser.subscription)
    channel = Channel.objects.get(transport="web_push")
    assert answer.status_code == 200
    assert answer.json() == {"channel": str(channel.pk), "name": "Chrome on Windows"}
    assert (channel.user, stored(channel)) == (alice, browser.subscription)
    state = post(page, "/state", {"endpoint": browser.endpoint}).json()
    assert state == {**answer.json(), "is_working": True, "public_key": public_push_key()}
    assert post(page, "/off", {"endpoint": browser.endpoint}).status_code == 204
    assert not Channel.objects.filter(transport="web_push").exists()
    assert post(page, "/state", {"endpoint": browser.endpoint}).json()["channel"] is None
    assert post(page, "/off", {"endpoint": browser.endpoint}).status_code == 204


def test_it_says_when_the_channel_of_a_browser_is_off(alice: User, page: Client) -> None:
    browser = Browser()
    switch_off(subscribe(alice, browser), "It has ended.", NOW)
    assert post(page, "/state", {"endpoint": browser.endpoint}).json()["is_working"] is False


@pytest.mark.parametrize("path", ["", "/state", "/off"])
@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"endpoint": 1}', b"\xff", "[" * 99_999])
def test_it_refuses_what_no_browser_sends(page: Client, path: str, body: str) -> None:
    answer = post(page, path, body)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert not Channel.objects.filter(transport="web_push").exists()


@pytest.mark.parametrize("wrong", ["endpoint", "p256dh", "auth"])
def test_it_refuses_keys_that_do_not_work(page: Client, wrong: str) -> None:
    answer = post(page, "", {**Browser().subscription, wrong: "x"})
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_it_says_when_there_are_too_many(alice: User, page: Client) -> None:
    for number in range(12):
        answer = post(page, "", Browser(f"https://push.example.com/{number}").subscription)
    assert answer.status_code == 409
    assert "delete one" in answer.json()["error"]
    assert Channel.objects.owned_by(alice).count() == 10


@pytest.mark.parametrize("path", ["", "/state", "/off"])
def test_it_answers_nobody_who_is_not_signed_in(client: Client, db: None, path: str) -> None:
    for answer in (
        post(client, path, Browser().subscription),
        client.get(f"/notifications/push{path}"),
    ):
        assert answer.headers["Location"].startswith("/login?next=")
    assert not Channel.objects.filter(transport="web_push").exists()


def test_another_site_subscribes_nobody(alice: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)
    browser = Browser()
    assert post(strict, "", browser.subscription).status_code == 403
    token = strict.get("/notifications/push").json()["csrf_token"]
    assert post(strict, "", browser.subscription, **{"X-CSRFToken": token}).status_code == 200


def test_no_address_comes_out_again(alice: User, page: Client) -> None:
    browser = Browser()
    subscribe(alice, browser)
    for answer in (
        post(page, "", browser.subscription),
        post(page, "/state", {"endpoint": browser.endpoint}),
        page.get("/notifications/channels"),
    ):
        text = answer.content.decode()
        assert [secret for secret in browser.subscription.values() if secret in text] == []


def test_the_service_worker_serves_the_whole_site(client: Client, db: None) -> None:
    answer = client.get("/service-worker.js")
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert b"showNotification" in answer.content
    assert client.post("/service-worker.js").status_code == 405


def test_a_deleted_browser_gets_nothing_more(alice: User) -> None:
    browser = Browser()
    channel = subscribe(alice, browser)
    unsubscribe_browser(user=alice, endpoint=browser.endpoint, now=LATER)
    assert not Delivery.objects.filter(channel=channel.pk).exists()


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (CHROME, "Chrome on Windows"),
        (f"{CHROME} Edg/142.0.0.0", "Edge on Windows"),
        (f"{CHROME} OPR/120.0.0.0", "Opera on Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko Firefox/144.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/142.0 Mobile Safari/537", "Chrome on Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 15) Version/19 Safari/605", "Safari on Mac"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Safari/604", "Safari on iPhone"),
        ("curl/8.0", "Browser"),
        ("", "Browser"),
    ],
)
def test_it_names_browsers_as_their_owners_do(agent: str, name: str) -> None:
    assert browser_name(agent) == name
