"""What happened at the broker: positions that were opened, reduced and closed there.

Told in the transaction that stores the deals, so that neither a crash nor a database that is away
tells a deal twice or never.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db.models import Min
from django.urls import reverse

from accounts.core.kinds import DealEntry, DealReason, DealType
from accounts.history.deals import Login, NewDeals
from accounts.models import ConnectedAccount, Deal
from notifications.models import NotificationType, Priority
from notifications.services import Message, notify
from risk.models import Order
from risk.notices.deal_words import Move, body_of, filled_sentence, moves_of, title_of
from risk.orders.drafts import is_our_tag

# What happened before that is history: an account brings all of its past along.
NEWS: Final = timedelta(hours=24)
_TRADES: Final = (DealType.BUY, DealType.SELL)
# Whoever closes for one of these reasons, it was no order of TradeGuard, whatever the deal's tag:
# it is the tag of the position.
_BROKERS_OWN: Final = (DealReason.SL, DealReason.TP, DealReason.SO)
_BY_HAND: Final = (DealReason.CLIENT, DealReason.MOBILE, DealReason.WEB)
_TAGS_PER_QUERY: Final = 500


class DealTeller:
    """Tells new deals, those of an account together; used by the recorder of one host.

    Left out is what TradeGuard ordered itself, for the order or the enforcement tells it, and what
    a stop-out closed, which is told as the liquidation that it is.
    """

    def __init__(self) -> None:
        self._begun: set[Login] = set()
        self._current: NewDeals | None = None
        self._beginning: set[Login] = set()  # whose whole history `_current` brings

    def __call__(self, new: NewDeals, deals: Sequence[Deal]) -> None:
        if new is not self._current:
            self._current, self._beginning = new, set()
        self._learn(deals)
        news = [deal for deal in deals if self._is_news(deal, new)]
        if not news:
            return
        ours = _our_orders(news)
        pending = {tag for tag, kind in ours.items() if kind == Order.Kind.PLACE}
        others = [deal for deal in news if not _is_ordered(deal)]
        fills = [deal for deal in news if _is_ordered(deal) and _fills(deal, pending)]
        accounts = ConnectedAccount.objects.in_bulk({deal.account_id for deal in news})
        messages = [
            *_position_messages(others, accounts, new),
            *_fill_messages(fills, accounts),
        ]
        notify(messages, now=new.read_at)

    def _learn(self, deals: Sequence[Deal]) -> None:
        """Find out of logins that are met for the first time whether they have a history here."""
        first: dict[Login, int] = {}
        for deal in deals:
            login = _login(deal)
            if login not in self._begun and login not in self._beginning:
                first[login] = min(deal.ticket, first.get(login, deal.ticket))
        if not first:
            return
        rows = Deal.objects.filter(account__in={login[0] for login in first}).order_by()
        stored = rows.values_list("account_id", "server", "login").annotate(oldest=Min("ticket"))
        oldest = {(account, server, login): ticket for account, server, login, ticket in stored}
        for login, ticket in first.items():
            has_past = oldest.get(login, ticket) < ticket
            (self._begun if has_past else self._beginning).add(login)

    def _is_news(self, deal: Deal, new: NewDeals) -> bool:
        is_trade = deal.type in _TRADES and bool(deal.symbol)
        is_recent = deal.time >= new.read_at - NEWS
        is_new = _login(deal) not in self._beginning
        return is_trade and is_recent and is_new and deal.reason != DealReason.SO


def _login(deal: Deal) -> Login:
    return deal.account_id, deal.server, deal.login


def _is_ordered(deal: Deal) -> bool:
    """Tell whether an order of TradeGuard made this deal."""
    return is_our_tag(deal.magic) and deal.reason not in (*_BROKERS_OWN, *_BY_HAND)


def _fills(deal: Deal, pending: Iterable[int]) -> bool:
    return deal.magic in pending and deal.entry in (DealEntry.IN, DealEntry.INOUT)


def _our_orders(deals: Sequence[Deal]) -> dict[int, str]:
    """Return the kind of each order of TradeGuard that these deals name, by its tag."""
    tags = sorted({deal.magic for deal in deals if _is_ordered(deal)})
    kinds: dict[int, str] = {}
    for start in range(0, len(tags), _TAGS_PER_QUERY):
        rows = Order.objects.filter(tag__in=tags[start : start + _TAGS_PER_QUERY]).order_by()
        kinds.update(rows.values_list("tag", "kind"))
    return kinds


def _position_messages(
    deals: Sequence[Deal], accounts: Mapping[UUID, ConnectedAccount], new: NewDeals
) -> list[Message]:
    by_login: dict[Login, list[Deal]] = {}
    for deal in deals:
        by_login.setdefault(_login(deal), []).append(deal)
    return [
        _position_message(accounts[login[0]], same, new)
        for login, same in by_login.items()
        if login[0] in accounts
    ]


def _position_message(account: ConnectedAccount, deals: Sequence[Deal], new: NewDeals) -> Message:
    held = (identifier for owner, identifier in new.held if owner == account.pk)
    moves = moves_of(deals, held)
    key = f"deals:{account.pk}:{deals[0].server}:{deals[0].login}:{deals[0].ticket}"
    return Message(
        user_id=account.user_id,
        type=NotificationType.POSITION_UPDATE,
        priority=Priority.MEDIUM if _was_unasked(moves) else Priority.LOW,
        title=f"{account.name}: {title_of(moves, account.currency)}",
        body=body_of(moves, account.currency) if len(moves) > 1 else "",
        link=reverse("account-detail", args=[account.pk]),
        object_type="account",
        object_id=str(account.pk),
        dedupe_key=key,
        repeat_key=key,
    )


def _was_unasked(moves: Sequence[Move]) -> bool:
    """Tell whether something was closed while its owner need not have been looking."""
    return any(move.reason in _BROKERS_OWN for move in moves)


def _fill_messages(
    deals: Sequence[Deal], accounts: Mapping[UUID, ConnectedAccount]
) -> list[Message]:
    """Tell of pending orders that have found their price; nobody waits for that on a page."""
    by_order: dict[tuple[UUID, int], list[Deal]] = {}
    for deal in deals:
        by_order.setdefault((deal.account_id, deal.magic), []).append(deal)
    found = []
    for (account_id, tag), same in by_order.items():
        account = accounts.get(account_id)
        if account is None:
            continue
        key = f"order_filled:{tag}:{same[0].ticket}"
        found.append(
            Message(
                user_id=account.user_id,
                type=NotificationType.ORDER_FILLED,
                priority=Priority.LOW,
                title=f"{account.name}: pending order filled, {filled_sentence(same)}",
                body="",
                link=reverse("account-detail", args=[account.pk]),
                object_type="account",
                object_id=str(account.pk),
                dedupe_key=key,
                repeat_key=key,
            )
        )
    return found
