"""The books of a small desk as version 1 of the broker left them on disk, killed at work.

Two accounts and their positions are in the snapshot; the journal closes a part of one, opens a
third account with a position of its own and moves the euro.
"""

import struct
import zlib
from pathlib import Path
from typing import Any

import msgpack

from accounts.terminals.simulated.rights import password_digest
from accounts.tests.simulated_desk import PASSWORD, SERVER

TIME_MSC = 1_795_007_200_000
QUOTES = [
    [1.08774, 1.08782], [1.2712, 1.27132], [1.3641, 1.36425], [151.42, 151.431], [0.8984, 0.89854],
    [0.5888, 0.58896], [0.6521, 0.65222], [0.8557, 0.85584],
]  # fmt: skip

_ACCOUNT = (
    "login q, server i, name O, currency i, currency_digits b, leverage i, trade_mode b, "
    "margin_mode b, balance d, credit d, floating d, margin d, stop_out_mode b, stop_out_call d, "
    "stop_out_level d, commission_per_lot d, position_limit i, trade_allowed ?, investor ?, "
    "algo_trading ?, enabled ?, last_deal q, password O, investor_password O, robot O"
)
_POSITION = (
    "account i, ticket q, identifier q, symbol i, type b, volume d, price_open d, sl d, tp d, "
    "swap d, magic q, reason b, time_msc q, time_update_msc q, margin_rate d, comment O"
)
_DERIVED = (
    "live ?, sign d, units d, pair i, side i, money_scale d, sl_edge d, tp_edge d, "
    "price_current d, profit d"
)
_ORDER = (
    "account i, ticket q, symbol i, type b, filling b, type_time b, state b, reason b, magic q, "
    "position q, position_by q, time_setup_msc q, time_done_msc q, time_expiration q, "
    "volume_initial d, volume_current d, price_open d, price_stoplimit d, sl d, tp d, "
    "price_current d, comment O"
)
_DEAL = (
    "account i, ticket q, order q, position q, time_msc q, type b, entry b, reason b, symbol i, "
    "volume d, price d, commission d, swap d, profit d, fee d, magic q, comment O"
)


def write_books(home: Path) -> None:
    """Write the snapshot and the journal of version 1 into a broker's home."""
    folder = home / "journal"
    folder.mkdir(parents=True)
    history: list[bytes] = [b""] * len(QUOTES)
    snapshot = msgpack.packb((_books(), history, None))
    (folder / "books-00000003.snapshot").write_bytes(_frame(snapshot))
    frames = b"".join(_frame(msgpack.packb(batch)) for batch in _batches())
    (folder / "books-00000003.journal").write_bytes(frames)


def _books() -> Any:
    accounts = [
        _account(1001, 0, balance=9_998.4, last_deal=30_000_003),
        _account(1002, 1, balance=9_999.1, last_deal=30_000_004, commission_per_lot=3.0,
                 robot='{"strategy": "grid"}'),
    ]  # fmt: skip
    euro = _position(0, 50_000_001, 0, 0, 0.3, 1.08782, 1.08782, comment="kept")
    yen = _position(1, 50_000_002, 3, 1, 0.3, 151.42, 0.9192697321248, tp=120.0)
    derived = {"live": True, "sign": 1.0, "units": 30_000.0, "money_scale": 100.0}
    # "pair" numbers currencies of a shorter list than today's.
    positions = [
        {**euro, **derived, "pair": 0, "side": 0, "sl_edge": float("-inf"),
         "tp_edge": float("inf")},
        {**yen, **derived, "sign": -1.0, "units": -30_000.0, "pair": 25, "side": 7,
         "sl_edge": float("-inf"), "tp_edge": -120.0},
    ]  # fmt: skip
    tables = {
        "accounts": _table(_ACCOUNT, accounts),
        "positions": _table(f"{_POSITION}, {_DERIVED}", positions),
        "orders": _table(_ORDER, []),
        "order_history": _table(_ORDER, [_order(0, 50_000_001, 0, 0, 0.3, 1.08782)]),
        "deals": _table(_DEAL, [
            _deal(0, 30_000_001, type=2, profit=9_998.4),
            _deal(1, 30_000_002, type=2, profit=10_000.0),
            _deal(0, 30_000_003, order=50_000_001, position=50_000_001, symbol=0, volume=0.3,
                  price=1.08782),
            _deal(1, 30_000_004, order=50_000_002, position=50_000_002, symbol=3, volume=0.3,
                  price=151.42, type=1, commission=-0.9),
        ]),
    }  # fmt: skip
    return msgpack.packb((tables, [SERVER], 50_000_003, 30_000_005, QUOTES))


def _batches() -> list[list[tuple[Any, ...]]]:
    moved = [[1.09, 1.0901], *QUOTES[1:]]
    return [
        [
            ("H", _order(0, 50_000_003, 0, 1, 0.1, 1.08774)),
            ("D", _deal(0, 30_000_005, order=50_000_003, position=50_000_001, symbol=0, type=1,
                        entry=1, volume=0.1, price=1.08774, profit=-0.8)),
            ("a", 0, {"balance": 9_997.6}),
            ("p", 50_000_001, {"volume": 0.2, "swap": 0.0, "time_update_msc": TIME_MSC}),
        ],
        [
            ("A", SERVER, _account(1003, 0, leverage=30)),
            ("D", _deal(2, 30_000_006, type=2, profit=500.0)),
            ("a", 2, {"balance": 500.0}),
        ],
        [
            ("H", _order(2, 50_000_004, 6, 0, 0.02, 0.65222)),
            ("D", _deal(2, 30_000_007, order=50_000_004, position=50_000_004, symbol=6,
                        volume=0.02, price=0.65222)),
            ("P", _position(2, 50_000_004, 6, 0, 0.02, 0.65222, 0.65222)),
        ],
        [("Q", moved, None)],
    ]  # fmt: skip


def _account(login: int, currency: int, **more: Any) -> dict[str, Any]:
    return {
        **_filled(_ACCOUNT), "login": login, "name": f"Account {login}", "currency": currency,
        "currency_digits": 2, "leverage": 100, "margin_mode": 2, "stop_out_call": 100.0,
        "stop_out_level": 50.0, "trade_allowed": True, "algo_trading": True, "enabled": True,
        "password": password_digest(login, PASSWORD), "investor_password": b"", **more,
    }  # fmt: skip


def _position(
    account: int, ticket: int, symbol: int, side: int, lots: float, price: float, rate: float,
    **more: Any,
) -> dict[str, Any]:  # fmt: skip
    return {
        **_filled(_POSITION), "account": account, "ticket": ticket, "identifier": ticket,
        "symbol": symbol, "type": side, "volume": lots, "price_open": price, "margin_rate": rate,
        "reason": 3, "time_msc": TIME_MSC, "time_update_msc": TIME_MSC, **more,
    }  # fmt: skip


def _order(account: int, ticket: int, symbol: int, side: int, lots: float, price: float) -> Any:
    return {
        **_filled(_ORDER), "account": account, "ticket": ticket, "symbol": symbol, "type": side,
        "state": 4, "reason": 3, "position": ticket, "time_setup_msc": TIME_MSC,
        "time_done_msc": TIME_MSC, "volume_initial": lots, "price_open": price,
    }  # fmt: skip


def _deal(account: int, ticket: int, **more: Any) -> dict[str, Any]:
    blank = {**_filled(_DEAL), "account": account, "ticket": ticket, "time_msc": TIME_MSC}
    return {**blank, "symbol": -1, **more}


def _filled(columns: str) -> dict[str, Any]:
    blank: dict[str, Any] = {"O": "", "d": 0.0, "?": False}
    return {name: blank.get(code, 0) for name, code in _split(columns)}


def _table(columns: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    packed: dict[str, Any] = {}
    for name, code in _split(columns):
        column = [row.get(name, 0) for row in rows]
        packed[name] = column if code == "O" else struct.pack(f"<{len(column)}{code}", *column)
    return packed


def _split(columns: str) -> list[tuple[str, str]]:
    return [(name, code) for name, code in (column.split() for column in columns.split(","))]


def _frame(payload: bytes) -> bytes:
    return struct.pack("<II", len(payload), zlib.crc32(payload)) + payload
