import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError

from accounts.models import TerminalHost
from accounts.sessions import lease as leases
from accounts.sessions.lease import (
    LEASE_SECONDS,
    Lease,
    LeaseFence,
    Standing,
    acquire,
    is_held,
    owner_name,
    release,
    renew,
)
from accounts.tests.factories import make_host

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ELSEWHERE = "another-machine:1:aaaa"

pytestmark = pytest.mark.django_db


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def host() -> TerminalHost:
    return make_host("local")


def taken(owner: str, at: datetime = NOW) -> Lease:
    lease = acquire("local", owner, at)
    assert lease is not None
    return lease


def test_it_takes_a_free_lease_with_a_higher_token() -> None:
    lease = taken(ELSEWHERE)
    assert lease == Lease("local", ELSEWHERE, 1)
    assert is_held(lease, NOW)


def test_it_gives_no_lease_of_an_unknown_host() -> None:
    assert acquire("nowhere", ELSEWHERE, NOW) is None


@pytest.mark.parametrize(("seconds", "is_won"), [(2.999, False), (3.0, True), (3.001, True)])
def test_a_second_contender_waits_until_it_has_expired(seconds: float, is_won: bool) -> None:
    first = taken(ELSEWHERE)
    second = acquire("local", "a-third-machine:1:bbbb", after(seconds))
    assert (second is not None) is is_won
    assert is_held(first, after(seconds)) is not is_won
    assert renew(first, after(seconds)) is not is_won


def test_the_fenced_owner_cannot_come_back() -> None:
    suspended = taken(ELSEWHERE)
    successor = taken("a-third-machine:1:bbbb", after(4))
    assert successor.token == suspended.token + 1
    assert not is_held(suspended, after(4))
    assert not renew(suspended, after(4))
    release(suspended)
    assert is_held(successor, after(4))


def test_an_owner_with_the_same_name_and_an_old_token_is_fenced_too() -> None:
    first = taken(ELSEWHERE)
    second = taken(ELSEWHERE, after(4))
    assert second.token == 2
    assert not is_held(first, after(4))


def test_renewing_prolongs_it() -> None:
    lease = taken(ELSEWHERE)
    assert renew(lease, after(2))
    assert is_held(lease, after(4.999))
    assert not is_held(lease, after(5))


def test_its_owner_may_ask_again_and_keeps_the_token() -> None:
    assert taken(ELSEWHERE) == taken(ELSEWHERE, after(1))
    assert is_held(Lease("local", ELSEWHERE, 1), after(3.5))


def test_a_released_lease_is_free_at_once() -> None:
    release(taken(ELSEWHERE))
    assert taken("a-third-machine:1:bbbb", after(0.1)).token == 2


def test_a_dead_process_of_this_machine_is_replaced_at_once() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    machine, _, _ = owner_name().split(":")
    taken(f"{machine}:{child.pid}:aaaa")
    assert taken(owner_name(), after(0.1)).token == 2


def test_a_living_process_of_this_machine_is_not_replaced() -> None:
    machine, _, _ = owner_name().split(":")
    taken(f"{machine}:{os.getpid()}:aaaa")
    assert acquire("local", owner_name(), after(0.1)) is None


@pytest.mark.parametrize("owner", ["another-machine:999999999:aaaa", "nonsense", "a:b:c"])
def test_it_presumes_nobody_else_dead(owner: str) -> None:
    taken(owner)
    assert acquire("local", owner_name(), after(0.1)) is None


def test_owners_have_names_of_their_own() -> None:
    assert owner_name() != owner_name()
    assert len(owner_name()) <= 128


def test_of_two_who_saw_it_free_one_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    def overtake(owner: str) -> bool:
        """Stand between the first contender's look and its grasp."""
        monkeypatch.setattr(leases, "_is_dead", lambda owner: False)
        assert acquire("local", "a-third-machine:1:bbbb", NOW) is not None
        return False

    monkeypatch.setattr(leases, "_is_dead", overtake)
    assert acquire("local", ELSEWHERE, NOW) is None
    row = TerminalHost.objects.get(pk="local")
    assert (row.lease_owner, row.lease_token) == ("a-third-machine:1:bbbb", 1)


def test_a_fence_stands_as_long_as_the_lease_does(monkeypatch: pytest.MonkeyPatch) -> None:
    fence = LeaseFence(taken(ELSEWHERE))
    end = NOW + timedelta(seconds=LEASE_SECONDS)
    assert fence.standing(end - timedelta(microseconds=1)) is Standing.HELD
    # Nobody has taken it yet: it may be renewed.
    assert fence.standing(end) is Standing.UNKNOWN
    with monkeypatch.context() as patch:
        patch.setattr(TerminalHost.objects, "filter", _away)
        assert fence.standing(NOW) is Standing.UNKNOWN
    assert acquire("local", "another-machine:2:bbbb", end) is not None
    assert fence.standing(end) is Standing.LOST
    assert fence.standing(NOW) is Standing.LOST


def _away(**_conditions: object) -> object:
    raise OperationalError("the database is away")
