from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.text import get_text_list

from accounts.admin.bases import (
    LedgerAdmin,
    RehearsedForm,
    SecretField,
    ServiceAdmin,
    WithoutAdding,
    WithoutChanging,
    WithoutDeleting,
)
from accounts.admin.generic import TabularInline
from accounts.models import AccountConnection, ConnectedAccount, ConnectionLog
from accounts.origin import SYSTEM, Origin
from accounts.refusals import Refusal
from accounts.services.accounts import (
    create_account,
    delete_account,
    update_account,
)
from accounts.services.connections import request_evaluation
from accounts.services.default_account import set_default
from accounts.services.watching import connect_account, disconnect_account

NAMES_SHOWN = 10
ARCHIVED = "only"
_OWN_PAGES = "accounts_connectedaccount_"


class AccountForm(RehearsedForm[ConnectedAccount]):
    origin: ClassVar[Origin] = SYSTEM
    password = SecretField(
        required=False,
        help_text=(
            "The broker password, stored encrypted and never shown. "
            "Needed for a new account; later, empty keeps it."
        ),
    )

    class Meta:
        model = ConnectedAccount
        fields = [
            "user",
            "name",
            "broker",
            "server",
            "login",
            "role",
            "is_demo",
            "is_active",
            "is_default",
            "currency",
            "initial_balance",
            "broker_time_zone",
            "day_reset_time",
            "day_reset_zone",
            "terminal_host",
            "tags",
        ]

    @property
    def is_new(self) -> bool:
        return self.instance._state.adding

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        if self.is_new and not password:
            raise forms.ValidationError("Give the password of the account.", code="required")
        return password

    def clean_is_default(self) -> bool:
        is_default: bool = self.cleaned_data["is_default"]
        if self.initial.get("is_default") and not is_default:
            raise forms.ValidationError("Make another account the default instead.")
        return is_default

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        user = cleaned.get("user", self.instance.user if self.instance.user_id else None)
        if user is not None and any(tag.user_id != user.pk for tag in cleaned.get("tags", ())):
            self.add_error("tags", "Choose tags of the account's user.")
        return cleaned

    def _get_validation_exclusions(self) -> set[str]:
        # A new default takes the place of the old one, which the service sees to.
        exclusions: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return exclusions | {"is_default"}

    def perform(self) -> ConnectedAccount:
        values = {
            name: value
            for name, value in self.cleaned_data.items()
            if name not in {"is_default", "terminal_host", "tags"}
        }
        values["tags"] = [tag.name for tag in self.cleaned_data["tags"]]
        if self.is_new:
            host = self.cleaned_data["terminal_host"].name
            account = create_account(terminal_host=host, origin=self.origin, **values)
        else:
            if not values["password"]:
                del values["password"]
            account = update_account(account=self.instance, origin=self.origin, **values)
        return set_default(account=account) if self.cleaned_data["is_default"] else account


class ConnectionInline(
    WithoutAdding,
    WithoutChanging,
    WithoutDeleting,
    TabularInline[AccountConnection, ConnectedAccount],
):
    model = AccountConnection
    verbose_name_plural = "connection"
    readonly_fields = [
        "is_wanted",
        "state",
        "since",
        "reason",
        "last_error",
        "retries",
        "next_attempt_at",
    ]


class ArchiveFilter(admin.SimpleListFilter):
    """Shows the living accounts, or the deleted ones, whose history is kept."""

    title = "archive"
    parameter_name = "archive"

    def lookups(self, _request: HttpRequest, _model_admin: object) -> list[tuple[str, str]]:
        return [(ARCHIVED, "Deleted accounts")]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        everything, *rest = super().choices(changelist)
        return iter([{**everything, "display": "Accounts"}, *rest])

    def queryset(
        self, _request: HttpRequest, queryset: QuerySet[ConnectedAccount]
    ) -> QuerySet[ConnectedAccount]:
        return queryset.filter(archived_at__isnull=self.value() != ARCHIVED)


@admin.register(ConnectedAccount)
class ConnectedAccountAdmin(ServiceAdmin[ConnectedAccount]):
    form = AccountForm
    inlines = [ConnectionInline]
    actions = ["connect", "disconnect", "evaluate_now"]
    list_display = [
        "name",
        "user",
        "server",
        "login",
        "role",
        "connection_state",
        "is_active",
        "is_default",
        "terminal_host",
    ]
    list_select_related = ["user", "terminal_host", "connection"]
    list_filter = [
        ArchiveFilter,
        "connection__state",
        "is_active",
        "is_demo",
        "role",
        "terminal_host",
        "server",
    ]
    search_fields = ["name", "login", "server", "broker", "user__username", "user__email"]
    date_hierarchy = "created_at"
    autocomplete_fields = ["user", "terminal_host", "tags"]
    readonly_fields = ["api_key", "created_at", "updated_at", "archived_at"]
    readonly_on_change = ("user", "terminal_host")
    fieldsets = [
        (None, {"fields": ["user", "name", "is_active", "is_default", "tags"]}),
        (
            "At the broker",
            {
                "fields": [
                    "broker",
                    "server",
                    "login",
                    "password",
                    "api_key",
                    "role",
                    "is_demo",
                    "currency",
                    "initial_balance",
                ]
            },
        ),
        ("Trading day", {"fields": ["broker_time_zone", "day_reset_time", "day_reset_zone"]}),
        ("TradeGuard", {"fields": ["terminal_host", "created_at", "updated_at", "archived_at"]}),
    ]

    @admin.display(description="connection", ordering="connection__state")
    def connection_state(self, account: ConnectedAccount) -> str:
        connection = getattr(account, "connection", None)
        return connection.get_state_display() if connection else "—"

    def get_queryset(self, request: HttpRequest) -> QuerySet[ConnectedAccount]:
        """Reach into the archive for the list and the pages of accounts, not for choices."""
        match = request.resolver_match
        if match is not None and match.url_name == "autocomplete":
            return super().get_queryset(request)
        return ConnectedAccount.with_archived.order_by(*(self.get_ordering(request) or ["name"]))

    def has_change_permission(
        self, request: HttpRequest, obj: ConnectedAccount | None = None
    ) -> bool:
        return not _is_archived(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(
        self, request: HttpRequest, obj: ConnectedAccount | None = None
    ) -> bool:
        # Together with its user even an archived account goes.
        match = request.resolver_match
        is_own_page = match is not None and str(match.url_name).startswith(_OWN_PAGES)
        is_kept = is_own_page and _is_archived(obj)
        return not is_kept and super().has_delete_permission(request, obj)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        if request.GET.get(ArchiveFilter.parameter_name) == ARCHIVED:
            return {}
        return super().get_actions(request)

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        form = super().get_form(request, *args, **kwargs)
        return type(form.__name__, (form,), {"origin": Origin.of_request(request)})

    def delete_model(self, request: HttpRequest, obj: ConnectedAccount) -> None:
        delete_account(account=obj, origin=Origin.of_request(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ConnectedAccount]) -> None:
        for account in queryset.order_by("pk"):
            self.delete_model(request, account)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name the accounts alone: they are archived, and their history stays."""
        accounts = list(objs)
        names = [f"{account.name} ({account.login}): to the archive" for account in accounts]
        missing = set() if self.has_delete_permission(request) else {"account"}
        return names, {"accounts": len(accounts)}, missing, []

    @admin.action(description="Connect", permissions=["change"])
    def connect(self, request: HttpRequest, queryset: QuerySet[ConnectedAccount]) -> None:
        self._switch(request, queryset, connect_account, done="Connecting")

    @admin.action(description="Disconnect", permissions=["change"])
    def disconnect(self, request: HttpRequest, queryset: QuerySet[ConnectedAccount]) -> None:
        self._switch(request, queryset, disconnect_account, done="Disconnecting")

    @admin.action(description="Evaluate now", permissions=["change"])
    def evaluate_now(self, request: HttpRequest, queryset: QuerySet[ConnectedAccount]) -> None:
        accounts = list(queryset.filter(is_active=True))
        request_evaluation(accounts=accounts)
        if accounts:
            self.message_user(request, f"Evaluating {_name(accounts)}.", messages.SUCCESS)
        inactive = list(queryset.filter(is_active=False))
        if inactive:
            self.message_user(
                request, f"Not evaluated, because inactive: {_name(inactive)}.", messages.WARNING
            )

    def _switch(
        self,
        request: HttpRequest,
        queryset: QuerySet[ConnectedAccount],
        switch: Callable[..., object],
        *,
        done: str,
    ) -> None:
        """Switch each account; what stops one stops no other, and is said."""
        switched = []
        for account in queryset.select_related("user", "connection").order_by("name", "pk"):
            try:
                switch(account=account, now=timezone.now())
            except Refusal as refusal:
                self.message_user(request, f"{account.name}: {refusal.sentence}", messages.ERROR)
            else:
                switched.append(account)
        if switched:
            self.message_user(request, f"{done} {_name(switched)}.", messages.SUCCESS)


@admin.register(ConnectionLog)
class ConnectionLogAdmin(LedgerAdmin[ConnectionLog]):
    list_display = ["created_at", "account_name", "from_state", "to_state", "reason", "message"]
    list_filter = ["to_state", "reason"]
    search_fields = ["account_name", "message"]
    date_hierarchy = "created_at"


def _is_archived(account: ConnectedAccount | None) -> bool:
    return account is not None and account.archived_at is not None


def _name(accounts: list[ConnectedAccount]) -> str:
    """Name the accounts of a message, and count those that would make it too long."""
    names = [account.name for account in accounts[:NAMES_SHOWN]]
    if len(accounts) > NAMES_SHOWN:
        names.append(f"{len(accounts) - NAMES_SHOWN} more")
    return get_text_list(names, "and")
