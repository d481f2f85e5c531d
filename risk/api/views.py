from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.rows import own_row
from accounts.api.viewsets import OwnedViewSet
from risk import selectors
from risk.api.arming_serializers import ArmingResultsSerializer, ArmingSerializer
from risk.api.filters import BreachFilter, RuleFilter
from risk.api.serializers import (
    BreachDetailSerializer,
    BreachSerializer,
    OverrideSerializer,
    OverridesSerializer,
    ResetSerializer,
    RuleSerializer,
)
from risk.models import RiskRule, RuleBreach
from risk.services import arming
from risk.services.breaches import reset_rule
from risk.services.overrides import clear_override, set_override
from risk.services.rules import create_rule, delete_rule, update_rule

ACCOUNT_ID = OpenApiParameter("account_id", OpenApiTypes.UUID, OpenApiParameter.PATH)


class BreachViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, OwnedViewSet[RuleBreach]):
    """The ledger of violations; those without `cleared_at` are in force.

    One by its id has its evidence, the list has none. What was done about it stands in
    `risk-rules/enforcements?breach_id=`.
    """

    model = RuleBreach
    serializer_class = BreachSerializer
    filterset_class = BreachFilter
    search_fields = ["rule_name", "account_name", "message"]
    ordering_fields = ["latched_at", "rule_name", "account_name"]
    ordering = ["-latched_at"]

    def own_rows(self) -> QuerySet[RuleBreach]:
        rows = selectors.signed_breaches_of(self.owner)
        return rows.defer("evidence") if self.action == "list" else rows

    def get_serializer_class(self) -> type[BreachSerializer]:
        return BreachSerializer if self.action == "list" else BreachDetailSerializer


class RuleViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, OwnedViewSet[RiskRule]):
    """Your rules: for all your accounts, for some, or for the members of groups."""

    model = RiskRule
    serializer_class = RuleSerializer
    filterset_class = RuleFilter
    search_fields = ["name"]
    ordering_fields = ["name", "rule_type", "limit", "breach_count", "last_breach_at", "created_at"]
    ordering = ["rule_type", "name"]

    def own_rows(self) -> QuerySet[RiskRule]:
        return selectors.rules_of(self.owner)

    def create(self, request: Request) -> Response:
        """Create a rule; an action that reduces or closes stays disarmed until you arm it."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        rule = create_rule(user=self.owner, **serializer.validated_data)
        return self._shown(rule, status.HTTP_201_CREATED)

    def update(self, request: Request, **_ids: object) -> Response:
        return self._change(request, partial=False)

    def partial_update(self, request: Request, **_ids: object) -> Response:
        """Change a rule; what changes its limit, action or reach disarms it.

        While a violation that nobody acknowledged holds it, it is only tightened.
        """
        return self._change(request, partial=True)

    def destroy(self, _request: Request, **_ids: object) -> Response:
        """Delete a rule; refused while a violation holds it."""
        delete_rule(rule=self.get_object(), now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=ResetSerializer, responses=BreachDetailSerializer)
    @action(detail=True, methods=["post"])
    def reset(self, request: Request, **_ids: object) -> Response:
        """Acknowledge a violation with a reason, which re-arms the rule's action.

        No floor moves: a loss rule and a firm's rule stay violated until that ends by itself. Only
        a loss rule of your own may take a `new_reference`.
        """
        rule = self.get_object()
        given = self._checked(ResetSerializer, request)
        breach = reset_rule(
            rule=rule,
            account=given["account_id"],
            actor=self.owner,
            reason=given["reason"],
            new_reference=given["new_reference"],
            now=timezone.now(),
        )
        told = selectors.signed_breaches_of(self.owner).get(pk=breach.pk)
        return Response(BreachDetailSerializer(told).data)

    @extend_schema(responses=ArmingResultsSerializer)
    @action(detail=True, url_path="arming", filter_backends=[], pagination_class=None)
    def arming_state(self, _request: Request, **_ids: object) -> Response:
        """Tell where the rule is armed, and what it would do right now if it were."""
        return self._armed(self.get_object())

    @extend_schema(request=ArmingSerializer, responses=ArmingResultsSerializer)
    @action(detail=True, methods=["post"])
    def arm(self, request: Request, **_ids: object) -> Response:
        """Let the rule reduce and close by itself on these accounts, or on all that it reaches.

        Look at `arming` first. A violation that is there already only alerts and blocks.
        """
        return self._set_arming(request, arming.arm_rule)

    @extend_schema(request=ArmingSerializer, responses=ArmingResultsSerializer)
    @action(detail=True, methods=["post"])
    def disarm(self, request: Request, **_ids: object) -> Response:
        """Let the rule only alert and block there; refused while a violation holds it."""
        return self._set_arming(request, arming.disarm_rule)

    @extend_schema(responses=OverridesSerializer)
    @action(detail=True, filter_backends=[], pagination_class=None)
    def overrides(self, _request: Request, **_ids: object) -> Response:
        """List the accounts on which the rule differs, and how."""
        rows = selectors.overrides_of(self.get_object())
        return Response(OverridesSerializer({"results": rows}).data)

    @extend_schema(
        operation_id="risk_rules_override_set",
        parameters=[ACCOUNT_ID],
        request=OverrideSerializer,
        responses=OverrideSerializer,
    )
    @action(detail=True, methods=["put"], url_path="overrides/(?P<account_id>[^/.]+)")
    def override(self, request: Request, **_ids: object) -> Response:
        """Let the rule differ on one account; fields that are left out are as in the rule.

        The shared rule stays as it is. Refused while a violation holds the rule there.
        """
        rule, account = self.get_object(), self._account()
        given = self._checked(OverrideSerializer, request)
        saved = set_override(rule=rule, account=account, actor=self.owner, **given)
        return Response(OverrideSerializer(saved).data)

    @extend_schema(
        operation_id="risk_rules_override_clear", parameters=[ACCOUNT_ID], responses={204: None}
    )
    @override.mapping.delete
    def remove_override(self, _request: Request, **_ids: object) -> Response:
        """Let the rule be on the account what it is on the others."""
        clear_override(rule=self.get_object(), account=self._account(), actor=self.owner)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _account(self) -> Any:
        from_rule = selectors.reached_accounts(self.get_object())
        return own_row(from_rule, self.kwargs["account_id"])

    def _set_arming(self, request: Request, change: Callable[..., object]) -> Response:
        rule = self.get_object()
        given = self._checked(ArmingSerializer, request)
        accounts = given.get("account_ids")
        if accounts is None:
            accounts = list(selectors.reached_accounts(rule))
        change(rule=rule, accounts=accounts, actor=self.owner, now=timezone.now())
        return self._armed(rule)

    def _armed(self, rule: RiskRule) -> Response:
        views = arming.arming_views(rules=[rule], now=timezone.now())
        return Response(ArmingResultsSerializer({"results": views}).data)

    def _checked(
        self, serializer_class: type[serializers.Serializer[Any]], request: Request
    ) -> dict[str, Any]:
        serializer = serializer_class(data=request.data, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def _change(self, request: Request, *, partial: bool) -> Response:
        rule = self.get_object()
        serializer = self.get_serializer(rule, data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        return self._shown(update_rule(rule=rule, **serializer.validated_data))

    def _shown(self, rule: RiskRule, status_code: int = 200) -> Response:
        return Response(self.get_serializer(self.own_rows().get(pk=rule.pk)).data, status_code)
