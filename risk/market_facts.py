"""What rules know of symbols: their currencies, and how they have moved; asked beside the tick."""

import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Final

from accounts.core.zones import to_broker_epoch
from accounts.market_history import Calls, HistoryUnavailableError, daily_bars, symbol_row
from risk.core.returns import RETURN_DAYS, correlations_of
from risk.core.surroundings import Correlations

logger = logging.getLogger(__name__)

REFRESH_SECONDS: Final = 86_400.0
RETRY_SECONDS: Final = 60.0
# Weekends and holidays have no bars.
_DAYS_BACK: Final = RETURN_DAYS * 7 // 5 + 20
_SYMBOLS_AT_ONCE: Final = 20
_DAY_SECONDS: Final = 86_400
_BASE, _PROFIT = 85, 86  # fields of SymbolInfo


@dataclass(frozen=True, slots=True)
class Wish:
    """A symbol of a server, and the login and clock by which its terminal is asked."""

    server: str
    symbol: str
    login: int = field(compare=False)
    zone: tzinfo = field(compare=False)
    with_returns: bool = False


@dataclass(frozen=True, slots=True)
class _Answer:
    currencies: tuple[str, str]
    closes: dict[int, float] | None


class MarketFacts:
    """Keeps what the terminals of one host told of their symbols; each is asked once a day.

    Use it from the tick's thread; the terminals are asked on the executor.
    """

    def __init__(self, source: Calls, executor: Executor) -> None:
        self.currencies: dict[str, dict[str, tuple[str, str]]] = {}
        self.correlations: dict[str, Correlations] = {}
        self._source = source
        self._executor = executor
        self._closes: dict[str, dict[str, dict[int, float]]] = {}
        self._not_before: dict[Wish, float] = {}
        self._job: Future[tuple[dict[Wish, _Answer], dict[str, Correlations]]] | None = None
        self._asked: tuple[Wish, ...] = ()

    def look_after(self, wishes: Iterable[Wish], utc: float, monotonic: float) -> None:
        """Take what was answered, and ask for what is wanted and unknown or of yesterday."""
        self._take(monotonic)
        if self._job is not None:
            return
        due = [wish for wish in wishes if monotonic >= self._not_before.get(wish, -1e18)]
        if due:
            self._asked = tuple(due[:_SYMBOLS_AT_ONCE])
            closes = {server: dict(known) for server, known in self._closes.items()}
            self._job = self._executor.submit(_look_up, self._source, self._asked, closes, utc)
            self._take(monotonic)

    def _take(self, monotonic: float) -> None:
        if self._job is None or not self._job.done():
            return
        job, self._job = self._job, None
        later = dict.fromkeys(self._asked, monotonic + RETRY_SECONDS)
        try:
            answers, correlations = job.result()
        except Exception:
            # What one terminal answers must not end the watch over all accounts of the host.
            logger.exception("What was told of symbols could not be used.")
            self._not_before.update(later)
            return
        for wish, answer in answers.items():
            later[wish] = monotonic + REFRESH_SECONDS
            known = self.currencies.get(wish.server, {})
            # Replaced, not changed: an evaluation may hold the former one.
            self.currencies[wish.server] = {**known, wish.symbol: answer.currencies}
            if answer.closes is not None:
                self._closes.setdefault(wish.server, {})[wish.symbol] = answer.closes
        self.correlations.update(correlations)
        self._not_before.update(later)


def _look_up(
    source: Calls,
    wishes: Iterable[Wish],
    closes: dict[str, dict[str, dict[int, float]]],
    utc: float,
) -> tuple[dict[Wish, _Answer], dict[str, Correlations]]:
    answers: dict[Wish, _Answer] = {}
    for wish in wishes:
        try:
            answers[wish] = _ask(source, wish, utc)
        except HistoryUnavailableError as error:
            logger.warning("%s of %s is not known yet: %s", wish.symbol, wish.server, error)
            continue
        found = answers[wish].closes
        if found is not None:
            closes.setdefault(wish.server, {})[wish.symbol] = found
    changed = {wish.server for wish in answers if wish.with_returns}
    return answers, {server: correlations_of(closes[server]) for server in changed}


def _ask(source: Calls, wish: Wish, utc: float) -> _Answer:
    row = symbol_row(source, wish.login, wish.symbol)
    currencies = str(row[_BASE]), str(row[_PROFIT])
    if not wish.with_returns:
        return _Answer(currencies, None)
    today = to_broker_epoch(utc, wish.zone)
    bars: Any = daily_bars(source, wish.login, wish.symbol, today, _DAYS_BACK)
    if not len(bars):
        return _Answer(currencies, {})
    days = (bars["time"] // _DAY_SECONDS).tolist()
    closes: Mapping[int, float] = dict(zip(days, bars["close"].tolist(), strict=True))
    return _Answer(currencies, dict(closes))
