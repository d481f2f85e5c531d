from collections.abc import Callable
from concurrent.futures import Executor, Future
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch
from uuid import UUID

import numpy as np
import pytest

from accounts.market_history import HistoryUnavailableError
from accounts.terminals.readings import DEAL_DTYPE, POSITION_DTYPE
from risk import missed_resets
from risk.missed_resets import (
    MOST_UNDER_WAY,
    RETRY_AFTER_FAULT_SECONDS,
    RETRY_SECONDS,
    MissedResets,
    ResetRequest,
    work_out_reset,
)

RESET = datetime(2026, 11, 18, 13, 0, tzinfo=UTC).timestamp()


class Later(Executor):
    """Runs a job when it is told to."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.jobs.append((future, lambda: fn(*args, **kwargs)))
        return future

    def run(self) -> None:
        for future, job in self.jobs:
            try:
                future.set_result(job())
            except Exception as error:
                future.set_exception(error)
        self.jobs.clear()


class Source:
    def __init__(self, **answers: Any) -> None:
        self.answers = {"history_deals": [], **answers}

    def call(self, method: str, *_arguments: Any) -> Any:
        return self.answers[method]


def request(number: int = 1, **fields: Any) -> ResetRequest:
    values: dict[str, Any] = {
        "account_id": UUID(int=number),
        "login": number,
        "reset": RESET,
        "broker_zone": UTC,
        "last_deal": 100,
        "positions": np.zeros(0, POSITION_DTYPE),
        "symbols": ("EURUSD",),
    }
    return ResetRequest(**{**values, **fields})


@pytest.fixture
def later() -> Later:
    return Later()


def test_it_works_one_reset_out_at_a_time(later: Later) -> None:
    missed = MissedResets(Source(), later)
    assert missed.may_ask(request().key, 0.0)
    missed.ask(request())
    assert not missed.may_ask(request().key, 0.0)
    assert missed.take_answers(0.0) == []
    later.run()
    (answer,) = missed.take_answers(0.0)
    assert answer.request.key == request().key
    assert missed.take_answers(0.0) == []
    assert missed.may_ask(request().key, 0.0)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (HistoryUnavailableError("gone"), RETRY_SECONDS),
        (ZeroDivisionError(), RETRY_AFTER_FAULT_SECONDS),
    ],
)
def test_it_waits_before_it_asks_again(later: Later, error: Exception, seconds: float) -> None:
    missed = MissedResets(Source(), later)
    with patch.object(missed_resets, "deals_between", side_effect=error):
        missed.ask(request())
        later.run()
    assert missed.take_answers(10.0) == []
    key = request().key
    assert not missed.may_ask(key, 10.0 + seconds - 0.001)
    assert missed.may_ask(key, 10.0 + seconds)
    missed.take_answers(10.0 + seconds)
    assert missed._not_before == {}


def test_it_has_no_room_for_more_than_are_worked_on_soon(later: Later) -> None:
    missed = MissedResets(Source(), later)
    for number in range(MOST_UNDER_WAY):
        assert missed.has_room
        missed.ask(request(number))
    assert not missed.has_room
    later.run()
    assert len(missed.take_answers(0.0)) == MOST_UNDER_WAY
    assert missed.has_room


def deal_row(ticket: int, **fields: Any) -> tuple[Any, ...]:
    values: dict[str, Any] = {"time_msc": 0, "type": 2, "entry": 0, "profit": 1.0, **fields}
    return (
        *(ticket, 0, 0, values["time_msc"], values["type"], values["entry"], 0, 0, 0),
        *(0.0, 0.0, 0.0, 0.0, values["profit"], 0.0, ""),
    )


def test_it_leaves_out_deals_that_the_tick_has_not_seen() -> None:
    source = Source(history_deals=[deal_row(ticket) for ticket in (99, 100, 101)])
    assert work_out_reset(source, request()).deals["ticket"].tolist() == [99, 100]


def test_it_finds_nothing_floating_when_nothing_was_open() -> None:
    floating = work_out_reset(Source(), request()).floating
    assert floating is not None
    assert (floating.lower, floating.upper) == (0.0, 0.0)


def symbol_info(tick_size: float) -> list[float]:
    row = [0.0] * 96
    row[44], row[47], row[48] = 0.00001, 1.0, tick_size
    return row


def bars(*minutes: float) -> Any:
    names = ("time", "open", "high", "low", "close", "tick_volume", "spread", "real_volume")
    table = np.zeros(len(minutes), [(name, "<f8") for name in names])
    table["time"], table["low"], table["high"] = minutes, 1.1, 1.102
    return table


@pytest.mark.parametrize(
    ("tick_size", "minutes", "upper"),
    [(0.00001, (RESET,), 200.0), (0.0, (RESET,), None), (0.00001, (), None)],
)
def test_it_values_what_was_open_or_says_that_it_cannot(
    tick_size: float, minutes: tuple[float, ...], upper: float | None
) -> None:
    position = np.zeros(1, POSITION_DTYPE)
    position["ticket"] = position["identifier"] = 7
    position["volume"], position["price_open"] = 1.0, 1.1
    source = Source(symbol_info=symbol_info(tick_size), rates=bars(*minutes))
    floating = work_out_reset(source, request(positions=position)).floating
    assert (floating and floating.upper) == (upper and pytest.approx(upper))


def test_it_knows_no_symbol_without_a_number() -> None:
    position = np.zeros(1, POSITION_DTYPE)
    position["symbol"], position["volume"], position["price_open"] = -1, 1.0, 1.1
    assert work_out_reset(Source(), request(positions=position)).floating is None


def test_it_reads_deals_in_the_layout_of_the_readings() -> None:
    assert work_out_reset(Source(), request()).deals.dtype == DEAL_DTYPE
