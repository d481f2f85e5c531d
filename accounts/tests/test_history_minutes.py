from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from accounts.history.minutes import MinuteCollector
from accounts.tests.polls import poll_of

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
IDS = (UUID(int=1), UUID(int=2))
ACCOUNTS: tuple[Any, ...] = tuple(
    SimpleNamespace(pk=key, login=100 + number) for number, key in enumerate(IDS)
)


def poll(seconds: float, equity: Any = 100.0, **options: Any) -> Any:
    options.setdefault("account_ids", IDS)
    return poll_of(ACCOUNTS, START + timedelta(seconds=seconds), equity=equity, **options)


def test_it_keeps_the_last_values_and_the_extremes_between() -> None:
    collector = MinuteCollector()
    for seconds, equity in ((0.0, 100.0), (0.2, 90.0), (30.0, 130.0), (59.8, 110.0)):
        assert collector.note(poll(seconds, [equity, 5.0])) is None
    minute = collector.note(poll(60.0, [1.0, 1.0]))
    assert minute is not None
    assert (minute.at, minute.account_ids) == (START, IDS)
    row = minute.rows[0]
    assert (row["equity_low"], row["equity_high"], row["equity"]) == (90.0, 130.0, 110.0)
    assert (row["readings"], row["position_count"], row["margin"]) == (4, 2, 12.5)
    [second] = [minute.rows[1]]
    assert (second["equity_low"], second["equity_high"]) == (5.0, 5.0)


@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.booleans()), min_size=1, max_size=30))
def test_it_counts_accepted_readings_and_no_other(ticks: list[tuple[float, bool]]) -> None:
    collector = MinuteCollector()
    for number, (equity, is_accepted) in enumerate(ticks):
        accepted = [is_accepted, False]
        assert collector.note(poll(number * 0.2, equity, accepted=accepted)) is None
    minute = collector.take()
    seen = [equity for equity, is_accepted in ticks if is_accepted]
    if not seen:
        assert minute is None
        return
    assert minute is not None
    assert minute.account_ids == IDS[:1]
    [row] = minute.rows
    assert (row["equity_low"], row["equity_high"]) == (min(seen), max(seen))
    assert (row["equity"], row["readings"]) == (seen[-1], len(seen))


def test_a_minute_without_readings_is_a_gap() -> None:
    collector = MinuteCollector()
    collector.note(poll(0.0))
    assert collector.note(poll(60.0, accepted=False)) is not None
    assert collector.note(poll(120.0, accepted=False)) is None
    assert collector.note(poll(180.0)) is None


def test_it_keeps_what_it_knows_when_accounts_come_and_go() -> None:
    collector = MinuteCollector()
    collector.note(poll(0.0, [100.0, 50.0]))
    moved = (IDS[1], UUID(int=3))
    accounts = (ACCOUNTS[1], SimpleNamespace(pk=moved[1], login=300))
    collector.note(poll_of(accounts, START, equity=[40.0, 7.0], account_ids=moved))
    minute = collector.take()
    assert minute is not None
    assert minute.account_ids == moved
    assert minute.rows["equity_high"].tolist() == [50.0, 7.0]
    assert minute.rows["readings"].tolist() == [2, 1]


def test_another_login_begins_another_curve() -> None:
    collector = MinuteCollector()
    collector.note(poll(0.0, 100.0))
    collector.note(poll(1.0, 40.0, server=1))
    minute = collector.take()
    assert minute is not None
    assert minute.rows["equity_high"].tolist() == [40.0, 40.0]
    assert minute.rows["readings"].tolist() == [1, 1]
    assert minute.servers[int(minute.rows["server"][0])] == "Other-Live"
