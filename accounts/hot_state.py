"""The latest state of every account, packed, in one Redis hash per host.

The worker writes the hash once per tick in one command; whoever reads it takes the tables (symbols,
currencies, rules) and the accounts it wants in one command too, so the two always belong together.
The database is the truth: the hash is rebuilt by the next tick.
"""

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgpack
import numpy as np

from accounts.redis import readings_key, redis_client, sequences_key
from accounts.terminals.readings import POSITION_DTYPE, Rows

TABLES_FIELD = b"tables"
# Layout version, checksum of the names that the indices stand for, rule rows, position rows.
_HEADER = struct.Struct("<BIII")
LAYOUT_VERSION = 4

ACCOUNT_STATE_DTYPE = np.dtype(
    [
        ("read_at", "<f8"),  # UTC epoch seconds of the last accepted reading, NaN = never
        ("currency", "<i4"),  # index into the tables
        ("currency_digits", "<i1"),
        ("leverage", "<i4"),
        ("margin_mode", "<i1"),  # ACCOUNT_MARGIN_MODE_*
        ("trade_allowed", "?"),
        ("algo_trading_allowed", "?"),
        ("balance", "<f8"),
        ("credit", "<f8"),
        ("equity", "<f8"),
        ("profit", "<f8"),
        ("margin", "<f8"),
        ("margin_free", "<f8"),
        ("margin_level", "<f8"),
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


def pack_accounts(
    fields: Sequence[bytes],
    checksum: int,
    accounts: Rows,
    rules: Rows,
    rule_offsets: Sequence[int],
    positions: Rows,
    position_offsets: Sequence[int],
) -> dict[bytes, bytes]:
    """Return one packed value per account, keyed by its id.

    `rules` and `positions` are sorted by account; `*_offsets` has one entry more than there are
    accounts. Slicing one buffer per table costs a fraction of packing row by row.
    """
    account_bytes, rule_bytes, position_bytes = (
        table.tobytes() for table in (accounts, rules, positions)
    )
    size, rule_size, position_size = (
        ACCOUNT_STATE_DTYPE.itemsize,
        RULE_STATE_DTYPE.itemsize,
        POSITION_DTYPE.itemsize,
    )
    header = _HEADER.pack
    packed = {}
    for index, field in enumerate(fields):
        rule_from, rule_to = rule_offsets[index], rule_offsets[index + 1]
        position_from, position_to = position_offsets[index], position_offsets[index + 1]
        packed[field] = b"".join(
            (
                header(LAYOUT_VERSION, checksum, rule_to - rule_from, position_to - position_from),
                account_bytes[index * size : (index + 1) * size],
                rule_bytes[rule_from * rule_size : rule_to * rule_size],
                position_bytes[position_from * position_size : position_to * position_size],
            )
        )
    return packed


def unpack_account(value: bytes, tables: Tables, checksum: int) -> AccountState | None:
    """Return the state in `value`, None when it does not belong to these tables.

    So it is for an account that a restarted worker has not seen yet, and after an update.
    """
    version, written_with, rule_count, position_count = _HEADER.unpack_from(value)
    if (version, written_with) != (LAYOUT_VERSION, checksum):
        return None
    start = _HEADER.size
    account = np.frombuffer(value, ACCOUNT_STATE_DTYPE, 1, start)[0]
    start += ACCOUNT_STATE_DTYPE.itemsize
    rules = np.frombuffer(value, RULE_STATE_DTYPE, rule_count, start)
    start += rule_count * RULE_STATE_DTYPE.itemsize
    positions = np.frombuffer(value, POSITION_DTYPE, position_count, start)
    return AccountState(account, rules, positions, tables)


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
