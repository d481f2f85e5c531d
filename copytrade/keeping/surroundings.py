"""What a keeper knows of a host's accounts at one moment."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from functools import cached_property
from uuid import UUID

from accounts.core.kinds import MarginMode
from accounts.terminals.readings import STALE_AFTER_SECONDS
from accounts.terminals.registry import Source
from copytrade.models import CopyPosition
from copytrade.replication.flights import Flights
from copytrade.replication.scene import Scene
from risk.desk import AccountFacts
from risk.models import AccountLock
from risk.orders.terminal import AccountTerminal
from risk.orders.view import HostView


class Surroundings:
    """A view of the host, laid out when it is first asked for.

    What is to be compared with the readings is loaded before that: a fill that nobody saw yet
    makes a reading older than it. `standing_still` keeps copies from being planned.
    """

    def __init__(
        self,
        host: str,
        source: Source,
        view: HostView,
        now: datetime,
        standing_still: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self.host = host
        self.source = source
        self.view = view
        self.now = now
        self._standing_still = standing_still

    @contextmanager
    def alone(self) -> Iterator["Surroundings"]:
        """Let nothing be copied meanwhile; what is laid out has all that was sent before.

        Not to be asked for within a transaction: whoever copies may be waiting for that one.
        """
        with self._standing_still():
            yield Surroundings(self.host, self.source, self.view, self.now)

    @cached_property
    def scene(self) -> Scene:
        locks = {lock.account_id: lock for lock in AccountLock.objects.standing()}
        # No older reading counts.
        read_since = self.now.timestamp() - STALE_AFTER_SECONDS
        return Scene.at(self.view, Flights.on_host(self.host, read_since), locks, self.now)

    def facts_of(self, account_id: UUID) -> AccountFacts | None:
        return self.view.facts_of(account_id)

    def terminal_of(self, facts: AccountFacts) -> AccountTerminal:
        return AccountTerminal(self.source, facts.login, facts.server)

    def ticket_of(self, row: CopyPosition) -> int | None:
        """Return the ticket that a copy is held under now."""
        if self.scene.is_netting(row.follower_id):
            tickets = netted_tickets(self.view)
            return tickets.get((row.follower_id, row.symbol)) or row.follower_position
        return row.follower_position


def netted_tickets(view: HostView) -> dict[tuple[UUID, str], int]:
    """Return the tickets of netted positions by account and symbol, as the last readings show."""
    batch = view.poll.batch
    is_netting = batch.accounts["margin_mode"] != MarginMode.HEDGING
    if not is_netting.any():
        return {}
    ids = view.poll.account_ids
    return {
        (ids[int(one["account"])], batch.symbols[int(one["symbol"])]): int(one["ticket"])
        for one in batch.positions
        if is_netting[int(one["account"])]
    }
