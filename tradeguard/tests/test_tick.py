"""The whole tick against the simulated trade server, from price to hot state and ledger."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError
from redis import RedisError

from accounts.models import ConnectedAccount
from accounts.publishing import mark_watched
from accounts.redis import readings_key, redis_client
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.tests.factories import make_user
from notifications.models import Notification
from risk.live import account_risk, group_risk
from risk.models import RuleBreach, RuleState
from tradeguard.tests.stage import SERVER, START, Stage, daily_loss, group_of, own_rules, staged

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def test_it_shows_the_weakest_account_from_safe_to_violated(stage: Stage) -> None:
    alice = make_user()
    calm, bold = stage.open(alice, "Calm"), stage.open(alice, "Bold")
    group = group_of(alice, calm, bold)
    daily_loss(alice)
    stage.run(3)
    stage.buy(bold, 10.0)
    seen = []
    for bid in (1.10000, 1.09600, 1.09545, 1.09490):
        stage.server.set_prices("EURUSD", bid, bid + 0.00002)
        stage.run()
        risk = group_risk(group, now=stage.now)
        seen.append((risk["status"], risk["weakest_account"]["name"]))
    assert seen == [
        ("safe", "Bold"),
        ("caution", "Bold"),
        ("critical", "Bold"),
        ("violated", "Bold"),
    ]
    assert own_rules(risk)[0]["floor"] == 95_000.0
    assert risk["unknown_accounts"] == []
    assert "Bold" in own_rules(risk)[0]["message"]


def test_it_latches_once_and_tells_once(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    rule = daily_loss(alice)
    stage.run(3)
    stage.buy(account, 10.0)
    stage.server.set_prices("EURUSD", 1.09000, 1.09002)
    stage.run(5)
    stage.server.set_prices("EURUSD", 1.11000, 1.11002)
    stage.run(5)
    breach = RuleBreach.objects.get()
    assert breach.cleared_at is None
    assert (breach.limit, breach.floor, breach.unit) == (5_000.0, 95_000.0, "USD")
    rule.refresh_from_db()
    assert rule.breach_count == 1
    assert rule.last_breach_at is not None
    assert Notification.objects.filter(type="risk_breach").count() == 1
    assert account_risk(account, now=stage.now)["status"] == "violated"


def test_it_shows_the_violation_while_a_restarted_worker_knows_nothing_yet(stage: Stage) -> None:
    alice = make_user()
    account, other = stage.open(alice, "Bold"), stage.open(alice, "Calm")
    group = group_of(alice, account, other)
    daily_loss(alice)
    stage.run(3)
    stage.buy(account, 10.0)
    stage.server.set_prices("EURUSD", 1.09000, 1.09002)
    stage.run()
    ConnectedAccount.objects.update(is_active=False)
    stage.kill_worker()
    stage.run(2)  # a worker whose desk is empty writes tables without these accounts
    ConnectedAccount.objects.update(is_active=True)
    risk = group_risk(group, now=stage.now)
    assert risk["status"] == "violated"
    assert risk["weakest_account"]["name"] == "Bold"
    assert risk["unknown_accounts"] == [str(account.pk), str(other.pk)]
    redis_client().flushdb()
    assert group_risk(group, now=stage.now)["status"] == "violated"


def test_it_counts_no_deposit_again_for_a_rule_that_came_after_it(stage: Stage) -> None:
    alice = make_user()
    stage.clock[0] = (START - timedelta(hours=1)).timestamp()  # funded today
    account = stage.open(alice, "Bold")
    stage.run(3)
    daily_loss(alice, limit="0.01")
    stage.run(6, seconds=0.6)
    before = RuleState.objects.values("day_deposits", "last_deal").get()
    assert before["day_deposits"] == 100_000.0
    stage.kill_worker()
    stage.run(6, seconds=0.6)
    assert RuleState.objects.values("day_deposits", "last_deal").get() == before
    (rule,) = own_rules(account_risk(account, now=stage.now))
    assert (rule["status"], rule["floor"]) == ("safe", 99_000.0)
    assert not RuleBreach.objects.exists()


def test_it_is_unknown_and_never_zero_when_the_reading_is_stale(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Calm")
    group = group_of(alice, account)
    daily_loss(alice)
    stage.run(3)
    later = stage.now + timedelta(seconds=2.5)
    risk = group_risk(group, now=later)
    assert risk["status"] == "unknown"
    assert risk["unknown_accounts"] == [str(account.pk)]
    assert risk["weakest_account"]["buffer"] is None
    assert (own_rules(risk)[0]["used"], own_rules(risk)[0]["left"]) == (None, None)


@pytest.mark.parametrize(
    "fault",
    [FaultKind.DISCONNECT_TERMINAL, FaultKind.CUT_FROM_BROKER, FaultKind.NONE, FaultKind.HANG],
)
def test_it_says_unknown_under_a_fault_and_recovers(stage: Stage, fault: FaultKind) -> None:
    alice = make_user()
    faulty, healthy = stage.open(alice, "Faulty"), stage.open(alice, "Healthy")
    daily_loss(alice)
    stage.run(3)
    stage.server.set_fault(faulty.login, fault)
    stage.run(14)
    assert account_risk(faulty, now=stage.now)["status"] == "unknown"
    assert account_risk(healthy, now=stage.now)["status"] == "safe"
    assert not RuleBreach.objects.exists()
    stage.server.clear_fault(faulty.login)
    stage.run(40, seconds=1.0)
    stage.run(3)
    assert account_risk(faulty, now=stage.now)["status"] == "safe"
    told = Notification.objects.exclude(type="margin_warning")  # of the broker's own stop-out
    types = set(told.values_list("type", flat=True))
    assert types == {"connection_lost", "connection_restored"}


def test_it_loses_no_violation_when_the_database_is_away(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    daily_loss(alice)
    stage.run(3)
    stage.buy(account, 10.0)
    stage.server.set_prices("EURUSD", 1.09000, 1.09002)

    with monkeypatch.context() as patch:
        patch.setattr(RuleBreach.objects.__class__, "bulk_create", _refuse)
        stage.run()
    seen_at = stage.now
    assert not RuleBreach.objects.exists()
    assert not Notification.objects.filter(type="risk_breach").exists()
    stage.server.set_prices("EURUSD", 1.12000, 1.12002)
    stage.run()
    assert RuleBreach.objects.get().latched_at == seen_at
    assert Notification.objects.filter(type="risk_breach").count() == 1


def test_it_goes_on_when_redis_is_away(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    daily_loss(alice)
    stage.run(3)
    stage.buy(account, 10.0)
    stage.server.set_prices("EURUSD", 1.09000, 1.09002)

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise RedisError("connection refused")

    with monkeypatch.context() as patch:
        patch.setattr("redis.client.Pipeline.execute", refuse)
        stage.run()
        risk = account_risk(account, now=stage.now)
        assert (risk["status"], risk["equity"]) == ("violated", None)  # by the database
    assert RuleBreach.objects.count() == 1
    stage.run()
    assert account_risk(account, now=stage.now)["status"] == "violated"


def test_it_publishes_only_what_somebody_watches(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    group = group_of(alice, account)
    daily_loss(alice)
    stage.run(3)
    assert group_risk(group, now=stage.now)["sequence"] == 0
    mark_watched("group", str(group.pk))
    stage.run(2)
    first = group_risk(group, now=stage.now)["sequence"]
    assert first >= 1
    stage.server.set_prices("EURUSD", 1.09000, 1.09002)
    stage.run(6)
    assert group_risk(group, now=stage.now)["sequence"] > first


def test_it_follows_rules_and_groups_as_they_change(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Calm")
    group = group_of(alice, account)
    stage.run(3)
    assert own_rules(group_risk(group, now=stage.now)) == []
    rule = daily_loss(alice, applies_to_all_accounts=False)
    rule.groups.add(group)
    stage.run(3, seconds=0.6)
    (shown,) = own_rules(group_risk(group, now=stage.now))
    assert shown["status"] == "safe"
    rule.limit = Decimal("0.01")
    rule.save(update_fields=["limit", "updated_at"])
    stage.run(3, seconds=0.6)
    (shown,) = own_rules(group_risk(group, now=stage.now))
    assert shown["limit"] == 1_000.0


def test_it_never_lets_a_rule_reach_another_users_account(stage: Stage) -> None:
    alice, bob = make_user("alice"), make_user("bob")
    hers = stage.open(alice, "Hers")
    rule = daily_loss(bob, applies_to_all_accounts=False)
    rule.accounts.add(hers)
    stage.run(3)
    assert own_rules(account_risk(hers, now=stage.now)) == []
    assert not RuleState.objects.exists()


def test_it_writes_the_portfolio_keys_on_change(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    stage.run(3)
    ticket = stage.buy(account, 1.0)
    stage.run()
    tag = f"{{demo:{account.pk}}}"
    redis: Any = redis_client()
    assert redis.smembers(f"user_orders_index:{tag}") == {str(ticket).encode()}
    assert redis.hget(f"user_holdings:{tag}:{ticket}", "symbol") == b"EURUSD"
    assert redis.smembers("symbol_holders:EURUSD:demo") == {str(account.pk).encode()}
    assert redis.hget(f"market:{{{SERVER}:EURUSD}}", "bid") == b"1.1"
    assert redis.hexists(readings_key("local"), str(account.pk))


def test_it_costs_no_query_when_nothing_changes(
    stage: Stage, django_assert_num_queries: Any
) -> None:
    alice = make_user()
    stage.is_acting = False  # orders and enforcement are looked for beside the tick
    stage.open(alice, "Calm")
    daily_loss(alice)
    stage.run(8)
    stage.run(1, seconds=1.1)
    with django_assert_num_queries(0):
        stage.run()


def test_it_writes_what_waited_when_it_gives_its_host_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    daily_loss(alice)
    stage.run(3)
    stage.buy(account, 10.0)
    stage.server.set_prices("EURUSD", 1.09000, 1.09002)
    with monkeypatch.context() as patch:
        patch.setattr("risk.latching.notify", _refuse)
        stage.run()
    assert not RuleBreach.objects.exists()
    assert stage.tick is not None
    stage.tick.close(stage.now)
    assert RuleBreach.objects.count() == 1


def test_it_reads_no_latches_while_its_own_are_not_written(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    daily_loss(alice)
    stage.run(3)
    stage.buy(account, 10.0)
    stage.server.set_prices("EURUSD", 1.09000, 1.09002)
    with monkeypatch.context() as patch:
        patch.setattr("risk.latching.notify", _refuse)
        stage.run()
        stage.server.set_prices("EURUSD", 1.12000, 1.12002)
        daily_loss(alice, limit="0.5")
        stage.run(3, seconds=0.8)
        statuses = {rule["status"] for rule in own_rules(account_risk(account, now=stage.now))}
        assert "violated" in statuses
    stage.run(3, seconds=0.8)
    assert RuleBreach.objects.get().latched_at < stage.now - timedelta(seconds=4)


def test_it_removes_what_an_earlier_worker_has_left_in_the_hot_state(stage: Stage) -> None:
    alice = make_user()
    account, other = stage.open(alice, "Bold"), stage.open(alice, "Calm")
    stage.run(3)
    stage.kill_worker()
    ConnectedAccount.objects.filter(pk=other.pk).update(is_active=False)
    stage.run(3)
    fields: Any = redis_client().hkeys(readings_key("local"))
    assert set(fields) == {b"tables", str(account.pk).encode()}


def _refuse(*_args: object, **_kwargs: object) -> None:
    raise OperationalError("database is away")
