from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.viewsets import OwnedViewSet
from risk import selectors
from risk.api.filters import BreachFilter, RuleFilter
from risk.api.serializers import BreachSerializer, ResetSerializer, RuleSerializer
from risk.models import RiskRule, RuleBreach
from risk.services.breaches import reset_rule
from risk.services.rules import create_rule, delete_rule, update_rule


class BreachViewSet(mixins.ListModelMixin, OwnedViewSet[RuleBreach]):
    """The ledger of violations; those without `cleared_at` are in force."""

    model = RuleBreach
    serializer_class = BreachSerializer
    filterset_class = BreachFilter
    search_fields = ["rule_name", "account_name", "message"]
    ordering_fields = ["latched_at", "rule_name", "account_name"]
    ordering = ["-latched_at"]

    def own_rows(self) -> QuerySet[RuleBreach]:
        return selectors.breaches_of(self.owner)


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
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        rule = create_rule(user=self.owner, **serializer.validated_data)
        return self._shown(rule, status.HTTP_201_CREATED)

    def update(self, request: Request, **_ids: object) -> Response:
        return self._change(request, partial=False)

    def partial_update(self, request: Request, **_ids: object) -> Response:
        """Change a rule; while a violation holds it, it can only be tightened or renamed."""
        return self._change(request, partial=True)

    def destroy(self, _request: Request, **_ids: object) -> Response:
        """Delete a rule; refused while a violation holds it."""
        delete_rule(rule=self.get_object(), now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=ResetSerializer, responses=BreachSerializer)
    @action(detail=True, methods=["post"])
    def reset(self, request: Request, **_ids: object) -> Response:
        """Acknowledge a violation with a reason, which re-arms the rule's action.

        No floor moves: a loss rule and a firm's rule stay violated until that ends by itself.
        """
        rule = self.get_object()
        serializer = ResetSerializer(data=request.data, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        breach = reset_rule(
            rule=rule,
            account=serializer.validated_data["account_id"],
            actor=self.owner,
            reason=serializer.validated_data["reason"],
            now=timezone.now(),
        )
        return Response(BreachSerializer(breach).data)

    def _change(self, request: Request, *, partial: bool) -> Response:
        rule = self.get_object()
        serializer = self.get_serializer(rule, data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        return self._shown(update_rule(rule=rule, **serializer.validated_data))

    def _shown(self, rule: RiskRule, status_code: int = 200) -> Response:
        return Response(self.get_serializer(self.own_rows().get(pk=rule.pk)).data, status_code)
