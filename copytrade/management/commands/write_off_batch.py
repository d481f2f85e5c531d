"""Give up a batch of copies that cannot be unfolded: ``manage.py write_off_batch ID --yes``."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.refusals import Refusal
from copytrade.services.written_off import contents_of, late_batch, write_off


class Command(BaseCommand):
    help = "Tell what a batch of copies that cannot be unfolded contains; with --yes, give it up."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("batch_id", type=UUID, help="its id in the admin")
        parser.add_argument("--yes", action="store_true", help="give it up")

    def handle(self, *_args: Any, **options: Any) -> None:
        now, folder = timezone.now(), settings.HOME / "written-off"
        try:
            batch = late_batch(options["batch_id"], now=now)
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal
        for line in contents_of(batch):
            self.stdout.write(line)
        if not options["yes"]:
            self.stdout.write("Nothing was done. Give it up with --yes.")
            return
        try:
            is_given_up = write_off(batch, folder, now=now)
        except OSError as error:
            raise CommandError(f"What is in it could not be kept: {error}") from error
        if not is_given_up:
            self.stdout.write("It is unfolded now: its copies are in the ledger.")
            return
        self.stdout.write(
            f"It is written off, and kept in {folder}. Compare these accounts' positions with the"
            " provider's by hand."
        )
