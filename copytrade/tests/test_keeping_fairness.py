"""Whoever is slow at the head of a list keeps nobody from the rest of it for ever."""

import secrets
import uuid
from collections.abc import Iterator

import pytest

from copytrade.keeping.fairness import BUDGET_SECONDS, in_turn
from copytrade.models import CopyOrder

RELATIONSHIPS = [uuid.uuid4() for _ in range(5)]


def copies() -> list[CopyOrder]:
    """Return two copies of each relationship, one after another."""
    return [CopyOrder(id=uuid.uuid4(), relationship_id=each) for each in RELATIONSHIPS * 2]


def clock(step: float) -> Iterator[float]:
    now = 0.0
    while True:
        yield now
        now += step


def test_all_come_in_the_order_of_their_relationship(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = copies()
    for first in range(5):
        monkeypatch.setattr(secrets, "randbelow", lambda _, first=first: first)
        found = list(in_turn(mine, clock(0.0).__next__))
        assert found[0] is mine[first]
        assert sorted(map(id, found)) == sorted(map(id, mine))
        for each in RELATIONSHIPS:
            ordered = [copy for copy in mine if copy.relationship_id == each]
            assert [copy for copy in found if copy.relationship_id == each] == ordered


def test_it_ends_when_the_time_is_up() -> None:
    found = list(in_turn(copies(), clock(BUDGET_SECONDS / 3).__next__))
    assert len(found) == 3


def test_nobody_has_nothing_to_do() -> None:
    assert list(in_turn([])) == []
