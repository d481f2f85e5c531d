"""What a trader should know about an account once it is connected, each in a sentence.

Pure: made from the account's row and the last state that a tick left; no state, nothing to say.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from accounts.core.kinds import MarginMode, StopOutMode, TradeMode
from accounts.figures import amount
from accounts.hot_state import AccountState
from accounts.terminals.readings import STALE_AFTER_SECONDS

# Where everybody's margin cut-off begins (DOMAIN: liquidation). One below the broker's own stop out
# comes too late.
CUT_OFF_PERCENT = 10.0
# Ticks come late and clocks of machines drift; a zone that is wrong is wrong by half an hour.
CLOCK_TOLERANCE_SECONDS = 60.0
_HALF_HOUR_SECONDS = 1800


class Level(StrEnum):
    INFO = "info"
    WARNING = "warning"


class NoticeKind(StrEnum):
    TRADE_MODE = "trade_mode"
    DEMO_MISMATCH = "demo_mismatch"
    WATCHING_ONLY = "watching_only"
    ALGO_TRADING_OFF = "algo_trading_off"
    MARGIN_MODE = "margin_mode"
    STOP_OUT = "stop_out"
    CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class Notice:
    kind: NoticeKind
    level: Level
    sentence: str


class Account(Protocol):
    """What notices ask of an account's row."""

    is_demo: bool
    broker_time_zone: str
    currency: str


_TRADE_MODES = {
    TradeMode.DEMO: "This is a demo account.",
    TradeMode.CONTEST: "This is a contest account: no real money.",
    TradeMode.REAL: "This is a live account: real money.",
}
_MARGIN_MODES = {
    MarginMode.NETTING: (
        "Netting: one position per symbol; an opposite trade reduces or turns it."
    ),
    MarginMode.EXCHANGE: (
        "Exchange netting: one position per symbol; an opposite trade reduces or turns it."
    ),
    MarginMode.HEDGING: "Hedging: opposite positions in one symbol stand side by side.",
}


def notices_of(
    account: Account,
    state: AccountState | None,
    now: datetime,
    *,
    cut_off_percent: float = CUT_OFF_PERCENT,
) -> tuple[Notice, ...]:
    """Return what matters about a connected account, the most general first.

    `cut_off_percent` is the margin level at which its user wants it to be liquidated.

    Empty as long as no reading was ever accepted. What a reading said of the account stays said
    when it is stale, but the clock is compared with a live one only.
    """
    if state is None or math.isnan(float(state.account["read_at"])):
        return ()
    is_live = now.timestamp() - float(state.account["read_at"]) <= STALE_AFTER_SECONDS
    found = (
        *_trade_mode(account, state),
        *_rights(state),
        *_margin_mode(state),
        _stop_out(account, state, cut_off_percent),
        _clock(account, float(state.account["clock_offset"])) if is_live else None,
    )
    return tuple(notice for notice in found if notice is not None)


def _trade_mode(account: Account, state: AccountState) -> list[Notice]:
    mode = int(state.account["trade_mode"])
    if mode not in _TRADE_MODES:
        return []
    notices = [Notice(NoticeKind.TRADE_MODE, Level.INFO, _TRADE_MODES[TradeMode(mode)])]
    if account.is_demo == (mode == TradeMode.REAL):
        told, entered = ("live", "demo") if mode == TradeMode.REAL else ("not live", "live")
        sentence = (
            f"The broker says that this account is {told}, but here it is entered as {entered}:"
            " edit the account."
        )
        notices.append(Notice(NoticeKind.DEMO_MISMATCH, Level.WARNING, sentence))
    return notices


def _rights(state: AccountState) -> list[Notice]:
    notices = []
    if not state.account["trade_allowed"]:
        sentence = (
            "Watching only: the broker lets nobody trade with this login. It is the investor"
            " password, or trading is switched off for the account."
        )
        notices.append(Notice(NoticeKind.WATCHING_ONLY, Level.WARNING, sentence))
    if not state.account["algo_trading_allowed"]:
        sentence = (
            "Algorithmic trading is switched off in the terminal: TradeGuard can watch the account,"
            " but the terminal takes no order from it."
        )
        notices.append(Notice(NoticeKind.ALGO_TRADING_OFF, Level.WARNING, sentence))
    return notices


def _margin_mode(state: AccountState) -> list[Notice]:
    mode = int(state.account["margin_mode"])
    if mode not in _MARGIN_MODES:
        return []
    return [Notice(NoticeKind.MARGIN_MODE, Level.INFO, _MARGIN_MODES[MarginMode(mode)])]


def _stop_out(account: Account, state: AccountState, cut_off_percent: float) -> Notice | None:
    mode = int(state.account["stop_out_mode"])
    level, call = float(state.account["stop_out_level"]), float(state.account["stop_out_call"])
    if not math.isfinite(level) or level <= 0:
        return None
    if mode == StopOutMode.MONEY:
        sentence = (
            f"The broker closes positions by itself when equity falls to"
            f" {amount(level)} {account.currency} (margin call at {amount(call)}"
            f" {account.currency})."
        )
        return Notice(NoticeKind.STOP_OUT, Level.INFO, sentence)
    if mode != StopOutMode.PERCENT:
        return None
    sentence = (
        f"The broker closes positions by itself at a margin level of {_percent(level)}"
        f" (margin call at {_percent(call)})."
    )
    if level <= cut_off_percent:
        return Notice(NoticeKind.STOP_OUT, Level.INFO, sentence)
    above = f" That is above {_percent(cut_off_percent)}: a cut-off there would come too late."
    return Notice(NoticeKind.STOP_OUT, Level.WARNING, sentence + above)


def _clock(account: Account, offset_seconds: float) -> Notice | None:
    """Say that the broker's clock is not the account's; NaN and small differences say nothing."""
    if not abs(offset_seconds) > CLOCK_TOLERANCE_SECONDS:
        return None
    half_hours = round(offset_seconds / _HALF_HOUR_SECONDS) * _HALF_HOUR_SECONDS
    direction = "ahead of" if offset_seconds > 0 else "behind"
    is_zone = half_hours and abs(offset_seconds - half_hours) <= CLOCK_TOLERANCE_SECONDS
    if is_zone:
        sentence = (
            f"The broker's clock is {_hours(abs(half_hours))} {direction}"
            f" {account.broker_time_zone}: correct the account's time zone, or its trading days"
            " and the times of its deals are wrong."
        )
    else:
        sentence = (
            f"The broker's clock is {_hours(abs(round(offset_seconds)))} {direction}"
            f" {account.broker_time_zone}, which no time zone explains: check the clock of the"
            " machine with the terminal."
        )
    return Notice(NoticeKind.CLOCK, Level.WARNING, sentence)


def _percent(value: float) -> str:
    return f"{value:g} %"


def _hours(seconds: int) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    parts = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes)
    return " ".join(parts)
