from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import msgpack
import numpy as np
import pytest
from redis import Redis

from accounts.market_terms import days_key
from accounts.models import ConnectedAccount, Deal, EquitySnapshot, User
from accounts.tests.factories import NOW, make_account
from accounts.tests.history_rows import make_deal
from risk.portfolio import portfolio_risk
from risk.portfolio_figures import PortfolioRisk
from risk.tests.live_state import leave_readings

pytestmark = pytest.mark.django_db


def snapshot(
    account: ConnectedAccount, at: datetime, equity: float, resolution: int = 86_400
) -> EquitySnapshot:
    money = Decimal(str(round(equity, 4)))
    return EquitySnapshot(
        account=account, resolution=resolution, at=at, server=account.server,
        login=account.login, balance=money, credit=0, equity=money, equity_low=money,
        equity_high=money, margin=0, position_count=0, readings=1,
    )  # fmt: skip


def give_days(account: ConnectedAccount, returns: list[float], start: float = 100_000.0) -> None:
    """Write a day for each return, and the one before, up to yesterday."""
    midnight = NOW.replace(hour=0)
    equities = start * np.cumprod([1.0, *(1 + each for each in returns)])
    EquitySnapshot.objects.bulk_create(
        snapshot(account, midnight - timedelta(days=len(equities) - number), float(equity))
        for number, equity in enumerate(equities)
    )


def deposit(account: ConnectedAccount, at: datetime, amount: str) -> None:
    Deal.objects.create(
        account=account, server=account.server, login=account.login, ticket=int(at.timestamp()),
        order=0, position=0, time=at, time_msc=0, type=2, entry=0, reason=0, symbol="",
        volume_lots=0, price=0, commission=0, swap=0, profit=Decimal(amount), fee=0, magic=0,
    )  # fmt: skip


def know_symbol(redis: Redis, account: ConnectedAccount) -> None:
    told = msgpack.packb(["EUR", "USD", list(range(40)), [1.0 + day % 3 for day in range(40)]])
    redis.hset(days_key(account.server), "EURUSD", told)


def risk_of(user: User, *accounts: ConnectedAccount, **options: Any) -> PortfolioRisk:
    return portfolio_risk(user=user, accounts=accounts, now=NOW, **options)


@pytest.fixture
def account(alice: User, redis: Redis) -> ConnectedAccount:
    account = make_account(alice)
    leave_readings([account], [], read_at=NOW.timestamp())
    know_symbol(redis, account)
    return account


def test_it_adds_up_what_is_there_now(alice: User, account: ConnectedAccount) -> None:
    total = risk_of(alice, account).total

    assert total is not None
    assert (total.currency, total.accounts) == ("USD", 1)
    assert (total.account_value, total.balance, total.cash) == (95_212.4, 100_000.0, 100_000.0)
    assert total.total_unrealized_pl == pytest.approx(-4787.6)
    assert total.total_unrealized_pl_percent == pytest.approx(-4.7876)
    assert total.number_of_positions == 1
    assert total.margin_level == pytest.approx(95_212.4 / 108.77 * 100)
    assert [each.name for each in total.exposure_by_symbol] == ["EUR/USD"]
    assert {each.name for each in total.exposure_by_currency or ()} == {"EUR", "USD"}


def test_what_is_not_known_is_null_with_a_reason(alice: User, account: ConnectedAccount) -> None:
    total = risk_of(alice, account).total

    assert total is not None
    unknown = ("daily_pl", "daily_pl_percent", "value_at_risk", "expected_shortfall",
               "max_drawdown_percent")  # fmt: skip
    for name in unknown:
        assert getattr(total, name) is None
        assert total.reasons[name].endswith(".")
    assert "0 full days" in total.reasons["value_at_risk"]


def test_a_stale_reading_is_in_no_present_figure(alice: User, account: ConnectedAccount) -> None:
    give_days(account, [0.01, -0.02] * 15)
    risk = portfolio_risk(user=alice, accounts=[account], now=NOW + timedelta(seconds=3))

    assert risk.unknown_accounts == (account.pk,)
    assert risk.total is not None
    for name in ("account_value", "leverage", "number_of_positions", "value_at_risk", "daily_pl"):
        assert getattr(risk.total, name) is None
        assert risk.total.reasons[name] == "There is no fresh reading of Alpha 1."
    assert risk.total.value_at_risk_percent == pytest.approx(2.0)


def test_the_days_say_what_may_be_lost(alice: User, account: ConnectedAccount) -> None:
    give_days(account, [0.01] * 10 + [-0.03] + [0.01] * 9)

    total = risk_of(alice, account).total

    assert total is not None
    assert total.days == 20
    assert total.value_at_risk_percent == pytest.approx(-np.percentile(
        [0.01] * 19 + [-0.03], 5) * 100 if np.percentile([0.01] * 19 + [-0.03], 5) < 0 else 0.0
    )  # fmt: skip
    assert total.expected_shortfall_percent == pytest.approx(3.0)
    assert total.expected_shortfall == pytest.approx(0.03 * 95_212.4)
    assert total.max_drawdown_percent == pytest.approx(3.0)


def test_a_deposit_is_no_return(alice: User, account: ConnectedAccount) -> None:
    give_days(account, [0.0] * 40)
    last = EquitySnapshot.objects.order_by("at").last()
    assert last is not None
    EquitySnapshot.objects.filter(pk=last.pk).update(equity=Decimal(150_000), equity_high=150_000)
    deposit(account, last.at + timedelta(hours=3), "50000")

    total = risk_of(alice, account).total

    assert total is not None
    assert total.max_drawdown_percent == 0.0
    assert total.value_at_risk == 0.0


def test_today_counts_from_the_reset_of_the_account(alice: User, account: ConnectedAccount) -> None:
    reset = datetime(2026, 11, 19, 22, 0, tzinfo=UTC)  # 00:00 at New York + 7 h
    EquitySnapshot.objects.bulk_create([
        snapshot(account, reset - timedelta(minutes=1), 95_000.0, 60),
        snapshot(account, reset + timedelta(minutes=1), 99_000.0, 60),
    ])  # fmt: skip
    deposit(account, reset + timedelta(hours=2), "100")

    total = risk_of(alice, account).total

    assert total is not None
    assert total.daily_pl == pytest.approx(112.4)
    assert total.daily_pl_percent == pytest.approx(112.4 / 95_100 * 100)


RESET = datetime(2026, 11, 19, 22, 0, tzinfo=UTC)


def trade(account: ConnectedAccount, ticket: int, at: datetime, *, result: int = 0) -> None:
    """Write a deal of position 1: the first opens it, one with a result closes it."""
    is_out = bool(result)
    make_deal(
        account, ticket=ticket, time=at, position=1, type=is_out, entry=is_out,
        profit=Decimal(result),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("opened", "closed", "daily"),
    [
        (RESET + timedelta(hours=1), RESET + timedelta(hours=2), -4_787.6 - 400),
        (RESET - timedelta(hours=2), RESET - timedelta(hours=1), -4_787.6),
        (RESET - timedelta(hours=1), RESET + timedelta(hours=1), None),
    ],
    ids=["today", "before", "over the reset"],
)
def test_today_is_worked_out_from_deals_where_nothing_was_open_at_the_reset(
    alice: User,
    account: ConnectedAccount,
    opened: datetime,
    closed: datetime,
    daily: float | None,
) -> None:
    deposit(account, RESET - timedelta(days=3), "100400")
    trade(account, 2, opened)
    trade(account, 3, closed, result=-400)

    total = risk_of(alice, account).total

    assert total is not None
    assert total.daily_pl == (None if daily is None else pytest.approx(daily))
    if daily is not None:
        began_with = 95_212.4 - daily
        assert total.daily_pl_percent == pytest.approx(daily / began_with * 100)


def test_today_is_not_guessed_from_half_a_history(alice: User, account: ConnectedAccount) -> None:
    deposit(account, RESET - timedelta(days=3), "100400.01")
    trade(account, 2, RESET + timedelta(hours=1))
    trade(account, 3, RESET + timedelta(hours=2), result=-400)

    total = risk_of(alice, account).total

    assert total is not None
    assert total.daily_pl is None
    assert "when its day began" in total.reasons["daily_pl"]


def test_several_currencies_are_listed_and_not_converted(alice: User, redis: Redis) -> None:
    dollars, euros = make_account(alice, "Dollars"), make_account(alice, "Euros", currency="EUR")
    leave_readings([dollars, euros], [], read_at=NOW.timestamp())
    know_symbol(redis, dollars)

    risk = risk_of(alice, dollars, euros)

    assert risk.total is None
    assert "nothing is converted" in risk.reasons["total"]
    assert [each.currency for each in risk.by_currency] == ["EUR", "USD"]
    assert [each.account_value for each in risk.by_currency] == [95_212.4, 95_212.4]


def test_accounts_and_symbols_correlate(alice: User, account: ConnectedAccount) -> None:
    other = make_account(alice, "Beta")
    rng = np.random.default_rng(5)
    moves = [float(move) for move in rng.normal(0, 0.01, 30)]
    give_days(account, moves)
    give_days(other, moves, 5000.0)

    risk = risk_of(alice, account, other)

    assert risk.account_correlations.names == ("Alpha 1", "Beta")
    assert risk.account_correlations.matrix[0][1] == pytest.approx(1.0, abs=1e-3)
    assert risk.symbol_correlations.symbols == ("EUR/USD",)
    assert risk.symbol_correlations.matrix == ((1.0,),)


def test_many_accounts_are_compared_with_no_other(
    alice: User, account: ConnectedAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("risk.portfolio.MOST_IN_MATRIX", 1)
    found = risk_of(alice, account, make_account(alice, "Beta")).account_correlations
    assert (found.names, found.matrix) == ((), ())
    assert "choose some" in found.reason


def test_accounts_of_others_are_left_out(alice: User, bob: User, account: ConnectedAccount) -> None:
    risk = risk_of(bob, account)

    assert (risk.account_ids, risk.by_currency) == ((), ())
    assert risk.reasons["total"] == "There is no account."


def test_hosts_that_do_not_answer_are_waited_for_once(
    alice: User, account: ConnectedAccount, redis: Redis
) -> None:
    redis.delete(days_key(account.server))
    waits: list[float] = []
    moments = iter([0.0, 0.2, 0.9, 2.0])

    def away(*_: Any, wait_seconds: float, **__: Any) -> dict[str, Any]:
        waits.append(wait_seconds)
        return {}

    others = [account, *(make_account(alice, f"Beta {number}") for number in range(2))]
    leave_readings(others, [], read_at=NOW.timestamp())
    with (
        patch("risk.portfolio_exposures.days_of", away),
        patch("risk.portfolio.time", SimpleNamespace(monotonic=moments.__next__)),
    ):
        risk = risk_of(alice, *others)

    assert waits == pytest.approx([0.8, 0.1, 0.0])
    assert risk.total is not None
    assert risk.total.exposure_by_currency is None
    assert "not known" in risk.total.reasons["exposure_by_currency"]
    assert "not known" in risk.symbol_correlations.reason
