"""Rules that come close to their limits, and trading that is switched off: told beside the tick."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from django.db import OperationalError

from accounts.models import ConnectedAccount, User
from accounts.tests.factories import make_user
from notifications.models import Notification
from risk.models import RuleBreach
from risk.notices.switches import SETTLE_SECONDS
from risk.notices.warnings import CALM_SECONDS
from risk.notices.writer import RETRY_SECONDS
from risk.tests.factories import make_rule
from tradeguard.tests.enforcement_stage import trade
from tradeguard.tests.stage import Stage, daily_loss, staged

pytestmark = pytest.mark.django_db(transaction=True)

LEVELS: dict[str, Any] = {"caution": Decimal("0.5"), "critical": Decimal("0.2")}


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture
def alice() -> User:
    return make_user()


@pytest.fixture
def account(stage: Stage, alice: User) -> ConnectedAccount:
    """Return an account with ten lots bought, 5,000.00 a day to lose, and nothing lost yet."""
    account = stage.open(alice, "Bold")
    daily_loss(alice, action="ALERT", **LEVELS)
    stage.run(3)
    trade(stage, account, 10.0)
    lose(stage, 0)
    return account


def lose(stage: Stage, dollars: float, ticks: int = 2) -> None:
    """Move the price to where ten lots have lost so much; 10 dollars are the smallest step."""
    bid = 1.10002 - dollars / 1_000_000
    stage.server.set_prices("EURUSD", bid, bid + 0.00002)
    stage.run(ticks)


def told(kind: str = "risk_warning") -> list[tuple[str, str]]:
    rows = Notification.objects.filter(type=kind).order_by("created_at", "title")
    return [(row.priority, row.title) for row in rows]


CLOSER = ("medium", "Bold: “Daily loss” comes closer to its limit")
CRITICAL = ("high", "Bold: “Daily loss” is almost at its limit")


@pytest.mark.parametrize(
    ("dollars", "expected"),
    [
        (2490, []),
        (2500, [CLOSER]),
        (3990, [CLOSER]),
        (4000, [CRITICAL]),
        (4990, [CRITICAL]),
        (5010, []),
    ],
)
def test_it_warns_at_the_levels_of_the_rule(
    stage: Stage, account: ConnectedAccount, dollars: float, expected: list[tuple[str, str]]
) -> None:
    lose(stage, dollars)
    assert told() == expected
    assert RuleBreach.objects.exists() is (dollars > 5000)


def test_it_says_how_much_is_left(stage: Stage, account: ConnectedAccount) -> None:
    lose(stage, 4200)
    warning = Notification.objects.get(type="risk_warning")
    assert warning.body == "Bold: 800.00 USD of 5,000.00 left today (16 %)."
    assert (warning.user, warning.object_id) == (account.user, str(account.pk))
    assert str(account.pk) in warning.link


def test_it_warns_upwards_only(stage: Stage, account: ConnectedAccount) -> None:
    for dollars in (2600, 4100, 2600, 0, 2600, 4100, 2600):
        lose(stage, dollars)
    assert told() == [CLOSER, CRITICAL]


@pytest.mark.parametrize(("seconds", "again"), [(CALM_SECONDS - 1, False), (CALM_SECONDS, True)])
def test_it_warns_again_when_it_was_better_for_long(
    stage: Stage, account: ConnectedAccount, seconds: float, again: bool
) -> None:
    lose(stage, 4100)
    lose(stage, 0, ticks=1)
    stage.run(1, seconds=seconds)
    lose(stage, 4100)
    assert told() == [CRITICAL] * (1 + again)


def test_what_wobbles_in_between_is_not_better_for_long(
    stage: Stage, account: ConnectedAccount
) -> None:
    lose(stage, 4100)
    for _ in range(4):
        lose(stage, 0, ticks=1)
        stage.run(1, seconds=CALM_SECONDS / 2)
        lose(stage, 4100)
    assert told() == [CRITICAL]


def test_a_violation_is_told_as_one_alone(stage: Stage, account: ConnectedAccount) -> None:
    lose(stage, 5100)
    lose(stage, 4100)
    lose(stage, 5100)
    assert told() == []
    assert len(told("risk_breach")) == 1


def test_an_edited_rule_and_a_new_desk_warn_of_nothing_twice(
    stage: Stage, account: ConnectedAccount, alice: User
) -> None:
    lose(stage, 4100)
    rule = alice.risk_rules.get(name="Daily loss")
    rule.name = "Less a day"
    rule.save(update_fields=["name", "updated_at"])
    stage.run(10)
    assert told() == [CRITICAL]
    rule.limit = Decimal("0.1")  # far from it now
    rule.save(update_fields=["limit", "updated_at"])
    stage.run(10)
    stage.run(1, seconds=CALM_SECONDS)
    rule.limit = Decimal("0.05")
    rule.save(update_fields=["limit", "updated_at"])
    stage.run(10)
    assert [title for _, title in told()] == [
        "Bold: “Daily loss” is almost at its limit",
        "Bold: “Less a day” is almost at its limit",
    ]


def test_a_worker_that_takes_over_tells_what_is_worse_alone(
    stage: Stage, account: ConnectedAccount
) -> None:
    lose(stage, 2600)
    stage.kill_worker()
    stage.run(5)
    assert told() == [CLOSER]
    stage.kill_worker()
    lose(stage, 4100, ticks=5)
    assert told() == [CLOSER, CRITICAL]
    stage.kill_worker()
    lose(stage, 2600, ticks=5)
    assert told() == [CLOSER, CRITICAL]


def test_neither_objectives_nor_the_margin_cutoff_warn_here(stage: Stage, alice: User) -> None:
    account = stage.open(alice, "Bold", deposit=1_000.0, leverage=100, stop_out_level=5.0)
    make_rule(
        alice,
        name="Target",
        rule_type="PROFIT_TARGET",
        limit=Decimal(500),
        parameters={"amount_kind": "money"},
        action="ALERT",
        **LEVELS,
    )
    stage.run(3)
    trade(stage, account, 0.8)
    stage.server.set_prices("EURUSD", 1.09150, 1.09152)
    stage.run(3)
    assert [kind for kind, _ in told("margin_warning")] == ["urgent"]
    assert told() == []


def test_it_waits_for_the_database(stage: Stage, account: ConnectedAccount) -> None:
    with patch("risk.notices.writer.notify", side_effect=OperationalError("away")) as notify:
        lose(stage, 2600, ticks=3)
        lose(stage, 4100, ticks=3)
        assert notify.call_count == 1  # not every tick asks again
    assert told() == []
    stage.run(int(RETRY_SECONDS / 0.2) + 1)
    assert told() == [CLOSER, CRITICAL]


# Trading that is switched off


def switch(stage: Stage, account: ConnectedAccount, name: str, on: bool) -> None:
    stage.server.call("set_account", account.login, name, on)


def settle(stage: Stage, seconds: float = SETTLE_SECONDS + 0.2) -> None:
    stage.run(round(seconds / 0.2) + 1)


OFF = ("high", "Bold: algorithmic trading is switched off")
FORBIDDEN = ("high", "Bold: trading is not allowed any more")
BACK = ("medium", "Bold: trading is possible again")


@pytest.mark.parametrize(("name", "off"), [("algo_trading", OFF), ("trade_allowed", FORBIDDEN)])
def test_it_tells_that_trading_is_switched_off_and_on_again(
    stage: Stage, alice: User, name: str, off: Any
) -> None:
    account = stage.open(alice, "Bold")
    stage.run(3)
    settle(stage)
    assert told("strategy_error") == []
    switch(stage, account, name, False)
    settle(stage)
    assert told("strategy_error") == [off]
    settle(stage)
    switch(stage, account, name, True)
    settle(stage)
    assert told("strategy_error") == [off, BACK]


def test_a_flicker_is_no_news(stage: Stage, alice: User) -> None:
    account = stage.open(alice, "Bold")
    stage.run(3)
    settle(stage)
    for _ in range(4):
        switch(stage, account, "algo_trading", False)
        settle(stage, SETTLE_SECONDS / 2)
        switch(stage, account, "algo_trading", True)
        settle(stage, 0.4)
    assert told("strategy_error") == []


def test_a_worker_that_takes_over_tells_what_was_switched_meanwhile(
    stage: Stage, alice: User
) -> None:
    account = stage.open(alice, "Bold")
    stage.run(3)
    settle(stage)
    switch(stage, account, "algo_trading", False)
    for _ in range(2):
        stage.kill_worker()
        stage.run(3)
        settle(stage)
        assert told("strategy_error") == [OFF]
    switch(stage, account, "algo_trading", True)
    for _ in range(2):
        stage.kill_worker()
        stage.run(3)
        settle(stage)
        assert told("strategy_error") == [OFF, BACK]


def test_an_account_that_never_could_trade_is_no_news(stage: Stage, alice: User) -> None:
    account = stage.open(alice, "Bold")
    switch(stage, account, "trade_allowed", False)
    stage.run(3)
    settle(stage)
    assert told("strategy_error") == []
    switch(stage, account, "trade_allowed", True)
    settle(stage)
    assert told("strategy_error") == [BACK]
