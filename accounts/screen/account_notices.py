"""What the pages say of an account that is connected: banners, and a toast when it comes up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from accounts.models import ConnectedAccount
from accounts.models.connection import ConnectionState
from accounts.notices import CUT_OFF_PERCENT, Level, Notice, notices_of
from accounts.selectors import last_states

MOST_TOLD = 3


@dataclass(frozen=True, slots=True)
class Greeting:
    title: str
    sentences: tuple[str, ...]
    level: str
    account: ConnectedAccount | None = None


def account_notices(
    account: ConnectedAccount, *, now: datetime, cut_off_percent: float = CUT_OFF_PERCENT
) -> list[Notice]:
    """Return the notices of a connected account, the weightiest first; of another one, none."""
    connection = getattr(account, "connection", None)
    if connection is None or connection.state != ConnectionState.CONNECTED:
        return []
    state = last_states([account]).get(account.pk)
    return by_weight(notices_of(account, state, now, cut_off_percent=cut_off_percent))


def by_weight(notices: Sequence[Notice]) -> list[Notice]:
    return sorted(notices, key=lambda notice: notice.level != Level.WARNING)


def greetings(accounts: Sequence[ConnectedAccount], *, now: datetime) -> list[Greeting]:
    """Return what to say of accounts that came up: of a few each by its name, of many a sum."""
    states = last_states(accounts)
    told = [
        (account, by_weight(notices_of(account, states.get(account.pk), now)))
        for account in accounts
    ]
    if len(told) <= MOST_TOLD:
        return [_of_one(account, notices) for account, notices in told]
    warned = [account.name for account, notices in told if _warns(notices)]
    sentence = f"{len(warned)} of them need a look: {', '.join(warned[:MOST_TOLD])}"
    more = len(warned) - MOST_TOLD
    sentences = (f"{sentence} and {more} more." if more > 0 else f"{sentence}.",) if warned else ()
    level = "warning" if warned else "success"
    return [Greeting(f"{len(told)} accounts are connected.", sentences, level)]


def _of_one(account: ConnectedAccount, notices: Sequence[Notice]) -> Greeting:
    level = "warning" if _warns(notices) else "success"
    sentences = tuple(notice.sentence for notice in notices)
    return Greeting(f"{account.name} is connected.", sentences, level, account)


def _warns(notices: Sequence[Notice]) -> bool:
    return any(notice.level == Level.WARNING for notice in notices)
