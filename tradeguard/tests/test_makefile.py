import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_make_alone_tells_every_goal() -> None:
    told = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S607
    for goal in ("run", "test", "lint", "lock", "setup", "clean"):
        assert f"make {goal} " in told.stdout
