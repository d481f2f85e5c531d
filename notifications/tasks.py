from celery import shared_task
from django.utils import timezone

from notifications import services

# Both run on the queue "default": who sends them says so, since a task's own `queue` is deprecated.


@shared_task(name="notifications.deliver")
def deliver(delivery_ids: list[int]) -> None:
    services.deliver_these(delivery_ids=delivery_ids, clock=timezone.now)


@shared_task(name="notifications.deliver_due")
def deliver_due() -> None:
    services.deliver_due(clock=timezone.now)
