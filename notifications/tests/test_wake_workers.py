import pytest

from accounts.task_messages import TaskMessage
from notifications.services import routing
from notifications.services.routing import DELIVERIES_PER_TASK, wake_senders


def test_it_asks_for_deliveries_in_small_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[TaskMessage] = []
    monkeypatch.setattr(routing, "enqueue", sent.append)
    ids = list(range(2 * DELIVERIES_PER_TASK + 1))
    wake_senders(ids)
    assert [message.arguments for message in sent] == [[ids[:50]], [ids[50:100]], [ids[100:]]]
    assert {(message.task, message.queue) for message in sent} == {
        ("notifications.deliver", "deliveries")
    }
