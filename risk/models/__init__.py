from risk.models.arming import RuleArming, RuleOverride
from risk.models.breach import RuleBreach
from risk.models.enforcement import AccountLock, Enforcement
from risk.models.news import NewsCalendar, NewsEvent
from risk.models.order import GateCheck, GateRound, Order
from risk.models.preset import GroupTemplate, RulePreset
from risk.models.rule import RiskRule
from risk.models.state import RuleState

__all__ = [
    "AccountLock",
    "Enforcement",
    "GateCheck",
    "GateRound",
    "GroupTemplate",
    "NewsCalendar",
    "NewsEvent",
    "Order",
    "RiskRule",
    "RuleArming",
    "RuleBreach",
    "RuleOverride",
    "RulePreset",
    "RuleState",
]
