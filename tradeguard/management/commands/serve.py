import os
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from accounts.services.master_keys import examine_at_start
from accounts.terminals.simulated.prices.exports import ExportError, read_folder
from tradeguard.demo.credentials import read_credentials

DEFAULT_PORT = 8000


class Command(BaseCommand):
    help = (
        "Run the whole desk in the foreground: Redis, the simulated broker, the web server, the "
        "workers and the scheduler. PORT and TRADEGUARD_HOME are read from the environment."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--prices",
            type=Path,
            metavar="DIR",
            help="replay the one-minute bars or ticks that MetaTrader exported into this folder "
            "(default: a random walk)",
        )
        parser.add_argument("--speed", type=float, help="how many times faster than the market")
        parser.add_argument("--seed", type=int, help="of the random walk")
        parser.add_argument(
            "--no-demo", action="store_true", help="do not create the demo desk and its users"
        )

    def handle(
        self,
        *_arguments: Any,
        prices: Path | None,
        speed: float | None,
        seed: int | None,
        no_demo: bool,
        **_options: Any,
    ) -> None:
        if sys.platform == "win32":
            raise CommandError("serve runs on Linux and macOS; on Windows start only the worker.")
        # These modules need POSIX.
        from tradeguard.serving.claims import ClaimError
        from tradeguard.serving.desk import Desk, DeskOptions
        from tradeguard.serving.programs import BrokerOptions
        from tradeguard.serving.supervisor import StartError

        if speed is not None and not speed > 0:
            raise CommandError("--speed must be more than 0.")
        require_master_key()
        # WhiteNoise warns when it is not there.
        settings.STATIC_ROOT.mkdir(exist_ok=True)
        desk = Desk(
            DeskOptions(
                home=settings.HOME,
                broker_home=settings.SIMULATED_BROKER_HOME,
                port=read_port(),
                host=settings.TERMINAL_HOST,
                redis_url=os.environ.get("REDIS_URL"),
                has_demo=not no_demo,
                broker=BrokerOptions(prices=check_prices(prices), speed=speed, seed=seed),
            ),
            say=self.say,
            sign_in=lambda: sign_in_hint(has_demo=not no_demo),
        )
        try:
            desk.run()
        except (ClaimError, StartError) as error:
            raise CommandError(str(error)) from error

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def require_master_key() -> None:
    """Refuse a wrong master key with one sentence, before every process says it in its log."""
    try:
        examine_at_start()
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from None
    finally:
        connections.close_all()


def read_port() -> int:
    text = os.environ.get("PORT") or str(DEFAULT_PORT)
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:
        raise CommandError(f"PORT is {text!r}; it must be a number from 1 to 65535.")
    return int(text)


def check_prices(folder: Path | None) -> Path | None:
    """Return the folder's full path once every file in it is an export of bars or ticks."""
    if folder is None:
        return None
    try:
        read_folder(folder)
    except ExportError as error:
        raise CommandError(f"--prices {folder}: {error}") from error
    return folder.resolve()


def sign_in_hint(*, has_demo: bool) -> str:
    credentials = read_credentials(settings.HOME) if has_demo else []
    return f"sign in as {credentials[0]}" if credentials else "register there to sign in"
