"""The generated passwords of the demo's people, in a file that only its owner can read."""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

FILE_NAME = "demo-users.json"
# No letters and digits that look alike: these passwords are typed from a terminal.
ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
PASSWORD_LENGTH = 14


@dataclass(frozen=True)
class Credential:
    """How a demo user signs in; without a password, that person has chosen another."""

    username: str
    password: str | None

    def __str__(self) -> str:
        return f"{self.username} / {self.password or 'the password that you chose'}"


def new_password() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(PASSWORD_LENGTH))


def read_credentials(home: Path) -> list[Credential]:
    """Return what was kept in this home folder, the demo's main user first."""
    try:
        rows = json.loads((home / FILE_NAME).read_text(encoding="utf-8"))
        return [Credential(row["username"], row["password"]) for row in rows]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return []


def write_credentials(home: Path, credentials: list[Credential]) -> None:
    path = home / FILE_NAME
    draft = path.with_name(f"{FILE_NAME}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump([vars(credential) for credential in credentials], file, indent=2)
    draft.replace(path)
