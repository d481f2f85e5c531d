from django.contrib import admin

from accounts.admin.bases import LedgerAdmin
from accounts.core.kinds import OTHER, DealType, words
from accounts.models import Deal, EquitySnapshot

_DEAL_TYPES = words(DealType)


@admin.register(Deal)
class DealAdmin(LedgerAdmin[Deal]):
    list_display = [
        "time",
        "account",
        "ticket",
        "kind",
        "symbol",
        "volume_lots",
        "price",
        "profit",
    ]
    list_filter = ["server"]
    list_select_related = ["account"]
    search_fields = ["account__name", "symbol", "=ticket", "=login"]
    date_hierarchy = "time"

    @admin.display(description="type", ordering="type")
    def kind(self, deal: Deal) -> str:
        return _DEAL_TYPES.get(deal.type, OTHER)


@admin.register(EquitySnapshot)
class EquitySnapshotAdmin(LedgerAdmin[EquitySnapshot]):
    list_display = ["at", "account", "resolution", "balance", "equity", "equity_low", "equity_high"]
    list_filter = ["resolution"]
    list_select_related = ["account"]
    search_fields = ["account__name", "=login"]
    date_hierarchy = "at"
