"""What waits and what is open at the broker, as rows that can be acted on."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.facts import order_objects
from accounts.figures import amount, price
from accounts.models import ConnectedAccount
from accounts.selectors import last_states
from accounts.terminals.readings import STALE_AFTER_SECONDS
from risk.live import account_risk

_DIGITS_UNKNOWN = 5


@dataclass(frozen=True, slots=True)
class PendingRow:
    """A pending order at the broker; `type` is like "buy limit"."""

    ticket: int
    symbol: str
    type: str
    side: str
    volume: str
    price: str
    stop_loss: str
    take_profit: str
    placed: str
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pending:
    rows: tuple[PendingRow, ...]
    is_known: bool


def pending_rows(account: ConnectedAccount, *, now: datetime) -> Pending:
    """Return the pending orders of the newest reading; a stale one is not known."""
    state = last_states([account]).get(account.pk)
    if state is None:
        return Pending((), is_known=False)
    age_seconds = abs(now.timestamp() - float(state.account["read_at"]))
    rows = tuple(_row(each) for each in order_objects(state))
    return Pending(rows, is_known=age_seconds <= STALE_AFTER_SECONDS)


def pending_order(account: ConnectedAccount, ticket: int, *, now: datetime) -> PendingRow | None:
    rows = pending_rows(account, now=now).rows
    return next((row for row in rows if row.ticket == ticket), None)


def open_position(
    account: ConnectedAccount, ticket: int, *, now: datetime
) -> dict[str, Any] | None:
    """Return the position as `account_object` describes it, None when it is not there."""
    positions = account_risk(account, now=now)["positions"]
    return next((each for each in positions if each["ticket"] == ticket), None)


def _row(order: dict[str, Any]) -> PendingRow:
    name = str(order["type"]).replace("_", " ")
    digits = max(map(_digits, (order["price_open"], order["sl"], order["tp"])))
    return PendingRow(
        ticket=int(order["ticket"]),
        symbol=str(order["symbol"]),
        type=name,
        side="sell" if name.startswith("sell") else "buy",
        volume=amount(order["volume_current"]),
        price=price(order["price_open"], digits),
        stop_loss=price(order["sl"], digits),
        take_profit=price(order["tp"], digits),
        placed=str(order["placed_at_broker"])[5:16],
        facts=order,
    )


def _digits(value: float | None) -> int:
    """Count the places that a price needs; the reading of an order does not tell its symbol's."""
    if not value:
        return 0
    text = f"{value:.{_DIGITS_UNKNOWN}f}".rstrip("0")
    return len(text.partition(".")[2])
