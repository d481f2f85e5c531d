"""What Celery beat asks for, and how often."""

from collections.abc import Iterable
from typing import Any, Final

# Tasks of the default workers, in seconds.
_TASKS: Final = {
    "notifications.route": 5.0,
    "risk.expire_orders": 10.0,
    "tradeguard.watch_hosts": 10.0,
    "accounts.close_verifications": 15.0,
    "accounts.expire_keys": 60.0,
    "tradeguard.send_summaries": 60.0,
    "accounts.roll_up_equity": 300.0,
    "tradeguard.watch_machine": 300.0,
    "accounts.forget_sessions": 3600.0,
    "tradeguard.watch_keys": 3600.0,
    "notifications.forget_old": 86_400.0,
}
# What sends runs apart: a mail server that does not answer holds up nothing else.
_SENDING_TASKS: Final = {"notifications.deliver_due": 10.0}
# A tick that waited longer says nothing any more.
_TICK_EXPIRES_SECONDS: Final = 2.0


def beat_schedule(hosts: Iterable[str], tick_interval_seconds: float) -> dict[str, dict[str, Any]]:
    """Return the schedule: a tick on the queue of each host, and what default workers do.

    What still waits when its next turn comes is dropped.
    """
    ticks = {
        f"tick-{host}": {
            "task": "tradeguard.tick",
            "args": [host],
            "schedule": tick_interval_seconds,
            "options": {"queue": f"terminals.{host}", "expires": _TICK_EXPIRES_SECONDS},
        }
        for host in hosts
    }
    tasks = {
        task: {
            "task": task,
            "schedule": seconds,
            "options": {"queue": queue, "expires": seconds},
        }
        for queue, timed in (("default", _TASKS), ("deliveries", _SENDING_TASKS))
        for task, seconds in timed.items()
    }
    return {**ticks, **tasks}
