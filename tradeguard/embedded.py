"""What a machine without any configuration runs on: private files in one home folder."""

import os
import secrets
from pathlib import Path

MASTER_KEY_NAME = "TRADEGUARD_MASTER_KEY"
PREVIOUS_NAME = "TRADEGUARD_MASTER_KEY_PREVIOUS"
SECRET_NAMES = ("SECRET_KEY", MASTER_KEY_NAME)


class SecretsFileError(Exception):
    """The master key in `secrets.env` cannot be replaced; the message tells what to do."""


def load_secrets(home: Path) -> dict[str, str]:
    """Return the generated secrets of this home folder, creating them on first use.

    They live in `secrets.env`, readable by its owner alone. Two processes that start at the same
    moment end with the same file: whoever links it first wins.
    """
    path = secrets_path(home)
    if not path.exists():
        drawn = {name: secrets.token_urlsafe(48) for name in SECRET_NAMES}
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = _written_draft(path, drawn)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return _read(path)


def secrets_path(home: Path) -> Path:
    return home / "secrets.env"


def add_master_key(home: Path, *, present: str) -> None:
    """Put a new master key into `secrets.env` and the present one behind it, in one step.

    Raises SecretsFileError when the key of this process is not the file's, or when the file has a
    previous key already: a rotation that has begun must end first.
    """
    held = _read(secrets_path(home))
    if held.get(MASTER_KEY_NAME) != present:
        raise SecretsFileError(
            f"{MASTER_KEY_NAME} comes from the environment here, not from secrets.env; replace it "
            f"there, with the present one in {PREVIOUS_NAME}."
        )
    if held.get(PREVIOUS_NAME):
        raise SecretsFileError(
            "secrets.env holds a new master key already. Start the desk again if it is running, "
            "then run: manage.py rotate_master_key"
        )
    _replace(home, {**held, MASTER_KEY_NAME: secrets.token_urlsafe(48), PREVIOUS_NAME: present})


def drop_previous_master_keys(home: Path) -> bool:
    """Take the previous master keys out of `secrets.env`; tell whether it held any."""
    held = _read(secrets_path(home))
    if held.pop(PREVIOUS_NAME, None) is None:
        return False
    _replace(home, held)
    return True


def read_redis_url(home: Path) -> str:
    """Return the address of the bundled Redis that `serve` started for this home folder."""
    try:
        return (home / "run" / "redis.url").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return "redis://127.0.0.1:6379/0"


def _read(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="ascii").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _replace(home: Path, held: dict[str, str]) -> None:
    path = secrets_path(home)
    _written_draft(path, held).replace(path)
    if os.name == "posix":  # the change of name has to survive a power cut as well
        folder = os.open(home, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _written_draft(path: Path, held: dict[str, str]) -> Path:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    # One that a killed process of the same number has left.
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write("".join(f"{name}={value}\n" for name, value in held.items()))
        file.flush()
        os.fsync(file.fileno())
    return draft
