from celery import shared_task
from django.utils import timezone

from risk.orders.desk import wake_desks
from risk.services.orders import expire_orders
from risk.services.strays import settle_strays


@shared_task(name="risk.serve", ignore_result=True)
def serve(host: str) -> None:
    """Look at once for orders and enforcement of a host that this process watches.

    Runs on the queue of that host. A message that is lost only costs time: each tick looks.
    """
    wake_desks([host])


@shared_task(name="risk.expire_orders", ignore_result=True)
def expire_overdue_orders() -> None:
    """End the orders that came too late because nobody watches their host, and what strayed."""
    now = timezone.now()
    expire_orders(now=now)
    settle_strays(now=now)
