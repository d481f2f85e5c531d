from datetime import timedelta

import pytest

from accounts.tests.factories import NOW
from notifications.delivering.pace import REMEMBERED, SLOW_AFTER, Pace

MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize(("more", "slow"), [(-MOMENT, []), (timedelta(), [1]), (MOMENT, [1])])
def test_who_takes_long_is_slow(more: timedelta, slow: list[int]) -> None:
    pace = Pace()
    pace.note("webhook", 1, took=SLOW_AFTER + more, now=NOW)
    assert pace.slow("webhook", now=NOW) == slow
    assert pace.slow("email", now=NOW) == []


@pytest.mark.parametrize(("early", "slow"), [(MOMENT, [1]), (timedelta(), []), (-MOMENT, [])])
def test_it_remembers_for_minutes(early: timedelta, slow: list[int]) -> None:
    pace = Pace()
    pace.note("webhook", 1, took=SLOW_AFTER, now=NOW)
    pace.note("webhook", 1, took=timedelta(), now=NOW + timedelta(minutes=1))
    assert pace.slow("webhook", now=NOW + REMEMBERED - early) == slow


def test_those_who_are_slow_take_turns() -> None:
    pace = Pace()
    for user, took in [(1, SLOW_AFTER), (2, SLOW_AFTER), (3, SLOW_AFTER), (1, timedelta())]:
        pace.note("webhook", user, took=took, now=NOW)
    assert pace.slow("webhook", now=NOW) == [2, 3, 1]


def test_one_sender_at_a_time_works_for_them() -> None:
    pace = Pace()
    assert pace.enter("webhook")
    assert not pace.enter("webhook")
    assert pace.enter("web_push")
    pace.leave("webhook")
    assert pace.enter("webhook")
