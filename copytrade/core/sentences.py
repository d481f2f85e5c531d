"""Why something was not copied, in sentences that a trader understands.

At most 255 characters each. A follower's own sentences may tell its money; what its provider's
owner reads is `plain_sentence`, for a provider never learns a follower's balance.
"""

from collections.abc import Collection
from datetime import datetime, time
from decimal import Decimal
from typing import Final

from copytrade.core.facts import AccountFigures, ProviderEvent
from copytrade.core.kinds import EventKind, SkipReason
from risk.core.figures import amount_text, counted_text, fraction_text, plain_text

LONGEST: Final = 255
_LOT_DIGITS: Final = 8

PLAIN: Final = {
    SkipReason.PAUSED: "Copying is paused.",
    SkipReason.CLOSE_ONLY: "The relationship only closes.",
    SkipReason.TERMINATED: "The relationship has ended.",
    SkipReason.NOT_ACCEPTED: "The relationship was not accepted.",
    SkipReason.BEFORE_START: "It is older than the relationship.",
    SkipReason.LATE: "It was seen too late.",
    SkipReason.SYMBOL_UNKNOWN: "The follower's broker has no such symbol.",
    SkipReason.SYMBOL_EXCLUDED: "The symbol is not copied.",
    SkipReason.DIRECTION: "This direction is not copied.",
    SkipReason.MAGIC: "Trades of this magic number are not copied.",
    SkipReason.OWN_COPY: "It is a copy itself.",
    SkipReason.HOURS: "It lies outside of the trading hours.",
    SkipReason.MOST_POSITIONS: "The most positions are open.",
    SkipReason.BELOW_MINIMUM: "It is less than the smallest lot.",
    SkipReason.NO_STOP: "There is no stop to size it by.",
    SkipReason.NO_READING: "A figure of an account is not known.",
    SkipReason.NO_RATE: "An exchange rate is not known.",
    SkipReason.NOT_HELD: "The follower holds no copy of it.",
    SkipReason.LEFT: "The follower has closed its copy by itself.",
    SkipReason.PENDINGS_OFF: "Pending orders are not copied.",
    SkipReason.STOPS_OFF: "Stops are not copied.",
    SkipReason.UNCHANGED: "The follower has it already.",
    SkipReason.LOCKED: "The follower's account is locked.",
    SkipReason.EQUITY_STOP: "The follower's equity stop was reached.",
    SkipReason.SLIPPAGE: "The price has moved too far from the provider's.",
    SkipReason.REFUSED: "The order was refused.",
}

_TRADES: Final = {
    EventKind.OPEN: "{side} of {lots} {symbol}",
    EventKind.PARTIAL_CLOSE: "close of {lots} {symbol}",
    EventKind.CLOSE: "close of {lots} {symbol}",
    EventKind.STOPS: "change of the stops of {symbol}",
    EventKind.PENDING_PLACED: "{side} {type} of {lots} {symbol}",
    EventKind.PENDING_MODIFIED: "change of the {side} {type} of {symbol}",
    EventKind.PENDING_CANCELLED: "cancelling of the {side} {type} of {symbol}",
    EventKind.PENDING_FILLED: "filled {side} {type} of {lots} {symbol}",
}


def plain_sentence(reason: SkipReason) -> str:
    """Say a reason without any number, as the other side of a relationship may read it."""
    return PLAIN[reason]


def trade_text(event: ProviderEvent) -> str:
    """Name what the provider did: "buy of 0.5 lots EURUSD"."""
    return _TRADES[event.kind].format(
        side="buy" if event.is_buy else "sell",
        lots=lots_text(event.lots),
        symbol=event.symbol,
        type=event.order_type.replace("_", " "),
    )


def lots_text(lots: Decimal) -> str:
    """Write lots, those that round to none as "under 0.000001 lots"."""
    if 0 < lots < Decimal("0.000001"):
        return "under 0.000001 lots"
    return counted_text(lots, "lot")


def lots_figure(lots: Decimal) -> str:
    """Write lots as a figure: two decimals, more where they have more."""
    # A sum of the database may carry the dust of binary numbers.
    exact = round(lots, _LOT_DIGITS).normalize()
    exponent = exact.as_tuple().exponent
    decimals = -exponent if isinstance(exponent, int) else 0
    return f"{exact:,.{max(2, decimals)}f}"


def paused(trade: str) -> str:
    return f"Copying was paused, so the {trade} was not copied."


def close_only(trade: str) -> str:
    return f"The relationship only closes, so the {trade} was not copied."


def terminated(trade: str) -> str:
    return f"The relationship had ended before the {trade}."


def not_accepted(trade: str) -> str:
    return f"The relationship was not accepted when the {trade} came."


def before_start(trade: str, happened_at: datetime, started_at: datetime) -> str:
    return (
        f"The {trade} at {_moment(happened_at)} is older than the relationship, which copies"
        f" since {_moment(started_at)}."
    )


def late(trade: str, age_seconds: float, deadline_seconds: int) -> str:
    age = amount_text(age_seconds, 1)
    return f"The {trade} was {age} s old; this relationship opens within {deadline_seconds} s."


def locked(lock_reason: str) -> str:
    return _cut_to_fit(f"The account is locked: {lock_reason}")


def equity_stop(figures: AccountFigures, stop: Decimal) -> str:
    equity = amount_text(figures.equity, figures.currency_digits)
    limit = amount_text(stop, figures.currency_digits)
    return f"The equity of {equity} {figures.currency} is at the stop of {limit}."


def symbol_excluded(symbol: str, listed: Collection[str]) -> str:
    if not listed:
        return f"{symbol} is excluded from copying."
    return _cut_to_fit(f"{symbol} is not among what is copied: {', '.join(sorted(listed))}")


def symbol_unknown(symbol: str, mapped: str | None, count: int) -> str:
    if mapped is not None:
        return f"{symbol} is mapped to {mapped}, which the follower's server does not have."
    return f"None of the {count:,} symbols of the follower's server stands for {symbol}."


def direction(trade: str, copied: str) -> str:
    return f"The {trade} was not copied: the relationship copies {copied}s only."


def magic(number: int, copied: Collection[int]) -> str:
    listed = ", ".join(str(each) for each in sorted(copied))
    return _cut_to_fit(f"Its magic number is {number}, and copied are {listed}")


def own_copy(trade: str) -> str:
    return f"The {trade} was a copy itself, and copies are not copied again."


def hours(clock: time, start: time, end: time, zone: str) -> str:
    return f"It was {clock:%H:%M:%S} in {zone}; copied is from {start:%H:%M} until {end:%H:%M}."


def most_positions(open_copies: int, most: int) -> str:
    return f"{counted_text(open_copies, 'copied position')} of at most {most} are open."


def below_minimum(wanted: Decimal, smallest: Decimal, symbol: str) -> str:
    return f"It would be {lots_text(wanted)}; the smallest of {symbol} is {plain_text(smallest)}."


def maximum_too_small(most: Decimal, smallest: Decimal, symbol: str) -> str:
    return (
        f"The smallest lot of {symbol} is {plain_text(smallest)}, more than the maximum of"
        f" {plain_text(most)}."
    )


def part_too_small(wanted: Decimal, smallest: Decimal, held: Decimal) -> str:
    return (
        f"The part to close would be {lots_text(wanted)} of {plain_text(held)}; the smallest"
        f" that can be closed is {plain_text(smallest)}."
    )


def raised(wanted: Decimal, smallest: Decimal, symbol: str) -> str:
    return (
        f"It would be {lots_text(wanted)}, and was raised to the smallest of {symbol},"
        f" {plain_text(smallest)}."
    )


def cut(wanted: Decimal, lots: Decimal, symbol: str, is_ours: bool) -> str:
    whose = "the relationship's maximum" if is_ours else f"the largest order of {symbol}"
    return f"It would be {lots_text(wanted)}, and was cut to {plain_text(lots)}, {whose}."


def no_stop(risk_fraction: Decimal) -> str:
    return f"A risk of {fraction_text(risk_fraction)} needs a stop loss, and the copy has none."


def stop_passed(symbol: str) -> str:
    return f"The price of {symbol} has passed the stop loss already."


def no_figure(whose: str, name: str) -> str:
    return f"The {whose}'s {name} is not known: there is no fresh reading of the account."


def no_ratio(name: str) -> str:
    return f"The provider's {name} is not above 0, so there is no ratio of it."


def overtaken() -> str:
    return "The provider had ended it already before it could be copied."


def no_mode() -> str:
    return "The follower's terminal has not told yet what the account holds and how."


def no_terms(symbol: str) -> str:
    return f"The follower's terminal has not told what a lot of {symbol} is."


def no_symbols() -> str:
    return "The follower's terminal has not told which symbols its server has."


def no_rate(source: str, target: str) -> str:
    return f"No exchange rate between {source} and {target} is known."


def no_comparison(symbol: str) -> str:
    return f"What a lot of {symbol} is worth against the provider's is not known."


def no_loss(symbol: str) -> str:
    return f"What a move of {symbol} is worth in the account's currency is not known."


def not_held(trade: str) -> str:
    return f"The follower holds no copy, so there was nothing to do for the {trade}."


def left(symbol: str, lots: Decimal) -> str:
    return f"The follower has closed its {lots_text(lots)} of {symbol} by itself."


def pendings_off(trade: str) -> str:
    return f"The {trade} was not copied: pending orders are not; a fill of it will be."


def no_reverse(trade: str) -> str:
    return f"A stop limit has no opposite, so the {trade} is copied when it is filled."


def stops_off(symbol: str) -> str:
    return f"Stops are not copied; those of {symbol} stay as they are."


def stops_shared(symbol: str, copies: int) -> str:
    return f"{copies} copies share the netted position of {symbol}, so none may move its stops."


def unchanged(what: str) -> str:
    return f"The follower's {what} already."


def refused(sentence: str) -> str:
    return _cut_to_fit(sentence)


def too_far(points: float, most: int, price: float, provider_price: float) -> str:
    return (
        f"The price of {plain_text(price)} is {plain_text(round(points, 1))} points worse than"
        f" the provider's {plain_text(provider_price)}; at most {most} are allowed."
    )


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} {moment.tzname() or ''}".rstrip()


def _cut_to_fit(text: str) -> str:
    ended = text if text.endswith((".", "!", "?")) else f"{text}."
    return ended if len(ended) <= LONGEST else f"{ended[: LONGEST - 1]}…"
