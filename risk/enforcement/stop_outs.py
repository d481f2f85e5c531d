"""Liquidations by a broker: it closes by itself when the margin runs out, and users are told."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.urls import reverse

from accounts.core.zones import broker_zone, to_broker_epoch
from notifications.models import NotificationType, Priority
from notifications.services import Message
from risk.desk import AccountFacts
from risk.orders.view import HostView

_STOP_OUT: Final = 6  # DEAL_REASON_SO
# A broker closes one position after another: what follows so soon belongs to the same stop-out.
_TOGETHER_SECONDS: Final = 60.0
# An account that is watched for the first time brings all of its past along.
_NEWS_SECONDS: Final = 86_400.0
_MOST_WAITING: Final = 1000


@dataclass(frozen=True, slots=True)
class _StopOut:
    account: AccountFacts
    ticket: int  # of its first deal
    positions: int
    result: float
    currency: str


class StopOuts:
    """Finds stop-outs among the deals of each poll, and tells each once.

    `note` is for the tick's thread, for every deal is in one poll only; `news` for any other.
    """

    def __init__(self) -> None:
        self._found: deque[_StopOut] = deque(maxlen=_MOST_WAITING)
        self._last_at: dict[UUID, float] = {}  # by account, the broker's clock

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
        first_at, last_at = (float(news[place]["time_msc"]) / 1000 for place in (0, -1))
        before = self._last_at.get(account.id, float("-inf"))
        self._last_at[account.id] = last_at
        if first_at - before < _TOGETHER_SECONDS:
            return
        reading = view.poll.batch.accounts[row]
        self._found.append(
            _StopOut(
                account=account,
                ticket=int(news[0]["ticket"]),
                positions=len({int(deal["position"]) for deal in news}),
                result=sum(float(deal["profit"] + deal["swap"]) for deal in news),
                currency=view.poll.batch.currencies[int(reading["currency"])],
            )
        )

    def news(self) -> list[Message]:
        """Return what is to be told, each stop-out once."""
        found = []
        while self._found:
            found.append(_message(self._found.popleft()))
        return found


def _message(stop_out: _StopOut) -> Message:
    account, count = stop_out.account, stop_out.positions
    return Message(
        user_id=account.user_id,
        type=NotificationType.LIQUIDATION,
        priority=Priority.URGENT,
        title=f"{account.name} was liquidated by its broker",
        body=f"The margin ran out, and the broker closed {count} position{'s' * (count != 1)} by"
        f" itself (stop-out), with a result of {stop_out.result:+,.2f} {stop_out.currency}.",
        link=reverse("account-detail", args=[account.id]),
        object_type="account",
        object_id=str(account.id),
        dedupe_key=f"stop_out:{account.id}:{stop_out.ticket}",
    )
