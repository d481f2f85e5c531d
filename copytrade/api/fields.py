"""Fields of copy trading's requests and answers."""

from typing import Any, Final
from uuid import UUID

from rest_framework import serializers

from accounts.models import ConnectedAccount
from copytrade.core.kinds import EventKind, OrderType, SkipReason

# As lists of plain words, which the description of the API names once each.
EVENT_KINDS: Final = [kind.value for kind in EventKind]
ORDER_TYPES: Final = [kind.value for kind in OrderType]
SKIP_REASONS: Final = [reason.value for reason in SkipReason]


class AccountField(serializers.UUIDField):
    """The id of an account, whoever owns it: its owner has given it to whom it is to copy."""

    def to_internal_value(self, data: Any) -> Any:
        pk: UUID = super().to_internal_value(data)
        account = ConnectedAccount.objects.filter(pk=pk).select_related("user").first()
        if account is None:
            raise serializers.ValidationError("not found")
        return account


def flattened(
    serializer: type[serializers.BaseSerializer[Any]], source: str, *, allow_null: bool = False
) -> dict[str, Any]:
    """Return the fields of a serializer to be shown beside others, read from `source`."""
    fields: dict[str, Any] = serializer().get_fields()  # type: ignore[attr-defined]  # not of lists
    for name, field in fields.items():
        field.read_only, field.required = True, False
        field.source = f"{source}.{name}"
        field.allow_null = field.allow_null or allow_null
    return fields
