"""What stops closed on several copies at once: told once, not once for each of them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.urls import reverse

from accounts.core.kinds import DealEntry, DealReason
from accounts.history.deals import NewDeal
from accounts.models import ConnectedAccount
from notifications.models import NotificationType, Priority
from notifications.services import Message
from risk.core.figures import counted_text
from risk.models import Order
from risk.notices.deal_words import AnyDeal, PriceDigits, money, moves_of
from risk.orders.drafts import is_our_tag

_STOPS: Final = (DealReason.SL, DealReason.TP)
_WORDS: Final[Mapping[int, str]] = {
    DealReason.SL: "their stop loss",
    DealReason.TP: "their take profit",
}
_TAGS_PER_QUERY: Final = 500
_NAMED: Final = 10

Stop = tuple[int, str, int, int]  # user, symbol, reason, type of the closing deal


def fold_copied_closes(
    deals: Sequence[NewDeal],
    accounts: Mapping[UUID, ConnectedAccount],
    held: Iterable[tuple[UUID, int]],
    digits: PriceDigits,
) -> tuple[list[Message], list[NewDeal]]:
    """Tell of copies that their own stops closed on several accounts; return the deals left over.

    What one user's copies of a symbol lost or won by the same kind of stop in the same moment is
    one message. A copy that falls alone is told like any position.
    """
    stopped = _of_copies([deal for deal in deals if _is_stop(deal)])
    groups: dict[Stop, list[NewDeal]] = defaultdict(list)
    for deal in stopped:
        if (account := accounts.get(deal.account_id)) is not None:
            groups[account.user_id, deal.symbol, deal.reason, deal.type].append(deal)
    several = {
        stop: same for stop, same in groups.items() if len({deal.account_id for deal in same}) > 1
    }
    folded = {id(deal) for same in several.values() for deal in same}
    still_open = list(held)
    messages = [
        _message(stop, same, accounts, still_open, digits) for stop, same in several.items()
    ]
    return messages, [deal for deal in deals if id(deal) not in folded]


def _is_stop(deal: NewDeal) -> bool:
    """Tell whether a stop has closed what an order of TradeGuard opened: the tag stays with it."""
    is_close = deal.entry in (DealEntry.OUT, DealEntry.OUT_BY)
    return is_close and deal.reason in _STOPS and is_our_tag(deal.magic)


def _of_copies(deals: Sequence[NewDeal]) -> list[NewDeal]:
    tags = sorted({deal.magic for deal in deals})
    if len({deal.account_id for deal in deals}) < 2:
        return []
    copied: set[int] = set()
    for start in range(0, len(tags), _TAGS_PER_QUERY):
        some = tags[start : start + _TAGS_PER_QUERY]
        rows = Order.objects.filter(tag__in=some, origin=Order.Origin.COPY).order_by()
        copied.update(rows.values_list("tag", flat=True))
    return [deal for deal in deals if deal.magic in copied]


def _message(
    stop: Stop,
    deals: Sequence[NewDeal],
    accounts: Mapping[UUID, ConnectedAccount],
    held: Sequence[tuple[UUID, int]],
    digits: PriceDigits,
) -> Message:
    user_id, symbol, reason, _ = stop
    by_account: dict[UUID, list[AnyDeal]] = defaultdict(list)
    for deal in deals:
        by_account[deal.account_id].append(deal)
    sums: dict[str, Decimal] = defaultdict(Decimal)
    lines = []
    for account_id, same in by_account.items():
        account = accounts[account_id]
        mine = (each for owner, each in held if owner == account_id)
        for move in moves_of(same, mine, digits):
            sums[account.currency] += move.result
            lines.append(f"{account.name}: {move.sentence(account.currency)}")
    if len(lines) > _NAMED:
        lines[_NAMED:] = [f"and {len(lines) - _NAMED} more."]
    total = ", ".join(money(amount, currency) for currency, amount in sorted(sums.items()))
    count = counted_text(len(by_account), "account")
    first = deals[0]
    key = f"stopped:{first.account_id}:{first.server}:{first.login}:{first.ticket}"
    return Message(
        user_id=user_id,
        type=NotificationType.POSITION_UPDATE,
        priority=Priority.MEDIUM,
        title=f"Copies of {symbol} closed by {_WORDS[reason]} on {count}, {total}",
        body="\n".join(lines),
        link=reverse("portfolio"),
        object_type="account",
        object_id=str(first.account_id),
        dedupe_key=key,
        repeat_key=key,
    )
