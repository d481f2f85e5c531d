"""How often the API is asked: few times by an address without a user, often by a user."""

from django.core.cache import caches
from rest_framework.request import Request
from rest_framework.throttling import AnonRateThrottle, BaseThrottle, UserRateThrottle

from accounts.origin import client_address


class _ByBelievedAddress(BaseThrottle):
    def get_ident(self, request: Request) -> str:
        return client_address(request._request) or "unknown"


class AddressThrottle(_ByBelievedAddress, AnonRateThrottle):
    cache = caches["attempts"]


class PersonThrottle(_ByBelievedAddress, UserRateThrottle):
    cache = caches["attempts"]
