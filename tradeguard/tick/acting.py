"""What a host does beside its ticks: orders, enforcement, copying, cascades, and keeping."""

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from accounts.sessions.host import HostSessions
from accounts.sessions.lease import Fence
from accounts.sessions.poll import Poll
from copytrade.cascade.desk import CascadeDesk
from copytrade.keeping.keeper import Keeper
from copytrade.replication.desk import CopyDesk
from risk.enforcement.enforcer import Enforcer
from risk.models import Order
from risk.orders.desk import HostDesk
from risk.tracker import Assessment
from tradeguard.tick.patience import wait_beside_tick

SWITCH_SECONDS = 0.0005

Ended = Callable[[Sequence[Order]], None]


class Acting:
    """The desks of a host whose lease this process holds, strung together.

    `take` is for the tick's thread. `ended` is told, from any thread, which orders have ended, and
    `planned` which events of providers are written with all their copies.
    """

    def __init__(
        self,
        host: str,
        sessions: HostSessions,
        fence: Fence,
        *,
        ended: Ended,
        planned: Callable[[UUID], None],
    ) -> None:
        # A thread that asks the database lets others in, and waits that long to go on.
        sys.setswitchinterval(SWITCH_SECONDS)
        self._ended = ended
        self._sessions = sessions
        self.desk = HostDesk(
            host,
            sessions.source,
            fence,
            enforcer=Enforcer(host, liquidated=self._liquidated),
            is_inline=sessions.is_inline,
            begin=wait_beside_tick,
            tell=self._orders_ended,
        )
        self.keeper: Keeper | None = self._keeper(host)
        self.copying = self._copying(host, fence, planned)
        self.cascades = CascadeDesk(
            host,
            is_inline=sessions.is_inline,
            begin=wait_beside_tick,
            wake=self.desk.wake,
            standing_still=self.copying.standing_still,
        )

    def _keeper(self, host: str) -> Keeper:
        return Keeper(
            host,
            self._sessions.source,
            wake=self.desk.wake,
            standing_still=lambda: self.copying.standing_still(),
            is_inline=self._sessions.is_inline,
            begin=wait_beside_tick,
        )

    def _copying(self, host: str, fence: Fence, planned: Callable[[UUID], None]) -> CopyDesk:
        return CopyDesk(
            host,
            self._sessions.source,
            fence,
            self.desk,
            is_inline=self._sessions.is_inline,
            begin=wait_beside_tick,
            settled=self._copies_ended,
            planned=planned,
        )

    def take(self, poll: Poll, assessment: Assessment, now: datetime) -> None:
        """Act by what this tick found from now on."""
        self.copying.take_over()
        self.desk.take(poll, assessment)
        self.copying.take(poll, assessment)
        self.cascades.take(poll, assessment)
        if self.keeper is not None:
            self.keeper.note(poll, assessment, now)

    def close(self) -> None:
        """Begin nothing more, and wait a little for what is under way."""
        self.cascades.close()
        self.copying.close()
        self.desk.close()
        if self.keeper is not None:
            self.keeper.close()

    def _copies_ended(self, orders: Sequence[Order]) -> None:
        """Have told what became of copies, and kept what they mean for what followers hold."""
        self._ended(orders)
        if self.keeper is not None:
            self.keeper.take(orders)

    def _orders_ended(self, orders: Sequence[Order]) -> None:
        """Have told what became of orders, and copied at once what a provider did with them."""
        self._copies_ended(orders)
        for account_id in {order.account_id for order in orders}:
            self.copying.nudge(account_id)

    def _liquidated(self, account_id: UUID) -> None:
        """Let the followers of an account fall with it, if it has any."""
        self.copying.nudge(account_id)
        self.cascades.hear(account_id)
