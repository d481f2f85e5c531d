"""Liquidations by a broker: it closes by itself when the margin runs out, and users are told."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from django.urls import reverse

from accounts.core.zones import broker_zone, to_broker_epoch
from accounts.figures import signed
from notifications.models import NotificationType, Priority
from notifications.services import Message
from risk.desk import AccountFacts
from risk.enforcement.carrying import tell_nobody
from risk.orders.view import HostView

_STOP_OUT: Final = 6  # DEAL_REASON_SO
# A broker closes one position after another: what follows so soon belongs to the same stop-out,
# and is told as its continuation, with all that it has closed so far.
_TOGETHER_SECONDS: Final = 60.0
# An account that is watched for the first time brings all of its past along.
_NEWS_SECONDS: Final = 86_400.0
_MOST_WAITING: Final = 1000
_MONEY: Final = ("profit", "swap", "commission", "fee")


@dataclass(frozen=True, slots=True)
class _StopOut:
    account: AccountFacts
    ticket: int  # of the first deal that is told by it
    positions: frozenset[int]
    result: float
    currency: str
    last_at: float  # on the broker's clock
    goes_on: bool = False  # what it began with was told before


class StopOuts:
    """Finds stop-outs among the deals of each poll, and tells each once.

    `note` is for the tick's thread, for every deal is in one poll only; `news` for any other.
    `liquidated` is told the account of each at once.
    """

    def __init__(self, liquidated: Callable[[UUID], None] = tell_nobody) -> None:
        self._liquidated = liquidated
        self._found: deque[_StopOut] = deque(maxlen=_MOST_WAITING)
        self._last: dict[UUID, _StopOut] = {}  # by account

    def note(self, view: HostView) -> None:
        """Keep the stop-outs that this view's poll brought."""
        deals = view.poll.deals
        if not len(deals):
            return
        forced = deals[deals["reason"] == _STOP_OUT]
        for row in sorted({int(row) for row in forced["account"]}):
            account = view.assessment.desk.accounts[row]
            if account is not None and view.is_ours(row):
                self._note(view, row, account, forced[forced["account"] == row])

    def _note(self, view: HostView, row: int, account: AccountFacts, deals: Sequence[Any]) -> None:
        zone = broker_zone(account.terms.broker_zone)
        oldest = to_broker_epoch(view.assessment.moment, zone) - _NEWS_SECONDS
        news = [deal for deal in deals if deal["time_msc"] / 1000 >= oldest]
        if not news:
            return
        self._liquidated(account.id)
        first_at, last_at = (float(news[place]["time_msc"]) / 1000 for place in (0, -1))
        reading = view.poll.batch.accounts[row]
        found = _StopOut(
            account=account,
            ticket=int(news[0]["ticket"]),
            positions=frozenset(int(deal["position"]) for deal in news),
            result=sum(float(deal[name]) for deal in news for name in _MONEY),
            currency=view.poll.batch.currencies[int(reading["currency"])],
            last_at=last_at,
        )
        before = self._last.get(account.id)
        if before is not None and first_at - before.last_at < _TOGETHER_SECONDS:
            found = replace(
                found,
                positions=before.positions | found.positions,
                result=before.result + found.result,
                goes_on=True,
            )
        self._last[account.id] = found
        self._found.append(found)

    def news(self) -> list[Message]:
        """Return what is to be told, each stop-out once."""
        messages: list[Message] = []
        found: dict[UUID, _StopOut] = {}
        while self._found:
            stop_out = self._found.popleft()
            known = found.get(stop_out.account.id)
            if known is not None and stop_out.goes_on:  # the first of them was not told yet
                stop_out = replace(stop_out, ticket=known.ticket, goes_on=known.goes_on)
            elif known is not None:
                messages.append(_message(known))
            found[stop_out.account.id] = stop_out
        return [*messages, *map(_message, found.values())]


def _message(stop_out: _StopOut) -> Message:
    account, count = stop_out.account, len(stop_out.positions)
    did = "goes on being liquidated" if stop_out.goes_on else "was liquidated"
    so_far = " so far" if stop_out.goes_on else ""
    result = f"{signed(stop_out.result)} {stop_out.currency}"
    key = f"stop_out:{account.id}:{stop_out.ticket}"
    return Message(
        user_id=account.user_id,
        type=NotificationType.LIQUIDATION,
        priority=Priority.URGENT,
        title=f"{account.name} {did} by its broker",
        body=f"The margin ran out, and the broker closed {count} position{'s' * (count != 1)} by"
        f" itself{so_far} (stop-out), with a result of {result}.",
        link=reverse("account-detail", args=[account.id]),
        object_type="account",
        object_id=str(account.id),
        dedupe_key=key,
    )
