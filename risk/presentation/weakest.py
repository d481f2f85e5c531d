"""The rule that makes a group's weakest account the weakest."""

from risk.core.rule_types import OBJECTIVES
from risk.presentation.cells import RiskObject


def weakest_rule(risk: RiskObject) -> RiskObject | None:
    """Return the rule that decides, None when nothing is known; an objective never does."""
    weakest = risk.get("weakest_account")
    if not weakest:
        return None
    candidates = [
        rule
        for rule in risk["rules"]
        if rule["rule_type"] not in OBJECTIVES
        and rule.get("weakest_account")
        and rule["weakest_account"]["id"] == weakest["id"]
    ]
    matching = [rule for rule in candidates if rule["status"] == weakest["status"]] or candidates
    return min(matching, key=_by_buffer, default=None)


def _by_buffer(rule: RiskObject) -> float:
    buffer = rule.get("buffer")
    return float("inf") if buffer is None else float(buffer)
