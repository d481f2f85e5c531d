"""How a day reads: in a chat, in a mail and in the notification centre."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from accounts.figures import amount, signed
from tradeguard.summaries.facts import AccountDay, UserDay

# What fits into one message of every chat.
LONGEST_BODY: Final = 4000
_MOST_SENTENCES: Final = 5
_ROOM_FOR_THE_END: Final = 60


def title_of(day: UserDay) -> str:
    """Say the day in a line: "Your day, 20 Nov: +212.40 USD, 1 violation"."""
    parts = []
    if (results := _results_by_currency(day.accounts)) and len(results) <= 2:
        parts = [f"{signed(result, digits)} {name}" for name, result, digits in results]
    if day.violations:
        parts.append(_count(len(day.violations), "violation"))
    due = day.reader.due
    # Whoever reads before noon reads of the day before.
    most_of_it = due.since + (due.until - due.since) / 2
    head = f"Your day, {most_of_it.astimezone(day.reader.zone):%d %b}"
    return f"{head}: {', '.join(parts)}" if parts else head


def body_of(day: UserDay, *, now: datetime) -> str:
    """Tell the day in at most LONGEST_BODY characters; the weakest accounts come first."""
    told = now.astimezone(day.reader.zone)
    head = [f"{told:%a %d %b %Y, %H:%M} ({day.reader.zone_name})", *_totals(day.accounts)]
    blocks = ["\n".join([*head, _happened(day)])]
    blocks += _listed("Violations", day.violations)
    blocks += _listed("TradeGuard stepped in", day.enforcements)
    return _fitted(blocks, [_account(each, day) for each in day.accounts])


def _fitted(blocks: Sequence[str], accounts: Sequence[str]) -> str:
    text = "\n\n".join(blocks)[: LONGEST_BODY - _ROOM_FOR_THE_END]
    for place, account in enumerate(accounts):
        if len(text) + len(account) + 2 > LONGEST_BODY - _ROOM_FOR_THE_END:
            left = len(accounts) - place
            return f"{text}\n\nand {_count(left, 'more account')}, on the page of your accounts."
        text = f"{text}\n\n{account}"
    return text


def _totals(accounts: Sequence[AccountDay]) -> list[str]:
    """Return a line per currency, over the accounts that are read now."""
    lines = []
    for currency in sorted({each.currency for each in accounts if each.is_fresh}):
        known = [each for each in accounts if each.is_fresh and each.currency == currency]
        if len(known) < 2:
            continue
        digits = known[0].digits
        equity, floating = (
            math.fsum(getattr(each, name) or 0.0 for each in known)
            for name in ("equity", "floating")
        )
        results = [each.result for each in known if each.result is not None]
        result = math.fsum(results) if len(results) == len(known) else None
        lines.append(
            f"{currency}: equity {amount(equity, digits)}, day {signed(result, digits)},"
            f" floating {signed(floating, digits)} on {len(known)} accounts"
        )
    unread = sum(not each.is_fresh for each in accounts)
    if unread:
        lines.append(f"{_count(unread, 'account')} without live numbers")
    return lines


def _happened(day: UserDay) -> str:
    parts = [
        _count(len(day.violations), "violation") if day.violations else "No violation",
        _count(day.orders_executed, "order") + " executed",
    ]
    if day.orders_not_executed:
        parts.append(f"{day.orders_not_executed} not executed")
    if day.orders_uncertain:
        parts.append(f"{day.orders_uncertain} of unknown outcome")
    if day.enforcements:
        parts.append(f"stepped in {_count(len(day.enforcements), 'time')}")
    parts.append(f"{_count(day.unread, 'notice')} unread")
    return ", ".join(parts)


def _listed(title: str, sentences: Sequence[str]) -> list[str]:
    if not sentences:
        return []
    shown = [f"- {each}" for each in sentences[:_MOST_SENTENCES]]
    if len(sentences) > _MOST_SENTENCES:
        shown.append(f"- and {len(sentences) - _MOST_SENTENCES} more")
    return ["\n".join([f"{title}:", *shown])]


def _account(account: AccountDay, day: UserDay) -> str:
    if not account.is_fresh:
        return f"{account.name}: {_why_unknown(account, day)}{_weakest(account)}"
    digits = account.digits
    positions = "nothing open"
    if account.positions:
        positions = (
            f"{_count(account.positions, 'position')} floating {signed(account.floating, digits)}"
        )
    result = "not known" if account.result is None else signed(account.result, digits)
    return (
        f"{account.name}: equity {amount(account.equity, digits)} {account.currency}, balance"
        f" {amount(account.balance, digits)}, day {result}, {positions}{_weakest(account)}"
    )


def _why_unknown(account: AccountDay, day: UserDay) -> str:
    if account.read_at is None:
        return f"{account.connection}, never read"
    at = account.read_at.astimezone(day.reader.zone)
    return f"no live numbers, {account.connection}; last read {at:%d %b %H:%M}"


def _weakest(account: AccountDay) -> str:
    if not account.weakest:
        return "\nno rule watches it" if account.is_fresh else ""
    return f"\nweakest rule, {account.weakest_rule}: {account.weakest}"


def _results_by_currency(accounts: Sequence[AccountDay]) -> list[tuple[str, float, int]]:
    """Return the day's result per currency; nothing unless that of every account is known."""
    if any(each.result is None for each in accounts):
        return []
    digits = {each.currency: each.digits for each in accounts}
    return [
        (
            currency,
            math.fsum(each.result or 0.0 for each in accounts if each.currency == currency),
            digits[currency],
        )
        for currency in sorted(digits)
    ]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
