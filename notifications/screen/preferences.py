"""The types of notifications, sorted and explained for the page on which they are chosen."""

from collections.abc import Mapping, Sequence
from typing import Final

from notifications.models import NotificationType as Kind

AREAS: Final[Mapping[str, Sequence[Kind]]] = {
    "Risk": (
        Kind.RISK_WARNING,
        Kind.RISK_BREACH,
        Kind.ENFORCEMENT,
        Kind.MARGIN_WARNING,
        Kind.LIQUIDATION,
        Kind.OBJECTIVE,
    ),
    "Trading": (
        Kind.ORDER_FILLED,
        Kind.ORDER_REJECTED,
        Kind.POSITION_UPDATE,
        Kind.STRATEGY_ERROR,
    ),
    "Copying": (Kind.COPY_RELATIONSHIP, Kind.COPY_SKIPPED, Kind.COPY_ERROR, Kind.CASCADE),
    "Connections": (Kind.CONNECTION_LOST, Kind.CONNECTION_RESTORED, Kind.IDENTITY_MISMATCH),
    "You and TradeGuard": (Kind.SECURITY, Kind.SYSTEM_ALERT, Kind.DAILY_SUMMARY),
}

EXPLANATIONS: Final[Mapping[Kind, str]] = {
    Kind.RISK_WARNING: "Most of a limit is used up; there is still time to act.",
    Kind.RISK_BREACH: "A limit of yours is broken.",
    Kind.ENFORCEMENT: "It closed positions, locked an account or is about to.",
    Kind.MARGIN_WARNING: "The margin level comes close to the broker's stop-out.",
    Kind.LIQUIDATION: "The broker closed positions because the margin ran out.",
    Kind.OBJECTIVE: "A profit target or another goal is reached.",
    Kind.ORDER_FILLED: "An order that you sent through TradeGuard was carried out.",
    Kind.ORDER_REJECTED: "An order was refused by a rule or by the broker, or came too late.",
    Kind.POSITION_UPDATE: "Opened, reduced or closed at the broker, with its result.",
    Kind.STRATEGY_ERROR: "Trading by programs, or at all, was switched off on an account.",
    Kind.COPY_RELATIONSHIP: "Somebody offers you to copy an account, or answers your offer.",
    Kind.COPY_SKIPPED: "A trade was not copied, and why.",
    Kind.COPY_ERROR: "A copy could not be carried out.",
    Kind.CASCADE: "A provider was closed, and the followers with it.",
    Kind.CONNECTION_LOST: "An account is not watched for the moment.",
    Kind.CONNECTION_RESTORED: "An account is watched again.",
    Kind.IDENTITY_MISMATCH: "A terminal shows another login than the one it should.",
    Kind.SECURITY: "New sign-ins, changed passwords, broker passwords, two-factor sign-in.",
    Kind.SYSTEM_ALERT: "Something in TradeGuard itself needs a look.",
    Kind.DAILY_SUMMARY: "Results, weakest rules and violations of your day.",
}


def area_of(kind: str) -> str:
    """Return the heading that a type stands under; a new one stands under the last."""
    return next((area for area, kinds in AREAS.items() if kind in kinds), list(AREAS)[-1])
