from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down
from django.utils import timezone

from tradeguard.host_watch import watch_hosts
from tradeguard.key_watch import watch_keys
from tradeguard.machine_watch import watch_machine
from tradeguard.summaries import send_summaries
from tradeguard.tick.worker import request_tick, stop_workers


@shared_task(name="tradeguard.tick", ignore_result=True)
def tick(host: str) -> None:
    """Ask for a tick of this host; it runs in a thread of its own, not in the task."""
    request_tick(host)


@shared_task(name="tradeguard.watch_hosts", ignore_result=True)
def watch_silent_hosts() -> None:
    """Tell of terminal hosts that give no sign of life, and of those that are back."""
    watch_hosts(now=timezone.now())


@shared_task(name="tradeguard.watch_machine", ignore_result=True)
def watch_own_machine() -> None:
    """Tell staff when this machine is about to run out of something."""
    watch_machine(now=timezone.now())


@shared_task(name="tradeguard.watch_keys", ignore_result=True)
def watch_expiring_keys() -> None:
    """Tell users of keys that expire within days."""
    watch_keys(now=timezone.now())


@shared_task(name="tradeguard.send_summaries", ignore_result=True)
def send_due_summaries() -> None:
    """Tell users their day, each at their own time."""
    send_summaries(clock=timezone.now)


@worker_shutting_down.connect
def end_ticks(**_kwargs: Any) -> None:
    stop_workers()
