"""The whole tick at brokers of other habits: their own names, netting, orders that wait."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import ConnectedAccount
from accounts.redis import redis_client
from accounts.terminals.simulated import constants as mt5
from accounts.tests.factories import make_user
from risk.live import account_risk
from risk.models import RiskRule
from tradeguard.tests.stage import SERVER, Stage, own_rules, staged

pytestmark = pytest.mark.django_db(transaction=True)
NETTING = mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def trade(stage: Stage, account: ConnectedAccount, symbol: str, **request: Any) -> int:
    result = stage.server.call(
        "order_send", account.login, {"symbol": symbol, "type_filling": 1, **request}
    )
    assert result[0] in (mt5.TRADE_RETCODE_DONE, mt5.TRADE_RETCODE_PLACED), result
    stage.server.step()  # an exchange takes orders a moment later
    return int(result[2])


def rule_of(user: Any, rule_type: RiskRule.Type, limit: int, **parameters: Any) -> RiskRule:
    rule = RiskRule(
        user=user, name="Rule", rule_type=rule_type, limit=Decimal(limit), parameters=parameters,
        applies_to_all_accounts=True,
    )  # fmt: skip
    rule.full_clean()
    rule.save()
    return rule


def shown(stage: Stage, account: ConnectedAccount) -> dict[str, Any]:
    (rule,) = own_rules(account_risk(account, now=stage.now))
    return dict(rule)


def test_a_reversed_position_takes_the_place_of_the_one_before(stage: Stage) -> None:
    stage.server.create_server(SERVER, suffix=".r")
    account = stage.open(make_user(), "Netting", margin_mode=NETTING)
    stage.run(3)
    opened = stage.buy(account, 1.0, "EURUSD.r")
    stage.run()
    turned = trade(stage, account, "EURUSD.r", action=1, type=1, volume=3.0)
    stage.run()

    tag = f"{{demo:{account.pk}}}"
    redis: Any = redis_client()
    assert redis.smembers(f"user_orders_index:{tag}") == {str(turned).encode()}
    assert not redis.exists(f"user_holdings:{tag}:{opened}")
    held = redis.hgetall(f"user_holdings:{tag}:{turned}")
    assert (held[b"symbol"], held[b"side"], held[b"volume"]) == (b"EURUSD.r", b"sell", b"2.0")
    assert redis.smembers("symbol_holders:EURUSD.r:demo") == {str(account.pk).encode()}
    assert redis.hget(f"market:{{{SERVER}:EURUSD.r}}", "bid") == b"1.1"
    (position,) = account_risk(account, now=stage.now)["positions"]
    assert (position["ticket"], position["symbol"]) == (turned, "EURUSD.r")
    assert position["price_digits"] == 5
    assert account_risk(account, now=stage.now)["margin_mode"] == "netting"


def test_a_rule_on_size_counts_orders_that_wait(stage: Stage) -> None:
    stage.server.create_server(SERVER, suffix=".r")
    alice = make_user()
    account = stage.open(alice, "Waiting")
    rule_of(alice, RiskRule.Type.MAX_POSITION_SIZE, 2, symbols=["EURUSD.r"])
    stage.run(3)
    stage.buy(account, 1.5, "EURUSD.r")
    stage.run()
    assert shown(stage, account)["used"] == 1.5
    trade(stage, account, "EURUSD.r", action=5, type=2, volume=1.0, price=1.05)
    stage.run()
    assert (shown(stage, account)["used"], shown(stage, account)["status"]) == (2.5, "violated")


def test_a_flat_account_whose_order_reserves_margin_is_known(stage: Stage) -> None:
    stage.clock[0] = datetime(2026, 11, 18, 15, 0, tzinfo=UTC).timestamp()  # New York trades
    alice = make_user()
    account = stage.open(alice, "Exchange", margin_mode=mt5.ACCOUNT_MARGIN_MODE_EXCHANGE)
    rule_of(alice, RiskRule.Type.POSITION_LIMIT, 3)
    stage.run(3)
    trade(stage, account, "MSFT", action=5, type=2, volume=10.0, price=450.0, type_filling=2)
    stage.run(3)

    live = account_risk(account, now=stage.now)
    assert live["margin"] > 0
    assert live["positions"] == []
    assert live["is_fresh"] is True
    assert shown(stage, account)["status"] == "safe"
