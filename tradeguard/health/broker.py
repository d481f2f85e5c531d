"""Find out whether the simulated broker of a home folder answers."""

import json
import socket
from pathlib import Path

CONNECT_TIMEOUT_SECONDS = 2.0


def broker_problem(home: Path) -> str | None:
    """Return a sentence about what is wrong with the broker of this folder, or None."""
    try:
        facts = json.loads((home / "broker.json").read_text(encoding="utf-8"))
        address = (str(facts["host"]), int(facts["port"]))
    except FileNotFoundError:
        return "The simulated broker has not been started"
    except (ValueError, KeyError, TypeError):
        return f"{home / 'broker.json'} does not name the simulated broker's address"
    try:
        with socket.create_connection(address, timeout=CONNECT_TIMEOUT_SECONDS):
            return None
    except OSError as error:
        return f"The simulated broker does not answer: {error}"
