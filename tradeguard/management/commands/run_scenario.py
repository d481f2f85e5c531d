from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from accounts.refusals import Refusal
from accounts.terminals.link import LinkError
from accounts.terminals.simulated.service.client import RemoteBroker
from accounts.terminals.simulated.service.process import ADDRESS_FILE
from tradeguard.demo.desk import TRADER
from tradeguard.scenarios.scripts import SCENARIOS, Scenario
from tradeguard.scenarios.stage import ScenarioFailedError, Stage
from tradeguard.scenarios.timeline import Timeline


class Command(BaseCommand):
    help = (
        "Play a scripted scenario on the simulated broker of a running desk, from the first tick "
        "to the end, and tell what happens. It uses accounts of its own, in a group of its own."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", choices=[*SCENARIOS, "all"], metavar="NAME")
        parser.add_argument(
            "--user", default=TRADER.username, help="whose accounts they are (%(default)s)"
        )

    def handle(self, *_arguments: Any, **options: Any) -> None:
        if options["name"] is None:
            for scenario in SCENARIOS.values():
                self.stdout.write(f"{scenario.name:22} {scenario.story}")
            return
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['user']!r}; “create_demo” makes some.")
        wanted = list(SCENARIOS) if options["name"] == "all" else [options["name"]]
        broker = RemoteBroker(settings.SIMULATED_BROKER_HOME / ADDRESS_FILE, timeout_seconds=30.0)
        try:
            for name in wanted:
                self._play(SCENARIOS[name], user, broker)
        except LinkError as error:
            raise CommandError(
                f"The simulated broker does not answer ({error}). “manage.py serve” runs it."
            ) from error
        except (ScenarioFailedError, Refusal) as error:
            raise CommandError(str(error)) from error
        finally:
            broker.close()

    def _play(self, scenario: Scenario, user: User, broker: RemoteBroker) -> None:
        self.stdout.write(self.style.MIGRATE_HEADING(f"{scenario.title}: {scenario.story}"))
        timeline = Timeline(self.stdout.write)
        stage = Stage(user, broker, timeline)
        try:
            stage.set_up(scenario.title, scenario.parts, scenario.rules)
            if stage.group is not None:
                timeline.say(f"look at /groups/{stage.group.pk}")
            scenario.play(stage)
        finally:
            stage.tear_down()
        timeline.say("the end, as it was written")
