import os
from typing import Any

from celery import Celery, bootsteps
from celery.signals import worker_init
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradeguard.settings")

app = Celery("tradeguard")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


class FinishLetters(bootsteps.StartStopStep):
    """Has senders end before the pool waits for them, also when the worker fails for good."""

    requires = ("celery.worker.components:Pool",)

    def stop(self, _worker: Any) -> None:
        # Needs the app registry, which is filled after this module.
        from notifications.services import stop_sending

        stop_sending()


app.steps["worker"].add(FinishLetters)


@worker_init.connect(weak=False)
def check_master_key(**_worker: Any) -> None:
    # Needs the app registry, which is filled after this module.
    from accounts.services.master_keys import ensure_master_key

    try:
        ensure_master_key()
    except ImproperlyConfigured as error:
        # Celery only logs what handlers raise, unless it ends the process.
        raise SystemExit(f"This worker does not start: {error}") from error
    finally:
        connections.close_all()
