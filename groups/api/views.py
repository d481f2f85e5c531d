from collections.abc import Callable

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.rows import own_row
from accounts.api.viewsets import OwnedViewSet
from accounts.selectors import accounts_of
from groups import selectors, services
from groups.api.serializers import GroupSerializer, MembersSerializer
from groups.models import AccountGroup

ACCOUNT_ID = OpenApiParameter("account_id", OpenApiTypes.UUID, OpenApiParameter.PATH)


class GroupViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, OwnedViewSet[AccountGroup]):
    """Your groups of accounts; an account may be in several."""

    model = AccountGroup
    serializer_class = GroupSerializer
    filterset_fields = ["name"]
    search_fields = ["name", "description"]
    ordering_fields = ["name", "account_count", "created_at", "updated_at"]
    ordering = ["name"]

    def own_rows(self) -> QuerySet[AccountGroup]:
        return selectors.groups_of(self.owner)

    def create(self, request: Request) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        group = services.create_group(user=self.owner, **serializer.validated_data)
        return self._shown(group, status.HTTP_201_CREATED)

    def update(self, request: Request, **_ids: object) -> Response:
        return self._change(request, partial=False)

    def partial_update(self, request: Request, **_ids: object) -> Response:
        return self._change(request, partial=True)

    def destroy(self, _request: Request, **_ids: object) -> Response:
        """Delete a group, not its accounts; refused while a rule holds one of them through it."""
        services.delete_group(group=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(operation_id="groups_account_add", parameters=[ACCOUNT_ID], request=None)
    @action(detail=True, methods=["post"], url_path="accounts/(?P<account_id>[^/.]+)")
    def member(self, _request: Request, **_ids: object) -> Response:
        """Add one of your accounts to a group."""
        return self._move(services.add_accounts)

    @extend_schema(
        operation_id="groups_account_remove",
        parameters=[ACCOUNT_ID],
        responses={200: GroupSerializer},
    )
    @member.mapping.delete
    def remove_member(self, _request: Request, **_ids: object) -> Response:
        """Take one account out of a group; refused while a rule holds it through the group."""
        return self._move(services.remove_accounts)

    @extend_schema(request=MembersSerializer, responses=GroupSerializer)
    @action(detail=True, methods=["post"], url_path="accounts")
    def members(self, request: Request, **_ids: object) -> Response:
        """Add many of your accounts to a group."""
        return self._move_many(services.add_accounts, request)

    # A body on DELETE is beyond what OpenAPI describes for that verb, yet it is what this takes.
    @extend_schema(request=MembersSerializer, responses={200: GroupSerializer})
    @members.mapping.delete
    def remove_members(self, request: Request, **_ids: object) -> Response:
        """Take many accounts out of a group: {"account_ids": […]}."""
        return self._move_many(services.remove_accounts, request)

    def _move_many(self, move: Callable[..., None], request: Request) -> Response:
        group = self.get_object()  # before the body: a stranger learns nothing from it
        serializer = MembersSerializer(data=request.data, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        move(group=group, accounts=serializer.validated_data["account_ids"])
        return self._shown(group)

    def _move(self, move: Callable[..., None]) -> Response:
        group = self.get_object()
        account = own_row(accounts_of(self.owner), self.kwargs["account_id"])
        move(group=group, accounts=[account])
        return self._shown(group)

    def _change(self, request: Request, *, partial: bool) -> Response:
        group = self.get_object()
        serializer = self.get_serializer(group, data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        return self._shown(services.update_group(group=group, **serializer.validated_data))

    def _shown(self, group: AccountGroup, status_code: int = 200) -> Response:
        return Response(self.get_serializer(self.own_rows().get(pk=group.pk)).data, status_code)
