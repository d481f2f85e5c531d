"""The batches of copies as they were written ahead, above all those that nobody could unfold."""

from typing import Final

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.functions import Length
from django.http import HttpRequest
from django.utils import timezone

from copytrade.admin.ledgers import FoundByIdAdmin
from copytrade.models import CopyBatch
from copytrade.selectors.batches import LATE_AFTER, late_batches

_LATE: Final = "late"
_FOLDED: Final = "folded"


class FoldedFilter(admin.SimpleListFilter):
    title = "what became of it"
    parameter_name = "folded"

    def lookups(self, _request: HttpRequest, _model_admin: object) -> list[tuple[str, str]]:
        return [(_LATE, "Late or unreadable"), (_FOLDED, "Not unfolded yet")]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[CopyBatch]) -> QuerySet[CopyBatch]:
        if self.value() == _LATE:
            return queryset & late_batches(timezone.now())
        return queryset.filter(unfolded_at=None) if self.value() == _FOLDED else queryset


@admin.register(CopyBatch)
class CopyBatchAdmin(FoundByIdAdmin[CopyBatch]):
    """What is in it is packed, and is not shown: its copies have ledgers of their own."""

    list_display = ["created_at", "host", "number", "event_id", "packed_bytes", "became"]
    list_filter = [FoldedFilter, "created_at", "host"]
    exclude = ["payload"]
    readonly_fields = ["packed_bytes", "became"]
    search_fields = ["id", "event_id", "provider_id"]
    search_help_text = "The id of a batch, of its event, or of its provider."
    ordering = ["-created_at", "-number"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[CopyBatch]:
        return super().get_queryset(request).annotate(size=Length("payload")).defer("payload")

    @admin.display(description="Packed bytes")
    def packed_bytes(self, row: CopyBatch) -> int:
        return int(getattr(row, "size", 0) or 0)

    @admin.display(description="What became of it")
    def became(self, row: CopyBatch) -> str:
        if row.unfolded_at is not None:
            return "Unfolded"
        is_late = row.created_at < timezone.now() - LATE_AFTER
        return "Late, or unreadable: see the log of its host" if is_late else "About to be unfolded"
