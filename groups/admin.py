from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest

from accounts.admin.bases import RehearsedForm, ServiceAdmin, WithoutChanging, rehearse
from accounts.admin.generic import InlineFormSet, TabularInline
from accounts.models import ConnectedAccount
from accounts.refusals import Refusal
from groups.models import AccountGroup, Membership
from groups.services import (
    add_accounts,
    create_group,
    delete_group,
    remove_accounts,
    update_group,
)


class GroupForm(RehearsedForm[AccountGroup]):
    class Meta:
        model = AccountGroup
        fields = ["user", "name", "description"]

    def perform(self) -> AccountGroup:
        if self.instance._state.adding:
            return create_group(**self.cleaned_data)
        return update_group(group=self.instance, **self.cleaned_data)


class MembershipFormSet(InlineFormSet[Membership, AccountGroup, Any]):
    """Members join and leave through the services, which also say who may not leave."""

    def clean(self) -> None:
        super().clean()
        for form in self.extra_forms:
            account = form.cleaned_data.get("account") if form.is_valid() else None
            if account is not None and account.user_id != self.instance.user_id:
                form.add_error("account", "Choose an account of the group's user.")
        if not self.instance._state.adding:
            self._check_leaving()

    def _check_leaving(self) -> None:
        leaving: list[ConnectedAccount] = [
            form.instance.account for form in self.deleted_forms if form.instance.pk
        ]
        if not leaving:
            return
        try:
            rehearse(lambda: remove_accounts(group=self.instance, accounts=leaving))
        except Refusal as refusal:
            raise ValidationError(refusal.sentence) from refusal

    def save_new(self, form: Any, *_: object, **__: object) -> Membership:
        account = form.cleaned_data["account"]
        add_accounts(group=self.instance, accounts=[account])
        return Membership.objects.get(group=self.instance, account=account)

    def delete_existing(self, obj: Membership, *_: object, **__: object) -> None:
        remove_accounts(group=self.instance, accounts=[obj.account])


class MembershipInline(WithoutChanging, TabularInline[Membership, AccountGroup]):
    """Another account is another membership: one leaves, one joins."""

    model = Membership
    formset = MembershipFormSet
    extra = 1
    autocomplete_fields = ["account"]
    readonly_fields = ["added_at"]

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Membership]:
        return super().get_queryset(request).select_related("account", "group")


@admin.register(AccountGroup)
class AccountGroupAdmin(ServiceAdmin[AccountGroup]):
    form = GroupForm
    inlines = [MembershipInline]
    fields = ["user", "name", "description", "created_at", "updated_at"]
    readonly_fields = ["created_at", "updated_at"]
    list_display = ["name", "user", "account_count", "description", "updated_at"]
    list_select_related = ["user"]
    search_fields = ["name", "description", "user__username", "user__email"]
    date_hierarchy = "created_at"
    autocomplete_fields = ["user"]

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[AccountGroup]:
        return super().get_queryset(request).annotate(account_count=models.Count("memberships"))

    @admin.display(description="accounts", ordering="account_count")
    def account_count(self, group: Any) -> int:
        return int(group.account_count)

    def delete_with_service(self, obj: AccountGroup) -> None:
        delete_group(group=obj)
