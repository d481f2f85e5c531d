"""Rules in one sentence: of a rule that is stored, and of one that is being typed."""

from risk.core.parameters import ParameterErrors, parse_parameters
from risk.core.rule_sentences import rule_sentence
from risk.core.rule_types import Action, RuleType
from risk.forms import RuleForm
from risk.models import RiskRule
from risk.presets.terms import RuleTerms


def stored_sentence(rule: RiskRule) -> str:
    try:
        parameters = parse_parameters(
            RuleType(rule.rule_type), rule.limit, {**rule.parameters, "magic": rule.magic}
        )
    except ParameterErrors as errors:
        return f"This rule can't be read: {errors}."
    return f"{rule_sentence(parameters, Action(rule.action), None, None)}."


def terms_sentence(terms: RuleTerms) -> str:
    return f"{rule_sentence(terms.parsed, terms.action, None, None)}."


def preview_sentence(form: RuleForm) -> str:
    """Return the sentence of the rule in a form that was checked, "" while it is incomplete."""
    cleaned, limit = form.cleaned_data, form.stored_limit()
    if limit is None or "action" not in cleaned:
        return ""
    raw = {**form.parameters(), "magic": cleaned.get("magic")}
    try:
        parameters = parse_parameters(RuleType(form.type_name), limit, raw)
    except ParameterErrors:
        return ""
    return f"{rule_sentence(parameters, Action(cleaned['action']), None, None)}."
