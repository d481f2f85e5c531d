import secrets
import signal
import subprocess
import sys
from argparse import SUPPRESS
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

MANAGE = Path(__file__).resolve().parents[3] / "manage.py"
_SEEDS = 2**31
_INTERRUPTED = 130


class Command(BaseCommand):
    help = (
        "Let providers and followers trade at random on a desk of its own while everything goes"
        " wrong, and prove that in the end each follower holds what the rules say, that nothing was"
        " done twice and that each copy has its end. It touches neither this desk nor its database."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--minutes", type=float, default=10.0)
        parser.add_argument("--followers", type=int, default=50)
        parser.add_argument("--seed", type=int, help="of what is done; it is told")
        parser.add_argument(
            "--kill-seconds",
            type=float,
            default=5.0,
            help="for about so long a worker lives before it is killed (%(default)s)",
        )
        parser.add_argument("--no-kill", action="store_true", help="end no process")
        parser.add_argument(
            "--database",
            default="sqlite",
            help="sqlite, postgresql (a server of its own), or the URL of a PostgreSQL server, on"
            " which a database is made and dropped again",
        )
        parser.add_argument(
            "--keep", action="store_true", help="leave the desk's folder, its logs among it"
        )
        parser.add_argument("--inside", action="store_true", help=SUPPRESS)

    def handle(self, *_arguments: Any, **options: Any) -> None:
        if sys.platform == "win32":
            raise CommandError("The soak runs on Linux and macOS.")
        if options["minutes"] <= 0 or options["followers"] < 1 or options["kill_seconds"] <= 0:
            raise CommandError("--minutes, --followers and --kill-seconds are above 0.")
        if options["seed"] is None:
            options["seed"] = secrets.randbelow(_SEEDS)
        code = self._inside(options) if options["inside"] else self._outside(options)
        if code:
            sys.exit(code)

    def _outside(self, options: dict[str, Any]) -> int:
        """Run the same command on a home of its own, for settings are read once."""
        # These modules need POSIX.
        from tradeguard.soaking.home import NoDatabaseError, soak_home

        arguments = [f"--{name}={options[name]}" for name in ("minutes", "followers", "seed")]
        arguments.append(f"--kill-seconds={options['kill_seconds']}")
        arguments += ["--no-kill"] if options["no_kill"] else []
        try:
            with soak_home(options["database"], keeps=options["keep"]) as environment:
                if options["keep"]:
                    self.stdout.write(f"The desk is in {environment['TRADEGUARD_HOME']}.")
                self.stdout.flush()
                return _run([*arguments, "--inside"], environment)
        except NoDatabaseError as error:
            raise CommandError(str(error)) from error

    def _inside(self, options: dict[str, Any]) -> int:
        from tradeguard.serving.supervisor import StartError
        from tradeguard.soaking.soak import Soak, SoakOptions

        kill_seconds = 0.0 if options["no_kill"] else options["kill_seconds"]
        self.say(
            f"Soaking for {options['minutes']:g} min with {options['followers']} followers,"
            f" seed {options['seed']}."
        )
        soak = Soak(
            SoakOptions(
                home=settings.HOME,
                broker_home=settings.SIMULATED_BROKER_HOME,
                host=settings.TERMINAL_HOST,
                seconds=options["minutes"] * 60.0,
                followers=options["followers"],
                seed=options["seed"],
                kill_seconds=kill_seconds,
            ),
            say=self.say,
        )
        # Of a command that a shell runs in the background SIGINT is ignored unless it is asked for.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        try:
            is_right = soak.run()
        except KeyboardInterrupt:
            self.say("Stopped; nothing was judged.")
            return _INTERRUPTED
        except StartError as error:
            raise CommandError(str(error)) from error
        verdict = "PASS" if is_right else f"FAIL: {len(soak.complaints)} things are wrong"
        self.say(f"{verdict} (seed {options['seed']})")
        return 0 if is_right else 1

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _run(arguments: list[str], environment: dict[str, str]) -> int:
    command = [sys.executable, str(MANAGE), "soak_copy", *arguments]
    process = subprocess.Popen(command, env=environment)  # noqa: S603  # our own command
    # Ctrl-C reaches both; this one waits for what the other has to stop.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    terminate = signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGINT))
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGTERM, terminate)
