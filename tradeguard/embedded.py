"""What a machine without any configuration runs on: private files in one home folder."""

import os
import secrets
from pathlib import Path

SECRET_NAMES = ("SECRET_KEY", "TRADEGUARD_MASTER_KEY")


def load_secrets(home: Path) -> dict[str, str]:
    """Return the generated secrets of this home folder, creating them on first use.

    They live in `secrets.env`, readable by its owner alone. Two processes that start at the same
    moment end with the same file: whoever links it first wins.
    """
    path = home / "secrets.env"
    if not path.exists():
        _write_once(path, "".join(f"{name}={secrets.token_urlsafe(48)}\n" for name in SECRET_NAMES))
    lines = path.read_text(encoding="ascii").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _write_once(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def read_redis_url(home: Path) -> str:
    """Return the address of the bundled Redis that `serve` started for this home folder."""
    try:
        return (home / "run" / "redis.url").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return "redis://127.0.0.1:6379/0"
