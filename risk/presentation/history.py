"""The history of an account's enforcement: each run with the orders that it sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from accounts.models import ConnectedAccount
from risk.models import Enforcement, Order
from risk.presentation.orders import OrderRow, order_rows
from risk.presentation.runs import RunLine, run_line

MOST_RUNS = 10


@dataclass(frozen=True, slots=True)
class EnforcementRow:
    line: RunLine
    orders: tuple[OrderRow, ...]
    seconds: float | None

    @property
    def run(self) -> Enforcement:
        return self.line.run


def enforcement_rows(account: ConnectedAccount, *, most: int = MOST_RUNS) -> list[EnforcementRow]:
    """Return the latest runs on an account, newest first, in two queries."""
    runs = list(Enforcement.objects.filter(account_id=account.pk, user_id=account.user_id)[:most])
    sent: dict[UUID | None, list[Order]] = {}
    ids = [run.pk for run in runs]
    for order in Order.objects.filter(enforcement_id__in=ids).order_by("created_at", "id"):
        sent.setdefault(order.enforcement_id, []).append(order)
    return [_row(run, sent.get(run.pk, ())) for run in runs]


def _row(run: Enforcement, orders: Sequence[Order]) -> EnforcementRow:
    last = run.last_sent_at
    seconds = max((last - run.triggered_at).total_seconds(), 0.0) if last else None
    return EnforcementRow(run_line(run), tuple(order_rows(orders)), seconds)
