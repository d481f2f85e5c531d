from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from accounts.admin.bases import RehearsedForm, ServiceAdmin
from accounts.refusals import Refusal
from copytrade.models import CopyRelationship
from copytrade.services.relationships import (
    close_only,
    offer_relationship,
    pause,
    resume,
    terminate,
    update_relationship,
)
from copytrade.terms import TERMS

_OWN_PAGES = "copytrade_copyrelationship_"
_STAFF = "The administration of TradeGuard did this."
_LISTS = ("include_symbols", "exclude_symbols", "magics")


class RelationshipForm(RehearsedForm[CopyRelationship]):
    confirms_firm_terms = forms.BooleanField(
        required=False,
        label="Firm's sentence confirmed",
        help_text="The owner has read what the firms of the accounts say on copying.",
    )

    class Meta:
        model = CopyRelationship
        fields = ["provider", "follower", "alias", *TERMS]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance._state.adding and "alias" in self.fields:
            self.fields["alias"].required = False  # the service finds one

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for name in _LISTS:
            if name in cleaned:
                cleaned[name] = cleaned[name] or []
        if "symbol_map" in cleaned:
            cleaned["symbol_map"] = cleaned["symbol_map"] or {}
        return cleaned

    def _get_validation_exclusions(self) -> set[str]:
        # The service checks the terms, and names the field where a constraint would not.
        exclusions: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return exclusions | set(TERMS)

    def perform(self) -> CopyRelationship:
        given, now = dict(self.cleaned_data), timezone.now()
        is_confirmed = given.pop("confirms_firm_terms", False)
        if self.instance._state.adding:
            return offer_relationship(
                actor=given["provider"].user,
                confirms_firm_terms=is_confirmed,
                now=now,
                **given,
            )
        return update_relationship(relationship=self.instance, actor=None, now=now, **given)


@admin.register(CopyRelationship)
class CopyRelationshipAdmin(ServiceAdmin[CopyRelationship]):
    """Made, changed, held back and ended as their owners do it; one that has ended stays."""

    form = RelationshipForm
    actions = ["pause", "close_only", "resume", "end"]
    list_display = [
        "provider",
        "follower",
        "alias",
        "state",
        "sizing",
        "multiplier",
        "is_reverse",
        "state_changed_at",
        "state_reason",
    ]
    list_select_related = ["provider", "follower"]
    list_filter = ["state", "sizing", "ending", "state_cause", "is_reverse"]
    search_fields = ["provider__name", "follower__name", "alias", "provider__user__username"]
    date_hierarchy = "created_at"
    autocomplete_fields = ["provider", "follower"]
    readonly_on_change: ClassVar[tuple[str, ...]] = ("provider", "follower")
    readonly_fields = [
        "ledgers",
        "state",
        "provider_hold",
        "follower_hold",
        "ending",
        "closing_since_at",
        "state_cause",
        "state_reason",
        "state_changed_at",
        "created_at",
        "accepted_at",
        "started_at",
        "adopted_at",
        "terms_changed_at",
        "provider_confirmed_at",
        "follower_confirmed_at",
    ]
    fieldsets = [
        (None, {"fields": ["provider", "follower", "alias", "confirms_firm_terms"]}),
        (
            "Size",
            {
                "fields": [
                    "sizing",
                    "multiplier",
                    "fixed_lots",
                    "risk_fraction",
                    "below_minimum",
                    "maximum_lots",
                ]
            },
        ),
        (
            "What is copied",
            {
                "fields": [
                    "symbol_map",
                    "include_symbols",
                    "exclude_symbols",
                    "directions",
                    "magics",
                    "is_reverse",
                    "copies_stops",
                    "stop_loss_points",
                    "take_profit_points",
                    "copies_pendings",
                    "start_policy",
                ]
            },
        ),
        (
            "Limits",
            {
                "fields": [
                    "open_deadline_seconds",
                    "maximum_slippage_points",
                    "maximum_positions",
                    "trading_from",
                    "trading_until",
                    "trading_zone",
                    "equity_stop",
                    "cascade_scope",
                ]
            },
        ),
        ("Record", {"fields": [*readonly_fields]}),
    ]

    @admin.display(description="Ledgers")
    def ledgers(self, row: CopyRelationship) -> SafeString:
        """Link what the provider did, what became of it here, and what is held of it."""
        if row._state.adding:
            return SafeString("-")
        links = [
            (reverse(f"admin:copytrade_{name}_changelist"), field, pk, label)
            for name, field, pk, label in (
                ("copyevent", "provider_id", row.provider_id, "Events of the provider"),
                ("copyorder", "relationship_id", row.pk, "Copies"),
                ("copyposition", "relationship_id", row.pk, "Copied positions"),
            )
        ]
        return format_html_join(" · ", '<a href="{}?{}={}">{}</a>', links)

    def has_change_permission(
        self, request: HttpRequest, obj: CopyRelationship | None = None
    ) -> bool:
        return not _has_ended(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(
        self, request: HttpRequest, obj: CopyRelationship | None = None
    ) -> bool:
        # Together with its accounts even one that has ended goes.
        match = request.resolver_match
        is_own_page = match is not None and str(match.url_name).startswith(_OWN_PAGES)
        return not (is_own_page and _has_ended(obj)) and super().has_delete_permission(request, obj)

    def delete_with_service(self, obj: CopyRelationship) -> None:
        terminate(relationship=obj, actor=None, now=timezone.now(), reason=_STAFF)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name the relationships alone: they end, and their ledger stays."""
        rows = list(objs)
        names = [f"{row}: ends, and the copied positions stay" for row in rows]
        missing = set() if self.has_delete_permission(request) else {"copy relationship"}
        return names, {"copy relationships": len(rows)}, missing, []

    @admin.action(description="Pause", permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[CopyRelationship]) -> None:
        self._each(request, queryset, pause, "Paused", reason=_STAFF)

    @admin.action(description="Only close", permissions=["change"])
    def close_only(self, request: HttpRequest, queryset: QuerySet[CopyRelationship]) -> None:
        self._each(request, queryset, close_only, "Only closing", reason=_STAFF)

    @admin.action(description="Resume", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[CopyRelationship]) -> None:
        self._each(request, queryset, resume, "Resumed")

    @admin.action(description="End as the provider closes", permissions=["change"])
    def end(self, request: HttpRequest, queryset: QuerySet[CopyRelationship]) -> None:
        ending = CopyRelationship.Ending.AS_PROVIDER
        self._each(request, queryset, terminate, "Ending", ending=ending, reason=_STAFF)

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[CopyRelationship],
        service: Callable[..., CopyRelationship],
        done: str,
        **options: Any,
    ) -> None:
        """Change each relationship; what stops one stops no other, and is said."""
        changed = 0
        for row in queryset.select_related("provider", "follower").order_by("pk"):
            try:
                service(relationship=row, actor=None, now=timezone.now(), **options)
            except Refusal as refusal:
                self.message_user(request, f"{row}: {refusal.sentence}", messages.ERROR)
            else:
                self.log_change(request, row, f"{done}.")
                changed += 1
        if changed:
            self.message_user(request, f"{done}: {changed}.", messages.SUCCESS)


def _has_ended(row: CopyRelationship | None) -> bool:
    return row is not None and row.state in CopyRelationship.ENDED
