"""The scenarios on a running desk, from the command line to its last line."""

import os
import subprocess
import sys

from tradeguard.scenarios.scripts import SCENARIOS
from tradeguard.tests.served_desk import BASE_DIR, ServedDesk

LONGEST_SECONDS = 300.0


def run_scenario(desk: ServedDesk, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-W", "error", str(BASE_DIR / "manage.py"), "run_scenario", *arguments],
        env={"PATH": os.environ["PATH"], "TRADEGUARD_HOME": str(desk.home), "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )


def test_it_plays_every_scenario_to_its_end(desk: ServedDesk) -> None:
    # The accounts of the demo's main user are counted by other tests of this desk.
    played = run_scenario(desk, "all", "--user", "jonas")
    assert played.returncode == 0, played.stdout + played.stderr
    ends = [line for line in played.stdout.splitlines() if line.endswith("as it was written")]
    assert len(ends) == len(SCENARIOS)
    assert played.stderr == ""


def test_it_lists_the_scenarios(desk: ServedDesk) -> None:
    listed = run_scenario(desk).stdout.splitlines()
    assert [line.split()[0] for line in listed] == list(SCENARIOS)


def test_it_names_what_is_missing(desk: ServedDesk) -> None:
    played = run_scenario(desk, "alert_only", "--user", "nobody")
    assert played.returncode != 0
    assert "There is no user 'nobody'" in played.stderr
