"""Tags of the pages about notifications."""

from typing import Final

from django import template

from notifications.models import NotificationType

register = template.Library()

_ICONS: Final = {
    NotificationType.RISK_WARNING: "caution",
    NotificationType.RISK_BREACH: "violated",
    NotificationType.ENFORCEMENT: "stop",
    NotificationType.MARGIN_WARNING: "critical",
    NotificationType.LIQUIDATION: "violated",
    NotificationType.OBJECTIVE: "flag",
    NotificationType.ORDER_FILLED: "order",
    NotificationType.ORDER_REJECTED: "none",
    NotificationType.POSITION_UPDATE: "portfolio",
    NotificationType.COPY_RELATIONSHIP: "copy",
    NotificationType.COPY_SKIPPED: "copy",
    NotificationType.COPY_ERROR: "copy",
    NotificationType.CASCADE: "groups",
    NotificationType.STRATEGY_ERROR: "program",
    NotificationType.CONNECTION_LOST: "disconnected",
    NotificationType.CONNECTION_RESTORED: "connected",
    NotificationType.IDENTITY_MISMATCH: "user",
    NotificationType.SECURITY: "lock",
    NotificationType.SYSTEM_ALERT: "shield",
    NotificationType.DAILY_SUMMARY: "summary",
}


@register.filter
def notice_icon(kind: str) -> str:
    """Return the icon of a type of notification."""
    return _ICONS.get(NotificationType(kind), "bell")


@register.filter
def first_sentence(text: str) -> str:
    """Return the first sentence of a text: what something is, without how to get it."""
    head, stop, _ = text.partition(". ")
    return head + "." if stop else text
