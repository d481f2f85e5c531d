"""What a reading must prove before it counts, for all accounts of a batch at once.

A terminal that is cut off goes on answering from its cache; one that has just logged in may show no
positions yet; account and positions are separate calls, so that they may belong to different
moments; a terminal may be logged in to another account than the one expected; and one that believes
to be connected may show what it knew a minute ago.
"""

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from accounts.sessions.states import Reason
from accounts.terminals.readings import STALE_AFTER_SECONDS, Outcome, ReadingBatch, Rows

Verdicts = npt.NDArray[np.int8]
# Balance, credit and profit are each rounded to the currency's digits before they are added up.
ROUNDING_UNITS = 2.0
_PER_POSITION_UNITS = 0.5
_MONEY_FIELDS = ("balance", "credit", "profit", "equity", "margin", "margin_free", "margin_level")


class Verdict(IntEnum):
    ACCEPTED = 0
    UNKNOWN_ANSWER = 1
    SILENT = 2
    NO_TERMINAL = 3
    REFUSED = 4
    WRONG_ACCOUNT = 5
    NOT_CONNECTED = 6
    EMPTY_ANSWER = 7
    POSITIONS_MISMATCH = 8
    TORN = 9
    OTHER_CURRENCY = 10
    PRICES_BEHIND = 11

    @property
    def reason(self) -> Reason:
        return _REASONS[self]


_REASONS = {
    Verdict.ACCEPTED: Reason.NONE,
    Verdict.UNKNOWN_ANSWER: Reason.UNKNOWN_ANSWER,
    Verdict.SILENT: Reason.NO_ANSWER,
    Verdict.NO_TERMINAL: Reason.TERMINAL_NOT_FOUND,
    Verdict.REFUSED: Reason.NOT_AUTHORISED,
    Verdict.WRONG_ACCOUNT: Reason.WRONG_ACCOUNT,
    Verdict.NOT_CONNECTED: Reason.BROKER_CONNECTION_LOST,
    Verdict.EMPTY_ANSWER: Reason.EMPTY_ANSWER,
    Verdict.POSITIONS_MISMATCH: Reason.POSITIONS_MISMATCH,
    Verdict.TORN: Reason.TORN_READING,
    Verdict.OTHER_CURRENCY: Reason.OTHER_CURRENCY,
    Verdict.PRICES_BEHIND: Reason.PRICES_BEHIND,
}
# By Outcome; an outcome that is not known here is as good as no answer.
_OF_OUTCOME = np.array(
    [
        Verdict.ACCEPTED,
        Verdict.UNKNOWN_ANSWER,
        Verdict.SILENT,
        Verdict.NO_TERMINAL,
        Verdict.REFUSED,
    ],
    dtype=np.int8,
)

# After one of these the terminal may have been elsewhere or out of touch, so that its next
# reading counts only together with a second one.
BREAKS_SESSION = np.zeros(len(Verdict), dtype=bool)
BREAKS_SESSION[
    [
        Verdict.SILENT,
        Verdict.NO_TERMINAL,
        Verdict.REFUSED,
        Verdict.WRONG_ACCOUNT,
        Verdict.NOT_CONNECTED,
        Verdict.EMPTY_ANSWER,
        Verdict.PRICES_BEHIND,
    ]
] = True

# After one of these only a new login can help.
ENDS_AUTHORISATION = np.zeros(len(Verdict), dtype=bool)
ENDS_AUTHORISATION[[Verdict.NO_TERMINAL, Verdict.REFUSED, Verdict.WRONG_ACCOUNT]] = True

# Only after these the terminal has said whose answer it is.
SHOWS_IDENTITY = np.ones(len(Verdict), dtype=bool)
SHOWS_IDENTITY[
    [
        Verdict.UNKNOWN_ANSWER,
        Verdict.SILENT,
        Verdict.NO_TERMINAL,
        Verdict.REFUSED,
        Verdict.NOT_CONNECTED,
    ]
] = False


def check(
    batch: ReadingBatch,
    expected_logins: npt.NDArray[np.int64],
    expected_servers: npt.NDArray[np.int64],
    expected_currencies: npt.NDArray[np.int64],
) -> Verdicts:
    """Return a `Verdict` for each row of the batch, the gravest doubt first.

    ``expected_servers`` are indexes into ``batch.servers``; one that the batch does not know is -1,
    and no reading is accepted for it. ``expected_currencies`` are indexes into
    ``batch.currencies``: in another currency every limit that was entered would be a wrong number.
    """
    accounts = batch.accounts
    verdicts = _outcomes(accounts)

    def mark(doubt: npt.NDArray[np.bool_], verdict: Verdict) -> None:
        verdicts[doubt & (verdicts == Verdict.ACCEPTED)] = verdict

    server = accounts["server"]
    is_known = (accounts["login"] != 0) & (server >= 0)
    is_expected = (
        (accounts["login"] == expected_logins) & (server == expected_servers) & (server >= 0)
    )
    connected = accounts["connected"]
    mark(~is_expected & (is_known | connected), Verdict.WRONG_ACCOUNT)
    mark(~connected, Verdict.NOT_CONNECTED)
    mark(accounts["currency"] != expected_currencies, Verdict.OTHER_CURRENCY)
    mark(_is_behind(batch), Verdict.PRICES_BEHIND)
    if not (verdicts == Verdict.ACCEPTED).any():
        return verdicts
    listed = np.bincount(batch.positions["account"], minlength=len(accounts))
    waiting = np.bincount(batch.orders["account"], minlength=len(accounts))
    # Orders that wait may reserve margin too, without any position.
    mark(~(accounts["margin"] <= 0.0) & (listed + waiting == 0), Verdict.EMPTY_ANSWER)
    mark(listed != accounts["position_count"], Verdict.POSITIONS_MISMATCH)
    mark(waiting != accounts["order_count"], Verdict.POSITIONS_MISMATCH)
    mark(~_fits_together(batch, listed), Verdict.TORN)
    return verdicts


def _outcomes(accounts: Rows) -> Verdicts:
    outcome = accounts["outcome"]
    is_known = (outcome >= 0) & (outcome <= Outcome.REFUSED)
    return np.where(is_known, _OF_OUTCOME[np.where(is_known, outcome, 0)], Verdict.SILENT).astype(
        np.int8
    )


def _is_behind(batch: ReadingBatch) -> npt.NDArray[np.bool_]:
    """Tell which terminals have missed more than two seconds of ticks that they should know.

    A terminal can be stuck and answer from its cache as if it were connected; its age by our clock
    says nothing then. A market that is quiet for all of the server's terminals is no lag.
    """
    accounts = batch.accounts
    if not len(batch.prices):
        return np.zeros(len(accounts), dtype=bool)
    lag_msc: npt.NDArray[np.int64] = _newest_expected(batch) - accounts["tick_msc"]
    return (accounts["server"] >= 0) & (lag_msc > STALE_AFTER_SECONDS * 1000)


def _newest_expected(batch: ReadingBatch) -> npt.NDArray[np.int64]:
    """Return the newest tick time that each terminal should know, 0 for none.

    A terminal that shows currencies rests on a Saturday while crypto moves in another one, so that
    only symbols count that this one is sure to show: those of its positions and orders.
    """
    servers, prices = batch.accounts["server"], batch.prices
    # The last row and column take in what is unknown, numbered -1.
    newest = np.zeros((len(batch.servers) + 1, len(batch.symbols) + 1), dtype=np.int64)
    np.maximum.at(newest, (prices["server"], prices["symbol"]), prices["time_msc"])
    if batch.shows_all_symbols:
        return np.asarray(newest.max(axis=1)[servers])
    expected = np.zeros(len(servers), dtype=np.int64)
    for traded in (batch.positions, batch.orders):
        known = newest[servers[traded["account"]], traded["symbol"]]
        np.maximum.at(expected, traded["account"], known)
    return expected


def _fits_together(batch: ReadingBatch, listed: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Tell whether equity = balance + credit + profit, and profit = Σ (profit + swap).

    Written so that a number that is no number (NaN, infinity) never fits.
    """
    with np.errstate(invalid="ignore"):
        return _sums_fit(batch, listed)


def _sums_fit(batch: ReadingBatch, listed: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    accounts, positions = batch.accounts, batch.positions
    unit = 10.0 ** -accounts["currency_digits"].astype(np.float64)
    profit = accounts["profit"]
    total = accounts["balance"] + accounts["credit"] + profit
    # Doubles of this size differ in their last bits; that is no contradiction either.
    slack = 1e-12 * (np.abs(accounts["balance"]) + np.abs(profit)) + ROUNDING_UNITS * unit
    floating = np.bincount(
        positions["account"],
        weights=positions["profit"] + positions["swap"],
        minlength=len(accounts),
    )
    fits: npt.NDArray[np.bool_] = np.abs(accounts["equity"] - total) <= slack
    fits &= np.abs(floating - profit) <= slack + _PER_POSITION_UNITS * listed * unit
    for name in _MONEY_FIELDS:
        fits &= np.isfinite(accounts[name])
    return fits
