"""How a user hears of things: the matrix of types and transports, and when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from accounts.models import User
from notifications.defaults import ALWAYS_PASSING, Choice, default_choice
from notifications.models import Channel, DeliverySettings, NotificationType, Preference
from notifications.transports import transports


@dataclass(frozen=True, slots=True)
class Column:
    """A transport. `channels` counts the user's channels of it, `working` those not switched off.

    Everybody is reached by e-mail, also before the row of the channel is there.
    """

    name: str
    label: str
    icon: str
    channels: int
    working: int

    @property
    def has_working_channel(self) -> bool:
        return self.working > 0


@dataclass(frozen=True, slots=True)
class Row:
    """A type and how it is told; `preference_id` is None where the defaults hold."""

    type: str
    label: str
    choice: Choice
    always_passes: bool
    preference_id: UUID | None


@dataclass(frozen=True, slots=True)
class Matrix:
    columns: Sequence[Column]
    rows: Sequence[Row]


def preference_matrix(user: User) -> Matrix:
    """Return how a user hears of every type, and by which transports they can be reached."""
    own = {row.type: row for row in preferences_of(user)}
    return Matrix(
        columns=_columns(user), rows=[_row(kind, own.get(kind)) for kind in NotificationType]
    )


def preferences_of(user: User) -> QuerySet[Preference]:
    return Preference.objects.filter(user=user)


def settings_of(user: User) -> DeliverySettings:
    """Return a user's settings; without a row, one with the defaults that is not saved."""
    return DeliverySettings.objects.filter(user=user).first() or DeliverySettings(user=user)


def _row(kind: NotificationType, own: Preference | None) -> Row:
    return Row(
        type=kind.value,
        label=kind.label,
        choice=default_choice(kind) if own is None else _choice(own),
        always_passes=kind in ALWAYS_PASSING,
        preference_id=None if own is None else own.pk,
    )


def _choice(own: Preference) -> Choice:
    return Choice(own.mode, own.minimum_priority, frozenset(own.transports))


def _columns(user: User) -> list[Column]:
    counts = _counts(user)
    return [
        Column(each.name, each.label, each.icon, *counts.get(each.name, (0, 0)))
        for each in transports().values()
    ]


def _counts(user: User) -> Mapping[str, tuple[int, int]]:
    """Count channels and working channels, by transport."""
    counts: dict[str, tuple[int, int]] = {}
    rows = Channel.objects.owned_by(user).values_list("transport", "switched_off_at")
    for name, switched_off_at in rows:
        channels, working = counts.get(name, (0, 0))
        counts[name] = (channels + 1, working + (switched_off_at is None))
    counts.setdefault("email", (1, 1))
    return counts
