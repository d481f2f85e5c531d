"""While nothing can be counted, what closes goes on, and what opens is told to come again."""

import pytest
from redis import RedisError

from accounts.models import User
from accounts.tests.api_clients import API, client_of
from accounts.tests.factories import make_account
from risk.models import AccountLock, Enforcement, Order
from risk.services import orders as order_services

BUY = {"symbol": "EURUSD", "direction": "buy", "volume": "0.50", "stop_loss": 1.08}


@pytest.fixture(autouse=True)
def _redis_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_arguments: object, **_named: object) -> None:
        raise RedisError("gone")

    monkeypatch.setattr("django.core.cache.backends.redis.RedisCacheClient.get_client", away)


def test_it_closes_while_nothing_can_be_counted(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_services, "await_outcome", lambda order: order)
    account, api = make_account(alice, state="connected"), client_of(alice)

    position = api.post(f"{API}/accounts/{account.pk}/positions/7/close", {}, format="json")
    answer = api.post(f"{API}/accounts/{account.pk}/close-all", {"reason": "Now."}, format="json")

    assert (position.status_code, answer.status_code) == (201, 202)
    assert Order.objects.get().kind == Order.Kind.CLOSE
    assert Enforcement.objects.count() == AccountLock.objects.count() == 1


def test_it_opens_nothing_while_nothing_can_be_counted(alice: User) -> None:
    account = make_account(alice, state="connected")
    answer = client_of(alice).post(f"{API}/accounts/{account.pk}/orders", BUY, format="json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert not Order.objects.exists()
