"""What the gate would say of an order now, for whoever is still filling in the ticket."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q
from redis import RedisError

from accounts.hot_state import AccountState, read_accounts
from accounts.market_terms import terms_of
from accounts.models import ConnectedAccount
from accounts.models.connection import AccountConnection
from accounts.symbol_terms import SymbolTerms
from risk.core.gate.deciding import decide
from risk.core.gate.verdicts import GateDecision
from risk.gate.commissions import LEARNED
from risk.gate.deciding import passed
from risk.gate.intents import TermsOf, aloft, intent_of
from risk.gate.state_book import StateOfAccount, state_book
from risk.gate.web_surroundings import web_surroundings
from risk.models import AccountLock, Order
from risk.rule_facts import RuleFacts, load_rules
from risk.selectors import rules_by_account

# An order that ended longer ago is in the reading, or is not any more.
_RECENT = timedelta(minutes=5)


def preview_order(
    *,
    account: ConnectedAccount,
    draft: Order,
    now: datetime,
    terms: TermsOf | None = None,
) -> GateDecision:
    """Return what the gate would decide, from the hot state; the order need not be stored.

    `terms` tells the terms of symbols, by default from the account's host, which takes up to a
    second.
    """
    if not draft.opens:
        return passed(draft)
    state = account_state(account)
    asked = terms or (lambda _login, symbol: asked_terms(account, symbol))
    known = asked(account.login, draft.symbol)
    rules = effective_rules(account)
    book = state_book(
        StateOfAccount(
            account=account,
            state=state,
            rules=rules,
            lock=AccountLock.objects.standing().filter(account_id=account.pk).first(),
            connection=AccountConnection.objects.filter(account=account).first(),
            surroundings=web_surroundings(account, rules, state, known, now),
        ),
        now,
    )
    read_at = float(state.account["read_at"]) if state is not None else 0.0

    def commissions(account_id: UUID, symbol: str) -> float | None:
        return LEARNED.per_lot(account_id, symbol, now)

    flying = list(
        aloft(
            _recent_orders(account, draft, now),
            {account.pk: 0},
            book,
            read_at=[read_at],
            terms=asked,
            commissions=commissions,
        )
    )
    intent = intent_of(
        draft,
        0,
        terms=known,
        commission_per_lot=commissions(account.pk, draft.symbol),
        is_expected=(draft.server, draft.login) == (account.server, account.login),
    )
    return decide(book, [intent], flying)[0]


def account_state(account: ConnectedAccount) -> AccountState | None:
    """Return the account's last state; None before its first reading and when Redis is away."""
    try:
        return read_accounts({account.terminal_host_id: [account.pk]}).get(account.pk)
    except RedisError:
        return None


def effective_rules(account: ConnectedAccount) -> list[RuleFacts]:
    """Return the rules that an account must keep, each as it is there."""
    book = load_rules([account.user_id])
    reached = rules_by_account([account])[account.pk]
    places = [book.places[rule.pk] for rule in reached if rule.pk in book.places]
    listed = [book.place_for(place, account.pk) for place in places]
    return [book.rules[place] for place in listed if place is not None]


def asked_terms(account: ConnectedAccount, symbol: str) -> SymbolTerms | None:
    """Return the terms that the account's host tells, which may take a second."""
    return terms_of(account.server, symbol, account.terminal_host_id, login=account.login)


def _recent_orders(account: ConnectedAccount, draft: Order, now: datetime) -> Sequence[Order]:
    recent = Q(answered_at__gte=now - _RECENT) | Q(reconciled_at__gte=now - _RECENT)
    return list(
        Order.objects.filter(Q(state__in=Order.UNFINISHED) | recent, account_id=account.pk).exclude(
            pk=draft.pk
        )
    )
