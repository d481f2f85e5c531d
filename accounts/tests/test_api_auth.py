from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client as Browser

from accounts.models import User
from accounts.tests.api_clients import Client, client_of
from accounts.tests.factories import PASSWORD, make_user

REGISTRATION = {
    "username": "dora",
    "email": "dora@example.com",
    "password": "horse staple battery",
    "time_zone": "Europe/Prague",
}


@pytest.fixture
def api(db: None) -> Client:
    return client_of(None)


def tokens(api: Client, username: str = "alice", password: str = PASSWORD) -> dict[str, str]:
    answer = api.ask("POST", "auth/token", {"username": username, "password": password})
    assert answer.status_code == 200, answer.content
    pair: dict[str, str] = answer.json()
    assert set(pair) == {"access", "refresh"}
    return pair


def with_token(token: str) -> Client:
    client = client_of(None)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def test_it_registers_a_user_who_can_then_sign_in(api: Client) -> None:
    answer = api.ask("POST", "auth/register", REGISTRATION)
    assert answer.status_code == 201, answer.content
    assert "password" not in answer.json()
    assert answer.json()["time_zone"] == "Europe/Prague"
    pair = tokens(api, "dora", REGISTRATION["password"])
    assert with_token(pair["access"]).ask("GET", "accounts").json()["results"] == []
    user = User.objects.get(username="dora")
    assert not user.is_staff
    assert not user.is_superuser


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", "al ice"),
        ("username", "ALICE"),
        ("username", ""),
        ("username", "u" * 151),
        ("email", "nonsense"),
        ("email", "Alice@Example.com"),
        ("password", "short"),
        ("password", "password123"),
        ("password", "1234567890"),
        ("password", "dora@example.com"),
        ("time_zone", "Mars/Olympus"),
        ("time_zone", "America/New_York+7h"),
    ],
)
def test_it_names_the_field_that_is_wrong(api: Client, alice: User, field: str, value: str) -> None:
    answer = api.ask("POST", "auth/register", {**REGISTRATION, field: value})
    assert answer.status_code == 400
    assert set(answer.json()["error"]["fields"]) == {field}
    assert User.objects.count() == 1


def test_it_makes_nobody_staff(api: Client) -> None:
    api.ask("POST", "auth/register", {**REGISTRATION, "is_staff": True, "is_superuser": True})
    user = User.objects.get()
    assert (user.is_staff, user.is_superuser) == (False, False)


@pytest.mark.parametrize(
    ("username", "password"), [("alice", "wrong"), ("nobody", PASSWORD), ("gone", PASSWORD)]
)
def test_it_refuses_wrong_credentials_alike(
    api: Client, alice: User, username: str, password: str
) -> None:
    make_user("gone", is_active=False)
    answer = api.ask("POST", "auth/token", {"username": username, "password": password})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "not_authenticated"
    assert answer.json()["error"]["message"] == (
        "No active account found with the given credentials"
    )


def test_it_gives_a_new_access_token_for_a_refresh_token(api: Client, alice: User) -> None:
    pair = tokens(api)
    answer = api.ask("POST", "auth/token/refresh", {"refresh": pair["refresh"]})
    assert answer.status_code == 200
    assert set(answer.json()) == {"access", "refresh"}
    assert with_token(answer.json()["access"]).ask("GET", "accounts").status_code == 200


@pytest.mark.parametrize("change", ["password", "inactive", "deleted", "access token", "garbage"])
def test_it_refreshes_nothing_that_is_over(api: Client, alice: User, change: str) -> None:
    pair = tokens(api)
    refresh = {"access token": pair["access"], "garbage": "x.y.z"}.get(change, pair["refresh"])
    if change == "password":
        alice.set_password("another long one")
        alice.save()
    elif change == "inactive":
        User.objects.update(is_active=False)
    elif change == "deleted":
        alice.delete()
    answer = api.ask("POST", "auth/token/refresh", {"refresh": refresh})
    assert answer.status_code == 401, answer.content
    assert set(answer.json()["error"]) == {"code", "message", "fields"}
    if change in ("password", "inactive", "deleted"):
        assert with_token(pair["access"]).ask("GET", "accounts").status_code == 401


def test_its_access_tokens_last_15_minutes(api: Client, alice: User) -> None:
    with time_machine.travel("2026-11-20T12:00:00Z", tick=False) as clock:
        client = with_token(tokens(api)["access"])
        clock.shift(timedelta(minutes=14, seconds=59))
        assert client.ask("GET", "accounts").status_code == 200
        clock.shift(timedelta(seconds=1))
        assert client.ask("GET", "accounts").status_code == 401


def test_it_takes_a_browsers_session_with_its_csrf_token(alice: User) -> None:
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(alice)
    assert browser.get("/api/v1/accounts").status_code == 200
    refused: Any = browser.post("/api/v1/groups", {"name": "G"}, content_type="application/json")
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "permission_denied"
    assert not alice.account_groups.exists()


def test_it_slows_guessing_down(api: Client, alice: User) -> None:
    guess = {"username": "alice", "password": "wrong"}
    answers = [api.ask("POST", "auth/token", guess).status_code for _ in range(11)]
    assert answers == [401] * 10 + [429]
    answer = api.ask("POST", "auth/token", {"username": "alice", "password": PASSWORD})
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "throttled"
    assert int(answer["Retry-After"]) > 0


def test_it_believes_no_address_that_a_client_writes_itself(api: Client, alice: User) -> None:
    guess = {"username": "alice", "password": "wrong"}
    answers = [
        api.post(
            "/api/v1/auth/token",
            guess,
            content_type="application/json",
            headers={"X-Forwarded-For": f"10.0.0.{number}"},
        ).status_code
        for number in range(11)
    ]
    assert answers == [401] * 10 + [429]
