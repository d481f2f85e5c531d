"""What the database has to say of an event, told by one statement: mostly that there is nothing.

Each question of its own costs about as much as planning fifty copies, and on PostgreSQL a way there
and back. Nothing is remembered, so nothing can be old; all of it is of one moment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import connection, models

from copytrade.core.kinds import EventKind
from copytrade.models import CopyBatch, CopyEvent, CopyOrder, CopyPosition, CopyRelationship
from risk.gate.intents import SETTLING_SECONDS
from risk.models import AccountLock, Order

_UUID, _MOMENT = models.UUIDField(), models.DateTimeField()


@dataclass(frozen=True, slots=True)
class Stamp:
    """What there is beside the event; `followers` changes whenever one of the provider's does."""

    followers: tuple[Any, ...]
    has_batches: bool  # of the event, or of anybody and still folded
    is_copied: bool
    has_earlier: bool  # of the same position or order, and not planned yet
    has_copies: bool  # of its position or of its pending order
    has_locks: bool
    has_flights: bool

    @classmethod
    def of(cls, event: CopyEvent, host: str, read_since: float) -> "Stamp":
        """Ask the database; `read_since` is the epoch of the oldest reading that counts.

        What is still folded may be anything, so then there may be everything.
        """
        say = _word_of()
        since = datetime.fromtimestamp(read_since - SETTLING_SECONDS, UTC)
        words = {
            "event": say(event.pk),
            "provider": say(event.provider_id),
            "position_ticket": event.position_ticket,
            "order_ticket": event.order_ticket,
            "detected": say(event.detected_at),
            "host": host,
            "since": say(since),
        }
        names, statement = _statement(connection.vendor)
        with connection.cursor() as cursor:
            cursor.execute(statement, [words[name] for name in names])
            row = cursor.fetchone()
        followers, found = tuple(row[:-6]), [bool(one) for one in row[-6:]]
        if found[0]:
            return cls(followers, *[True] * 6)
        return cls(followers, *found)


def version_of(provider_id: UUID) -> tuple[Any, ...]:
    """Return what changes whenever a follower of a provider does."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {_version()}", [_word_of()(provider_id)])  # noqa: S608
        return tuple(cursor.fetchone())


def _word_of() -> Any:
    def say(value: UUID | datetime) -> Any:
        field: models.Field[Any, Any] = _UUID if isinstance(value, UUID) else _MOMENT
        return field.get_db_prep_value(value, connection)

    return say


def _version() -> str:
    relationships = CopyRelationship._meta
    accounts = relationships.get_field("follower").related_model._meta
    return (
        "(SELECT COUNT(*), MAX(r.updated_at), MAX(r.terms_changed_at), MAX(r.state_changed_at),"  # noqa: S608
        f" MAX(f.updated_at) FROM {_quoted(relationships)} r"
        f" JOIN {_quoted(accounts)} f ON f.id = r.follower_id"
        f" WHERE r.provider_id = %s AND r.state IN ({_listed(CopyRelationship.COPYING)})) v"
    )


@lru_cache(maxsize=2)
def _statement(vendor: str) -> tuple[Sequence[str], str]:
    """Return the names of the parameters in their order, and the statement."""
    del vendor  # names are quoted by it
    earlier = "planned_at IS NULL AND detected_at <= %s AND id <> %s"
    placed = f"kind = '{EventKind.PENDING_PLACED.value}'"
    unfinished = f"state IN ({_listed(Order.UNFINISHED)})"
    found: list[list[tuple[type[models.Model], str, str]]] = [
        [(CopyBatch, "event_id = %s", "event"), (CopyBatch, "unfolded_at IS NULL", "")],
        [(CopyOrder, "event_id = %s", "event")],
        [
            (
                CopyEvent,
                f"provider_id = %s AND {place} = %s AND {earlier}",
                f"provider {place} detected event",
            )
            for place in ("position_ticket", "order_ticket")
        ],
        [
            (
                CopyPosition,
                "provider_id = %s AND provider_position = %s",
                "provider position_ticket",
            ),
            (
                CopyEvent,
                f"provider_id = %s AND order_ticket = %s AND {placed}",
                "provider order_ticket",
            ),
        ],
        [(AccountLock, "unlocked_at IS NULL", "")],
        [
            (Order, f"host = %s AND {unfinished}", "host"),
            (Order, "host = %s AND answered_at >= %s", "host since"),
            (Order, "host = %s AND reconciled_at >= %s", "host since"),
        ],
    ]
    columns = ", ".join(
        " OR ".join(f"EXISTS({_one_of(model, where)})" for model, where, _ in each)
        for each in found
    )
    words = [word for each in found for _, _, named in each for word in named.split()]
    return [*words, "provider"], f"SELECT v.*, {columns} FROM {_version()}"  # noqa: S608


def _one_of(model: type[models.Model], where: str) -> str:
    return f"SELECT 1 FROM {_quoted(model._meta)} WHERE {where}"  # noqa: S608  # names of our models


def _quoted(meta: Any) -> str:
    return connection.ops.quote_name(meta.db_table)


def _listed(choices: Sequence[str]) -> str:
    return ", ".join(f"'{one!s}'" for one in choices)
