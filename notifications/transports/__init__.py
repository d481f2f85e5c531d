"""The transports, one module each: a module here is a transport, and nothing else registers it."""

import importlib
import pkgutil
from functools import cache

from notifications.delivering.transport import Transport


@cache
def transports() -> dict[str, Transport]:
    """Return every transport by its name, in the order in which pages show them."""
    found = [
        importlib.import_module(f"{__name__}.{module.name}").TRANSPORT
        for module in pkgutil.iter_modules(__path__)
    ]
    found.sort(key=lambda transport: (transport.order, transport.name))
    return {transport.name: transport for transport in found}


def transport_choices() -> list[tuple[str, str]]:
    return [(transport.name, transport.label) for transport in transports().values()]
