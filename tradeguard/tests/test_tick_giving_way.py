"""Ticks let orders leave first, but never for long, and never before a violation is acted on."""

from collections.abc import Iterator
from typing import Any

import pytest

from accounts.core.right_of_way import LONGEST_SECONDS
from accounts.models import User
from risk.models import Enforcement
from risk.orders import desk as desk_module
from tradeguard.tests.enforcement_stage import armed
from tradeguard.tests.stage import Stage, daily_loss, staged
from tradeguard.tick import metrics
from tradeguard.tick.acting import Acting
from tradeguard.tick.hot_state import HotStateWriter
from tradeguard.tick.metrics import MOST_GIVEN_SECONDS, Stopwatch

pytestmark = pytest.mark.django_db(transaction=True)


class Crowd:
    """Orders that never stop leaving; whoever gives way waits as long as it offers to."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log
        self.now = 0.0

    def is_taken(self) -> bool:
        return True

    def give(self, seconds: float = LONGEST_SECONDS) -> None:
        self.log.append(seconds)
        self.now += seconds

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def crowd(monkeypatch: pytest.MonkeyPatch) -> Crowd:
    crowd = Crowd([])
    monkeypatch.setattr(metrics, "RIGHT_OF_WAY", crowd)
    monkeypatch.setattr(metrics, "time", crowd)
    return crowd


@pytest.fixture
def log(crowd: Crowd) -> list[Any]:
    return crowd.log


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def test_it_gives_way_for_no_longer_than_told_all_in_all(log: list[Any]) -> None:
    watch = Stopwatch()
    for _ in range(10):
        watch.give_way()
    assert sum(log) == pytest.approx(MOST_GIVEN_SECONDS)
    assert max(log) <= LONGEST_SECONDS
    with watch.stage("poll"):
        pass
    assert watch.seconds["poll"] == 0.0


def test_it_does_not_count_what_it_has_not_waited(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crowd, "is_taken", lambda: False)
    watch = Stopwatch()
    for _ in range(10):
        watch.give_way()
    assert crowd.log == []


def test_it_acts_on_a_violation_before_it_gives_way(
    stage: Stage, alice: User, log: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    account = stage.open(alice, "Alpha")
    armed(daily_loss(alice, action="CLOSE_ALL"), account)
    stage.run(3)
    stage.buy(account, 10.0)
    stage.run(2)

    def noted(owner: Any, name: str, word: str) -> None:
        inner = getattr(owner, name)

        def note(*arguments: Any, **options: Any) -> Any:
            log.append(word)
            return inner(*arguments, **options)

        monkeypatch.setattr(owner, name, note)

    assert stage.tick is not None
    noted(stage.tick._tracker, "assess", "assess")
    noted(Acting, "take", "act")
    noted(HotStateWriter, "write", "store")
    log.clear()
    stage.server.set_prices("EURUSD", 1.09400, 1.09402)
    stage.run()
    assert Enforcement.objects.filter(account_id=account.pk).exists()
    found, acted, stored = (log.index(word) for word in ("assess", "act", "store"))
    assert acted == found + 1
    assert log[:found] == pytest.approx([LONGEST_SECONDS] * 2)  # before it polls, and after
    assert stored > acted


def test_its_desk_gives_way_but_not_before_a_violation(
    stage: Stage, alice: User, log: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    account = stage.open(alice, "Alpha")
    armed(daily_loss(alice, action="CLOSE_ALL"), account)
    stage.run(3)
    assert stage.tick is not None
    assert stage.tick.acting is not None
    desk = stage.tick.acting.desk
    monkeypatch.setattr(desk_module, "RIGHT_OF_WAY", Crowd(log))
    stage.buy(account, 10.0)
    stage.run(2)
    log.clear()
    desk._give_way()
    assert log == [LONGEST_SECONDS]
    monkeypatch.setattr(desk, "_round", lambda: None)  # of a thread that is not there yet
    stage.server.set_prices("EURUSD", 1.09400, 1.09402)
    stage.run()
    log.clear()
    desk._give_way()
    assert log == []
    desk._give_way()  # it was looked at
    assert log == [LONGEST_SECONDS]
