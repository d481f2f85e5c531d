"""Rules in one sentence: of a rule that is stored, and of one that is being typed."""

from collections.abc import Mapping
from typing import Any

from risk.core.parameters import ParameterErrors, parse_parameters
from risk.core.responses import Response
from risk.core.rule_sentences import rule_sentence
from risk.core.rule_types import Action, ClosingOrder, RuleType
from risk.forms import RuleForm
from risk.models import RiskRule
from risk.presets.terms import RuleTerms

_RESPONDING = (
    "act_at_fraction",
    "act_after_seconds",
    "closing_order",
    "losers_only",
    "close_fraction",
)


def stored_sentence(rule: RiskRule) -> str:
    try:
        parameters = parse_parameters(
            RuleType(rule.rule_type), rule.limit, {**rule.parameters, "magic": rule.magic}
        )
    except ParameterErrors as errors:
        return f"This rule can't be read: {errors}."
    response = _response(rule.action, {name: getattr(rule, name) for name in _RESPONDING})
    return f"{rule_sentence(parameters, response.action, None, None, response)}."


def terms_sentence(terms: RuleTerms) -> str:
    response = _response(terms.action, {name: getattr(terms, name) for name in _RESPONDING})
    return f"{rule_sentence(terms.parsed, response.action, None, None, response)}."


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
    response = _response(cleaned["action"], cleaned)
    return f"{rule_sentence(parameters, response.action, None, None, response)}."


def _response(action: str, given: Mapping[str, Any]) -> Response:
    """Build the response of a rule; what was not given is as in a plain rule."""
    plain = Response(action=Action(action))
    return Response(
        action=plain.action,
        act_at_fraction=float(given.get("act_at_fraction") or plain.act_at_fraction),
        act_after_seconds=float(given.get("act_after_seconds") or plain.act_after_seconds),
        closing_order=ClosingOrder(given.get("closing_order") or plain.closing_order),
        losers_only=bool(given.get("losers_only")),
        close_fraction=float(given.get("close_fraction") or plain.close_fraction),
    )
