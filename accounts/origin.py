"""Who asks, and from where: what an audit row says of the one who acted."""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Self

from django.conf import settings
from django.http import HttpRequest

from accounts.models import User

LONGEST_USER_AGENT = 255
UNKNOWN_ADDRESS = "::"  # where something has to be written
NETWORK_PREFIX_BITS = 64  # of IPv6: one customer has as many addresses as they like


@dataclass(frozen=True, slots=True)
class Origin:
    """The actor of an operation; without a user it was TradeGuard itself."""

    user_id: int | None = None
    username: str = ""
    ip_address: str | None = None
    user_agent: str = ""

    @classmethod
    def of_request(cls, request: HttpRequest) -> Self:
        told = getattr(request, "user", None)
        user = told if isinstance(told, User) else None
        return cls(
            user_id=user.pk if user else None,
            username=user.get_username() if user else "",
            ip_address=client_address(request),
            user_agent=printable(request.headers.get("User-Agent", "")),
        )


SYSTEM = Origin()


def client_address(request: HttpRequest) -> str | None:
    """Return the address of the client as the proxies that we trust tell it.

    What a client itself writes into X-Forwarded-For is not believed: only as many entries count,
    from the right, as there are trusted proxies (TRUSTED_PROXIES).
    """
    proxies: int = settings.REST_FRAMEWORK["NUM_PROXIES"]
    forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
    told = str(request.META.get("REMOTE_ADDR", ""))
    # Not only the first entry: a client that sends an empty one would pass for our own proxy.
    if proxies and any(forwarded):
        told = forwarded[-min(proxies, len(forwarded))]
    try:
        parsed = ip_address(told)
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address):
        # Without the zone of this machine's own networks, which no database takes.
        parsed = parsed.ipv4_mapped or IPv6Address(int(parsed))
    return str(parsed)


def client_network(request: HttpRequest) -> str:
    """Return what a client cannot leave by taking another address: what limits are counted by."""
    return network_of(client_address(request))


def network_of(address: str | None) -> str:
    if address is None:
        return "unknown"
    if ip_address(address).version == 4:
        return address
    return str(ip_network(f"{address}/{NETWORK_PREFIX_BITS}", strict=False))


def printable(text: str) -> str:
    """Keep what can stand in a ledger: one line of characters that a database takes."""
    written = text.encode(errors="replace").decode()
    return "".join(sign for sign in written if sign.isprintable())[:LONGEST_USER_AGENT]
