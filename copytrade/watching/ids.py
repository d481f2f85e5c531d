"""Names for what a provider did, made of what its broker calls it: the same thing, the same id."""

from typing import Final
from uuid import UUID, uuid5

from copytrade.core.kinds import EventKind

_NAMESPACE: Final = UUID("5d6c9a3e-1d0f-4b57-9a70-6f0c8f1f7a21")


def event_id(provider_id: UUID, server: str, login: int, kind: EventKind, key: str) -> UUID:
    """Return the id of an event; another login of the account is another account at the broker.

    `key` is the deal's ticket, the order's, or a ticket and how many such events came before.
    """
    return uuid5(_NAMESPACE, f"{provider_id}:{server}:{login}:{kind}:{key}")
