"""Whole processes with a wrong master key, and a rotation that is killed: one home folder each."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest
from django.conf import settings

from accounts.vault.cipher import decrypt, vault_key
from tradeguard.embedded import load_secrets, secrets_path
from tradeguard.serving.claims import claim_home

BASE_DIR = Path(__file__).resolve().parents[2]
WRONG = "a wrong master key of at least 32 characters"
REFUSAL = "TRADEGUARD_MASTER_KEY is not the key that the stored secrets are sealed with"
KEYS = 1_200
SECONDS = 60.0
SECRETS = {str(number): f"secret {number}" for number in range(KEYS)}
MAKE_KEYS = f"""
from accounts.models import ApiKey, User
alice = User.objects.create(username="alice", email="alice@example.com")
ApiKey.objects.bulk_create(
    ApiKey(user=alice, name=str(number), secret=f"secret {{number}}") for number in range({KEYS})
)
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and claims need POSIX")


def start(home: Path, *command: str, **environment: str) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TMPDIR")}
    given = {"TRADEGUARD_HOME": str(home), "REDIS_URL": settings.REDIS_URL, **environment}
    return subprocess.Popen(  # noqa: S603  # our own commands
        [sys.executable, *command],
        cwd=BASE_DIR,
        env={**kept, **given},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(home: Path, *command: str, **environment: str) -> tuple[int, str]:
    process = start(home, *command, **environment)
    out, _ = process.communicate(timeout=SECONDS)
    return process.returncode, out


def manage(home: Path, *arguments: str, **environment: str) -> str:
    code, out = run(home, "manage.py", *arguments, **environment)
    assert code == 0, out
    return out


@pytest.fixture(scope="module")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    manage(folder, "migrate", "--no-input")
    manage(folder, "shell", "--no-imports", "-c", MAKE_KEYS)
    return folder


@pytest.fixture
def home(made_home: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made_home, tmp_path / "home"))


def dump(home: Path) -> list[str]:
    with closing(sqlite3.connect(home / "tradeguard.sqlite3")) as database:
        return list(database.iterdump())


def sealed_by(home: Path) -> Counter[bytes]:
    """Count the stored secrets by the fingerprints of their master keys."""
    with closing(sqlite3.connect(home / "tradeguard.sqlite3", timeout=10.0)) as database:
        rows = database.execute("SELECT substr(secret, 2, 16) FROM accounts_apikey").fetchall()
    return Counter(bytes(row[0]) for row in rows)


def read_keys(home: Path) -> dict[str, str]:
    """Open every stored secret with the master keys that the home folder holds now."""
    held = load_secrets(home)
    names = ("TRADEGUARD_MASTER_KEY", "TRADEGUARD_MASTER_KEY_PREVIOUS")
    keys = [vault_key(held[name]) for name in names if name in held]
    with closing(sqlite3.connect(home / "tradeguard.sqlite3")) as database:
        rows = database.execute("SELECT id, name, secret FROM accounts_apikey").fetchall()
    return {
        name: decrypt(
            token, keys=keys, associated_data=f"accounts.apikey:secret:{UUID(pk)}".encode()
        )
        for pk, name, token in rows
    }


@pytest.mark.parametrize(
    "command",
    [
        ("-m", "daphne", "-p", "0", "tradeguard.asgi:application"),
        ("-m", "celery", "--app=tradeguard", "worker", "--pool=threads", "-Q", "of_a_test"),
        ("manage.py", "serve", "--no-demo"),
        ("manage.py", "check_setup"),
        ("manage.py", "rotate_master_key"),
    ],
    ids=["web", "worker", "serve", "check_setup", "rotate_master_key"],
)
def test_it_does_not_start_with_a_wrong_master_key(home: Path, command: tuple[str, ...]) -> None:
    before = dump(home)
    code, out = run(home, *command, TRADEGUARD_MASTER_KEY=WRONG, PORT="0")
    assert code not in (0, None)
    assert REFUSAL in out.replace("\n", " ")
    assert WRONG not in out
    assert dump(home) == before


def test_it_loses_nothing_when_a_rotation_is_killed(home: Path) -> None:
    old = load_secrets(home)["TRADEGUARD_MASTER_KEY"]
    assert "then run: manage.py rotate_master_key" in manage(
        home, "rotate_master_key", "--generate"
    )
    process = start(home, "manage.py", "rotate_master_key")
    deadline = time.monotonic() + SECONDS
    while len(sealed_by(home)) < 2:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    counts = sealed_by(home)
    assert len(counts) == 2
    assert sum(counts.values()) == KEYS
    assert read_keys(home) == SECRETS

    assert "secrets are sealed anew" in manage(home, "rotate_master_key")
    assert len(sealed_by(home)) == 1
    assert read_keys(home) == SECRETS
    held = load_secrets(home)
    assert "TRADEGUARD_MASTER_KEY_PREVIOUS" not in held
    assert held["TRADEGUARD_MASTER_KEY"] != old
    assert secrets_path(home).stat().st_mode & 0o077 == 0
    with closing(sqlite3.connect(home / "tradeguard.sqlite3")) as database:
        audited = database.execute(
            "SELECT count(*), count(DISTINCT key_id) FROM accounts_apikeyauditlog"
        ).fetchone()
    assert audited == (KEYS, KEYS)
    code, out = run(home, "manage.py", "rotate_master_key", TRADEGUARD_MASTER_KEY=old)
    assert code == 1
    assert "was retired" in out


def test_it_waits_until_the_running_desk_knows_both_keys(home: Path) -> None:
    with claim_home(home):
        manage(home, "rotate_master_key", "--generate")
        before = dump(home)
        code, out = run(home, "manage.py", "rotate_master_key")
        assert code == 1
        assert "does not know the new master key yet" in out
        assert dump(home) == before
        code, out = run(home, "manage.py", "rotate_master_key", "--generate")
        assert code == 1
        assert "holds a new master key already" in out
    with claim_home(home):
        manage(home, "rotate_master_key")


def test_it_does_not_generate_a_key_over_one_of_the_environment(home: Path) -> None:
    own = load_secrets(home)["TRADEGUARD_MASTER_KEY"]
    (secrets_path(home)).write_text(f"SECRET_KEY={'s' * 40}\nTRADEGUARD_MASTER_KEY={'f' * 40}\n")
    held = secrets_path(home).read_bytes()
    code, out = run(home, "manage.py", "rotate_master_key", "--generate", TRADEGUARD_MASTER_KEY=own)
    assert code == 1
    assert "comes from the environment here" in out
    assert secrets_path(home).read_bytes() == held


def test_it_tells_what_lacks_when_there_is_no_database(tmp_path: Path) -> None:
    code, out = run(tmp_path, "manage.py", "rotate_master_key")
    assert code == 1
    assert "CommandError: The database does not answer" in out
    assert not (tmp_path / "tradeguard.sqlite3").exists()
