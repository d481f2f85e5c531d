"""Say what kind of terminals a host has: ``manage.py terminal_host NAME --kind metatrader5``."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts.models import AccountConnection, TerminalHost


class Command(BaseCommand):
    help = "Say whether a terminal host has real terminals or the simulated broker."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="one of TERMINAL_HOSTS")
        parser.add_argument("--kind", choices=TerminalHost.Kind.values, required=True)

    def handle(self, *_args: Any, **options: Any) -> None:
        name, kind = options["name"], options["kind"]
        if name not in settings.TERMINAL_HOSTS:
            raise CommandError(f"{name} is not one of TERMINAL_HOSTS, so no worker would serve it.")
        with transaction.atomic():
            host, is_new = TerminalHost.objects.select_for_update().get_or_create(
                name=name, defaults={"kind": kind}
            )
            if not is_new and host.kind != kind:
                self._change(host, kind)
        if options["verbosity"]:
            self.stdout.write(f"{name}: {TerminalHost.Kind(kind).label}")

    def _change(self, host: TerminalHost, kind: str) -> None:
        wanted = AccountConnection.objects.filter(account__terminal_host=host, is_wanted=True)
        if count := wanted.count():
            # Their numbers would suddenly mean accounts of another broker.
            raise CommandError(f"Disconnect the {count} connected accounts of {host} first.")
        host.kind = kind
        host.save(update_fields=["kind"])
        self.stdout.write("Restart the worker of this host now.")
