"""What the processes of a soak complain of, and which of it was foreseen."""

from pathlib import Path

import pytest

from tradeguard.soaking.soak import _UNFORESEEN, Soak, SoakOptions

AT = "2026-11-20 10:00:00,123"
OF_REDIS = (
    f"[beat] {AT} ERROR celery.beat: Message Error: Error 111 connecting to 127.0.0.1:1.",
    f"[beat] {AT} CRITICAL celery.worker.request: Couldn't ack '1', reason:network:ConnectionError",
)
OF_OTHERS = (
    f"[beat] {AT} ERROR celery.app.trace: Task tradeguard.tick raised unexpected: KeyError('a')",
    f"[beat] {AT} ERROR copytrade.keeping.keeper: The copies of local could not be looked at.",
)
TRACEBACK = "[beat] Traceback (most recent call last):"


def unforeseen(*lines: str) -> int:
    soak = Soak(
        SoakOptions(
            home=Path(), broker_home=Path(), host="local", seconds=1.0, followers=1, seed=1,
            kill_seconds=1.0,
        ),
        say=print,
    )  # fmt: skip
    for line in lines:
        soak._heard(line)
    return sum(count for alarm, count in soak.alarms.items() if _UNFORESEEN.search(alarm))


@pytest.mark.parametrize("said", OF_REDIS)
def test_celerys_way_to_a_dead_redis_is_foreseen(said: str) -> None:
    assert unforeseen(said, TRACEBACK, "[beat]   File", TRACEBACK) == 0


@pytest.mark.parametrize("said", OF_OTHERS)
def test_every_other_traceback_counts(said: str) -> None:
    assert unforeseen(said, TRACEBACK) == 1
    assert unforeseen(OF_REDIS[0], said, TRACEBACK) == 1
    assert unforeseen(OF_REDIS[0], TRACEBACK.replace("beat", "terminals")) == 1


def test_a_thread_that_died_counts_whatever_came_before() -> None:
    assert unforeseen(OF_REDIS[0], "[beat] Exception in thread Thread-1 (_run):") == 1
