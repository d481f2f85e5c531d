"""The servers that tests run against: a real Redis always, a real PostgreSQL on request.

Loaded as an early pytest plugin (`-p`), because Django reads its settings before any conftest.
`TEST_DATABASE=postgresql` starts PostgreSQL from its wheel unless DATABASE_URL names a server.
Redis is always one of our own: tests empty it. Where its wheel does not exist (Windows),
TEST_REDIS_URL names one that may be emptied.
"""

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

PREFIX = "tradeguard-test-"
START_SECONDS = 20.0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With PostgreSQL, try what asks the database: the rest is the same as with SQLite."""
    if os.environ.get("TEST_DATABASE") != "postgresql":
        return
    same = [item for item in items if not _asks_the_database(item)]
    config.hook.pytest_deselected(items=same)
    items[:] = [item for item in items if _asks_the_database(item)]


def _asks_the_database(item: pytest.Item) -> bool:
    fixtures = {"db", "transactional_db"}.intersection(getattr(item, "fixturenames", ()))
    return bool(fixtures) or item.get_closest_marker("django_db") is not None


def _start() -> None:
    _sweep()
    home = _new_folder()
    os.environ["TRADEGUARD_MODE"] = "embedded"
    os.environ["TRADEGUARD_HOME"] = str(home)
    os.environ["EMAIL_URL"] = "memorymail://"
    os.environ["REDIS_URL"] = os.environ.get("TEST_REDIS_URL") or _start_redis(home / "run")
    if os.environ.get("TEST_DATABASE") != "postgresql":
        os.environ.pop("DATABASE_URL", None)
    elif "DATABASE_URL" not in os.environ:
        os.environ["DATABASE_URL"] = _start_postgresql()


def _new_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _sweep() -> None:
    """Remove the folders of test runs that were killed; their servers died with them."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdecimal() and not _is_running(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_running(pid: int) -> bool:
    if sys.platform == "win32":
        return True  # there, signal 0 would end the process
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _start_redis(run: Path) -> str:
    # The wheel does not exist for Windows.
    from tradeguard.serving.child import Lifeline
    from tradeguard.serving.redis import answers, prepare_redis

    program, url = prepare_redis(run)
    lifeline = Lifeline()
    with (run / "redis.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  # the wheel's program
            [*lifeline.leash(signal.SIGKILL), *program.command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for pytest, which stops it afterwards
            pass_fds=lifeline.inherited,
        )
    atexit.register(process.wait)
    atexit.register(process.kill)
    deadline = time.monotonic() + START_SECONDS
    while not answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"Redis does not start:\n{(run / 'redis.log').read_text()}")
        time.sleep(0.02)
    return url


def _start_postgresql() -> str:
    from tradeguard.tests.postgres import PostgresServer  # slow to import, not needed on SQLite

    server = PostgresServer(_new_folder())
    atexit.register(server.stop)
    return server.url


_start()
