from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts.admin.bases import LedgerAdmin, RehearsedForm, SecretField, ServiceAdmin
from accounts.models import ApiKey, ApiKeyAuditLog
from accounts.origin import SYSTEM, Origin
from accounts.refusals import Refusal
from accounts.services.key_trail import note_view
from accounts.services.key_verification import request_verification
from accounts.services.keys import create_key, revoke_key, rotate_secret, update_key

Status = ApiKey.Status


class ApiKeyForm(RehearsedForm[ApiKey]):
    password = SecretField(
        required=False,
        help_text=(
            "The broker password, stored encrypted and never shown. "
            "Needed for a new key; later, empty keeps it."
        ),
    )
    origin: ClassVar[Origin] = SYSTEM

    class Meta:
        model = ApiKey
        fields = ["user", "name", "expires_at", "status"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "status" in self.fields:
            possible = {Status.ACTIVE.value, Status.INACTIVE.value, self.instance.status}
            field = self.fields["status"]
            if isinstance(field, forms.ChoiceField):
                field.choices = [each for each in Status.choices if each[0] in possible]

    def perform(self) -> ApiKey:
        try:
            return self._write()
        except ValidationError as error:
            # A request hides its fields named `password` wherever it is reported.
            names = {"secret": "password"}
            raise ValidationError(
                {names.get(name, name): texts for name, texts in error.error_dict.items()}
            ) from None

    @sensitive_variables("values", "password")
    def _write(self) -> ApiKey:
        values, now = dict(self.cleaned_data), timezone.now()
        password = values.pop("password")
        if self.instance._state.adding:
            return create_key(secret=password, origin=self.origin, now=now, **values)
        key = self.instance
        if self.changed_data != ["password"]:
            key = update_key(key=key, origin=self.origin, now=now, **values)
        if password:
            key = rotate_secret(key=key, secret=password, origin=self.origin, now=now)
        return key


@admin.register(ApiKey)
class ApiKeyAdmin(ServiceAdmin[ApiKey]):
    """Keys are added, renamed, switched off and replaced as their owners do it, with a row each.

    No key is deleted here: it is revoked. It goes with its user.
    """

    form = ApiKeyForm
    list_display = ["name", "user", "status", "verification", "account_count", "last_used_at"]
    list_filter = ["status", "verification"]
    list_select_related = ["user"]
    search_fields = ["name", "user__username", "user__email"]
    date_hierarchy = "created_at"
    autocomplete_fields = ["user"]
    actions = ["verify", "revoke"]
    new_fields: ClassVar[list[str]] = ["user", "name", "expires_at", "password"]
    readonly_fields = [
        "verification",
        "verification_message",
        "verified_at",
        "use_count",
        "last_used_at",
        "error_count",
        "last_error_at",
        "last_error",
        "rotated_at",
        "revoked_at",
        "created_at",
        "updated_at",
    ]
    fields = ["user", "name", "status", "expires_at", "password", *readonly_fields]

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[ApiKey]:
        # The list has no use for the secrets, not even encrypted.
        queryset = super().get_queryset(request).defer("secret")
        return queryset.annotate(account_count=models.Count("accounts"))

    @admin.display(description="accounts", ordering="account_count")
    def account_count(self, key: Any) -> int:
        return int(key.account_count)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        return self.new_fields if obj is None else super().get_fields(request, obj)

    def get_form(
        self, request: HttpRequest, obj: ApiKey | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        return type(form.__name__, (form,), {"origin": Origin.of_request(request)})

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        is_over = obj is not None and obj.status == Status.REVOKED
        return not is_over and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Allow it on the page of a user, with whom the keys go, and nowhere else."""
        match = request.resolver_match
        is_here = match is not None and str(match.url_name).startswith("accounts_apikey_")
        return not is_here and super().has_delete_permission(request, obj)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        key = self.get_object(request, object_id)
        is_shown = key is not None and self.has_view_or_change_permission(request, key)
        if request.method == "GET" and key is not None and is_shown:
            note_view(key=key, origin=Origin.of_request(request), now=timezone.now())
        return super().change_view(request, object_id, form_url, extra_context)

    @admin.action(description="Verify at the broker", permissions=["change"])
    def verify(self, request: HttpRequest, keys: models.QuerySet[ApiKey]) -> None:
        self._each(request, keys, request_verification, "verified or being verified")

    @admin.action(description="Revoke, which destroys the password", permissions=["change"])
    def revoke(self, request: HttpRequest, keys: models.QuerySet[ApiKey]) -> None:
        self._each(request, keys, revoke_key, "revoked")

    def _each(
        self, request: HttpRequest, keys: models.QuerySet[ApiKey], service: Any, done: str
    ) -> None:
        """Do it with each key; one that is refused stops no other."""
        origin, now, count = Origin.of_request(request), timezone.now(), 0
        for key in keys.order_by("pk"):
            try:
                service(key=key, origin=origin, now=now)
                count += 1
            except Refusal as refusal:
                self.message_user(request, refusal.sentence, messages.ERROR)
        if count:
            noun = "key is" if count == 1 else "keys are"
            self.message_user(request, f"{count} {noun} {done}.", messages.SUCCESS)


@admin.register(ApiKeyAuditLog)
class ApiKeyAuditLogAdmin(LedgerAdmin[ApiKeyAuditLog]):
    list_display = [
        "created_at",
        "key_name",
        "action",
        "outcome",
        "message",
        "actor_name",
        "ip_address",
    ]
    list_filter = ["action", "outcome", "reason"]
    search_fields = ["key_name", "actor_name", "message", "ip_address", "=key_id"]
    date_hierarchy = "created_at"
