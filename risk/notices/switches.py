"""Trading that is switched off on a connected account: nothing can be closed there then."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Final
from uuid import UUID

import numpy as np
from django.urls import reverse

from accounts.sessions.poll import Poll
from notifications.models import Notification, NotificationType, Priority
from notifications.services import Message
from risk.core.arrays import Codes, Flags, Floats
from risk.desk import AccountFacts, Desk
from risk.tracker import Assessment

# A terminal that has just connected says this and that; what stays is told.
SETTLE_SECONDS: Final = 5.0
_IDS_PER_QUERY: Final = 500
_NEVER_SEEN: Final = -1


class Trading(IntEnum):
    """What can be done on an account."""

    POSSIBLE = 0
    SWITCHED_OFF = 1  # the terminal's “Algo Trading”
    NOT_ALLOWED = 2  # by the broker, or an investor's password


_WORDS: Final = {
    Trading.POSSIBLE: (
        "trading is possible again",
        "TradeGuard can open and close positions there again.",
    ),
    Trading.SWITCHED_OFF: (
        "algorithmic trading is switched off",
        "TradeGuard goes on watching, but can close nothing there: no rule and no margin cut-off"
        " can act. Press “Algo Trading” in the terminal.",
    ),
    Trading.NOT_ALLOWED: (
        "trading is not allowed any more",
        "TradeGuard goes on watching, but can close nothing there: the broker has disabled trading,"
        " or the password is an investor's.",
    ),
}


@dataclass(frozen=True, slots=True)
class Switched:
    """An account on which something else is possible than was told before."""

    account: AccountFacts
    trading: Trading
    is_first: bool  # this process has not seen the account before
    moment: float

    def message(self) -> Message:
        title, body = _WORDS[self.trading]
        account = self.account
        is_possible = self.trading is Trading.POSSIBLE
        return Message(
            user_id=account.user_id,
            type=NotificationType.STRATEGY_ERROR,
            priority=Priority.MEDIUM if is_possible else Priority.HIGH,
            title=f"{account.name}: {title}",
            body=body,
            link=reverse("account-detail", args=[account.id]),
            object_type="account",
            object_id=str(account.id),
            dedupe_key=f"trading:{account.id}:{self.trading.value}:{self.moment:.3f}",
            repeat_key=f"trading:{account.id}:{self.trading.value}",
        )


class TradingSwitches:
    """Compares, from tick to tick, what can be done on each account with what was told of it."""

    def __init__(self) -> None:
        self._desk: Desk | None = None
        self._told: Codes = np.empty(0, dtype=np.int8)
        self._since: Floats = np.empty(0)
        self._is_waiting = False

    def note(self, assessment: Assessment, poll: Poll) -> list[Switched]:
        """Return the accounts on which trading was switched, and has stayed so for a moment."""
        if assessment.desk is not self._desk:
            self._follow(assessment.desk)
        readings = poll.batch.accounts
        trading = np.where(
            readings["trade_allowed"],
            np.where(readings["algo_trading_allowed"], Trading.POSSIBLE, Trading.SWITCHED_OFF),
            Trading.NOT_ALLOWED,
        ).astype(np.int8)
        differs = assessment.accounts.known & (trading != self._told)
        if not self._is_waiting and not differs.any():
            return []
        return self._settled(assessment, trading, differs)

    def _settled(self, assessment: Assessment, trading: Codes, differs: Flags) -> list[Switched]:
        moment = assessment.moment
        since = np.where(np.isnan(self._since), moment, self._since)
        self._since = np.where(differs, since, np.nan)
        news = np.flatnonzero(differs & (moment - since >= SETTLE_SECONDS))
        found = []
        for row in news.tolist():
            account = assessment.desk.accounts[row]
            is_first = self._told[row] == _NEVER_SEEN
            if account is not None:
                found.append(Switched(account, Trading(int(trading[row])), is_first, moment))
        self._told[news] = trading[news]
        self._since[news] = np.nan
        self._is_waiting = not np.isnan(self._since).all()
        return found

    def _follow(self, desk: Desk) -> None:
        before: dict[UUID, tuple[int, float]] = {}
        if self._desk is not None:
            before = {
                account_id: (int(self._told[row]), float(self._since[row]))
                for account_id, row in self._desk.account_index.items()
            }
        self._desk = desk
        self._told = np.full(len(desk.accounts), _NEVER_SEEN, dtype=np.int8)
        self._since = np.full(len(desk.accounts), np.nan)
        for account_id, row in desk.account_index.items():
            self._told[row], self._since[row] = before.get(account_id, (_NEVER_SEEN, np.nan))


def other_than_told(messages: Sequence[Message], now: datetime) -> list[Message]:
    """Keep what differs from the last that was told of each account.

    Of an account of which nothing was told only that its terminal's button is off: what an
    investor's password allows is what its owner wanted, and trading that is possible is no news.
    """
    del now
    told = _last_told({message.object_id for message in messages})
    return [
        message
        for message in messages
        for trading in (_trading(message.dedupe_key),)
        if trading is not told.get(message.object_id)
        and (message.object_id in told or trading is Trading.SWITCHED_OFF)
    ]


def _last_told(account_ids: set[str]) -> dict[str, Trading]:
    told: dict[str, Trading] = {}
    ids = sorted(account_ids)
    for start in range(0, len(ids), _IDS_PER_QUERY):
        rows = Notification.objects.filter(
            type=NotificationType.STRATEGY_ERROR,
            object_type="account",
            object_id__in=ids[start : start + _IDS_PER_QUERY],
            dedupe_key__startswith="trading:",
        ).order_by("created_at", "id")
        for account_id, key in rows.values_list("object_id", "dedupe_key"):
            told[account_id] = _trading(key)
    return told


def _trading(key: str) -> Trading:
    return Trading(int(key.split(":")[2]))
