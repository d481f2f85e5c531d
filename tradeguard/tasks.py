from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down

from tradeguard.tick.worker import request_tick, stop_workers


@shared_task(name="tradeguard.tick", ignore_result=True)
def tick(host: str) -> None:
    """Ask for a tick of this host; it runs in a thread of its own, not in the task."""
    request_tick(host)


@worker_shutting_down.connect
def end_ticks(**_kwargs: Any) -> None:
    stop_workers()
