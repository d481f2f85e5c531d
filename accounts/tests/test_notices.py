from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from accounts.models import ConnectedAccount
from accounts.notices import CLOCK_TOLERANCE_SECONDS, Level, Notice, notices_of
from accounts.terminals.readings import STALE_AFTER_SECONDS
from accounts.tests.factories import NOW
from accounts.tests.states import state_of


def account_of(**fields: Any) -> ConnectedAccount:
    return ConnectedAccount(
        **{"is_demo": True, "broker_time_zone": "Europe/Prague", "currency": "EUR", **fields}
    )


def notices(age_seconds: float = 0.5, is_demo: bool = True, **fields: Any) -> dict[str, Notice]:
    state = state_of(read_at=NOW.timestamp() - age_seconds, **fields)
    found = notices_of(account_of(is_demo=is_demo), state, NOW)
    assert len({notice.kind for notice in found}) == len(found)
    return {str(notice.kind): notice for notice in found}


def test_it_says_what_kind_of_account_it_is() -> None:
    found = notices()
    assert {kind: notice.level for kind, notice in found.items()} == {
        "trade_mode": Level.INFO,
        "margin_mode": Level.INFO,
        "stop_out": Level.INFO,
    }
    assert found["trade_mode"].sentence == "This is a demo account."
    assert found["margin_mode"].sentence.startswith("Hedging")
    assert found["stop_out"].sentence == (
        "The broker closes positions by itself at a margin level of 5 % (margin call at 10 %)."
    )


def test_it_says_nothing_before_the_first_reading() -> None:
    assert notices_of(account_of(), None, NOW) == ()
    assert notices_of(account_of(), state_of(read_at=float("nan")), NOW) == ()


@pytest.mark.parametrize(
    ("trade_mode", "is_demo", "is_mismatch"),
    [(0, True, False), (0, False, True), (1, True, False), (1, False, True), (2, True, True),
     (2, False, False)],
)  # fmt: skip
def test_it_warns_when_demo_and_live_are_mixed_up(
    trade_mode: int, is_demo: bool, is_mismatch: bool
) -> None:
    found = notices(trade_mode=trade_mode, is_demo=is_demo)
    assert ("demo_mismatch" in found) is is_mismatch
    assert "real money" in found["trade_mode"].sentence or trade_mode == 0


def test_it_says_when_nobody_may_trade() -> None:
    found = notices(trade_allowed=False, algo_trading_allowed=False)
    assert found["watching_only"].level is Level.WARNING
    assert found["watching_only"].sentence.startswith("Watching only")
    assert "Algorithmic trading is switched off" in found["algo_trading_off"].sentence


@pytest.mark.parametrize(("mode", "word"), [(0, "Netting"), (1, "Exchange"), (2, "Hedging")])
def test_it_tells_netting_from_hedging(mode: int, word: str) -> None:
    assert notices(margin_mode=mode)["margin_mode"].sentence.startswith(word)


@pytest.mark.parametrize(("level", "is_warning"), [(9.9, False), (10.0, False), (10.1, True)])
def test_it_warns_of_a_stop_out_that_comes_before_a_cut_off(level: float, is_warning: bool) -> None:
    found = notices(stop_out_level=level)["stop_out"]
    assert (found.level is Level.WARNING) is is_warning
    assert f"{level:g} %" in found.sentence


def test_it_tells_a_stop_out_in_money() -> None:
    found = notices(stop_out_mode=1, stop_out_level=1500.0, stop_out_call=2000.0)["stop_out"]
    assert (found.level, "1,500.00 EUR" in found.sentence) == (Level.INFO, True)


def test_a_broker_without_a_stop_out_is_no_notice() -> None:
    assert "stop_out" not in notices(stop_out_level=0.0)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("offset", "is_told"),
    [
        (0.0, False),
        (CLOCK_TOLERANCE_SECONDS - 0.1, False),
        (CLOCK_TOLERANCE_SECONDS, False),
        (CLOCK_TOLERANCE_SECONDS + 0.1, True),
        (np.nan, False),
    ],
)
def test_it_overlooks_a_minute_and_no_more(offset: float, is_told: bool, sign: int) -> None:
    assert ("clock" in notices(clock_offset=sign * offset)) is is_told


@pytest.mark.parametrize(
    ("offset", "told"),
    [
        (3600.4, "1 h ahead of Europe/Prague"),
        (-5400.0 + CLOCK_TOLERANCE_SECONDS, "1 h 30 min behind Europe/Prague"),
        (1800.0, "30 min ahead of Europe/Prague"),
        (7200.0 - CLOCK_TOLERANCE_SECONDS, "2 h ahead of Europe/Prague"),
    ],
)
def test_a_wrong_zone_is_told_in_half_hours(offset: float, told: str) -> None:
    sentence = notices(clock_offset=offset)["clock"].sentence
    assert told in sentence
    assert "correct the account's time zone" in sentence


@pytest.mark.parametrize("offset", [3600.0 + CLOCK_TOLERANCE_SECONDS + 30.0, 240.0])
def test_what_no_zone_explains_is_a_clock_that_is_wrong(offset: float) -> None:
    sentence = notices(clock_offset=offset)["clock"].sentence
    assert "which no time zone explains" in sentence


@pytest.mark.parametrize(
    ("age", "is_told"),
    [(STALE_AFTER_SECONDS - 0.1, True), (STALE_AFTER_SECONDS, True), (STALE_AFTER_SECONDS + 0.1,
     False)],
)  # fmt: skip
def test_a_stale_reading_tells_no_time(age: float, is_told: bool) -> None:
    found = notices(age_seconds=age, clock_offset=3600.0)
    assert ("clock" in found) is is_told
    assert "stop_out" in found


def test_time_makes_no_difference_to_the_rest() -> None:
    state = state_of(read_at=NOW.timestamp())
    assert len(notices_of(account_of(), state, NOW + timedelta(days=30))) == 3
