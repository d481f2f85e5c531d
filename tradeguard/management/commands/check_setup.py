import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from tradeguard.health.checks import Check, State, check_all


class Command(BaseCommand):
    help = "Check this machine's setup and tell what to do; exits with 1 when something fails."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the findings as JSON")

    def handle(self, *_arguments: Any, **options: Any) -> None:
        checks = check_all(now=timezone.now())
        if options["json"]:
            self.stdout.write(json.dumps([asdict(check) for check in checks], indent=2))
        else:
            self._print(checks)
        if any(check.state == "fail" for check in checks):
            raise SystemExit(1)

    def _print(self, checks: list[Check]) -> None:
        width = max(len(check.part) for check in checks)
        for check in checks:
            remedy = f" → {check.remedy}" if check.remedy else ""
            line = f"{check.state:<4}  {check.part:<{width}}  {check.message}{remedy}"
            self.stdout.write(self._styled(check.state, line))

    def _styled(self, state: State, line: str) -> str:
        styles = {"ok": self.style.SUCCESS, "warn": self.style.WARNING, "fail": self.style.ERROR}
        return styles[state](line)
