"""The gate on the host and on the web: one account, one answer."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import pytest

from accounts.market_terms import TermsBook
from accounts.models import ConnectedAccount, Deal, User
from accounts.sessions.poll import Poll
from accounts.symbol_terms import SymbolTerms
from risk.core.gate.verdicts import Check, GateDecision, Verdict
from risk.gate import check_rows, decide_orders, preview_order
from risk.gate.sizing import position_size
from risk.models import AccountLock, GateCheck, Order, RiskRule
from risk.orders.flights import orders_in_flight
from risk.orders.view import HostView
from risk.tests.factories import make_rule
from risk.tracker import Assessment
from tradeguard.tests.stage import SERVER, Stage, staged

pytestmark = pytest.mark.django_db(transaction=True)

RULES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (RiskRule.Type.MAX_DAILY_LOSS, "0.05", {}),
    (RiskRule.Type.MAX_DRAWDOWN, "0.10", {"kind": "trailing_intraday_equity"}),
    (RiskRule.Type.MARGIN_LEVEL, "200", {}),
    (RiskRule.Type.MAX_POSITION_SIZE, "3", {}),
    (RiskRule.Type.POSITION_LIMIT, "3", {"include_pending": True}),
    (RiskRule.Type.MAX_LEVERAGE, "5", {}),
    (RiskRule.Type.MAX_EXPOSURE, "4", {}),
    (RiskRule.Type.RISK_PER_TRADE, "0.02", {}),
    (RiskRule.Type.STOP_LOSS_REQUIRED, "5", {}),
    (
        RiskRule.Type.TRADING_WINDOW,
        "15",
        {"kind": "daily", "from_time": "22:00", "until_time": "23:00", "zone": "UTC"},
    ),
)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        stage.is_acting = False
        yield stage


def rules_for(user: User, **fields: Any) -> list[RiskRule]:
    return [
        make_rule(
            user, str(kind), rule_type=kind, limit=Decimal(limit), parameters=parameters, **fields
        )
        for kind, limit, parameters in RULES
    ]


def order_of(account: ConnectedAccount, stage: Stage, **fields: Any) -> Order:
    defaults: dict[str, Any] = {
        "tag": 7,
        "user_id": account.user_id,
        "account_id": account.pk,
        "account_name": account.name,
        "host": "local",
        "server": account.server,
        "login": account.login,
        "kind": Order.Kind.OPEN,
        "origin": Order.Origin.TICKET,
        "symbol": "EURUSD",
        "direction": Order.Direction.BUY,
        "requested_volume": Decimal(1),
        "stop_loss": 1.09,
        "created_at": stage.now,
    }
    return Order(**{**defaults, **fields})


class Onlooker:
    """Stands where the desks of the host do, and keeps the newest view."""

    def take(self, poll: Poll, assessment: Assessment, now: datetime) -> None:
        del now
        self.view = HostView(poll, assessment)

    def close(self) -> None:
        pass


class Sources:
    """One account, asked on its host and through the hot state, with the same terms."""

    def __init__(self, stage: Stage, account: ConnectedAccount) -> None:
        self.stage, self.account = stage, account
        self.book = TermsBook(stage.server, "local", clock=lambda: stage.clock[0])
        self.onlooker = Onlooker()
        assert stage.tick is not None
        stage.tick.acting = cast("Any", self.onlooker)
        stage.run(5)

    def terms(self, login: int, symbol: str) -> SymbolTerms | None:
        return self.book.terms(login, symbol)

    def host(
        self, order: Order, *, in_flight: Sequence[Order] = (), now: datetime | None = None
    ) -> GateDecision:
        locks = {lock.account_id: lock for lock in AccountLock.objects.standing()}
        view, moment = self.onlooker.view, now or self.stage.now
        return decide_orders(
            view, [order], terms=self.terms, in_flight=in_flight, locks=locks, now=moment
        )[0]

    def web(self, order: Order, *, now: datetime | None = None) -> GateDecision:
        moment = now or self.stage.now
        return preview_order(account=self.account, draft=order, now=moment, terms=self.terms)


@pytest.fixture
def sources(stage: Stage, alice: User) -> Sources:
    account = stage.open(alice, "Bold")
    rules_for(alice, action=RiskRule.Action.BLOCK)
    stage.run(3)
    stage.buy(account, 1.5)
    return Sources(stage, account)


def told(decision: GateDecision) -> list[Check]:
    return sorted(decision.checks, key=lambda check: (check.name, str(check.rule_id)))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"requested_volume": Decimal("0.01")},
        {"requested_volume": Decimal(9)},
        {"stop_loss": None},
        {"direction": "sell", "stop_loss": 1.11},
        {"symbol": "GBPUSD", "stop_loss": 1.0},
        {"kind": "place", "type": "limit", "price": 1.05, "stop_loss": 1.04},
        {"symbol": "NOSUCH"},
        {"login": 1},
    ],
)
def test_both_give_the_same_checks_with_the_same_numbers(
    sources: Sources, fields: dict[str, Any]
) -> None:
    order = order_of(sources.account, sources.stage, **fields)

    here, there = sources.host(order), sources.web(order)

    assert told(here) == told(there)
    assert (here.verdict, here.volume) == (there.verdict, there.volume)
    # Those of the account, of these rules, and of the margin cut-off that everybody has.
    assert len(here.checks) == 11 + len(RULES) + 1


def test_the_numbers_are_those_of_the_account(sources: Sources) -> None:
    order = order_of(sources.account, sources.stage)

    decision = sources.host(order)

    by_name = {check.name: check for check in decision.checks}
    assert by_name["MAX_DAILY_LOSS"].verdict is Verdict.ALLOW
    assert by_name["MAX_POSITION_SIZE"].value == pytest.approx(2.5)
    assert by_name["POSITION_LIMIT"].value == 2
    assert by_name["MAX_LEVERAGE"].value == pytest.approx(2.75, abs=0.001)
    # 1,002 at the stop, and 3 spent on the spread of the position that is open.
    assert by_name["MAX_DAILY_LOSS"].value == pytest.approx(1005.0, abs=0.5)
    assert by_name["free_margin"].value == pytest.approx(1100.02, abs=0.01)


def test_a_lock_and_an_old_reading_refuse_on_both_sides(sources: Sources) -> None:
    order, later = order_of(sources.account, sources.stage), timedelta(seconds=2.5)
    old = sources.stage.now + later

    for decision in (sources.host(order, now=old), sources.web(order, now=old)):
        assert decision.verdict is Verdict.BLOCK
        assert "2.5 seconds old" in decision.sentence
    AccountLock.objects.create(
        user_id=sources.account.user_id,
        account_id=sources.account.pk,
        account_name="Bold",
        cause="panic",
        reason="Alice pressed close all.",
        locked_at=sources.stage.now,
    )
    for decision in (sources.host(order), sources.web(order)):
        assert decision.sentence == "The account is locked: Alice pressed close all."


@pytest.mark.parametrize(
    ("state", "ended", "counts"),
    [
        (Order.State.SENT, None, True),
        (Order.State.UNKNOWN, None, True),
        (Order.State.FILLED, 1.0, True),  # after the reading was taken
        (Order.State.FILLED, -0.5, True),  # the terminal may list it a moment later
        (Order.State.FILLED, -2.0, False),
        (Order.State.REJECTED, 1.0, False),
        (Order.State.NOT_EXECUTED, 1.0, False),
    ],
)
def test_what_the_reading_does_not_show_counts_as_filled(
    sources: Sources, state: str, ended: float | None, counts: bool
) -> None:
    ended_at = None if ended is None else sources.stage.now + timedelta(seconds=ended)
    other = order_of(sources.account, sources.stage, state=state, answered_at=ended_at, tag=8)
    other.save()
    order = order_of(sources.account, sources.stage)

    here, there = sources.host(order, in_flight=[other]), sources.web(order)

    assert told(here) == told(there)
    value = next(check.value for check in here.checks if check.name == "MAX_POSITION_SIZE")
    assert value == pytest.approx(3.5 if counts else 2.5)


def test_what_was_found_again_after_the_reading_counts_with_what_was_filled(
    sources: Sources,
) -> None:
    stage, second = sources.stage, timedelta(seconds=1)
    found = order_of(
        sources.account, stage, state=Order.State.PARTIAL, tag=8, requested_volume=Decimal(1),
        volume=Decimal("0.8"), filled_volume=Decimal("0.3"),
        answered_at=stage.now - 60 * second, reconciled_at=stage.now + second,
    )  # fmt: skip
    found.save()
    order = order_of(sources.account, stage)
    flying = orders_in_flight(sources.account.pk, stage.now.timestamp())

    here, there = sources.host(order, in_flight=flying), sources.web(order)

    assert flying == [found]
    assert told(here) == told(there)
    value = next(check.value for check in here.checks if check.name == "MAX_POSITION_SIZE")
    assert value == pytest.approx(2.8)


def test_an_order_that_the_reading_shows_counts_once(sources: Sources) -> None:
    request = {
        "action": 1, "symbol": "EURUSD", "volume": 0.5, "type": 0, "type_filling": 1,
        "magic": 4242,
    }  # fmt: skip
    sources.stage.server.call("order_send", sources.account.login, request)
    sources.stage.run(3)
    sent = order_of(
        sources.account, sources.stage, state=Order.State.UNKNOWN, tag=4242,
        requested_volume=Decimal("0.5"),
    )  # fmt: skip

    decision = sources.host(order_of(sources.account, sources.stage), in_flight=[sent])

    value = next(check.value for check in decision.checks if check.name == "MAX_POSITION_SIZE")
    assert value == pytest.approx(3.0)


def test_what_opens_nothing_always_passes(sources: Sources) -> None:
    AccountLock.objects.create(
        user_id=sources.account.user_id, account_id=sources.account.pk, account_name="Bold",
        cause="panic", reason="Locked.", locked_at=sources.stage.now,
    )  # fmt: skip
    old = sources.stage.now + timedelta(hours=1)
    for kind in (Order.Kind.CLOSE, Order.Kind.CANCEL, Order.Kind.CLOSE_BY):
        order = order_of(sources.account, sources.stage, kind=kind)
        decision = sources.host(order, now=old)
        assert (decision.verdict, decision.volume) == (Verdict.ALLOW, Decimal(1))
        assert len(decision.checks) == 1
        assert sources.web(order, now=old).verdict is Verdict.ALLOW


def test_the_ledger_has_a_row_for_each_check(sources: Sources) -> None:
    decision = sources.host(order_of(sources.account, sources.stage, requested_volume=Decimal(9)))

    GateCheck.objects.bulk_create(check_rows(decision, sources.stage.now))

    rows = GateCheck.objects.filter(order_id=decision.order_id)
    assert rows.count() == len(decision.checks)
    blocked = rows.get(check_name="MAX_POSITION_SIZE")
    assert (blocked.verdict, blocked.limit, blocked.unit) == ("block", 3.0, "lots")
    assert blocked.allowed_volume == pytest.approx(1.5)


def test_commission_is_learned_from_the_deals(sources: Sources) -> None:
    account = sources.account
    for number, lots in enumerate(("1.0", "3.0")):
        Deal.objects.create(
            account=account, server=SERVER, login=account.login, ticket=900 + number, order=1,
            position=1, time=sources.stage.now, time_msc=1, type=number, entry=number, reason=0,
            symbol="EURUSD", volume_lots=Decimal(lots), price=1.1, commission=Decimal("-7.00"),
            swap=Decimal(0), profit=Decimal(0), fee=Decimal(0), magic=0,
        )  # fmt: skip

    decision = sources.host(order_of(account, sources.stage))

    check = next(check for check in decision.checks if check.name == "MAX_DAILY_LOSS")
    # 14 over 5.5 lots, with those of the position that is open; both ways.
    assert check.value == pytest.approx(1005.0 + 2 * 14 / 5.5, abs=0.5)


def test_a_size_uses_the_numbers_of_the_account(sources: Sources) -> None:
    terms = sources.terms(sources.account.login, "EURUSD")

    size = position_size(
        account=sources.account, symbol="EURUSD", direction="buy", stop_loss=1.09002,
        risk_fraction=0.01, now=sources.stage.now, terms=terms,
    )  # fmt: skip

    assert size.lots == Decimal("1.00")
    assert size.risk_money == pytest.approx(1000.0)
    assert size.margin == pytest.approx(1100.02, abs=0.01)
    later = sources.stage.now + timedelta(minutes=1)
    stale = position_size(
        account=sources.account, symbol="EURUSD", direction="buy", stop_loss=1.09002,
        risk_fraction=0.01, now=later, terms=terms,
    )  # fmt: skip
    assert stale.is_refused
    assert "balance is not known" in stale.sentence


def test_no_account_of_a_host_opens_against_another(stage: Stage, alice: User) -> None:
    long, other = stage.open(alice, "Long"), stage.open(alice, "Other")
    make_rule(
        alice, "One way", rule_type=RiskRule.Type.NO_CROSS_HEDGING, limit=Decimal(1),
        action=RiskRule.Action.BLOCK,
    )  # fmt: skip
    stage.run(3)
    stage.buy(long, 1.0)
    sources = Sources(stage, other)

    against = order_of(other, stage, direction="sell", stop_loss=1.11)

    assert sources.host(against).sentence == (
        "One way: another account holds EURUSD the other way round."
    )
    assert sources.host(order_of(other, stage)).verdict is Verdict.ALLOW
    # On the web nobody knows what the others hold: the host will be asked.
    assert sources.web(against).verdict is Verdict.WARN


def test_currencies_and_correlations_are_the_same_on_both_sides(stage: Stage, alice: User) -> None:
    account = stage.open(alice, "Bold")
    for kind, limit, parameters in (
        (RiskRule.Type.MAX_EXPOSURE, "3", {"exposure_of": "currency"}),
        (RiskRule.Type.MAX_CORRELATION, "0.9", {}),
    ):
        make_rule(
            alice, str(kind), rule_type=kind, limit=Decimal(limit), parameters=parameters,
            action=RiskRule.Action.BLOCK,
        )  # fmt: skip
    stage.run(3)
    stage.buy(account, 1.5)
    sources = Sources(stage, account)
    order = order_of(account, stage)
    # The first look asks for what is not known yet.
    sources.web(order)
    sources.book.refresh_wanted()
    stage.run(10)

    here, there = sources.host(order), sources.web(order)

    assert told(here) == told(there)
    exposure = next(check for check in here.checks if check.name == "MAX_EXPOSURE")
    assert exposure.value == pytest.approx(2.75, abs=0.001)
