"""The tasks of the sending worker, and what wakes them."""

from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from celery.signals import worker_shutting_down
from django.core import mail
from django.utils import timezone

from accounts.models import User
from accounts.task_messages import TaskMessage
from notifications import tasks
from notifications.models import Delivery
from notifications.services import sending, waking
from notifications.tests.carrier import Carrier
from notifications.tests.factories import make_channel, make_delivery


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[TaskMessage]:
    sent: list[TaskMessage] = []
    monkeypatch.setattr(waking, "enqueue", sent.append)
    return sent


def test_the_sweep_wakes_each_transport_once_on_the_queue_of_senders(
    alice: User, woken: list[TaskMessage]
) -> None:
    hook = make_channel(alice, "webhook")
    for channel in (None, None, hook):
        make_delivery(alice, channel=channel)

    tasks.deliver_due()

    assert [message.arguments[0] for message in woken] in (
        ["email", "webhook"],
        ["webhook", "email"],
    )
    assert {(message.task, message.queue) for message in woken} == {
        (tasks.deliver_by.name, "deliveries")
    }


def test_the_sweep_wakes_what_nobody_woke_and_cancels_what_cannot_go(
    alice: User, woken: list[TaskMessage]
) -> None:
    make_delivery(alice)
    stranded = make_delivery(alice)
    Delivery.objects.filter(pk=stranded.pk).update(transport="pigeon")

    tasks.deliver_due()

    assert [message.arguments for message in woken] == [["email"]]
    stranded.refresh_from_db()
    assert stranded.state == "cancelled"


def test_the_sweep_leaves_what_is_not_due(alice: User, woken: list[TaskMessage]) -> None:
    make_delivery(alice, next_attempt_at=timezone.now() + timedelta(hours=1))
    tasks.deliver_due()
    assert woken == []


def test_it_mails_through_the_task(alice: User) -> None:
    make_delivery(alice)
    mail.outbox.clear()

    tasks.deliver_by("email")
    tasks.deliver_by("email")

    assert [message.to for message in mail.outbox] == [["alice@example.com"]]


def test_it_forgets_old_notifications_through_the_task(alice: User) -> None:
    delivery = make_delivery(alice, read_at=timezone.now())
    tasks.forget_old()
    assert Delivery.objects.filter(pk=delivery.pk).exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.conf.settings.NOTIFICATIONS_KEPT_DAYS", -1000)
        tasks.forget_old()
    assert not Delivery.objects.filter(pk=delivery.pk).exists()


def test_a_worker_that_shuts_down_begins_no_more_letters(alice: User, carrier: Carrier) -> None:
    make_delivery(alice)
    worker_shutting_down.send(sender=None, sig="SIGTERM", how="Warm", exitcode=0)
    assert sending.stopping.is_set()
    tasks.deliver_by("email")
    assert carrier.tried == []


def test_the_schedule_names_tasks_that_exist(settings: Any) -> None:
    queues = {
        entry["task"]: entry["options"]["queue"] for entry in settings.CELERY_BEAT_SCHEDULE.values()
    }
    assert queues[tasks.deliver_due.name] == "deliveries"
    assert queues[tasks.route.name] == "default"
    assert queues[tasks.forget_old.name] == "default"
    ours = {name for name in queues if name.startswith("notifications.")}
    assert ours <= set(current_app.tasks)


def test_a_worker_that_fails_for_good_has_its_senders_end() -> None:
    [step] = [each for each in current_app.steps["worker"] if each.__name__ == "FinishLetters"]

    step(parent=None).stop(None)

    assert sending.stopping.is_set()
