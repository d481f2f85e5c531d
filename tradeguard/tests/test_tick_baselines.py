"""What the tick remembers: each deal counted once, no baseline moved by a restart or an edit."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from django.db import OperationalError

from accounts.models import User
from accounts.sessions.line import InlineExecutor
from accounts.sessions.process import sessions_of
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.tests.factories import SECRET, make_user
from notifications.models import Notification
from risk.live import account_risk
from risk.models import RiskRule, RuleBreach, RuleState
from risk.tests.factories import make_rule
from tradeguard.tests.stage import SERVER, START, Stage, daily_loss, own_rules, staged

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def test_it_stays_violated_and_keeps_its_baseline_over_a_killed_worker(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    daily_loss(alice)
    stage.run(3)
    stage.buy(account, 10.0)
    stage.server.set_prices("EURUSD", 1.09000, 1.09002)
    stage.run()
    before = RuleState.objects.values().get()
    stage.kill_worker()
    stage.server.set_prices("EURUSD", 1.12000, 1.12002)
    stage.clock[0] += 30
    assert account_risk(account, now=stage.now)["status"] == "violated"
    stage.run(4)
    after = RuleState.objects.values().get()
    for name in ("day_balance", "day_equity", "day_started_at", "started_at", "peak", "deposits"):
        assert after[name] == before[name], name
    assert RuleBreach.objects.count() == 1
    assert Notification.objects.filter(type="risk_breach").count() == 1
    assert account_risk(account, now=stage.now)["status"] == "violated"


def test_it_counts_a_deposit_once_also_over_a_killed_worker(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    daily_loss(alice)
    stage.run(3)
    stage.server.deposit(account.login, 5_000.0)
    stage.run(2)
    stage.kill_worker()
    stage.server.withdraw(account.login, 2_000.0)
    stage.clock[0] += 60
    stage.run(4)
    state = RuleState.objects.get()
    assert (state.day_deposits, state.day_withdrawals) == (5_000.0, -2_000.0)
    (rule,) = own_rules(account_risk(account, now=stage.now))
    assert (rule["used"], rule["floor"]) == (0.0, 98_000.0)


def test_it_begins_a_new_day_at_the_reset_and_clears_the_daily_latch(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    daily_loss(alice, parameters={"reset_time": "13:00", "reset_zone": "UTC"})
    stage.run(3)
    stage.buy(account, 10.0)
    stage.server.set_prices("EURUSD", 1.09000, 1.09002)
    stage.run()
    assert RuleBreach.objects.latched().count() == 1
    position = stage.server.call("positions", account.login, None, None, None)[0]
    request = {
        "action": 1,
        "symbol": "EURUSD",
        "volume": 10.0,
        "type": 1,
        "price": 1.09,
        "position": position[0],
        "type_filling": 1,
    }
    assert stage.server.call("order_send", account.login, request)[0] == 10009
    stage.clock[0] = START.timestamp() + 3599.9
    stage.run(3)
    assert RuleBreach.objects.latched().count() == 0
    state = RuleState.objects.get()
    assert state.day_started_at == START + timedelta(hours=1)
    assert state.day_balance == pytest.approx(89_980.0)
    assert account_risk(account, now=stage.now)["status"] == "safe"


def test_it_works_a_missed_reset_out_from_deals_and_bars(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    daily_loss(
        alice,
        parameters={"reference": "equity", "reset_time": "13:00", "reset_zone": "UTC"},
    )
    stage.run(3)
    stage.buy(account, 1.0)
    stage.run()
    stage.kill_worker()
    stage.clock[0] = START.timestamp() + 3600
    stage.server.set_prices("EURUSD", 1.10500, 1.10502)
    stage.server.step()
    stage.clock[0] += 60
    stage.server.set_prices("EURUSD", 1.10300, 1.10302)
    stage.server.step()
    stage.clock[0] += 1200
    stage.run(4)
    for _ in range(50):
        stage.run()
        state = RuleState.objects.get()
        if state.is_reconstructed:
            break
    assert state.is_reconstructed
    assert state.day_balance == pytest.approx(100_000.0)
    assert state.day_equity == pytest.approx(100_498.0, abs=1.0)
    (rule,) = own_rules(account_risk(account, now=stage.now))
    assert rule["status"] == "safe"
    assert rule["reconstructed"]


def test_a_missed_reset_of_a_flat_account_is_no_estimate(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Calm")
    daily_loss(
        alice,
        parameters={"reference": "equity", "reset_time": "13:00", "reset_zone": "UTC"},
    )
    stage.run(3)
    stage.kill_worker()
    stage.clock[0] = START.timestamp() + 4800
    for _ in range(50):
        stage.run()
        state = RuleState.objects.get()
        if state.day_equity is not None and state.day_started_at == START + timedelta(hours=1):
            break
    assert (state.day_equity, state.is_reconstructed) == (100_000.0, False)
    assert "estimated" not in own_rules(account_risk(account, now=stage.now))[0]["message"]


def test_a_reset_that_cannot_be_worked_out_is_unknown_until_the_next(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    daily_loss(
        alice,
        parameters={"reference": "equity", "reset_time": "13:00", "reset_zone": "UTC"},
    )
    stage.run(3)
    stage.buy(account, 0.1)
    stage.run()
    stage.kill_worker()
    asked: list[object] = []
    # As for a netting position that was reversed meanwhile: its legs can't be told.
    monkeypatch.setattr("risk.missed_resets.legs_at", lambda *_: asked.append(1))
    stage.clock[0] = START.timestamp() + 4800
    for _ in range(50):
        stage.run()
        if asked and RuleState.objects.get().day_started_at == START + timedelta(hours=1):
            break
    stage.run(5)
    assert len(asked) == 1
    (rule,) = own_rules(account_risk(account, now=stage.now))
    assert (rule["status"], rule["used"], rule["buffer"]) == ("unknown", None, None)
    assert "could not be worked out" in rule["message"]
    stage.clock[0] = (START + timedelta(hours=25)).timestamp() - 0.3
    stage.run(3)
    assert account_risk(account, now=stage.now)["status"] == "safe"


def drawdown(user: User, **fields: Any) -> RiskRule:
    return make_rule(
        user,
        "Drawdown",
        rule_type=RiskRule.Type.MAX_DRAWDOWN,
        limit=Decimal("0.1"),
        **{"parameters": {"kind": "trailing_intraday_equity"}, **fields},
    )


def switch(rule: RiskRule, *, is_active: bool) -> None:
    rule.is_active = is_active
    rule.save(update_fields=["is_active", "updated_at"])


def test_it_begins_again_when_the_only_rule_missed_a_deposit(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    rule = drawdown(alice)
    stage.run(3)
    switch(rule, is_active=False)
    stage.run(2, seconds=0.8)
    stage.server.deposit(account.login, 5_000.0)
    stage.run(2)
    switch(rule, is_active=True)
    stage.run(2, seconds=0.8)
    state = RuleState.objects.get()
    assert state.started_at > START + timedelta(seconds=2)
    assert (state.deposits, state.peak) == (0.0, 105_000.0)
    newest = state.last_deal
    stage.server.deposit(account.login, 1_000.0)
    stage.run()
    state.refresh_from_db()
    assert state.deposits == 1_000.0
    assert state.last_deal > newest > 0


def test_it_goes_on_where_it_was_when_nothing_was_missed(stage: Stage) -> None:
    alice = make_user()
    stage.open(alice, "Bold")
    rule = drawdown(alice)
    stage.run(3)
    before = RuleState.objects.get()
    switch(rule, is_active=False)
    stage.run(2, seconds=0.8)
    switch(rule, is_active=True)
    stage.run(2, seconds=0.8)
    assert RuleState.objects.get().started_at == before.started_at


def test_it_never_judges_a_new_login_by_readings_of_the_old_one(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold", deposit=150_000.0)
    stage.server.create_account(777, SECRET, SERVER, "Other", deposit=100_000.0)
    drawdown(alice)
    stage.run(3)
    assert RuleState.objects.get().peak == 150_000.0
    sessions = sessions_of("local")
    assert sessions is not None
    # The desk sees the edit at once, the sessions only later.
    with patch.object(sessions, "_follow_database"):
        account.login = 777
        account.save(update_fields=["login", "updated_at"])
        stage.run(2, seconds=0.8)
        (rule,) = own_rules(account_risk(account, now=stage.now))
        assert (rule["status"], rule["used"]) == ("unknown", None)
    stage.run(6, seconds=0.8)
    state = RuleState.objects.get()
    assert (state.login, state.peak) == (777, 100_000.0)
    assert own_rules(account_risk(account, now=stage.now))[0]["status"] == "safe"


def test_it_counts_deals_of_a_new_login_although_a_rule_is_new_too(stage: Stage) -> None:
    alice = make_user()
    stage.server.create_account(777, SECRET, SERVER, "Other", deposit=100_000.0)
    account = stage.open(alice, "Bold")
    drawdown(alice)
    stage.run(3)
    stage.server.deposit(account.login, 10.0)  # a ticket that is newer than those of 777
    stage.run()
    account.login = 777
    account.save(update_fields=["login", "updated_at"])
    daily_loss(alice)
    stage.run(6, seconds=0.8)
    cursors = set(RuleState.objects.values_list("last_deal", flat=True))
    first_of_777 = stage.server.call("history_deals", 777, 0, 4e9, None, None, None)[0][0]
    assert cursors <= {0, first_of_777}


def test_it_counts_a_deal_once_although_its_session_tells_it_again(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    daily_loss(alice)
    stage.run(3)
    stage.server.deposit(account.login, 5_000.0)
    stage.run()
    sessions = sessions_of("local")
    assert sessions is not None
    sessions.pool.table.rows["cursor"] = 0
    stage.run(2)
    state = RuleState.objects.get()
    assert (state.deposits, state.day_deposits) == (5_000.0, 5_000.0)


def test_it_takes_a_desk_over_whole_or_not_at_all(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    daily_loss(alice)
    stage.run(3)
    make_rule(alice, "Second", limit=Decimal("0.04"))
    with patch("risk.tracker.load_state", side_effect=OperationalError("database is away")):
        stage.run(3, seconds=0.8)
        assert len(own_rules(account_risk(account, now=stage.now))) == 2
    stage.server.set_prices("EURUSD", 1.09, 1.09002)
    stage.run(3, seconds=0.8)
    statuses = [rule["status"] for rule in own_rules(account_risk(account, now=stage.now))]
    assert statuses == ["safe", "safe"]
    assert RuleState.objects.count() == 2


def test_it_begins_no_day_with_a_reading_of_before_the_reset(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    daily_loss(alice, parameters={"reset_time": "13:00", "reset_zone": "UTC"})
    stage.clock[0] = START.timestamp() + 3590
    stage.run(8)
    stage.server.set_fault(account.login, FaultKind.HANG)
    stage.clock[0] = START.timestamp() + 3598.9
    stage.server.clear_fault(account.login)
    stage.run()  # read at 12:59:59.1
    stage.server.set_fault(account.login, FaultKind.HANG)
    stage.run(1, seconds=1.2)  # 13:00:00.3, and the reading is still fresh
    assert not RuleState.objects.filter(day_started_at__gte=START + timedelta(hours=1)).exists()
    assert own_rules(account_risk(account, now=stage.now))[0]["status"] == "unknown"
    stage.server.clear_fault(account.login)
    stage.run(2)
    assert RuleState.objects.get().day_started_at == START + timedelta(hours=1)


def test_it_survives_an_answer_about_the_past_that_it_cannot_use(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    stage.run(3)
    with patch("risk.missed_resets.deals_between", side_effect=ZeroDivisionError):
        daily_loss(alice, parameters={"reference": "equity"})
        stage.run(20, seconds=0.6)
    (rule,) = own_rules(account_risk(account, now=stage.now))
    assert rule["status"] == "unknown"


class Later(InlineExecutor):
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.jobs.append((Future(), lambda: fn(*args, **kwargs)))
        return self.jobs[-1][0]

    def answer(self) -> None:
        for future, job in self.jobs:
            future.set_result(job())
        self.jobs.clear()


def test_it_asks_again_about_a_day_when_the_account_traded_meanwhile(stage: Stage) -> None:
    alice = make_user()
    account = stage.open(alice, "Bold")
    stage.run(3)
    later = Later()
    assert stage.tick is not None
    stage.tick._tracker._resets._executor = later
    daily_loss(alice, parameters={"reset_time": "11:00", "reset_zone": "UTC"})
    stage.run(2, seconds=0.6)
    assert len(later.jobs) == 1
    stage.run(3)
    assert len(later.jobs) == 1  # one request at a time
    stage.server.deposit(account.login, 5_000.0)
    stage.run()
    later.answer()
    stage.run()
    assert RuleState.objects.get().day_started_at is None
    assert len(later.jobs) == 1
    later.answer()
    stage.run(2)
    state = RuleState.objects.get()
    assert state.day_started_at == START - timedelta(hours=1)
    assert (state.day_balance, state.day_deposits) == (100_000.0, 5_000.0)
    assert later.jobs == []  # what was worked out is not asked about again
