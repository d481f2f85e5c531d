"""A rule that is not saved, against imagined numbers and against accounts as they are."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.tests.factories import make_account
from accounts.tests.history_rows import make_deal, snapshot
from risk.dry_run import GivenNumbers, GivenPosition, RuleAnswer, rule_answers
from risk.models import RiskRule
from risk.tests.live_state import leave_readings

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DAILY = {"rule_type": "MAX_DAILY_LOSS", "limit": Decimal("0.05")}


def broker_msc(moment: datetime) -> int:
    """Write a moment of the winter as the clock of New York + 7 h does."""
    return int((moment + timedelta(hours=2)).timestamp() * 1000)


def answer(user: User, numbers: GivenNumbers, **fields: Any) -> RuleAnswer:
    return rule_answers(user=user, fields={**DAILY, **fields}, numbers=numbers, now=NOW)[0]


def loss_numbers(equity: float, **others: Any) -> GivenNumbers:
    given: dict[str, Any] = {
        "initial_balance": 100_000.0,
        "balance": 105_000.0,
        "day_balance": 105_000.0,
        "day_equity": 107_000.0,
    }
    return GivenNumbers(equity=equity, **{**given, **others})


@pytest.mark.parametrize(
    ("equity", "status", "left"),
    [(100_000.01, "critical", 0.01), (100_000.0, "violated", 0.0), (99_999.99, "violated", -0.01)],
)
def test_it_answers_at_the_limit(alice: User, equity: float, status: str, left: float) -> None:
    said = answer(alice, loss_numbers(equity))
    assert (said.status, said.floor, said.limit, said.unit) == (status, 100_000.0, 5000.0, "USD")
    assert said.left == pytest.approx(left, abs=1e-6)
    assert said.baselines == "given"
    assert bool(said.would_act) is (status == "violated")


def test_it_says_what_an_armed_rule_would_do_within_its_margin(alice: User) -> None:
    early = {"action": "CLOSE_ALL", "act_at_fraction": Decimal("0.97")}
    inside = answer(alice, loss_numbers(100_150.01), **early)
    assert (inside.status, inside.would_act) == ("critical", "")
    reached = answer(alice, loss_numbers(100_150.0), **early)
    assert reached.status == "critical"
    assert "closed everything" in reached.would_act


def test_it_does_not_guess_a_reference(alice: User) -> None:
    said = answer(alice, GivenNumbers(balance=100_000.0, initial_balance=100_000.0))
    assert (said.status, said.used, said.left, said.baselines) == ("unknown", None, None, "unknown")
    assert "not known" in said.sentence.lower()


def test_it_counts_the_positions_that_are_given(alice: User) -> None:
    size = {"rule_type": "MAX_POSITION_SIZE", "limit": Decimal("1.5")}
    lots = [
        GivenPosition(symbol="EURUSD", direction="buy", volume_lots=Decimal(1)),
        GivenPosition(symbol="EURUSD", direction="buy", volume_lots=Decimal("0.5")),
        GivenPosition(symbol="EURUSD", direction="sell", volume_lots=Decimal(9), is_pending=True),
    ]
    said = answer(alice, GivenNumbers(balance=1000.0, positions=lots[:2]), **size)
    assert (said.status, said.used, said.unit, said.baselines) == ("critical", 1.5, "lots", "")
    assert answer(alice, GivenNumbers(balance=1000.0, positions=lots), **size).used == 9.0


def test_it_measures_leverage_margin_and_counts(alice: User) -> None:
    held = [GivenPosition(symbol="X", direction="buy", volume_lots=Decimal(1), notional=20_000.0)]
    numbers = GivenNumbers(balance=1000.0, margin=2000.0, positions=held, day_trades=3)
    assert answer(alice, numbers, rule_type="MAX_LEVERAGE", limit=Decimal(30)).used == 20.0
    assert answer(alice, numbers, rule_type="MARGIN_LEVEL", limit=Decimal(40)).used == 50.0
    assert answer(alice, numbers, rule_type="POSITION_LIMIT", limit=Decimal(2)).used == 1.0
    assert answer(alice, numbers, rule_type="MAX_DAILY_TRADES", limit=Decimal(4)).left == 1.0
    unknown = answer(alice, GivenNumbers(balance=1.0), rule_type="INACTIVITY", limit=Decimal(4))
    assert unknown.status == "unknown"


@pytest.mark.parametrize("direction", ["buy", "sell"])
@pytest.mark.parametrize(
    ("loss", "status"), [(99.99, "critical"), (100.0, "critical"), (100.01, "violated")]
)
def test_it_counts_what_is_lost_at_the_stops_that_are_given(
    alice: User, direction: str, loss: float, status: str
) -> None:
    risk = {"rule_type": "RISK_PER_TRADE", "limit": Decimal("0.01")}
    lots = Decimal(1)
    held = GivenPosition(
        symbol="X", direction=direction, volume_lots=lots, notional=5_000.0, loss_at_stop=loss
    )
    said = answer(alice, GivenNumbers(balance=10_000.0, positions=[held]), **risk)
    assert said.status == status
    assert said.used == pytest.approx(loss)
    bare = GivenPosition(symbol="X", direction=direction, volume_lots=lots, loss_at_stop=loss)
    said = answer(alice, GivenNumbers(balance=10_000.0, positions=[bare]), **risk)
    assert (said.status, said.used) == ("unknown", None)


@pytest.mark.parametrize("has_account", [False, True])
@pytest.mark.parametrize(("minutes", "status"), [(4.99, "critical"), (5.01, "violated")])
def test_it_counts_how_long_a_given_position_has_had_no_stop(
    alice: User, has_account: bool, minutes: float, status: str
) -> None:
    held = GivenPosition(symbol="X", direction="buy", volume_lots=Decimal(1), minutes_open=minutes)
    said = rule_answers(
        user=alice,
        fields={"rule_type": "STOP_LOSS_REQUIRED", "limit": Decimal(5)},
        accounts=[make_account(alice)] if has_account else [],
        numbers=GivenNumbers(balance=10_000.0, positions=[held]),
        now=NOW,
    )[0]
    assert said.status == status
    assert said.used == pytest.approx(minutes, abs=0.001)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"limit": Decimal(2)}, "limit"),
        ({"parameters": {"reference": "luck"}}, "parameters.reference"),
        ({"rule_type": "INACTIVITY", "limit": Decimal(9), "action": "CLOSE_ALL"}, "action"),
    ],
)
def test_it_names_the_field_that_is_wrong(alice: User, fields: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValidationError) as error:
        answer(alice, loss_numbers(1.0), **fields)
    assert set(error.value.message_dict) == {wrong}
    assert not RiskRule.objects.exists()


def test_it_takes_the_reference_from_recorded_deals(alice: User) -> None:
    """Balance 100,000 now, 400 won since the reset at 22:00 UTC: 99,600 then."""
    account = make_account(alice, state="connected")
    leave_readings([account], [], read_at=NOW.timestamp())
    before = datetime(2026, 11, 19, 21, 59, tzinfo=UTC)
    make_deal(account, ticket=1, time_msc=broker_msc(before), type=2, profit=Decimal(100_000))
    after = before + timedelta(hours=2)
    make_deal(account, ticket=2, time_msc=broker_msc(after), profit=Decimal(400))

    said = rule_answers(user=alice, fields=DAILY, accounts=[account], now=NOW)[0]

    assert (said.status, said.floor, said.baselines) == ("caution", 94_600.0, "recorded")
    assert said.used == pytest.approx(99_600.0 - 95_212.4)


def test_it_takes_the_equity_at_the_reset_from_the_last_minute(alice: User) -> None:
    account = make_account(alice, state="connected")
    leave_readings([account], [], read_at=NOW.timestamp())
    reset = datetime(2026, 11, 19, 22, 0, tzinfo=UTC)
    make_deal(account, ticket=1, time_msc=broker_msc(reset - timedelta(days=1)), type=2)
    fields = {**DAILY, "parameters": {"reference": "equity"}}
    ask: dict[str, Any] = {"user": alice, "fields": fields, "accounts": [account], "now": NOW}
    unknown = rule_answers(**ask)[0]
    assert (unknown.status, unknown.baselines) == ("unknown", "unknown")

    row = snapshot(account, reset - timedelta(minutes=1))
    row.balance, row.credit, row.equity = Decimal(100_000), Decimal(0), Decimal(100_700)
    row.save()

    assert rule_answers(**ask)[0].floor == 95_700.0


def test_it_asks_the_database_as_often_for_20_accounts_as_for_2(alice: User) -> None:
    accounts = [make_account(alice, f"A {number}", state="connected") for number in range(20)]
    leave_readings(accounts, [], read_at=NOW.timestamp())
    reset, counts = datetime(2026, 11, 19, 22, 0, tzinfo=UTC), []
    for ticket, account in enumerate(accounts, 1):
        earlier = broker_msc(reset - timedelta(days=1))
        make_deal(account, ticket=ticket, time_msc=earlier, type=2)
        row = snapshot(account, reset - timedelta(minutes=1))
        row.balance, row.credit, row.equity = (
            Decimal(100_000),
            Decimal(0),
            Decimal(100_700 + ticket),
        )
        row.save()
    fields = {**DAILY, "parameters": {"reference": "equity"}}
    for size in (2, 20):
        with CaptureQueriesContext(connection) as queries:
            said = rule_answers(user=alice, fields=fields, accounts=accounts[:size], now=NOW)
        assert [each.floor for each in said] == [95_701.0 + place for place in range(size)]
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_stale_reading_is_not_known(alice: User) -> None:
    account = make_account(alice, state="connected")
    leave_readings([account], [], read_at=NOW.timestamp() - 3)
    fields = {"rule_type": "POSITION_LIMIT", "limit": Decimal(5)}
    said = rule_answers(user=alice, fields=fields, accounts=[account], now=NOW)[0]
    assert (said.status, said.used) == ("unknown", None)
    assert "no fresh reading" in said.sentence


def test_it_asks_of_no_strangers_account(alice: User, bob: User) -> None:
    with pytest.raises(ValidationError, match="not found"):
        rule_answers(user=alice, fields=DAILY, accounts=[make_account(bob)], now=NOW)
