"""Presets: the firms' programs and the users' own, put on accounts and groups in one step."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import ConnectedAccount, User
from accounts.refusals import Refusal
from groups.models import AccountGroup
from risk.models import RiskRule, RulePreset
from risk.presets.catalogue import Phase, Preset, firm_presets, own_preset
from risk.presets.terms import (
    RuleTerms,
    TermsError,
    read_all_terms,
    terms_of_rule,
    written_all,
)
from risk.services.rules import create_rule

logger = logging.getLogger(__name__)

RuleSource = RiskRule | Mapping[str, object]


def presets_for(user: User) -> list[Preset]:
    """Return the firms' programs, then the presets that the user saved, each by name.

    One whose rules make no sense, for a later release reads them otherwise, is left out.
    """
    own = (_sensible(row) for row in RulePreset.objects.owned_by(user))
    return [*firm_presets(), *(preset for preset in own if preset is not None)]


def preset_of(user: User, key: str) -> Preset | None:
    """Return the preset of this key, as in `presets_for`; an own one's key is its id."""
    program = next((preset for preset in firm_presets() if preset.key == key), None)
    if program is not None:
        return program
    try:
        row = RulePreset.objects.owned_by(user).filter(pk=UUID(key)).first()
    except ValueError:
        return None
    return _sensible(row) if row is not None else None


def left_out_sentences(preset: Preset, *, groups: Sequence[AccountGroup]) -> list[str]:
    """Say which rules of the preset do not come along onto these targets."""
    if groups:
        return []
    return [
        f"“{terms.name}” looks across accounts: it comes along only onto a group."
        for _, terms in preset.rules
        if terms.needs_several_accounts
    ]


@transaction.atomic
def apply_preset(
    *,
    user: User,
    preset: Preset,
    accounts: Iterable[ConnectedAccount] = (),
    groups: Iterable[AccountGroup] = (),
    phase: str | None = None,
) -> list[RiskRule]:
    """Create the preset's rules on accounts and groups; amounts are in the accounts' currency.

    Without a phase the first one is taken. A rule across accounts comes along onto groups only.
    What its rules would do stays disarmed. Raises ValidationError with the field named, Refusal
    when a rule of the preset is there already or the amounts do not fit an account.
    """
    accounts, groups = list(accounts), list(groups)
    if not accounts and not groups:
        raise ValidationError({"accounts": "Choose an account or a group."})
    # The same preset at the same time waits, a tick that tells this user something does not.
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    terms = preset.rules_in(_phase(preset, phase))
    if not terms:
        raise ValidationError({"preset": "This preset has no rules."})
    _refuse_other_sizes(preset, accounts, groups)
    _refuse_twice(user, terms, accounts, groups)
    return [
        create_rule(
            user=user,
            **each.fields(),
            accounts=() if each.needs_several_accounts else accounts,
            groups=groups,
        )
        for each in terms
        if groups or not each.needs_several_accounts
    ]


@transaction.atomic
def save_preset(
    *, user: User, name: str, rules: Iterable[RuleSource], description: str = ""
) -> RulePreset:
    """Save rules, without their targets, under a name; raises ValidationError by field."""
    row = RulePreset(user=user, name=name, description=description, rules=stored_rules(rules))
    check_named(row)
    row.save(force_insert=True)
    return row


@transaction.atomic
def update_preset(
    *,
    preset: RulePreset,
    name: str | None = None,
    description: str | None = None,
    rules: Iterable[RuleSource] | None = None,
) -> RulePreset:
    """Change a preset that a user saved; the rules made from it stay as they are."""
    row = RulePreset.objects.select_for_update().get(pk=preset.pk)
    row.name = row.name if name is None else name
    row.description = row.description if description is None else description
    row.rules = row.rules if rules is None else stored_rules(rules)
    check_named(row)
    row.save(update_fields=["name", "description", "rules", "updated_at"])
    return row


def delete_preset(*, preset: RulePreset) -> None:
    """Delete a preset that a user saved; the rules made from it stay."""
    preset.delete()


def stored_rules(rules: Iterable[RuleSource], *, may_be_empty: bool = False) -> list[Any]:
    """Return the terms of rules, or of JSON like theirs, as a preset keeps them.

    The margin cut-off is everybody's own and never part of it. Raises ValidationError at `rules`.
    """
    listed = [rule for rule in rules if not (isinstance(rule, RiskRule) and rule.is_cutoff)]
    try:
        terms = read_all_terms(
            written_all(terms_of_rule(rule) for rule in listed if isinstance(rule, RiskRule))
            + [rule for rule in listed if not isinstance(rule, RiskRule)]
        )
    except TermsError as error:
        raise ValidationError({"rules": str(error)}) from error
    if not terms and not may_be_empty:
        raise ValidationError({"rules": "Choose at least one rule."})
    return written_all(terms)


def check_named(row: Any) -> None:
    """Check a row with a user and a name that is unique among the user's; in a transaction."""
    # The same name at the same time waits, a tick that tells this user something does not.
    User.objects.select_for_update(no_key=True).get(pk=row.user_id)
    row.full_clean(exclude=["user"], validate_constraints=False)
    namesakes = type(row).objects.filter(user_id=row.user_id, name=row.name)
    if namesakes.exclude(pk=row.pk).exists():
        label = row._meta.verbose_name
        raise ValidationError({"name": f"You already have a {label} of this name."})


def _sensible(row: RulePreset) -> Preset | None:
    try:
        return own_preset(row)
    except TermsError:
        logger.warning("The rules of the preset %s make no sense.", row.pk, exc_info=True)
        return None


def _phase(preset: Preset, key: str | None) -> Phase | None:
    try:
        return preset.phase(key)
    except KeyError:
        names = ", ".join(phase.key for phase in preset.phases) or "none"
        raise ValidationError({"phase": f"The phases of this preset: {names}."}) from None


def _refuse_other_sizes(
    preset: Preset, accounts: Sequence[ConnectedAccount], groups: Sequence[AccountGroup]
) -> None:
    if preset.account_size is None:
        return
    members = ConnectedAccount.objects.filter(groups__in=groups).distinct()
    for account in (*accounts, *members):
        size, currency = account.initial_balance, account.currency
        if size != preset.account_size or currency != preset.currency:
            raise Refusal(
                f"{preset.name} is for accounts of {preset.account_size:,.0f} {preset.currency};"
                f" {account.name} began with {size:,.2f} {currency}.",
                code="preset_does_not_fit",
            )


def _refuse_twice(
    user: User,
    terms: Sequence[RuleTerms],
    accounts: Sequence[ConnectedAccount],
    groups: Sequence[AccountGroup],
) -> None:
    namesakes = RiskRule.objects.owned_by(user).filter(name__in=[each.name for each in terms])
    for rule in namesakes.prefetch_related("accounts", "groups"):
        rows = {*rule.accounts.all(), *rule.groups.all()} & {*accounts, *groups}
        if rows or rule.applies_to_all_accounts:
            where = min((row.name for row in rows), default="all accounts")
            raise Refusal(f"The rule “{rule.name}” is on {where} already.", code="preset_is_there")
