"""The words and tones of copy trading, one place for all pages."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from copytrade.core.kinds import EventKind
from copytrade.core.sentences import lots_figure
from copytrade.models import CopyOrder, CopyRelationship

State = CopyRelationship.State

STATE_TONES: Final[Mapping[str, str]] = {
    State.OFFERED: "caution",
    State.DECLINED: "none",
    State.ACTIVE: "safe",
    State.PAUSED: "caution",
    State.CLOSE_ONLY: "caution",
    State.TERMINATED: "none",
}
COPY_TONES: Final[Mapping[str, str]] = {
    CopyOrder.State.PLANNED: "none",
    CopyOrder.State.ORDERED: "none",
    CopyOrder.State.DONE: "safe",
    CopyOrder.State.SKIPPED: "caution",
    CopyOrder.State.FAILED: "violated",
}
COPY_LABELS: Final[Mapping[str, str]] = {
    CopyOrder.State.PLANNED: "Waiting",
    CopyOrder.State.ORDERED: "Under way",
    CopyOrder.State.DONE: "Copied",
    CopyOrder.State.SKIPPED: "Skipped",
    CopyOrder.State.FAILED: "Failed",
}
EVENT_LABELS: Final[Mapping[str, str]] = {
    EventKind.OPEN: "Open",
    EventKind.PARTIAL_CLOSE: "Partial close",
    EventKind.CLOSE: "Close",
    EventKind.STOPS: "Stops changed",
    EventKind.PENDING_PLACED: "Order placed",
    EventKind.PENDING_MODIFIED: "Order changed",
    EventKind.PENDING_CANCELLED: "Order deleted",
    EventKind.PENDING_FILLED: "Order filled",
}


def lots(volume: Decimal | None) -> str:
    """Write lots with two decimals, with more where they have more; a dash where there are none."""
    return "—" if volume is None else lots_figure(volume)


def plain(number: Decimal | float) -> str:
    """Write a number with no more digits than it has."""
    return f"{Decimal(str(number)).normalize():,f}"


def milliseconds(seconds: float | None) -> str:
    """Write how long something took: "42 ms", "1.8 s"; a dash where it is not known."""
    if seconds is None:
        return "—"
    whole = round(seconds * 1000)
    if abs(whole) < 1000:
        return f"{whole} ms" if whole else "<1 ms"
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.1f} min"


def price(value: float | None, digits: int = 0) -> str:
    """Write a price with the digits that it has, and at least `digits`, its symbol's as far known.

    An event does not say how many its symbol has.
    """
    if value is None:
        return "—"
    return f"{value:.{max(digits, decimals_of(value))}f}"


def decimals_of(value: float) -> int:
    """Return how many digits a price has behind the point, without zeros at its end."""
    return len(f"{value:.8f}".rstrip("0").partition(".")[2])


def points(value: float | None) -> str:
    """Write a slippage in points; what is above 0 was worse for the follower."""
    if value is None:
        return ""
    text = f"{value:+.1f}".replace("-", "−")
    return "0 points" if text[1:] == "0.0" else f"{text} points"
