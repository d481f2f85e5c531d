"""A provider on a simulated broker, watched inline, whose events are stored as they come."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from accounts.terminals.simulated import constants as mt5
from accounts.tests.simulated_desk import SERVER, Desk
from copytrade.models import CopyEvent
from copytrade.watching.facts import WatchedProvider
from copytrade.watching.watch import ProviderWatch

LOGIN = 1001
HOST = "local"
NETTING = {"margin_mode": mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING}


class Stage:
    """`look` returns the events of one poll; `told` are all so far, by kind and numbers."""

    def __init__(self, **terms: Any) -> None:
        self.desk = Desk()
        self._behind_seconds = 0.0
        self.desk.server.set_prices("EURUSD", 1.1000, 1.1001)
        self.desk.open_account(LOGIN, **terms)
        self.provider = WatchedProvider(
            account_id=uuid.UUID(int=7),
            name="Provider",
            login=LOGIN,
            server=SERVER,
            currency="USD",
            broker_zone="America/New_York+7h",
            started_at=self.now,
        )
        self.fails = 0
        self.new: list[CopyEvent] = []
        self.restart()

    @property
    def now(self) -> datetime:
        """By the clock of the host, which somebody may have set."""
        return datetime.fromtimestamp(self.desk.clock.now - self._behind_seconds, UTC)

    def set_back(self, seconds: float) -> None:
        self._behind_seconds += seconds

    def restart(self) -> None:
        """Let another process watch, which knows what the database knows."""
        self.watch = ProviderWatch(HOST, self.desk.server, on_events=self._store, is_inline=True)
        self.watch.sync([self.provider])

    def sync(self, **changes: Any) -> None:
        self.provider = replace(self.provider, **changes)
        self.watch.sync([self.provider])

    def look(self) -> list[CopyEvent]:
        self.new = []
        self.desk.pass_time(0.05)
        self.watch.poll(self.now, self.desk.clock.now)
        return self.new

    def looks(self, count: int = 4, seconds: float = 0.05) -> list[CopyEvent]:
        """Return the events of several polls."""
        found: list[CopyEvent] = []
        for _ in range(count):
            self.desk.pass_time(seconds - 0.05)
            found += self.look()
        return found

    def ready(self) -> "Stage":
        assert self.looks() == []
        return self

    def prices(self, bid: float) -> None:
        self.desk.server.set_prices("EURUSD", bid, round(bid + 0.0001, 5))
        self.desk.pass_time(0.0)

    def close(self, ticket: int, lots: float, side: int = mt5.ORDER_TYPE_SELL, **more: Any) -> None:
        result = self.desk.market(LOGIN, side, lots, position=ticket, **more)
        assert result[0] == mt5.TRADE_RETCODE_DONE, result

    def close_by_hand(self, ticket: int, lots: float) -> None:
        """Close a bought position in the terminal, whatever keeps programs from it."""
        result = self.desk.server.trade_by_hand(LOGIN, {
            "action": mt5.TRADE_ACTION_DEAL, "symbol": "EURUSD", "volume": lots,
            "type": mt5.ORDER_TYPE_SELL, "position": ticket,
            "type_filling": mt5.ORDER_FILLING_FOK,
        })  # fmt: skip
        assert result[0] == mt5.TRADE_RETCODE_DONE, result

    def stops(self, ticket: int, sl: float, tp: float = 0.0) -> None:
        result = self.desk.send(
            LOGIN, action=mt5.TRADE_ACTION_SLTP, symbol="EURUSD", position=ticket, sl=sl, tp=tp
        )
        assert result[0] == mt5.TRADE_RETCODE_DONE, result

    def _store(self, events: list[CopyEvent]) -> None:
        if self.fails:
            self.fails -= 1
            raise RuntimeError("the ledger is away")
        CopyEvent.objects.bulk_create(events)
        self.new += events


def told(events: Sequence[CopyEvent]) -> list[tuple[Any, ...]]:
    """Return kind, direction, lots and lots before of each event."""
    return [(event.kind, event.direction, _lots(event.volume), _lots(event.volume_before))
            for event in events]  # fmt: skip


def _lots(volume: Any) -> float | None:
    return None if volume is None else float(volume)
