from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import selectors
from accounts.api.filters import AccountFilter
from accounts.api.history import HistoryActions
from accounts.api.serializers import (
    AccountSerializer,
    ConnectionLogSerializer,
    ConnectionSerializer,
    SwitchResultsSerializer,
)
from accounts.models import ConnectedAccount
from accounts.origin import Origin
from accounts.services import watching
from accounts.services.accounts import (
    create_account,
    delete_account,
    update_account,
)
from accounts.services.default_account import set_default


class AccountViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, HistoryActions):
    """The MetaTrader 5 accounts that you watch."""

    model = ConnectedAccount
    serializer_class = AccountSerializer
    filterset_class = AccountFilter
    search_fields = ["name", "broker", "server", "login"]
    ordering_fields = [
        "name",
        "broker",
        "server",
        "login",
        "initial_balance",
        "created_at",
        "connection__state",
    ]
    ordering = ["name"]

    def own_rows(self) -> QuerySet[ConnectedAccount]:
        return selectors.accounts_of(self.owner)

    @sensitive_variables("values")
    def create(self, request: Request) -> Response:
        """Add an account; it connects at once unless it is inactive."""
        values = self._checked(request)
        if "terminal_host_id" in values:
            values["terminal_host"] = values.pop("terminal_host_id")
        origin = Origin.of_request(request)
        account = create_account(user=self.owner, now=timezone.now(), origin=origin, **values)
        return self._shown(account, status.HTTP_201_CREATED)

    def update(self, request: Request, **_ids: object) -> Response:
        account = self.get_object()
        return self._change(account, self._checked(request, account))

    def partial_update(self, request: Request, **_ids: object) -> Response:
        """Change some fields; a `password` replaces the one in the vault and logs in anew."""
        account = self.get_object()
        return self._change(account, self._checked(request, account, partial=True))

    def destroy(self, request: Request, **_ids: object) -> Response:
        """Delete an account and the secret of its login; refused while it is locked.

        Its history stays with TradeGuard, but nobody can ask for it any more.
        """
        origin = Origin.of_request(request)
        delete_account(account=self.get_object(), now=timezone.now(), origin=origin)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses={202: ConnectionSerializer})
    @action(detail=True, methods=["post"])
    def connect(self, _request: Request, **_ids: object) -> Response:
        """Ask for the account to be connected; the answer comes as a change of its state."""
        connection = watching.connect_account(account=self.get_object(), now=timezone.now())
        return Response(ConnectionSerializer(connection).data, status.HTTP_202_ACCEPTED)

    @extend_schema(request=None, responses={202: ConnectionSerializer})
    @action(detail=True, methods=["post"])
    def disconnect(self, _request: Request, **_ids: object) -> Response:
        """Ask for the account's session to end; refused while it is locked."""
        connection = watching.disconnect_account(account=self.get_object(), now=timezone.now())
        return Response(ConnectionSerializer(connection).data, status.HTTP_202_ACCEPTED)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"], url_path="set-default")
    def set_default(self, _request: Request, **_ids: object) -> Response:
        return self._shown(set_default(account=self.get_object()))

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def activate(self, _request: Request, **_ids: object) -> Response:
        """Take up the watch over the account again, which connects it."""
        account = watching.activate_account(account=self.get_object(), now=timezone.now())
        return self._shown(account)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def deactivate(self, _request: Request, **_ids: object) -> Response:
        """End the watch over the account; refused while it is locked."""
        account = watching.deactivate_account(account=self.get_object(), now=timezone.now())
        return self._shown(account)

    @extend_schema(responses=ConnectionLogSerializer(many=True))
    @action(
        detail=True,
        url_path="connection-log",
        serializer_class=ConnectionLogSerializer,
        filter_backends=[],
    )
    def connection_log(self, _request: Request, **_ids: object) -> Response:
        """List the changes of the account's connection, newest first."""
        log: QuerySet[Any] = selectors.connection_log(self.get_object())
        page: Any = self.paginate_queryset(log)
        return self.get_paginated_response(ConnectionLogSerializer(page, many=True).data)

    @extend_schema(request=None, responses={202: SwitchResultsSerializer})
    @action(
        detail=False,
        methods=["post"],
        url_path="connect-all",
        filter_backends=[],
        pagination_class=None,
    )
    def connect_all(self, _request: Request) -> Response:
        """Connect all active accounts; one that cannot be connected stops no other."""
        return _switched(watching.connect_all(user=self.owner, now=timezone.now()))

    @extend_schema(request=None, responses={202: SwitchResultsSerializer})
    @action(
        detail=False,
        methods=["post"],
        url_path="disconnect-all",
        filter_backends=[],
        pagination_class=None,
    )
    def disconnect_all(self, _request: Request) -> Response:
        return _switched(watching.disconnect_all(user=self.owner, now=timezone.now()))

    @sensitive_variables("serializer")
    def _checked(
        self, request: Request, account: ConnectedAccount | None = None, *, partial: bool = False
    ) -> dict[str, Any]:
        serializer = self.get_serializer(account, data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    @sensitive_variables("values")
    def _change(self, account: ConnectedAccount, values: dict[str, Any]) -> Response:
        values.pop("terminal_host_id", None)
        origin = Origin.of_request(self.request)
        changed = update_account(account=account, now=timezone.now(), origin=origin, **values)
        return self._shown(changed)

    def _shown(self, account: ConnectedAccount, status_code: int = 200) -> Response:
        return Response(self.get_serializer(self.own_rows().get(pk=account.pk)).data, status_code)


def _switched(results: list[watching.SwitchResult]) -> Response:
    return Response(SwitchResultsSerializer({"results": results}).data, status.HTTP_202_ACCEPTED)
