"""How many orders the gate decides in a second, and how long one of them takes.

    python benchmarks/gate.py --accounts 1000 --rules 8

Books and orders are made in memory: 1,000 accounts with 8 rules and 4 positions each, one order of
each account per batch. "decided" is the verdict and the volume of every order; "worded" has the
sentences and numbers of all its checks too, which the ledger keeps. Nothing is written. Orders per
second are those of one core's own time; the latencies are by the clock on the wall.
"""

import argparse
import os
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

RULES: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("MAX_DAILY_LOSS", "0.05", {}),
    ("MAX_DRAWDOWN", "0.10", {"kind": "trailing_intraday_equity"}),
    ("MARGIN_LEVEL", "100", {}),
    ("MAX_POSITION_SIZE", "5", {}),
    ("POSITION_LIMIT", "20", {}),
    ("MAX_LEVERAGE", "30", {}),
    ("MAX_EXPOSURE", "20", {}),
    ("RISK_PER_TRADE", "0.05", {}),
)
SYMBOLS = ("EURUSD", "GBPUSD", "USDCAD")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--rules", type=int, default=8)
    parser.add_argument("--positions", type=int, default=4)
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--singles", type=int, default=500)
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradeguard.settings")
    import django

    django.setup()
    measure(options)


def measure(options: argparse.Namespace) -> None:
    book = build_book(options)
    orders = build_orders(options.accounts)
    print(
        f"{options.accounts} accounts × {options.rules} rules, {options.positions} positions each,"
        f" one order of each account per batch"
    )
    print(f"{'':22}{'orders/cpu s':>14}{'p50 ms':>10}{'p99 ms':>10}{'max ms':>10}")
    from risk.core.gate.deciding import decide
    from risk.gate.intents import intent_of
    from risk.tests.gate_cases import EURUSD

    def intents(first: int, last: int) -> list[Any]:
        return [
            intent_of(orders[row], row, terms=EURUSD, commission_per_lot=3.5, is_expected=True)
            for row in range(first, last)
        ]

    def decided() -> None:
        decide(book, intents(0, len(orders)), ())

    def worded() -> None:
        for decision in decide(book, intents(0, len(orders)), ()):
            assert decision.checks  # noqa: S101

    report("batches, decided", timed(decided, options.batches), options.accounts)
    report("batches, worded", timed(worded, max(options.batches // 4, 2)), options.accounts)
    places = iter(range(10**9))

    def single() -> None:
        row = next(places) % len(orders)
        (decision,) = decide(book, intents(row, row + 1), ())
        assert decision.checks  # noqa: S101

    report("one order, worded", timed(single, options.singles), 1)


def timed(run: Callable[[], None], times: int) -> tuple[list[float], float]:
    """Return how long each run took, and the processor's time for all of them."""
    run()
    seconds, busy = [], time.process_time()
    for _ in range(times):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return seconds, time.process_time() - busy


def report(name: str, measured: tuple[list[float], float], orders: int) -> None:
    import numpy as np

    seconds, busy = measured
    p50, p99 = np.percentile(seconds, [50, 99]) * 1000
    rate = orders * len(seconds) / busy
    print(f"{name:22}{rate:14,.0f}{p50:10.2f}{p99:10.2f}{max(seconds) * 1000:10.2f}")


def build_book(options: argparse.Namespace) -> Any:
    import numpy as np

    from risk.core.account_columns import account_columns
    from risk.core.evaluation import evaluate
    from risk.core.exposures import exposures_of
    from risk.core.gate.book import (
        AccountSheet,
        Book,
        PairStanding,
        RuleLabel,
        rule_columns,
    )
    from risk.core.rule_types import Action
    from risk.core.states import new_state
    from risk.core.surroundings import Surroundings

    reading = build_reading(options.accounts, options.positions)
    table = build_table(options.accounts, options.rules)
    known = account_columns(reading, np.ones(options.accounts, dtype=np.bool_))
    state = new_state(len(table), 0.0)
    start = np.full(len(table), 100_000.0)
    state = replace(state, day_balance=start, day_equity=start, peak=start)
    around = Surroundings(moment=time.time())
    evaluation = evaluate(table, state, known, exposures_of(reading), around)
    count, rows = options.accounts, reading.accounts
    labels = tuple(
        RuleLabel(uuid.uuid4(), f"Rule {number}", Action.REDUCE_SIZE)
        for number in range(options.rules)
    )
    return Book(
        labels=labels,
        columns=rule_columns(table, labels),
        accounts=AccountSheet(
            names=tuple(f"Bench {row}" for row in range(count)),
            servers=("Bench",) * count,
            logins=np.arange(count),
            currencies=("USD",) * count,
            digits=rows["currency_digits"],
            known=known.known,
            age_seconds=np.zeros(count),
            is_connected=known.known,
            is_expected=known.known,
            trade_allowed=rows["trade_allowed"],
            algo_allowed=rows["algo_trading_allowed"],
            is_netting=rows["margin_mode"] != 2,
            leverage=rows["leverage"].astype(np.float64),
            balance=known.balance,
            equity=known.equity,
            margin=known.margin,
            margin_free=np.ascontiguousarray(rows["margin_free"]),
        ),
        table=table,
        standing=PairStanding(
            status=evaluation.status,
            reason=evaluation.reason,
            value=evaluation.value,
            limit=evaluation.limit,
            left=evaluation.left,
            latched=state.latched,
            acknowledged=state.acknowledged,
        ),
        positions=reading.positions,
        orders=reading.orders,
        symbols=reading.symbols,
        surroundings=around,
    )


def build_table(accounts: int, rules: int) -> Any:
    from datetime import time as time_of_day

    import numpy as np

    from risk.core.pairs import AccountTerms, Clock, build_pairs
    from risk.core.parameters import parse_parameters
    from risk.core.rule_types import RuleType

    chosen = [RULES[number % len(RULES)] for number in range(rules)]
    clock = Clock(time_of_day(0, 0), "UTC")
    return build_pairs(
        [parse_parameters(RuleType(kind), Decimal(limit), raw) for kind, limit, raw in chosen],
        [AccountTerms(100_000.0, "UTC", clock)] * accounts,
        np.repeat(np.arange(rules), accounts),
        np.tile(np.arange(accounts), rules),
    )


def build_reading(accounts: int, positions: int) -> Any:
    import numpy as np

    from accounts.sessions.merging import empty_batch
    from accounts.terminals.readings import POSITION_DTYPE, ReadingBatch

    blank = empty_batch(accounts, time.time())
    rows = blank.accounts
    rows["balance"] = rows["equity"] = rows["margin_free"] = 100_000.0
    rows["margin"], rows["leverage"], rows["margin_mode"] = 440.0, 100, 2
    rows["trade_allowed"] = rows["algo_trading_allowed"] = True
    held = np.zeros(accounts * positions, POSITION_DTYPE)
    held["account"] = np.repeat(np.arange(accounts), positions)
    held["symbol"] = np.arange(len(held)) % len(SYMBOLS)
    held["type"] = np.arange(len(held)) // 2 % 2
    held["volume"], held["notional"] = 0.1, 11_000.0
    held["price_open"] = held["price_current"] = 1.1
    held["sl"] = np.where(held["type"] == 1, 1.11, 1.09)
    return ReadingBatch(
        taken_at=blank.taken_at,
        accounts=rows,
        positions=held,
        orders=blank.orders,
        deals=blank.deals,
        prices=blank.prices,
        symbols=SYMBOLS,
        servers=("Bench",),
        currencies=("USD",),
    )


def build_orders(accounts: int) -> list[Any]:
    """Make one order per account, every third of them too large for a rule."""
    from risk.models import Order

    return [
        Order(
            kind=Order.Kind.OPEN,
            symbol="EURUSD",
            direction=Order.Direction.SELL if row % 2 else Order.Direction.BUY,
            requested_volume=Decimal("9.00" if row % 3 == 0 else "0.50"),
            stop_loss=1.11 if row % 2 else 1.09,
        )
        for row in range(accounts)
    ]


if __name__ == "__main__":
    main()
