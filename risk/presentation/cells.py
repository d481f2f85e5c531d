"""The cells that group and account pages have in common."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from accounts.figures import UNKNOWN
from accounts.screen.parts import Cell
from risk.core.figures import (
    amount_text,
    left_percent_text,
    left_text,
    plain_text,
    used_percent_text,
    used_text,
)

RiskObject = Mapping[str, Any]

STATUS_NAMES = {
    "safe": "Safe",
    "caution": "Caution",
    "critical": "Critical",
    "violated": "Violated",
    "unknown": "Unknown",
    "none": "Not watched",
}
# Units that a reader could not guess from the account; the others are currencies.
COUNTED = frozenset(
    {"lots", "positions", "x", "%", "coefficient", "minutes", "trades", "symbols", "days", "share"}
)
RULE_NAMES = {
    "MAX_DAILY_LOSS": "Daily loss",
    "MAX_DRAWDOWN": "Drawdown",
    "MARGIN_LEVEL": "Margin level",
    "MAX_POSITION_SIZE": "Position size",
    "POSITION_LIMIT": "Positions",
    "MAX_LEVERAGE": "Leverage",
    "MAX_EXPOSURE": "Exposure",
    "RISK_PER_TRADE": "Risk per trade",
    "STOP_LOSS_REQUIRED": "Stop loss",
    "TRADING_WINDOW": "Trading window",
    "MAX_DAILY_TRADES": "Trades a day",
    "MAX_CORRELATION": "Correlation",
    "NO_CROSS_HEDGING": "Opposite positions",
    "INACTIVITY": "Inactivity",
    "PROFIT_TARGET": "Profit target",
    "MIN_TRADING_DAYS": "Trading days",
    "CONSISTENCY": "Consistency",
}
_DIGITS = {"positions": 0, "trades": 0, "symbols": 0, "days": 1, "minutes": 1, "%": 1}
_MINUTES_OF_A_DAY = 24 * 60
_LONG_MINUTES = 120
_FEW_MINUTES = 2


class Words(NamedTuple):
    """How the numbers of a rule are called."""

    used: str
    left: str
    limit: str


_LIMIT_WORDS = Words("Used", "Left", "Limit")
_TARGET_WORDS = Words("So far", "To go", "Target")
TARGETS = frozenset({"PROFIT_TARGET", "MIN_TRADING_DAYS"})


def words_of(rule_type: str) -> Words:
    """Return the names of a rule's numbers: what is to be reached is no limit."""
    return _TARGET_WORDS if rule_type in TARGETS else _LIMIT_WORDS


def used_percent(buffer: float | None) -> float | None:
    """Return how much of the limit is used, for a bar: 0 to 100 in steps of a tenth."""
    if buffer is None:
        return None
    return round(min(max(1.0 - buffer, 0.0), 1.0) * 100, 1)


def shown_status(risk: RiskObject) -> str:
    """Return the status, or "none" where nothing is watched: no rule, or no account."""
    is_watched = bool(risk["rules"]) and bool(risk.get("accounts", True))
    return str(risk["status"]) if is_watched else "none"


def by_importance(rules: Iterable[RiskObject]) -> list[RiskObject]:
    """Return rules in the order in which traders fear them; the same type keeps its order."""
    order = {name: place for place, name in enumerate(RULE_NAMES)}
    return sorted(rules, key=lambda rule: order.get(rule["rule_type"], len(order)))


def status_cell(id_: str, status: str) -> Cell:
    return Cell(id_, (STATUS_NAMES.get(status, status),), status)


def bar_cell(id_: str, rule: RiskObject, *, is_compact: bool = False) -> Cell:
    """Show one rule on one account: percent left, amount left, status and the bar.

    A compact one stands in a table that says "left", and whose equity names the currency.
    """
    buffer, left, unit = rule.get("buffer"), rule.get("left"), str(rule.get("unit") or "")
    if buffer is None:
        texts = (UNKNOWN, "not known")
    elif unit == "%":
        # A margin level is read as such; "2,352 % left" would say nothing to anybody.
        used = rule.get("used")
        level = "no margin" if used is None else f"{left_text(used, 0)} %"
        texts = (level, "" if is_compact else f"limit {limit_amount(rule['limit'], unit)}")
    elif rule.get("rule_type") == "TRADING_WINDOW" and left is not None and left < 0:
        # How far beyond its beginning, in percent of the warning before it, says nothing.
        texts = ("in the window", "" if is_compact else _minutes_text(-left))
    elif rule.get("rule_type") in TARGETS and left is not None:
        texts = _target_texts(buffer, left, unit, is_compact=is_compact)
    elif is_compact:
        words = left_amount(left, unit if unit in COUNTED else "") if left is not None else ""
        texts = (_percent(buffer), words)
    elif left is not None and left < 0:
        texts = (f"{used_percent_text(-buffer)} over", used_amount(-left, unit))
    else:
        texts = (f"{_percent(buffer)} left", left_amount(left, unit) if left is not None else "")
    status = str(rule.get("status", "unknown"))
    # A violation stays one while its numbers are not known.
    share = 100.0 if buffer is None and status == "violated" else used_percent(buffer)
    return Cell(id_, texts, status, share, has_bar=True)


def _target_texts(buffer: float, left: float, unit: str, *, is_compact: bool) -> tuple[str, str]:
    if left <= 0:
        return "reached", ""
    amount = used_amount(left, unit if not is_compact or unit in COUNTED else "")
    return f"{used_percent_text(buffer)} to go", amount


def left_amount(value: float | None, unit: str) -> str:
    """Write what is left in a rule's unit, rounded down; see risk.core.figures."""
    return UNKNOWN if value is None else _written(value, unit, left_text)


def used_amount(value: float | None, unit: str) -> str:
    """Write what is used in a rule's unit, rounded up."""
    return UNKNOWN if value is None else _written(value, unit, used_text)


def spent_amount(value: float | None, unit: str) -> str:
    """Write what is used; a margin level is good when it is high, so it is rounded down."""
    return left_amount(value, unit) if unit == "%" else used_amount(value, unit)


def limit_amount(value: float | None, unit: str) -> str:
    if value is None:
        return UNKNOWN
    if unit == "%":
        return _in_unit(plain_text(value), unit)
    return _written(value, unit, amount_text)


def _percent(buffer: float) -> str:
    return left_percent_text(buffer).replace("-", "−")


def _written(value: float, unit: str, write: Callable[[float, int], str]) -> str:
    if unit == "minutes" and abs(value) >= _LONG_MINUTES:
        return _minutes_text(value)
    if unit == "minutes" and abs(value) < _FEW_MINUTES and value % 1:
        return _in_unit(write(value * 60, 0), "seconds")
    if unit == "share":
        return _in_unit(write(value * 100, 1), "%")
    text = write(value, _DIGITS.get(unit, 2))
    if unit == "lots":
        return _in_unit(text.rstrip("0").rstrip("."), unit)
    return _in_unit(text.removesuffix(".0") if unit in ("minutes", "days") else text, unit)


def _minutes_text(minutes: float) -> str:
    """Write a long time as people say it: "12 h 34 min"."""
    sign, rest = ("−" if minutes < 0 else ""), int(abs(minutes))
    days, rest = divmod(rest, _MINUTES_OF_A_DAY)
    hours, rest = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (rest, "min")]
    return sign + (" ".join(f"{n} {name}" for n, name in parts if n) or "0 min")


def _in_unit(text: str, unit: str) -> str:
    text = text.replace("-", "−")
    if unit == "coefficient":
        return text
    if text == "1":
        unit = unit.removesuffix("s")
    return f"{text}×" if unit == "x" else f"{text} {unit}".rstrip()
