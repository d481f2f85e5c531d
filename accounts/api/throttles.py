"""How often the API is asked: few times by an address without a user, often by a user."""

from django.core.cache import caches
from rest_framework.request import Request
from rest_framework.throttling import AnonRateThrottle, BaseThrottle, UserRateThrottle

from accounts.origin import client_network


class _ByNetwork(BaseThrottle):
    def get_ident(self, request: Request) -> str:
        return client_network(request._request)


class AddressThrottle(_ByNetwork, AnonRateThrottle):
    cache = caches["attempts"]


class PersonThrottle(_ByNetwork, UserRateThrottle):
    cache = caches["attempts"]


class OrderThrottle(PersonThrottle):
    """Counts what moves money apart from everything else that a user asks."""

    scope = "orders"


class _Anyway(BaseThrottle):
    """Counts where it can: what closes must pass also while nothing can be counted."""

    cache = caches["default"]


class ClosingAddressThrottle(_Anyway, AddressThrottle):
    pass


class ClosingThrottle(_Anyway, OrderThrottle):
    pass
