"""Two terminal hosts, each with a trade server and a tick of its own, and one clock."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from accounts.models import ConnectedAccount, User
from accounts.models.connection import ConnectionState
from accounts.sessions.lease import OpenFence
from accounts.sessions.process import close_sessions, open_sessions
from accounts.terminals.registry import register, unregister
from accounts.terminals.simulated.server import TradeServer
from accounts.tests.factories import SECRET, make_account, make_host
from risk.ledger.host_ledger import journal_path
from risk.orders.terminal import AccountTerminal
from tradeguard.tests.stage import START
from tradeguard.tick.cursors import needed_cursors
from tradeguard.tick.runner import HostTick


class Host:
    """One machine: its trade server goes on, whether or not a worker watches it."""

    def __init__(self, name: str, clock: list[float], seed: int) -> None:
        self.name = name
        self._clock = clock
        self.server = TradeServer(seed=seed, clock=lambda: clock[0], feed=False)
        self.server.set_prices("EURUSD", 1.10000, 1.10002)
        self.tick: HostTick | None = None
        self.is_down = False
        make_host(name)
        register(name, self.server)

    def run(self, now: datetime) -> None:
        if self.is_down:
            return
        if self.tick is None:
            sessions = open_sessions(self.name, load_cursors=needed_cursors, is_inline=True)
            self.tick = HostTick(self.name, sessions, fence=OpenFence())
        self.tick.run(now, self._clock[0])

    def go_down(self) -> None:
        close_sessions(self.name)
        self.tick, self.is_down = None, True

    def come_back(self) -> None:
        self.is_down = False

    def end(self) -> None:
        self.go_down()
        unregister(self.name)
        self.server.close()
        for path in (journal_path(self.name), journal_path(f"{self.name}.violations")):
            path.unlink(missing_ok=True)


class TwoHosts:
    """`near` holds the provider, `far` followers; each tick passes `seconds` on both."""

    def __init__(self) -> None:
        self.clock = [(START - timedelta(days=2)).timestamp()]
        self.near = Host("local", self.clock, 7)
        self.far = Host("far", self.clock, 8)

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock[0], UTC)

    def run(self, ticks: int = 1, seconds: float = 0.2) -> None:
        self.clock[0] = max(self.clock[0], START.timestamp())
        for _ in range(ticks):
            self.clock[0] += seconds
            self.near.run(self.now)
            self.far.run(self.now)

    def open(
        self, user: User, name: str, host: Host, server: str = "Example-Demo", **terms: Any
    ) -> ConnectedAccount:
        account = make_account(
            user, name, state=ConnectionState.CONNECTING, with_key=True,
            terminal_host=make_host(host.name), server=server,
        )  # fmt: skip
        host.server.create_account(
            account.login, SECRET, server, name, **{"deposit": 100_000.0, **terms}
        )
        return account

    def held(self, host: Host, accounts: Sequence[ConnectedAccount]) -> list[list[float]]:
        """Return the lots of each account's positions, sold ones below 0."""
        found = []
        for each in accounts:
            terminal = AccountTerminal(host.server, each.login, each.server)
            found.append(
                [float(one.volume) * (1 if one.is_buy else -1) for one in terminal.positions()]
            )
        return found

    def trade(self, account: ConnectedAccount, lots: float, ticket: int | None = None) -> int:
        """Buy on the provider's account, or close a part of what was bought."""
        request: dict[str, Any] = {
            "action": 1, "symbol": "EURUSD", "volume": lots, "type_filling": 1,
            "type": 0 if ticket is None else 1,
        }  # fmt: skip
        if ticket is not None:
            request["position"] = ticket
        result = self.near.server.call("order_send", account.login, request)
        assert result[0] == 10009, result
        return int(result[2])


@contextmanager
def two_hosts() -> Iterator[TwoHosts]:
    hosts = TwoHosts()
    try:
        yield hosts
    finally:
        hosts.near.end()
        hosts.far.end()
