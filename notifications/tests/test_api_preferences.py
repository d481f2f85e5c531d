from typing import Any

import pytest

from accounts.models import User
from accounts.tests.api_clients import Client, client_of
from notifications.defaults import default_choice
from notifications.models import DeliverySettings, NotificationType, Preference

PREFERENCES = "notifications/preferences"
SETTINGS = "notifications/settings"


@pytest.fixture
def client(alice: User) -> Client:
    return client_of(alice)


def test_it_sets_and_lists_the_defaults(
    client: Client, alice: User, bob: User, django_assert_num_queries: Any
) -> None:
    Preference.objects.create(user=bob, type=NotificationType.CASCADE, mode="off")

    answer = client.ask("POST", f"{PREFERENCES}/set-defaults")

    assert answer.status_code == 200
    assert {row["type"] for row in answer.json()} == set(NotificationType.values)
    with django_assert_num_queries(2):
        listed = client.ask("GET", PREFERENCES).json()
    assert listed["count"] == len(NotificationType)
    for row in listed["results"]:
        choice = default_choice(row["type"])
        assert row["mode"] == choice.mode
        assert frozenset(row["transports"]) == choice.transports
    assert Preference.objects.get(user=bob).mode == "off"


def test_what_is_left_out_is_the_default_of_the_type(client: Client) -> None:
    first = client.ask("POST", PREFERENCES, {"type": "order_filled", "minimum_priority": "high"})

    assert first.status_code == 201
    assert first.json()["mode"] == "silent"
    assert first.json()["minimum_priority"] == "high"

    second = client.ask("POST", PREFERENCES, {"type": "order_filled", "mode": "off"})

    assert (second.status_code, second.json()["id"]) == (200, first.json()["id"])
    assert second.json()["mode"] == "off"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_it_changes_one(client: Client, alice: User, method: str) -> None:
    row = Preference.objects.create(user=alice, type="cascade", transports=["email", "sms"])

    answer = client.ask(method, f"{PREFERENCES}/{row.pk}", {"minimum_priority": "urgent"})

    assert answer.status_code == 200
    row.refresh_from_db()
    assert (row.mode, row.minimum_priority) == ("on", "urgent")
    assert row.transports == ["email", "sms"]


def test_it_keeps_what_always_passes(client: Client, alice: User) -> None:
    row = Preference.objects.create(user=alice, type="security", transports=["email"])

    answer = client.ask("PATCH", f"{PREFERENCES}/{row.pk}", {"mode": "off"})

    assert answer.status_code == 400
    [sentence] = answer.json()["error"]["fields"]["mode"]
    assert "always told" in sentence
    row.refresh_from_db()
    assert row.mode == "on"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"mode": "off"}, "type"),
        ({"type": "gossip"}, "type"),
        ({"type": "cascade", "mode": "loud"}, "mode"),
        ({"type": "cascade", "transports": ["pigeon"]}, "transports"),
        ({"type": "cascade", "transports": "email"}, "transports"),
    ],
)
def test_it_names_what_is_wrong(client: Client, body: dict[str, Any], field: str) -> None:
    answer = client.ask("POST", PREFERENCES, body)

    assert answer.status_code == 400
    assert [name.split(".")[0] for name in answer.json()["error"]["fields"]] == [field]
    assert not Preference.objects.exists()


def test_it_deletes_one(client: Client, alice: User) -> None:
    row = Preference.objects.create(user=alice, type="cascade")

    assert client.ask("DELETE", f"{PREFERENCES}/{row.pk}").status_code == 204
    assert not Preference.objects.exists()


def test_it_shows_and_changes_the_settings(client: Client, alice: User, bob: User) -> None:
    DeliverySettings.objects.create(user=bob, storm_limit=77)
    assert client.ask("GET", SETTINGS).json() == {
        "quiet_from": None,
        "quiet_until": None,
        "summary_at": "22:00:00",
        "repeat_minutes": 5,
        "storm_limit": 10,
    }

    answer = client.ask("PATCH", SETTINGS, {"quiet_from": "22:30", "quiet_until": "06:00:00"})

    assert answer.status_code == 200
    assert answer.json()["quiet_from"] == "22:30:00"
    changed = client.ask("PUT", SETTINGS, {"storm_limit": 100, "repeat_minutes": 0}).json()
    assert changed == client.ask("GET", SETTINGS).json()
    assert (changed["quiet_until"], changed["storm_limit"]) == ("06:00:00", 100)
    assert DeliverySettings.objects.get(user=bob).storm_limit == 77


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"quiet_from": "22:00"}, "quiet_until"),
        ({"quiet_from": "late", "quiet_until": "06:00"}, "quiet_from"),
        ({"storm_limit": 0}, "storm_limit"),
        ({"storm_limit": 101}, "storm_limit"),
        ({"repeat_minutes": 121}, "repeat_minutes"),
        ({"summary_at": None}, "summary_at"),
    ],
)
def test_it_refuses_settings_that_make_no_sense(
    client: Client, body: dict[str, Any], field: str
) -> None:
    answer = client.ask("PATCH", SETTINGS, body)

    assert answer.status_code == 400
    assert list(answer.json()["error"]["fields"]) == [field]
    assert not DeliverySettings.objects.exists()
