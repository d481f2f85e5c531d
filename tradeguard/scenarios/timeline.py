"""What happens on the accounts of a scenario, told as it is written down."""

import time
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from risk.models import AccountLock, Enforcement, Order, RuleBreach

Tell = Callable[[str], object]


class Timeline:
    """Reads the ledgers again and again, and tells each row and each new state of it once."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._begun_at = time.monotonic()
        self._account_ids: tuple[UUID, ...] = ()
        self._told: set[tuple[Any, ...]] = set()

    def follow(self, account_ids: Iterable[UUID]) -> None:
        self._account_ids = tuple(account_ids)

    def say(self, text: str) -> None:
        self._tell(f"{time.monotonic() - self._begun_at:7.2f} s  {text}")

    def look(self) -> None:
        """Tell what is new in the ledgers."""
        if not self._account_ids:
            return
        for breach in self._rows(RuleBreach, "latched_at"):
            kind = "acted early" if breach.is_early else "violated"
            self._once(("breach", breach.pk, kind), f"{kind}: {breach.message}")
        for lock in self._rows(AccountLock, "locked_at"):
            self._once(("lock", lock.pk), f"locked: {lock.account_name}, {lock.reason}")
        for run in self._rows(Enforcement, "created_at"):
            detail = f": {run.message}" if run.message else ""
            self._once(
                ("run", run.pk, run.stage, run.message),
                f"{run.account_name}: {run.get_action_display()} {run.get_stage_display().lower()}"
                f"{detail}",
            )
        for order in self._rows(Order, "created_at"):
            if order.state != Order.State.PENDING:
                self._once(("order", order.pk, order.state), _order_text(order))

    def _rows(self, model: Any, by: str) -> Iterable[Any]:
        rows: QuerySet[Any] = model.objects.filter(account_id__in=self._account_ids)
        return rows.order_by(by, "pk")

    def _once(self, key: tuple[Any, ...], text: str) -> None:
        if key not in self._told:
            self._told.add(key)
            self.say(text)


def _order_text(order: Order) -> str:
    volume = "" if order.volume is None else f" {order.volume.normalize():f} lots"
    text = f"{order.account_name}: {order.get_kind_display()}{volume} {order.symbol}"
    detail = f" ({order.message})" if order.message else ""
    return f"{text} → {order.get_state_display().lower()}{detail}"
