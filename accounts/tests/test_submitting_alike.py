"""Orders that hardly differ: each is sent once, and told of exactly once however it ends."""

import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from pathlib import Path
from threading import Condition
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.core.right_of_way import LONGEST_SECONDS, RIGHT_OF_WAY
from accounts.terminals.alike import AlikeOrders, ToldOnce, submit_singly
from accounts.terminals.codes import CALL_FAILED, INVALID_PARAMS, IPC_NO_CONNECTION, IPC_TIMEOUT
from accounts.terminals.link import LinkError
from accounts.terminals.registry import NoTerminals
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.terminals.simulated.link import CODE_RECEIVE_FAILED
from accounts.terminals.simulated.service.answers import answer_of
from accounts.terminals.simulated.service.client import RemoteBroker
from accounts.terminals.simulated.service.pipelined_line import PipelinedLine
from accounts.terminals.simulated.service.process import BrokerService
from accounts.terminals.simulated.service.sheaves import PIECE, sheaves
from accounts.terminals.simulated.service.wire import Unframer, frame
from accounts.terminals.simulated.surface.tuples import TradePosition
from accounts.tests.simulated_desk import SERVER, Desk

REQUEST = {"action": mt5.TRADE_ACTION_DEAL, "symbol": "EURUSD", "volume": 9.0, "type": 0}
LOGINS = list(range(1001, 1101))


class Answers:
    """Takes answers in, and waits for them."""

    def __init__(self) -> None:
        self.got: dict[int, Any] = {}
        self.times: Counter[int] = Counter()
        self.longest_seconds = 0.0
        self._came = Condition()

    def __call__(self, answers: Sequence[tuple[int, Any]], waited_seconds: float = 0.0) -> None:
        with self._came:
            self.longest_seconds = max(self.longest_seconds, waited_seconds)
            for place, answer in answers:
                self.got[place] = answer
                self.times[place] += 1
            self._came.notify_all()

    def wait(self, count: int, seconds: float = 10.0) -> None:
        with self._came:
            assert self._came.wait_for(lambda: len(self.got) >= count, seconds), len(self.got)
        assert set(self.times.values()) == {1}


def alike(logins: Sequence[int] = LOGINS, **changes: Any) -> AlikeOrders:
    given = {
        "request": REQUEST,
        "server": SERVER,
        "logins": np.asarray(logins),
        "volumes": np.asarray([0.1 + (login - 1000) / 100 for login in logins]).round(2),
        "magics": np.asarray([login * 7 for login in logins]),
    }
    return AlikeOrders(**{**given, **changes})


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    for login in LOGINS:
        desk.open_account(login)
    return desk


@pytest.fixture
def service(desk: Desk, tmp_path: Path) -> Iterator[BrokerService]:
    service = BrokerService(desk.server, tmp_path)
    service.start()
    yield service
    service.stop()


@pytest.fixture
def broker(service: BrokerService, tmp_path: Path) -> Iterator[RemoteBroker]:
    del service
    client = RemoteBroker(tmp_path / "broker.json")
    yield client
    client.close()


def held(desk: Desk, login: int) -> list[tuple[float, int]]:
    rows = map(TradePosition, desk.server.call("positions", login, None, None, None))
    return [(row.volume, row.magic) for row in rows]


@pytest.mark.parametrize("is_remote", [False, True])
def test_it_sends_each_with_its_own_numbers(
    desk: Desk, broker: RemoteBroker, is_remote: bool
) -> None:
    answers = Answers()
    source = broker if is_remote else desk.server
    source.submit_alike(alike(), answers)
    answers.wait(len(LOGINS))
    assert {answer[0] for answer in answers.got.values()} == {mt5.TRADE_RETCODE_DONE}
    for place, login in enumerate(LOGINS):
        ((volume, magic),) = held(desk, login)
        assert volume == pytest.approx(0.1 + (place + 1) / 100)
        assert magic == login * 7


@pytest.mark.parametrize("is_remote", [False, True])
def test_it_closes_the_position_of_each(desk: Desk, broker: RemoteBroker, is_remote: bool) -> None:
    opened, closed = Answers(), Answers()
    source = broker if is_remote else desk.server
    source.submit_alike(alike(volumes=[0.1] * len(LOGINS)), opened)
    opened.wait(len(LOGINS))
    tickets = [opened.got[place][2] for place in range(len(LOGINS))]
    closes = alike(
        request={**REQUEST, "type": 1}, volumes=[0.1] * len(LOGINS), positions=np.array(tickets)
    )
    source.submit_alike(closes, closed)
    closed.wait(len(LOGINS))
    assert {answer[0] for answer in closed.got.values()} == {mt5.TRADE_RETCODE_DONE}
    assert [held(desk, login) for login in LOGINS] == [[]] * len(LOGINS)


@pytest.mark.parametrize("is_remote", [False, True])
def test_it_tells_of_each_what_the_broker_says_of_it(
    desk: Desk, broker: RemoteBroker, is_remote: bool
) -> None:
    desk.server.set_fault(1001, FaultKind.TIMEOUT_BEFORE)
    desk.server.set_fault(1002, FaultKind.TIMEOUT_AFTER)
    desk.server.set_fault(1003, FaultKind.DISCONNECT_TERMINAL)
    answers = Answers()
    (broker if is_remote else desk.server).submit_alike(alike([1001, 1002, 1003, 1004]), answers)
    answers.wait(4)
    errors = [answers.got[place] for place in range(3)]
    assert [error.may_have_executed for error in errors] == [True, True, False]
    assert answers.got[3][0] == mt5.TRADE_RETCODE_DONE
    desk.server.clear_faults()
    assert [len(held(desk, login)) for login in (1001, 1002, 1004)] == [0, 1, 1]


def test_it_sends_nothing_to_logins_of_another_server(desk: Desk, broker: RemoteBroker) -> None:
    answers = Answers()
    broker.submit_alike(alike(server="Other-Live"), answers)
    answers.wait(len(LOGINS))
    assert not any(error.may_have_executed for error in answers.got.values())
    assert not any(held(desk, login) for login in LOGINS)


def test_all_fail_at_once_where_nobody_answers(tmp_path: Path) -> None:
    for source in (RemoteBroker(tmp_path / "broker.json"), NoTerminals()):
        answers = Answers()
        source.submit_alike(alike(), answers)
        answers.wait(len(LOGINS), 0.0)
        assert not any(error.may_have_executed for error in answers.got.values())


@pytest.mark.parametrize(
    ("is_remote", "changes"),
    [
        (False, {"volumes": [0.1]}),
        (False, {"volumes": ["much", "more"]}),
        (False, {"positions": [1]}),
        (True, {"volumes": [0.1]}),
        (True, {"volumes": ["much", "more"]}),
        (True, {"positions": [1]}),
        # What stays in the process need not be written.
        (True, {"logins": [1001.0, 1002.0]}),
        (True, {"magics": [1, 2**63]}),
        (True, {"magics": [1, 2**64]}),
        (True, {"request": {**REQUEST, "comment": object()}}),
    ],
)
def test_it_sends_none_of_what_cannot_be_written(
    desk: Desk, broker: RemoteBroker, is_remote: bool, changes: Mapping[str, Any]
) -> None:
    answers = Answers()
    source = broker if is_remote else desk.server
    source.submit_alike(alike(**{"logins": [1001, 1002], **changes}), answers)
    answers.wait(2)
    assert [answer.code for answer in answers.got.values()] == [INVALID_PARAMS] * 2
    assert not held(desk, 1001)
    assert not held(desk, 1002)


@pytest.mark.parametrize("ending", ["cancelled", "ended"])
def test_it_tells_of_each_whatever_its_call_ends_in(ending: str) -> None:
    calls: list[Future[Any]] = []

    def submit(*arguments: Any) -> "Future[Any]":
        del arguments
        calls.append(Future())
        return calls[-1]

    answers = Answers()
    submit_singly(submit, alike([1001, 1002]), answers)
    if ending == "cancelled":
        calls[0].cancel()
    else:
        calls[0].set_exception(SystemExit())
    calls[1].set_result("done")
    answers.wait(2, 0.0)
    assert isinstance(answers.got[0], CancelledError if ending == "cancelled" else SystemExit)
    assert answers.got[1] == "done"


def test_each_is_told_of_once_and_in_the_end_of_what_never_came() -> None:
    came: list[Any] = []
    once = ToldOnce(lambda answers, waited=0.0: came.append((answers, waited)), 4)
    once([(1, "a"), (2, "b")], 0.5)
    once([(2, "c")])
    error = LinkError(CALL_FAILED)
    once.give_up(error)
    once([(0, "d"), (1, "e")])
    once.give_up(error)
    assert came == [([(1, "a"), (2, "b")], 0.5), ([(0, error), (3, error)], 0.0)]


integers = st.integers(-(2**63), 2**63 - 1)


@given(
    columns=st.lists(st.tuples(integers, st.floats(allow_nan=False), integers, integers)),
    has_positions=st.booleans(),
    first=st.integers(1, 2**62),
)
def test_what_is_put_together_says_what_each_order_would(
    columns: list[tuple[int, float, int, int]], has_positions: bool, first: int
) -> None:
    logins, volumes, magics, positions = zip(*columns, strict=True) if columns else [()] * 4
    orders = AlikeOrders(
        {**REQUEST, "magic": 1}, SERVER, logins, volumes, magics,
        positions if has_positions else None,
    )  # fmt: skip
    pieces = sheaves("one", orders, lambda *_: None, first, 0.0)
    told = [value for piece in pieces for value in Unframer().feed(piece.payload)]
    assert told == [
        ("one", "order_send", call, number) for number, call in enumerate(orders.calls(), first)
    ]


class Stuck(PipelinedLine):
    """A line that nothing leaves on."""

    def _write(self) -> None:
        self._outgoing.close()


class Far:
    """The other end of a line."""

    def __init__(self, timeout_seconds: float, line: type[PipelinedLine] = PipelinedLine) -> None:
        near, self.socket = socket.socketpair()
        self.socket.settimeout(10.0)
        self.line = line(near, timeout_seconds)
        self.answers = Answers()

    def read(self, count: int) -> list[int]:
        """Return the numbers of the next calls."""
        unframer, numbers = Unframer(), list[int]()
        while len(numbers) < count:
            numbers += [call[3] for call in unframer.feed(self.socket.recv(65_536))]
        return numbers

    def answer(self, number: int, answer: Any = None) -> None:
        self.socket.sendall(frame((number, answer or answer_of([mt5.TRADE_RETCODE_DONE]))))

    def submit(self, orders: AlikeOrders) -> None:
        self.line.submit_alike("one", orders, self.answers)

    def codes(self, count: int) -> list[int]:
        self.answers.wait(count)
        return [self.answers.got[place].code for place in range(count)]


@pytest.fixture
def far() -> Iterator[Callable[..., Far]]:
    made: list[Far] = []

    def make(timeout_seconds: float = 30.0, line: type[PipelinedLine] = PipelinedLine) -> Far:
        made.append(Far(timeout_seconds, line))
        return made[-1]

    yield make
    for each in made:
        each.line.close()
        each.socket.close()


def test_what_is_not_answered_in_time_may_be_carried_out(far: Callable[..., Far]) -> None:
    end = far()
    end.submit(alike([1001, 1002, 1003]))
    first, *_ = end.read(3)
    end.answer(first)
    end.answers.wait(1)
    for call in end.line._pending.values():
        call.deadline = 0.0
    end.answers.wait(3)
    assert end.answers.got[0] == [mt5.TRADE_RETCODE_DONE]
    assert [end.answers.got[place].code for place in (1, 2)] == [IPC_TIMEOUT] * 2
    end.answer(first + 1)  # too late
    later = Answers()
    end.line.submit_alike("one", alike([1004]), later)
    end.answer(end.read(1)[0])
    later.wait(1)
    end.answers.wait(3)


def test_what_has_not_left_in_time_never_leaves(far: Callable[..., Far]) -> None:
    end = far(0.0, Stuck)
    end.submit(alike(LOGINS))
    assert end.codes(len(LOGINS)) == [IPC_NO_CONNECTION] * len(LOGINS)
    assert end.line._gathered(end.line._to_send.get() or ()) == b""


@pytest.mark.parametrize("how", ["close", "end", "garbage", "nonsense", "nothing"])
def test_what_has_left_may_be_carried_out_when_the_line_breaks(
    far: Callable[..., Far], how: str
) -> None:
    end = far()
    end.submit(alike([1001, 1002, 1003]))
    first, *_ = end.read(3)
    end.answer(first)
    end.answers.wait(1)
    if how == "close":
        end.line.close()
    elif how == "end":
        end.socket.close()
    elif how == "garbage":
        end.socket.sendall(bytes([0, 0, 0, 1, 0xC1]))
    elif how == "nonsense":
        end.socket.sendall(frame({"who": "knows"}))
    else:
        end.answer(first + 1, {"is_list": True})
        end.answers.wait(2)
        end.line.close()
    end.answers.wait(3)
    assert end.answers.got[0] == [mt5.TRADE_RETCODE_DONE]
    assert [end.answers.got[place].code for place in (1, 2)] == [CODE_RECEIVE_FAILED] * 2


def test_answers_before_garbage_count(far: Callable[..., Far]) -> None:
    end = far()
    end.submit(alike([1001, 1002]))
    _, second = end.read(2)
    good = frame((second, answer_of([mt5.TRADE_RETCODE_DONE])))
    end.socket.sendall(good + bytes([0, 0, 0, 1, 0xC1]))
    end.answers.wait(2)
    assert end.answers.got[0].code == CODE_RECEIVE_FAILED
    assert end.answers.got[1] == [mt5.TRADE_RETCODE_DONE]


def test_what_has_not_left_is_never_sent_when_the_line_closes(far: Callable[..., Far]) -> None:
    end = far(30.0, Stuck)
    end.submit(alike(LOGINS))
    end.line.close()
    assert end.codes(len(LOGINS)) == [IPC_NO_CONNECTION] * len(LOGINS)
    assert end.line._gathered(end.line._to_send.get() or ()) == b""
    later = Answers()
    end.line.submit_alike("one", alike(), later)
    later.wait(len(LOGINS), 0.0)
    assert {error.code for error in later.got.values()} == {IPC_NO_CONNECTION}


def test_of_many_only_what_was_being_written_is_in_doubt(far: Callable[..., Far]) -> None:
    """Nobody reads, until the line has waited long enough for that."""
    end = far(0.3)
    end.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    count = 40 * PIECE
    end.submit(alike([1001] * count))
    codes = end.codes(count)
    assert codes[0] == CODE_RECEIVE_FAILED
    assert codes[-1] == IPC_NO_CONNECTION
    assert codes == sorted(codes, key=(CODE_RECEIVE_FAILED, IPC_NO_CONNECTION).index)


def test_it_says_how_long_an_answer_gave_way_to_orders(far: Callable[..., Far]) -> None:
    end = far()
    end.submit(alike([1001]))
    (number,) = end.read(1)
    with RIGHT_OF_WAY.taken():
        end.answer(number)
        end.answers.wait(1)
    assert end.answers.longest_seconds > 0.9 * LONGEST_SECONDS


def test_an_answer_counts_once(far: Callable[..., Far]) -> None:
    end = far()
    end.submit(alike([1001, 1002]))
    first, second = end.read(2)
    for number in (first, first, second, second):
        end.answer(number)
    end.answers.wait(2)
    end.line.close()
    end.answers.wait(2)


def test_what_cannot_be_taken_in_stops_no_other(
    far: Callable[..., Far], caplog: pytest.LogCaptureFixture
) -> None:
    end = far()

    def fail(_: Sequence[tuple[int, Any]], waited_seconds: float = 0.0) -> None:
        del waited_seconds
        raise RuntimeError("full")

    end.line.submit_alike("one", alike([1001]), fail)
    end.answer(end.read(1)[0])
    end.submit(alike([1002]))
    end.answer(end.read(1)[0])
    end.answers.wait(1)
    assert "could not be taken in" in caplog.text


def test_a_single_call_is_told_of_an_answer_that_says_nothing(far: Callable[..., Far]) -> None:
    end = far()
    answer = end.line.submit("one", "order_send", (1001, REQUEST, SERVER))
    end.answer(end.read(1)[0], {"is_list": True})
    error = answer.exception(10.0)
    assert isinstance(error, LinkError)
    assert error.may_have_executed
