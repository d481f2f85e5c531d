"""What the answers to an order mean: MetaTrader's TRADE_RETCODE_*, each as a plain sentence."""

from typing import Final

REQUOTE: Final = 10004
PLACED: Final = 10008
DONE: Final = 10009
DONE_PARTIAL: Final = 10010
MARKET_CLOSED: Final = 10018
NO_CHANGES: Final = 10025
INVALID_ORDER: Final = 10035
POSITION_CLOSED: Final = 10036

SUCCESSES: Final = frozenset({PLACED, DONE, DONE_PARTIAL})
# The price was another one when the order arrived: worth another look at it.
PRICE_MOVED: Final = frozenset({REQUOTE, 10020, 10021})
# It may have been carried out all the same: the answer came from nobody who knows.
IN_DOUBT: Final = frozenset({10011, 10012, 10031})
# The terminal or the broker's server takes no orders of programs.
ALGO_TRADING_OFF: Final = frozenset({10026, 10027})
# What is refused by the terminal itself, before any broker sees it.
BY_TERMINAL: Final = frozenset({10027, 10031})
# What an order was to change or delete is there no longer.
MAYBE_GONE: Final = frozenset({10013, INVALID_ORDER, POSITION_CLOSED})

_SENTENCES: Final = {
    REQUOTE: "The price moved while the order was on its way.",
    10006: "The broker rejected the order.",
    10007: "The order was cancelled.",
    PLACED: "The broker has taken the order in.",
    DONE: "Done.",
    DONE_PARTIAL: "Only a part of the volume could be filled.",
    10011: "The broker could not process the order.",
    10012: "The broker did not answer in time.",
    10013: "The broker takes the order for an invalid one.",
    10014: "The broker does not accept this volume.",
    10015: "The broker does not accept this price.",
    10016: "The stop loss or take profit is too close to the price, or on its wrong side.",
    10017: "Trading is disabled for this account or symbol.",
    MARKET_CLOSED: "The market is closed.",
    10019: "There is not enough free margin.",
    10020: "The price changed while the order was on its way.",
    10021: "There are no quotes for this symbol now.",
    10022: "The broker does not accept this time of expiry.",
    10023: "The order changed in the meantime.",
    10024: "Too many requests came in too short a time.",
    NO_CHANGES: "It is as it should be already.",
    10026: "The broker's server does not take orders of programs.",
    10027: "Algo trading is switched off in the terminal.",
    10028: "The broker is working on the order and lets nobody change it.",
    10029: "The price is too close: the broker has frozen the order or position.",
    10030: "The broker does not offer this way of filling an order.",
    10031: "The terminal has no connection to the broker.",
    10032: "This is possible on real accounts only.",
    10033: "The account has as many pending orders as the broker allows.",
    10034: "The broker's limit of volume for this symbol is reached.",
    INVALID_ORDER: "The broker does not take this type of order for this symbol.",
    POSITION_CLOSED: "The position is closed already.",
    10038: "The volume is larger than that of the position.",
    10039: "Another order to close this position is under way.",
    10040: "The account has as many positions as the broker allows.",
    10041: "The order is being carried out and can no longer be cancelled.",
    10042: "Only long positions may be opened in this symbol.",
    10043: "Only short positions may be opened in this symbol.",
    10044: "Positions of this symbol may only be closed.",
    10045: "The broker wants the oldest position closed first.",
    10046: "The broker does not allow opposite positions in this symbol.",
}


def sentence_of(retcode: int, comment: str = "") -> str:
    """Return what a retcode says; one that nobody knows with the broker's own words."""
    known = _SENTENCES.get(retcode)
    if known is not None:
        return known
    said = f": {comment}" if comment else ""
    return f"The broker answered {retcode}{said}."
