"""The objects that clients see: the live risk of a group and of an account, as plain JSON values.

Everything that ages is judged here, by whoever reads, because a dead worker cannot announce its own
death: a reading older than two seconds is stale, and what it said is not known any more. A
latched violation stays. What is not known is None, never 0.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from accounts.hot_state import RULE_STATE_DTYPE, AccountState
from accounts.terminals.readings import POSITION_DTYPE
from risk.core.figures import Currency
from risk.core.pair_numbers import PairNumbers
from risk.core.parameters import RuleParameters
from risk.core.sentences import risk_sentence, unit_of
from risk.core.statuses import Reason, Status

STALE_AFTER_SECONDS = 2.0
# Two machines' clocks differ a little: a reading from the near future is fresh, from a far one not.
CLOCK_TOLERANCE_SECONDS = 2.0

Json = dict[str, Any]
_RULE_NAMES = RULE_STATE_DTYPE.names or ()
_STATUS, _BUFFER, _USED, _LEFT, _LIMIT, _FLOOR = (
    _RULE_NAMES.index(name) for name in ("status", "buffer", "used", "left", "limit", "floor")
)
_POSITION = {name: place for place, name in enumerate(POSITION_DTYPE.names or ())}
_RESET_AT = _RULE_NAMES.index("reset_at")
_STATUSES = tuple(Status)
_TEXTS = tuple(status.text for status in Status)
_INFINITE = float("inf")


class RuleView:
    """A rule as the objects show it; `order` is the order in which rules are listed."""

    __slots__ = ("action", "id", "is_firm_rule", "key", "name", "order", "parameters")

    def __init__(
        self, rule_id: UUID, name: str, action: str, is_firm_rule: bool, parameters: RuleParameters
    ) -> None:
        self.id, self.key = rule_id, str(rule_id)
        self.name, self.action, self.is_firm_rule = name, action, is_firm_rule
        self.parameters = parameters
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
        if self.rows:
            weakest = min(self.rows, key=_by_weakness)
            self.status, self.buffer = weakest.status, weakest.buffer
        self.weakness = _weakness(self.status, self.buffer)

    def summary(self) -> Json:
        return {
            "id": self.key,
            "name": self.name,
            "status": _TEXTS[self.status],
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
                self.status, self.buffer = status, _known(raw[_BUFFER])
            elif status is Status.VIOLATED:
                self.status = status
        if not member.is_fresh and rule.id in member.latches:
            self.status = Status.VIOLATED
        self.weakness = _weakness(self.status, self.buffer)

    def figures(self) -> Json:
        raw = self.raw
        used = left = limit = floor = None
        if raw is not None:
            limit, floor = _known(raw[_LIMIT]), _known(raw[_FLOOR])
            if self.member.is_fresh:
                used, left = _known(raw[_USED]), _known(raw[_LEFT])
        return {
            "rule_id": self.rule.key,
            "status": _TEXTS[self.status],
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
        return _moment(reset_at) if reset_at > evaluated_at else None

    def _numbers(self) -> PairNumbers:
        if self.raw is None or self.member.state is None:
            is_acknowledged = self.member.latches.get(self.rule.id, False)
            return replace(_NOTHING_KNOWN, status=self.status, acknowledged=is_acknowledged)
        raw = dict(zip(_RULE_NAMES, self.raw, strict=True))
        if not self.member.is_fresh:
            return replace(
                _NOTHING_KNOWN,
                status=self.status,
                limit=_known(raw["limit"]),
                floor=_known(raw["floor"]),
                acknowledged=raw["acknowledged"],
                reconstructed=raw["reconstructed"],
            )
        symbols, symbol = self.member.state.tables.symbols, raw["symbol"]
        return PairNumbers(
            status=self.status,
            present=Status(raw["present"]),
            value=_known(raw["value"]),
            used=_known(raw["used"]),
            limit=_known(raw["limit"]),
            left=_known(raw["left"]),
            floor=_known(raw["floor"]),
            buffer=self.buffer,
            reason=Reason(raw["reason"]),
            symbol=symbols[symbol] if 0 <= symbol < len(symbols) else "",
            direction=raw["direction"],
            acknowledged=raw["acknowledged"],
            reconstructed=raw["reconstructed"],
        )


def group_object(group_id: UUID, name: str, members: Sequence[Member], *, sequence: int) -> Json:
    """Build the live risk of a group; its weakest account decides."""
    weakest = min(members, key=_by_weakness, default=None)
    rules: dict[str, list[Row]] = {}
    for member in members:
        for row in member.rows:
            rules.setdefault(row.rule.key, []).append(row)
    return {
        "group_id": str(group_id),
        "name": name,
        "status": _TEXTS[weakest.status if weakest else Status.UNKNOWN],
        "evaluated_at": _evaluated_at(members),
        "sequence": sequence,
        "unknown_accounts": [member.key for member in members if _is_unknown(member)],
        "weakest_account": weakest.summary() if weakest else None,
        "rules": [
            _group_rule(rows)
            for rows in sorted(rules.values(), key=lambda rows: rows[0].rule.order)
        ],
        "accounts": [_group_member(member) for member in members],
    }


def account_object(member: Member, *, sequence: int) -> Json:
    """Build the live state of one account with its positions and rules."""
    account = member.state.account if member.state is not None else None
    is_known = account is not None and member.age_seconds is not None

    def amount(name: str) -> float | None:
        return _known(float(account[name])) if is_known and account is not None else None

    return {
        "account_id": member.key,
        "name": member.name,
        "status": _TEXTS[member.status],
        "buffer": member.buffer,
        "evaluated_at": _evaluated_at([member]),
        "read_at": _moment(account["read_at"]) if is_known and account is not None else None,
        "reading_age_seconds": member.age_seconds,
        "is_fresh": member.is_fresh,
        "sequence": sequence,
        "connection": member.connection,
        "currency": member.money.name,
        "currency_digits": member.money.digits,
        "balance": amount("balance"),
        "credit": amount("credit"),
        "equity": amount("equity"),
        "profit": amount("profit"),
        "margin": amount("margin"),
        "margin_free": amount("margin_free"),
        # MetaTrader reports 0 when there is no margin: that is "none", not a level.
        "margin_level": amount("margin_level") if amount("margin") else None,
        "leverage": int(account["leverage"]) if is_known and account is not None else None,
        "is_watching_only": bool(is_known and account is not None and not account["trade_allowed"]),
        "positions": _positions(member),
        "rules": [row.full() for row in member.rows],
    }


def _group_rule(rows: Sequence[Row]) -> Json:
    weakest = min(rows, key=_by_weakness)
    return weakest.full() | {
        "weakest_account": {
            "id": weakest.member.key,
            "name": weakest.member.name,
            "status": _TEXTS[weakest.status],
            "buffer": weakest.buffer,
        }
    }


def _group_member(member: Member) -> Json:
    account = member.state.account if member.state is not None else None
    equity = _known(float(account["equity"])) if account is not None else None
    return member.summary() | {
        "reading_age_seconds": member.age_seconds,
        "connection": member.connection["state"],
        "currency": member.money.name,
        "equity": equity if member.age_seconds is not None else None,
        "rules": [row.figures() for row in member.rows],
    }


def _positions(member: Member) -> list[Json]:
    if member.state is None:
        return []
    symbols = member.state.tables.symbols
    return [
        {
            "ticket": row[_POSITION["ticket"]],
            "symbol": symbols[row[_POSITION["symbol"]]],
            "side": "sell" if row[_POSITION["type"]] else "buy",
            "volume": row[_POSITION["volume"]],
            "price_open": row[_POSITION["price_open"]],
            "price_current": row[_POSITION["price_current"]],
            "sl": row[_POSITION["sl"]] or None,
            "tp": row[_POSITION["tp"]] or None,
            "swap": row[_POSITION["swap"]],
            "profit": row[_POSITION["profit"]],
            "magic": row[_POSITION["magic"]],
            # The broker's wall clock, as the terminal shows it.
            "opened_at_broker": _broker_time(row[_POSITION["time_msc"]]),
        }
        for row in member.state.positions.tolist()
    ]


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


def _weakness(status: Status, buffer: float | None) -> tuple[int, float]:
    """Order by status, then by buffer; one that is not known comes last within its status."""
    return -status, _INFINITE if buffer is None else buffer


_by_weakness = attrgetter("weakness")


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


def _is_unknown(member: Member) -> bool:
    return not member.is_fresh or member.status is Status.UNKNOWN


def _evaluated_at(members: Iterable[Member]) -> str | None:
    moments = [member.state.tables.evaluated_at for member in members if member.state is not None]
    return _moment(max(moments)) if moments else None


def _moment(epoch: float) -> str:
    return datetime.fromtimestamp(float(epoch), UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _broker_time(msc: int) -> str:
    return datetime.fromtimestamp(msc / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _known(number: float) -> float | None:
    return number if abs(number) < _INFINITE else None
