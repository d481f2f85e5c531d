import json
import sys
from typing import Any

import pytest
from django.core.signals import got_request_exception
from django.utils import timezone
from django.views.debug import ExceptionReporter
from django.views.decorators.debug import sensitive_variables

from accounts.models import User
from accounts.tests.api_clients import Client, client_of
from accounts.tests.factories import NOW
from notifications.models import Channel, Delivery
from notifications.services.channels import MOST_CHANNELS, MOST_TESTS
from notifications.tests.factories import make_channel, make_delivery
from notifications.transports import transports

CHANNELS = "notifications/channels"
TOKEN = "123456789:AAF-abcdefghijklmnopqrstuvwxyz012345"
TELEGRAM = {"bot_token": TOKEN, "chat_id": "123456"}
HOOK = "https://hooks.example.com/tradeguard"


@pytest.fixture
def client(alice: User) -> Client:
    return client_of(alice)


def add(client: Client, **body: Any) -> Any:
    given = {"transport": "telegram", "name": "Phone", "credentials": TELEGRAM, **body}
    return client.ask("POST", CHANNELS, given)


def test_it_adds_a_channel_and_never_shows_its_secrets(client: Client) -> None:
    added = add(client)

    assert added.status_code == 201
    assert (added.json()["name"], added.json()["transport"]) == ("Phone", "telegram")
    assert added.json()["generated"] == {}
    pk = added.json()["id"]
    for answer in (
        added,
        client.ask("GET", CHANNELS),
        client.ask("GET", f"{CHANNELS}/{pk}"),
        client.ask("PATCH", f"{CHANNELS}/{pk}", {"name": "Mobile"}),
    ):
        assert answer.status_code in (200, 201)
        assert TOKEN not in answer.content.decode()
        assert "credentials" not in answer.content.decode()
    assert json.loads(Channel.objects.get().credentials or "") == TELEGRAM


def test_it_shows_a_secret_that_was_made_here_once(client: Client) -> None:
    added = add(client, transport="webhook", credentials={"url": HOOK}).json()
    secret = added["generated"]["secret"]

    assert json.loads(Channel.objects.get().credentials or "")["secret"] == secret
    assert set(added["generated"]) == {"secret"}
    assert secret not in client.ask("GET", f"{CHANNELS}/{added['id']}").content.decode()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"transport": "pigeon"}, "transport"),
        ({"transport": "email", "credentials": {}}, "transport"),
        ({"name": "a\nb"}, "name"),
        ({"name": "Taken"}, "name"),
        ({"credentials": {"chat_id": "1"}}, "credentials.bot_token"),
        ({"credentials": {**TELEGRAM, "colour": "red"}}, "credentials.colour"),
        ({"credentials": {**TELEGRAM, "chat_id": 7}}, "credentials.chat_id"),
        ({"credentials": "token"}, "credentials"),
    ],
)
def test_it_says_what_is_wrong_where_it_stands(
    client: Client, alice: User, body: dict[str, Any], field: str
) -> None:
    make_channel(alice)
    make_channel(alice, "discord", name="Taken")

    answer = add(client, **body)

    assert answer.status_code == 400
    assert list(answer.json()["error"]["fields"]) == [field]
    assert TOKEN not in answer.content.decode()
    assert Channel.objects.count() == 2


def test_it_refuses_one_channel_too_many(client: Client, alice: User) -> None:
    for _ in range(MOST_CHANNELS):
        make_channel(alice, "discord")

    answer = add(client)

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "too_many_channels")


def test_it_changes_the_credentials_that_are_given(client: Client) -> None:
    pk = add(client).json()["id"]

    answer = client.ask("PATCH", f"{CHANNELS}/{pk}", {"credentials": {"chat_id": "-100777"}})

    assert answer.status_code == 200
    assert json.loads(Channel.objects.get().credentials or "") == {
        "bot_token": TOKEN,
        "chat_id": "-100777",
    }
    assert client.ask("PUT", f"{CHANNELS}/{pk}", {}).status_code == 400
    assert client.ask("PUT", f"{CHANNELS}/{pk}", {"name": "Mobile"}).json()["name"] == "Mobile"


def test_it_deletes_a_channel_but_not_the_one_by_email(client: Client, alice: User) -> None:
    email, other = make_channel(alice), make_channel(alice, "discord")

    assert client.ask("DELETE", f"{CHANNELS}/{other.pk}").status_code == 204
    refused = client.ask("DELETE", f"{CHANNELS}/{email.pk}")

    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "needed")
    assert list(Channel.objects.all()) == [email]


def test_it_sends_a_test_and_tells_where_to_look(client: Client) -> None:
    pk = add(client).json()["id"]

    answer = client.ask("POST", f"{CHANNELS}/{pk}/test")

    assert answer.status_code == 202
    shown = answer.json()
    assert (shown["channel_id"], shown["state"]) == (pk, "pending")
    found = client.ask("GET", f"notifications/{shown['notification_id']}/deliveries").json()
    assert [row["id"] for row in found["results"]] == [shown["id"]]
    for _ in range(MOST_TESTS - 1):
        client.ask("POST", f"{CHANNELS}/{pk}/test")
    refused = client.ask("POST", f"{CHANNELS}/{pk}/test")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "throttled")
    assert 0 < int(refused["Retry-After"]) <= 60
    assert Delivery.objects.count() == MOST_TESTS


def test_it_switches_a_channel_on_again(client: Client, alice: User) -> None:
    off = make_channel(alice, "discord", switched_off_at=timezone.now(), failures_in_a_row=3)
    make_channel(alice)
    listed = client.ask("GET", f"{CHANNELS}?working=false").json()["results"]
    assert [row["id"] for row in listed] == [str(off.pk)]

    answer = client.ask("POST", f"{CHANNELS}/{off.pk}/switch-on")

    assert (answer.status_code, answer.json()["switched_off_at"]) == (200, None)
    off.refresh_from_db()
    assert (off.switched_off_at, off.failures_in_a_row) == (None, 0)


def test_it_tells_what_each_transport_needs(client: Client) -> None:
    shown = client.ask("GET", "notifications/transports").json()["transports"]

    assert [each["name"] for each in shown] == list(transports())
    [telegram] = [each for each in shown if each["name"] == "telegram"]
    required = {field["name"] for field in telegram["credentials"] if field["is_required"]}
    assert required == set(TELEGRAM)
    assert all(each["after_a_crash"] for each in shown)


def test_it_tells_how_a_notification_went_out(client: Client, alice: User) -> None:
    delivery = make_delivery(alice, state="failed", next_attempt_at=None, error="No such mailbox.")
    make_delivery(alice)

    address = f"notifications/{delivery.notification_id}/deliveries"
    answer = client.ask("GET", address).json()

    assert answer["count"] == 1
    [row] = answer["results"]
    assert (row["state"], row["error"], row["channel_name"]) == (
        "failed",
        "No such mailbox.",
        "E-mail",
    )
    assert row["created_at"] == "2026-11-20T12:00:00Z"
    assert client.ask("GET", f"{address}?state=sent").json()["count"] == 0


def test_it_asks_as_much_for_twenty_rows_as_for_two(
    client: Client, alice: User, django_assert_num_queries: Any
) -> None:
    notification = make_delivery(alice).notification
    for count in (2, 8):
        for _ in range(count):
            channel = make_channel(alice, "discord")
            Delivery.objects.create(
                notification=notification, channel=channel, transport="discord", created_at=NOW
            )
        with django_assert_num_queries(2):
            client.ask("GET", CHANNELS)
        with django_assert_num_queries(3):
            client.ask("GET", f"notifications/{notification.pk}/deliveries")


@pytest.mark.parametrize(
    "place",
    [
        "notifications.models.Channel.save",
        "notifications.services.channels.free_name",
        "notifications.transports.telegram.TRANSPORT.hint",
        "accounts.vault.keyring.seal",
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_it_keeps_secrets_out_of_error_reports(
    alice: User, monkeypatch: pytest.MonkeyPatch, place: str, method: str
) -> None:
    client = client_of(alice)
    pk = add(client, name="").json()["id"]

    @sensitive_variables()  # for what it is given is in its own frame
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("planted")

    reports: list[str] = []

    def report(sender: object, request: Any = None, **_: object) -> None:
        reporter = ExceptionReporter(request, *sys.exc_info())
        reports.append(reporter.get_traceback_text() + reporter.get_traceback_html())

    monkeypatch.setattr(place, fail)
    got_request_exception.connect(report)
    address = CHANNELS if method == "POST" else f"{CHANNELS}/{pk}"
    body = {"transport": "telegram", "credentials": {**TELEGRAM, "chat_id": "-100777"}}

    try:
        answer = client.ask(method, address, body)
    finally:
        got_request_exception.disconnect(report)

    if method == "PATCH" and place.endswith("free_name"):
        assert answer.status_code == 200
        return
    assert answer.status_code == 500
    [told] = reports
    assert "planted" in told
    assert TOKEN not in told
