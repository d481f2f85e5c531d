"""The rules on open positions, each at limit - epsilon, limit and limit + epsilon."""

from dataclasses import replace

import numpy as np
import pytest

from risk.core.rule_types import RuleType
from risk.core.statuses import Reason, Status
from risk.core.surroundings import EMPTY, Correlations
from risk.tests.core_cases import (
    AROUND,
    BUY,
    NOON,
    SELL,
    Row,
    at,
    batch,
    evaluated,
    pairs_of,
    rule,
    state_of,
    terms,
)

EXPOSURE, CORRELATION = RuleType.MAX_EXPOSURE, RuleType.MAX_CORRELATION
RISK, STOP = RuleType.RISK_PER_TRADE, RuleType.STOP_LOSS_REQUIRED
SIZE, COUNT, LEVERAGE = RuleType.MAX_POSITION_SIZE, RuleType.POSITION_LIMIT, RuleType.MAX_LEVERAGE
EURUSD, GBPUSD, USDCAD = range(3)
AT_10_000 = {"balance": 10_000.0}


def held(symbol: int, direction: int, notional: float, **more: object) -> Row:
    return {"symbol": symbol, "type": direction, "volume": 1.0, "notional": notional, **more}


@pytest.mark.parametrize(
    ("more", "status"),
    [(-0.01, Status.CRITICAL), (0.0, Status.CRITICAL), (0.01, Status.VIOLATED)],
)
def test_it_nets_the_exposure_to_one_symbol(more: float, status: Status) -> None:
    positions = [
        held(EURUSD, BUY, 35_000.0 + more),
        held(EURUSD, SELL, 15_000.0),
        held(GBPUSD, SELL, 19_000.0),
    ]
    table = pairs_of([rule(EXPOSURE, "2")])
    result = evaluated(table, state_of(table), batch([AT_10_000], positions))
    assert result.present[0] == status
    assert result.value[0] == pytest.approx(2 + more / 10_000)
    assert (result.symbol[0], result.direction[0]) == (EURUSD, BUY)


@pytest.mark.parametrize(
    ("more", "status"),
    [(-0.01, Status.CRITICAL), (0.0, Status.CRITICAL), (0.01, Status.VIOLATED)],
)
def test_it_adds_the_exposure_to_one_currency_over_symbols(more: float, status: Status) -> None:
    positions = [
        held(EURUSD, BUY, 12_000.0 + more),  # USD -12,000
        held(GBPUSD, BUY, 10_000.0),  # USD -10,000
        held(USDCAD, BUY, 2_000.0),  # USD +2,000
    ]
    table = pairs_of([rule(EXPOSURE, "2", exposure_of="currency")])
    result = evaluated(table, state_of(table), batch([AT_10_000], positions))
    assert result.present[0] == status
    assert result.value[0] == pytest.approx(2 + more / 10_000)
    assert (result.symbol[0], result.direction[0]) == (EURUSD, BUY)


def test_it_narrows_exposure_to_the_names_of_the_rule() -> None:
    positions = [held(EURUSD, BUY, 30_000.0), held(GBPUSD, SELL, 10_000.0)]
    rules = [
        rule(EXPOSURE, "2", symbols=["GBPUSD"]),
        rule(EXPOSURE, "2", exposure_of="currency", symbols=["USD"]),
        rule(EXPOSURE, "2", exposure_of="currency", symbols=["GBP", "JPY"]),
    ]
    table = pairs_of(rules)
    result = evaluated(table, state_of(table), batch([AT_10_000], positions))
    assert list(result.value) == [1.0, 2.0, 1.0]
    assert list(result.symbol) == [GBPUSD, EURUSD, GBPUSD]
    assert list(result.direction) == [SELL, BUY, SELL]


def test_it_counts_an_index_in_its_own_currency_as_no_currency() -> None:
    around = replace(AROUND, currencies={"Demo": {"EURUSD": ("EUR", "EUR")}})
    table = pairs_of([rule(EXPOSURE, "2", exposure_of="currency")])
    reading = batch([AT_10_000], [held(EURUSD, BUY, 90_000.0)])
    result = evaluated(table, state_of(table), reading, surroundings=around)
    assert (result.value[0], result.present[0]) == (0.0, Status.SAFE)


def test_it_knows_no_currency_exposure_without_the_currencies_of_a_held_symbol() -> None:
    around = replace(AROUND, currencies={"Demo": {"EURUSD": ("EUR", "USD")}})
    rules = [rule(EXPOSURE, "2", exposure_of="currency"), rule(EXPOSURE, "2")]
    table = pairs_of(rules, [terms(), terms()])
    positions = [
        held(EURUSD, BUY, 1.0),
        held(GBPUSD, BUY, 1.0),
        held(EURUSD, BUY, 1.0, account=1),
    ]
    reading = batch([AT_10_000, AT_10_000], positions)
    result = evaluated(table, state_of(table), reading, surroundings=around)
    assert list(result.present) == [Status.UNKNOWN, Status.SAFE, Status.SAFE, Status.SAFE]
    assert result.reason[0] == Reason.NO_CURRENCIES


def alike(eur_gbp: float, eur_cad: float = 0.0) -> Correlations:
    matrix = np.array(
        [[1.0, eur_cad, eur_gbp], [eur_cad, 1.0, 0.1], [eur_gbp, 0.1, 1.0]], dtype=np.float64
    )
    return Correlations(("EURUSD", "USDCAD", "GBPUSD"), matrix)


@pytest.mark.parametrize(
    ("coefficient", "status"),
    [(0.799, Status.CRITICAL), (0.8, Status.CRITICAL), (0.801, Status.VIOLATED)],
)
@pytest.mark.parametrize("sides", [(BUY, BUY, 1), (SELL, SELL, 1), (BUY, SELL, -1)])
def test_it_adjusts_correlation_for_direction(
    coefficient: float, status: Status, sides: tuple[int, int, int]
) -> None:
    one, other, sign = sides
    around = replace(AROUND, correlations={"Demo": alike(sign * coefficient)})
    positions = [held(EURUSD, one, 5_000.0), held(GBPUSD, other, 9_000.0)]
    table = pairs_of([rule(CORRELATION, "0.8")])
    reading = batch([AT_10_000], positions)
    result = evaluated(table, state_of(table), reading, surroundings=around)
    assert result.present[0] == status
    assert result.value[0] == pytest.approx(coefficient)
    assert (result.symbol[0], result.direction[0]) == (GBPUSD, other)


@pytest.mark.parametrize(
    "positions",
    [
        [],
        [held(EURUSD, BUY, 5_000.0), held(EURUSD, BUY, 5_000.0)],
        [held(EURUSD, BUY, 5_000.0), held(GBPUSD, SELL, 5_000.0)],
        [
            held(EURUSD, BUY, 5_000.0),
            held(GBPUSD, BUY, 5_000.0),
            held(GBPUSD, SELL, 5_000.0),
        ],
    ],
)
def test_it_sees_no_correlation_in_one_symbol_or_in_a_hedge(positions: list[Row]) -> None:
    around = replace(AROUND, correlations={"Demo": alike(0.9)})
    table = pairs_of([rule(CORRELATION, "0.8")])
    reading = batch([AT_10_000], positions)
    result = evaluated(table, state_of(table), reading, surroundings=around)
    assert (result.value[0], result.buffer[0], result.symbol[0]) == (0.0, 1.0, -1)


def test_it_knows_no_correlation_with_a_symbol_that_has_too_few_returns() -> None:
    positions = [held(symbol, BUY, 5_000.0) for symbol in (EURUSD, GBPUSD, USDCAD)]
    table = pairs_of([rule(CORRELATION, "0.8")])
    reading = batch([AT_10_000], positions)
    for strongest, status in ((0.8, Status.UNKNOWN), (0.81, Status.VIOLATED)):
        known = alike(strongest, np.nan)
        around = replace(AROUND, correlations={"Demo": known})
        result = evaluated(table, state_of(table), reading, surroundings=around)
        assert result.present[0] == status
    without = evaluated(table, state_of(table), reading, surroundings=EMPTY)
    assert (without.present[0], without.reason[0]) == (Status.UNKNOWN, Reason.NO_CORRELATION)


def stopped(symbol: int, direction: int, opened: float, stop: float, **more: object) -> Row:
    """Return one lot of 100,000 of a pair quoted in the account's currency, worth 1.1 each."""
    prices = {"price_open": opened, "price_current": 1.1, "sl": stop}
    return held(symbol, direction, 110_000.0, **prices, **more)


@pytest.mark.parametrize(
    ("balance", "status"),
    [(100_000.1, Status.CRITICAL), (100_000.0, Status.CRITICAL), (99_999.9, Status.VIOLATED)],
)
def test_it_sums_the_risk_at_the_stops_per_symbol(balance: float, status: Status) -> None:
    positions = [
        stopped(EURUSD, BUY, 1.105, 1.1),  # 500
        stopped(EURUSD, SELL, 1.1, 1.105),  # 500
        stopped(EURUSD, BUY, 1.1, 1.12),  # a stop in profit
        stopped(EURUSD, BUY, 1.1, 0.0),  # none at all
        stopped(GBPUSD, BUY, 1.109, 1.1),  # 900
    ]
    table = pairs_of([rule(RISK, "0.01"), rule(RISK, "0.5", symbols=["GBPUSD"])])
    result = evaluated(table, state_of(table), batch([{"balance": balance}], positions))
    assert result.present[0] == status
    assert result.value == pytest.approx([1_000.0, 900.0])
    assert result.limit == pytest.approx([balance / 100, balance / 2])
    assert list(result.symbol) == [EURUSD, GBPUSD]


def test_it_scales_risk_by_the_value_of_the_position_in_account_currency() -> None:
    # 1 lot USDCAD at 1.40 is worth 100,000 USD: 140 pips of CAD are 1,000 USD.
    position = held(
        USDCAD, SELL, 100_000.0, price_open=1.4, price_current=1.4, sl=1.414, profit=0.0
    )
    table = pairs_of([rule(RISK, "0.02")])
    result = evaluated(table, state_of(table), batch([{"balance": 1e5}], [position]))
    assert result.value[0] == pytest.approx(1_000.0)
    assert result.direction[0] == SELL


def test_it_knows_no_risk_without_a_price() -> None:
    table = pairs_of([rule(RISK, "0.01")])
    position = {**stopped(EURUSD, BUY, 1.1, 1.0), "price_current": 0.0}
    result = evaluated(table, state_of(table), batch([AT_10_000], [position]))
    assert (result.present[0], result.reason[0]) == (Status.UNKNOWN, Reason.NO_VALUE)


def opened(minutes_ago: float, broker_hours: float, **more: object) -> Row:
    """Return a position as a terminal tells it whose broker is some hours ahead of UTC."""
    clock = NOON - minutes_ago * 60 + broker_hours * 3_600
    return held(EURUSD, SELL, 1_000.0, time_msc=round(clock * 1_000), **more)


@pytest.mark.parametrize(
    ("minutes", "status"),
    [(4.99, Status.CRITICAL), (5.0, Status.CRITICAL), (5.01, Status.VIOLATED)],
)
def test_it_gives_a_position_some_minutes_to_have_a_stop(minutes: float, status: Status) -> None:
    positions = [opened(minutes, 3), opened(3, 3), opened(90, 3, sl=1.2)]
    table = pairs_of([rule(STOP, "5")])
    result = evaluated(table, state_of(table), batch([AT_10_000], positions))
    assert result.present[0] == status
    assert result.value[0] == pytest.approx(minutes, abs=1e-6)
    assert (result.symbol[0], result.direction[0]) == (EURUSD, SELL)


def test_it_reads_the_opening_by_the_clock_of_each_broker() -> None:
    accounts = [terms(zone="America/New_York+7h"), terms(zone="UTC"), terms(zone="Europe/Prague")]
    positions = [
        {**opened(4, ahead), "account": account} for account, ahead in enumerate((3, 0, 2))
    ]
    table = pairs_of([rule(STOP, "5")], accounts)
    result = evaluated(table, state_of(table), batch([AT_10_000] * 3, positions))
    assert result.value == pytest.approx([4.0, 4.0, 4.0])


@pytest.mark.parametrize(
    ("opened_at", "broker_hours", "now"),
    [
        # New York, and brokers with it: 8 March and 1 November 2026. Over each change, half a day.
        (at(2026, 3, 8, 0), 2, at(2026, 3, 8, 12)),
        (at(2026, 11, 1, 0), 3, at(2026, 11, 1, 12)),
        # Within the hour before the clock goes forward, and before it goes back.
        (at(2026, 3, 8, 6, 59), 2, at(2026, 3, 8, 18, 59)),
        (at(2026, 11, 1, 4, 59), 3, at(2026, 11, 1, 16, 59)),
    ],
)
def test_it_counts_true_minutes_over_clock_changes(
    opened_at: float, broker_hours: int, now: float
) -> None:
    clock = round((opened_at + broker_hours * 3_600) * 1_000)
    table = pairs_of([rule(STOP, "5")])
    reading = batch([AT_10_000], [held(EURUSD, BUY, 1_000.0, time_msc=clock)])
    around = replace(AROUND, moment=now)
    result = evaluated(table, state_of(table), reading, surroundings=around)
    assert result.value[0] == pytest.approx(720.0)


def test_it_is_content_when_every_position_has_a_stop() -> None:
    table = pairs_of([rule(STOP, "5")])
    result = evaluated(table, state_of(table), batch([AT_10_000], [opened(90, 3, sl=1.2)]))
    assert (result.present[0], result.value[0], result.symbol[0]) == (Status.SAFE, 0.0, -1)


def test_it_knows_no_age_without_the_time() -> None:
    table = pairs_of([rule(STOP, "5")])
    reading = batch([AT_10_000], [opened(1, 3)])
    result = evaluated(table, state_of(table), reading, surroundings=EMPTY)
    assert (result.present[0], result.reason[0]) == (Status.UNKNOWN, Reason.NO_MOMENT)


MINE, OTHER = 77, 78


def test_it_counts_only_the_strategy_to_which_a_rule_is_narrowed() -> None:
    positions = [
        stopped(EURUSD, BUY, 1.105, 1.1, magic=MINE, time_msc=round(NOON * 1_000)),
        stopped(EURUSD, BUY, 1.12, 1.1, magic=OTHER),
        stopped(GBPUSD, SELL, 1.1, 1.11, magic=OTHER),
        stopped(GBPUSD, SELL, 1.1, 0.0, magic=0),
    ]
    orders = [
        {"symbol": EURUSD, "type": 2, "volume": 0.5, "magic": MINE},
        {"symbol": EURUSD, "type": 2, "volume": 5.0, "magic": OTHER},
    ]
    kinds = [(SIZE, "9"), (COUNT, "9"), (LEVERAGE, "99"), (EXPOSURE, "99"), (RISK, "0.9")]
    rules = [rule(kind, limit, magic=MINE) for kind, limit in kinds]
    rules += [rule(kind, limit) for kind, limit in kinds]
    rules.append(rule(COUNT, "9", include_pending=True, magic=12345))
    table = pairs_of(rules)
    reading = batch([{"balance": 110_000.0}], positions, orders)
    result = evaluated(table, state_of(table), reading)
    values = {
        (table.rule(pair).rule_type, table.rule(pair).magic): result.value[pair]
        for pair in range(len(table))
    }
    assert [values[kind, MINE] for kind, _ in kinds] == pytest.approx([1.5, 1, 1, 1, 500])
    assert [values[kind, None] for kind, _ in kinds] == pytest.approx([7.5, 4, 4, 2, 2_500])
    assert values[COUNT, 12345] == 0


@pytest.mark.parametrize("kind", [EXPOSURE, CORRELATION, RISK, STOP])
def test_it_knows_nothing_of_an_account_that_was_not_read(kind: RuleType) -> None:
    table = pairs_of([rule(kind, "0.5")])
    reading = batch([AT_10_000], [stopped(EURUSD, BUY, 1.2, 1.1)])
    result = evaluated(table, state_of(table), reading, [False])
    assert (result.present[0], result.reason[0]) == (Status.UNKNOWN, Reason.NO_READING)
    assert np.isnan(result.value[0])
