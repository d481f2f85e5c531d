"""Measure the simulated broker: prices, orders, the batch read, and coming back from disk.

Run it from the repository: ``python -m benchmarks.broker [--accounts N ...]``. Every account has
positions with stops and an order that waits.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.books.journal import Journal
from accounts.terminals.simulated.link import BrokerLink
from accounts.terminals.simulated.server import TradeServer
from accounts.terminals.simulated.service.client import RemoteBroker
from accounts.terminals.simulated.service.wire import decode, encode

SERVER = "Northwind-Demo"
SYMBOLS = (
    "EURUSD", "GBPUSD", "USDCAD", "USDJPY", "USDCHF", "NZDUSD", "AUDUSD", "EURGBP",
)  # fmt: skip
CLIENTS = 8
ORDERS_PER_CLIENT = 300
ORDERS = 1_000
EXPIRING_ORDERS = 10_000
TRIGGERED_ORDERS = 4_000
CROWDED_POSITIONS = 4_000  # of one account
_WIDE = 0.5  # stops and waiting orders lie so far from the price that they rest


class Clock:
    """Moves only when the benchmark moves it: a Wednesday, so that markets are open."""

    def __init__(self) -> None:
        self.now = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--positions", type=int, default=3)
    options = parser.parse_args()
    print(f"{'':<46} {'p50':>9} {'p95':>9} {'p99':>9}")
    for accounts in options.accounts:
        print(f"{accounts} accounts × {options.positions} positions, an order waiting for each")
        _measure_size(accounts, options.positions)
    print("all at once, in one price tick")
    for accounts in options.accounts:
        _measure_stop_out(accounts, options.positions)
    _measure_stop_out(1, CROWDED_POSITIONS)
    _measure_triggers()
    _measure_orders()
    _measure_process()


def _measure_size(accounts: int, positions: int) -> None:
    clock = Clock()
    server = TradeServer(clock=clock)
    logins = np.arange(1, accounts + 1, dtype=np.int64)
    _fill(server, logins.tolist(), positions)
    cursors = np.full(accounts, 2**40, dtype=np.int64)
    numbers = count()

    def tick() -> None:
        move = next(numbers) % 100 * 1e-5
        server.set_prices("GBPUSD", 1.2712 + move, 1.27132 + move)

    def feed_round() -> None:
        clock.now += 0.1
        server.step()

    def order_and_read() -> None:
        _deal(server, 1, SYMBOLS[next(numbers) % len(SYMBOLS)], next(numbers) % 2)
        server.read_batch(logins, cursors)

    _report("mark to market, one price tick", tick)
    _report("feed round of all symbols", feed_round)
    _report("batch read", lambda: server.read_batch(logins, cursors))
    _measure_wire(server.call("read_batch", logins, cursors))
    _report("order and batch read", order_and_read, rounds=20)
    round_trips = _round_trips(server, logins.tolist())
    _report("order in these books, in memory", partial(next, round_trips), rounds=ORDERS)
    _report("history of one account", lambda: _history(server, 7), rounds=200)
    _measure_recovery(server, clock)


def _measure_wire(batch: dict[str, Any]) -> None:
    size = len(encode(batch)) / 1e6
    _report(f"encode and decode a batch of {size:.2f} MB", lambda: decode(encode(batch)))


def _measure_recovery(server: TradeServer, clock: Clock) -> None:
    engine = server._engine
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        snapshot = engine._snapshot()
        Journal(Path(folder) / "journal").rotate(snapshot)
        taken = (time.perf_counter() - began) * 1000
        print(f"  {'snapshot':<44} {len(snapshot) / 1e6:9.2f} MB in {taken:.0f} ms")
        _report("recovery from it", lambda: _recover(Path(folder), clock), rounds=5)


def _recover(home: Path, clock: Clock) -> None:
    TradeServer(clock=clock, home=home)


def _measure_orders() -> None:
    print("orders, of one account")
    with tempfile.TemporaryDirectory() as folder:
        for name, home in (("in memory", None), ("journaled", Path(folder))):
            server = TradeServer(feed=False, home=home, clock=Clock())
            server.create_account(1, "password", SERVER, "Account", deposit=100_000.0)
            for kind, orders in (
                ("opened and closed in turn", _round_trips(server, [1])),
                ("left to wait and removed in turn", _placed_and_removed(server)),
            ):
                _report(f"{kind}, {name}", partial(next, orders), rounds=ORDERS, rate=True)
    _measure_expiry()


def _measure_expiry() -> None:
    clock = Clock()
    server = TradeServer(feed=False, clock=clock)
    server.create_account(1, "password", SERVER, "Account", deposit=100_000.0)
    for _ in range(EXPIRING_ORDERS):
        _leave_waiting(server, 1, "EURUSD", 1.0, type_time=mt5.ORDER_TIME_DAY)
    clock.now += 86_400.0
    began = time.perf_counter()
    server.step()
    taken = (time.perf_counter() - began) * 1000
    _print_row(f"{EXPIRING_ORDERS} orders that expire in one step", [taken])


def _measure_stop_out(accounts: int, positions: int) -> None:
    """Let every account lose more than it has, all of them in the same tick."""
    server, lots = TradeServer(feed=False, clock=Clock()), 0.01
    for login in range(1, accounts + 1):
        deposit = 15.0 * positions  # a position takes about 11 of it as its margin
        server.create_account(login, "password", SERVER, "Account", deposit=deposit)
        for _ in range(positions):
            _deal(server, login, "EURUSD", mt5.ORDER_TYPE_BUY, volume=lots)
    _measure_fall(server, f"stop-out of {accounts} × {positions} positions", 0.9)


def _measure_triggers() -> None:
    server = TradeServer(feed=False, clock=Clock())
    for login in range(1, TRIGGERED_ORDERS + 1):
        server.create_account(login, "password", SERVER, "Account", deposit=100_000.0)
        _leave_waiting(server, login, "EURUSD", 1.0)
    _measure_fall(server, f"{TRIGGERED_ORDERS} waiting orders that are reached", 0.999)


def _measure_fall(server: TradeServer, name: str, bid: float) -> None:
    began = time.perf_counter()
    server.set_prices("EURUSD", bid, bid + 0.0001)
    _print_row(name, [(time.perf_counter() - began) * 1000])


def _measure_process() -> None:
    """Let clients hammer a broker process, kill it, and see how long a restart takes."""
    accounts = [{"login": login, "password": "password", "server": SERVER, "name": "Account",
                 "deposit": 100_000.0} for login in range(1, CLIENTS + 1)]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "accounts.json").write_text(json.dumps(accounts))
        process = _started(home)
        broker = RemoteBroker(home / "broker.json", timeout_seconds=30.0)
        taken: list[float] = []
        threads = [threading.Thread(target=_hammer, args=(broker, login, taken))
                   for login in range(1, CLIENTS + 1)]  # fmt: skip
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - began
        _print_row(f"journaled, {CLIENTS} clients of a process", taken, len(taken) / seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
        broker.close()
        began = time.perf_counter()
        again = _started(home)
        _print_row("restart of the killed process", [(time.perf_counter() - began) * 1000])
        again.send_signal(signal.SIGTERM)
        again.wait()


def _started(home: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(  # noqa: S603 (our own module)
        [sys.executable, "-m", "accounts.terminals.simulated", "--home", str(home), "--accounts",
         str(home / "accounts.json"), "--always-open"],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    if process.stdout is None or not process.stdout.readline().startswith("broker ready"):
        raise RuntimeError("the broker did not start")
    return process


def _hammer(broker: RemoteBroker, login: int, taken: list[float]) -> None:
    orders = _round_trips(broker, [login])
    for _ in range(ORDERS_PER_CLIENT):
        began = time.perf_counter()
        next(orders)
        taken.append((time.perf_counter() - began) * 1000)


def _fill(server: TradeServer, logins: list[int], positions: int) -> None:
    for login in logins:
        server.create_account(login, "password", SERVER, f"Account {login}", deposit=100_000.0)
    quotes = {symbol: server.call("symbol_tick", 1, symbol)[1:3] for symbol in SYMBOLS}
    for number in range(positions):
        for login in logins:
            symbol, side = SYMBOLS[(login + number) % len(SYMBOLS)], login % 2
            bid = quotes[symbol][0]
            below, above = round(bid * (1 - _WIDE), 3), round(bid * (1 + _WIDE), 3)
            _deal(server, login, symbol, side, sl=(below, above)[side], tp=(above, below)[side])
    for login in logins:
        symbol = SYMBOLS[login % len(SYMBOLS)]
        _leave_waiting(server, login, symbol, round(quotes[symbol][0] * (1 - _WIDE), 3))


def _round_trips(broker: BrokerLink, logins: list[int]) -> Iterator[int]:
    """Send an order whenever asked: open a position, then close it."""
    for number in count():
        login = logins[number % len(logins)]
        ticket = _deal(broker, login, "EURUSD", mt5.ORDER_TYPE_BUY)
        yield ticket
        yield _deal(broker, login, "EURUSD", mt5.ORDER_TYPE_SELL, position=ticket)


def _placed_and_removed(broker: BrokerLink) -> Iterator[int]:
    """Send an order whenever asked: one that waits, then its removal."""
    while True:
        ticket = _leave_waiting(broker, 1, "EURUSD", 1.0)
        yield ticket
        yield _send(broker, 1, {"action": mt5.TRADE_ACTION_REMOVE, "order": ticket})


def _history(server: TradeServer, login: int) -> object:
    return server.call("history_deals", login, 0, 4_000_000_000, None, None, None)


def _deal(broker: BrokerLink, login: int, symbol: str, side: int, **more: Any) -> int:
    return _send(broker, login, {
        "action": mt5.TRADE_ACTION_DEAL, "symbol": symbol, "volume": 0.1, "type": side,
        "type_filling": mt5.ORDER_FILLING_FOK, **more,
    })  # fmt: skip


def _leave_waiting(broker: BrokerLink, login: int, symbol: str, price: float, **more: Any) -> int:
    return _send(broker, login, {
        "action": mt5.TRADE_ACTION_PENDING, "symbol": symbol, "volume": 0.1, "price": price,
        "type": mt5.ORDER_TYPE_BUY_LIMIT, "type_filling": mt5.ORDER_FILLING_RETURN, **more,
    })  # fmt: skip


def _send(broker: BrokerLink, login: int, request: dict[str, Any]) -> int:
    result = broker.call("order_send", login, request)
    if result[0] not in (mt5.TRADE_RETCODE_DONE, mt5.TRADE_RETCODE_PLACED):
        raise RuntimeError(f"the order was refused: {result}")
    return int(result[2])


def _report(name: str, work: Callable[[], object], rounds: int = 50, *, rate: bool = False) -> None:
    work()
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    _print_row(name, taken, 1000 * len(taken) / sum(taken) if rate else None)


def _print_row(name: str, taken: list[float], per_second: float | None = None) -> None:
    figures = " ".join(f"{figure:9.3f}" for figure in np.percentile(taken, [50, 95, 99]))
    speed = f"{per_second:9.0f} per second" if per_second else ""
    print(f"  {name:<44} {figures} ms{speed}")


if __name__ == "__main__":
    main()
