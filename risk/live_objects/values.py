"""Numbers and moments of the live objects: what is not known is None, never 0."""

from datetime import UTC, datetime
from typing import Any

_INFINITE = float("inf")

Json = dict[str, Any]


def known(number: float) -> float | None:
    return number if abs(number) < _INFINITE else None


def moment(epoch: float) -> str:
    """Write a UTC epoch in seconds the way the API does."""
    return datetime.fromtimestamp(float(epoch), UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
