from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.query import QueryFilterSet, TruthFilter
from accounts.api.viewsets import OwnedViewSet
from accounts.origin import Origin
from notifications import selectors
from notifications.api.serializers import (
    AddedChannelSerializer,
    ChannelChangeSerializer,
    ChannelSerializer,
    DeliverySerializer,
    NewChannelSerializer,
    TransportsSerializer,
)
from notifications.models import Channel
from notifications.services import channels, switching
from notifications.transports import transports

_OWN_FIELDS = frozenset({"name", "transport"})


class ChannelFilter(QueryFilterSet):
    working = TruthFilter(field_name="switched_off_at", lookup_expr="isnull")

    class Meta:
        model = Channel
        fields = ["transport"]


class ChannelViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, OwnedViewSet[Channel]):
    """The ways to you: addresses, chats, phones, browsers and programs of yours.

    What is needed to reach them goes into the vault and never comes out.
    """

    model = Channel
    serializer_class = ChannelSerializer
    filterset_class = ChannelFilter
    search_fields = ["name"]
    ordering_fields = ["name", "transport", "last_sent_at", "created_at"]
    ordering = ["created_at"]

    def own_rows(self) -> QuerySet[Channel]:
        return selectors.channels_of(self.owner)

    @extend_schema(request=NewChannelSerializer, responses={201: AddedChannelSerializer})
    @sensitive_variables()
    def create(self, request: Request) -> Response:
        """Add a channel; `notifications/transports` tells which credentials each needs."""
        serializer = NewChannelSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = {"name": "", "credentials": {}, **serializer.validated_data}
        with _at_credentials():
            channel = channels.add_channel(
                user=self.owner, now=timezone.now(), origin=Origin.of_request(request), **given
            )
        generated = channels.generated_credentials(channel=channel, given=given["credentials"])
        shown = {**ChannelSerializer(channel).data, "generated": generated}
        return Response(shown, status.HTTP_201_CREATED)

    @extend_schema(request=ChannelChangeSerializer, responses=ChannelSerializer)
    def update(self, request: Request, **_ids: object) -> Response:
        return self._change(request, partial=False)

    @extend_schema(request=ChannelChangeSerializer, responses=ChannelSerializer)
    def partial_update(self, request: Request, **_ids: object) -> Response:
        """Rename a channel, or give it other credentials, which switches it on again."""
        return self._change(request, partial=True)

    def destroy(self, request: Request, **_ids: object) -> Response:
        """Delete a channel and its credentials; the one by e-mail stays."""
        channels.delete_channel(
            channel=self.get_object(), now=timezone.now(), origin=Origin.of_request(request)
        )
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses={202: DeliverySerializer})
    @action(detail=True, methods=["post"])
    def test(self, _request: Request, **_ids: object) -> Response:
        """Send yourself a test by this channel; its notification's deliveries tell how it went."""
        delivery = channels.test_channel(channel=self.get_object(), now=timezone.now())
        return Response(DeliverySerializer(delivery).data, status.HTTP_202_ACCEPTED)

    @extend_schema(request=None, responses=ChannelSerializer)
    @action(detail=True, methods=["post"], url_path="switch-on")
    def switch_on(self, _request: Request, **_ids: object) -> Response:
        """Use a channel again that failed too often; what is told from now on goes there."""
        channel = self.get_object()
        switching.switch_on(channel, timezone.now())
        return self._shown(channel)

    @sensitive_variables()
    def _change(self, request: Request, *, partial: bool) -> Response:
        channel = self.get_object()
        serializer = ChannelChangeSerializer(channel, data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        with _at_credentials():
            channels.update_channel(
                channel=channel,
                now=timezone.now(),
                origin=Origin.of_request(request),
                **serializer.validated_data,
            )
        return self._shown(channel)

    def _shown(self, channel: Channel) -> Response:
        return Response(ChannelSerializer(self.own_rows().get(pk=channel.pk)).data)


class TransportsView(APIView):
    @extend_schema(responses=TransportsSerializer)
    def get(self, _request: Request) -> Response:
        """List the transports and what each needs to reach somebody."""
        shown: Any = {"transports": list(transports().values())}
        return Response(TransportsSerializer(shown).data)


@contextmanager
def _at_credentials() -> Iterator[None]:
    """Say what is wrong with a credential where it stands in the request."""
    try:
        yield
    except ValidationError as error:
        raise ValidationError(
            {
                name if name in _OWN_FIELDS else f"credentials.{name}": texts
                for name, texts in error.error_dict.items()
            }
        ) from None
