"""What the gate lets pass, filled by the broker: inside the rule, and one step more is not."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import ConnectedAccount, User
from risk.core.gate.verdicts import Verdict
from risk.core.statuses import Status
from risk.gate import decide_orders
from risk.models import Order, RiskRule
from risk.tests.factories import make_rule
from tradeguard.tests.enforcement_stage import MARGIN_MODES, trade
from tradeguard.tests.stage import Stage, staged
from tradeguard.tests.test_gate_sources import Sources, order_of

pytestmark = pytest.mark.django_db(transaction=True)

AFTERNOON_SECONDS = 4 * 3600.0  # on to Wednesday, 16:00 UTC, when shares are traded too
DEPOSITS = {"USD": 200_000.0, "EUR": 190_000.0, "JPY": 30_000_000.0}

RULES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "leverage": (RiskRule.Type.MAX_LEVERAGE, "2", {}),
    "gross": (RiskRule.Type.MAX_LEVERAGE, "2", {"gross": True}),
    "exposure": (RiskRule.Type.MAX_EXPOSURE, "1.7", {}),
    "margin": (RiskRule.Type.MARGIN_LEVEL, "600", {}),
    "risk": (RiskRule.Type.RISK_PER_TRADE, "0.013", {}),
    "size": (RiskRule.Type.MAX_POSITION_SIZE, "7", {}),
}


@dataclass(frozen=True)
class Case:
    """A rule on an account of its own, and the order that comes `more` steps too large."""

    account: ConnectedAccount
    rule: RiskRule
    symbol: str
    is_sell: bool
    more: int

    @property
    def name(self) -> str:
        return f"{'sell' if self.is_sell else 'buy'} {self.account.name}"


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        stage.is_acting = False
        yield stage


def open_case(
    stage: Stage, user: User, rule_name: str, symbol: str, more: int, **terms: Any
) -> Case:
    kind, limit, parameters = RULES[rule_name]
    name = f"{symbol} {rule_name} +{more}"
    account = stage.open(user, name, deposit=DEPOSITS[terms["currency"]], leverage=100, **terms)
    account.currency = terms["currency"]
    account.save(update_fields=["currency"])
    rule = make_rule(
        user,
        name,
        rule_type=kind,
        limit=Decimal(limit),
        parameters=parameters,
        action=RiskRule.Action.REDUCE_SIZE,
        applies_to_all_accounts=False,
    )
    rule.accounts.add(account)
    return Case(account, rule, symbol, len(rule_name) % 2 == 0, more)


def fill(stage: Stage, sources: Sources, case: Case, commission: float) -> bool:
    """Ask for far too much, and let the broker fill what is left of it, and the steps more.

    False where something else than the rule stands in the way.
    """
    terms = sources.terms(case.account.login, case.symbol)
    assert terms is not None
    stop = round((terms.ask * 1.01 if case.is_sell else terms.bid * 0.99) / terms.tick_size)
    order = order_of(
        case.account,
        stage,
        symbol=case.symbol,
        requested_volume=Decimal(repr(terms.volume_max)),
        direction=Order.Direction.SELL if case.is_sell else Order.Direction.BUY,
        stop_loss=round(stop * terms.tick_size, terms.digits),
    )
    (decision,) = decide_orders(
        sources.onlooker.view,
        [order],
        terms=sources.terms,
        in_flight=(),
        locks={},
        now=stage.now,
        commissions=lambda account_id, symbol: commission,
    )
    if decision.verdict is not Verdict.REDUCE or decision.volume is None:
        return False
    lots = float(decision.volume + case.more * terms.step)
    trade(stage, case.account, -lots if case.is_sell else lots, case.symbol, sl=order.stop_loss)
    return True


def present_status(sources: Sources, case: Case) -> Status:
    """Return what the reading itself says of the case's rule."""
    assessment = sources.onlooker.view.assessment
    desk = assessment.desk
    (pair,) = (
        pair
        for pair in range(len(desk.pairs))
        if desk.rules[int(desk.pairs.rule_index[pair])].id == case.rule.pk
    )
    return Status(int(assessment.evaluation.present[pair]))


# One more step is more than the noise of what a yen is worth on each side of the book.
@pytest.mark.parametrize(
    ("mode", "currency", "commission", "symbols", "steps"),
    [
        ("hedging", "USD", 0.0, ("EURUSD", "XAUUSD", "US500", "AAPL", "ESH30"), 1),
        ("netting", "EUR", 3.0, ("USDJPY", "GER40", "XAUUSD"), 40),
        ("hedging", "JPY", 500.0, ("EURUSD", "USDMXN", "XAUUSD"), 40),
    ],
)
def test_the_largest_volume_is_inside_once_it_is_filled(
    stage: Stage,
    alice: User,
    mode: str,
    currency: str,
    commission: float,
    symbols: tuple[str, ...],
    steps: int,
) -> None:
    terms = {
        "currency": currency,
        "margin_mode": MARGIN_MODES[mode],
        "commission_per_lot": commission,
    }
    cases = [
        open_case(stage, alice, rule_name, symbol, more, **terms)
        for symbol in symbols
        for rule_name in RULES
        for more in (0, steps)
    ]
    stage.run(1)
    stage.clock[0] += AFTERNOON_SECONDS
    stage.server.step()
    stage.run(3)
    sources = Sources(stage, cases[0].account)

    filled = [case for case in cases if fill(stage, sources, case, commission)]
    stage.server.step()
    stage.run(3)

    assert len(filled) > len(cases) * 0.7
    wrong = [
        case.name
        for case in filled
        if (present_status(sources, case) is Status.VIOLATED) != (case.more > 0)
    ]
    assert wrong == []
