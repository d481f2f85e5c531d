"""What a failed call of a terminal tells the one who made it."""

import pytest

from accounts.terminals.base import Terminal, TerminalError
from accounts.terminals.simulated.surface.module import SimulatedMetaTrader5
from accounts.tests.recording_link import RecordingLink


class TestTerminalError:
    def test_it_reads_like_the_terminal_says_it(self) -> None:
        used: Terminal = SimulatedMetaTrader5(RecordingLink())
        assert used.account_info() is None
        assert str(TerminalError(*used.last_error())) == "No IPC connection (-10004)"

    @pytest.mark.parametrize(
        ("code", "after_first", "after_second"),
        [
            (-6, True, False),
            (-9999, False, False),
            (-10000, True, True),
            (-10003, True, True),
            (-10005, True, True),
            (-10006, False, False),
            (-1, False, False),
            (-2, False, False),
            (-8, False, False),
        ],
    )
    def test_it_knows_when_to_reconnect(
        self, code: int, after_first: bool, after_second: bool
    ) -> None:
        error = TerminalError(code, "")
        assert error.is_worth_reconnecting(1) is after_first
        assert error.is_worth_reconnecting(2) is after_second

    def test_it_knows_when_an_order_may_have_been_executed(self) -> None:
        may = {
            code
            for code in (-1, -2, -8, -10001, -10002, -10003, -10004, -10005)
            if TerminalError(code, "").may_have_executed
        }
        assert may == {-1, -10001, -10002, -10005}
