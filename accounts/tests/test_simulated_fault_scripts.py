"""When faults strike: scripts, chances, all accounts at once, and what is refused as nonsense."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.terminals.link import LinkError
from accounts.terminals.readings import Outcome
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.faults.specs import FaultKind, FaultSpec
from accounts.terminals.simulated.service.client import RemoteBroker
from accounts.terminals.simulated.service.process import ADDRESS_FILE, BrokerService
from accounts.tests.simulated_desk import PASSWORD, SERVER, Desk

LOGINS = (1001, 1002, 1003)


@pytest.fixture
def desk() -> Desk:
    desk = Desk(sleep=lambda seconds: None)
    for login in LOGINS:
        desk.open_account(login)
    return desk


def fails(desk: Desk, login: int, method: str = "account_info", *arguments: Any) -> bool:
    """Tell whether a call gives no answer."""
    try:
        return desk.server.call(method, login, *arguments) is None
    except LinkError:
        return True


def pattern(desk: Desk, login: int, calls: int) -> str:
    return "".join("x" if fails(desk, login) else "." for _ in range(calls))


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({}, "xxxxxx"),
        ({"skip": 2}, "..xxxx"),
        ({"times": 2}, "xx...."),
        ({"skip": 1, "times": 3}, ".xxx.."),
        ({"calls": ("positions",)}, "......"),
    ],
)
def test_it_strikes_the_calls_that_it_should(
    desk: Desk, details: dict[str, Any], expected: str
) -> None:
    desk.server.add_fault(1001, FaultKind.NONE, **details)
    assert pattern(desk, 1001, 6) == expected
    assert pattern(desk, 1002, 6) == "......"


def test_it_counts_only_the_calls_that_it_concerns(desk: Desk) -> None:
    desk.server.add_fault(1001, FaultKind.NONE, calls=("account_info",), skip=1, times=1)
    assert not fails(desk, 1001, "positions", None, None, None)
    assert pattern(desk, 1001, 3) == ".x."


def test_a_batch_read_counts_once(desk: Desk) -> None:
    desk.server.add_fault(1001, FaultKind.NONE, skip=1, times=1)
    outcomes = [
        desk.server.read_batch(LOGINS, [0] * 3).accounts["outcome"].tolist() for _ in range(3)
    ]
    assert outcomes == [[0, 0, 0], [Outcome.NONE, 0, 0], [0, 0, 0]]
    assert desk.server.faults() == []


def test_it_ends_with_its_time(desk: Desk) -> None:
    desk.server.add_fault(1001, FaultKind.NONE, seconds=2.0)
    desk.clock.now += 1.999
    assert fails(desk, 1001)
    desk.clock.now += 0.001
    assert not fails(desk, 1001)
    assert desk.server.faults() == []


def test_a_script_takes_the_place_of_what_was_there_and_keeps_its_order(desk: Desk) -> None:
    desk.server.set_fault(1001, FaultKind.NONE)
    script = [
        FaultSpec(kind=FaultKind.REQUOTE, times=1),
        FaultSpec(kind=FaultKind.REJECT, skip=1, times=1),
        FaultSpec(kind=FaultKind.TIMEOUT_AFTER, skip=2, times=1),
        FaultSpec(kind=FaultKind.COMMENT_REWRITTEN, rewrite="truncate", length=6),
        FaultSpec(kind=FaultKind.COMMENT_REWRITTEN, rewrite="truncate", length=4),
    ]
    numbers = desk.server.script_faults(1001, script)
    assert [row["number"] for row in desk.server.faults()] == numbers
    answers: list[Any] = []
    for _ in range(4):
        try:
            answers.append(desk.market(1001, mt5.ORDER_TYPE_BUY, 0.1, comment="provider")[0])
        except LinkError as error:
            answers.append(error.code)
    assert answers == [10004, 10006, -10005, 10009]
    assert [position["comment"] for position in desk.positions(1001)] == ["prov", "prov"]


def test_an_ended_call_is_no_turn_for_the_faults_behind(desk: Desk) -> None:
    desk.server.script_faults(
        1001,
        [
            FaultSpec(kind=FaultKind.DISCONNECT_TERMINAL, times=2),
            FaultSpec(kind=FaultKind.NONE, times=1),
        ],
    )
    assert pattern(desk, 1001, 2) == "xx"
    assert [(row["kind"], row["struck"]) for row in desk.server.faults()] == [("NONE", 0)]
    assert pattern(desk, 1001, 2) == "x."


def test_it_lists_what_is_set_and_how_often_it_struck(desk: Desk) -> None:
    desk.server.add_fault(1002, FaultKind.NONE, skip=1)
    desk.server.add_fault(None, FaultKind.EMPTY, times=5)
    pattern(desk, 1002, 3)
    for login in (1001, 1003):
        desk.positions(login)
    listed = desk.server.faults()
    assert [(row["login"], row["kind"], row["struck"]) for row in listed] == [
        (1002, "NONE", 2),
        (None, "EMPTY", 2),
    ]
    assert listed[0]["skip"] == 1
    assert listed[1]["calls"] == ("positions", "orders")


def test_a_fault_of_all_accounts_counts_for_each_alone(desk: Desk) -> None:
    desk.server.add_fault(None, FaultKind.NONE, times=2)
    desk.open_account(1004)
    assert [pattern(desk, login, 3) for login in (*LOGINS, 1004)] == ["xx."] * 4
    assert fails(desk, 9999)


def test_an_account_is_freed_of_the_faults_of_all(desk: Desk) -> None:
    desk.server.add_fault(None, FaultKind.NONE)
    desk.server.clear_fault(1002)
    assert [fails(desk, login) for login in LOGINS] == [True, False, True]
    desk.server.clear_faults()
    assert not any(fails(desk, login) for login in LOGINS)
    assert desk.server.faults() == []


def random_pattern(desk: Desk, seed: int, calls: int = 200) -> str:
    desk.server.clear_faults()
    desk.server.random_faults(seed, {FaultKind.NONE: 0.3})
    return pattern(desk, 1001, calls)


def test_the_same_seed_gives_the_same_faults(desk: Desk) -> None:
    first = random_pattern(desk, 7)
    assert random_pattern(desk, 7) == first
    assert random_pattern(desk, 8) != first
    assert 30 < first.count("x") < 90


def test_no_account_draws_from_anothers_stream(desk: Desk) -> None:
    alone = random_pattern(desk, 7)
    desk.server.clear_faults()
    desk.server.random_faults(7, {FaultKind.NONE: 0.3})
    together: list[list[str]] = [[], []]
    for _ in range(200):
        fails(desk, 1003)
        for place, login in enumerate((1001, 1002)):
            together[place].append("x" if fails(desk, login) else ".")
    assert "".join(together[0]) == alone
    assert "".join(together[1]) != alone


def test_random_faults_reach_the_accounts_and_kinds_that_were_named(desk: Desk) -> None:
    desk.server.random_faults(
        1, {FaultKind.NONE: 1.0, FaultKind.PARTIAL_FILL: 1.0}, [1002, 1003], fraction=0.2, skip=1
    )
    listed = [(row["login"], row["kind"], row["skip"]) for row in desk.server.faults()]
    assert listed == [(1002, "NONE", 1), (1002, "PARTIAL_FILL", 1),
                      (1003, "NONE", 1), (1003, "PARTIAL_FILL", 1)]  # fmt: skip
    assert [pattern(desk, login, 2) for login in LOGINS] == ["..", ".x", ".x"]


NONSENSE: list[tuple[dict[str, Any], str]] = [
    ({"kind": "BAD_LUCK"}, "not a kind of fault"),
    ({"kind": "NONE", "luck": 1}, "luck is no detail of a fault"),
    ({"kind": "NONE", "fraction": 0.2}, "fraction is no detail of NONE"),
    ({"kind": "NONE", "calls": ("login",)}, "login is not a call"),
    ({"kind": "REJECT", "calls": ("positions",)}, "REJECT has no meaning for positions"),
    ({"kind": "NONE", "skip": -1}, "fewer than 0"),
    ({"kind": "NONE", "skip": "two"}, "skip is a whole number"),
    ({"kind": "NONE", "times": 0}, "at least once"),
    ({"kind": "NONE", "seconds": 0.0}, "more than 0 seconds"),
    ({"kind": "NONE", "seconds": float("nan")}, "more than 0 seconds"),
    ({"kind": "NONE", "probability": 0.0}, "above 0 and at most 1"),
    ({"kind": "NONE", "probability": 1.01}, "above 0 and at most 1"),
    ({"kind": "DISCONNECT_TERMINAL", "code": -6}, "-10004 or -10001"),
    ({"kind": "CRASH_BROKER", "moment": "meanwhile"}, "before or after"),
    ({"kind": "HANG", "hang_seconds": -1.0}, "hangs for 0 seconds"),
    ({"kind": "HANG", "hang_seconds": 1.1e7}, "hangs for 0 seconds"),
    ({"kind": "LATE", "delay_seconds": 1e300}, "late by more than 0"),
    ({"kind": "LATENCY", "median_seconds": 1e300}, "median"),
    ({"kind": "LATENCY", "distribution": "lognormal", "sigma": 1e6}, "sigma"),
    ({"kind": "SLIPPAGE", "points": 10_001}, "at most 10000 points"),
    ({"kind": "SLIPPAGE", "points": -10_001, "points_to": 0}, "at most 10000 points"),
    ({"kind": "SLIPPAGE", "points": 1, "points_to": 2.5}, "points_to is a whole number"),
    ({"kind": "COMMENT_REWRITTEN", "rewrite": "truncate", "length": 1.5}, "length is a whole"),
    ({"kind": "COMMENT_REWRITTEN", "rewrite": "replace", "text": ["x"]}, "text is a string"),
    ({"kind": "LATE", "delay_seconds": 0.0}, "late by more than 0"),
    ({"kind": "PARTIAL_FILL", "fraction": 1.0}, "between 0 and 1"),
    ({"kind": "SLIPPAGE", "points": 5, "points_to": 4}, "drawn from points"),
    ({"kind": "COMMENT_REWRITTEN", "rewrite": "shout"}, "replaced, truncated or erased"),
    ({"kind": "COMMENT_REWRITTEN", "rewrite": "replace", "text": "x" * 32}, "at most 31"),
    ({"kind": "LATENCY", "distribution": "cauchy"}, "fixed, uniform or lognormal"),
    ({"kind": "LATENCY", "least_seconds": 6.0}, "least ≤ most"),
    ({"kind": "WRONG_ACCOUNT", "peer": 77}, "no account 77"),
]


@pytest.mark.parametrize(("values", "complaint"), NONSENSE)
def test_it_refuses_nonsense(desk: Desk, values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        desk.server.add_fault(1001, **values)
    assert desk.server.faults() == []


@pytest.mark.parametrize(
    "administer",
    [
        lambda server: server.add_fault(99, FaultKind.NONE),
        lambda server: server.set_fault(99, FaultKind.NONE),
        lambda server: server.script_faults(99, [FaultSpec(kind=FaultKind.NONE)]),
        lambda server: server.random_faults(1, {FaultKind.NONE: 0.5}, [1001, 99]),
        lambda server: server.random_faults(1, {FaultKind.NONE: 1.5}),
    ],
)
def test_what_is_refused_changes_nothing(desk: Desk, administer: Callable[[Any], Any]) -> None:
    desk.server.add_fault(1001, FaultKind.EMPTY)
    with pytest.raises(ValueError, match=r"no account 99|probability"):
        administer(desk.server)
    assert [row["kind"] for row in desk.server.faults()] == ["EMPTY"]


def test_a_lone_account_has_no_other_to_be_taken_for() -> None:
    desk = Desk()
    desk.open_account(1001)
    with pytest.raises(ValueError, match="no other account"):
        desk.server.set_fault(1001, FaultKind.WRONG_ACCOUNT)


@pytest.fixture
def broker(desk: Desk, tmp_path: Path) -> Iterator[RemoteBroker]:
    service = BrokerService(desk.server, tmp_path)
    service.start()
    client = RemoteBroker(tmp_path / ADDRESS_FILE)
    yield client
    client.close()
    service.stop()


def test_faults_are_set_and_listed_from_afar(desk: Desk, broker: RemoteBroker) -> None:
    broker.script_faults(1001, [FaultSpec(kind=FaultKind.NONE, calls=("account_info",), times=2)])
    broker.add_fault(None, FaultKind.LATENCY, distribution="uniform", most_seconds=0.05)
    broker.random_faults(3, {FaultKind.TORN: 0.5}, [1002])
    assert broker.call("account_info", 1001) is None
    assert broker.faults() == desk.server.faults()
    assert [row["struck"] for row in broker.faults()] == [1, 1, 0]
    with pytest.raises(ValueError, match="not a kind"):
        broker.add_fault(1001, "BAD_LUCK")  # type: ignore[arg-type]
    assert broker.authorise_many([(1002, PASSWORD, SERVER)]) == [1]
    broker.clear_faults()
    assert desk.server.faults() == []
