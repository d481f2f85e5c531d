from django.contrib import admin
from django.http import HttpRequest

from accounts.admin.generic import ModelAdmin
from accounts.models import TerminalHost


@admin.register(TerminalHost)
class TerminalHostAdmin(ModelAdmin[TerminalHost]):
    list_display = ["name", "kind", "lease_owner", "lease_expires_at"]
    list_filter = ["kind"]
    search_fields = ["name"]
    # The lease belongs to the worker that holds it.
    readonly_fields = ["lease_owner", "lease_token", "lease_expires_at"]

    def get_readonly_fields(
        self, request: HttpRequest, obj: TerminalHost | None = None
    ) -> list[str]:
        fields = list(super().get_readonly_fields(request, obj))
        # The name is the key that accounts and queues refer to.
        return fields if obj is None else ["name", *fields]
