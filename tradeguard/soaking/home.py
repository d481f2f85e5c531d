"""A home folder, and a database, that nobody else has; both are gone when the soak has ended."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from accounts.terminals.simulated.service.process import ADDRESS_FILE
from tradeguard.serving.redis import prepare_redis

SQLITE, POSTGRESQL = "sqlite", "postgresql"
# Nothing of the desk that this command is started on may reach the one that it starts.
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")


class NoDatabaseError(Exception):
    """There is no server for the database that was asked for; says why."""


@contextmanager
def soak_home(database: str, *, keeps: bool) -> Iterator[dict[str, str]]:
    """Yield the environment of a desk of its own; `database` is sqlite, postgresql or a URL.

    `postgresql` starts a server of its own from its wheel; a URL names a server on which a new
    database is made. Raises NoDatabaseError.
    """
    folder = Path(tempfile.mkdtemp(prefix="tradeguard-soak-"))
    try:
        with _database(database, folder) as url:
            # The desk's address is to be known before its settings are read.
            _, redis_url = prepare_redis(folder / "home" / "run")
            yield {
                **{name: os.environ[name] for name in _KEPT if name in os.environ},
                "HOME": str(folder),
                "TRADEGUARD_HOME": str(folder / "home"),
                "REDIS_URL": redis_url,
                "PYTHONUNBUFFERED": "1",
                "LOG_LEVEL": os.environ.get("LOG_LEVEL", "INFO"),
                **({"DATABASE_URL": url} if url else {}),
            }
    finally:
        if not keeps:
            shutil.rmtree(folder, ignore_errors=True)


def broker_address(home: Path) -> Path:
    return home / ADDRESS_FILE


@contextmanager
def _database(database: str, folder: Path) -> Iterator[str | None]:
    if database == SQLITE:
        yield None
    elif database == POSTGRESQL:
        # Its wheel is for developers; nobody else has to have it.
        from tradeguard.tests.postgres import PostgresServer

        place = folder / "postgresql"
        place.mkdir()
        folder.chmod(0o711)
        try:
            server = PostgresServer(place)
        except RuntimeError as error:
            raise NoDatabaseError(str(error)) from error
        try:
            yield server.url
        finally:
            server.stop()
    elif urlsplit(database).scheme in ("postgres", "postgresql"):
        with _on_server(database) as url:
            yield url
    else:
        raise NoDatabaseError(f"{database!r} is neither sqlite nor postgresql nor a URL of one.")


@contextmanager
def _on_server(server: str) -> Iterator[str]:
    import psycopg

    name = f"tradeguard_soak_{secrets.token_hex(6)}"
    try:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')  # our own name
    except psycopg.Error as error:
        raise NoDatabaseError(f"No database could be made: {error}") from error
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
