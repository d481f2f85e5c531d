"""The rules as the tick wants them: checked, and with what differs on single accounts."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from risk.core.parameters import ParameterErrors, RuleParameters, parse_parameters
from risk.core.responses import Response
from risk.core.rule_types import Action, ClosingOrder, RuleType
from risk.models import RiskRule, RuleOverride

logger = logging.getLogger(__name__)

Key = tuple[UUID, UUID]  # rule, account


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """A rule as it is for the accounts that have no override, or for those that have the same."""

    id: UUID
    user_id: int
    name: str
    action: str
    is_firm_rule: bool
    is_cutoff: bool
    applies_to_all_accounts: bool
    parameters: RuleParameters
    response: Response


@dataclass(frozen=True, slots=True)
class RuleBook:
    """The active rules of some users, and how they differ on single accounts.

    A variant has the id of its rule and follows it in `rules`. `excluded` are the pairs that a rule
    leaves out, `variants` the place in `rules` of each pair that has a variant.
    """

    rules: tuple[RuleFacts, ...]
    places: Mapping[UUID, int]  # of the rules themselves
    excluded: frozenset[Key]
    variants: Mapping[Key, int]

    def place_for(self, place: int, account_id: UUID) -> int | None:
        """Return the place of a rule as it is on an account, None where it does not apply."""
        key = (self.rules[place].id, account_id)
        return None if key in self.excluded else self.variants.get(key, place)


def parameters_of(
    rule_type: str,
    limit: Decimal,
    caution: Decimal,
    critical: Decimal,
    raw: Mapping[str, object],
    magic: int | None = None,
) -> RuleParameters:
    """Read a stored rule the way the core wants it; ParameterErrors if it was stored wrong."""
    own: dict[str, object] = {"caution": caution, "critical": critical, "magic": magic}
    return parse_parameters(RuleType(rule_type), limit, {**raw, **own})


def load_rules(users: Iterable[int]) -> RuleBook:
    """Read the active rules of these users; one that makes no sense is left out, and logged."""
    rows = RiskRule.objects.active().filter(user__in=users).order_by("rule_type", "name", "id")
    overrides = _overrides(users)
    rules: list[RuleFacts] = []
    places: dict[UUID, int] = {}
    variants: dict[Key, int] = {}
    for row in rows:
        facts = _facts(row)
        if facts is None:
            continue
        places[row.pk] = len(rules)
        rules.append(facts)
        _add_variants(rules, variants, row, overrides.get(row.pk, ()))
    excluded = frozenset(
        (each.rule_id, each.account_id)
        for some in overrides.values()
        for each in some
        if each.is_excluded
    )
    return RuleBook(tuple(rules), places, excluded, variants)


def facts_of(rule: RiskRule, override: RuleOverride | None = None) -> RuleFacts:
    """Return a rule as it is on an account with this override.

    Raises ParameterErrors or ValueError when it was stored wrong.
    """
    limit, caution, critical = rule.limit, rule.caution, rule.critical
    raw, action = rule.parameters, rule.action
    if override is not None:
        limit = limit if override.limit is None else override.limit
        caution = caution if override.caution is None else override.caution
        critical = critical if override.critical is None else override.critical
        raw = {**raw, **(override.parameters or {})}
        action = override.action or action
    return RuleFacts(
        id=rule.id,
        user_id=rule.user_id,
        name=rule.name,
        action=action,
        is_firm_rule=rule.is_firm_rule,
        is_cutoff=rule.is_cutoff,
        applies_to_all_accounts=rule.applies_to_all_accounts,
        parameters=parameters_of(rule.rule_type, limit, caution, critical, raw, rule.magic),
        response=_response(rule, action),
    )


def _response(rule: RiskRule, action: str) -> Response:
    return Response(
        action=Action(action),
        act_at_fraction=float(rule.act_at_fraction),
        act_after_seconds=float(rule.act_after_seconds),
        closing_order=ClosingOrder(rule.closing_order),
        losers_only=rule.losers_only,
        close_fraction=float(rule.close_fraction),
    )


def _facts(rule: RiskRule, override: RuleOverride | None = None) -> RuleFacts | None:
    try:
        return facts_of(rule, override)
    except (ParameterErrors, ValueError) as error:
        # One rule that came past the forms must not end the watch over everybody's accounts.
        what = "is not watched" if override is None else f"stays as it is on {override.account_id}"
        logger.error("Rule %s %s, for what is stored makes no sense: %s", rule.id, what, error)
        return None


def _overrides(users: Iterable[int]) -> dict[UUID, list[RuleOverride]]:
    found: dict[UUID, list[RuleOverride]] = {}
    rows = RuleOverride.objects.filter(rule__user__in=users, rule__is_active=True)
    for row in rows.order_by("rule_id", "account_id"):
        found.setdefault(row.rule_id, []).append(row)
    return found


def _add_variants(
    rules: list[RuleFacts],
    variants: dict[Key, int],
    rule: RiskRule,
    overrides: Sequence[RuleOverride],
) -> None:
    same: dict[RuleFacts, int] = {}
    for override in overrides:
        facts = None if override.is_excluded else _facts(rule, override)
        if facts is None:
            continue
        place = same.get(facts)
        if place is None:
            place = same[facts] = len(rules)
            rules.append(facts)
        variants[(rule.pk, override.account_id)] = place
