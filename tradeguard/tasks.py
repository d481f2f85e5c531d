from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down

from tradeguard.tick.worker import stop_workers, worker_of


@shared_task(name="tradeguard.tick", ignore_result=True)
def tick(host: str) -> None:
    """Ask for a tick of this host; it runs in a thread of its own, not in the task."""
    worker_of(host).driver.request()


@worker_shutting_down.connect
def end_ticks(**_kwargs: Any) -> None:
    stop_workers()
