"""How often a password or a code may be wrong, on pages and in the API together.

An attempt is counted before it is looked at, so that many at once are all counted, and taken back
when it was right. Counted are the address that it comes from, the person that it names (whichever
way the person is named, and alike for names that nobody has) and, for codes, the person whose code
it is. Pages let an attempt pass while nothing can be counted; the API answers that it is away.
"""

import hashlib
import logging
import math
import time
from dataclasses import dataclass
from typing import Self

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.cache import caches
from django.db.models import Q
from django.http import HttpRequest
from redis import RedisError

from accounts.models import User
from accounts.origin import client_network
from accounts.task_messages import TaskMessage, enqueue

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try, as the keys under which it counts."""

    keys: tuple[tuple[str, str], ...]

    @classmethod
    def at_password(cls, request: HttpRequest, name: str) -> Self:
        names = (("name", person) for person in _people(name))
        return cls((("address", client_network(request)), *names))

    @classmethod
    def at_code(cls, request: HttpRequest, user_id: int) -> Self:
        return cls((("address", client_network(request)), ("code", str(user_id))))

    @classmethod
    def of_address(cls, request: HttpRequest) -> Self:
        return cls((("address", client_network(request)),))

    @property
    def network(self) -> str:
        return next((key for kind, key in self.keys if kind == "address"), "")

    def wait_seconds(self) -> int | None:
        """Count this attempt; return how long to wait when there were too many, else None.

        What is refused to an address is not looked at, and so does not count at the name: else a
        crowded address would lock the people out who are right. Raises RedisError while nothing can
        be counted.
        """
        for kind, key in self.keys:
            if (wait := _count(kind, key, network=self.network)) is not None:
                return max(1, math.ceil(wait))
        return None

    def forgive(self) -> None:
        """Take this attempt back: it was right, so nobody was guessing."""
        try:
            for kind, key in self.keys:
                _take_back(f"{kind}:{key}")
        except RedisError as error:
            logger.warning("An attempt to sign in stays counted: %s", error)

    def refusal(self) -> str | None:
        """Count this attempt of a page; return what to tell when there were too many lately."""
        try:
            wait = self.wait_seconds()
        except RedisError as error:
            # Nobody shall be locked out of the pages because nothing counts for a moment.
            logger.warning("An attempt to sign in could not be counted: %s", error)
            return None
        return None if wait is None else too_many(wait)


def forgive_person(user: User) -> None:
    """Forget the attempts at a password that is replaced; those at codes stay counted."""
    try:
        caches["attempts"].delete(f"name:{user.pk}")
    except RedisError as error:
        logger.warning("The attempts at user %s stay counted: %s", user.pk, error)


def too_many(wait_seconds: int) -> str:
    unit = f"{wait_seconds} s" if wait_seconds < 120 else f"{math.ceil(wait_seconds / 60)} min"
    return f"These were many attempts. Try again in {unit}."


def _count(kind: str, key: str, *, network: str) -> float | None:
    """Count one more; return the seconds until the count begins anew when it is over its limit."""
    most, window_seconds = (int(part) for part in settings.ATTEMPTS[kind].split("/"))
    counts = caches["attempts"]
    name, now = f"{kind}:{key}", time.time()
    counts.add(name, 0, window_seconds)
    counts.add(f"{name}:until", now + window_seconds, window_seconds)
    try:
        count = counts.incr(name)
    except ValueError:  # it ended between the two lines
        counts.add(name, 1, window_seconds)
        count = 1
    if count == 1:
        counts.touch(name, window_seconds)
    if count <= most:
        return None
    if count == most + 1:
        # Not what was typed: it may be a password that slipped into the wrong field.
        logger.warning("Too many attempts to sign in, by %s %s.", kind, key)
        if kind != "address" and key.isdecimal():
            # Beside the request: the time it takes would tell which names are known.
            enqueue(TaskMessage("accounts.tell_guessing", [kind, int(key), network], "default"))
    return float(counts.get(f"{name}:until", now + window_seconds)) - now


def _take_back(name: str) -> None:
    counts = caches["attempts"]
    try:
        if counts.decr(name) < 0:
            counts.delete(name)
    except ValueError:
        pass  # the window ended meanwhile


def _people(name: str) -> list[str]:
    """Return a key for each person whom a name may mean, or one for a name that nobody has.

    One person's name may be another's e-mail address, and the password of either is compared.
    """
    told = name.strip().lower()
    waiting = EmailAddress.objects.filter(email__iexact=told).values("user_id")
    means = Q(username__iexact=told) | Q(email__iexact=told) | Q(pk__in=waiting)
    found = [
        str(pk) for pk in User.objects.filter(means).order_by("pk").values_list("pk", flat=True)
    ]
    return found or [hashlib.sha256(told.encode(errors="replace")).hexdigest()]
