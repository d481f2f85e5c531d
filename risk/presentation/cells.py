"""The cells that group and account pages have in common."""

from collections.abc import Mapping
from typing import Any

from accounts.figures import UNKNOWN
from accounts.screen.parts import Cell
from risk.core.figures import amount_text, left_percent_text, left_text, used_text

RiskObject = Mapping[str, Any]

STATUS_NAMES = {
    "safe": "Safe",
    "caution": "Caution",
    "critical": "Critical",
    "violated": "Violated",
    "unknown": "Unknown",
}
RULE_NAMES = {
    "MAX_DAILY_LOSS": "Daily loss",
    "MAX_DRAWDOWN": "Drawdown",
    "MARGIN_LEVEL": "Margin level",
    "MAX_POSITION_SIZE": "Position size",
    "POSITION_LIMIT": "Positions",
    "MAX_LEVERAGE": "Leverage",
}


def used_percent(buffer: float | None) -> float | None:
    """Return how much of the limit is used, for a bar: 0 to 100 in steps of a tenth."""
    if buffer is None:
        return None
    return round(min(max(1.0 - buffer, 0.0), 1.0) * 100, 1)


def status_cell(id_: str, status: str) -> Cell:
    return Cell(id_, (STATUS_NAMES.get(status, status),), status)


def bar_cell(id_: str, rule: RiskObject) -> Cell:
    """Show one rule on one account: percent left, amount left, status and the bar."""
    buffer, left, unit = rule.get("buffer"), rule.get("left"), str(rule.get("unit") or "")
    if buffer is None:
        texts = (UNKNOWN, "not known")
    elif left is None:
        texts = (_percent(buffer), "")
    elif left < 0:
        texts = (_percent(buffer), f"{used_amount(-left, unit)} over")
    else:
        texts = (_percent(buffer), f"{left_amount(left, unit)} left")
    status = str(rule.get("status", "unknown"))
    return Cell(id_, texts, status, used_percent(buffer), has_bar=True)


def left_amount(value: float | None, unit: str) -> str:
    """Write what is left in a rule's unit, rounded down; see risk.core.figures."""
    return UNKNOWN if value is None else _in_unit(left_text(value, _digits(unit)), unit)


def used_amount(value: float | None, unit: str) -> str:
    """Write what is used in a rule's unit, rounded up."""
    return UNKNOWN if value is None else _in_unit(used_text(value, _digits(unit)), unit)


def limit_amount(value: float | None, unit: str) -> str:
    return UNKNOWN if value is None else _in_unit(amount_text(value, _digits(unit)), unit)


def _percent(buffer: float) -> str:
    return left_percent_text(buffer).replace("-", "−")


def _digits(unit: str) -> int:
    return {"positions": 0, "%": 1}.get(unit, 2)


def _in_unit(text: str, unit: str) -> str:
    text = text.replace("-", "−")
    return f"{text}×" if unit == "x" else f"{text} {unit}".rstrip()
