"""A simulated broker and the desk of a host, one thread and one clock, for tests of orders."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from accounts.models import ConnectedAccount, User
from accounts.models.connection import ConnectionState
from accounts.sessions.lease import Fence, OpenFence, Standing
from accounts.sessions.process import close_sessions, open_sessions
from accounts.terminals.registry import register, unregister
from accounts.terminals.simulated.server import TradeServer
from accounts.tests.factories import SECRET, make_account
from risk.core.gate.verdicts import Check, GateDecision, Verdict
from risk.ledger.host_ledger import HostLedger
from risk.models import AccountLock, GateCheck, Order
from risk.orders.desk import Enforcer, HostDesk
from risk.orders.terminal import AccountTerminal, PendingOrder, Position
from risk.orders.view import HostView
from risk.services import orders as services
from risk.tracker import RiskTracker

START = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
SERVER = "Example-Demo"
HOST = "local"


class SetFence:
    """A fence that says what a test sets."""

    def __init__(self) -> None:
        self.answer = Standing.HELD

    def standing(self, now: datetime) -> Standing:
        del now
        return self.answer


class SetGate:
    """A gate that answers every order with the verdict and volume that a test sets."""

    def __init__(self) -> None:
        self.verdict = Verdict.ALLOW
        self.volume: Decimal | None = None
        self.in_flight: list[Sequence[Order]] = []

    def decide(
        self,
        view: HostView,
        orders: Sequence[Order],
        *,
        in_flight: Sequence[Order],
        locks: Sequence[AccountLock],
        now: datetime,
    ) -> list[GateDecision]:
        del view, locks, now
        self.in_flight.append(in_flight)
        check = Check(name="test", verdict=self.verdict, sentence="The test says so.")
        return [
            GateDecision(
                order.id,
                self.verdict,
                self.volume or order.requested_volume,
                lambda: (check,),
            )
            for order in orders
        ]

    def decide_change(
        self,
        view: HostView,
        order: Order,
        before: Position | PendingOrder,
        *,
        in_flight: Sequence[Order],
        locks: Sequence[AccountLock],
        now: datetime,
    ) -> GateDecision:
        del before
        return self.decide(view, [order], in_flight=in_flight, locks=locks, now=now)[0]

    def check_rows(self, decision: GateDecision, now: datetime) -> list[GateCheck]:
        return [
            GateCheck(
                order_id=decision.order_id, number=number, check_name=check.name,
                verdict=check.verdict.value, sentence=check.sentence, created_at=now,
            )
            for number, check in enumerate(decision.checks)
        ]  # fmt: skip


class OrderStage:
    def __init__(self, folder: Path) -> None:
        self.clock = [START.timestamp()]
        self.server = TradeServer(seed=7, clock=lambda: self.clock[0], feed=False)
        self.server.set_prices("EURUSD", 1.10000, 1.10002)
        self.gate = SetGate()
        self.fence: Fence = OpenFence()
        self.enforcer: Enforcer | None = None
        self.folder = folder
        self.checkpoint = self._reach
        self._once: dict[str, Callable[[], object]] = {}
        self.executor = ThreadPoolExecutor(1)
        self.desk: HostDesk | None = None

    def checkpoint_once(self, name: str, work: Callable[[], object]) -> None:
        """Do something when a lane next comes to this point."""
        self._once[name] = work

    def _reach(self, name: str) -> None:
        work = self._once.pop(name, None)
        if work is not None:
            work()

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock[0], UTC)

    @property
    def ledger(self) -> HostLedger:
        return HostLedger(HOST, self.folder / "journal.jsonl")

    def open_account(self, user: User, name: str = "Bold", **terms: Any) -> ConnectedAccount:
        account = make_account(user, name, state=ConnectionState.CONNECTING, with_key=True)
        self.server.create_account(
            account.login, SECRET, SERVER, name, **{"deposit": 100_000.0, **terms}
        )
        return account

    def start_worker(self) -> HostDesk:
        self.sessions = open_sessions(HOST, is_inline=True)
        self.tracker = RiskTracker(HOST, self.sessions.source, self.executor)
        self.desk = HostDesk(
            HOST, self.sessions.source, self.fence, enforcer=self.enforcer, gate=self.gate,
            ledger=self.ledger, is_inline=True, checkpoint=self.checkpoint,
        )  # fmt: skip
        return self.desk

    def kill_worker(self) -> None:
        """Let go of everything in memory, as a killed process does."""
        close_sessions(HOST)
        self.desk = None

    def run(self, ticks: int = 1, seconds: float = 0.2) -> None:
        desk = self.desk or self.start_worker()
        for _ in range(ticks):
            self.clock[0] += seconds
            self.server.step()
            poll = self.sessions.poll(self.now, self.clock[0])
            self.tracker.refresh(poll)
            assessment = self.tracker.assess(poll)
            self.sessions.commit_cursors()
            desk.take(poll, assessment)

    def connect(self, user: User, **terms: Any) -> ConnectedAccount:
        """Open an account, and tick until it is connected."""
        account = self.open_account(user, **terms)
        self.run(4)
        account.refresh_from_db()
        account.connection.is_wanted = True
        return account

    def buy(self, account: ConnectedAccount, lots: str = "0.10", **fields: Any) -> Order:
        """Ask for a position as the ticket does; nothing is sent yet."""
        return services.place_order(
            account=account,
            user=account.user,
            origin=Order.Origin.TICKET,
            **{"symbol": "EURUSD", "direction": "buy", "volume": Decimal(lots), **fields},
            now=self.now,
        )

    def ended(self, order: Order, ticks: int = 1) -> Order:
        """Tick, and return the order as it is then."""
        self.run(ticks)
        order.refresh_from_db()
        return order

    def position(self, account: ConnectedAccount, lots: float = 0.10, side: int = 0) -> int:
        """Open a position by hand, as in the terminal; return its ticket."""
        request = {"action": 1, "symbol": "EURUSD", "volume": lots, "type": side, "type_filling": 1}
        result = self.server.trade_by_hand(account.login, request)
        assert result[0] == 10009, result
        return int(result[2])

    def terminal(self, account: ConnectedAccount) -> AccountTerminal:
        return AccountTerminal(self.server, account.login, account.server)

    def held(self, account: ConnectedAccount) -> list[Any]:
        """Return what the broker's own books say is open, whatever faults are set."""
        self.server.clear_faults()
        return list(self.server.call("positions", account.login, None, None, None))

    def waiting(self, account: ConnectedAccount) -> list[Any]:
        self.server.clear_faults()
        return list(self.server.call("orders", account.login, None, None, None))


@contextmanager
def order_stage(folder: Path) -> Iterator[OrderStage]:
    stage = OrderStage(folder)
    register(HOST, stage.server)
    try:
        yield stage
    finally:
        stage.kill_worker()
        unregister(HOST)
        stage.executor.shutdown(wait=False)
        stage.server.close()
