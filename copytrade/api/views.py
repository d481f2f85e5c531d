from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.viewsets import OwnedViewSet
from accounts.models import ConnectedAccount
from copytrade.api.cascade_serializers import CascadeSerializer
from copytrade.api.filters import CopyFilter, RelationshipFilter
from copytrade.api.ledger_serializers import CopySerializer, MetricsShape
from copytrade.api.serializers import (
    AcceptingSerializer,
    ExampleQuestion,
    ExampleShape,
    NewRelationshipSerializer,
    ReasonSerializer,
    RelationshipChangeSerializer,
    RelationshipSerializer,
    TerminatingSerializer,
)
from copytrade.cascade.story import cascade_stories
from copytrade.models import CopyRelationship
from copytrade.selectors.ledger import copies_of_relationship, copy_views
from copytrade.selectors.metrics import relationship_metrics
from copytrade.selectors.relationships import relationships_of, visible_to
from copytrade.services import relationships as services
from copytrade.services.requests import act_once
from risk.api.enforcement import CLOSING_THROTTLES, MONEY_THROTTLES
from risk.api.idempotency import IDEMPOTENCY_KEY, idempotency_key
from risk.models import Order

MOST_DAYS = 365
_USUAL_DAYS = 30
_MONEY = frozenset({"create", "update", "partial_update", "accept", "resume"})
# What only ends or holds back must pass also while nothing can be counted.
_CLOSING = frozenset({"destroy", "decline", "pause", "close_only", "terminate"})
_CHANGE: dict[str, Any] = {
    "parameters": [IDEMPOTENCY_KEY],
    "responses": {200: RelationshipSerializer},
}
_DAYS = OpenApiParameter(
    "days",
    {"type": "integer", "minimum": 1, "maximum": MOST_DAYS, "default": _USUAL_DAYS},
    description="How far back the copies are looked at.",
)
_OFFER = OpenApiExample(
    "In proportion to the equities, with twice the provider's risk",
    value={
        "provider": "0d0ff8a4-6a2c-4f0e-9c27-5d3a3f1f9e11",
        "follower": "5b0a3e0c-2a55-4d5f-8a5c-1f7b1d1c9d42",
        "sizing": "equity_ratio",
        "multiplier": "2.0",
        "maximum_lots": "5.00",
    },
    request_only=True,
)


class RelationshipViewSet(OwnedViewSet[CopyRelationship]):
    """What accounts of yours copy, and what copies accounts of yours.

    Each side sees what is its own: the owner of a provider knows another's follower by an alias.
    """

    model = CopyRelationship
    serializer_class: type[serializers.BaseSerializer[Any]] = NewRelationshipSerializer
    filterset_class = RelationshipFilter
    # Not by the follower's name, which is not the provider's owner's to know.
    search_fields = ["provider__name", "alias"]
    ordering_fields = ["created_at", "state", "state_changed_at", "alias", "held_lots"]
    ordering = ["-created_at"]

    def own_rows(self) -> QuerySet[CopyRelationship]:
        return relationships_of(self.owner)

    def get_throttles(self) -> Any:
        if self.action in _MONEY:
            return [throttle() for throttle in MONEY_THROTTLES]
        if self.action in _CLOSING:
            return [throttle() for throttle in CLOSING_THROTTLES]
        return super().get_throttles()

    @extend_schema(responses=RelationshipSerializer(many=True))
    def list(self, _request: Request) -> Response:
        page: Any = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self._shown(page))

    @extend_schema(responses=RelationshipSerializer)
    def retrieve(self, _request: Request, **_ids: object) -> Response:
        return Response(self._shown([self.get_object()])[0])

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY],
        request=NewRelationshipSerializer,
        responses={201: RelationshipSerializer},
        examples=[_OFFER],
    )
    def create(self, _request: Request) -> Response:
        """Offer that an account copies one of yours; an account of yours begins at once."""
        given = self._checked(NewRelationshipSerializer)
        answer = self._act(services.offer_relationship, given)
        return Response(answer, status.HTTP_201_CREATED)

    @extend_schema(request=RelationshipChangeSerializer, responses=RelationshipSerializer)
    def update(self, _request: Request, **_ids: object) -> Response:
        return self._change(partial=False)

    @extend_schema(request=RelationshipChangeSerializer, responses=RelationshipSerializer)
    def partial_update(self, _request: Request, **_ids: object) -> Response:
        """Change the alias or terms; what is open stays, and what comes follows the new ones."""
        return self._change(partial=True)

    @extend_schema(responses={204: None})
    def destroy(self, _request: Request, **_ids: object) -> Response:
        """End it, or take an offer back: what was copied stays with its follower.

        As `terminate` with `keep`. The relationship and its ledger can still be read.
        """
        services.terminate(relationship=self.get_object(), actor=self.owner, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=AcceptingSerializer, **_CHANGE)
    @action(detail=True, methods=["post"])
    def accept(self, _request: Request, **_ids: object) -> Response:
        """Begin to copy what another's provider offered to an account of yours."""
        return self._changed(services.accept, AcceptingSerializer)

    @extend_schema(request=ReasonSerializer, **_CHANGE)
    @action(detail=True, methods=["post"])
    def decline(self, _request: Request, **_ids: object) -> Response:
        """Refuse an offer."""
        return self._changed(services.decline, ReasonSerializer)

    @extend_schema(request=ReasonSerializer, **_CHANGE)
    @action(detail=True, methods=["post"])
    def pause(self, _request: Request, **_ids: object) -> Response:
        """Copy no more opens until it is resumed; closes and stops go on."""
        return self._changed(services.pause, ReasonSerializer)

    @extend_schema(request=ReasonSerializer, **_CHANGE)
    @action(detail=True, methods=["post"], url_path="close-only")
    def close_only(self, _request: Request, **_ids: object) -> Response:
        """Do no more than close what was copied."""
        return self._changed(services.close_only, ReasonSerializer)

    @extend_schema(request=None, **_CHANGE)
    @action(detail=True, methods=["post"])
    def resume(self, _request: Request, **_ids: object) -> Response:
        """Take back what your side holds back; what was opened meanwhile is not copied."""
        return self._changed(services.resume, None)

    @extend_schema(request=TerminatingSerializer, **_CHANGE)
    @action(detail=True, methods=["post"])
    def terminate(self, _request: Request, **_ids: object) -> Response:
        """End it; unless the positions are kept, that takes until the last of them is closed."""
        return self._changed(services.terminate, TerminatingSerializer)

    @extend_schema(
        operation_id="copy_relationship_events_list", responses=CopySerializer(many=True)
    )
    @action(
        detail=True,
        filterset_class=CopyFilter,
        search_fields=["symbol"],
        ordering_fields=["planned_at", "symbol", "state"],
        ordering=["-planned_at"],
    )
    def events(self, _request: Request, **_ids: object) -> Response:
        """List what the provider did, newest first, and what became of each on this follower."""
        rows: Any = copies_of_relationship(self.get_object())
        page: Any = self.paginate_queryset(self.filter_queryset(rows))
        views = copy_views(self.owner, page)
        return self.get_paginated_response(CopySerializer(views, many=True).data)

    @extend_schema(parameters=[_DAYS], responses=MetricsShape)
    @action(detail=True, filter_backends=[], pagination_class=None)
    def metrics(self, request: Request, **_ids: object) -> Response:
        """Tell what share succeeded, how long each step took and how far the prices slipped."""
        row, now = self.get_object(), timezone.now()
        since = now - timedelta(days=_days(request))
        told = relationship_metrics(row, user=self.owner, since=since)
        return Response(MetricsShape(asdict(told)).data)

    @extend_schema(responses=CascadeSerializer(many=True))
    @action(detail=True, filter_backends=[], pagination_class=None)
    def cascades(self, _request: Request, **_ids: object) -> Response:
        """List the provider's newest liquidations that closed this follower, at most 20."""
        row = self.get_object()
        stories = cascade_stories(self.owner, relationship_id=row.pk)
        return Response(CascadeSerializer(stories, many=True).data)

    @extend_schema(request=ExampleQuestion, responses=ExampleShape)
    @action(
        detail=False,
        methods=["post"],
        url_path="example-size",
        filter_backends=[],
        pagination_class=None,
    )
    def example_size(self, _request: Request) -> Response:
        """Size an open as these terms would copy it right now; nothing is written or sent."""
        given = self._checked(ExampleQuestion)
        self._refuse_strangers(given["provider"], given["follower"])
        is_buy = given.pop("direction") == Order.Direction.BUY
        size = services.example_size(actor=self.owner, now=timezone.now(), is_buy=is_buy, **given)
        return Response(ExampleShape(size).data)

    def _refuse_strangers(self, provider: ConnectedAccount, follower: ConnectedAccount) -> None:
        """Let nobody ask of another's account that has not been offered to this follower."""
        if provider.user_id == self.owner.pk:
            return
        offered = CopyRelationship.objects.living().filter(provider=provider, follower=follower)
        if not offered.exists():
            raise ValidationError({"provider": "not found"})

    def _change(self, *, partial: bool) -> Response:
        row = self.get_object()
        given = self._checked(RelationshipChangeSerializer, partial=partial)
        services.update_relationship(
            relationship=row, actor=self.owner, now=timezone.now(), **given
        )
        return Response(self._shown([self.get_object()])[0])

    def _changed(
        self,
        service: Callable[..., CopyRelationship],
        serializer_class: type[serializers.Serializer[Any]] | None,
    ) -> Response:
        row = self.get_object()
        given = self._checked(serializer_class) if serializer_class is not None else {}
        return Response(self._act(service, {"relationship": row, **given}))

    def _act(self, service: Callable[..., CopyRelationship], given: dict[str, Any]) -> Any:
        """Have the service change a relationship once per key, and show what came of it."""
        now = timezone.now()
        row = act_once(
            user=self.owner,
            key=idempotency_key(self.request),
            path=self.request.path,
            body=self.request.data,
            now=now,
            act=lambda: service(actor=self.owner, now=now, **given),
        )
        return self._shown([self.own_rows().get(pk=row.pk)])[0]

    def _shown(self, rows: Sequence[CopyRelationship]) -> Any:
        views = [visible_to(self.owner, row) for row in rows]
        return RelationshipSerializer([view for view in views if view is not None], many=True).data

    def _checked(
        self, serializer_class: type[serializers.BaseSerializer[Any]], **options: Any
    ) -> dict[str, Any]:
        context = self.get_serializer_context()
        serializer = serializer_class(data=self.request.data, context=context, **options)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)


def _days(request: Request) -> int:
    text = request.query_params.get("days", "") or str(_USUAL_DAYS)
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MOST_DAYS))):
        raise ValidationError({"days": f"Give a whole number of days, 1 to {MOST_DAYS}."})
    days = int(text)
    if not 1 <= days <= MOST_DAYS:
        raise ValidationError({"days": f"Give a whole number of days, 1 to {MOST_DAYS}."})
    return days
