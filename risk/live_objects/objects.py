"""The objects that clients see, built from members."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from accounts.terminals.readings import POSITION_DTYPE
from risk.core.statuses import Status
from risk.live_objects.members import TEXTS, Member, Row, by_weakness
from risk.live_objects.values import Json, known, moment

_POSITION = {name: place for place, name in enumerate(POSITION_DTYPE.names or ())}
_AMOUNTS = ("balance", "credit", "equity", "profit", "margin", "margin_free")
# ACCOUNT_MARGIN_MODE_*: with the first two a symbol has one position at most.
_MARGIN_MODES = {0: "netting", 1: "exchange", 2: "hedging"}


def group_object(group_id: UUID, name: str, members: Sequence[Member], *, sequence: int) -> Json:
    """Build the live risk of a group; its weakest account decides."""
    weakest = min(members, key=by_weakness, default=None)
    rules: dict[str, list[Row]] = {}
    for member in members:
        for row in member.rows:
            rules.setdefault(row.rule.key, []).append(row)
    return {
        "group_id": str(group_id),
        "name": name,
        "status": TEXTS[weakest.status if weakest else Status.UNKNOWN],
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
    return {
        "account_id": member.key,
        "name": member.name,
        "status": TEXTS[member.status],
        "buffer": member.buffer,
        "evaluated_at": _evaluated_at([member]),
        "reading_age_seconds": member.age_seconds,
        "is_fresh": member.is_fresh,
        "sequence": sequence,
        "connection": member.connection,
        "currency": member.money.name,
        "currency_digits": member.money.digits,
        **_figures(member),
        "positions": _positions(member),
        "rules": [row.full() for row in member.rows],
    }


def _figures(member: Member) -> Json:
    """Return what the last reading said; of an account that was never read nothing is known."""
    account = member.reading
    if account is None:
        return {
            "read_at": None,
            **dict.fromkeys(_AMOUNTS),
            "margin_level": None,
            "leverage": None,
            "margin_mode": None,
            "is_watching_only": False,
        }
    amounts = {name: known(float(account[name])) for name in _AMOUNTS}
    return {
        "read_at": moment(account["read_at"]),
        **amounts,
        # MetaTrader reports 0 when there is no margin: that is "none", not a level.
        "margin_level": known(float(account["margin_level"])) if amounts["margin"] else None,
        "leverage": int(account["leverage"]),
        "margin_mode": _MARGIN_MODES.get(int(account["margin_mode"])),
        "is_watching_only": not account["trade_allowed"],
    }


def _group_rule(rows: Sequence[Row]) -> Json:
    weakest = min(rows, key=by_weakness)
    return weakest.full() | {
        "weakest_account": {
            "id": weakest.member.key,
            "name": weakest.member.name,
            "status": TEXTS[weakest.status],
            "buffer": weakest.buffer,
        }
    }


def _group_member(member: Member) -> Json:
    account = member.reading
    return member.summary() | {
        "reading_age_seconds": member.age_seconds,
        "connection": member.connection["state"],
        "currency": member.money.name,
        "equity": known(float(account["equity"])) if account is not None else None,
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
            "price_digits": row[_POSITION["price_digits"]],
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


def _is_unknown(member: Member) -> bool:
    return not member.is_fresh or member.status is Status.UNKNOWN


def _evaluated_at(members: Iterable[Member]) -> str | None:
    moments = [member.state.tables.evaluated_at for member in members if member.state is not None]
    return moment(max(moments)) if moments else None


def _broker_time(msc: int) -> str:
    return datetime.fromtimestamp(msc / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
