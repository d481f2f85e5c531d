"""Relationships as people make, answer and change them; `states` holds them back and ends them.

The provider's owner offers. To an account of their own the copying begins at once; another's owner,
who gave the id of the account, is asked first, and alone may change the terms afterwards.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Unpack

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import ConnectedAccount, User
from accounts.refusals import Refusal
from accounts.services.accounts import update_account
from copytrade.models import CopyRelationship
from copytrade.selectors.examples import ExampleSize, example_size
from copytrade.selectors.firms import firm_sentences
from copytrade.services.announcing import tell_answered, tell_offered
from copytrade.services.offering import refuse_many_offers
from copytrade.services.pairs import (
    check_pair,
    refuse_idle,
    refuse_loop,
    refuse_same_login,
    refuse_second,
    refuse_watching_only,
)
from copytrade.services.sides import (
    Sides,
    hold_graph,
    locked_accounts,
    locked_relationship,
    sides_of,
)
from copytrade.services.states import close_only, pause, resume, terminate
from copytrade.terms import TermChanges, check_terms, set_terms

__all__ = [
    "ExampleSize",
    "accept",
    "close_only",
    "decline",
    "example_size",
    "offer_relationship",
    "pause",
    "resume",
    "terminate",
    "update_relationship",
]

Role = ConnectedAccount.Role
State = CopyRelationship.State

_LONGEST_ALIAS: Final = 32
_BEGUN: Final = [
    "state",
    "accepted_at",
    "started_at",
    "follower_confirmed_at",
    "state_changed_at",
    "state_changed_by_id",
    "updated_at",
]
# What is decided once, when copying begins.
_AT_START: Final = frozenset({"start_policy"})


@transaction.atomic
def offer_relationship(
    *,
    actor: User,
    provider: ConnectedAccount,
    follower: ConnectedAccount,
    now: datetime,
    alias: str = "",
    confirms_firm_terms: bool = False,
    **terms: Unpack[TermChanges],
) -> CopyRelationship:
    """Offer that an account copies one of the actor's; an account of the actor's begins at once.

    `alias` is what the provider's owner sees of another's account. Raises ValidationError with the
    fields named (`confirms_firm_terms` where a firm's sentence was not confirmed), Refusal when
    the two are in a relationship already, when copies would go round in a loop, when the provider,
    or the own follower, is not watched, and after too many offers. Of another's account nothing is
    looked at but that it exists: whether it can follow is judged for its owner, who accepts.
    """
    if provider.user_id != actor.pk:
        raise ValidationError({"provider": "not found"})
    hold_graph()
    provider, follower = locked_accounts(provider=provider, follower=follower)
    is_own = provider.user_id == follower.user_id
    _refuse_offer(actor, provider, follower, is_own=is_own, now=now)
    row = _drafted(actor, provider, follower, alias, now)
    set_terms(row, terms)
    check_terms(row)
    _confirm(row, Sides(provider=True, follower=is_own), confirms_firm_terms, now)
    if is_own:
        _begin(row, now)
    row.save(force_insert=True)
    if not is_own:
        tell_offered(row, now=now)
    return row


@transaction.atomic
def accept(
    *,
    relationship: CopyRelationship,
    actor: User,
    now: datetime,
    confirms_firm_terms: bool = False,
    seen_at: datetime | None = None,
) -> CopyRelationship:
    """Begin to copy on the actor's account what another offered; accepted twice it stays as it is.

    `seen_at` is the `terms_changed_at` of the offer that was read: raises Refusal when its terms
    were changed since, and as `offer_relationship` does.
    """
    hold_graph()
    provider, follower = locked_accounts(
        provider=relationship.provider, follower=relationship.follower
    )
    row = locked_relationship(relationship)
    row.provider, row.follower = provider, follower
    _refuse_unless_follower(row, actor)
    if row.state in CopyRelationship.COPYING:
        return row
    _refuse_unless_offered(row)
    if seen_at is not None and row.terms_changed_at > seen_at:
        raise Refusal("The offer was changed meanwhile: read it again.", code="offer_changed")
    refuse_same_login(provider, follower)
    refuse_loop(provider, follower, actor=actor)
    refuse_idle(provider)
    _confirm(row, Sides(provider=False, follower=True), confirms_firm_terms, now)
    _begin(row, now)
    row.state_changed_by_id = actor.pk
    row.save(update_fields=_BEGUN)
    tell_answered(row, now=now)
    return row


@transaction.atomic
def decline(
    *, relationship: CopyRelationship, actor: User, now: datetime, reason: str = ""
) -> CopyRelationship:
    """Refuse an offer; raises Refusal when it was answered already."""
    row = locked_relationship(relationship)
    _refuse_unless_follower(row, actor)
    if row.state == State.DECLINED:
        return row
    _refuse_unless_offered(row)
    return terminate(relationship=row, actor=actor, now=now, reason=reason)


@transaction.atomic
def update_relationship(
    *,
    relationship: CopyRelationship,
    actor: User | None,
    now: datetime,
    alias: str | None = None,
    seen_at: datetime | None = None,
    **terms: Unpack[TermChanges],
) -> CopyRelationship:
    """Change an alias or terms; what is open stays as it is, and what comes follows the new ones.

    The terms of an offer are its provider's to change; once it was accepted they are the
    follower's, whose money it is. The alias is always the provider's. `seen_at` is the
    `terms_changed_at` that was read. Raises ValidationError with the fields named, Refusal for the
    other side's part, for what has ended, and when somebody else has changed the terms since.
    """
    row = locked_relationship(relationship)
    sides = sides_of(row, actor)
    if row.state in CopyRelationship.ENDED:
        raise Refusal("The relationship has ended: make another one.", code="ended")
    if seen_at is not None and row.terms_changed_at > seen_at:
        raise Refusal("The terms were changed meanwhile: read them again.", code="terms_changed")
    changed = set_terms(row, terms)
    is_offered = row.state == State.OFFERED
    if changed and not (sides.provider if is_offered else sides.follower):
        whose = "offer's terms are the provider's" if is_offered else "terms are the follower's"
        raise Refusal(f"The {whose} owner's to change.", code="not_yours")
    if not is_offered and not _AT_START.isdisjoint(changed):
        raise ValidationError({"start_policy": "The copying has begun already."})
    if alias is not None and alias.strip() != row.alias:
        if not sides.provider:
            raise Refusal("The alias is the provider's owner's to change.", code="not_yours")
        row.alias = alias.strip()
        changed.append("alias")
    if not changed:
        return row
    check_terms(row)
    if changed != ["alias"]:
        row.terms_changed_at = now
    row.save(update_fields=[*changed, "terms_changed_at", "updated_at"])
    return row


def _refuse_offer(
    actor: User,
    provider: ConnectedAccount,
    follower: ConnectedAccount,
    *,
    is_own: bool,
    now: datetime,
) -> None:
    if is_own:
        check_pair(provider, follower)
        refuse_loop(provider, follower, actor=actor)
    else:
        refuse_many_offers(actor, follower, now=now)
    refuse_second(provider, follower)
    refuse_idle(provider)


def _drafted(
    actor: User, provider: ConnectedAccount, follower: ConnectedAccount, alias: str, now: datetime
) -> CopyRelationship:
    return CopyRelationship(
        provider=provider,
        follower=follower,
        alias=alias.strip() or _alias(provider, follower),
        created_by_id=actor.pk,
        created_at=now,
        terms_changed_at=now,
        state_changed_at=now,
        state_changed_by_id=actor.pk,
    )


def _begin(row: CopyRelationship, now: datetime) -> None:
    """Let the copying begin; whoever trades by hand on either account gets its role by that."""
    refuse_idle(row.follower)
    refuse_watching_only(row.follower)
    row.state = State.ACTIVE
    row.accepted_at = row.started_at = row.state_changed_at = now
    for account, role in (
        (row.provider, Role.STRATEGY_PROVIDER),
        (row.follower, Role.COPY_FOLLOWER),
    ):
        if account.role == Role.TRADING:
            update_account(account=account, role=role, now=now)
            account.role = role


def _confirm(row: CopyRelationship, sides: Sides, is_confirmed: bool, now: datetime) -> None:
    """Note that whoever begins has read what the firms say on copying, where they say anything."""
    accounts = [
        account
        for account, is_theirs in ((row.provider, sides.provider), (row.follower, sides.follower))
        if is_theirs
    ]
    sentences = firm_sentences(accounts)
    if sentences and not is_confirmed:
        texts = [f"{each.account_name} ({each.firm}): {each.sentence}" for each in sentences]
        raise ValidationError({"confirms_firm_terms": _unconfirmed(texts)})
    said = {each.account_id for each in sentences}
    if row.provider.pk in said:
        row.provider_confirmed_at = now
    if row.follower.pk in said:
        row.follower_confirmed_at = now


def _unconfirmed(texts: Sequence[str]) -> list[str]:
    return [f"Confirm that you have read what the firm says. {text}" for text in texts]


def _alias(provider: ConnectedAccount, follower: ConnectedAccount) -> str:
    """Name an own follower as it is called, another's by its number."""
    if provider.user_id == follower.user_id:
        return follower.name[:_LONGEST_ALIAS]
    return f"Follower {CopyRelationship.objects.filter(provider=provider).count() + 1}"


def _refuse_unless_offered(row: CopyRelationship) -> None:
    if row.state != State.OFFERED:
        label = row.get_state_display().lower()
        raise Refusal(f"The offer cannot be answered any more: it is {label}.", code="answered")


def _refuse_unless_follower(row: CopyRelationship, actor: User) -> None:
    if not sides_of(row, actor).follower:
        raise Refusal("An offer is answered by the follower's owner.", code="not_yours")
