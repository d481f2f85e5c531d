"""A provider and its followers as a group: the weakest account first."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from accounts.figures import age, amount
from accounts.models import ConnectedAccount
from accounts.terminals.readings import STALE_AFTER_SECONDS
from copytrade.selectors.group_risk import copy_group_risk
from risk.core.figures import left_percent_text

_WEAKNESS = {"violated": 0, "unknown": 1, "critical": 2, "caution": 3, "safe": 4}
MOST_ROWS = 100


@dataclass(frozen=True, slots=True)
class MemberRow:
    """`account_id` is None for another trader's account, which is known by its alias alone."""

    key: str
    name: str
    status: str
    label: str
    left: str
    equity: str
    age: str
    is_stale: bool
    is_provider: bool
    relationship_id: UUID | None
    account_id: UUID | None


@dataclass(frozen=True, slots=True)
class GroupPanel:
    """`weakest` is the account that decides; `rows` are the weakest ones first, at most 100."""

    status: str
    label: str
    weakest: MemberRow | None
    rows: tuple[MemberRow, ...]
    counts: tuple[tuple[str, str, int], ...]
    total: int

    @property
    def more(self) -> int:
        return self.total - len(self.rows)


def group_panel(provider: ConnectedAccount, *, now: datetime) -> GroupPanel:
    shown = copy_group_risk(provider, now=now)
    rows = [_row(account) for account in sorted(shown["accounts"], key=_weakness)]
    weakest = shown["weakest_account"]
    found = next((row for row in rows if weakest and row.key == weakest["id"]), None)
    if found is not None:
        rows.remove(found)
        rows.insert(0, found)
    return GroupPanel(
        status=shown["status"],
        label=shown["status"].capitalize(),
        weakest=found,
        rows=tuple(rows[:MOST_ROWS]),
        counts=tuple(_counts(rows)),
        total=len(rows),
    )


def _counts(rows: Iterable[MemberRow]) -> list[tuple[str, str, int]]:
    found: dict[str, int] = {}
    for row in rows:
        found[row.status] = found.get(row.status, 0) + 1
    return [(name, name, found[name]) for name in _WEAKNESS if name in found]


def _weakness(account: Mapping[str, Any]) -> tuple[int, float]:
    """Rank by status, then by what is left; those whose figures are another's to know come last."""
    buffer = account["buffer"]
    return _WEAKNESS.get(account["status"], 1), math.inf if buffer is None else buffer


def _row(account: Mapping[str, Any]) -> MemberRow:
    seconds = account["reading_age_seconds"]
    buffer, equity = account["buffer"], account["equity"]
    relationship_id = account["relationship_id"]
    is_own = bool(account["is_own"])
    return MemberRow(
        key=account["id"],
        name=account["name"],
        status=account["status"],
        label=account["status"].capitalize(),
        left="" if buffer is None else left_percent_text(buffer),
        equity="" if equity is None else f"{amount(equity)} {account['currency']}",
        age=age(seconds) if seconds is not None else "no reading",
        is_stale=seconds is None or seconds > STALE_AFTER_SECONDS,
        is_provider=relationship_id is None,
        relationship_id=None if relationship_id is None else UUID(relationship_id),
        account_id=UUID(account["id"]) if is_own else None,
    )
