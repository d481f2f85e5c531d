"""What a rule needs to know around an account to tell which of its positions offend."""

from collections.abc import Mapping
from dataclasses import replace

from risk.core.offending import Book
from risk.core.parameters import MaxCorrelation, TradingWindow
from risk.core.rule_types import WindowKind
from risk.core.windows import NewsWindow, minutes_until_news, window_of
from risk.due import Due
from risk.enforcement.books import book_of_view
from risk.orders.view import HostView

Coefficients = Mapping[tuple[str, str], float]


def book_for(due: Due, view: HostView) -> Book:
    """Lay out what the newest tick saw of an account, with what its rule needs besides."""
    return surrounded(book_of_view(view, due.row), due, view)


def surrounded(book: Book, due: Due, view: HostView) -> Book:
    """Return the book with the currencies, correlations and news that the rule is about."""
    around = view.assessment.surroundings
    book = replace(book, currencies=around.currencies.get(due.account.server, {}))
    rule = due.rule.parameters
    if isinstance(rule, MaxCorrelation):
        return replace(book, correlations=_coefficients(book, due, view))
    if isinstance(rule, TradingWindow) and rule.kind is WindowKind.NEWS:
        return replace(book, news_currencies=_in_the_news(rule, book, due, view))
    return book


def _coefficients(book: Book, due: Due, view: HostView) -> Coefficients:
    known = view.assessment.surroundings.correlations.get(due.account.server)
    if known is None:
        return {}
    places = {name: place for place, name in enumerate(known.names)}
    held = sorted({each.symbol for each in book.positions} & places.keys())
    # An unknown coefficient is NaN, and nothing is more than that.
    return {
        (first, second): float(known.matrix[places[first], places[second]])
        for number, first in enumerate(held)
        for second in held[number + 1 :]
    }


def _in_the_news(rule: TradingWindow, book: Book, due: Due, view: HostView) -> frozenset[str]:
    """Return the currencies around whose news the rule wants the account flat at this moment."""
    window = window_of(rule, due.account.terms.broker_zone)
    calendar = view.assessment.surroundings.calendars.get(due.account.user_id)
    if calendar is None or not isinstance(window, NewsWindow):
        return frozenset()
    symbols = {each.symbol for each in book.positions} | {each.symbol for each in book.orders}
    names = sorted({name for symbol in symbols for name in book.currencies.get(symbol, ())})
    minutes = minutes_until_news(window, calendar, names, due.moment)
    return frozenset(name for name, left in zip(names, minutes, strict=True) if left <= 0)
