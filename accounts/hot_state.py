"""The latest state of every account, packed, in one Redis hash per host.

The worker writes the hash once per tick in one command; whoever reads it takes the tables (symbols,
currencies, rules) and the accounts it wants in one command too, so the two always belong together.
The database is the truth: the hash is rebuilt by the next tick.
"""

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from uuid import UUID

import msgpack
import numpy as np

from accounts.redis import readings_key, redis_client, sequences_key
from accounts.terminals.readings import ORDER_DTYPE, POSITION_DTYPE, Rows

TABLES_FIELD = b"tables"
# Layout version, checksum of the names that the indices stand for; rule, position, order rows.
_HEADER = struct.Struct("<BIIII")
_STAMP = struct.Struct("<BI")  # how the header of every layout begins
LAYOUT_VERSION = 6

ACCOUNT_STATE_DTYPE = np.dtype(
    [
        ("read_at", "<f8"),  # UTC epoch seconds of the last accepted reading, NaN = never
        ("currency", "<i4"),  # index into the tables
        ("currency_digits", "<i1"),
        ("leverage", "<i4"),
        ("margin_mode", "<i1"),  # ACCOUNT_MARGIN_MODE_*
        ("trade_mode", "<i1"),  # ACCOUNT_TRADE_MODE_*
        ("trade_allowed", "?"),
        ("algo_trading_allowed", "?"),
        ("balance", "<f8"),
        ("credit", "<f8"),
        ("equity", "<f8"),
        ("profit", "<f8"),
        ("margin", "<f8"),
        ("margin_free", "<f8"),
        ("margin_level", "<f8"),
        ("stop_out_mode", "<i1"),  # ACCOUNT_STOPOUT_MODE_*
        ("stop_out_call", "<f8"),
        ("stop_out_level", "<f8"),
        ("tick_msc", "<i8"),  # newest tick that the terminal knows, by the broker's clock
        # Seconds by which the broker's clock is ahead of the account's zone, NaN = not known now.
        ("clock_offset", "<f8"),
        # Since the worker began: how often the identity was looked at, and was another one.
        ("identity_checks", "<i8"),
        ("identity_failures", "<i8"),
    ]
)

RULE_STATE_DTYPE = np.dtype(
    [
        ("rule", "<i4"),  # index into the tables
        ("status", "<i1"),
        ("present", "<i1"),  # the status that the reading alone gives
        ("reason", "<i1"),  # why it is unknown
        ("latched", "?"),
        ("acknowledged", "?"),
        ("reconstructed", "?"),
        ("value", "<f8"),
        ("used", "<f8"),
        ("limit", "<f8"),
        ("left", "<f8"),
        ("floor", "<f8"),
        ("buffer", "<f8"),
        ("reset_at", "<f8"),  # when the rule's trading day ends, NaN without one
        ("symbol", "<i4"),  # the symbol that the value is about, -1 none
        ("direction", "<i1"),
    ]
)

_DETAIL_DTYPES = (RULE_STATE_DTYPE, POSITION_DTYPE, ORDER_DTYPE)


@dataclass(frozen=True, slots=True)
class Tables:
    """What the indices in the packed rows stand for."""

    evaluated_at: float
    symbols: tuple[str, ...]
    currencies: tuple[str, ...]
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AccountState:
    """One account as the last tick left it; arrays as in the dtypes above."""

    account: np.void
    rules: Rows
    positions: Rows
    orders: Rows
    tables: Tables


def pack_tables(tables: Tables) -> tuple[bytes, int]:
    """Return the packed tables and the checksum that the accounts written with them carry."""
    names = msgpack.packb([tables.symbols, tables.currencies, tables.rules])
    checksum = zlib.crc32(names)
    return msgpack.packb([tables.evaluated_at, checksum, names]), checksum


def _unpack_tables(packed: bytes) -> tuple[Tables, int]:
    evaluated_at, checksum, names = msgpack.unpackb(packed)
    listed = (tuple(each) for each in msgpack.unpackb(names))
    return Tables(evaluated_at, *listed), checksum


@dataclass(frozen=True, slots=True)
class Details:
    """Rows sorted by account, and where each account's begin: one entry more than accounts."""

    rows: Rows
    offsets: Sequence[int]

    def packed(self) -> list[bytes]:
        """Return the bytes of each account's rows; one buffer sliced is far faster than rows."""
        size, memory, offsets = self.rows.itemsize, self.rows.tobytes(), self.offsets
        return [memory[first * size : last * size] for first, last in pairwise(offsets)]

    def counts(self) -> list[int]:
        return [last - first for first, last in pairwise(self.offsets)]


def pack_accounts(
    fields: Sequence[bytes],
    checksum: int,
    accounts: Rows,
    *,
    rules: Details,
    positions: Details,
    orders: Details,
) -> dict[bytes, bytes]:
    """Return one packed value per account, keyed by its id."""
    own = Details(accounts, range(len(accounts) + 1)).packed()
    counts = zip(rules.counts(), positions.counts(), orders.counts(), strict=True)
    details = zip(rules.packed(), positions.packed(), orders.packed(), strict=True)
    header, join = _HEADER.pack, b"".join
    return {
        field: join((header(LAYOUT_VERSION, checksum, *counted), account, *rows))
        for field, account, counted, rows in zip(fields, own, counts, details, strict=True)
    }


def unpack_account(value: bytes, tables: Tables, checksum: int) -> AccountState | None:
    """Return the state in `value`, None when it does not belong to these tables.

    So it is for an account that a restarted worker has not seen yet, and after an update.
    """
    version, written_with = _STAMP.unpack_from(value)
    if (version, written_with) != (LAYOUT_VERSION, checksum):
        return None
    _, _, *counts = _HEADER.unpack_from(value)
    start = _HEADER.size
    account = np.frombuffer(value, ACCOUNT_STATE_DTYPE, 1, start)[0]
    start += ACCOUNT_STATE_DTYPE.itemsize
    details = []
    for dtype, count in zip(_DETAIL_DTYPES, counts, strict=True):
        details.append(np.frombuffer(value, dtype, count, start))
        start += count * dtype.itemsize
    rules, positions, orders = details
    return AccountState(account, rules, positions, orders, tables)


def read_accounts(account_ids_by_host: Mapping[str, Sequence[UUID]]) -> dict[UUID, AccountState]:
    """Return the last state of these accounts; one that was never written is left out.

    One round trip for all hosts. Raises redis.RedisError when Redis is away.
    """
    hosts = [host for host, ids in account_ids_by_host.items() if ids]
    if not hosts:
        return {}
    pipeline = redis_client().pipeline(transaction=False)
    for host in hosts:
        fields = [str(account_id) for account_id in account_ids_by_host[host]]
        pipeline.hmget(readings_key(host), [TABLES_FIELD, *fields])
    found = {}
    answers: list[list[Any]] = pipeline.execute()
    for host, (packed_tables, *values) in zip(hosts, answers, strict=True):
        if packed_tables is None:
            continue
        tables, checksum = _unpack_tables(packed_tables)
        for account_id, value in zip(account_ids_by_host[host], values, strict=True):
            state = unpack_account(value, tables, checksum) if value is not None else None
            if state is not None:
                found[account_id] = state
    return found


def read_sequences(kind: str, ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return how many updates of each group or account were published."""
    if not ids:
        return {}
    values: Any = redis_client().hmget(sequences_key(kind), [str(each) for each in ids])
    return {each: int(value) for each, value in zip(ids, values, strict=True) if value is not None}
