"""How long to wait before the next attempt to connect."""

from collections.abc import Callable

BASE_SECONDS = 1.0
CAP_SECONDS = 60.0
# A broker locks a login that is refused too often, so these waits are longer and never near zero.
PERSON_BASE_SECONDS = 60.0
PERSON_CAP_SECONDS = 600.0


def wait_seconds(retries: int, random: Callable[[], float]) -> float:
    """Return an exponential back-off with full jitter: 0 to min(60, 2^retries) seconds."""
    return random() * _grown(BASE_SECONDS, retries, CAP_SECONDS)


def wait_for_person_seconds(retries: int, random: Callable[[], float]) -> float:
    """Return a wait that never hammers: the upper half of min(600, 60·2^retries) seconds."""
    ceiling = _grown(PERSON_BASE_SECONDS, retries, PERSON_CAP_SECONDS)
    return ceiling / 2 + random() * ceiling / 2


def _grown(base_seconds: float, retries: int, cap_seconds: float) -> float:
    # 2 ** 16 is beyond every cap; more would overflow after weeks of retries.
    return min(cap_seconds, base_seconds * float(2 ** min(retries, 16)))
