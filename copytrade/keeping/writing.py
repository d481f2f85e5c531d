"""Changed rows of one table, written together."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Model

from copytrade.replication.inserts import columns_of, plain_rows


def write_changes(model: type[Model], changes: Sequence[tuple[UUID, Mapping[str, Any]]]) -> None:
    """Give rows that the caller has locked values of the same fields, in its transaction."""
    if not changes:
        return
    quote = connection.ops.quote_name
    columns = dict(columns_of(model))
    sets = ", ".join(f"{quote(columns[name])} = %s" for name in changes[0][1])
    table = quote(model._meta.db_table)
    statement = f"UPDATE {table} SET {sets} WHERE id = %s"  # noqa: S608  # names of our own model
    rows: list[list[Any]] = [[*values.values(), pk] for pk, values in changes]
    if connection.vendor != "postgresql":
        rows = plain_rows(rows)
    with connection.cursor() as cursor:
        cursor.executemany(statement, rows)
