"""What a host writes about its orders and its interventions, row by row.

An entry says the same when it is written a second time: a row that exists is not inserted again,
and a change may name the states from which it is allowed. So a journal can be imported whenever it
is not known whether that has been done.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db.models import Field, Model

State = str


@dataclass(frozen=True, slots=True)
class Insert:
    """A new row, with its primary key; one that is there already stays as it is."""

    row: Model


@dataclass(frozen=True, slots=True)
class Change:
    """New values for some fields of a row, with `from_states` only while it is in one of them.

    The states are those of the field `state`, of a run its stages. Values are plain, no
    expressions.
    """

    model: type[Model]
    pk: Any
    fields: Mapping[str, Any]
    from_states: Collection[State] | None = None


Entry = Insert | Change

# How an entry fails that was written by another version of the program, or by nobody.
UNREADABLE = (LookupError, ValueError, TypeError, ArithmeticError, ValidationError)


def plain(entry: Entry) -> dict[str, Any]:
    """Return an entry as JSON can hold it."""
    if isinstance(entry, Insert):
        row = entry.row
        values = {field.attname: getattr(row, field.attname) for field in _fields(type(row))}
        return {"insert": row._meta.label_lower, "fields": _plain(values)}
    return {
        "change": entry.model._meta.label_lower,
        "pk": _text(entry.pk),
        "fields": _plain(entry.fields),
        "from_states": None if entry.from_states is None else sorted(map(str, entry.from_states)),
    }


def entry_of(values: Mapping[str, Any]) -> Entry:
    """Return the entry that `plain` made these values of; raises one of UNREADABLE if it cannot."""
    if "insert" in values:
        model = apps.get_model(values["insert"])
        return Insert(model(**_parsed(model, values["fields"])))
    model = apps.get_model(values["change"])
    return Change(
        model,
        model._meta.pk.to_python(values["pk"]) if model._meta.pk is not None else values["pk"],
        _parsed(model, values["fields"]),
        values["from_states"],
    )


def _fields(model: type[Model]) -> "list[Field[Any, Any]]":
    return list(model._meta.concrete_fields)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _text(value) for name, value in values.items()}


def _text(value: Any) -> Any:
    """Write what JSON does not know as text; the field reads it back exactly."""
    if isinstance(value, UUID | Decimal):
        return str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return value


def _parsed(model: type[Model], values: Mapping[str, Any]) -> dict[str, Any]:
    fields = {field.attname: field for field in _fields(model)}
    fields |= {field.name: field for field in _fields(model)}
    return {name: fields[name].to_python(value) for name, value in values.items() if name in fields}
