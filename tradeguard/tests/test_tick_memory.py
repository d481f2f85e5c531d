"""What rules remember of an account and how they answer, over restarts and edits."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError

from accounts.models import ConnectedAccount, Deal
from accounts.tests.factories import make_user
from notifications.models import Notification
from risk.models import NewsCalendar, RiskRule, RuleArming, RuleBreach, RuleOverride, RuleState
from risk.tests.factories import make_rule
from risk.tracker import Assessment
from tradeguard.tests.stage import START, Stage, daily_loss, staged

pytestmark = pytest.mark.django_db(transaction=True)

TRADES, DRAWDOWN = RiskRule.Type.MAX_DAILY_TRADES, RiskRule.Type.MAX_DRAWDOWN
SELL = 1


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        stage.is_acting = False
        yield stage


def send(stage: Stage, account: ConnectedAccount, lots: float, **request: Any) -> int:
    price = stage.server.call("symbol_tick", account.login, "EURUSD")
    side = request.get("type", 0)
    full = {
        "action": 1,
        "symbol": "EURUSD",
        "volume": lots,
        "type": side,
        "price": price[1] if side == SELL else price[2],
        "type_filling": 1,
        **request,
    }
    result = stage.server.call("order_send", account.login, full)
    assert result[0] == 10009, result
    return int(result[2])


def used(assessment: Assessment, rule: RiskRule) -> float:
    return float(assessment.evaluation.used[pair_of(assessment, rule)])


def pair_of(assessment: Assessment, rule: RiskRule) -> int:
    keys = assessment.desk.pair_keys()
    return next(pair for pair, key in enumerate(keys) if key[0] == rule.pk)


def test_it_counts_each_trade_once_also_over_a_killed_worker(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    rule = make_rule(alice, rule_type=TRADES, limit=Decimal(5))
    stage.run(3)
    stage.buy(account, 0.1)
    stage.buy(account, 0.1)
    assert used(stage.run(2), rule) == 2
    stage.kill_worker()
    stage.buy(account, 0.1)
    stage.clock[0] += 30
    assert used(stage.run(4), rule) == 3
    assert RuleState.objects.get(rule=rule).day_trades == 3


def test_a_rule_counts_the_recorded_deals_of_the_account_that_it_meets(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    daily_loss(alice)
    stage.run(3)
    position = stage.buy(account, 1.0)
    stage.server.set_prices("EURUSD", 1.10500, 1.10502)
    send(stage, account, 1.0, type=SELL, position=position)
    stage.run(3)
    assert Deal.objects.filter(account=account).count() == 3
    rules = [
        make_rule(alice, name, rule_type=kind, limit=Decimal(limit))
        for name, kind, limit in [
            ("Trades", TRADES, "5"),
            ("Target", RiskRule.Type.PROFIT_TARGET, "0.1"),
            ("Days", RiskRule.Type.MIN_TRADING_DAYS, "4"),
        ]
    ]
    stage.run(8)
    seen = stage.run(4, seconds=1.0)
    assert [used(seen, rule) for rule in rules] == [1, pytest.approx(498.0), 1]
    # A deal that follows is counted on top, and none twice after a restart.
    stage.buy(account, 0.1)
    stage.run(2)
    stage.kill_worker()
    assert [used(stage.run(4), rule) for rule in rules] == [2, pytest.approx(498.0), 1]


def test_a_rule_that_was_switched_off_counts_what_it_missed(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    daily_loss(alice)
    rule = make_rule(alice, rule_type=TRADES, limit=Decimal(5))
    stage.run(3)
    stage.buy(account, 0.1)
    stage.run(2)
    rule.is_active = False
    rule.save(update_fields=["is_active", "updated_at"])
    stage.run(8)
    stage.buy(account, 0.1)
    stage.run(2)
    rule.is_active = True
    rule.save(update_fields=["is_active", "updated_at"])
    stage.run(8)
    assert used(stage.run(4, seconds=1.0), rule) == 2


def test_trades_are_counted_anew_from_the_reset_on(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    parameters = {"reset_time": "13:00", "reset_zone": "UTC"}
    rule = make_rule(alice, rule_type=TRADES, limit=Decimal(1), parameters=parameters)
    stage.run(3)
    stage.buy(account, 0.1)
    stage.buy(account, 0.1)
    stage.run(2)
    assert RuleBreach.objects.latched().filter(rule_id=rule.pk).count() == 1
    stage.clock[0] = START.timestamp() + 3599.9
    seen = stage.run(3)
    assert used(seen, rule) == 0
    assert RuleBreach.objects.latched().count() == 0
    assert RuleState.objects.get(rule=rule).trading_days == 1


def test_a_strategy_loses_its_own_money_whoever_closes(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    parameters = {"amount_kind": "money", "kind": "static"}
    rule = make_rule(
        alice, rule_type=DRAWDOWN, limit=Decimal(2_000), magic=77, parameters=parameters
    )
    stage.run(3)
    mine = send(stage, account, 1.0, magic=77)
    send(stage, account, 5.0, magic=5)
    stage.run()
    stage.server.set_prices("EURUSD", 1.09000, 1.09002)
    assert used(stage.run(2), rule) == pytest.approx(1_002.0)
    send(stage, account, 1.0, type=SELL, position=mine, magic=0)
    assert used(stage.run(2), rule) == pytest.approx(1_002.0)
    stage.kill_worker()
    assert used(stage.run(4), rule) == pytest.approx(1_002.0)
    assert not RuleBreach.objects.exists()


def test_it_credits_a_strategy_with_what_was_closed_while_nobody_watched(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    parameters = {"amount_kind": "money", "kind": "static"}
    rule = make_rule(
        alice, rule_type=DRAWDOWN, limit=Decimal(2_000), magic=77, parameters=parameters
    )
    stage.run(3)
    mine = send(stage, account, 1.0, magic=77)
    stage.run(2)
    stage.kill_worker()
    stage.server.set_prices("EURUSD", 1.09000, 1.09002)
    send(stage, account, 1.0, type=SELL, position=mine, magic=0)
    stage.clock[0] += 30
    assert used(stage.run(4), rule) == pytest.approx(1_002.0)


def test_an_override_changes_one_account_and_leaves_another_out(stage: Stage) -> None:
    alice = make_user()
    names = ("Bold", "Calm", "Daring")
    bold, calm, daring = (stage.open(alice, name) for name in names)
    rule = daily_loss(alice)
    stage.run(3)
    RuleOverride.objects.create(rule=rule, account=calm, limit=Decimal("0.02"), action="BLOCK")
    RuleOverride.objects.create(rule=rule, account=daring, is_excluded=True)
    seen = stage.run(6)
    limits = {
        seen.desk.accounts[row].name: (float(seen.evaluation.limit[pair]), seen.desk.rules[number])
        for pair, (number, row) in enumerate(
            zip(
                seen.desk.pairs.rule_index.tolist(),
                seen.desk.pairs.account_index.tolist(),
                strict=True,
            )
        )
        if seen.desk.rules[number].id == rule.pk
    }
    assert {name: limit for name, (limit, _) in limits.items()} == {"Bold": 5_000, "Calm": 2_000}
    assert limits["Calm"][1].response.action == limits["Calm"][1].action == "BLOCK"
    assert limits["Bold"][1].action == "ALERT"
    RuleOverride.objects.all().delete()
    seen = stage.run(6)
    assert sum(key[0] == rule.pk for key in seen.desk.pair_keys()) == 3
    assert bold.pk


def acting_rule(stage: Stage, **fields: Any) -> tuple[ConnectedAccount, RiskRule]:
    alice = make_user()
    account = stage.open(alice, "Bold")
    rule = daily_loss(alice, action="CLOSE_ALL", **fields)
    stage.run(3)
    stage.buy(account, 10.0)
    return account, rule


def arm(stage: Stage, rule: RiskRule, account: ConnectedAccount) -> None:
    RuleArming.objects.create(rule=rule, account=account, armed_at=stage.now)
    stage.run(6)


def fall(stage: Stage, bid: float, ticks: int = 2) -> Assessment:
    stage.server.set_prices("EURUSD", bid, bid + 0.00002)
    seen = stage.run(ticks)
    assert isinstance(seen, Assessment)
    return seen


def test_what_is_violated_when_it_is_armed_never_acts(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    stage.run(3)
    stage.buy(account, 10.0)
    fall(stage, 1.094)
    # Created and armed in one go: no tick has seen the rule before.
    rule = daily_loss(alice, action="CLOSE_ALL")
    arm(stage, rule, account)
    breach = RuleBreach.objects.get(rule_id=rule.pk)
    assert breach.latched_at > RuleArming.objects.get().armed_at
    assert fall(stage, 1.09, ticks=5).due == ()


def test_it_remembers_over_a_restart_that_an_armed_rule_was_kept(stage: Stage) -> None:
    account, rule = acting_rule(stage)
    arm(stage, rule, account)
    assert RuleArming.objects.get().calm_at is not None
    stage.kill_worker()
    stage.server.set_prices("EURUSD", 1.094, 1.09402)
    stage.start_worker()
    seen = stage.run(4)
    assert [due.rule.id for due in seen.due] == [rule.pk]


def test_an_armed_action_is_due_from_the_tick_of_the_violation_on(stage: Stage) -> None:
    account, rule = acting_rule(stage)
    arm(stage, rule, account)
    seen = fall(stage, 1.094, ticks=1)
    (due,) = seen.due
    breach = RuleBreach.objects.get()
    assert (due.breach_id, due.rule.id, due.account.id) == (breach.pk, rule.pk, account.pk)
    assert due.latched_at == breach.latched_at
    assert [each.breach_id for each in stage.run(8).due] == [breach.pk]
    stage.kill_worker()
    assert [each.breach_id for each in stage.run(5).due] == [breach.pk]
    RuleBreach.objects.update(acknowledged_at=stage.now)
    assert stage.run(6).due == ()


def test_nothing_is_due_that_is_not_armed_or_was_armed_too_late(stage: Stage) -> None:
    account, rule = acting_rule(stage)
    assert fall(stage, 1.094).due == ()
    arm(stage, rule, account)
    assert fall(stage, 1.093).due == ()
    assert RuleBreach.objects.count() == 1
    assert "not armed" in Notification.objects.get(type="risk_breach").body


def test_an_action_waits_until_its_condition_has_lasted(stage: Stage) -> None:
    account, rule = acting_rule(stage, act_after_seconds=Decimal(2))
    arm(stage, rule, account)
    assert fall(stage, 1.094, ticks=1).due == ()
    assert RuleBreach.objects.count() == 1
    assert stage.run(9).due == ()
    assert len(stage.run(1).due) == 1


def test_nothing_is_due_on_an_account_that_may_not_trade(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, rule = acting_rule(stage)
    arm(stage, rule, account)
    assert stage.tick is not None
    read = stage.tick._sessions.poll

    def barred(*arguments: Any) -> Any:
        poll = read(*arguments)
        poll.batch.accounts["trade_allowed"] = False
        return poll

    monkeypatch.setattr(stage.tick._sessions, "poll", barred)
    assert fall(stage, 1.094).due == ()
    assert RuleBreach.objects.count() == 1


def test_an_early_breach_becomes_a_violation_at_the_limit(stage: Stage) -> None:
    account, rule = acting_rule(stage, act_at_fraction=Decimal("0.900"))
    arm(stage, rule, account)
    seen = fall(stage, 1.0954)
    assert len(seen.due) == 1
    breach = RuleBreach.objects.get()
    assert (breach.is_early, breach.violated_at, breach.observed) == (True, None, 95_380.0)
    rule.refresh_from_db()
    assert rule.breach_count == 0
    stage.kill_worker()
    seen = stage.run(5)
    assert RuleBreach.objects.get() == breach
    seen = fall(stage, 1.094)
    assert [each.breach_id for each in seen.due] == [breach.pk]
    breach.refresh_from_db()
    assert breach.violated_at == stage.now - timedelta(seconds=0.2)
    assert breach.observed == pytest.approx(93_980.0)
    assert breach.is_early
    rule.refresh_from_db()
    assert (rule.breach_count, rule.last_breach_at) == (1, breach.violated_at)
    stage.run(10)
    told = Notification.objects.filter(type="risk_breach").order_by("created_at")
    assert [("acts before its limit" in one.title, "violated" in one.title) for one in told] == [
        (True, False),
        (False, True),
    ]
    assert "locked" in told[0].body


def test_an_escalation_is_not_lost_with_the_database_away(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, rule = acting_rule(stage, act_at_fraction=Decimal("0.900"))
    arm(stage, rule, account)

    def away(*_: object, **__: object) -> None:
        raise OperationalError("away")

    with monkeypatch.context() as patched:
        patched.setattr(RuleBreach.objects, "bulk_create", away)
        fall(stage, 1.0954)
        at = stage.now
        fall(stage, 1.094, ticks=1)
    stage.run(2)
    breach = RuleBreach.objects.get()
    assert breach.is_early
    assert breach.violated_at is not None
    assert breach.latched_at < at < breach.violated_at
    rule.refresh_from_db()
    assert rule.breach_count == 1


def test_a_breach_keeps_the_account_and_its_positions_as_evidence(stage: Stage) -> None:
    account, _ = acting_rule(stage)
    fall(stage, 1.094)
    evidence = RuleBreach.objects.get().evidence
    assert evidence["account"]["equity"] == pytest.approx(93_980.0)
    assert evidence["account"]["login"] == account.login
    (position,) = evidence["positions"]
    assert (position["symbol"], position["side"], position["volume"]) == ("EURUSD", "buy", 10.0)
    assert position["profit"] == pytest.approx(-6_020.0)
    assert evidence["position_count"] == 1


def test_it_notices_another_calendar(stage: Stage) -> None:
    alice = make_user()
    stage.open(alice, "Calm")
    parameters = {"kind": "news"}
    make_rule(
        alice, rule_type=RiskRule.Type.TRADING_WINDOW, limit=Decimal(5), parameters=parameters
    )
    assert stage.run(3).surroundings.calendars == {}
    NewsCalendar.objects.create(
        user=alice,
        covers_from_at=stage.now,
        covers_until_at=stage.now + timedelta(days=7),
        imported_at=stage.now,
    )
    calendars = stage.run(6).surroundings.calendars
    assert calendars[alice.pk].covers_from < stage.now.timestamp()
    assert stage.run(8).surroundings.calendars[alice.pk] is calendars[alice.pk]


def test_it_learns_how_symbols_move_together(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Calm")
    make_rule(alice, rule_type=RiskRule.Type.MAX_CORRELATION, limit=Decimal("0.8"))
    stage.run(3)
    stage.buy(account, 0.1)
    seen = stage.run(10)
    server = account.server
    assert seen.surroundings.currencies[server]["EURUSD"] == ("EUR", "USD")
    assert "EURUSD" in seen.surroundings.correlations[server].names
