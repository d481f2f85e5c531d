from celery import shared_task
from django.utils import timezone

from notifications import services

# Who sends them names their queue, since a task's own `queue` is deprecated: routing runs on
# "default", sending on "deliveries", where a server that does not answer holds up nothing else.


@shared_task(name="notifications.route")
def route() -> None:
    services.route_due(clock=timezone.now)


@shared_task(name="notifications.deliver")
def deliver(delivery_ids: list[int]) -> None:
    services.deliver_these(delivery_ids=delivery_ids, clock=timezone.now)


@shared_task(name="notifications.deliver_due")
def deliver_due() -> None:
    services.deliver_due(clock=timezone.now)
