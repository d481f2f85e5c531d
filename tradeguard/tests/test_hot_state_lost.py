"""The hot state is written beside the tick, and comes back whenever it is lost."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from redis import ConnectionError as RedisAway
from redis import ConnectionPool, Redis

from accounts.models import User
from accounts.tests.factories import make_user
from copytrade.models import CopyOrder
from risk.models import Order
from risk.orders.drafts import draft
from risk.orders.hot_keys import order_keys
from tradeguard.tests.copying_stage import crowd, follows
from tradeguard.tests.enforcement_stage import nothing_closed_twice, trade, volumes
from tradeguard.tests.stage import START, Stage, staged
from tradeguard.tick.hot_keys import HotKeysDesk, MirroredKeys

pytestmark = pytest.mark.django_db(transaction=True)

_KINDS = (
    "copy_master_followers:",
    "copy_follower_master:",
    "order_data:",
    "order_triggers:",
    "user_portfolio:",
    "user_holdings:",
    "user_orders_index:",
    "user:",
    "symbol_holders:",
    "market:",
)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture
def owner(db: None) -> User:
    return make_user()


def hot_state(redis: Redis) -> dict[str, Any]:
    """Return what is in Redis of accounts, orders and copies, without moments that go on."""
    found: dict[str, Any] = {}
    for key in sorted(redis.scan_iter()):
        if key.startswith(_KINDS):
            is_set = redis.type(key) == "set"
            found[key] = redis.smembers(key) if is_set else redis.hgetall(key)
    for fields in found.values():
        if isinstance(fields, dict):
            fields.pop("updated_at", None)
            fields.pop("time_msc", None)
    return found


def waiting_order(stage: Stage, account: Any, **fields: Any) -> Order:
    order = draft(
        account,
        Order.Kind.PLACE,
        host="local",
        origin=Order.Origin.TICKET,
        now=stage.now,
        symbol="EURUSD",
        direction="buy",
        type="limit",
        requested_volume=Decimal("0.10"),
        volume=Decimal("0.10"),
        price=1.05,
        stop_loss=1.04,
        **fields,
    )
    order.save(force_insert=True)
    return order


def test_it_says_who_copies_whom_and_which_orders_wait(
    stage: Stage, owner: User, redis: Redis
) -> None:
    provider, other = stage.open(owner, "Provider"), stage.open(owner, "Other")
    followers = crowd(stage, owner, 2)
    rows = [follows(provider, each) for each in followers]
    follows(other, followers[0], state="paused", follower_hold="paused")
    stage.run(5)
    order = waiting_order(stage, other)
    stage.run(20)
    order.refresh_from_db()
    assert order.state == Order.State.PLACED
    active = f"copy_master_followers:{{{provider.pk}}}:active"
    assert redis.smembers(active) == {str(each.pk) for each in followers}
    assert not redis.exists(f"copy_master_followers:{{{other.pk}}}:active")
    bound = redis.smembers(f"copy_follower_master:{{{followers[0].pk}}}:provider_id")
    assert bound == {str(provider.pk), str(other.pk)}
    assert redis.hget(f"order_data:{{{order.pk}}}", "state") == "placed"
    assert redis.hgetall(f"order_triggers:{{{order.pk}}}") == {
        "price": "1.05", "stop_loss": "1.04", "symbol": "EURUSD", "direction": "buy",
        "type": "limit",
    }  # fmt: skip

    rows[1].state = "terminated"
    rows[1].save()
    stage.server.call("order_send", other.login, {"action": 8, "order": order.order_ticket})
    stage.run(10)
    assert redis.smembers(active) == {str(followers[0].pk)}
    assert not redis.exists(f"copy_follower_master:{{{followers[1].pk}}}:provider_id")
    assert not redis.exists(f"order_data:{{{order.pk}}}", f"order_triggers:{{{order.pk}}}")


def test_an_order_has_keys_once_it_was_under_way_for_a_second(stage: Stage, owner: User) -> None:
    account = stage.open(owner, "Account")
    order = waiting_order(stage, account)
    for late in (timedelta(seconds=1) - timedelta(microseconds=1), timedelta(seconds=1)):
        found = order_keys("local", set(), order.created_at + late)
        assert bool(found) == (late == timedelta(seconds=1))
    assert set(found) == {f"order_data:{{{order.pk}}}", f"order_triggers:{{{order.pk}}}"}


def test_trading_goes_on_while_all_of_redis_is_deleted(
    stage: Stage, owner: User, redis: Redis
) -> None:
    provider = stage.open(owner, "Provider")
    followers = crowd(stage, owner, 3)
    for each in followers:
        follows(provider, each)
    waiting_order(stage, provider)
    stage.run(5)
    trade(stage, provider, 1.0)
    redis.flushdb()
    stage.run(4)
    redis.flushdb()
    first = trade(stage, provider, 0.4)
    stage.run(12)
    before = hot_state(redis)
    assert {key.split(":")[0] for key in before} == {kind.split(":")[0] for kind in _KINDS}
    redis.flushdb()
    stage.run(12)
    assert hot_state(redis) == before
    for each in followers:
        assert sorted(volumes(stage, each).values()) == [Decimal("0.40"), Decimal("1.00")]
    redis.flushdb()
    request = {
        "action": 1, "symbol": "EURUSD", "volume": 0.4, "type": 1, "position": first,
        "price": 1.1, "type_filling": 1,
    }  # fmt: skip
    assert stage.server.call("order_send", provider.login, request)[0] == 10009
    stage.run(12)
    for each in followers:
        assert list(volumes(stage, each).values()) == [Decimal("1.00")]
        nothing_closed_twice(stage, each)
    opens = CopyOrder.objects.filter(volume__isnull=False)
    assert opens.values("relationship_id", "event_id").distinct().count() == opens.count()


def test_copying_goes_on_while_redis_is_away(
    stage: Stage, owner: User, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = stage.open(owner, "Provider")
    followers = crowd(stage, owner, 3)
    for each in followers:
        follows(provider, each)
    stage.run(5)
    trade(stage, provider, 1.0)
    stage.run(12)
    refused = 0

    def refuse(*_args: object, **_options: object) -> None:
        nonlocal refused
        refused += 1
        raise RedisAway("connection refused")

    with monkeypatch.context() as away:
        away.setattr(ConnectionPool, "get_connection", refuse)
        second = trade(stage, provider, 0.4)
        stage.run(12)
        for each in followers:
            assert sorted(volumes(stage, each).values()) == [Decimal("0.40"), Decimal("1.00")]
        request = {
            "action": 1, "symbol": "EURUSD", "volume": 0.4, "type": 1, "position": second,
            "price": 1.1, "type_filling": 1,
        }  # fmt: skip
        assert stage.server.call("order_send", provider.login, request)[0] == 10009
        stage.run(12)
    assert refused > 12
    redis.flushdb()  # it comes back empty
    for each in followers:
        assert list(volumes(stage, each).values()) == [Decimal("1.00")]
        nothing_closed_twice(stage, each)
    stage.run(12)
    active = f"copy_master_followers:{{{provider.pk}}}:active"
    assert redis.smembers(active) == {str(each.pk) for each in followers}
    assert redis.keys(f"user_portfolio:*{followers[0].pk}*")


def test_an_error_that_nobody_foresaw_ends_neither_the_writing_nor_the_ticks(
    stage: Stage, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.open(owner, "Provider")
    stage.run(5)
    assert stage.tick is not None
    poll = stage.tick._hot_keys._poll
    assert poll is not None
    failed, goes_on = threading.Event(), threading.Event()

    def write(*_arguments: object) -> int:
        if failed.is_set():
            goes_on.set()
            return 0
        failed.set()
        raise ValueError("a register that nobody can read")

    monkeypatch.setattr(MirroredKeys, "write", write)
    desk = HotKeysDesk("local")
    desk.take(poll)
    assert failed.wait(10)
    desk.wake()
    assert goes_on.wait(10)
    desk.take(poll)
    desk.close()


@pytest.mark.parametrize("options", [[], ["--keep-holdings"]])
def test_a_command_writes_it_anew(
    stage: Stage, owner: User, redis: Redis, options: list[str]
) -> None:
    provider, follower = stage.open(owner, "Provider"), stage.open(owner, "Follower")
    follows(provider, follower)
    waiting_order(stage, provider)
    stage.run(5)
    trade(stage, provider, 1.0)
    stage.run(12)
    before = hot_state(redis)
    redis.set("order_data:{stale}", "x")
    redis.delete(f"copy_master_followers:{{{provider.pk}}}:active")
    out = StringIO()
    call_command("rebuild_hot_state", *options, stdout=out)
    assert "written from the database" in out.getvalue()
    now = hot_state(redis)
    mirrored = {key for key in before if key.startswith(_KINDS[:4])}
    assert mirrored <= now.keys()
    assert "order_data:{stale}" not in now
    stage.run(8)
    assert hot_state(redis) == before


def test_a_command_writes_it_into_an_empty_redis(
    stage: Stage, owner: User, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, follower = stage.open(owner, "Provider"), stage.open(owner, "Follower")
    follows(provider, follower)
    stage.clock[0] = START.timestamp()
    order = waiting_order(stage, provider)
    redis.flushdb()
    out = StringIO()
    call_command("rebuild_hot_state", stdout=out)
    assert out.getvalue().startswith("0 keys removed, 4 written from the database.")
    assert redis.hget(f"order_data:{{{order.pk}}}", "symbol") == "EURUSD"
    bound = redis.smembers(f"copy_follower_master:{{{follower.pk}}}:provider_id")
    assert bound == {str(provider.pk)}

    def refuse(*_args: object, **_options: object) -> None:
        raise RedisAway("connection refused")

    with monkeypatch.context() as away:
        away.setattr(ConnectionPool, "get_connection", refuse)
        with pytest.raises(CommandError, match="Redis cannot be reached: connection refused"):
            call_command("rebuild_hot_state", stdout=out)
