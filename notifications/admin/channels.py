import json
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts.admin.bases import RehearsedForm, SecretField, ServiceAdmin
from accounts.origin import SYSTEM, Origin
from notifications.models import Channel
from notifications.services.channels import add_channel, delete_channel, update_channel
from notifications.services.switching import switch_off, switch_on

BY_STAFF = "Switched off by an administrator."


class ChannelForm(RehearsedForm[Channel]):
    origin: ClassVar[Origin] = SYSTEM
    name = forms.CharField(max_length=64, required=False, help_text="The transport's when empty.")
    # Not named as the model's field, which the form would fill with what is sealed elsewhere.
    secrets = SecretField(
        required=False,
        label="Credentials",
        help_text=(
            "What the transport needs, as JSON such as "
            '{"bot_token": "…", "chat_id": "…"}: stored encrypted and never shown. '
            "For a channel that is there, empty keeps them."
        ),
    )

    class Meta:
        model = Channel
        fields = ["user", "transport", "name"]

    @sensitive_variables()
    def clean_secrets(self) -> dict[str, Any]:
        text = self.cleaned_data["secrets"]
        try:
            given = json.loads(text or "{}")
            json.dumps(given, ensure_ascii=False).encode()  # half a sign cannot be shown again
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict):
            raise forms.ValidationError('Give a JSON object: {"name": "value"}.', code="invalid")
        return given

    @sensitive_variables()
    def perform(self) -> Channel:
        values, now = dict(self.cleaned_data), timezone.now()
        credentials = values.pop("secrets")
        try:
            if self.instance._state.adding:
                return add_channel(credentials=credentials, now=now, origin=self.origin, **values)
            return update_channel(
                channel=self.instance,
                name=values["name"],
                credentials=credentials or None,
                now=now,
                origin=self.origin,
            )
        except ValidationError as error:
            raise ValidationError(
                {
                    name if name in ("name", "transport") else f"secrets.{name}": texts
                    for name, texts in error.error_dict.items()
                }
            ) from None


@admin.register(Channel)
class ChannelAdmin(ServiceAdmin[Channel]):
    """Channels are added and changed as their owners do it; their credentials only go in."""

    form = ChannelForm
    readonly_on_change = ("user", "transport")
    list_display = [
        "name",
        "user",
        "transport",
        "hint",
        "last_sent_at",
        "failures_in_a_row",
        "switched_off_at",
        "last_error",
    ]
    list_select_related = ["user"]
    list_filter = ["transport", ("switched_off_at", admin.EmptyFieldListFilter)]
    search_fields = ["name", "hint", "user__username", "user__email"]
    date_hierarchy = "created_at"
    autocomplete_fields = ["user"]
    actions = ["switch_on", "switch_off"]
    new_fields: ClassVar[list[str]] = ["user", "transport", "name", "secrets"]
    readonly_fields = [
        "hint",
        "failures_in_a_row",
        "last_error",
        "last_sent_at",
        "switched_off_at",
        "switched_off_because",
        "created_at",
        "updated_at",
    ]
    fields = [*new_fields, *readonly_fields]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        # The list has no use for what is sealed, not even encrypted.
        return super().get_queryset(request).defer("credentials")

    def get_fields(self, request: HttpRequest, obj: Channel | None = None) -> Any:
        return self.new_fields if obj is None else super().get_fields(request, obj)

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        form = super().get_form(request, *args, **kwargs)
        return type(form.__name__, (form,), {"origin": Origin.of_request(request)})

    def delete_model(self, request: HttpRequest, obj: Channel) -> None:
        delete_channel(channel=obj, now=timezone.now(), origin=Origin.of_request(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Channel]) -> None:
        for channel in queryset.order_by("pk"):
            self.delete_model(request, channel)

    @admin.action(description="Switch on again", permissions=["change"])
    def switch_on(self, request: HttpRequest, channels: QuerySet[Channel]) -> None:
        count = sum(switch_on(channel, timezone.now()) for channel in channels.order_by("pk"))
        self._tell(request, count, "on")

    @admin.action(description="Switch off, and tell the user by another", permissions=["change"])
    def switch_off(self, request: HttpRequest, channels: QuerySet[Channel]) -> None:
        now = timezone.now()
        count = sum(switch_off(channel, BY_STAFF, now) for channel in channels.order_by("pk"))
        self._tell(request, count, "off")

    def _tell(self, request: HttpRequest, count: int, what: str) -> None:
        noun = "channel is" if count == 1 else "channels are"
        level = messages.SUCCESS if count else messages.WARNING
        self.message_user(request, f"{count} {noun} switched {what}.", level)
