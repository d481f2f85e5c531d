import pytest

from accounts.task_messages import TaskMessage
from notifications.services import waking
from notifications.services.waking import wake_sender


@pytest.mark.parametrize(("after_seconds", "countdown"), [(0.0, None), (10.0, 10.0)])
def test_it_asks_for_a_sender_when_something_is_due(
    monkeypatch: pytest.MonkeyPatch, after_seconds: float, countdown: float | None
) -> None:
    sent: list[TaskMessage] = []
    monkeypatch.setattr(waking, "enqueue", sent.append)
    wake_sender("email", after_seconds=after_seconds)
    [message] = sent
    assert (message.task, message.arguments) == ("notifications.deliver_by", ["email"])
    assert (message.queue, message.countdown) == ("deliveries", countdown)
