from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts.models import TerminalHost, User
from accounts.services.users import register_user
from accounts.terminals.link import LinkError
from accounts.terminals.simulated.service.client import RemoteBroker
from accounts.terminals.simulated.service.process import ADDRESS_FILE
from tradeguard.demo.creation import create_desk
from tradeguard.demo.credentials import (
    FILE_NAME,
    Credential,
    new_password,
    read_credentials,
    write_credentials,
)
from tradeguard.demo.crowd import create_crowd

CROWD_USER = "crowd"


class Command(BaseCommand):
    help = (
        "Create the demo desk on the simulated broker: users, accounts with trading robots, groups "
        "and rules. What exists stays as it is. Prints how the demo's users sign in."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--accounts",
            type=int,
            metavar="N",
            help=f"instead, give the user “{CROWD_USER}” N accounts in groups of 5",
        )
        parser.add_argument("--quiet", action="store_true", help="print no passwords")

    def handle(self, *_arguments: Any, **options: Any) -> None:
        self._require_simulated_host()
        broker = RemoteBroker(settings.SIMULATED_BROKER_HOME / ADDRESS_FILE, timeout_seconds=30.0)
        try:
            if options["accounts"] is None:
                self._create_desk(broker)
            else:
                self._create_crowd(broker, options["accounts"])
        except LinkError as error:
            raise CommandError(
                f"The simulated broker does not answer ({error}). “manage.py serve” runs it, and "
                "creates the demo by itself."
            ) from error
        finally:
            broker.close()
        if not options["quiet"]:
            for credential in read_credentials(settings.HOME):
                self.stdout.write(f"Sign in as {credential}")
            self.stdout.write(f"These passwords are kept in {settings.HOME / FILE_NAME}")

    def _require_simulated_host(self) -> None:
        host = TerminalHost.objects.filter(name=settings.TERMINAL_HOST).first()
        if host is not None and host.kind != TerminalHost.Kind.SIMULATED:
            raise CommandError(
                f"The terminal host “{host.name}” holds real terminals; the demo needs one with "
                "the simulated broker."
            )

    def _create_desk(self, broker: RemoteBroker) -> None:
        is_new = create_desk(home=settings.HOME, broker=broker, now=timezone.now())
        self.stdout.write("The demo desk is created." if is_new else "The demo desk is there.")

    def _create_crowd(self, broker: RemoteBroker, count: int) -> None:
        if count < 1:
            raise CommandError("--accounts must be at least 1.")
        user = User.objects.filter(username=CROWD_USER).first()
        if user is None:
            credential = Credential(CROWD_USER, new_password())
            user = register_user(
                username=CROWD_USER,
                email=f"{CROWD_USER}@example.com",
                password=credential.password or "",
                is_email_verified=True,
            )
            write_credentials(settings.HOME, [*read_credentials(settings.HOME), credential])
        created = create_crowd(user=user, broker=broker, count=count, now=timezone.now())
        self.stdout.write(f"{created} accounts are new.")
