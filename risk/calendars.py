"""The news calendars that users have imported, as the rules look things up in them."""

from collections.abc import Collection
from datetime import datetime

from risk.core.rule_types import Importance
from risk.core.surroundings import Calendar, CalendarEvent
from risk.models import NewsCalendar, NewsEvent


class Calendars:
    """Keeps one object per user and import, so that what is looked up is remembered by it."""

    def __init__(self) -> None:
        self.by_user: dict[int, Calendar] = {}
        self._imported_at: dict[int, datetime] = {}

    def load(self, users: Collection[int]) -> None:
        """Read the calendars of these users again where they were imported again."""
        rows = {row.user_id: row for row in NewsCalendar.objects.filter(user__in=users)}
        stale = {
            user for user, row in rows.items() if self._imported_at.get(user) != row.imported_at
        }
        events = _events(stale)
        for user in stale:
            self.by_user[user] = Calendar(
                covers_from=rows[user].covers_from_at.timestamp(),
                covers_until=rows[user].covers_until_at.timestamp(),
                events=tuple(events.get(user, ())),
            )
        self.by_user = {user: self.by_user[user] for user in rows}
        self._imported_at = {user: row.imported_at for user, row in rows.items()}


def _events(users: Collection[int]) -> dict[int, list[CalendarEvent]]:
    if not users:
        return {}
    found: dict[int, list[CalendarEvent]] = {}
    for event in NewsEvent.objects.filter(user__in=users).order_by("at").iterator():
        found.setdefault(event.user_id, []).append(
            CalendarEvent(event.at.timestamp(), event.currency, Importance(event.importance))
        )
    return found
