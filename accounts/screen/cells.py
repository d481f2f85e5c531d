"""Cells about an account's connection and the age of its readings."""

from accounts.figures import age
from accounts.screen.parts import Cell
from accounts.terminals.readings import STALE_AFTER_SECONDS

CONNECTION_NAMES = {
    "connected": "Connected",
    "connecting": "Connecting",
    "disconnected": "Disconnected",
    "error": "Connection error",
}


def age_cell(id_: str, seconds: float | None) -> Cell:
    """Say how old a reading is: `live`, or greyed and "last known … ago" when it is stale."""
    if seconds is None:
        return Cell(id_, ("no reading",), "stale")
    if seconds > STALE_AFTER_SECONDS:
        return Cell(id_, (f"last known {age(seconds)}",), "stale")
    return Cell(id_, (age(seconds),), "live")


def connection_cell(id_: str, state: str, *, age_seconds: float | None) -> Cell:
    """Show the state of a session; one that is "connected" and silent is not shown as well.

    The state is written by the worker, and a worker that died can't take it back.
    """
    is_silent = age_seconds is None or age_seconds > STALE_AFTER_SECONDS
    if state == "connected" and is_silent:
        return Cell(id_, ("No answer",), "disconnected")
    return Cell(id_, (CONNECTION_NAMES.get(state, state),), state)
