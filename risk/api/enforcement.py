"""Closing everything, unlocking, and the ledger of when TradeGuard stepped in."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from accounts.api.query import InstantFilter, QueryFilterSet
from accounts.api.rows import (
    OwnRowsField,
    TextField,
    UtcModelSerializer,
    YesNoField,
    own_row,
    user_of,
)
from accounts.api.throttles import (
    AddressThrottle,
    ClosingAddressThrottle,
    ClosingThrottle,
    OrderThrottle,
    PersonThrottle,
)
from accounts.api.viewsets import OwnedViewSet
from accounts.models import ConnectedAccount
from accounts.refusals import Refusal
from accounts.selectors import accounts_of
from groups.selectors import groups_of, members_of
from risk import selectors
from risk.api.idempotency import IDEMPOTENCY_KEY, idempotency_key, runs_once
from risk.models import AccountLock, Enforcement
from risk.services.breaches import LONGEST_REASON
from risk.services.panic import close_all
from risk.services.unlocking import unlock_account, unlocking_sentences

MONEY_THROTTLES: list[type[BaseThrottle]] = [AddressThrottle, PersonThrottle, OrderThrottle]
CLOSING_THROTTLES: list[type[BaseThrottle]] = [ClosingAddressThrottle, ClosingThrottle]


class EnforcementSerializer(UtcModelSerializer[Enforcement]):
    is_finished = serializers.SerializerMethodField()

    class Meta:
        model = Enforcement
        fields = [
            "id",
            "account_id",
            "account_name",
            "cause",
            "action",
            "rule_id",
            "rule_name",
            "breach_id",
            "reason",
            "stage",
            "is_finished",
            "message",
            "triggered_at",
            "created_at",
            "last_sent_at",
            "confirmed_at",
            "finished_at",
            "next_attempt_at",
            "positions_closed",
            "orders_cancelled",
            "attempts",
        ]
        read_only_fields = fields

    def get_is_finished(self, run: Enforcement) -> bool:
        return run.finished_at is not None


class RunsSerializer(serializers.Serializer[Any]):
    results = EnforcementSerializer(many=True)


class CloseAllSerializer(serializers.Serializer[Any]):
    reason = TextField(max_length=LONGEST_REASON)
    lock = YesNoField(
        default=True, help_text="Afterwards nothing can be opened until you unlock the account."
    )


class CloseAllOfSerializer(CloseAllSerializer):
    account_ids = OwnRowsField(
        model=ConnectedAccount,
        required=False,
        allow_empty=False,
        help_text="Left out: all your active accounts.",
    )


class UnlockSerializer(serializers.Serializer[Any]):
    reason = TextField(max_length=LONGEST_REASON)


class LockSerializer(UtcModelSerializer[AccountLock]):
    unlocked_by = serializers.CharField(read_only=True, allow_null=True)

    class Meta:
        model = AccountLock
        fields = [
            "id",
            "account_id",
            "account_name",
            "cause",
            "rule_id",
            "breach_id",
            "enforcement_id",
            "reason",
            "locked_at",
            "unlocked_at",
            "unlocked_by",
            "unlocked_reason",
        ]
        read_only_fields = fields


class UnlockedSerializer(serializers.Serializer[Any]):
    results = LockSerializer(many=True)
    changes = serializers.ListField(
        child=serializers.CharField(), help_text="What unlocking has changed, in sentences."
    )
    stays = serializers.ListField(
        child=serializers.CharField(), help_text="What it has not, as rules that stay violated."
    )


class EnforcementFilter(QueryFilterSet):
    since = InstantFilter(field_name="created_at", lookup_expr="gte")

    class Meta:
        model = Enforcement
        fields = ["account_id", "rule_id", "breach_id", "cause", "action", "stage"]


class EnforcementViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, OwnedViewSet[Enforcement]
):
    """When TradeGuard stepped in: why, what it did, and when that was confirmed."""

    model = Enforcement
    serializer_class = EnforcementSerializer
    filterset_class = EnforcementFilter
    search_fields = ["rule_name", "account_name", "reason"]
    ordering_fields = ["created_at", "account_name", "rule_name"]
    ordering = ["-created_at"]

    def own_rows(self) -> QuerySet[Enforcement]:
        return selectors.enforcements_of(self.owner)


class _ClosingView(APIView):
    may_refuse = True
    throttle_classes = CLOSING_THROTTLES

    def _close(
        self,
        request: Request,
        accounts: Sequence[ConnectedAccount],
        serializer_class: type[CloseAllSerializer] = CloseAllSerializer,
    ) -> Response:
        serializer = serializer_class(data=request.data, context={"request": request})
        serializer.is_valid(raise_exception=True)
        given = dict(serializer.validated_data)
        named: Sequence[ConnectedAccount] = given.pop("account_ids", ())
        chosen = named or accounts
        if not chosen:
            raise Refusal("There is no account to close anything on.", code="no_accounts")
        user, now = user_of(request), timezone.now()
        runs = runs_once(
            user=user,
            key=idempotency_key(request),
            path=request.path,
            body={**given, "account_ids": sorted(str(account.pk) for account in named)},
            now=now,
            begin=lambda: close_all(accounts=chosen, actor=user, now=now, **given),
        )
        return Response(RunsSerializer({"results": runs}).data, status.HTTP_202_ACCEPTED)


_CLOSES: dict[str, Any] = {
    "parameters": [IDEMPOTENCY_KEY],
    "responses": {202: RunsSerializer},
}


class CloseAllView(_ClosingView):
    @extend_schema(request=CloseAllOfSerializer, operation_id="accounts_close_all", **_CLOSES)
    def post(self, request: Request) -> Response:
        """Close everything on all your accounts, or on those named, and lock them.

        Answers at once; `risk-rules/enforcements/{id}` tells when it is confirmed flat.
        """
        accounts = list(accounts_of(user_of(request)).filter(is_active=True))
        return self._close(request, accounts, CloseAllOfSerializer)


class AccountCloseAllView(_ClosingView):
    @extend_schema(request=CloseAllSerializer, operation_id="account_close_all", **_CLOSES)
    def post(self, request: Request, pk: UUID) -> Response:
        """Close everything on one account, and lock it."""
        return self._close(request, [own_row(accounts_of(user_of(request)), pk)])


class GroupCloseAllView(_ClosingView):
    @extend_schema(request=CloseAllSerializer, operation_id="group_close_all", **_CLOSES)
    def post(self, request: Request, pk: UUID) -> Response:
        """Close everything on all active accounts of a group, and lock them."""
        group = own_row(groups_of(user_of(request)), pk)
        return self._close(request, list(members_of(group).filter(is_active=True)))


class UnlockView(APIView):
    may_refuse = True
    throttle_classes = MONEY_THROTTLES

    @extend_schema(
        request=UnlockSerializer, responses=UnlockedSerializer, operation_id="account_unlock"
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Lift the locks of an account with a reason; no violation is acknowledged by it."""
        user = user_of(request)
        account = own_row(accounts_of(user), pk)
        serializer = UnlockSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        sentences = unlocking_sentences(account)
        locks = unlock_account(
            account=account, actor=user, now=timezone.now(), **serializer.validated_data
        )
        told = {"results": selectors.signed_locks(locks), **asdict(sentences)}
        return Response(UnlockedSerializer(told).data)
