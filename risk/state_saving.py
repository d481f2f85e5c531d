"""Writing the baselines of the loss rules: only the rows, and of most of them what changed.

A thousand whole rows take 10 ms with PostgreSQL's `unnest` and 2 ms with SQLite's `executemany`,
where an ORM bulk update takes ten times that.
"""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
from django.db import connection, transaction

from accounts.core.right_of_way import LONGEST_SECONDS, RIGHT_OF_WAY
from risk.core.arrays import Flags, Floats, Integers
from risk.core.states import PairState
from risk.desk import Desk
from risk.models import RuleState
from risk.state_store import COUNT_COLUMNS, MONEY_COLUMNS, StoredState

# When a crowd was filled, all its rows are due at once, and on SQLite nobody else writes meanwhile.
TOGETHER_ROWS = 500


def save_in_parts(
    desk: Desk,
    stored: StoredState,
    state: PairState,
    *,
    changed: Flags,
    counted: Flags,
    last_deal: Integers,
    now: datetime,
) -> None:
    """Write the `changed` pairs whole, of those only `counted` their newest deal.

    `last_deal` has one element per account. The rows of an account are written together, or none
    of them, so that a deal is never counted by one of its rules and not by another. What a part
    that fails leaves is for the next call: all of it may be written again.
    """
    has_row = stored.row_ids > 0
    account = desk.pairs.account_index
    give_until = time.monotonic() + LONGEST_SECONDS
    for part in _parts(np.flatnonzero((changed | counted) & has_row), account):
        RIGHT_OF_WAY.give(max(give_until - time.monotonic(), 0.0))
        whole, rest = part[changed[part]], part[~changed[part]]
        with transaction.atomic():
            save_state(desk, stored, state, whole, last_deal[account[whole]], now)
            _save_deals(stored, rest, last_deal[account[rest]], now)


def _parts(pairs: Integers, account: Integers) -> Iterator[Integers]:
    """Split pairs without taking an account apart."""
    if not len(pairs):
        return
    pairs = pairs[np.argsort(account[pairs], kind="stable")]
    begins = np.flatnonzero(np.diff(account[pairs], prepend=-1))
    first = 0
    for begin, end in pairwise([*begins.tolist(), len(pairs)]):
        if begin > first and end - first > TOGETHER_ROWS:
            yield pairs[first:begin]
            first = begin
    yield pairs[first:]


def _save_deals(stored: StoredState, pairs: Integers, last_deal: Integers, now: datetime) -> None:
    if len(pairs):
        columns = [last_deal.tolist(), [now] * len(pairs)]
        _update(stored.row_ids[pairs].tolist(), _CURSOR_COLUMNS, columns)


def save_state(
    desk: Desk,
    stored: StoredState,
    state: PairState,
    pairs: Integers,
    last_deal: Integers,
    now: datetime,
) -> None:
    """Write the baselines of these pairs; `last_deal` has one element per pair in `pairs`.

    All or nothing, so that a deal is never counted by one rule of an account and not by another.
    """
    if not len(pairs):
        return
    accounts = [desk.accounts[row] for row in desk.pairs.account_index[pairs].tolist()]
    columns: list[list[Any]] = [_nullable(getattr(state, name)[pairs]) for name in MONEY_COLUMNS]
    columns += [getattr(state, name)[pairs].astype(np.int64).tolist() for name in COUNT_COLUMNS]
    columns += [
        _moments(state.started_at[pairs]),
        _moments(state.day_started_at[pairs]),
        _moments(state.last_trade_at[pairs]),
        state.day_reconstructed[pairs].tolist(),
        last_deal.tolist(),
        [now] * len(pairs),
        [account.server if account else "" for account in accounts],
        [account.login if account else 0 for account in accounts],
    ]
    with transaction.atomic():
        _update(stored.row_ids[pairs].tolist(), _UPDATED_COLUMNS, columns)


_UPDATED_COLUMNS = (
    *((name, "float8") for name in MONEY_COLUMNS),
    *((name, "integer") for name in COUNT_COLUMNS),
    ("started_at", "timestamptz"),
    ("day_started_at", "timestamptz"),
    ("last_trade_at", "timestamptz"),
    ("is_reconstructed", "boolean"),
    ("last_deal", "bigint"),
    ("updated_at", "timestamptz"),
    ("server", "text"),
    ("login", "bigint"),
)


_CURSOR_COLUMNS = (("last_deal", "bigint"), ("updated_at", "timestamptz"))


def _update(
    row_ids: Sequence[int], kinds: Sequence[tuple[str, str]], columns: Sequence[Sequence[Any]]
) -> None:
    table = RuleState._meta.db_table
    names = [name for name, _ in kinds]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            assignments = ", ".join(f"{name} = fresh.{name}" for name in names)
            arrays = ", ".join(f"%s::{kind}[]" for _, kind in kinds)
            cursor.execute(
                f"UPDATE {table} SET {assignments} "  # noqa: S608  # names of our own columns
                f"FROM unnest(%s::bigint[], {arrays}) AS fresh(id, {', '.join(names)}) "
                f"WHERE {table}.id = fresh.id",
                [list(row_ids), *(list(column) for column in columns)],
            )
            return
        adapt = connection.ops.adapt_datetimefield_value
        adapted = [
            [adapt(value) for value in column] if kind == "timestamptz" else column
            for (_, kind), column in zip(kinds, columns, strict=True)
        ]
        assignments = ", ".join(f"{name} = %s" for name in names)
        cursor.executemany(
            f"UPDATE {table} SET {assignments} WHERE id = %s",  # noqa: S608  # names of our own columns
            list(zip(*adapted, row_ids, strict=True)),
        )


def _nullable(values: Floats) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]


def _moments(epochs: Floats) -> list[datetime | None]:
    return [
        None if epoch is None else datetime.fromtimestamp(epoch, UTC) for epoch in _nullable(epochs)
    ]
