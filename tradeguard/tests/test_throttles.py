"""The API's throttles really limit, by user and by address, and nobody gets around them."""

from typing import Any

import pytest
from django import conf
from rest_framework.test import APIClient

from accounts.models import User
from tradeguard.tests.api_routes import api_routes, make_desk

LIMIT = 3


@pytest.fixture(autouse=True)
def _low_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = dict.fromkeys(("anon", "user", "orders"), f"{LIMIT}/min")
    monkeypatch.setattr("rest_framework.throttling.SimpleRateThrottle.THROTTLE_RATES", rates)
    attempts = dict.fromkeys(conf.settings.ATTEMPTS, f"{LIMIT}/60")
    monkeypatch.setattr(conf.settings, "ATTEMPTS", attempts)


def client_of(user: User | None = None, **headers: Any) -> APIClient:
    client = APIClient(raise_request_exception=False, **headers)
    if user is not None:
        client.force_login(user)
    return client


def statuses(client: APIClient, address: str = "/api/v1/groups") -> list[int]:
    return [client.get(address).status_code for _ in range(LIMIT + 1)]


def check_refusal(answer: Any) -> None:
    assert answer.status_code == 429
    assert 1 <= int(answer["Retry-After"]) <= 60
    assert set(answer.json()["error"]) == {"code", "message", "fields"}
    assert answer.json()["error"]["code"] == "throttled"


def test_it_limits_a_user_wherever_they_call_from(alice: User) -> None:
    assert statuses(client_of(alice)) == [200] * LIMIT + [429]
    check_refusal(client_of(alice, REMOTE_ADDR="198.51.100.7").get("/api/v1/accounts"))


def test_it_does_not_limit_one_user_by_another(alice: User, bob: User) -> None:
    assert statuses(client_of(alice))[-1] == 429
    assert statuses(client_of(bob)) == [200] * LIMIT + [429]


@pytest.mark.parametrize("headers", [{}, {"HTTP_AUTHORIZATION": "Bearer guessed"}])
def test_it_limits_an_address_that_may_not_come_in(db: None, headers: dict[str, Any]) -> None:
    client = client_of(REMOTE_ADDR="198.51.100.7", **headers)
    assert statuses(client) == [401] * LIMIT + [429]
    check_refusal(client.post("/api/v1/accounts", {}, format="json"))
    assert client_of(REMOTE_ADDR="198.51.100.8").get("/api/v1/groups").status_code == 401


def test_it_limits_a_network_that_has_many_addresses(db: None) -> None:
    answers = [
        client_of(REMOTE_ADDR=f"2001:db8::{number:x}").get("/api/v1/groups").status_code
        for number in range(LIMIT + 1)
    ]
    assert answers == [401] * LIMIT + [429]
    assert client_of(REMOTE_ADDR="2001:db8:0:1::1").get("/api/v1/groups").status_code == 401


def test_a_user_is_not_limited_by_others_at_the_same_address(alice: User) -> None:
    assert statuses(client_of())[-1] == 429
    assert client_of(alice).get("/api/v1/groups").status_code == 200


@pytest.mark.parametrize("proxies", [0, 1, 2])
def test_what_a_client_says_of_its_address_is_not_believed(
    db: None, monkeypatch: pytest.MonkeyPatch, proxies: int
) -> None:
    monkeypatch.setitem(conf.settings.REST_FRAMEWORK, "NUM_PROXIES", proxies)
    added = ["198.51.100.7", "192.0.2.1"][:proxies]  # by our proxies; the rest is the client's
    answers = []
    for attempt in range(LIMIT + 1):
        told = ", ".join([f"203.0.113.{attempt}", *added])
        client = client_of(REMOTE_ADDR="192.0.2.2", HTTP_X_FORWARDED_FOR=told)
        body = {"username": f"nobody-{attempt}", "password": "wrong"}
        answers.append(client.post("/api/v1/auth/token", body, format="json"))
    assert [answer.status_code for answer in answers] == [401] * LIMIT + [429]
    check_refusal(answers[-1])


def test_it_limits_the_guesses_at_one_name_from_many_addresses(alice: User) -> None:
    answers = []
    for attempt in range(LIMIT + 1):
        client = client_of(REMOTE_ADDR=f"203.0.113.{attempt}")
        body = {"username": ("alice", "ALICE@example.com")[attempt % 2], "password": "wrong"}
        answers.append(client.post("/api/v1/auth/token", body, format="json"))
    assert [answer.status_code for answer in answers] == [401] * LIMIT + [429]
    check_refusal(answers[-1])


def test_every_private_endpoint_is_limited(alice: User) -> None:
    client, desk = client_of(alice), make_desk(alice)
    assert statuses(client)[-1] == 429
    asked = 0
    for route in api_routes():
        if route.template.startswith("/api/v1/auth/"):
            continue
        for method in route.methods:
            # What closes is counted by itself, so that reading much keeps nobody from closing.
            for _ in range(LIMIT + 1):
                answer = client.generic(method, route.address(desk), "{}", "application/json")
                if answer.status_code == 429:
                    break
            check_refusal(answer)
            asked += 1
    assert asked > 50
