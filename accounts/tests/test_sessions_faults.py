"""The sessions against the simulated trade server, with everything that can go wrong there."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.sessions.poll import AttemptResult, Poll, RosterChange
from accounts.sessions.pool import SessionPool
from accounts.sessions.states import Reason, SessionState, reason_of_code
from accounts.sessions.table import SessionSpec
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.terminals.simulated.server import TradeServer
from accounts.terminals.simulated.service.client import BrokerError

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SERVER = "Example-Demo"
LOGINS = (1001, 1002, 1003)
TICK_SECONDS = 0.2


class LiveDesk:
    """Three accounts with a position each on a trade server whose prices the test moves."""

    def __init__(self) -> None:
        self.seconds = self.set_back_seconds = 0.0
        self.server = TradeServer(clock=lambda: self.now().timestamp(), feed=False)
        for login in LOGINS:
            self.server.create_account(login, f"secret-{login}", SERVER, "A", deposit=10_000.0)
            assert self.order(login) == mt5.TRADE_RETCODE_DONE
        self.pool = SessionPool("local", self.server, random=lambda: 0.5)
        specs = [
            SessionSpec(
                uuid4(),
                7,
                "A",
                login,
                SERVER,
                "USD",
                "",
                True,
                "connecting",
                START,
                "",
                "",
                0,
                None,
            )
            for login in LOGINS
        ]
        self.pool.sync(RosterChange(added=specs), {}, START, 0.0)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds - self.set_back_seconds)

    def order(self, login: int) -> int:
        request = {
            "action": mt5.TRADE_ACTION_DEAL,
            "symbol": "EURUSD",
            "volume": 0.1,
            "type": mt5.ORDER_TYPE_BUY,
            "price": 0.0,
            "deviation": 100,
        }
        return int(self.server.call("order_send", login, request)[0])

    def tick(self) -> Poll:
        now = self.now()
        due = self.pool.due(self.seconds, 100)
        codes = self.server.authorise_many(
            [(attempt.login, f"secret-{attempt.login}", attempt.server) for attempt in due]
        )
        reasons = [Reason.NONE if code == 1 else reason_of_code(code) for code in codes]
        self.pool.apply(map(AttemptResult, due, reasons), now, self.seconds)
        poll = self.pool.poll(now, self.seconds)
        self.pool.commit_cursors()
        self.seconds = round(self.seconds + TICK_SECONDS, 6)
        return poll

    def run(self, seconds: float) -> list[Poll]:
        return [self.tick() for _ in range(round(seconds / TICK_SECONDS))]


@pytest.fixture
def desk() -> LiveDesk:
    desk = LiveDesk()
    desk.run(0.4)
    return desk


def test_it_reads_what_the_server_keeps(desk: LiveDesk) -> None:
    poll = desk.tick()
    assert poll.accepted_now.all()
    assert poll.batch.accounts["login"].tolist() == list(LOGINS)
    assert poll.batch.accounts["balance"].tolist() == [10_000.0] * 3
    assert poll.batch.positions["account"].tolist() == [0, 1, 2]


def test_it_hands_out_each_deal_once(desk: LiveDesk) -> None:
    desk.server.deposit(1002, 500.0)
    poll = desk.tick()
    assert poll.deals[["account", "profit"]].tolist() == [(1, 500.0)]
    assert len(desk.tick().deals) == 0


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (FaultKind.DISCONNECT_TERMINAL, "terminal_not_found"),
        (FaultKind.CRASH_TERMINAL, "terminal_not_found"),
        (FaultKind.CUT_FROM_BROKER, "broker_connection_lost"),
        (FaultKind.NONE, "unknown_answer"),
        (FaultKind.EMPTY, "empty_answer"),
        (FaultKind.TORN, "torn_reading"),
        (FaultKind.HANG, "no_answer"),
        (FaultKind.WRONG_ACCOUNT, "wrong_account"),
    ],
)
def test_a_fault_ends_the_session_with_its_reason_and_passes(
    desk: LiveDesk, kind: FaultKind, reason: str
) -> None:
    before = desk.tick()
    desk.server.set_fault(1002, kind)
    desk.server.set_prices("EURUSD", 1.2, 1.2001)
    polls = desk.run(3)
    for poll in polls:
        assert poll.accepted_now.tolist() == [True, False, True]
        assert poll.batch.accounts["equity"][1] == before.batch.accounts["equity"][1]
        assert poll.read_at[1] == before.read_at[1]
    assert polls[-1].batch.accounts["equity"][0] != before.batch.accounts["equity"][0]
    assert polls[-1].states[1] == SessionState.ERROR
    (first, *_) = [change for poll in polls for change in poll.changes]
    assert (first.from_state, first.to_state, first.reason) == ("connected", "error", reason)
    desk.server.clear_fault(1002)
    changes = [change for poll in desk.run(70) for change in poll.changes]
    assert [change.is_restored for change in changes] == [True]
    assert desk.tick().accepted_now.all()


def test_a_reading_torn_once_is_read_again(desk: LiveDesk) -> None:
    desk.server.set_fault(1002, FaultKind.TORN, once=True)
    assert desk.tick().accepted_now.all()


@pytest.mark.parametrize("set_back_seconds", [0.0, 1.0, 3600.0, 86_400.0])
@pytest.mark.parametrize("moving_symbol", ["EURUSD", "GBPUSD"])
def test_a_stuck_terminal_that_believes_to_be_connected_is_found_out(
    desk: LiveDesk, moving_symbol: str, set_back_seconds: float
) -> None:
    def run(ticks: int) -> list[Poll]:
        polls = []
        for number in range(ticks):
            desk.server.set_prices(moving_symbol, 1.2 + number / 1e4, 1.2001 + number / 1e4)
            polls.append(desk.tick())
        return polls

    run(1)
    desk.set_back_seconds = set_back_seconds
    assert all(poll.accepted_now.all() for poll in run(9)), "a set clock makes nobody old"
    desk.server.set_fault(1002, FaultKind.CACHED)
    polls = run(25)
    # Up to two seconds behind is as good as up to two seconds old.
    assert [bool(poll.accepted_now[1]) for poll in polls] == [True] * 10 + [False] * 15
    assert polls[9].states[1] == SessionState.CONNECTED
    assert polls[10].states[1] == SessionState.ERROR
    assert [change.reason for poll in polls for change in poll.changes] == ["prices_behind"]
    for poll in polls[10:]:
        assert poll.age_seconds[1] >= 2.0
        assert poll.now.timestamp() - poll.read_at[1] >= 2.0
        assert poll.accepted_now.tolist() == [True, False, True]
    desk.server.clear_fault(1002)
    assert not run(1)[0].accepted_now[1]
    assert run(1)[0].accepted_now.all()


def test_a_market_that_stands_still_makes_nobody_old(desk: LiveDesk) -> None:
    assert all(poll.accepted_now.all() for poll in desk.run(10))


def test_a_crashed_terminal_is_started_again(desk: LiveDesk) -> None:
    desk.server.add_fault(1002, FaultKind.CRASH_TERMINAL, times=1)
    polls = desk.run(6)
    assert not polls[0].accepted_now[1]
    assert polls[-1].accepted_now.all()
    # It was back, and proven twice, before its last reading had grown old.
    assert [change for poll in polls for change in poll.changes] == []


@pytest.mark.parametrize(
    ("kind", "details", "reason"),
    [
        (FaultKind.LATENCY, {"median_seconds": 0.5}, "no_answer"),
        (FaultKind.TIMEOUT_AFTER, {"calls": ("positions",)}, "no_answer"),
        (FaultKind.NONE, {"calls": ("history_deals",)}, "unknown_answer"),
        (FaultKind.EMPTY, {"calls": ("positions",)}, "empty_answer"),
    ],
)
def test_a_part_of_a_reading_that_fails_is_no_reading(
    desk: LiveDesk, kind: FaultKind, details: dict[str, Any], reason: str
) -> None:
    desk.server.add_fault(1002, kind, **details)
    polls = desk.run(3)
    assert {tuple(poll.accepted_now.tolist()) for poll in polls} == {(True, False, True)}
    assert [change.reason for poll in polls for change in poll.changes] == [reason]


def test_faults_of_orders_leave_readings_alone(desk: LiveDesk) -> None:
    kinds = (FaultKind.REJECT, FaultKind.REQUOTE, FaultKind.TIMEOUT_BEFORE, FaultKind.LATE,
             FaultKind.PARTIAL_FILL, FaultKind.SLIPPAGE, FaultKind.COMMENT_REWRITTEN)  # fmt: skip
    for kind in kinds:
        desk.server.add_fault(None, kind)
    assert all(poll.accepted_now.all() for poll in desk.run(3))


def test_faults_that_come_and_go_at_random_let_nothing_unproven_through(desk: LiveDesk) -> None:
    desk.server.random_faults(11, dict.fromkeys(FAULTS, 0.05))
    accepted = 0
    for poll in desk.run(60):
        assert_proven(desk, poll)
        accepted += int(poll.accepted_now.sum())
    assert 100 < accepted < 900
    desk.server.clear_faults()
    desk.run(70)
    assert desk.tick().accepted_now.all()


def test_an_investor_and_a_trader_watch_the_same_login(desk: LiveDesk) -> None:
    desk.server.create_account(
        1009, "secret-1009", SERVER, "B", deposit=100.0, investor_password="look"
    )
    host, other = desk.server.terminal(), desk.server.terminal()
    assert host.call("authorise_many", [(1009, "look", SERVER)]) == [1]
    assert other.call("authorise_many", [(1009, "secret-1009", SERVER)]) == [1]
    cursors = np.zeros(1, dtype=np.int64)
    allowed = [
        bool(line.call("read_batch", np.array([1009]), cursors)["accounts"]["trade_allowed"][0])
        for line in (host, other)
    ]
    assert allowed == [False, True]


def test_a_broker_that_fails_at_a_read_says_nothing_of_its_terminals(
    desk: LiveDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise BrokerError("MemoryError")

    monkeypatch.setattr(desk.server, "read_batch", fail)
    reasons = {change.reason for poll in desk.run(3) for change in poll.changes}
    assert reasons == {"unknown_answer"}
    monkeypatch.undo()
    assert desk.run(0.4)[-1].accepted_now.all()


def test_a_changed_password_at_the_broker_shows_at_the_next_login(desk: LiveDesk) -> None:
    desk.server.change_password(1002, "another")
    desk.server.set_fault(1002, FaultKind.DISCONNECT_TERMINAL)
    desk.tick()
    desk.server.clear_fault(1002)
    desk.run(120)
    row = desk.pool.table.rows[1]
    assert row["state"] == SessionState.ERROR
    assert desk.pool.table.reason(1) == "wrong_password"


# The faults that a reading shows; the others concern orders, or whether an answer is in time.
FAULTS = [
    FaultKind.DISCONNECT_TERMINAL,
    FaultKind.CRASH_TERMINAL,
    FaultKind.HANG,
    FaultKind.CUT_FROM_BROKER,
    FaultKind.NONE,
    FaultKind.EMPTY,
    FaultKind.TORN,
    FaultKind.WRONG_ACCOUNT,
]
ACTIONS = st.one_of(
    st.tuples(st.sampled_from(FAULTS), st.sampled_from(LOGINS)),
    st.tuples(st.sampled_from(["torn once", "clear", "deposit", "order"]), st.sampled_from(LOGINS)),
    st.tuples(st.just("price"), st.integers(10_000, 13_000)),
)
TICKS = st.sampled_from([0, 1, 1, 2, 3, 12, 40])


@given(st.lists(st.tuples(ACTIONS, TICKS), min_size=1, max_size=15), TICKS)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_no_sequence_of_faults_lets_an_unproven_reading_through(
    actions: list[tuple[tuple[FaultKind | str, int], int]], first_ticks: int
) -> None:
    desk = LiveDesk()
    faulty: dict[int, FaultKind] = {}
    told = observe(desk, first_ticks, faulty)
    for (action, number), ticks in actions:
        if isinstance(action, FaultKind):
            faulty[number] = action
            desk.server.set_fault(number, action)
        elif action == "price":
            desk.server.set_prices("EURUSD", number / 1e4, number / 1e4 + 1e-4)
        elif action == "clear":
            faulty.pop(number, None)
            desk.server.clear_fault(number)
        elif action == "deposit":
            desk.server.deposit(number, 100.0)
        elif number not in faulty:
            carry_out(desk, action, number)
        told += observe(desk, ticks, faulty)
    told += observe(desk, 3, faulty)
    assert len(told) == len(set(told))


def carry_out(desk: LiveDesk, action: str, login: int) -> None:
    if action == "order":
        desk.order(login)
    else:
        desk.server.set_fault(login, FaultKind.TORN, once=True)


def observe(desk: LiveDesk, ticks: int, faulty: dict[int, FaultKind]) -> list[int]:
    """Run some ticks, judge each, and return the tickets of the deals that they told."""
    polls = desk.run(ticks * TICK_SECONDS)
    for poll in polls[-1:]:
        assert_proven(desk, poll)
    for poll in polls:
        assert not set(np.flatnonzero(poll.accepted_now)) & rows_that_lie(poll, faulty)
        is_connected = poll.states == SessionState.CONNECTED
        assert not (is_connected & (poll.age_seconds >= 2.0)).any()
        assert not (poll.accepted_now & ~is_connected).any()
    return [ticket for poll in polls for ticket in poll.deals["ticket"].tolist()]


def rows_that_lie(poll: Poll, faulty: dict[int, FaultKind]) -> set[int]:
    margin = poll.batch.accounts["margin"]
    return {
        row
        for row, login in enumerate(LOGINS)
        # An account without positions that shows none is not lying.
        if login in faulty and (faulty[login] is not FaultKind.EMPTY or margin[row] > 0.0)
    }


def assert_proven(desk: LiveDesk, poll: Poll) -> None:
    """Fail unless each accepted reading is what the server keeps, and the others stay old."""
    truth = {row["login"]: row for row in desk.server.accounts()}
    accounts = poll.batch.accounts
    for row, login in enumerate(LOGINS):
        if poll.accepted_now[row]:
            assert accounts["login"][row] == login
            assert accounts["balance"][row] == pytest.approx(truth[login]["balance"])
            assert accounts["equity"][row] == pytest.approx(truth[login]["equity"])
            assert poll.age_seconds[row] == 0.0
        else:
            assert accounts["login"][row] in (0, login)
            assert poll.age_seconds[row] > 0.0
