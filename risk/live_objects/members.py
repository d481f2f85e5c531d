"""Accounts and their rules, judged by whoever reads."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any
from uuid import UUID

import numpy as np

from accounts.hot_state import RULE_STATE_DTYPE, AccountState
from accounts.terminals.readings import STALE_AFTER_SECONDS
from risk.core.figures import Currency
from risk.core.pair_numbers import PairNumbers
from risk.core.parameters import RuleParameters
from risk.core.rule_types import OBJECTIVES
from risk.core.sentences import risk_sentence, unit_of
from risk.core.statuses import Reason, Status
from risk.live_objects.values import Json, known, moment

# Two machines' clocks differ a little: a reading from the near future is fresh, from a far one not.
CLOCK_TOLERANCE_SECONDS = 2.0

_RULE_NAMES = RULE_STATE_DTYPE.names or ()
_STATUS, _BUFFER, _USED, _LEFT, _LIMIT, _FLOOR, _RESET_AT = (
    _RULE_NAMES.index(name)
    for name in ("status", "buffer", "used", "left", "limit", "floor", "reset_at")
)
_STATUSES = tuple(Status)
TEXTS = tuple(status.text for status in Status)
_INFINITE = float("inf")
_NOTHING_KNOWN = PairNumbers(
    status=Status.UNKNOWN,
    present=Status.UNKNOWN,
    value=None,
    used=None,
    limit=None,
    left=None,
    floor=None,
    buffer=None,
    reason=Reason.NO_READING,
    symbol="",
    direction=0,
    acknowledged=False,
    reconstructed=False,
)


class RuleView:
    """A rule as the objects show it; `order` is the order in which rules are listed."""

    __slots__ = (
        "action",
        "id",
        "is_firm_rule",
        "is_objective",
        "key",
        "name",
        "order",
        "parameters",
    )

    def __init__(
        self, rule_id: UUID, name: str, action: str, is_firm_rule: bool, parameters: RuleParameters
    ) -> None:
        self.id, self.key = rule_id, str(rule_id)
        self.name, self.action, self.is_firm_rule = name, action, is_firm_rule
        self.parameters = parameters
        self.is_objective = parameters.rule_type in OBJECTIVES
        self.order = (parameters.rule_type.value, name, self.key)


class Member:
    """An account as the objects need it, judged at `now` (UTC epoch seconds).

    `raws` are the packed rows of `rules`, None for a rule that no tick has evaluated yet; `state`
    is None when no tick has seen the account. `latches` are the violations in force (rule, whether
    it is acknowledged) as the database has them: they hold whatever a stale state says. Built for
    thousands of accounts per tick, so all is worked out at once and without dataclass machinery.
    """

    __slots__ = (
        "age_seconds",
        "buffer",
        "connection",
        "id",
        "is_fresh",
        "key",
        "latches",
        "money",
        "name",
        "rows",
        "state",
        "status",
        "weakness",
    )

    def __init__(
        self,
        *,
        account_id: UUID,
        name: str,
        currency: str,
        connection: Json,
        rules: Sequence[RuleView],
        raws: Sequence[tuple[Any, ...] | None],
        state: AccountState | None,
        now: float,
        latches: Mapping[UUID, bool] | None = None,
    ) -> None:
        self.id, self.key, self.name = account_id, str(account_id), name
        self.connection, self.state = connection, state
        self.age_seconds = _age(state, now)
        self.is_fresh = _is_fresh(state, self.age_seconds, connection, now)
        self.money = _money(state, currency)
        self.latches = latches or {}
        self.rows = [Row(self, rule, raw) for rule, raw in zip(rules, raws, strict=True)]
        self.status = Status.SAFE if self.is_fresh else Status.UNKNOWN
        self.buffer: float | None = None
        decisive = [row for row in self.rows if not row.rule.is_objective]
        if decisive:
            weakest = min(decisive, key=by_weakness)
            self.status, self.buffer = weakest.status, weakest.buffer
        self.weakness = _weakness(self.status, self.buffer)

    @property
    def reading(self) -> np.void | None:
        """The last accepted reading, None for an account that was never read."""
        return None if self.state is None or self.age_seconds is None else self.state.account

    def summary(self) -> Json:
        return {
            "id": self.key,
            "name": self.name,
            "status": TEXTS[self.status],
            "buffer": self.buffer,
        }


class Row:
    """One rule on one account; of a stale reading only limits and a violation are still true."""

    __slots__ = ("buffer", "member", "raw", "rule", "status", "weakness")

    def __init__(self, member: Member, rule: RuleView, raw: tuple[Any, ...] | None) -> None:
        self.member, self.rule, self.raw = member, rule, raw
        self.status, self.buffer = Status.UNKNOWN, None
        if raw is not None:
            status = _STATUSES[raw[_STATUS]]
            if member.is_fresh:
                self.status, self.buffer = status, known(raw[_BUFFER])
            elif status is Status.VIOLATED:
                self.status = status
        if not member.is_fresh and rule.id in member.latches:
            self.status = Status.VIOLATED
        self.weakness = _weakness(self.status, self.buffer)

    def figures(self) -> Json:
        raw = self.raw
        used = left = limit = floor = None
        if raw is not None:
            limit, floor = known(raw[_LIMIT]), known(raw[_FLOOR])
            if self.member.is_fresh:
                used, left = known(raw[_USED]), known(raw[_LEFT])
        return {
            "rule_id": self.rule.key,
            "status": TEXTS[self.status],
            "buffer": self.buffer,
            "used": used,
            "limit": limit,
            "left": left,
            "floor": floor,
            # A rule is latched from the moment at which it is violated.
            "latched": self.status is Status.VIOLATED,
        }

    def full(self) -> Json:
        rule, member = self.rule, self.member
        numbers = self._numbers()
        return {
            **self.figures(),
            "name": rule.name,
            "rule_type": rule.parameters.rule_type.value,
            "action": rule.action,
            "unit": unit_of(rule.parameters.rule_type, member.money.name),
            "message": risk_sentence(member.name, rule.parameters, numbers, member.money),
            "acknowledged": numbers.acknowledged,
            "reconstructed": numbers.reconstructed,
            "reset_at": self._reset_at(),
        }

    def _reset_at(self) -> str | None:
        """Return when the rule's trading day ends; one that has passed is not known any more."""
        if self.raw is None or self.member.state is None:
            return None
        reset_at = self.raw[_RESET_AT]
        evaluated_at = self.member.state.tables.evaluated_at
        return moment(reset_at) if reset_at > evaluated_at else None

    def _numbers(self) -> PairNumbers:
        if self.raw is None or self.member.state is None:
            is_acknowledged = self.member.latches.get(self.rule.id, False)
            return replace(_NOTHING_KNOWN, status=self.status, acknowledged=is_acknowledged)
        raw = dict(zip(_RULE_NAMES, self.raw, strict=True))
        if not self.member.is_fresh:
            return replace(
                _NOTHING_KNOWN,
                status=self.status,
                limit=known(raw["limit"]),
                floor=known(raw["floor"]),
                acknowledged=raw["acknowledged"],
                reconstructed=raw["reconstructed"],
            )
        symbols, symbol = self.member.state.tables.symbols, raw["symbol"]
        return PairNumbers(
            status=self.status,
            present=Status(raw["present"]),
            value=known(raw["value"]),
            used=known(raw["used"]),
            limit=known(raw["limit"]),
            left=known(raw["left"]),
            floor=known(raw["floor"]),
            buffer=self.buffer,
            reason=Reason(raw["reason"]),
            symbol=symbols[symbol] if 0 <= symbol < len(symbols) else "",
            direction=raw["direction"],
            acknowledged=raw["acknowledged"],
            reconstructed=raw["reconstructed"],
        )


def _weakness(status: Status, buffer: float | None) -> tuple[int, float]:
    """Order by status, then by buffer; one that is not known comes last within its status."""
    return -status, _INFINITE if buffer is None else buffer


by_weakness = attrgetter("weakness")


def _age(state: AccountState | None, now: float) -> float | None:
    if state is None:
        return None
    read_at = float(state.account["read_at"])
    return None if read_at != read_at else max(now - read_at, 0.0)


def _is_fresh(
    state: AccountState | None, age_seconds: float | None, connection: Json, now: float
) -> bool:
    if state is None or age_seconds is None or connection["state"] != "connected":
        return False
    is_from_the_future = state.account["read_at"] - now > CLOCK_TOLERANCE_SECONDS
    return age_seconds <= STALE_AFTER_SECONDS and not is_from_the_future


def _money(state: AccountState | None, currency: str) -> Currency:
    """Return the account's currency as its terminal reports it, else as it was entered."""
    if state is None or state.account["read_at"] != state.account["read_at"]:
        return Currency(currency)
    names, number = state.tables.currencies, int(state.account["currency"])
    name = names[number] if 0 <= number < len(names) else currency
    return Currency(name, int(state.account["currency_digits"]))
