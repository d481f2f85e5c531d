from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils import timezone

from accounts.admin.bases import RehearsedForm, SecretField, ServiceAdmin, WithoutAdding
from accounts.models import ApiKey
from accounts.services.keys import rotate_secret


class ApiKeyForm(RehearsedForm[ApiKey]):
    password = SecretField(
        required=False,
        label="New password",
        help_text="Replaces the stored broker password, which is never shown. Empty keeps it.",
    )

    class Meta:
        model = ApiKey
        fields = ["name", "status"]

    def perform(self) -> ApiKey:
        key = ApiKey.objects.select_for_update().get(pk=self.instance.pk)
        key.name = self.cleaned_data["name"]
        key.status = self.cleaned_data["status"]
        key.save(update_fields=["name", "status", "updated_at"])
        if self.cleaned_data["password"]:
            rotate_secret(key=key, secret=self.cleaned_data["password"], now=timezone.now())
        return key


@admin.register(ApiKey)
class ApiKeyAdmin(WithoutAdding, ServiceAdmin[ApiKey]):
    """Keys come to be with their accounts; here they are renamed, switched off and replaced."""

    form = ApiKeyForm
    list_display = ["name", "user", "status", "account_count", "updated_at"]
    list_filter = ["status"]
    list_select_related = ["user"]
    search_fields = ["name", "user__username", "user__email"]
    date_hierarchy = "created_at"
    fields = ["user", "name", "status", "password", "created_at", "updated_at"]
    readonly_fields = ["created_at", "updated_at"]

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[ApiKey]:
        # The list has no use for the secrets, not even encrypted.
        queryset = super().get_queryset(request).defer("secret")
        return queryset.annotate(account_count=models.Count("accounts"))

    @admin.display(description="accounts", ordering="account_count")
    def account_count(self, key: Any) -> int:
        return int(key.account_count)
