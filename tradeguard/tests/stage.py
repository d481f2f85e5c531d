"""A simulated broker, its clock and the tick that watches it, for tests of the whole tick."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from accounts.models import ConnectedAccount, User
from accounts.models.connection import ConnectionState
from accounts.sessions.lease import OpenFence
from accounts.sessions.process import close_sessions, open_sessions
from accounts.terminals.registry import register, unregister
from accounts.terminals.simulated.server import TradeServer
from accounts.tests.factories import SECRET, make_account
from groups.models import AccountGroup
from risk.ledger.host_ledger import journal_path
from risk.models import RiskRule
from tradeguard.tick.cursors import needed_cursors
from tradeguard.tick.runner import HostTick

START = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
SERVER = "Example-Demo"


@dataclass
class Stage:
    """A trade server, its clock, and the tick of the host that watches it."""

    server: TradeServer
    clock: list[float]
    tick: HostTick | None = None
    seconds: float = field(default=0.0)
    is_acting: bool = True

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock[0], UTC)

    def start_worker(self) -> None:
        # Accounts are opened, and funded, two days before anybody watches them.
        self.clock[0] = max(self.clock[0], START.timestamp())
        sessions = open_sessions("local", load_cursors=needed_cursors, is_inline=True)
        self.tick = HostTick("local", sessions, fence=OpenFence() if self.is_acting else None)

    def kill_worker(self) -> None:
        """Let go of everything in memory, as a killed process does."""
        close_sessions("local")
        self.tick = None

    def run(self, ticks: int = 1, seconds: float = 0.2) -> Any:
        if self.tick is None:
            self.start_worker()
        assert self.tick is not None
        for _ in range(ticks):
            self.clock[0] += seconds
            result = self.tick.run(self.now, self.clock[0])
        return result

    def open(self, user: User, name: str, **terms: Any) -> ConnectedAccount:
        account = make_account(user, name, state=ConnectionState.CONNECTING, with_key=True)
        self.server.create_account(
            account.login, SECRET, SERVER, name, **{"deposit": 100_000.0, **terms}
        )
        return account

    def buy(self, account: ConnectedAccount, lots: float, symbol: str = "EURUSD") -> int:
        bid_ask = self.server.call("symbol_tick", account.login, symbol)
        request = {
            "action": 1,
            "symbol": symbol,
            "volume": lots,
            "type": 0,
            "price": bid_ask[2],
            "type_filling": 1,
        }
        result = self.server.call("order_send", account.login, request)
        assert result[0] == 10009, result
        return int(result[2])


@contextmanager
def staged() -> Iterator[Stage]:
    clock = [(START - timedelta(days=2)).timestamp()]
    server = TradeServer(seed=7, clock=lambda: clock[0], feed=False)
    server.set_prices("EURUSD", 1.10000, 1.10002)
    register("local", server)
    _forget_journals()
    stage = Stage(server, clock)
    try:
        yield stage
    finally:
        stage.kill_worker()
        unregister("local")
        server.close()
        _forget_journals()


def _forget_journals() -> None:
    for path in (journal_path("local"), journal_path("local.violations")):
        path.unlink(missing_ok=True)


def daily_loss(user: User, limit: str = "0.05", **fields: Any) -> RiskRule:
    parameters = {"amount_kind": "fraction_of_initial", "comparison": "below"}
    rule = RiskRule(
        user=user,
        name="Daily loss",
        rule_type=RiskRule.Type.MAX_DAILY_LOSS,
        limit=Decimal(limit),
        parameters=parameters | fields.pop("parameters", {}),
        **{"applies_to_all_accounts": True, **fields},
    )
    rule.full_clean()
    rule.save()
    return rule


def group_of(user: User, *accounts: ConnectedAccount) -> AccountGroup:
    group = AccountGroup.objects.create(user=user, name="Desk")
    group.accounts.set(accounts)
    return group


def own_rules(risk: Mapping[str, Any]) -> list[Any]:
    """Return the rules of a live object without the margin cut-off, which everybody has."""
    return [rule for rule in risk["rules"] if rule["rule_type"] != "MARGIN_LEVEL"]
