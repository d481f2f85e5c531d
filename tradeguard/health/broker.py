"""Find out whether the simulated broker of a home folder answers."""

from pathlib import Path

from accounts.terminals.simulated.service.client import RemoteBroker
from accounts.terminals.simulated.service.process import ADDRESS_FILE

TIMEOUT_SECONDS = 2.0


def broker_problem(home: Path) -> str | None:
    """Return a sentence about what is wrong with the broker of this folder, or None."""
    address_file = home / ADDRESS_FILE
    if not address_file.exists():
        return "The simulated broker is not running"
    broker = RemoteBroker(
        address_file, timeout_seconds=TIMEOUT_SECONDS, connect_seconds=TIMEOUT_SECONDS
    )
    try:
        return None if broker.is_reachable() else "The simulated broker does not answer"
    finally:
        broker.close()
