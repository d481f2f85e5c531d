import json
import threading
from base64 import b64decode
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from celery import current_app
from redis import Redis

from accounts.task_messages import Outbox, TaskMessage


def message(number: int) -> TaskMessage:
    return TaskMessage("notifications.deliver", [[number]], "default")


def next_task(redis: Redis) -> tuple[str, Any]:
    """Take the next task off the queue of the default workers."""
    taken: Any = redis.brpop(["celery:default"], timeout=10)
    assert taken is not None, "no task arrived"
    message = json.loads(taken[1])
    return message["headers"]["task"], json.loads(b64decode(message["body"]))[0]


def test_it_sends_to_the_workers_of_the_queue(redis: Redis) -> None:
    outbox = Outbox()
    assert outbox.put(message(7))
    assert next_task(redis) == ("notifications.deliver", [[7]])


def test_it_has_a_task_done_later(redis: Redis) -> None:
    before = datetime.now(UTC)
    Outbox().put(replace(message(7), countdown=30.0))
    _, raw = redis.brpop(["celery:default"], timeout=10)  # type: ignore[misc]  # one did arrive
    eta = datetime.fromisoformat(json.loads(raw)["headers"]["eta"])
    assert 30 <= (eta - before).total_seconds() < 60


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
    outbox = Outbox(most_waiting=3)
    outbox.put(message(0))
    assert asked.wait(10)
    assert [outbox.put(message(number)) for number in range(1, 6)] == [True] * 3 + [False] * 2
    assert not answers.is_set()
    assert redis.llen("celery:default") == 0
    answers.set()
    # One under way and three that waited; the others were refused.
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
    outbox = Outbox()
    outbox.put(message(1))
    outbox.put(message(2))
    assert next_task(redis) == ("notifications.deliver", [[2]])
    assert "waits for a sweep" in caplog.text
