"""Accounts with positions and armed rules, for tests of what enforcement does to them."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from accounts.models import ConnectedAccount, User
from risk.models import RiskRule, RuleArming
from risk.orders.terminal import AccountTerminal, Deal
from tradeguard.tests.stage import SERVER, START, Stage

MARGIN_MODES = {"hedging": 2, "netting": 0}


def armed(rule: RiskRule, *accounts: ConnectedAccount) -> RiskRule:
    """Let a rule act on accounts since before the test began."""
    for account in accounts:
        RuleArming.objects.create(rule=rule, account=account, armed_at=START, calm_at=START)
    return rule


def rule_on(account: ConnectedAccount, rule_type: str, limit: str, **fields: Any) -> RiskRule:
    """Create a rule with CLOSE_ALL on one account and arm it."""
    rule = RiskRule.objects.create(
        user=account.user,
        name=fields.pop("name", rule_type.replace("_", " ").capitalize()),
        rule_type=rule_type,
        limit=Decimal(limit),
        **{"action": RiskRule.Action.CLOSE_ALL, **fields},
    )
    rule.accounts.add(account)
    return armed(rule, account)


def terminal_of(stage: Stage, account: ConnectedAccount) -> AccountTerminal:
    return AccountTerminal(stage.server, account.login, SERVER)


def volumes(stage: Stage, account: ConnectedAccount) -> dict[int, Decimal]:
    return {each.ticket: each.volume for each in terminal_of(stage, account).positions()}


def pendings(stage: Stage, account: ConnectedAccount) -> list[int]:
    return [each.ticket for each in terminal_of(stage, account).pending_orders()]


def trade(
    stage: Stage, account: ConnectedAccount, lots: float, symbol: str = "EURUSD", **fields: Any
) -> int:
    """Trade by hand at the market, to sell with negative lots; return the order's ticket."""
    quote = stage.server.call("symbol_tick", account.login, symbol)
    request = {
        "action": 1,
        "symbol": symbol,
        "volume": abs(lots),
        "type": int(lots < 0),
        "price": quote[1] if lots < 0 else quote[2],
        "type_filling": 1,
        **fields,
    }
    result = stage.server.call("order_send", account.login, request)
    assert result[0] == 10009, result
    return int(result[2])


def place(stage: Stage, account: ConnectedAccount, lots: float, price: float) -> int:
    """Place a buy limit order by hand."""
    request = {
        "action": 5,
        "symbol": "EURUSD",
        "volume": lots,
        "type": 2,
        "price": price,
        "type_filling": 2,
    }
    result = stage.server.call("order_send", account.login, request)
    assert result[0] == 10009, result
    return int(result[2])


def deals(stage: Stage, account: ConnectedAccount) -> Sequence[Deal]:
    now = stage.clock[0]
    return terminal_of(stage, account).history_deals(now - 7 * 86_400, now + 7 * 86_400)


def nothing_closed_twice(stage: Stage, account: ConnectedAccount) -> Mapping[int, Decimal]:
    """Return what each position has open by its deals; none was turned round or closed twice."""
    opened: dict[int, Decimal] = {}
    for deal in deals(stage, account):
        if not deal.symbol:
            continue
        assert deal.entry != 2, f"turned round: {deal}"
        sign = 1 if deal.entry == 0 else -1
        opened[deal.position] = opened.get(deal.position, Decimal(0)) + sign * deal.volume
        assert opened[deal.position] >= 0, f"closed twice: {deal}"
    return opened


def crash_price(stage: Stage, bid: float = 1.09000) -> None:
    stage.server.set_prices("EURUSD", bid, bid + 0.00002)


def watched(stage: Stage, user: User, name: str = "Bold", **terms: Any) -> ConnectedAccount:
    return stage.open(user, name, **terms)


def pass_time(stage: Stage, ticks: int = 1, seconds: float = 0.2) -> None:
    """Run ticks while the broker's own time goes on: what is late arrives."""
    for _ in range(ticks):
        stage.server.step()
        stage.run(seconds=seconds)
