from django_filters import rest_framework as filters

from accounts.api.query import QueryFilterSet
from accounts.models import ConnectedAccount
from accounts.models.connection import ConnectionState


class AccountFilter(QueryFilterSet):
    broker = filters.CharFilter(lookup_expr="iexact")
    currency = filters.CharFilter(lookup_expr="iexact")
    state = filters.ChoiceFilter(field_name="connection__state", choices=ConnectionState.choices)
    tag = filters.CharFilter(field_name="tags__name")
    group = filters.UUIDFilter(field_name="groups")

    class Meta:
        model = ConnectedAccount
        fields = ["role", "is_demo", "is_active", "is_default", "server", "login"]
