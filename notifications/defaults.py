"""What a user hears of, and by which transports, until they say otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from notifications.models import NotificationType, Preference, Priority
from notifications.transports import transports

Mode = Preference.Mode

# These pass quiet hours and cannot be switched off, whatever priority they have; so does
# everything that is urgent.
ALWAYS_PASSING: Final = frozenset(
    {NotificationType.RISK_BREACH, NotificationType.LIQUIDATION, NotificationType.SECURITY}
)

# How important a type usually is; what is sent may say otherwise.
_USUAL: Final[Mapping[NotificationType, Priority]] = {
    NotificationType.RISK_WARNING: Priority.HIGH,
    NotificationType.RISK_BREACH: Priority.URGENT,
    NotificationType.ENFORCEMENT: Priority.URGENT,
    NotificationType.MARGIN_WARNING: Priority.URGENT,
    NotificationType.LIQUIDATION: Priority.URGENT,
    NotificationType.OBJECTIVE: Priority.MEDIUM,
    NotificationType.ORDER_FILLED: Priority.LOW,
    NotificationType.ORDER_REJECTED: Priority.MEDIUM,
    NotificationType.POSITION_UPDATE: Priority.LOW,
    NotificationType.COPY_RELATIONSHIP: Priority.MEDIUM,
    NotificationType.COPY_SKIPPED: Priority.MEDIUM,
    NotificationType.COPY_ERROR: Priority.HIGH,
    NotificationType.CASCADE: Priority.URGENT,
    NotificationType.STRATEGY_ERROR: Priority.HIGH,
    NotificationType.CONNECTION_LOST: Priority.HIGH,
    NotificationType.CONNECTION_RESTORED: Priority.MEDIUM,
    NotificationType.IDENTITY_MISMATCH: Priority.URGENT,
    NotificationType.SECURITY: Priority.HIGH,
    NotificationType.SYSTEM_ALERT: Priority.HIGH,
    NotificationType.DAILY_SUMMARY: Priority.MEDIUM,
}
# Whoever trades knows them already.
_SILENT: Final = frozenset({NotificationType.ORDER_FILLED})
# Of these, what is less important stays in the centre: a position that the trader opened, as
# opposed to one that its stop has closed; a rule at "caution", as opposed to "critical"; where the
# broker liquidates, as opposed to a margin that is running out.
_MINIMUM: Final = {
    NotificationType.POSITION_UPDATE: Priority.MEDIUM,
    NotificationType.RISK_WARNING: Priority.HIGH,
    NotificationType.MARGIN_WARNING: Priority.HIGH,
}
# A connection that is back is told wherever its loss was, and a summary is made to be read.
_MAILED_ANYWAY: Final = frozenset(
    {NotificationType.CONNECTION_RESTORED, NotificationType.DAILY_SUMMARY}
)


@dataclass(frozen=True, slots=True)
class Choice:
    """How one type is told."""

    mode: str
    minimum_priority: str
    transports: frozenset[str]


def default_choice(kind: str) -> Choice:
    """Return how a type is told by default: by each transport that wants its usual priority."""
    known = NotificationType(kind)
    usual = _USUAL[known]
    names = {
        transport.name
        for transport in transports().values()
        if usual.rank >= Priority(transport.default_minimum).rank
    }
    if known in _MAILED_ANYWAY:
        names.add("email")
    return Choice(
        mode=Mode.SILENT if known in _SILENT else Mode.ON,
        minimum_priority=_MINIMUM.get(known, Priority.LOW),
        transports=frozenset(names),
    )


def always_passes(kind: str, priority: str) -> bool:
    """Whether a notification goes out at any hour, and of a type that is silent or off, too."""
    return priority == Priority.URGENT or kind in ALWAYS_PASSING
