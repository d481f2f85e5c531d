"""Find a Chromium for the browser tests; `python -m tradeguard.tests.chromium` installs one.

CHROMIUM names one to use. Otherwise an installed Chromium or Chrome is taken, then Playwright's
own. Nothing there: root on Debian installs its package, everybody else Playwright's.
"""

import os
import shutil
import subprocess
import sys

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC_APPLICATIONS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
INSTALL_SECONDS = 900


def find_chromium() -> str | None:
    """Return the path of a Chromium that starts, or None."""
    named = os.environ.get("CHROMIUM")
    candidates = [named] if named else [*_installed(), _of_playwright()]
    return next((path for path in candidates if path and _starts(path)), None)


def install_chromium() -> None:
    if os.geteuid() == 0 and shutil.which("apt-get"):
        _run("apt-get", "update", "-qq")
        _run("apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium")
    else:
        _run(sys.executable, "-m", "playwright", "install", "chromium")


def _installed() -> list[str | None]:
    return [*(shutil.which(name) for name in NAMES), *MAC_APPLICATIONS]


def _of_playwright() -> str:
    with sync_playwright() as playwright:
        return playwright.chromium.executable_path


def _starts(path: str) -> bool:
    try:
        command = [path, "--version"]
        subprocess.run(command, check=True, capture_output=True, timeout=60)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _run(*command: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # Its exit code tells nothing that looking for Chromium again does not tell better.
    subprocess.run(  # noqa: S603
        command,
        check=False,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        timeout=INSTALL_SECONDS,
    )


def main() -> int:
    if find_chromium() is None:
        sys.stderr.write("No Chromium found; installing one for the browser tests.\n")
        install_chromium()
        if find_chromium() is None:
            sys.stderr.write(
                "The browser tests need Chromium and it could not be installed: install it by hand "
                "(Debian: apt-get install chromium) or set CHROMIUM to the path of one.\n"
            )
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
