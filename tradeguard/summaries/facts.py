"""What there is to say of the days of some users, in a fixed number of queries."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from operator import attrgetter
from typing import Any

from django.db.models import Q

from accounts.models import ConnectedAccount
from notifications.models import Notification
from risk.live import load_members
from risk.live_objects import Member
from risk.models import Enforcement, Order, RuleBreach
from tradeguard.summaries.due import Due
from tradeguard.summaries.results import day_results

State = Order.State
_EXECUTED = frozenset({State.FILLED, State.PARTIAL})
_NOT_EXECUTED = frozenset({State.REJECTED, State.EXPIRED, State.NOT_EXECUTED})
_UNCERTAIN = frozenset({State.UNKNOWN, State.LOST})


@dataclass(frozen=True, slots=True)
class Reader:
    """Whose day it is, and how they read times."""

    user_id: int
    zone: tzinfo
    zone_name: str
    due: Due


@dataclass(frozen=True, slots=True)
class AccountDay:
    """One account; numbers are None when they are not known now, never old ones.

    `weakest` says how far its weakest rule is from its limit; `read_at` is its last reading.
    """

    name: str
    currency: str
    digits: int
    is_fresh: bool
    connection: str
    read_at: datetime | None
    balance: float | None
    equity: float | None
    floating: float | None
    result: float | None
    positions: int | None
    weakest_rule: str
    weakest: str


@dataclass(frozen=True, slots=True)
class UserDay:
    reader: Reader
    accounts: tuple[AccountDay, ...]  # the weakest first
    violations: tuple[str, ...]
    enforcements: tuple[str, ...]
    orders_executed: int
    orders_not_executed: int
    orders_uncertain: int
    unread: int


def load_user_days(readers: Sequence[Reader], *, now: datetime) -> list[UserDay]:
    """Put together the days of these users; those without an active account are left out."""
    accounts = list(
        ConnectedAccount.objects.filter(
            user__in=[reader.user_id for reader in readers], is_active=True
        )
    )
    told = _account_days(accounts, now)
    violations = _violations(readers)
    enforcements = _enforcements(readers)
    orders = _orders(readers)
    unread = _unread(readers)
    return [
        UserDay(
            reader=reader,
            accounts=tuple(told[reader.user_id]),
            violations=tuple(violations[reader.user_id]),
            enforcements=tuple(enforcements[reader.user_id]),
            orders_executed=orders[reader.user_id]["executed"],
            orders_not_executed=orders[reader.user_id]["not executed"],
            orders_uncertain=orders[reader.user_id]["uncertain"],
            unread=unread[reader.user_id],
        )
        for reader in readers
        if reader.user_id in told
    ]


def _account_days(
    accounts: Sequence[ConnectedAccount], now: datetime
) -> dict[int, list[AccountDay]]:
    members = load_members(accounts, now=now)
    fresh = {
        member.id: member.reading
        for member in members.values()
        if member.is_fresh and member.reading is not None
    }
    equities = {account_id: float(reading["equity"]) for account_id, reading in fresh.items()}
    balances = {account_id: float(reading["balance"]) for account_id, reading in fresh.items()}
    results = day_results(accounts, equities, now, balances=balances)
    owners = {account.pk: account.user_id for account in accounts}
    days: dict[int, list[AccountDay]] = defaultdict(list)
    for member in sorted(members.values(), key=attrgetter("weakness", "name")):
        days[owners[member.id]].append(_account_day(member, results.get(member.id)))
    return days


def _account_day(member: Member, result: float | None) -> AccountDay:
    rules = [row for row in member.rows if not row.rule.is_objective]
    weakest = min(rules, key=attrgetter("weakness"), default=None)
    reading = member.reading if member.is_fresh else None
    return AccountDay(
        name=member.name,
        currency=member.money.name,
        digits=member.money.digits,
        is_fresh=member.is_fresh,
        connection=str(member.connection["state"]),
        read_at=_read_at(member),
        balance=_number(reading, "balance"),
        equity=_number(reading, "equity"),
        floating=_number(reading, "profit"),
        result=result,
        positions=len(member.state.positions) if member.is_fresh and member.state else None,
        weakest_rule=weakest.rule.name if weakest else "",
        weakest=weakest.full()["message"].removeprefix(f"{member.name}: ") if weakest else "",
    )


def _number(reading: Any, name: str) -> float | None:
    return None if reading is None else float(reading[name])


def _read_at(member: Member) -> datetime | None:
    if member.reading is None or math.isnan(float(member.reading["read_at"])):
        return None
    return datetime.fromtimestamp(float(member.reading["read_at"]), UTC)


def _in_their_days(readers: Sequence[Reader], moment: str) -> Q:
    """Select what happened to each user within their own day."""
    users: dict[Due, list[int]] = defaultdict(list)
    for reader in readers:
        users[reader.due].append(reader.user_id)
    selected = Q(pk__in=[])
    for due, ids in users.items():
        period = {f"{moment}__gte": due.since, f"{moment}__lt": due.until}
        selected |= Q(user_id__in=ids, **period)
    return selected


def _violations(readers: Sequence[Reader]) -> Mapping[int, list[str]]:
    rows = RuleBreach.objects.filter(_in_their_days(readers, "latched_at"))
    return _listed(rows.order_by("latched_at").values_list("user_id", "message"))


def _enforcements(readers: Sequence[Reader]) -> Mapping[int, list[str]]:
    rows = Enforcement.objects.filter(_in_their_days(readers, "created_at"))
    told: dict[int, list[str]] = defaultdict(list)
    for run in rows.order_by("created_at"):
        # What came of it; why is among the violations.
        is_over = run.finished_at is not None and run.message
        sentence = run.message if is_over else run.reason
        told[run.user_id].append(
            f"{run.account_name}: {sentence.removeprefix(f'{run.account_name} ')}"
        )
    return told


def _listed(rows: Any) -> Mapping[int, list[str]]:
    told: dict[int, list[str]] = defaultdict(list)
    for user_id, sentence in rows:
        told[user_id].append(sentence)
    return told


def _orders(readers: Sequence[Reader]) -> Mapping[int, Counter[str]]:
    """Count what was ordered through TradeGuard; not what it closed by itself."""
    rows = Order.objects.filter(_in_their_days(readers, "created_at"), enforcement_id=None)
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for user_id, state in rows.values_list("user_id", "state"):
        counts[user_id][_outcome(state)] += 1
    return counts


def _outcome(state: str) -> str:
    if state in _EXECUTED:
        return "executed"
    if state in _NOT_EXECUTED:
        return "not executed"
    return "uncertain" if state in _UNCERTAIN else "other"


def _unread(readers: Sequence[Reader]) -> Mapping[int, int]:
    rows = Notification.objects.unread().filter(user__in=[each.user_id for each in readers])
    return Counter(rows.values_list("user_id", flat=True))
