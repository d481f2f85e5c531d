"""A program whose letters are sent by processes that may be killed.

It reads one command a line and has a process of its own do it, whose number it prints, then its
exit code: `fill COUNT HOLD` puts so many deliveries into an empty database, `send SECONDS` sends
what is due in so many seconds.
"""

import importlib
import os
import sys
from datetime import timedelta

import django
from django.core.management import call_command
from django.db import connections
from django.utils import timezone

# When the letters were due.
LONG_AGO = timedelta(hours=1)


def fill(count: int, hold: str) -> None:
    # Models exist once Django is set up.
    from accounts.models import User
    from notifications.models import Channel, Delivery, Notification

    Notification.objects.all().delete()
    user, _ = User.objects.get_or_create(username="alice", email="alice@example.com")
    channel, _ = Channel.objects.get_or_create(user=user, transport="email", name="E-mail")
    at = timezone.now() - LONG_AGO
    for number in range(1, count + 1):
        notification = Notification.objects.create(
            user=user,
            type="order_rejected",
            title=f"Letter {number}",
            dedupe_key=f"letter:{number}",
            routed_at=at,
            created_at=at,
        )
        Delivery.objects.create(
            notification=notification,
            channel=channel,
            transport="email",
            hold=hold,
            next_attempt_at=at,
            created_at=at,
        )


def send(seconds_ahead: float) -> None:
    from notifications.services.deliveries import deliver_due

    ahead = timedelta(seconds=seconds_ahead)
    deliver_due(clock=lambda: timezone.now() + ahead)


def do(command: list[str]) -> None:
    if command[0] == "fill":
        fill(int(command[1]), command[2] if len(command) > 2 else "")
    else:
        send(float(command[1]))
    connections.close_all()


def main() -> None:
    django.setup()
    call_command("migrate", verbosity=0)
    # Once for all of the processes below.
    importlib.import_module("notifications.services.deliveries").transports()
    connections.close_all()
    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                do(line.split())
            except BaseException:
                sys.excepthook(*sys.exc_info())
                os._exit(1)
            os._exit(0)
        print(pid, flush=True)  # noqa: T201
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
