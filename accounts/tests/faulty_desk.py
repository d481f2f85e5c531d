"""A desk for tests of faults: two accounts, and a program at a terminal of each."""

from typing import Any

from accounts.terminals.readings import Outcome, ReadingBatch
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.surface.module import SimulatedMetaTrader5
from accounts.tests.simulated_desk import PASSWORD, SERVER, Desk

LOGIN, OTHER = 1001, 1002
TIMEOUT = (-10005, "IPC timeout")
SEND_FAILED = (-10001, "IPC send failed")
RECEIVE_FAILED = (-10002, "IPC recv failed")
NO_CONNECTION = (-10004, "No IPC connection")
CALL_FAILED = (-1, "Terminal: Call failed")
BUY: dict[str, Any] = {
    "action": mt5.TRADE_ACTION_DEAL, "symbol": "EURUSD", "volume": 0.2,
    "type": mt5.ORDER_TYPE_BUY, "type_filling": mt5.ORDER_FILLING_IOC, "comment": "provider 17",
}  # fmt: skip


class FaultyDesk(Desk):
    """Two accounts, a program at a terminal of each, and a sleep that only takes notes."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        super().__init__(sleep=self.slept.append)
        self.open_account(LOGIN)
        self.open_account(OTHER)
        self.server.set_prices("EURUSD", 1.0861, 1.08614)
        self.program: Any = self.program_of(LOGIN)
        self.neighbour: Any = self.program_of(OTHER)

    def program_of(self, login: int, password: str = PASSWORD) -> SimulatedMetaTrader5:
        program = SimulatedMetaTrader5(self.server)
        assert program.initialize("x", login=login, password=password, server=SERVER)
        return program

    def batch(self) -> ReadingBatch:
        return self.server.read_batch([LOGIN, OTHER], [0, 0])

    def outcome(self) -> tuple[int, int]:
        """Return outcome and error code of the faulty account; the other one always answers."""
        accounts = self.batch().accounts
        assert accounts["outcome"][1] == Outcome.ANSWERED
        return int(accounts["outcome"][0]), int(accounts["error_code"][0])
