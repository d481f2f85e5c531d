"""The ledger of breaches: rows of the list, and everything about one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.figures import UNKNOWN, amount, price
from accounts.models import ConnectedAccount, User
from risk.models import Enforcement, Order, RiskRule, RuleBreach
from risk.presentation.cells import left_amount, limit_amount, spent_amount
from risk.presentation.orders import OrderRow, order_rows
from risk.presentation.runs import RunLine, run_line

_ACCOUNT_LABELS = {
    "balance": "Balance",
    "credit": "Credit",
    "equity": "Equity",
    "profit": "Floating",
    "margin": "Margin",
    "margin_free": "Free margin",
    "margin_level": "Margin level, %",
    "leverage": "Leverage, 1:",
}


@dataclass(frozen=True, slots=True)
class BreachRow:
    breach: RuleBreach
    observed: str
    limit: str
    state: str
    tone: str
    rule_type: str


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened, with whoever did it."""

    at: datetime
    text: str
    note: str = ""
    tone: str = "none"


@dataclass(frozen=True, slots=True)
class Answer:
    """What was done about a breach: a run with the orders that it sent."""

    line: RunLine
    orders: tuple[OrderRow, ...]


@dataclass(frozen=True, slots=True)
class EvidencePosition:
    symbol: str
    ticket: str
    side: str
    volume: str
    price_open: str
    price_now: str
    stop_loss: str
    take_profit: str
    profit: str
    is_loss: bool


def breach_rows(breaches: Iterable[RuleBreach]) -> list[BreachRow]:
    return [breach_row(breach) for breach in breaches]


def breach_row(breach: RuleBreach) -> BreachRow:
    state, tone = _state(breach)
    return BreachRow(
        breach,
        _observed(breach),
        _compared_with(breach),
        state,
        tone,
        _type_name(breach.rule_type),
    )


def breach_page(breach: RuleBreach) -> dict[str, Any]:
    """Return what the page of one breach shows besides it."""
    runs = list(Enforcement.objects.owned_by(breach.user_id).filter(breach_id=breach.pk))
    runs.reverse()
    people = _people(breach)
    return {
        "row": breach_row(breach),
        "allowed": None if breach.floor is None else limit_amount(breach.limit, breach.unit),
        "answers": _answers(runs),
        "moments": _moments(breach, runs, people),
        "figures": _figures(breach.evidence),
        "positions": _positions(breach.evidence),
        "has_account": ConnectedAccount.objects.filter(pk=breach.account_id).exists(),
        "rule": RiskRule.objects.filter(pk=breach.rule_id).first(),
        "is_open": breach.cleared_at is None,
    }


def _observed(breach: RuleBreach) -> str:
    if breach.floor is not None:
        # Of a loss it is the equity that is observed, and compared with a floor.
        return f"equity {left_amount(breach.observed, breach.unit)}"
    is_window = breach.rule_type == RiskRule.Type.TRADING_WINDOW
    if is_window and breach.observed is not None and breach.observed <= 0:
        return "inside the window"
    return spent_amount(breach.observed, breach.unit)


def _compared_with(breach: RuleBreach) -> str:
    if breach.floor is not None:
        return f"floor {limit_amount(breach.floor, breach.unit)}"
    return limit_amount(breach.limit, breach.unit)


def _state(breach: RuleBreach) -> tuple[str, str]:
    if breach.cleared_at is not None:
        return "Cleared", "none"
    if breach.acknowledged_at is not None:
        return "Acknowledged", "caution"
    if breach.is_early and breach.violated_at is None:
        return "Acted early", "critical"
    return "Violated", "violated"


def _type_name(rule_type: str) -> str:
    names = dict(RiskRule.Type.choices)
    return str(names.get(rule_type, rule_type))


def _people(breach: RuleBreach) -> Mapping[int, str]:
    ids = (breach.acknowledged_by_id, breach.cleared_by_id)
    wanted = [user_id for user_id in ids if user_id is not None]
    return dict(User.objects.filter(pk__in=wanted).values_list("pk", "username"))


def _answers(runs: Sequence[Enforcement]) -> list[Answer]:
    sent: dict[object, list[Order]] = {}
    ids = [run.pk for run in runs]
    for order in Order.objects.filter(enforcement_id__in=ids).order_by("created_at", "id"):
        sent.setdefault(order.enforcement_id, []).append(order)
    return [Answer(run_line(run), tuple(order_rows(sent.get(run.pk, ())))) for run in runs]


def _moments(
    breach: RuleBreach, runs: Sequence[Enforcement], people: Mapping[int, str]
) -> list[Moment]:
    first = "Acted before the limit was reached" if breach.is_early else "Violated"
    moments = [Moment(breach.latched_at, first, breach.message, "violated")]
    if breach.violated_at is not None and breach.violated_at != breach.latched_at:
        moments.append(Moment(breach.violated_at, "The limit itself was reached", "", "violated"))
    for run in runs:
        moments.append(Moment(run.created_at, run.get_action_display(), run.reason, "critical"))
        if run.last_sent_at is not None:
            moments.append(Moment(run.last_sent_at, "Last order sent"))
        if run.confirmed_at is not None:
            moments.append(Moment(run.confirmed_at, "Confirmed", run.message, "safe"))
        elif run.finished_at is not None:
            moments.append(Moment(run.finished_at, run.get_stage_display(), run.message, "caution"))
    moments += _words(breach, people)
    return sorted(moments, key=lambda moment: moment.at)


def _words(breach: RuleBreach, people: Mapping[int, str]) -> list[Moment]:
    """Return what people, and the rule itself, had to say about the breach."""
    words = []
    if breach.acknowledged_at is not None:
        by = _by(people, breach.acknowledged_by_id)
        words.append(
            Moment(breach.acknowledged_at, f"Acknowledged{by}", breach.acknowledged_reason)
        )
    if breach.cleared_at is not None:
        by = _by(people, breach.cleared_by_id) or " by itself"
        words.append(Moment(breach.cleared_at, f"Cleared{by}", breach.cleared_reason, "safe"))
    return words


def _by(people: Mapping[int, str], user_id: int | None) -> str:
    return "" if user_id is None else f" by {people.get(user_id, 'somebody who has left')}"


def _figures(evidence: object) -> list[tuple[str, str]]:
    account = evidence.get("account") if isinstance(evidence, Mapping) else None
    if not isinstance(account, Mapping):
        return []
    return [
        (label, _number(account[name]))
        for name, label in _ACCOUNT_LABELS.items()
        if account.get(name) is not None
    ]


def _number(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,}" if isinstance(value, int) else amount(value)
    return str(value)


def _positions(evidence: object) -> list[EvidencePosition] | None:
    """Return the positions as they were read, None where nobody kept them."""
    rows = evidence.get("positions") if isinstance(evidence, Mapping) else None
    if not isinstance(rows, list):
        return None
    return [_position(row) for row in rows if isinstance(row, Mapping)]


def _position(row: Mapping[str, Any]) -> EvidencePosition:
    digits = row.get("price_digits")
    places = digits if isinstance(digits, int) else 5
    profit = row.get("profit")
    return EvidencePosition(
        symbol=str(row.get("symbol", "")),
        ticket=str(row.get("ticket", "")),
        side=str(row.get("side") or row.get("direction") or ""),
        volume=_amount(row.get("volume", row.get("volume_lots"))),
        price_open=_price(row.get("price_open"), places),
        price_now=_price(row.get("price_current"), places),
        stop_loss=_price(row.get("sl", row.get("stop_loss")), places),
        take_profit=_price(row.get("tp", row.get("take_profit")), places),
        profit=_amount(profit),
        is_loss=isinstance(profit, int | float) and profit < 0,
    )


def _amount(value: object) -> str:
    return amount(value) if isinstance(value, int | float) else UNKNOWN


def _price(value: object, digits: int) -> str:
    return price(value, digits) if isinstance(value, int | float) and value else UNKNOWN
