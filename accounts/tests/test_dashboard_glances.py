import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from redis import Redis

from accounts.dashboard.glances import LONGEST_REST_SECONDS, REST, Glances
from accounts.models import User
from accounts.tests.factories import make_account
from accounts.tests.states import leave_states

pytestmark = pytest.mark.usefixtures("redis")


class Clock:
    """Stands still; each look takes `takes` seconds."""

    def __init__(self) -> None:
        self.now, self.takes = 1000.0, 0.0

    def __call__(self) -> float:
        told = self.now
        self.now += self.takes
        return told


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def glances(clock: Clock) -> Glances:
    return Glances(clock)


def test_all_viewers_of_a_user_share_a_look(
    alice: User, bob: User, glances: Glances, clock: Clock
) -> None:
    make_account(alice, "Alpha")
    begun_at = clock()
    glance = glances.at(alice, not_before=begun_at)
    with CaptureQueriesContext(connection) as queries:
        assert glances.at(alice, not_before=begun_at) is glance
    assert len(queries) == 0
    assert glances.at(bob, not_before=begun_at).dashboard.accounts == {}


def test_what_changed_after_a_look_is_not_told_from_it(
    alice: User, glances: Glances, clock: Clock
) -> None:
    glance = glances.at(alice, not_before=clock())
    make_account(alice, "Alpha")
    clock.now += 1.0
    later = glances.at(alice, not_before=clock())
    assert (len(glance.dashboard.accounts), len(later.dashboard.accounts)) == (0, 1)
    assert glances.at(alice, not_before=later.begun_at) is later


def test_a_look_costs_the_same_for_two_accounts_and_for_twenty(
    alice: User, redis: Redis, glances: Glances, clock: Clock
) -> None:
    accounts = [make_account(alice, f"Account {number}") for number in range(2)]
    costs = []
    for count in (2, 20):
        accounts += [make_account(alice, f"Later {n}") for n in range(count - len(accounts))]
        leave_states(accounts, read_at=time.time())
        clock.now += 1.0
        with CaptureQueriesContext(connection) as queries:
            glance = glances.at(alice, not_before=clock())
            assert len(glance.dashboard.accounts) == count
            assert glance.dashboard.summary["live"] == count
            assert len(glance.cells) == 4 * count + 4
        costs.append(len(queries))
    assert costs == [1, 1]


def test_a_long_look_is_followed_by_a_longer_rest(
    alice: User, glances: Glances, clock: Clock
) -> None:
    assert glances.rest_seconds(alice) == 0.0
    clock.takes = 0.125
    glances.at(alice, not_before=clock.now)
    clock.now, clock.takes = 1000.125, 0.0
    assert glances.rest_seconds(alice) == 0.125 * REST
    clock.now += 0.125 * REST
    assert glances.rest_seconds(alice) == 0.0
    clock.takes = 5.0
    glances.at(alice, not_before=clock.now)
    clock.now, clock.takes = clock.now - 5.0, 0.0
    assert glances.rest_seconds(alice) == LONGEST_REST_SECONDS


def test_looks_at_those_who_left_are_forgotten(
    alice: User, bob: User, glances: Glances, clock: Clock
) -> None:
    first = glances.at(alice, not_before=0.0)
    clock.now += 10.0
    glances.at(bob, not_before=0.0)
    assert glances.at(alice, not_before=0.0) is first
    clock.now += 0.1
    glances.at(bob, not_before=clock.now)
    assert glances.at(alice, not_before=0.0) is not first
