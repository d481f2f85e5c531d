"""kill -9: whatever the moment, each acknowledged order is in the books, exactly once."""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accounts.terminals.link import LinkError
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.service.client import RemoteBroker
from accounts.tests.books_audit import audit, books_of
from accounts.tests.simulated_desk import PASSWORD, SERVER, Desk

REPOSITORY = Path(__file__).parents[2]
HEDGING, NETTING = 1001, 1002
KILLS = 6
ACCOUNTS = [
    {"login": HEDGING, "password": PASSWORD, "server": SERVER, "name": "H", "deposit": 50_000.0},
    {"login": NETTING, "password": PASSWORD, "server": SERVER, "name": "N", "deposit": 50_000.0,
     "margin_mode": mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING},
]  # fmt: skip
ACCEPTED = (mt5.TRADE_RETCODE_DONE, mt5.TRADE_RETCODE_PLACED, mt5.TRADE_RETCODE_DONE_PARTIAL)
Request = dict[str, Any]


class Trader(threading.Thread):
    """Sends orders until the connection breaks; notes down what was acknowledged."""

    def __init__(self, broker: RemoteBroker, login: int, seed: int) -> None:
        super().__init__(daemon=True)
        self._broker = broker
        self._login = login
        self._random = random.Random(seed)
        self._name = f"{login}/{seed}"
        self.sent = 0
        self.acknowledged: dict[str, int] = {}  # the comment that we sent: the order's ticket
        self.kinds: Counter[str] = Counter()
        self.removed: list[int] = []
        self._waiting: dict[int, float] = {}  # the price that was acknowledged last
        self._in_doubt = 0

    def run(self) -> None:
        kinds: list[Callable[[], Request | None]] = [
            self._opening, self._opening, self._close, self._waiting_order, self._change,
            self._removal, self._close_by,
        ]  # fmt: skip
        try:
            while True:
                kind = self._random.choice(kinds)
                request = kind()
                if request is not None:
                    self._send(kind.__name__, request)
        except LinkError:
            return

    def check(self, rows: dict[int, dict[str, Any]]) -> None:
        """Compare what was acknowledged with the orders in the books, by ticket."""
        ours = Counter(row["comment"] for row in rows.values())
        for comment, ticket in self.acknowledged.items():
            assert ours[comment] == 1, comment
            assert rows[ticket]["comment"] == comment
        # At most the order whose answer was cut off is there besides.
        named = [name for name in ours if name.startswith(f"{self._name}:")]
        assert set(named) - set(self.acknowledged) <= {f"{self._name}:{self.sent}"}
        for ticket in self.removed:
            assert rows[ticket]["state"] == mt5.ORDER_STATE_CANCELED
        for ticket, price in self._waiting.items():
            if ticket != self._in_doubt:
                assert rows[ticket]["state"] == mt5.ORDER_STATE_PLACED
                assert rows[ticket]["price_open"] == price

    def _send(self, kind: str, request: Request) -> None:
        self.sent += 1
        comment = f"{self._name}:{self.sent}"
        self._in_doubt = request.get("order", 0)
        result = self._broker.call("order_send", self._login, {**request, "comment": comment})
        self._in_doubt = 0
        if result[0] not in ACCEPTED:
            return
        self.kinds[kind] += 1
        if request["action"] == mt5.TRADE_ACTION_REMOVE:
            del self._waiting[request["order"]]
            self.removed.append(request["order"])
        elif request["action"] == mt5.TRADE_ACTION_MODIFY:
            self._waiting[request["order"]] = request["price"]
        else:
            self.acknowledged[comment] = result[2]
            if request["action"] == mt5.TRADE_ACTION_PENDING:
                self._waiting[result[2]] = request["price"]

    def _opening(self) -> Request:
        # On the netting account these increase, reduce, close and turn round one position.
        return {"action": mt5.TRADE_ACTION_DEAL, "symbol": "EURUSD",
                "volume": self._random.randint(1, 9) / 100, "type": self._random.randint(0, 1),
                "type_filling": mt5.ORDER_FILLING_FOK}  # fmt: skip

    def _close(self) -> Request | None:
        held = self._held()
        if not held:
            return None
        ticket, side, lots = self._random.choice(held)
        part = 0.01 if self._random.random() < 0.7 else lots
        return {"action": mt5.TRADE_ACTION_DEAL, "symbol": "EURUSD", "volume": part,
                "type": 1 - side, "position": ticket,
                "type_filling": mt5.ORDER_FILLING_FOK}  # fmt: skip

    def _close_by(self) -> Request | None:
        held = self._held()
        long = [ticket for ticket, side, _ in held if side == mt5.POSITION_TYPE_BUY]
        short = [ticket for ticket, side, _ in held if side == mt5.POSITION_TYPE_SELL]
        if not long or not short:
            return None
        return {"action": mt5.TRADE_ACTION_CLOSE_BY, "position": self._random.choice(long),
                "position_by": self._random.choice(short)}  # fmt: skip

    def _waiting_order(self) -> Request:
        return {"action": mt5.TRADE_ACTION_PENDING, "symbol": "EURUSD", "volume": 0.01,
                "type": mt5.ORDER_TYPE_BUY_LIMIT, "price": self._far_price(),
                "type_filling": mt5.ORDER_FILLING_RETURN}  # fmt: skip

    def _change(self) -> Request | None:
        if not self._waiting:
            return None
        return {"action": mt5.TRADE_ACTION_MODIFY, "symbol": "EURUSD",
                "order": self._random.choice(list(self._waiting)),
                "price": self._far_price()}  # fmt: skip

    def _removal(self) -> Request | None:
        if not self._waiting:
            return None
        order = self._random.choice(list(self._waiting))
        return {"action": mt5.TRADE_ACTION_REMOVE, "order": order}

    def _far_price(self) -> float:
        return round(0.5 + self._random.randint(0, 999) / 10_000, 5)

    def _held(self) -> list[tuple[int, int, float]]:
        rows = self._broker.call("positions", self._login, None, None, None)
        return [(row[0], row[5], row[9]) for row in rows]


def _start(home: Path) -> tuple[subprocess.Popen[str], RemoteBroker]:
    (home / "accounts.json").write_text(json.dumps(ACCOUNTS))
    command = [sys.executable, "-m", "accounts.terminals.simulated", "--home", str(home),
               "--accounts", str(home / "accounts.json"), "--always-open"]  # fmt: skip
    process = subprocess.Popen(  # noqa: S603 (our own module)
        command, cwd=REPOSITORY, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("broker ready")
    return process, RemoteBroker(home / "broker.json")


def _orders_in_books(home: Path) -> dict[int, dict[str, Any]]:
    """Read the books that a killed process left, as a restart does, and check them."""
    books = books_of(Desk(home=home).server)
    audit(books)
    tables = (books.orders, books.order_history)
    rows = [table.row(row) for table in tables for row in range(len(table))]
    return {row["ticket"]: row for row in rows}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def test_it_loses_no_acknowledged_order_whenever_it_is_killed(home: Path) -> None:
    moments = random.Random(7)
    past: list[Trader] = []
    kinds: Counter[str] = Counter()
    for kill in range(KILLS):
        process, broker = _start(home)
        traders = [Trader(broker, login, kill * 2 + number)
                   for number, login in enumerate((HEDGING, NETTING))]  # fmt: skip
        for trader in traders:
            trader.start()
        time.sleep(moments.uniform(0.15, 0.6))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=10)
        for trader in traders:
            trader.join(10)
            kinds += trader.kinds
        broker.close()

        rows = _orders_in_books(home)
        for trader in traders:
            trader.check(rows)
            assert trader.acknowledged
        for trader in past:
            assert set(trader.acknowledged.values()) <= set(rows)
        past += traders
    assert set(kinds) == {
        "_opening", "_close", "_waiting_order", "_change", "_removal", "_close_by",
    }  # fmt: skip
