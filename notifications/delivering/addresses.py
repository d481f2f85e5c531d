"""Which addresses on the network TradeGuard may be asked to write to. Pure."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

LONGEST_URL: Final = 2_000

# All of IPv6 that is routed between strangers; the rest is local, reserved or a translation.
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
# What a gateway turns into the IPv4 address in its last four bytes (RFC 6052).
_TRANSLATED: Final = IPv6Network("64:ff9b::/96")


class AddressError(ValueError):
    """An address that cannot be used; the text says why and may be shown."""


def check_url(url: str, *, private_addresses: bool) -> SplitResult:
    """Return the parts of an address of the web that somebody typed.

    Raises AddressError. Looks at the text alone: where a name leads is only known when it is used.
    `private_addresses` allows addresses of one's own network, and to write there without TLS.
    """
    if len(url) > LONGEST_URL:
        raise AddressError(f"It can have at most {LONGEST_URL} characters.")
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise AddressError("It has characters that an address on the web cannot have.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressError("This is no address on the web.") from None
    schemes = ("https", "http") if private_addresses else ("https",)
    if parts.scheme not in schemes or not parts.hostname or port == 0:
        wanted = " or ".join(f"{scheme}://" for scheme in schemes)
        raise AddressError(f"It begins with {wanted} and the name of a server.")
    if parts.username is not None or parts.password is not None:
        raise AddressError("It can hold no user name and no password.")
    if not private_addresses and not _may_be_public(parts.hostname):
        raise AddressError("It leads into a private network, where TradeGuard sends nothing.")
    return parts


def is_public(address: str) -> bool:
    """Whether this IP address belongs to the open internet, also when it wraps another one."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv4Address):
        return ip.is_global and not ip.is_multicast
    wrapped = _wrapped(ip)
    if wrapped is not None:
        return is_public(str(wrapped))
    return ip.is_global and ip in _GLOBAL_UNICAST


def _wrapped(ip: IPv6Address) -> IPv4Address | None:
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    if ip.teredo is not None:
        return ip.teredo[1]
    return IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _TRANSLATED else None


def _may_be_public(host: str) -> bool:
    """Refuse at once what is private by its text, so that whoever types it hears of it."""
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return False
    try:
        ip_address(host)
    except ValueError:
        return True
    return is_public(host)
