import os
from typing import Any

from celery import Celery
from celery.signals import worker_init
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradeguard.settings")

app = Celery("tradeguard")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


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
