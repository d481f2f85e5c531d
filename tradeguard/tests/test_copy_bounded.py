"""What a keeper reads each second does not grow with all that was ever copied."""

import re
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from copytrade.core.kinds import EventKind
from copytrade.models import CopyOrder, CopyPosition
from tradeguard.tests.copying_stage import copy, crowd, event_of, follows
from tradeguard.tests.enforcement_stage import trade
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db

# They are kept for ever.
LEDGERS = ("copytrade_copyorder", "copytrade_copyevent", "copytrade_copyposition", "risk_order")


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def look(stage: Stage) -> list[str]:
    """Return what a look of the keeper asks."""
    assert stage.tick is not None
    assert stage.tick.acting is not None
    keeper = stage.tick.acting.keeper
    assert keeper is not None
    with CaptureQueriesContext(connection) as queries:
        keeper._look(stage.now)
    return [one["sql"] for one in queries.captured_queries]


def scanned(statement: str) -> set[str]:
    """Return the ledgers that a statement reads from one end to the other."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")  # a small table is always scanned
            cursor.execute(f"EXPLAIN {statement}")
            # Of so few events a hash is made, whatever is off.
            scans = re.findall(r"Seq Scan on (?!copytrade_copyevent)(\w+)", str(cursor.fetchall()))
        else:
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}")
            plan = [str(row[-1]) for row in cursor.fetchall()]
            names = dict(re.findall(r'"?(\w+)"? (U0|V0|W0)\b', statement))
            places = {place: table for table, place in names.items()}
            found = (re.match(r"SCAN (\w+)", step) for step in plan)
            scans = [places.get(one[1], one[1]) for one in found if one is not None]
    return set(scans) & set(LEDGERS)


def test_a_look_reads_what_is_not_over(stage: Stage, alice: User) -> None:
    provider = stage.open(alice, "Provider")
    followers = crowd(stage, alice, 3)
    for follower in followers:
        follows(provider, follower, copies_pendings=True)
    stage.run(3)
    placed = event_of(
        stage, provider, EventKind.PENDING_PLACED, 0, position_ticket=None, order_ticket=5,
        order_type="limit", price=1.05,
    )  # fmt: skip
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77), placed)
    stage.run(5, seconds=1.0)
    waiting = CopyOrder.objects.filter(is_waiting=True)
    assert set(waiting.values_list("event_id", flat=True)) == {placed.pk}
    assert waiting.count() == len(followers)

    asked = [one for one in look(stage) if one.startswith("SELECT")]
    assert sum('"copytrade_copyorder"."is_waiting"' in one for one in asked) >= 2
    assert not [one for one in asked if "\"state\" = 'done'" in one]
    assert {table for one in asked for table in scanned(one)} == set()


def test_a_look_compares_nobody_who_holds_what_he_held(stage: Stage, alice: User) -> None:
    provider = stage.open(alice, "Provider")
    followers = crowd(stage, alice, 3)
    for follower in followers:
        follows(provider, follower)
    stage.run(3)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(5, seconds=1.0)
    look(stage)
    # As SQLite and as PostgreSQL put it.
    compared = re.compile(r'CAST\("copytrade_copyposition"."volume"|"volume"\)::double precision')
    assert not [one for one in look(stage) if compared.search(one)]
    position = CopyPosition.objects.get(follower_id=followers[1].pk)
    trade(stage, followers[1], -1.0, position=position.follower_position)
    stage.run(1)
    (asked,) = [one for one in look(stage) if compared.search(one)]
    assert [each.pk.hex in asked.replace("-", "") for each in followers] == [False, True, False]
    stage.run(5, seconds=1.0)
    states = dict(CopyPosition.objects.values_list("follower_id", "state"))
    assert [states[each.pk] for each in followers] == ["open", "left", "open"]


def test_what_waits_no_more_is_not_read_again(stage: Stage, alice: User) -> None:
    provider = stage.open(alice, "Provider")
    (follower,) = crowd(stage, alice, 1)
    follows(provider, follower, copies_pendings=True)
    stage.run(3)
    fields = {"position_ticket": None, "order_ticket": 5, "order_type": "limit", "price": 1.05}
    copy(stage, event_of(stage, provider, EventKind.PENDING_PLACED, 0, **fields))
    stage.run(5, seconds=1.0)
    assert CopyOrder.objects.get().is_waiting
    copy(stage, event_of(stage, provider, EventKind.PENDING_CANCELLED, 0, **fields))
    stage.run(10, seconds=1.0)
    assert not CopyOrder.objects.filter(is_waiting=True).exists()
    assert CopyOrder.objects.count() == 2
