"""Writing equity snapshots: minutes as they end, and hours and days rolled up from them.

Each statement can be repeated. A minute that two processes saw parts of is put together; hours and
days are worked out anew, so that what came late or was interrupted is made up for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.db import connection, transaction
from django.db.models import Max, Min

from accounts.history.deals import MOST_MONEY
from accounts.history.minutes import Minute
from accounts.models import ConnectedAccount, EquitySnapshot

Resolution = EquitySnapshot.Resolution
# Minutes that could not be written for so long are given up; roll-ups look as far back.
LATE = timedelta(hours=3)
_TABLE = EquitySnapshot._meta.db_table
_MONEY = ("balance", "credit", "equity", "equity_low", "equity_high", "margin")
_QUERY_IDS = 1000
_COLUMNS = (
    ("account_id", "uuid"),
    ("resolution", "integer"),
    ("at", "timestamptz"),
    ("server", "text"),
    ("login", "bigint"),
    *((name, "numeric") for name in _MONEY),
    ("position_count", "integer"),
    ("readings", "integer"),
)
_NAMES = [name for name, _ in _COLUMNS]


@dataclass(frozen=True, slots=True)
class Level:
    """Snapshots of `resolution` are rolled up from those of `source`."""

    resolution: int
    source: int
    length: timedelta
    postgresql_bucket: str
    sqlite_bucket: str
    sqlite_length: str


_LEVELS = (
    Level(
        Resolution.HOUR,
        Resolution.MINUTE,
        timedelta(hours=1),
        "date_trunc('hour', at, 'UTC')",
        "strftime('%%Y-%%m-%%d %%H:00:00', at)",
        "+1 hour",
    ),
    Level(
        Resolution.DAY,
        Resolution.HOUR,
        timedelta(days=1),
        "date_trunc('day', at, 'UTC')",
        "strftime('%%Y-%%m-%%d 00:00:00', at)",
        "+1 day",
    ),
)


def write_minute(minute: Minute) -> None:
    """Store a minute; a stored part of it is completed.

    Left out are accounts that are gone, and what cannot be money: the database would refuse all.
    """
    ids = list(minute.account_ids)
    known = {
        pk
        for start in range(0, len(ids), _QUERY_IDS)
        for pk in ConnectedAccount.with_archived.filter(
            pk__in=ids[start : start + _QUERY_IDS]
        ).values_list("pk", flat=True)
    }
    rows = [row for row in _minute_rows(minute) if row[0] in known]
    if rows:
        with transaction.atomic():
            _upsert(rows)


def _minute_rows(minute: Minute) -> Iterator[tuple[Any, ...]]:
    is_money = np.all([np.abs(minute.rows[name]) < MOST_MONEY for name in _MONEY], axis=0)
    sound = np.flatnonzero(is_money)
    rows, ids = minute.rows[sound], [minute.account_ids[row] for row in sound.tolist()]
    money = zip(*(rows[name].tolist() for name in _MONEY), strict=True)
    rest = (rows[name].tolist() for name in ("login", "server", "position_count", "readings"))
    for account_id, amounts, login, server, positions, readings in zip(
        ids, money, *rest, strict=True
    ):
        name = minute.servers[server]
        told = (f"{amount:.4f}" for amount in amounts)
        yield (account_id, 60, minute.at, name, login, *told, positions, readings)


def _upsert(rows: Sequence[tuple[Any, ...]]) -> None:
    is_postgresql = connection.vendor == "postgresql"
    low, high = ("LEAST", "GREATEST") if is_postgresql else ("MIN", "MAX")
    # Parts of another login's minute are replaced, parts of the same are put together.
    is_same = f"{_TABLE}.login = excluded.login AND {_TABLE}.server = excluded.server"
    merged = {
        "equity_low": f"{low}({_TABLE}.equity_low, excluded.equity_low)",
        "equity_high": f"{high}({_TABLE}.equity_high, excluded.equity_high)",
        "readings": f"{_TABLE}.readings + excluded.readings",
    }
    assignments = ", ".join(
        f"{name} = CASE WHEN {is_same} THEN {merged[name]} ELSE excluded.{name} END"
        if name in merged
        else f"{name} = excluded.{name}"
        for name in _NAMES[3:]
    )
    conflict = f"ON CONFLICT (account_id, resolution, at) DO UPDATE SET {assignments}"
    into = f"INSERT INTO {_TABLE} ({', '.join(_NAMES)})"  # names of our own columns
    with connection.cursor() as cursor:
        if is_postgresql:
            arrays = ", ".join(f"%s::{kind}[]" for _, kind in _COLUMNS)
            columns = [list(column) for column in zip(*rows, strict=True)]
            statement = f"{into} SELECT * FROM unnest({arrays}) {conflict}"  # noqa: S608
            cursor.execute(statement, columns)
            return
        values = ", ".join(["%s"] * len(_NAMES))
        cursor.executemany(f"{into} VALUES ({values}) {conflict}", [_adapted(row) for row in rows])


def _adapted(row: tuple[Any, ...]) -> tuple[Any, ...]:
    account_id, resolution, at, *rest = row
    return (account_id.hex, resolution, connection.ops.adapt_datetimefield_value(at), *rest)


def roll_up() -> None:
    """Work out the hours and days that have begun since the newest known ones, and those anew.

    Looks back as far as minutes may come late.
    """
    for level in _LEVELS:
        since = _begins_at(level)
        if since is not None:
            with connection.cursor() as cursor:
                cursor.execute(_roll_up_statement(level), _arguments(since))


def _begins_at(level: Level) -> datetime | None:
    """Return the start of the first period to be worked out; None when there is nothing."""
    snapshots = EquitySnapshot.objects.order_by()
    newest = snapshots.filter(resolution=level.resolution).aggregate(at=Max("at"))["at"]
    if newest is None:
        newest = snapshots.filter(resolution=level.source).aggregate(at=Min("at"))["at"]
    if newest is None:
        return None
    epoch = (newest - LATE).timestamp()
    seconds = level.length.total_seconds()
    return datetime.fromtimestamp(epoch - epoch % seconds, UTC)


def _roll_up_statement(level: Level) -> str:
    """One statement per level: an hour shows what its last minute shows, of that login alone."""
    if connection.vendor == "postgresql":
        bucket, end = level.postgresql_bucket, f"latest.bucket + interval '{level.sqlite_length}'"
    else:
        bucket, end = level.sqlite_bucket, f"datetime(latest.bucket, '{level.sqlite_length}')"
    kept = ("server", "login", "balance", "credit", "equity", "margin", "position_count")
    last = ", ".join(f"final.{name}" for name in kept)
    updated = ", ".join(f"{name} = excluded.{name}" for name in _NAMES[3:])
    source = int(level.source)
    return f"""
        WITH latest AS (
            SELECT account_id, {bucket} AS bucket, MAX(at) AS last_at FROM {_TABLE}
            WHERE resolution = {source} AND at >= %s GROUP BY 1, 2
        )
        INSERT INTO {_TABLE}
            (account_id, resolution, at, {", ".join(kept)}, equity_low, equity_high, readings)
        SELECT latest.account_id, {int(level.resolution)}, latest.bucket, {last},
            MIN(part.equity_low), MAX(part.equity_high), SUM(part.readings)
        FROM latest
        JOIN {_TABLE} final ON final.account_id = latest.account_id
            AND final.resolution = {source} AND final.at = latest.last_at
        JOIN {_TABLE} part ON part.account_id = latest.account_id
            AND part.resolution = {source} AND part.at >= latest.bucket AND part.at < {end}
            AND part.login = final.login AND part.server = final.server
        WHERE true
        GROUP BY latest.account_id, latest.bucket, {last}
        ON CONFLICT (account_id, resolution, at) DO UPDATE SET {updated}
    """  # noqa: S608  # names of our own columns


def _arguments(since: datetime) -> list[Any]:
    if connection.vendor == "postgresql":
        return [since]
    return [connection.ops.adapt_datetimefield_value(since)]


def prune(*, now: datetime, minutes_kept: timedelta, hours_kept: timedelta) -> int:
    """Delete minutes and hours that are older than this and return how many; days stay for ever.

    Only what `roll_up` has seen is old enough for it: call it before.
    """
    deleted = 0
    for resolution, kept in ((Resolution.MINUTE, minutes_kept), (Resolution.HOUR, hours_kept)):
        old = EquitySnapshot.objects.filter(resolution=resolution, at__lt=now - kept)
        deleted += old.delete()[0]
    return deleted
