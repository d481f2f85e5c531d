from django.db.models import QuerySet
from django_filters import rest_framework as filters

from accounts.models import ConnectedAccount
from accounts.models.connection import ConnectionState


class AccountFilter(filters.FilterSet):
    broker = filters.CharFilter(lookup_expr="iexact")
    currency = filters.CharFilter(lookup_expr="iexact")
    state = filters.ChoiceFilter(field_name="connection__state", choices=ConnectionState.choices)
    tag = filters.CharFilter(method="with_tag")
    group = filters.UUIDFilter(method="in_group")

    class Meta:
        model = ConnectedAccount
        fields = ["role", "is_demo", "is_active", "is_default", "server", "login"]

    def with_tag(
        self, accounts: QuerySet[ConnectedAccount], _name: str, value: str
    ) -> QuerySet[ConnectedAccount]:
        return accounts.filter(tags__name=value)  # names are unique per user: no row twice

    def in_group(
        self, accounts: QuerySet[ConnectedAccount], _name: str, value: str
    ) -> QuerySet[ConnectedAccount]:
        return accounts.filter(groups=value)
