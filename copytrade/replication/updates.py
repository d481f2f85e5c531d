"""Many rows of one table changed at once, each to values of its own."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Model

from copytrade.replication.inserts import columns_of, plain_rows


def update_rows(
    model: type[Model],
    changes: Sequence[tuple[UUID, Mapping[str, Any]]],
    *,
    from_states: Sequence[str],
) -> None:
    """Change rows to the values of the same fields, in the caller's transaction.

    A row that is in none of `from_states` stays as it is.
    """
    if not changes:
        return
    quote = connection.ops.quote_name
    columns = dict(columns_of(model))
    sets = ", ".join(f"{quote(columns[name])} = %s" for name in changes[0][1])
    states = ", ".join(["%s"] * len(from_states))
    statement = (
        f"UPDATE {quote(model._meta.db_table)} SET {sets}"  # noqa: S608  # names of our own model
        f" WHERE id = %s AND state IN ({states})"
    )
    rows: list[list[Any]] = [[*values.values(), pk, *from_states] for pk, values in changes]
    if connection.vendor != "postgresql":
        rows = plain_rows(rows)
    with connection.cursor() as cursor:
        cursor.executemany(statement, rows)
