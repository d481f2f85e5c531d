from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Event
from typing import Any

import numpy as np
import pytest

from accounts.sessions.poll import AttemptResult, Poll
from accounts.sessions.states import Reason, SessionState
from accounts.terminals.link import LinkError, LinkTimeout
from accounts.terminals.readings import PRICE_DTYPE, Outcome, ReadingBatch
from accounts.tests.hand_made_batches import (
    FIRST_LOGIN,
    SERVER,
    Desk,
    HandMadeSource,
    spec,
)

CONNECTED, ERROR = SessionState.CONNECTED, SessionState.ERROR


def spoiling(row: int, **values: object) -> Any:
    """Write some fields of one account of every batch."""

    def spoil(batch: ReadingBatch) -> None:
        for name, value in values.items():
            batch.accounts[name][row] = value

    return spoil


def whole(batch: ReadingBatch) -> None:
    pass


def steps(poll: Poll) -> list[tuple[str, str, str]]:
    return [(change.from_state, change.to_state, change.reason) for change in poll.changes]


def test_it_needs_two_consistent_readings_in_a_row_to_connect() -> None:
    desk = Desk()
    first, second = desk.run(0.4)
    assert not first.accepted_now[0]
    assert first.states[0] == SessionState.CONNECTING
    assert np.isnan(first.read_at[0])
    assert first.age_seconds[0] == np.inf
    assert len(first.batch.positions) == 0
    assert second.accepted_now[0]
    assert steps(second) == [("connecting", "connected", "")]
    assert second.batch.accounts["equity"][0] == 10_048.0


def test_it_starts_to_count_again_after_a_doubtful_reading() -> None:
    desk = Desk()
    desk.tick()
    desk.source.spoil = spoiling(0, outcome=Outcome.NONE)
    desk.tick()
    desk.source.spoil = whole
    assert [bool(poll.accepted_now[0]) for poll in desk.run(0.4)] == [False, True]


@pytest.mark.parametrize(
    ("values", "rejected_after"),
    [
        ({"outcome": Outcome.SILENT}, [False, True]),
        ({"connected": False}, [False, True]),
        ({"outcome": Outcome.NONE}, [True, True]),
        ({"position_count": 3}, [True, True]),
    ],
)
def test_it_needs_two_readings_again_once_a_terminal_was_out_of_touch(
    values: dict[str, object], rejected_after: list[bool]
) -> None:
    desk = Desk().connected()
    desk.source.spoil = spoiling(0, **values)
    assert not desk.tick().accepted_now[0]
    desk.source.spoil = whole
    polls = desk.run(0.4)
    assert [bool(poll.accepted_now[0]) for poll in polls] == rejected_after
    assert polls[-1].states[0] == CONNECTED


def test_it_reads_a_torn_account_once_more_in_the_same_poll() -> None:
    desk = Desk(2).connected()
    answers = iter([1.0, 0.0])

    def tear_first(batch: ReadingBatch) -> None:
        batch.accounts["equity"][-1] += next(answers)

    desk.source.spoil = tear_first
    desk.source.reads.clear()
    poll = desk.tick()
    assert poll.accepted_now.tolist() == [True, True]
    assert desk.source.reads == [[1001, 1002], [1002]]
    assert poll.batch.accounts["equity"].tolist() == [10_048.0, 10_048.0]
    assert poll.batch.positions["account"].tolist() == [0, 1]


def test_it_reads_a_torn_account_no_third_time() -> None:
    desk = Desk().connected()
    desk.source.spoil = spoiling(0, equity=1.0)
    desk.source.reads.clear()
    assert not desk.tick().accepted_now[0]
    assert len(desk.source.reads) == 2


def test_a_hang_delays_nobody_and_leaves_the_last_reading() -> None:
    desk = Desk(3).connected()
    before = desk.tick()

    def hang(batch: ReadingBatch) -> None:
        batch.accounts["outcome"][1] = Outcome.SILENT
        batch.accounts["balance"] += 5.0
        batch.accounts["equity"] += 5.0

    desk.source.spoil = hang
    poll = desk.tick()
    assert poll.accepted_now.tolist() == [True, False, True]
    assert poll.batch.accounts["balance"].tolist() == [10_005.0, 10_000.0, 10_005.0]
    assert poll.batch.positions["account"].tolist() == [0, 1, 2]
    assert poll.batch.positions["ticket"].tolist() == [100100, 100200, 100300]
    assert poll.age_seconds.tolist() == [0.0, pytest.approx(0.2), 0.0]
    assert poll.read_at[1] == before.read_at[1]


def test_it_leaves_connected_when_the_last_reading_is_two_seconds_old() -> None:
    desk = Desk().connected()
    desk.source.spoil = spoiling(0, outcome=Outcome.SILENT)
    polls = desk.run(2.2)
    good_at = polls[0].monotonic - 0.2
    lost = next(poll for poll in polls if poll.changes)
    assert lost.monotonic - good_at == pytest.approx(2.0)
    assert steps(lost) == [("connected", "error", "no_answer")]
    assert lost.changes[0].message == Reason.NO_ANSWER.sentence
    assert lost.changes[0].is_lost
    assert lost.changes[0].next_attempt_at is not None
    assert sum(len(poll.changes) for poll in polls) == 1


def test_it_comes_back_by_itself() -> None:
    desk = Desk().connected()
    desk.source.spoil = spoiling(0, connected=False)
    desk.run(30)
    assert desk.pool.table.state(0) is ERROR
    desk.source.spoil = whole
    changes = [step for poll in desk.run(0.4) for step in steps(poll)]
    assert changes == [("error", "connected", "")]


def test_it_tells_one_error_once_however_often_it_tries() -> None:
    desk = Desk().connected()
    desk.answer = lambda login: Reason.NO_ANSWER
    desk.source.spoil = spoiling(0, outcome=Outcome.SILENT)
    polls = desk.run(120)
    assert [step for poll in polls for step in steps(poll)] == [("connected", "error", "no_answer")]
    retries = [failed.retries for poll in polls for failed in poll.failed_retries]
    assert retries == list(range(1, len(retries) + 1))
    assert len(retries) > 3


def test_another_reason_is_another_change() -> None:
    desk = Desk().connected()
    desk.source.spoil = spoiling(0, outcome=Outcome.SILENT)
    desk.run(3)
    desk.answer = lambda login: Reason.CREDENTIALS_MISSING
    changes = [step for poll in desk.run(90) for step in steps(poll)]
    assert changes == [("error", "error", "credentials_missing")]


def test_a_wrong_account_is_an_error_at_once_and_never_accepted() -> None:
    desk = Desk(2).connected()
    desk.source.spoil = spoiling(1, login=FIRST_LOGIN, balance=1.0)
    poll = desk.tick()
    assert steps(poll) == [("connected", "error", "wrong_account")]
    assert poll.accepted_now.tolist() == [True, False]
    assert poll.batch.accounts["login"][1] == FIRST_LOGIN + 1
    for later in desk.run(20):
        assert not later.accepted_now[1]
        assert later.batch.accounts["balance"][1] == 10_000.0


def test_a_wrong_server_is_a_wrong_account() -> None:
    desk = Desk().connected()
    desk.source.spoil = spoiling(0, server=1)
    assert steps(desk.tick()) == [("connected", "error", "wrong_account")]


def test_it_does_not_read_an_account_that_is_not_logged_in() -> None:
    desk = Desk(2)
    desk.answer = lambda login: Reason.WRONG_PASSWORD if login == FIRST_LOGIN + 1 else Reason.NONE
    polls = desk.run(6)
    assert all(FIRST_LOGIN + 1 not in logins for logins in desk.source.reads)
    assert polls[-1].states.tolist() == [CONNECTED, ERROR]


def test_waits_grow_with_full_jitter_up_to_a_minute() -> None:
    desk = Desk()
    desk.jitter = 1.0
    desk.answer = lambda login: Reason.TERMINAL_NOT_FOUND
    desk.run(400)
    gaps = np.diff(desk.attempts)
    assert gaps[:7].tolist() == pytest.approx([1, 2, 4, 8, 16, 32, 60])
    assert max(gaps) == pytest.approx(60)


def test_jitter_shortens_a_wait() -> None:
    desk = Desk()
    desk.jitter = 0.2
    desk.answer = lambda login: Reason.TERMINAL_NOT_FOUND
    desk.run(30)
    gaps = np.diff(desk.attempts)[:5].tolist()
    assert gaps == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2], abs=0.21)


def test_a_wrong_password_is_tried_once_more_and_then_seldom() -> None:
    desk = Desk()
    desk.jitter = 0.0
    desk.answer = lambda login: Reason.WRONG_PASSWORD
    polls = desk.run(3600)
    changes = [(poll.monotonic, *step) for poll in polls for step in steps(poll)]
    assert [change[1:] for change in changes] == [("connecting", "error", "wrong_password")]
    gaps = np.diff(desk.attempts)
    assert gaps[0] == pytest.approx(0.2)  # one retry at the next tick
    assert gaps[1:5].tolist() == pytest.approx([30, 60, 120, 240])
    assert min(gaps[5:]) == pytest.approx(300)
    desk.jitter = 1.0
    desk.run(3600)
    assert np.diff(desk.attempts)[-1] == pytest.approx(600)


def test_a_refused_login_that_succeeds_the_second_time_says_nothing() -> None:
    desk = Desk()
    answers = iter([Reason.WRONG_PASSWORD, Reason.NONE])
    desk.answer = lambda login: next(answers)
    changes = [step for poll in desk.run(3) for step in steps(poll)]
    assert changes == [("connecting", "connected", "")]


def test_a_login_without_readings_fails_after_five_seconds() -> None:
    desk = Desk()
    desk.source.spoil = spoiling(0, outcome=Outcome.NONE)
    polls = desk.run(5.2)
    assert [(poll.monotonic, *steps(poll)) for poll in polls if poll.changes] == [
        (5.0, ("connecting", "error", "unknown_answer"))
    ]


def test_it_logs_in_again_when_the_terminal_is_gone() -> None:
    desk = Desk().connected()
    desk.attempts.clear()
    desk.source.spoil = spoiling(0, outcome=Outcome.NO_TERMINAL)
    desk.tick()
    desk.source.spoil = whole
    polls = desk.run(1.6)
    assert len(desk.attempts) == 1
    assert polls[-1].accepted_now[0]
    assert not any(poll.changes for poll in polls)  # back within two seconds


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (LinkTimeout(), "no_answer"),
        (LinkError(-10004, "No IPC connection"), "terminal_not_found"),
        (ConnectionResetError(), "terminal_not_found"),
        (ValueError("a broker's own mistake"), "unknown_answer"),
    ],
)
def test_a_broker_that_is_gone_makes_everybody_stale(error: Exception, reason: str) -> None:
    desk = Desk(2).connected()
    desk.answer = lambda login: Reason.NO_ANSWER

    def fail(batch: ReadingBatch) -> None:
        raise error

    desk.source.spoil = fail
    polls = desk.run(2.0)
    assert polls[-1].states.tolist() == [ERROR, ERROR]
    assert {step[2] for step in steps(polls[-1])} == {reason}
    assert polls[-1].batch.accounts["balance"].tolist() == [10_000.0, 10_000.0]


def test_a_batch_of_another_length_counts_for_nobody() -> None:
    desk = Desk(2).connected()
    desk.source.spoil = lambda batch: replace(batch, accounts=batch.accounts[:1])
    assert not desk.tick().accepted_now.any()


def test_a_deal_is_handed_out_until_it_is_stored_and_then_never_again() -> None:
    desk = Desk(2)
    desk.source.deals = [(1002, 8), (1001, 7), (1001, 9)]
    first, second, third = desk.run(0.6)
    assert len(first.deals) == 0
    told = [(0, 7), (0, 9), (1, 8)]
    for poll in (second, third):
        assert [tuple(deal) for deal in poll.deals[["account", "ticket"]].tolist()] == told
    desk.pool.commit_cursors()
    desk.source.deals.append((1002, 10))
    assert desk.tick().deals["ticket"].tolist() == [10]
    desk.pool.commit_cursors()
    assert len(desk.tick().deals) == 0


def test_deals_of_an_account_that_is_not_accepted_wait() -> None:
    desk = Desk().connected()
    desk.source.deals = [(1001, 7)]
    desk.source.spoil = spoiling(0, position_count=9)
    assert len(desk.tick().deals) == 0
    desk.pool.commit_cursors()
    desk.source.spoil = whole
    assert desk.tick().deals["ticket"].tolist() == [7]


def test_it_goes_on_from_the_stored_cursor() -> None:
    desk = Desk(0)
    one = spec(1001)
    desk.sync(added=[one], cursors={one.account_id: 7})
    desk.source.deals = [(1001, 7), (1001, 8)]
    desk.tick()
    assert desk.tick().deals["ticket"].tolist() == [8]


def test_accounts_come_and_go() -> None:
    desk = Desk(3).connected()
    version = desk.tick().roster_version
    new = spec(2001)
    desk.sync(added=[new], removed=[desk.specs[1].account_id])
    poll = desk.tick()
    assert poll.roster_version > version
    assert poll.account_ids == (
        desk.specs[0].account_id,
        desk.specs[2].account_id,
        new.account_id,
    )
    assert poll.batch.accounts["login"].tolist() == [1001, 1003, 0]
    assert poll.batch.positions["ticket"].tolist() == [100100, 100300]
    assert desk.tick().accepted_now.tolist() == [True, True, True]


def test_a_session_that_is_no_longer_wanted_ends() -> None:
    desk = Desk().connected()
    asked = replace(desk.specs[0], is_wanted=False, state="disconnected", since=desk.now)
    desk.sync(changed=[asked])
    desk.source.reads.clear()
    poll = desk.tick()
    assert poll.states[0] == SessionState.DISCONNECTED
    assert not poll.changes  # whoever asked has logged it
    assert desk.source.reads == []
    assert poll.batch.accounts["balance"][0] == 10_000.0
    desk.run(3)
    assert desk.pool.table.state(0) is SessionState.DISCONNECTED


def test_a_person_who_presses_connect_skips_the_wait() -> None:
    desk = Desk()
    desk.jitter = 1.0
    desk.answer = lambda login: Reason.WRONG_PASSWORD
    desk.run(10)
    desk.attempts.clear()
    desk.answer = lambda login: Reason.NONE
    asked = replace(desk.specs[0], since=desk.now, reason="requested")
    desk.sync(changed=[asked])
    changes = [step for poll in desk.run(0.4) for step in steps(poll)]
    assert len(desk.attempts) == 1
    assert changes == [("connecting", "connected", "")]


def test_an_older_wish_does_not_skip_the_wait() -> None:
    desk = Desk()
    desk.answer = lambda login: Reason.WRONG_PASSWORD
    desk.run(10)
    attempts = len(desk.attempts)
    desk.sync(changed=[replace(desk.specs[0], user_id=8)])
    desk.run(1)
    assert len(desk.attempts) == attempts


def test_a_wish_that_crossed_a_success_ends_as_connected() -> None:
    desk = Desk().connected()
    desk.sync(changed=[replace(desk.specs[0], since=desk.now)])
    assert steps(desk.tick()) == [("connecting", "connected", "")]


def test_a_new_password_is_tried_at_once_and_may_end_the_session() -> None:
    desk = Desk().connected()
    desk.attempts.clear()
    desk.answer = lambda login: Reason.WRONG_PASSWORD
    desk.sync(changed=[replace(desk.specs[0], key_mark="another")])
    changes = [step for poll in desk.run(3) for step in steps(poll)]
    assert len(desk.attempts) == 2
    assert changes == [("connected", "error", "wrong_password")]


def test_an_edited_login_forgets_what_was_read_of_the_old_one() -> None:
    desk = Desk(2).connected()
    version = desk.tick().roster_version
    desk.sync(changed=[replace(desk.specs[0], login=3001, state="connected")])
    poll = desk.tick()
    assert poll.roster_version > version
    assert steps(poll) == [("connected", "connecting", "requested")]
    assert poll.batch.accounts["login"].tolist() == [0, 1002]
    assert poll.batch.positions["ticket"].tolist() == [100200]
    assert np.isnan(poll.read_at[0])
    assert desk.tick().batch.accounts["login"].tolist() == [3001, 1002]


def test_the_result_of_a_login_that_was_edited_meanwhile_is_dropped() -> None:
    desk = Desk()
    due = desk.pool.due(0.0, 10)
    desk.sync(changed=[replace(desk.specs[0], login=3001)])
    desk.pool.apply([AttemptResult(each, Reason.NONE) for each in due], desk.now, 0.0)
    assert not desk.pool.table.rows["is_authorised"][0]


def test_logins_go_out_in_batches_the_longest_waiting_first() -> None:
    desk = Desk(5)
    desk.pool.table.rows["attempt_at"] = [-1, -5, -3, -4, 1]
    logins = [attempt.login for attempt in desk.pool.due(0.0, 3)]
    assert sorted(logins) == [1002, 1003, 1004]
    assert [attempt.login for attempt in desk.pool.due(0.0, 3)] == [1001]


def test_two_users_watch_one_login() -> None:
    desk = Desk(0)
    desk.sync(added=[spec(1001, user_id=1), spec(1001, user_id=2)])
    desk.source.deals = [(1001, 7)]
    poll = desk.run(0.4)[-1]
    assert poll.accepted_now.all()
    assert poll.deals["account"].tolist() == [0, 1]


def test_it_brings_servers_and_symbols_to_numbers_of_its_own() -> None:
    desk = Desk(0)
    desk.sync(added=[spec(1001, server="Other-Live"), spec(1002)])
    desk.source.spoil = lambda batch: spoiling(0, server=1)(batch)
    desk.run(0.4)

    def reorder(batch: ReadingBatch) -> ReadingBatch:
        batch.accounts["server"] = [2, 1]
        batch.positions["symbol"] = [1, 0]
        return replace(batch, servers=("New", SERVER, "Other-Live"), symbols=("GBPUSD", "EURUSD"))

    desk.source.spoil = reorder
    poll = desk.tick()
    assert poll.accepted_now.all()
    assert poll.batch.symbols == ("EURUSD", "GBPUSD")
    assert poll.batch.positions["symbol"].tolist() == [0, 1]
    names = [poll.batch.servers[number] for number in poll.batch.accounts["server"]]
    assert names == ["Other-Live", SERVER]


def test_it_keeps_the_prices_of_a_server_that_nobody_answered_for() -> None:
    desk = Desk(2).connected()

    def with_prices(*servers: int) -> Any:
        def spoil(batch: ReadingBatch) -> ReadingBatch:
            prices = np.zeros(len(servers), dtype=PRICE_DTYPE)
            prices["server"], prices["bid"] = servers, desk.seconds
            batch.accounts["outcome"][1] = Outcome.NONE
            return replace(batch, prices=prices)

        return spoil

    desk.source.spoil = with_prices(0, 1)
    first = desk.seconds
    desk.tick()
    desk.source.spoil = with_prices(0)
    second = desk.seconds
    prices = desk.tick().batch.prices
    assert dict(zip(prices["server"].tolist(), prices["bid"].tolist(), strict=True)) == {
        0: second,
        1: first,
    }


def test_a_poll_is_not_changed_by_the_next_one() -> None:
    desk = Desk(2).connected()
    desk.source.spoil = spoiling(1, outcome=Outcome.NONE)
    poll = desk.tick()
    kept = poll.batch.accounts.copy(), poll.read_at.copy(), poll.states.copy()
    desk.source.spoil = spoiling(0, margin_free=77.0)
    desk.run(3)
    assert (poll.batch.accounts == kept[0]).all()
    assert (poll.read_at == kept[1]).all()
    assert (poll.states == kept[2]).all()


def test_a_clock_that_was_set_back_does_not_reorder_changes() -> None:
    desk = Desk(0)
    since = desk.now + timedelta(hours=1)
    desk.sync(added=[spec(1001, since=since)])
    assert desk.run(0.4)[-1].changes[0].at >= since


class StuckSource(HandMadeSource):
    """Holds each read until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Event()
        self.gate.set()
        self.begun = Event()

    def read_batch(self, logins: Any, deal_cursors: Any) -> ReadingBatch:
        self.begun.set()
        assert self.gate.wait(30)
        return super().read_batch(logins, deal_cursors)


@pytest.fixture
def stuck() -> Any:
    source = StuckSource()
    with ThreadPoolExecutor(1) as executor:
        desk = Desk(2, source, executor=executor, wait_seconds=0.02)
        yield desk, source
        source.gate.set()


def settle(desk: Desk) -> Poll:
    """Tick until the read that is under way has been used."""
    for _ in range(1000):
        poll = desk.pool.poll(desk.now, desk.seconds)
        if poll.is_read:
            return poll
        Event().wait(0.001)
    raise AssertionError("the answer never came")


def test_a_slow_answer_is_used_by_a_later_poll_as_old_as_its_question(stuck: Any) -> None:
    desk, source = stuck
    desk.tick()
    settle(desk)
    settle(desk)
    source.gate.clear()
    asked_at = desk.seconds
    poll = desk.tick()
    assert not poll.is_read
    assert not poll.accepted_now.any()
    desk.tick()
    source.gate.set()
    late = settle(desk)
    assert late.accepted_now.all()
    assert late.age_seconds.tolist() == pytest.approx([desk.seconds - asked_at] * 2)
    assert late.states.tolist() == [CONNECTED, CONNECTED]


def test_an_answer_that_took_two_seconds_is_not_used(stuck: Any) -> None:
    desk, source = stuck
    desk.tick()
    settle(desk)
    settle(desk)
    source.gate.clear()
    polls = desk.run(2.2)
    assert polls[-1].states.tolist() == [ERROR, ERROR]
    reads = len(source.reads)
    source.gate.set()
    while len(source.reads) == reads:
        Event().wait(0.001)
    Event().wait(0.01)
    assert not desk.pool.poll(desk.now, desk.seconds).accepted_now.any()


def test_it_says_when_the_broker_keeps_another_currency() -> None:
    desk = Desk()
    desk.sync(changed=[replace(desk.specs[0], currency="EUR")])
    polls = desk.run(10)
    assert not any(poll.accepted_now.any() for poll in polls)
    change = [change for poll in polls for change in poll.changes][-1]
    assert (change.to_state, change.reason) == ("error", "other_currency")
    desk.sync(changed=[replace(desk.specs[0], currency="USD")])
    desk.run(1)
    assert desk.tick().accepted_now.all()
