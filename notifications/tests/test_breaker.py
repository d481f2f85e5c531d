from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from accounts.tests.factories import NOW
from notifications.delivering.breaker import (
    FAILURES_IN_A_ROW,
    LONGEST_PAUSE,
    SHORTEST_PAUSE,
    TRIAL_LASTS,
    Breaker,
    Passage,
)

MOMENT = timedelta(microseconds=1)


def broken() -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES_IN_A_ROW):
        breaker.note_failure("host", now=NOW)
    return breaker


def test_it_closes_after_three_failures_in_a_row() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_IN_A_ROW - 1):
        breaker.note_failure("host", now=NOW)
    assert breaker.passage("host", now=NOW) is Passage.OPEN
    breaker.note_answer("host")
    for _ in range(FAILURES_IN_A_ROW - 1):
        breaker.note_failure("host", now=NOW)
    assert breaker.passage("host", now=NOW) is Passage.OPEN
    breaker.note_failure("host", now=NOW)
    assert breaker.passage("host", now=NOW) is Passage.CLOSED
    assert breaker.passage("another", now=NOW) is Passage.OPEN


def test_one_letter_tries_when_the_pause_is_over() -> None:
    breaker = broken()
    ends_at = NOW + SHORTEST_PAUSE
    assert breaker.passage("host", now=ends_at - MOMENT) is Passage.CLOSED
    assert breaker.is_closed("host", now=ends_at - MOMENT)
    assert breaker.passage("host", now=ends_at) is Passage.TRIAL
    assert not breaker.is_closed("host", now=ends_at)
    assert breaker.passage("host", now=ends_at) is Passage.CLOSED
    breaker.note_answer("host")
    assert breaker.passage("host", now=ends_at) is Passage.OPEN


def test_a_trial_that_came_to_nothing_is_another_letters() -> None:
    breaker = broken()
    at = NOW + SHORTEST_PAUSE
    assert breaker.passage("host", now=at) is Passage.TRIAL
    breaker.forget_trial("host")
    assert breaker.passage("host", now=at) is Passage.TRIAL
    # And so is one whose sender was never heard of again.
    assert breaker.passage("host", now=at + TRIAL_LASTS - MOMENT) is Passage.CLOSED
    assert breaker.passage("host", now=at + TRIAL_LASTS) is Passage.TRIAL


@given(st.integers(0, 200))
def test_pauses_grow_up_to_their_longest(failed_trials: int) -> None:
    breaker = broken()
    for _ in range(failed_trials):
        breaker.note_failure("host", now=NOW)
    until = breaker.closed_until("host")
    assert until is not None
    pause_seconds = (until - NOW).total_seconds()
    longest_seconds = LONGEST_PAUSE.total_seconds()
    assert pause_seconds == min(SHORTEST_PAUSE.total_seconds() * 2**failed_trials, longest_seconds)


def test_one_user_closes_nothing_for_all() -> None:
    breaker = Breaker()
    for user in (1, 1, 1, 1, 2, 2, 2):
        breaker.note_failure("host", now=NOW, by=user)
    assert breaker.passage("host", now=NOW) is Passage.OPEN
    breaker.note_failure("host", now=NOW, by=3)
    assert breaker.passage("host", now=NOW) is Passage.CLOSED

    breaker.note_failure("host", now=NOW + MOMENT, by=3)
    assert breaker.closed_until("host") == NOW + SHORTEST_PAUSE

    # Whose trial it is that fails does not matter.
    later = NOW + SHORTEST_PAUSE
    assert breaker.passage("host", now=later) is Passage.TRIAL
    breaker.note_failure("host", now=later, by=3)
    assert breaker.closed_until("host") == later + 2 * SHORTEST_PAUSE


def test_it_closes_until_it_is_told() -> None:
    breaker = Breaker()
    breaker.close("host", until=NOW)
    assert breaker.is_closed("host", now=NOW - MOMENT)
    assert not breaker.is_closed("host", now=NOW)
