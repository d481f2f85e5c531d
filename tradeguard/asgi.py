import os
from concurrent.futures import ThreadPoolExecutor

import django
from django.db import connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradeguard.settings")
django.setup()

from accounts.services.master_keys import ensure_master_key  # noqa: E402  # needs the app registry
from tradeguard.protocols import application  # noqa: E402


def check_master_key() -> None:
    try:
        ensure_master_key()
    finally:
        connections.close_all()


# Some servers import this inside of their event loop, where the database must not be asked.
with ThreadPoolExecutor(1) as thread:
    thread.submit(check_master_key).result()

__all__ = ["application"]
