from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down
from django.utils import timezone

from notifications import services

# Who sends them names their queue, since a task's own `queue` is deprecated: routing runs on
# "default", sending on "deliveries", where a server that does not answer holds up nothing else.


@shared_task(name="notifications.route")
def route() -> None:
    services.route_while_due(clock=timezone.now)


@shared_task(name="notifications.deliver_by")
def deliver_by(transport: str) -> None:
    services.send_while_due(transport, clock=timezone.now)


@shared_task(name="notifications.deliver_due")
def deliver_due() -> None:
    services.sweep(now=timezone.now())


@shared_task(name="notifications.forget_old")
def forget_old() -> None:
    services.forget_old(now=timezone.now())


@worker_shutting_down.connect
def finish_letters(**_worker: Any) -> None:
    """Have every sender finish the letter at hand and give back what it has not begun."""
    services.stop_sending()
