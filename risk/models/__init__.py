from risk.models.breach import RuleBreach
from risk.models.rule import RiskRule
from risk.models.state import RuleState

__all__ = ["RiskRule", "RuleBreach", "RuleState"]
