from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from accounts.models import ConnectedAccount, User
from risk.gate.rounds import checks_in_rounds
from risk.models import (
    AccountLock,
    Enforcement,
    GateCheck,
    GroupTemplate,
    NewsEvent,
    Order,
    RiskRule,
    RuleBreach,
    RuleOverride,
    RulePreset,
)
from risk.models.breach import RuleBreachQuerySet


def rules_of(user: User) -> QuerySet[RiskRule]:
    """Return the user's rules with their targets and `is_locked`."""
    held = holding_breaches().filter(rule_id=OuterRef("pk"))
    return (
        RiskRule.objects.owned_by(user)
        .annotate(is_locked=Exists(held))
        .prefetch_related("accounts", "groups", "overrides", "armings")
    )


def overrides_of(rule: RiskRule) -> QuerySet[RuleOverride]:
    """Return how a rule differs on accounts, by their names."""
    return rule.overrides.select_related("account").order_by("account__name", "account")


def reached_accounts(rule: RiskRule) -> QuerySet[ConnectedAccount]:
    """Return the accounts of its user that a rule applies to, by name."""
    own = ConnectedAccount.objects.owned_by(rule.user_id)
    if not rule.applies_to_all_accounts:
        named = Q(risk_rules=rule) | Q(groups__risk_rules=rule)
        own = own.filter(pk__in=ConnectedAccount.objects.filter(named).values("pk"))
    return own.order_by("name", "pk")


def presets_of(user: User) -> QuerySet[RulePreset]:
    """Return the presets that the user saved, by name."""
    return RulePreset.objects.owned_by(user)


def templates_of(user: User) -> QuerySet[GroupTemplate]:
    """Return the user's group templates, by name."""
    return GroupTemplate.objects.owned_by(user)


def news_of(user: User) -> QuerySet[NewsEvent]:
    """Return the events of the user's news calendar, in the order of time."""
    return NewsEvent.objects.filter(user=user)


def orders_of(account: ConnectedAccount) -> QuerySet[Order]:
    """Return the orders that went through TradeGuard to an account, newest first."""
    return Order.objects.filter(account_id=account.pk, user_id=account.user_id)


def checks_of(orders: Sequence[Order]) -> dict[UUID, list[GateCheck]]:
    """Return what the gate said of each order: of those that a round of it knows, worded now.

    An order that came to the gate again alone has its newest checks, as rows of their own.
    """
    checks: dict[UUID, list[GateCheck]] = {}
    for check in GateCheck.objects.filter(order_id__in=[order.pk for order in orders]):
        checks.setdefault(check.order_id, []).append(check)
    return checks | checks_in_rounds(order for order in orders if order.pk not in checks)


def enforcements_of(user: User) -> QuerySet[Enforcement]:
    """Return when TradeGuard stepped in on the user's accounts, newest first."""
    return Enforcement.objects.owned_by(user)


def holding_breaches() -> QuerySet[RuleBreach]:
    """Return the violations that nobody has acknowledged: they hold their rule and account.

    So does a rule that acted within its safety margin: whoever could loosen it then had no guard.
    """
    return RuleBreach.objects.latched().filter(acknowledged_at=None)


def breaches_of(user: User) -> RuleBreachQuerySet:
    """Return the user's violations, past and present, newest first."""
    return RuleBreach.objects.owned_by(user)


def signed_breaches_of(user: User) -> QuerySet[RuleBreach]:
    """Return the user's violations with who acknowledged and cleared each, by name."""
    return breaches_of(user).annotate(
        acknowledged_by=_name_of("acknowledged_by_id"), cleared_by=_name_of("cleared_by_id")
    )


def signed_locks(locks: Iterable[AccountLock]) -> QuerySet[AccountLock]:
    """Return these locks with who lifted each, by name."""
    found = AccountLock.objects.filter(pk__in=[lock.pk for lock in locks])
    return found.annotate(unlocked_by=_name_of("unlocked_by_id"))


def _name_of(column: str) -> Subquery:
    return Subquery(User.objects.filter(pk=OuterRef(column)).values("username")[:1])


def latched_breaches(accounts: Iterable[ConnectedAccount]) -> QuerySet[RuleBreach]:
    """Return the violations in force on these accounts, newest first."""
    return RuleBreach.objects.latched().filter(account_id__in=[account.pk for account in accounts])


def rules_by_account(accounts: Sequence[ConnectedAccount]) -> dict[UUID, list[RiskRule]]:
    """Return the active rules that each account must keep, each rule once, in the rules' order.

    A rule reaches an account of its own user because it applies to all, names it, or names a group
    that it is in. Three queries, however many accounts and rules there are.
    """
    users = {account.user_id for account in accounts}
    theirs = RiskRule.objects.active().filter(user__in=users)
    reached = {
        *theirs.filter(accounts__user__in=users).values_list("pk", "accounts"),
        *theirs.filter(groups__accounts__user__in=users).values_list("pk", "groups__accounts"),
    }
    rules = list(theirs)
    places = {rule.pk: place for place, rule in enumerate(rules)}
    everywhere: dict[int, set[int]] = {}
    for place, rule in enumerate(rules):
        if rule.applies_to_all_accounts:
            everywhere.setdefault(rule.user_id, set()).add(place)
    # Not every rule is tried on every account: of both there may be hundreds.
    named: dict[UUID, set[int]] = {}
    for rule_id, account_id in reached:
        if rule_id in places:
            named.setdefault(account_id, set()).add(places[rule_id])
    none: set[int] = set()
    return {
        account.pk: [
            rules[place]
            for place in sorted(everywhere.get(account.user_id, none) | named.get(account.pk, none))
            if rules[place].user_id == account.user_id
        ]
        for account in accounts
    }
