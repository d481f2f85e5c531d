"""Find a Chromium for the browser tests; `python -m tradeguard.tests.chromium` installs one.

CHROMIUM names one to use. Otherwise an installed Chromium or Chrome is taken, then Playwright's
own. Nothing there: root on Debian installs its package, everybody else Playwright's.
"""

import os
import shutil
import subprocess
import sys
from typing import Any

from playwright._impl._driver import compute_driver_executable
from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC_APPLICATIONS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
INSTALL_SECONDS = 900
QUIETLY: dict[str, Any] = {"check": True, "capture_output": True, "stdin": subprocess.DEVNULL}


def find_chromium() -> str | None:
    """Return the path of a Chromium that starts, or None."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named if _starts(named) else None
    installed = [*(shutil.which(name) for name in NAMES), *MAC_APPLICATIONS]
    found = next((path for path in installed if path and _starts(path)), None)
    return found or _of_playwright()


def install_chromium() -> None:
    if _is_debian_root():
        # Playwright's driver needs libatomic, which a small Debian does not have.
        _run("apt-get", "update", "-qq")
        _run("apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium", "libatomic1")
    else:
        _run(sys.executable, "-m", "playwright", "install", "chromium")


def driver_starts() -> bool:
    """Tell whether Playwright can drive any browser on this machine."""
    try:
        executable, script = compute_driver_executable()
        subprocess.run([executable, script, "--version"], **QUIETLY, timeout=60)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _of_playwright() -> str | None:
    if not driver_starts():
        return None
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if _starts(path) else None


def _starts(path: str) -> bool:
    try:
        subprocess.run([path, "--version"], **QUIETLY, timeout=60)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _is_debian_root() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _run(*command: str) -> None:
    # Its exit code tells nothing that looking for Chromium again does not tell better.
    subprocess.run(  # noqa: S603  # our own command
        command,
        check=False,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        timeout=INSTALL_SECONDS,
    )


def main() -> int:
    if find_chromium() is None or not driver_starts():
        sys.stderr.write("No Chromium that can be driven; installing one for the browser tests.\n")
        install_chromium()
    if not driver_starts():
        sys.stderr.write(
            "The browser tests need Playwright's driver and it does not start here; on Debian and "
            "Ubuntu, sudo apt-get install libatomic1 brings what it lacks.\n"
        )
        return 1
    if find_chromium() is None:
        sys.stderr.write(
            "The browser tests need Chromium and it could not be installed: install it by hand "
            "(Debian: sudo apt-get install chromium) or set CHROMIUM to the path of one.\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
