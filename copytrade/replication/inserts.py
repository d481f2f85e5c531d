"""Many rows of one table at once, in as few calls of the database as there can be.

Each call lets other threads in, and a thread that counts on its processor waits for its turn again
afterwards: so 25 rows are one call on SQLite, and all of them on PostgreSQL. What of copies is
written so, and when: docs/architecture.md, "Copying".
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Model

# So many rows are one statement on SQLite, which keeps it: 25 rows of 40 columns are 1,000 of the
# 32,766 values that a statement may have.

_TOGETHER: Final = 25
_NULL: Final = "\\N"
_Row = Sequence[Any]


def insert_rows(rows: Sequence[Model]) -> None:
    """Insert unsaved rows of one model, with their keys and columns as they are.

    In the caller's transaction; raises IntegrityError for a row that is there already.
    """
    if not rows:
        return
    model = type(rows[0])
    # What none of them says is NULL, or has no place yet.
    names = [
        name for name, _ in columns_of(model) if any(row.__dict__[name] is not None for row in rows)
    ]
    values = zip(*map(itemgetter(*names), [row.__dict__ for row in rows]), strict=True)
    say = word_of()
    said = {name: _said(column, say) for name, column in zip(names, values, strict=True)}
    insert_columns(model, said, len(rows))
    for row in rows:
        row._state.adding = False
        row._state.db = "default"


def insert_columns(model: type[Model], said: Mapping[str, Sequence[Any]], count: int) -> None:
    """Insert so many rows, given by attribute in the words of the database; see `insert_rows`."""
    known = dict(columns_of(model))
    columns, table = tuple(known[name] for name in said), model._meta.db_table
    if connection.vendor == "postgresql":
        _copy(table, columns, list(said.values()))
    else:
        _insert(table, columns, list(said.values()), count)


def word_of() -> Callable[[Any], Any]:
    """Return what puts a value into words that the database takes in bulk."""
    return _text if connection.vendor == "postgresql" else _plain


@lru_cache(maxsize=16)
def columns_of(model: type[Model]) -> tuple[tuple[str, str], ...]:
    """Return attribute and column of each field that is not numbered by the database."""
    return tuple(
        (field.attname, field.column)
        for field in model._meta.concrete_fields
        if field.column is not None and not (field.primary_key and field.db_returning)
    )


def _insert(table: str, columns: tuple[str, ...], said: Sequence[_Row], count: int) -> None:
    with connection.cursor() as cursor, connection.wrap_database_errors:
        for first in range(0, count, _TOGETHER):
            some = [column[first : first + _TOGETHER] for column in said]
            values = list(chain.from_iterable(zip(*some, strict=True)))
            # Past Django's cursor, which would look through a thousand places for each call.
            cursor.connection.execute(_statement(table, columns, len(some[0])), values)


def _said(column: Sequence[Any], say: Callable[[Any], Any]) -> Sequence[Any]:
    """Return a column in the database's words; what all rows share is said once."""
    first = column[0]
    if first is column[-1] and all(value is first for value in column):
        return [say(first)] * len(column)
    return [say(value) for value in column]


@lru_cache(maxsize=256)
def _statement(table: str, columns: tuple[str, ...], count: int) -> str:
    quote = connection.ops.quote_name
    names = ", ".join(map(quote, columns))
    places = f"({', '.join('?' * len(columns))})"
    into = f"INSERT INTO {quote(table)} ({names}) VALUES "  # noqa: S608  # names of our models
    return into + ", ".join([places] * count)


def _copy(table: str, columns: tuple[str, ...], said: Sequence[_Row]) -> None:
    quote = connection.ops.quote_name
    names = ", ".join(map(quote, columns))
    lines = "".join(["\t".join(row) + "\n" for row in zip(*said, strict=True)])
    with (
        connection.cursor() as cursor,
        # What ends a COPY raises past Django's cursor.
        connection.wrap_database_errors,
        cursor.copy(f"COPY {quote(table)} ({names}) FROM STDIN") as copy,
    ):
        copy.write(lines)


@lru_cache(maxsize=256)  # the rows of a batch share their moments
def _moment(value: datetime) -> str:
    return str(value.astimezone(UTC).replace(tzinfo=None))


def _words(value: str) -> str:
    """Return a text as COPY takes it."""
    if "\\" in value or not value.isprintable():
        for plain, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
            value = value.replace(plain, escaped)
    return value


_PLAIN: Final[dict[type, Callable[[Any], Any]]] = {
    UUID: lambda value: value.hex,
    Decimal: str,
    datetime: _moment,
}
_TEXTS: Final[dict[type, Callable[[Any], str]]] = {
    **_PLAIN,
    datetime: lru_cache(maxsize=256)(datetime.isoformat),
    type(None): lambda _: _NULL,
    int: str,
    float: repr,
    bool: lambda value: "t" if value else "f",
    bytes: lambda value: "\\\\x" + value.hex(),
    str: _words,
}


def _text(value: Any) -> str:
    found = _TEXTS.get(type(value))
    # The choices of a model are texts of types of their own.
    return _words(str(value)) if found is None else found(value)


def _plain(value: Any) -> Any:
    found = _PLAIN.get(type(value))
    return value if found is None else found(value)


def plain_rows(rows: Iterable[_Row]) -> list[list[Any]]:
    """Return rows of values as SQLite keeps them."""
    plain = _PLAIN
    return [
        [plain[type(value)](value) if type(value) in plain else value for value in row]
        for row in rows
    ]
