"""Arming: a person's word that a rule may reduce and close on an account."""

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from accounts.models import ConnectedAccount, User
from accounts.refusals import Refusal
from risk.core.offending import Book, everything
from risk.core.responses import Response
from risk.core.rule_types import ARMED_ACTIONS, Action
from risk.core.statuses import Status
from risk.enforcement.books import book_of_rows
from risk.live import load_members
from risk.live_objects import Member
from risk.models import AccountLock, RiskRule, RuleArming, RuleBreach, RuleOverride
from risk.selectors import holding_breaches, rules_by_account

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ArmingView:
    """A rule on an account, and in `sentence` what it would do right now if it were armed."""

    rule: RiskRule
    account: ConnectedAccount
    is_armed: bool
    is_violated: bool
    sentence: str


@transaction.atomic
def arm_rule(
    *, rule: RiskRule, accounts: Iterable[ConnectedAccount], actor: User, now: datetime
) -> list[RuleArming]:
    """Let a rule reduce and close on these accounts from now on; armed ones stay as they are.

    A violation that began before only alerts and blocks. Raises Refusal for a rule that never
    sends orders, or that does not reach an account.
    """
    if rule.action not in ARMED_ACTIONS:
        raise Refusal(f"“{rule.name}” never closes anything, so it needs no arming.", code="alerts")
    rows = list(accounts)
    _refuse_strangers(rule, rows)
    RuleArming.objects.bulk_create(
        [RuleArming(rule=rule, account=row, armed_at=now, armed_by=actor) for row in rows],
        ignore_conflicts=True,
    )
    return list(rule.armings.filter(account__in=rows).select_related("account"))


@transaction.atomic
def disarm_rule(
    *, rule: RiskRule, accounts: Iterable[ConnectedAccount], actor: User, now: datetime
) -> None:
    """Take the word back: the rule only warns and blocks on these accounts.

    Raises Refusal while a violation that nobody has acknowledged, or a lock, holds one of them.
    """
    rows = list(accounts)
    refuse_while_held(rule=rule, accounts=rows, change="disarmed")
    count, _ = rule.armings.filter(account__in=rows).delete()
    if count:
        logger.info("User %s disarmed rule %s on %d accounts at %s.", actor.pk, rule.pk, count, now)


def disarm_edited(rule: RiskRule) -> int:
    """Disarm a rule that was changed: people look at what it would do before it acts again.

    Where it is violated or has locked the account it stays armed, for there it must not be let off
    by an edit. Returns on how many accounts it was disarmed.
    """
    held = holding_breaches().filter(rule_id=rule.pk).values_list("account_id", flat=True)
    locked = AccountLock.objects.standing().filter(rule_id=rule.pk)
    kept = {*held, *locked.values_list("account_id", flat=True)}
    count, _ = RuleArming.objects.filter(rule=rule).exclude(account_id__in=kept).delete()
    return count


def arming_views(
    *,
    rules: Iterable[RiskRule] | None = None,
    account: ConnectedAccount | None = None,
    now: datetime,
) -> list[ArmingView]:
    """Show what the rules, or all rules of an account, would do right now where they reach.

    Rules that send no orders are left out. A constant number of queries.
    """
    wanted = None if rules is None else {rule.pk for rule in rules}
    if account is not None:
        accounts = [account]
    else:
        owners = {rule.user_id for rule in rules or ()}
        accounts = list(ConnectedAccount.objects.active().filter(user__in=owners))
    reached = rules_by_account(accounts)
    members = load_members(accounts, now=now)
    armed = set(RuleArming.objects.filter(account__in=accounts).values_list("rule", "account"))
    overrides = {
        (each.rule_id, each.account_id): each
        for each in RuleOverride.objects.filter(account__in=accounts)
    }
    views = []
    for row in accounts:
        for rule in reached[row.pk]:
            override = overrides.get((rule.pk, row.pk))
            action = (override.action if override else "") or rule.action
            is_left_out = override is not None and override.is_excluded
            if action not in ARMED_ACTIONS or is_left_out or rule.pk not in (wanted or {rule.pk}):
                continue
            is_armed = (rule.pk, row.pk) in armed
            views.append(_view(rule, row, members[row.pk], Action(action), is_armed=is_armed))
    return views


def _view(
    rule: RiskRule, account: ConnectedAccount, member: Member, action: Action, *, is_armed: bool
) -> ArmingView:
    row = next((each for each in member.rows if each.rule.id == rule.pk), None)
    is_violated = rule.pk in member.latches or (
        row is not None and member.is_fresh and row.status == Status.VIOLATED
    )
    sentence = _what_now(rule, member, action, is_violated=is_violated, is_armed=is_armed)
    return ArmingView(rule, account, is_armed, is_violated, sentence)


def _what_now(
    rule: RiskRule, member: Member, action: Action, *, is_violated: bool, is_armed: bool
) -> str:
    state = member.state
    if state is None or not member.is_fresh:
        return "What it would do right now is not known: there is no fresh reading."
    if not state.account["trade_allowed"]:
        return "Watching only: this login may not trade, so it could close nothing."
    book = book_of_rows(state.account, state.positions, state.orders, state.tables.symbols)
    if is_violated and not is_armed:
        return (
            "It is violated already. Armed now, it alerts and blocks, and closes nothing because of"
            " this violation."
        )
    if is_violated:
        return "It is violated, and acts as long as nobody has acknowledged that."
    if all(row.status == Status.UNKNOWN for row in member.rows if row.rule.id == rule.pk):
        return "What it would do right now is not known: where the rule stands is not known yet."
    if action is not Action.CLOSE_ALL:
        what = "positions that break it" if action is Action.CLOSE_POSITION else "what exceeds it"
        return f"Nothing right now. Once it is violated, it closes {what}."
    return (
        f"Nothing right now. Once it is violated, it {_all_of(rule, book)} and locks the account."
    )


def _all_of(rule: RiskRule, book: Book) -> str:
    response = Response(
        action=Action.CLOSE_ALL,
        losers_only=rule.losers_only,
        close_fraction=float(rule.close_fraction),
    )
    found = everything(book, response)
    positions, orders = len(found.parts), len(found.cancels)
    if not positions and not orders:
        return "closes whatever is open then"
    parts = []
    if positions:
        part = "" if rule.close_fraction >= 1 else f"{rule.close_fraction * 100:g} % of "
        parts.append(f"closes {part}{positions} position{'s' if positions != 1 else ''}")
    if orders:
        parts.append(f"deletes {orders} pending order{'s' if orders != 1 else ''}")
    return ", ".join(parts) + ", as things stand,"


def refuse_while_held(
    *, rule: RiskRule, accounts: Collection[ConnectedAccount], change: str
) -> None:
    """Raise Refusal when a violation of the rule, or a lock by it, stands on one of the accounts.

    `change` continues "so it cannot be …".
    """
    ids = [account.pk for account in accounts]
    breach: RuleBreach | None = (
        holding_breaches().filter(rule_id=rule.pk, account_id__in=ids).first()
    )
    if breach is not None:
        raise Refusal(
            f"“{rule.name}” is {breach.state_text} on {breach.account_name}, so it cannot be"
            f" {change} there until somebody has acknowledged that with a reason.",
            code="locked",
        )
    lock = AccountLock.objects.standing().filter(rule_id=rule.pk, account_id__in=ids).first()
    if lock is not None:
        raise Refusal(
            f"“{rule.name}” has locked {lock.account_name}, so it cannot be {change} there until"
            " the account is unlocked.",
            code="locked",
        )


def _refuse_strangers(rule: RiskRule, accounts: Collection[ConnectedAccount]) -> None:
    reached = rules_by_account(list(accounts))
    for account in accounts:
        if rule.pk not in {known.pk for known in reached[account.pk]}:
            raise Refusal(f"“{rule.name}” does not apply to {account.name}.", code="not_reached")
