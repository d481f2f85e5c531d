"""What a rule that is not saved would say right now: of accounts, or of imagined numbers."""

from risk.dry_run.answering import RuleAnswer, rule_answers
from risk.dry_run.imagined import GivenNumbers, GivenPosition

# Not a test: `rule_answers` under the name that an API client knows it by.
test_rule = rule_answers

__all__ = ["GivenNumbers", "GivenPosition", "RuleAnswer", "rule_answers", "test_rule"]
