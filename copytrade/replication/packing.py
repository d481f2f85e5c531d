"""A batch of copies as one value, and back: its rows column by column, what all share said once.

A copy is three rows of 80 columns, of which a dozen differ between followers. So a batch is packed,
and put into the words of a database later, without looking at each value.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import Any, Final
from uuid import UUID

import msgpack
from django.db.models import Model

from copytrade.models import CopyOrder, CopyPosition
from copytrade.replication.alike import Alike
from copytrade.replication.inserts import columns_of, word_of
from copytrade.replication.rows import LONGEST_SENTENCE, Copy
from risk.models import Order

# In the order in which they are written.
_MODELS: Final[tuple[type[Model], ...]] = (CopyOrder, Order, CopyPosition)
_PLAIN: Final = ""

# How a value is packed, by its type; everything else is as msgpack knows it.
_KINDS: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    UUID: ("id", attrgetter("bytes")),
    Decimal: ("decimal", str),
    datetime: ("moment", datetime.isoformat),
}
_PARSED: Final[dict[str, Callable[[Any], Any]]] = {
    "id": lambda value: UUID(bytes=value),
    "decimal": Decimal,
    "moment": datetime.fromisoformat,
    _PLAIN: lambda value: value,
}


@dataclass(frozen=True, slots=True)
class Column:
    """The values of one field as they were packed; a shared one stands for all rows."""

    kind: str
    is_shared: bool
    packed: Any

    def values(self, count: int) -> list[Any]:
        parse = _PARSED[self.kind]
        if self.is_shared:
            return [parse(self.packed)] * count
        return [None if one is None else parse(one) for one in self.packed]

    def words(self, count: int, say: Callable[[Any], Any]) -> list[Any]:
        """Return the values in the words of a database."""
        if self.is_shared:
            return [say(self.values(1)[0])] * count
        nothing = say(None)
        if self.kind == "id":
            return [nothing if one is None else one.hex() for one in self.packed]
        if self.kind == "decimal":
            return [nothing if one is None else one for one in self.packed]
        return [say(one) for one in self.values(count)]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one model; what is not among `columns` was empty, or is newer than the batch."""

    model: type[Model]
    count: int
    columns: Mapping[str, Column]

    def words(self) -> dict[str, list[Any]]:
        """Return the columns as `insert_columns` takes them."""
        say = word_of()
        said = {}
        for name, _ in columns_of(self.model):
            column = self.columns.get(name) or _missing(self.model, name)
            if column is not None:
                said[name] = column.words(self.count, say)
        return said

    def values(self, name: str) -> list[Any]:
        column = self.columns.get(name)
        return [None] * self.count if column is None else column.values(self.count)

    def rows(self) -> list[Model]:
        """Return the rows as unsaved models."""
        names = [name for name in self.columns if name in dict(columns_of(self.model))]
        values = zip(*(self.values(name) for name in names), strict=True)
        return [self.model(**dict(zip(names, row, strict=True))) for row in values]


def pack(copies: Iterable[Copy]) -> bytes:
    """Return the rows of copies, with their orders and positions, as one value."""
    tables: tuple[list[Model], ...] = [], [], []
    for copy in copies:
        tables[0].append(copy.row)
        if copy.order is not None:
            tables[1].append(copy.order)
        if copy.position is not None:
            tables[2].append(copy.position)
    packed = [None if not rows else [len(rows), _columns(rows)] for rows in tables]
    return bytes(msgpack.packb(packed))


def pack_alike(crowd: Alike, size: int) -> list[bytes]:
    """Return the rows of a crowd in parts of so many copies, as `pack` would."""
    first, followers, count = crowd.first, crowd.followers, len(crowd)
    lots = {id(one): str(one.lots) for one in crowd.sizes}
    volumes = [lots[id(one)] for one in crowd.sizes]
    accounts = [each.account for each in followers]
    copy_ids, order_ids = (ids.packed(0, count) for ids in (crowd.copy_ids, crowd.order_ids))
    account_ids = [each.id.bytes for each in accounts]
    copied: _Own = [
        ("id", "id", copy_ids),
        ("relationship_id", "id", [each.terms.id.bytes for each in followers]),
        ("follower_id", "id", account_ids),
        ("volume", "decimal", volumes),
    ]
    sentences = [one.sentence[:LONGEST_SENTENCE] for one in crowd.sizes]
    told: _Own = [("order_id", "id", order_ids), ("sentence", _PLAIN, sentences)]
    ordered: _Own = [
        ("id", "id", order_ids),
        ("tag", _PLAIN, crowd.tags),
        ("user_id", _PLAIN, [each.user_id for each in accounts]),
        ("account_id", "id", account_ids),
        ("account_name", _PLAIN, [each.name for each in accounts]),
        ("login", _PLAIN, [each.login for each in accounts]),
        ("volume", "decimal", volumes),
    ]
    if crowd.order.requested_volume is not None:
        ordered.append(("requested_volume", "decimal", volumes))
    if crowd.tickets is not None:
        told.append(("follower_position", _PLAIN, crowd.tickets))
        ordered.append(("position_ticket", _PLAIN, crowd.tickets))
    tables = [(first.row, [*copied, *told]), (crowd.order, ordered), (first.position, copied)]
    parts = [None if row is None else (_shared(row, own), own) for row, own in tables]
    return [_part(parts, place, min(place + size, count)) for place in range(0, count, size)]


_Own = list[tuple[str, str, Sequence[Any]]]


def _shared(row: Model, own: _Own) -> list[tuple[str, str, bool, Any]]:
    """Return the columns that say of a row what is not its own."""
    left_out = {name for name, _, _ in own}
    packed = []
    for name, _ in columns_of(type(row)):
        value = None if name in left_out else row.__dict__[name]
        if value is not None:
            kind, say = _KINDS.get(type(value), _AS_IT_IS)
            packed.append((name, kind, True, value if say is None else say(value)))
    return packed


def _part(parts: Iterable[tuple[list[Any], _Own] | None], first: int, end: int) -> bytes:
    tables = [
        None
        if part is None
        else [
            end - first,
            [*part[0], *((name, kind, False, column[first:end]) for name, kind, column in part[1])],
        ]
        for part in parts
    ]
    return bytes(msgpack.packb(tables))


def unpack(packed: bytes) -> list[Table]:
    """Return what was packed, copies first; raises ValueError for anything else."""
    tables = []
    for model, table in zip(_MODELS, msgpack.unpackb(packed), strict=True):
        if table is not None:
            count, columns = table
            tables.append(Table(model, count, {name: Column(*rest) for name, *rest in columns}))
    return tables


def _columns(rows: Sequence[Model]) -> list[tuple[str, str, bool, Any]]:
    names, take = _fields(type(rows[0]))
    columns = zip(*[take(row.__dict__) for row in rows], strict=True)
    count = len(rows)
    packed = []
    for name, column in zip(names, columns, strict=True):
        first = column[0]
        # What followers share is one and the same object, mostly.
        if first is column[-1] and column.count(first) == count:
            if first is not None:
                kind, say = _KINDS.get(type(first), _AS_IT_IS)
                packed.append((name, kind, True, first if say is None else say(first)))
            continue
        kind, say = _kind_of(column)
        packed.append((name, kind, False, column if say is None else _said(column, say)))
    return packed


_AS_IT_IS: Final[tuple[str, Callable[[Any], Any] | None]] = (_PLAIN, None)


def _kind_of(column: Sequence[Any]) -> tuple[str, Callable[[Any], Any] | None]:
    for value in column:
        if value is not None:
            return _KINDS.get(type(value), _AS_IT_IS)
    return _AS_IT_IS


def _said(column: Sequence[Any], say: Callable[[Any], Any]) -> list[Any]:
    return [None if value is None else say(value) for value in column]


@lru_cache(maxsize=4)
def _fields(model: type[Model]) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    names = tuple(name for name, _ in columns_of(model))
    return names, itemgetter(*names)


@lru_cache(maxsize=256)
def _missing(model: type[Model], name: str) -> Column | None:
    """Return what a field gets that the batch does not name; None where it stays empty."""
    field = next(field for field in model._meta.concrete_fields if field.attname == name)
    default = None if field.null else field.get_default()
    return None if default is None else Column(_PLAIN, True, default)
