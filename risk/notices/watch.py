"""What a host's ticks show that its users should know, but that nothing waits for."""

from collections.abc import Callable, Sequence
from datetime import datetime

from accounts.sessions.poll import Poll
from notifications.services import Message
from risk.enforcement.notices import recent_run_messages
from risk.models import Order
from risk.notices.orders import order_messages, recent_order_messages
from risk.notices.switches import TradingSwitches, other_than_told
from risk.notices.warnings import WarningWatch, not_told_lately
from risk.notices.writer import NoticeWriter
from risk.tracker import Assessment


class RiskNotices:
    """Finds news by comparing columns, and has them written beside the tick.

    `note` and `flush` are for the tick's thread; `orders_ended` for any.
    """

    def __init__(self, host: str, *, is_inline: bool = False) -> None:
        self._host = host
        self._writer = NoticeWriter(host, is_inline=is_inline)
        self._warnings = WarningWatch()
        self._switches = TradingSwitches()
        self._has_begun = False

    def note(self, assessment: Assessment, poll: Poll) -> None:
        """Take what this tick shows that was otherwise a moment ago."""
        rises = self._warnings.note(assessment, poll)
        if rises is not None:
            self._writer.later(rises.messages)
            if rises.is_first.any():
                self._writer.later(rises.first_messages, not_told_lately)
        switched = self._switches.note(assessment, poll)
        if switched:
            known = [each for each in switched if not each.is_first]
            first = [each for each in switched if each.is_first]
            self._writer.later(lambda: (each.message() for each in known))
            self._writer.later(lambda: (each.message() for each in first), other_than_told)

    def flush(self, now: datetime, monotonic: float) -> None:
        """Have written what was found."""
        if not self._has_begun:
            self._has_begun = True
            self._writer.ask(lambda now: recent_order_messages(self._host, now))
            self._writer.ask(lambda now: recent_run_messages(self._host, now))
        self._writer.flush(now, monotonic)

    def orders_ended(self, orders: Sequence[Order]) -> None:
        """Take orders that have just ended."""
        self._writer.add(order_messages(orders))

    def ask(self, question: Callable[[datetime], Sequence[Message]]) -> None:
        """Have told what the database answers to a question; for the tick's thread."""
        self._writer.ask(question)

    def close(self, now: datetime) -> None:
        self._writer.close(now)
