from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from accounts.admin.bases import LedgerAdmin
from risk.models import (
    AccountLock,
    Enforcement,
    GateCheck,
    Order,
    RuleBreach,
    RuleState,
)


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
        checks = GateCheck.objects.filter(order_id=order.pk)
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
