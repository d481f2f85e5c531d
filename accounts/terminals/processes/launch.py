"""The first steps of a child process, before it serves its terminal::

    python -m accounts.terminals.processes.launch --parent PID --folder DIR [--simulated HOME]

It ties itself to its parent, waits until an earlier child of the same terminal is dead, and puts
the simulated broker in the package's place when it is told to.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from accounts.terminals import mt5
from accounts.terminals.child.frames import Bye, Farewell, Kind, bye_payload, frame
from accounts.terminals.processes.folders import lock_folder
from accounts.terminals.processes.orphans import end_with_parent

LOCK_SECONDS: Final = 10.0


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    end_with_parent(options.parent)
    lock = lock_folder(options.folder, options.lock_seconds)
    if lock is None:
        sentence = "Another process still holds the terminal's folder."
        os.write(1, frame(Kind.BYE, bye_payload(Bye(Farewell.LOCKED, sentence))))
        return int(Farewell.LOCKED)
    if options.simulated is not None:
        # Only a trial needs the broker's code.
        from accounts.terminals.simulated.package import install

        install(options.simulated)
    code = mt5.main(["--poll-ms", str(options.poll_ms)])
    lock.release()
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m accounts.terminals.processes.launch")
    parser.add_argument("--parent", type=int, required=True, help="process that starts this one")
    parser.add_argument("--folder", type=Path, required=True, help="the terminal's folder")
    parser.add_argument("--simulated", type=Path, help="home of the broker to use instead")
    parser.add_argument("--poll-ms", type=int, default=mt5.DEFAULT_POLL_MS)
    parser.add_argument("--lock-seconds", type=float, default=LOCK_SECONDS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
