from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts.models import User
from accounts.origin import SYSTEM
from accounts.services.two_factor import reset_two_factor


class Command(BaseCommand):
    help = "Take the second factor from a user who lost it; ends all that is signed in as them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    def handle(self, *_args: Any, **options: Any) -> None:
        name = options["username"]
        user = User.objects.filter(username__iexact=name).first()
        if user is None:
            raise CommandError(f"There is no user “{name}”.")
        if not reset_two_factor(user=user, origin=SYSTEM, now=timezone.now()):
            raise CommandError(f"{user.get_username()} has no second factor.")
        self.stdout.write(f"{user.get_username()} comes in with the password alone now.")
