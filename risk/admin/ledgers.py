from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from accounts.admin.bases import LedgerAdmin
from risk.gate.rounds import checks_of_round
from risk.models import (
    AccountLock,
    Enforcement,
    GateCheck,
    GateRound,
    Order,
    RuleBreach,
    RuleState,
)
from risk.selectors import checks_of


@admin.register(RuleBreach)
class RuleBreachAdmin(LedgerAdmin[RuleBreach]):
    list_display = [
        "latched_at",
        "message",
        "rule_name",
        "account_name",
        "acknowledged_at",
        "cleared_at",
    ]
    list_filter = [
        "rule_type",
        "is_early",
        ("acknowledged_at", admin.EmptyFieldListFilter),
        ("cleared_at", admin.EmptyFieldListFilter),
    ]
    search_fields = ["message", "rule_name", "account_name"]
    date_hierarchy = "latched_at"
    fieldsets = [
        (
            "Violation",
            {"fields": ["message", "rule_name", "rule_type", "account_name", "latched_at"]},
        ),
        (
            "Evidence",
            {
                "fields": [
                    "observed",
                    "limit",
                    "floor",
                    "unit",
                    "is_early",
                    "violated_at",
                    "evidence",
                ]
            },
        ),
        (
            "Acknowledged",
            {"fields": ["acknowledged_at", "acknowledged_by_id", "acknowledged_reason"]},
        ),
        ("Cleared", {"fields": ["cleared_at", "cleared_by_id", "cleared_reason"]}),
        ("Numbers", {"fields": ["id", "user_id", "rule_id", "account_id"]}),
    ]


@admin.register(RuleState)
class RuleStateAdmin(LedgerAdmin[RuleState]):
    list_display = [
        "rule",
        "account",
        "day_started_at",
        "day_balance",
        "day_equity",
        "peak",
        "is_reconstructed",
        "updated_at",
    ]
    list_select_related = ["rule", "account"]
    list_filter = ["is_reconstructed", "rule__rule_type"]
    search_fields = ["rule__name", "account__name"]


@admin.register(Order)
class OrderAdmin(LedgerAdmin[Order]):
    list_display = [
        "created_at",
        "account_name",
        "kind",
        "symbol",
        "direction",
        "volume",
        "state",
        "origin",
        "message",
    ]
    list_filter = ["state", "kind", "origin", "refused_by", "host"]
    search_fields = ["account_name", "symbol", "message", "=order_ticket", "=position_ticket"]
    date_hierarchy = "created_at"
    readonly_fields = ["gate_checks"]

    @admin.display(description="checks of the gate")
    def gate_checks(self, order: Order) -> SafeString:
        checks = checks_of([order]).get(order.pk, [])
        rows = ((check.get_verdict_display(), check.sentence) for check in checks)
        return format_html_join("", "<div>{}: {}</div>", rows)


@admin.register(GateCheck)
class GateCheckAdmin(LedgerAdmin[GateCheck]):
    list_display = [
        "created_at",
        "order_id",
        "check_name",
        "rule_name",
        "verdict",
        "value",
        "limit",
        "sentence",
    ]
    list_filter = ["verdict", "check_name"]
    search_fields = ["rule_name", "check_name", "sentence"]
    date_hierarchy = "created_at"


@admin.register(GateRound)
class GateRoundAdmin(LedgerAdmin[GateRound]):
    """What was found of orders that were decided about together; worded for who looks."""

    list_display = ["gated_at", "order_count"]
    search_fields = ["gated_at"]
    search_help_text = "The id of an order."
    date_hierarchy = "gated_at"
    fields = ["gated_at", "order_count", "gate_checks"]
    readonly_fields = ["gate_checks"]

    @admin.display(description="checks of the gate")
    def gate_checks(self, row: GateRound) -> SafeString:
        worded = (
            (order_id, check.get_verdict_display(), check.sentence)
            for order_id, checks in checks_of_round(row).items()
            for check in checks
        )
        return format_html_join("", "<div>{}: {}: {}</div>", worded)

    def get_search_results(
        self, _request: HttpRequest, queryset: QuerySet[GateRound], search_term: str
    ) -> tuple[QuerySet[GateRound], bool]:
        """Find the rounds of the moment at which an order was gated."""
        if not search_term:
            return queryset, False
        try:
            order_id = UUID(search_term.strip())
        except ValueError:
            return queryset.none(), False
        gated_at = Order.objects.filter(pk=order_id).values("gated_at")
        return queryset.filter(gated_at__in=gated_at), False


@admin.register(Enforcement)
class EnforcementAdmin(LedgerAdmin[Enforcement]):
    list_display = [
        "created_at",
        "account_name",
        "cause",
        "action",
        "rule_name",
        "stage",
        "positions_closed",
        "confirmed_at",
        "finished_at",
    ]
    list_filter = ["cause", "action", "stage", "host", ("finished_at", admin.EmptyFieldListFilter)]
    search_fields = ["account_name", "rule_name", "reason", "message"]
    date_hierarchy = "created_at"


@admin.register(AccountLock)
class AccountLockAdmin(LedgerAdmin[AccountLock]):
    list_display = ["locked_at", "account_name", "cause", "reason", "unlocked_at"]
    list_filter = ["cause", ("unlocked_at", admin.EmptyFieldListFilter)]
    search_fields = ["account_name", "reason", "unlocked_reason"]
    date_hierarchy = "locked_at"
