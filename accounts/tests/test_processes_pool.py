"""What a pool makes of readings that a source took earlier than it was asked."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from accounts.sessions.poll import AttemptResult
from accounts.sessions.states import Reason, SessionState
from accounts.terminals.readings import ReadingBatch
from accounts.tests.hand_made_batches import START, Desk


def looked(number: int, age_seconds: float = 0.0) -> Any:
    def spoil(batch: ReadingBatch) -> None:
        batch.accounts["look"], batch.accounts["age_seconds"] = number, age_seconds

    return spoil


def test_one_look_shown_twice_does_not_connect() -> None:
    desk = Desk()
    desk.source.spoil = looked(7)
    polls = desk.run(1.0)
    assert not any(poll.accepted_now[0] for poll in polls)
    desk.source.spoil = looked(8)
    assert desk.tick().states[0] == SessionState.CONNECTED


def test_a_look_that_was_counted_goes_on_counting() -> None:
    desk = Desk().connected()
    desk.source.spoil = looked(7)
    assert [bool(poll.accepted_now[0]) for poll in desk.run(0.6)] == [True] * 3


def test_identities_are_checked_once_per_look() -> None:
    desk = Desk().connected()
    desk.source.spoil = looked(7)
    before = int(desk.pool.table.rows["identity_checks"][0])
    desk.run(1.0)
    assert int(desk.pool.table.rows["identity_checks"][0]) == before + 1


@pytest.mark.parametrize(("age_seconds", "shown"), [(0.0, 0.0), (0.7, 0.7), (-0.5, 0.0)])
def test_the_age_of_a_look_is_part_of_its_age(age_seconds: float, shown: float) -> None:
    desk = Desk().connected()
    desk.source.spoil = looked(7, age_seconds)
    poll = desk.tick()
    assert poll.age_seconds[0] == pytest.approx(shown)
    now = START + timedelta(seconds=desk.seconds - 0.2 - shown)
    assert poll.read_at[0] == pytest.approx(now.timestamp())


def test_ages_add_up_to_a_loss() -> None:
    desk = Desk().connected()
    desk.source.spoil = looked(7, 0.9)
    desk.tick()
    read = desk.seconds - 0.2 - 0.9
    silent = np.int8(2)

    def fall_silent(batch: ReadingBatch) -> None:
        batch.accounts["outcome"] = silent

    desk.source.spoil = fall_silent
    lost = next(poll for poll in desk.run(3.0) if poll.changes)
    assert 2.0 <= lost.monotonic - read < 2.21


def test_a_login_under_way_is_no_failure_and_is_asked_again_soon() -> None:
    desk = Desk()
    desk.answer = lambda login: Reason.UNDER_WAY
    polls = desk.run(3.0)
    assert polls[-1].states[0] == SessionState.CONNECTING
    assert not any(poll.changes or poll.failed_retries for poll in polls)
    assert len(desk.attempts) == pytest.approx(5, abs=1)
    desk.answer = lambda login: Reason.NONE
    assert desk.run(1.2)[-1].states[0] == SessionState.CONNECTED


def test_a_login_under_way_that_is_too_late_changes_nothing() -> None:
    desk = Desk()
    (attempt,) = desk.pool.due(0.0, 10)
    desk.pool.table.renew(0)
    before = desk.pool.table.rows.copy()
    desk.pool.apply([AttemptResult(attempt, Reason.UNDER_WAY)], desk.now, 0.0)
    assert desk.pool.table.rows.tobytes() == before.tobytes()
