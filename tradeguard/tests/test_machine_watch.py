"""Staff hear when a disk or Redis is nearly full, once a day."""

from collections import namedtuple
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from accounts.models import User
from accounts.tests.factories import NOW, make_user
from notifications.models import Notification, Priority
from tradeguard.machine_watch import GIGABYTE, disk_priority, is_memory_low, watch_machine

Usage = namedtuple("Usage", "total used free")
LARGE, SMALL = 1000 * GIGABYTE, 20 * GIGABYTE


@pytest.mark.parametrize(
    ("free", "total", "priority"),
    [
        (5 * GIGABYTE, LARGE, None),
        (5 * GIGABYTE - 1, LARGE, Priority.HIGH),
        (GIGABYTE, LARGE, Priority.HIGH),
        (GIGABYTE - 1, LARGE, Priority.URGENT),
        (GIGABYTE, SMALL, None),  # 5 % of a small disk
        (GIGABYTE - 1, SMALL, Priority.HIGH),
        (GIGABYTE // 5, SMALL, Priority.HIGH),
        (GIGABYTE // 5 - 1, SMALL, Priority.URGENT),
    ],
)
def test_it_knows_how_urgent_a_full_disk_is(
    free: int, total: int, priority: Priority | None
) -> None:
    assert disk_priority(free_bytes=free, total_bytes=total) == priority


@pytest.mark.parametrize(
    ("used", "most", "is_low"), [(899, 1000, False), (900, 1000, True), (10**12, 0, False)]
)
def test_it_knows_when_redis_is_full(used: int, most: int, is_low: bool) -> None:
    assert is_memory_low(used_bytes=used, most_bytes=most) is is_low


def test_it_tells_staff_once_a_day(
    alice: User, redis: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    staff = make_user("sam", is_staff=True)
    make_user("old", is_staff=True, is_active=False)
    monkeypatch.setattr("shutil.disk_usage", lambda _home: Usage(LARGE, 0, 2 * GIGABYTE))

    [told] = watch_machine(now=NOW, home=tmp_path)
    assert (told.user, told.type, told.priority) == (staff, "system_alert", "high")
    assert "2.0 GB of 1000.0 GB are free" in told.body
    assert watch_machine(now=NOW + timedelta(hours=1), home=tmp_path) == []
    told.delete()  # who has seen it and cleared it away knows it
    assert watch_machine(now=NOW + timedelta(hours=2), home=tmp_path) == []
    assert len(watch_machine(now=NOW + timedelta(days=1), home=tmp_path)) == 1


def test_it_tells_when_it_gets_worse(monkeypatch: pytest.MonkeyPatch, alice: User) -> None:
    User.objects.update(is_staff=True)
    for free, count in ((2 * GIGABYTE, 1), (GIGABYTE // 2, 2)):
        usage: Any = Usage(LARGE, 0, free)
        monkeypatch.setattr("shutil.disk_usage", lambda _home, told=usage: told)
        watch_machine(now=NOW)
        assert Notification.objects.count() == count


def test_it_says_nothing_of_a_machine_that_is_well(
    monkeypatch: pytest.MonkeyPatch, alice: User
) -> None:
    User.objects.update(is_staff=True)
    monkeypatch.setattr("shutil.disk_usage", lambda _home: Usage(LARGE, 0, LARGE // 2))

    assert watch_machine(now=NOW) == []
