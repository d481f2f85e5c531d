"""How often one address may offer a name and a password, on pages and in the API together."""

import logging
import math

from django.http import HttpRequest
from redis import RedisError
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

logger = logging.getLogger(__name__)


class CredentialsThrottle(SimpleRateThrottle):
    """Few attempts per address, as guessing needs many."""

    scope = "credentials"

    def get_cache_key(self, request: Request, view: APIView) -> str:  # noqa: ARG002  # of DRF
        return f"throttle_{self.scope}_{self.get_ident(request)}"

    def forgive(self, request: Request) -> None:
        """Take the newest attempt back: the password was right, so nobody was guessing."""
        key = self.get_cache_key(request, APIView())
        attempts = self.cache.get(key, [])
        _, seconds = self.parse_rate(self.get_rate())
        self.cache.set(key, attempts[1:], seconds)


def forgive_attempt(request: HttpRequest) -> None:
    """Count an attempt no more that went well."""
    try:
        CredentialsThrottle().forgive(Request(request))
    except RedisError as error:
        logger.warning("An attempt to sign in stays counted: %s", error)


def refused_attempt(request: HttpRequest) -> str | None:
    """Count an attempt of a form; return what to tell when there were too many lately."""
    throttle = CredentialsThrottle()
    try:
        if throttle.allow_request(Request(request), APIView()):
            return None
    except RedisError as error:
        # Nobody shall be locked out of the pages because nothing counts for a moment.
        logger.warning("An attempt to sign in could not be counted: %s", error)
        return None
    seconds = math.ceil(throttle.wait() or 60.0)
    return f"These were many attempts. Try again in {seconds} s."
