"""Rules as their list shows them, and the sentence of one that is being typed."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from risk.core.parameters import ParameterErrors, parse_parameters
from risk.core.rule_sentences import rule_sentence
from risk.core.rule_types import Action, RuleType
from risk.forms import RuleForm
from risk.models import RiskRule, RuleBreach


@dataclass(frozen=True, slots=True)
class RuleCard:
    """`breaches` are those in force now."""

    rule: RiskRule
    sentence: str
    breaches: tuple[RuleBreach, ...]

    @property
    def status(self) -> str:
        if self.breaches:
            return "violated"
        return "safe" if self.rule.is_active else "none"

    @property
    def status_text(self) -> str:
        if self.breaches:
            count = len(self.breaches)
            return f"Violated on {count} account{'' if count == 1 else 's'}"
        return "Watching" if self.rule.is_active else "Switched off"

    @property
    def targets(self) -> list[str]:
        if self.rule.applies_to_all_accounts:
            return ["all accounts"]
        groups = [group.name for group in self.rule.groups.all()]
        return [*groups, *(account.name for account in self.rule.accounts.all())]


def rule_cards(rules: Iterable[RiskRule], latched: Iterable[RuleBreach]) -> list[RuleCard]:
    breaches: dict[UUID, list[RuleBreach]] = defaultdict(list)
    for breach in latched:
        breaches[breach.rule_id].append(breach)
    return [RuleCard(rule, stored_sentence(rule), tuple(breaches[rule.pk])) for rule in rules]


def stored_sentence(rule: RiskRule) -> str:
    try:
        parameters = parse_parameters(RuleType(rule.rule_type), rule.limit, rule.parameters)
    except ParameterErrors as errors:
        return f"This rule can't be read: {errors}."
    return f"{rule_sentence(parameters, Action(rule.action), None, None)}."


def preview_sentence(form: RuleForm) -> str:
    """Return the sentence of the rule in a form that was checked, "" while it is incomplete."""
    cleaned = form.cleaned_data
    if "limit" not in cleaned or "action" not in cleaned:
        return ""
    limit = form.stored_limit()
    try:
        parameters = parse_parameters(RuleType(form.type_name), limit, form.parameters())
    except ParameterErrors:
        return ""
    return f"{rule_sentence(parameters, Action(cleaned['action']), None, None)}."
