import json
import threading
from base64 import b64decode
from typing import Any

import pytest
from celery import current_app
from redis import Redis

from notifications import tasks
from notifications.services.doorbell import DELIVERIES_PER_TASK, Doorbell


def next_task(redis: Redis) -> tuple[str, Any]:
    """Take the next task off the queue of the default workers."""
    taken: Any = redis.brpop(["celery:default"], timeout=10)
    assert taken is not None, "no task arrived"
    message = json.loads(taken[1])
    return message["headers"]["task"], json.loads(b64decode(message["body"]))[0]


def test_it_enqueues_small_tasks_for_the_default_workers(redis: Redis) -> None:
    ids = list(range(2 * DELIVERIES_PER_TASK + 1))

    Doorbell().ring(ids)

    parts = [ids[:50], ids[50:100], ids[100:]]
    assert [next_task(redis) for _ in parts] == [(tasks.deliver.name, [part]) for part in parts]


def test_it_enqueues_nothing_for_nothing(redis: Redis) -> None:
    doorbell = Doorbell()
    doorbell.ring([])
    doorbell.ring([7])

    assert next_task(redis) == (tasks.deliver.name, [[7]])
    assert redis.llen("celery:default") == 0


def test_it_holds_nobody_up_while_the_broker_does_not_answer(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answers = threading.Event(), threading.Event()
    send_task = current_app.send_task

    def wait_then_send(*args: Any, **options: Any) -> Any:
        asked.set()
        answers.wait(30)
        return send_task(*args, **options)

    monkeypatch.setattr(current_app, "send_task", wait_then_send)
    doorbell = Doorbell(most_waiting=3)
    doorbell.ring([0])
    assert asked.wait(10)
    for number in range(1, 10):
        doorbell.ring([number])

    assert not answers.is_set()
    assert redis.llen("celery:default") == 0
    answers.set()
    # One under way and three that waited; the others are left to the sweep.
    assert [next_task(redis)[1] for _ in range(4)] == [[[number]] for number in range(4)]
    assert redis.llen("celery:default") == 0


def test_it_goes_on_after_the_broker_was_away(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failed = threading.Event()
    send_task = current_app.send_task

    def fail_once(*args: Any, **options: Any) -> Any:
        if not failed.is_set():
            failed.set()
            raise ConnectionError("The broker is away")
        return send_task(*args, **options)

    monkeypatch.setattr(current_app, "send_task", fail_once)
    doorbell = Doorbell()
    doorbell.ring([1])
    doorbell.ring([2])

    assert next_task(redis) == (tasks.deliver.name, [[2]])
    assert "wait for the next sweep" in caplog.text
