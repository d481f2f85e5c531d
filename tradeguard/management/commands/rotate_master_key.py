import sys
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.utils import timezone
from tqdm import tqdm

from accounts.services.master_key_rotation import Resealed, count_rows, reseal_all
from accounts.services.master_keys import ensure_master_key, retire_others, short_name
from accounts.vault.keyring import current_key
from accounts.vault.register import MasterKeyRefusedError
from tradeguard.embedded import (
    SecretsFileError,
    add_master_key,
    drop_previous_master_keys,
    secrets_path,
)

# Somebody who seals with the old key all the time has not been restarted with the new one.
MOST_PASSES = 5
NEW_KEY = "TRADEGUARD_MASTER_KEY"
OLD_KEY = "TRADEGUARD_MASTER_KEY_PREVIOUS"


class Command(BaseCommand):
    help = (
        "Seal every stored secret anew with the present master key and retire the one before. Can "
        "be interrupted and run again; the desk may run meanwhile, once it has both keys."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--generate",
            action="store_true",
            help="embedded only, the first step: write a new master key to secrets.env, next to "
            "the one that it replaces",
        )

    def handle(self, *_arguments: Any, generate: bool, **_options: Any) -> None:
        if generate:
            require_checked()
            self.generate()
        else:
            self.rotate()

    def generate(self) -> None:
        if not settings.EMBEDDED:
            raise CommandError(
                f"In production, {NEW_KEY} comes from the environment: put a new key there, the "
                f"present one into {OLD_KEY}, restart every process, then run rotate_master_key."
            )
        try:
            add_master_key(settings.HOME, present=settings.MASTER_KEY)
        except SecretsFileError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(
            f"{settings.HOME / 'secrets.env'} holds a new master key and the one before. Start the "
            "desk again if it is running, then run: manage.py rotate_master_key"
        )

    def rotate(self) -> None:
        require_two_keys()
        require_restarted_desk()
        require_checked()
        changed, retired = self.reseal_until_done()
        key = short_name(current_key().fingerprint.hex())
        if changed or retired:
            names = ", ".join(f"{name}…" for name in retired) or "no other"
            self.stdout.write(
                f"{changed} secrets are sealed anew with the master key {key}…; {names} is retired."
            )
        else:
            self.stdout.write(
                f"Every secret is sealed with the master key {key}… already; nothing to rotate."
            )
        self.forget_previous()

    def reseal_until_done(self) -> tuple[int, list[str]]:
        changed = 0
        for _ in range(MOST_PASSES):
            done = self.reseal_once()
            changed += done.changed
            if done.closed:
                raise CommandError(
                    f"{len(done.closed)} secrets open with none of the master keys here: "
                    f"{listed(done.closed)}. Add the key they were sealed with to {OLD_KEY}, or "
                    "enter these secrets anew; then run this again. No key was retired."
                )
            retired = retire_others(now=timezone.now())
            if retired is not None:
                return changed, retired
        raise CommandError(
            "Another process keeps sealing with the old master key. Restart every process with "
            "both keys, then run this again. No key was retired."
        )

    def reseal_once(self) -> Resealed:
        # Its own default is stderr; without a terminal there is nobody to watch it.
        with tqdm(total=count_rows(), unit=" secrets", disable=None) as bar:
            return reseal_all(now=timezone.now, advance=considerate(bar.update))

    def forget_previous(self) -> None:
        if not settings.PREVIOUS_MASTER_KEYS:
            return
        if settings.EMBEDDED and drop_previous_master_keys(settings.HOME):
            self.stdout.write(
                "The old key is gone from secrets.env; backups from before need the old file."
            )
        else:
            self.stdout.write(f"Take the old key out of {OLD_KEY} on every machine now.")


def considerate(advance: Callable[[int], object]) -> Callable[[int], None]:
    """Pause after each batch as long as it took, where a batch keeps all others from writing.

    SQLite has one writer and no queue: without pauses the ticks of a running desk find no gap.
    """
    began = time.monotonic()

    def after_batch(rows: int) -> None:
        nonlocal began
        advance(rows)
        if connection.vendor == "sqlite":
            time.sleep(time.monotonic() - began)
        began = time.monotonic()

    return after_batch


def require_checked() -> None:
    try:
        if not ensure_master_key():
            raise CommandError("The database does not answer, or `manage.py migrate` has not run.")
    except MasterKeyRefusedError as error:
        raise CommandError(str(error)) from None


def require_two_keys() -> None:
    if settings.MASTER_KEY in settings.PREVIOUS_MASTER_KEYS:
        raise CommandError(f"{NEW_KEY} and {OLD_KEY} are the same key.")


def require_restarted_desk() -> None:
    """Refuse while a desk runs that was started before the new key was written."""
    if not settings.EMBEDDED or not settings.PREVIOUS_MASTER_KEYS or sys.platform == "win32":
        return
    from tradeguard.serving.claims import claimed_at  # needs POSIX

    started_at = claimed_at(settings.HOME)
    if started_at is not None and started_at < secrets_path(settings.HOME).stat().st_mtime:
        raise CommandError(
            "The desk that is running does not know the new master key yet. Stop it and start it "
            "again first."
        )


def listed(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
