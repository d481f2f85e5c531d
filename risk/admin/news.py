"""The calendars that users import: looked at here, and replaced only by another import.

A terminal host reads a calendar again when it was imported again, and the calendar says how far it
is complete; an event that was changed by itself would do neither.
"""

from django.contrib import admin

from accounts.admin.bases import LedgerAdmin
from risk.models import NewsCalendar, NewsEvent


@admin.register(NewsEvent)
class NewsEventAdmin(LedgerAdmin[NewsEvent]):
    list_display = ["at", "currency", "importance", "title", "user"]
    list_select_related = ["user"]
    list_filter = ["importance", "currency"]
    search_fields = ["title", "currency", "user__username"]
    date_hierarchy = "at"


@admin.register(NewsCalendar)
class NewsCalendarAdmin(LedgerAdmin[NewsCalendar]):
    list_display = ["user", "covers_from_at", "covers_until_at", "imported_at"]
    list_select_related = ["user"]
    search_fields = ["user__username", "user__email"]
