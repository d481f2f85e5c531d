from datetime import time
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import numpy as np

from risk.core.group_risk import GroupRisk
from risk.core.pairs import AccountTerms, Clock, build_pairs
from risk.core.parameters import PositionLimit
from risk.desk import Desk
from tradeguard.tick import announcing
from tradeguard.tick.announcing import REPEAT_SECONDS, Announcements

GROUPS = [UUID(int=number) for number in range(3)]


def desk() -> Desk:
    """Three groups of one account each, with one rule on every account."""
    terms = AccountTerms(1000.0, "UTC", Clock(time(0), "UTC"))
    rows = np.arange(3)
    pairs = build_pairs([PositionLimit(limit=cast("Any", 5))], [terms] * 3, rows * 0, rows)
    return cast(
        "Desk",
        SimpleNamespace(
            pairs=pairs,
            groups=[SimpleNamespace(remote={}) for _ in GROUPS],
            group_index={group: number for number, group in enumerate(GROUPS)},
            account_index={},
            group_of=rows,
            account_of=rows,
        ),
    )


def risk(*statuses: int) -> GroupRisk:
    return cast("GroupRisk", SimpleNamespace(group_status=np.array(statuses)))


def choose(announcements: Announcements, statuses: tuple[int, ...], changed: str, at: float) -> Any:
    flags = np.array([letter == "x" for letter in changed])
    keys = announcements.choose(desk(), risk(*statuses), flags, at)
    return [GROUPS.index(group) for _, group in keys]


def watched_all() -> Announcements:
    announcements = Announcements()
    announcements.watched = {"group": frozenset(GROUPS)}
    return announcements


def test_it_sends_only_what_is_watched() -> None:
    announcements = Announcements()
    assert choose(announcements, (0, 0, 0), "xxx", 1.0) == []
    announcements.watched = {"group": frozenset(GROUPS[:1])}
    assert choose(announcements, (0, 0, 0), "xxx", 1.0) == [0]


def test_it_sends_what_changed_and_repeats_the_rest_now_and_then() -> None:
    announcements = watched_all()
    assert sorted(choose(announcements, (0, 0, 0), "xxx", 10.0)) == [0, 1, 2]
    assert choose(announcements, (0, 0, 0), "-x-", 10.2) == [1]
    assert sorted(choose(announcements, (0, 0, 0), "---", 10.0 + REPEAT_SECONDS)) == [0, 2]


def test_a_changed_status_goes_first_and_nothing_is_forgotten(monkeypatch: Any) -> None:
    announcements = watched_all()
    choose(announcements, (0, 0, 0), "xxx", 10.0)
    monkeypatch.setattr(announcing, "MOST_ROWS_PER_TICK", 11)
    assert choose(announcements, (0, 0, 4), "xxx", 10.2) == [2]
    first = choose(announcements, (0, 0, 4), "xxx", 10.4)
    second = choose(announcements, (0, 0, 4), "xxx", 10.6)
    assert sorted(first + second) == [0, 1]
