"""Measure the simulated broker: marking to market, orders, and the batch read.

Run it from the repository: ``python -m benchmarks.broker [--accounts N]``.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.catalogue import CONTRACTS
from accounts.terminals.simulated.server import TradeServer
from accounts.terminals.simulated.wire import decode, encode

SERVER = "Northwind-Demo"
SYMBOLS = [contract.name for contract in CONTRACTS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--positions", type=int, default=3)
    options = parser.parse_args()
    for accounts in options.accounts:
        print(f"{accounts} accounts × {options.positions} positions")
        _measure_size(accounts, options.positions)
    _measure_orders()


def _measure_size(accounts: int, positions: int) -> None:
    server = TradeServer(feed=False)
    logins = np.arange(1, accounts + 1, dtype=np.int64)
    for login in logins.tolist():
        server.create_account(login, "password", SERVER, f"Account {login}", deposit=100_000.0)
    for number in range(positions):
        for login in logins.tolist():
            _send(server, login, SYMBOLS[(login + number) % len(SYMBOLS)], login % 2)
    cursors = np.full(accounts, 2**40, dtype=np.int64)
    prices = iter(range(10**9))

    def tick() -> None:
        move = next(prices) % 100 * 1e-5
        server.set_prices("EURUSD", 1.08774 + move, 1.08782 + move)

    _report("mark to market, one price tick", tick)
    _report("batch read", lambda: server.read_batch(logins, cursors))
    plain = server.call("read_batch", logins, cursors)
    print(f"  {'batch on the wire':<32} {len(encode(plain)) / 1e6:8.2f} MB")
    _report("encode and decode a batch", lambda: decode(encode(plain)))
    one_new = iter(range(10**9))

    def read_after_a_trade() -> None:
        _send(server, 1, SYMBOLS[next(one_new) % len(SYMBOLS)], next(one_new) % 2)
        server.read_batch(logins, cursors)

    _report("order and batch read", read_after_a_trade, rounds=20)


def _measure_orders() -> None:
    print("orders (open and close of one account)")
    with tempfile.TemporaryDirectory() as folder:
        for name, home in (("in memory", None), ("journaled", Path(folder))):
            server = TradeServer(feed=False, home=home)
            server.create_account(1, "password", SERVER, "Account", deposit=100_000.0)
            began = time.perf_counter()
            for _ in range(500):
                ticket = _send(server, 1, "EURUSD", mt5.ORDER_TYPE_BUY)
                _send(server, 1, "EURUSD", mt5.ORDER_TYPE_SELL, ticket)
            rate = 1_000 / (time.perf_counter() - began)
            print(f"  {name:<32} {rate:8.0f} orders per second")


def _send(server: TradeServer, login: int, symbol: str, side: int, position: int = 0) -> int:
    request = {"action": mt5.TRADE_ACTION_DEAL, "symbol": symbol, "volume": 0.1, "type": side,
               "type_filling": mt5.ORDER_FILLING_FOK, "position": position}  # fmt: skip
    result = server.call("order_send", login, request)
    if result[0] != mt5.TRADE_RETCODE_DONE:
        raise RuntimeError(f"the order was refused: {result}")
    return int(result[2])


def _report(name: str, work: Callable[[], object], rounds: int = 50) -> None:
    work()
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    p50, p99 = np.percentile(taken, [50, 99])
    print(f"  {name:<32} {p50:8.2f} ms p50 {p99:8.2f} ms p99")


if __name__ == "__main__":
    main()
