"""What `check_setup` says on a host of real terminals."""

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import TerminalHost
from accounts.tests.factories import make_account, make_user
from tradeguard.health.checks import Check, check_all

pytestmark = pytest.mark.django_db


def findings() -> list[Check]:
    return [check for check in check_all(now=timezone.now()) if check.part == "terminals"]


def test_a_machine_without_terminals_is_not_asked_for_any() -> None:
    assert findings() == []


def test_it_names_the_missing_package_folder_and_terminal(settings: Any, tmp_path: Path) -> None:
    settings.TERMINALS_HOME = str(tmp_path / "nowhere")
    (finding,) = findings()
    assert (finding.state, "there is no" in finding.message) == ("fail", True)
    settings.TERMINALS_HOME = str(tmp_path)
    account = make_account(make_user())
    messages = " | ".join(f"{each.state} {each.message}" for each in findings())
    assert "fail the MetaTrader5 package is not installed" in messages
    assert "warn local is not a host of real terminals" in messages
    assert f"{account.server}-{account.login}" in messages
    assert "ok 0 of 1 terminals" in messages


def test_it_finds_a_sound_host_of_a_trial_sound(settings: Any, tmp_path: Path) -> None:
    settings.TERMINALS_HOME, settings.TERMINAL_MODULE = str(tmp_path), "simulated"
    TerminalHost.objects.create(name="local", kind=TerminalHost.Kind.METATRADER5)
    make_account(make_user())
    (finding,) = findings()
    assert (finding.state, finding.message) == ("ok", f"1 of 1 terminals are in {tmp_path}")
