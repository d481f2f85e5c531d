"""What happened at the broker: positions that were opened, reduced and closed there.

Worded before, and told in the transaction that stores the deals, so that neither a crash nor a
database that is away tells a deal twice or never.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db.models import Exists, OuterRef
from django.urls import reverse

from accounts.core.kinds import DealEntry, DealReason, DealType
from accounts.history.deals import Login, NewDeal, NewDeals
from accounts.models import ConnectedAccount, Deal
from notifications.models import NotificationType, Priority
from notifications.services import Message, notify
from risk.models import Order
from risk.notices.copied_closes import fold_copied_closes
from risk.notices.deal_words import Move, PriceDigits, body_of, filled_sentence, moves_of, title_of
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
        # What has been closed is in no reading any more that would tell.
        self._digits: dict[tuple[str, str], int] = {}

    def __call__(self, new: NewDeals, deals: Sequence[NewDeal]) -> Callable[[], object] | None:
        if new is not self._current:
            self._current, self._beginning = new, set()
            self._digits.update(new.price_digits)
        self._learn(deals)
        news = [deal for deal in deals if self._is_news(deal, new)]
        others = [deal for deal in news if not _is_ordered(deal)]
        fills = _fills([deal for deal in news if _is_ordered(deal)])
        if not others and not fills:
            return None
        told = {deal.account_id for deal in (*others, *fills)}
        accounts = ConnectedAccount.objects.in_bulk(told)
        together, others = fold_copied_closes(others, accounts, new.held, self._digits)
        messages = [
            *together,
            *_position_messages(others, accounts, new, self._digits),
            *_fill_messages(fills, accounts, self._digits),
        ]
        return lambda: notify(messages, now=new.read_at)

    def _learn(self, deals: Sequence[NewDeal]) -> None:
        """Find out of logins that are met for the first time whether they have a history here."""
        met = {_login(deal) for deal in deals} - self._begun - self._beginning
        if not met:
            return
        has_past = _logins_with_deals(met)
        self._begun |= has_past
        self._beginning |= met - has_past

    def _is_news(self, deal: NewDeal, new: NewDeals) -> bool:
        is_trade = deal.type in _TRADES and bool(deal.symbol)
        is_recent = deal.time >= new.read_at - NEWS
        is_new = _login(deal) not in self._beginning
        return is_trade and is_recent and is_new and deal.reason != DealReason.SO


def _login(deal: NewDeal) -> Login:
    return deal.account_id, deal.server, deal.login


def _logins_with_deals(logins: Set[Login]) -> set[Login]:
    """Return those of which deals are stored; that is one look into an index for each."""
    same = {"account": OuterRef("pk"), "server": OuterRef("server"), "login": OuterRef("login")}
    accounts = ConnectedAccount.with_archived.filter(pk__in={login[0] for login in logins})
    known = accounts.order_by().annotate(has_deals=Exists(Deal.objects.filter(**same)))
    told: dict[Login, bool] = {
        (account_id, server, number): has_deals
        for account_id, server, number, has_deals in known.values_list(
            "pk", "server", "login", "has_deals"
        )
    }
    # An account may have been pointed at another login since.
    for account_id, server, number in logins - told.keys():
        rows = Deal.objects.filter(account=account_id, server=server, login=number)
        told[account_id, server, number] = rows.exists()
    return {login for login in logins if told[login]}


def _is_ordered(deal: NewDeal) -> bool:
    """Tell whether an order of TradeGuard made this deal."""
    return is_our_tag(deal.magic) and deal.reason not in (*_BROKERS_OWN, *_BY_HAND)


def _fills(deals: Sequence[NewDeal]) -> list[NewDeal]:
    """Return the deals that filled a pending order of TradeGuard, by its tag."""
    opening = [deal for deal in deals if deal.entry in (DealEntry.IN, DealEntry.INOUT)]
    tags = sorted({deal.magic for deal in opening})
    pending: set[int] = set()
    for start in range(0, len(tags), _TAGS_PER_QUERY):
        some = tags[start : start + _TAGS_PER_QUERY]
        rows = Order.objects.filter(tag__in=some, kind=Order.Kind.PLACE).order_by()
        pending.update(rows.values_list("tag", flat=True))
    return [deal for deal in opening if deal.magic in pending]


def _position_messages(
    deals: Sequence[NewDeal],
    accounts: Mapping[UUID, ConnectedAccount],
    new: NewDeals,
    digits: PriceDigits,
) -> list[Message]:
    by_login: dict[Login, list[NewDeal]] = {}
    for deal in deals:
        by_login.setdefault(_login(deal), []).append(deal)
    return [
        _position_message(accounts[login[0]], same, new, digits)
        for login, same in by_login.items()
        if login[0] in accounts
    ]


def _position_message(
    account: ConnectedAccount, deals: Sequence[NewDeal], new: NewDeals, digits: PriceDigits
) -> Message:
    held = (identifier for owner, identifier in new.held if owner == account.pk)
    moves = moves_of(deals, held, digits)
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
    deals: Sequence[NewDeal], accounts: Mapping[UUID, ConnectedAccount], digits: PriceDigits
) -> list[Message]:
    """Tell of pending orders that have found their price; nobody waits for that on a page."""
    by_order: dict[tuple[UUID, int], list[NewDeal]] = {}
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
                title=f"{account.name}: pending order filled, {filled_sentence(same, digits)}",
                body="",
                link=reverse("account-detail", args=[account.pk]),
                object_type="account",
                object_id=str(account.pk),
                dedupe_key=key,
                repeat_key=key,
            )
        )
    return found
