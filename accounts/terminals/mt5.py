"""The program beside each MetaTrader 5 terminal: the only one that imports the package.

The package holds one connection per process, freezes all of its threads during a call and gives no
call a limit, so that each terminal has a process of its own, which its host watches from outside::

    python -m accounts.terminals.mt5 [--poll-ms 50]

It speaks the frames of `child.frames` over its standard input and output.
"""

import argparse
import importlib
import logging
import os
import platform
import signal
import sys

from accounts.terminals.child.frames import (
    LAYOUT,
    Bye,
    Farewell,
    Hello,
    Kind,
    bye_payload,
    hello_payload,
)
from accounts.terminals.child.loop import Loop
from accounts.terminals.child.package import Package
from accounts.terminals.child.pipe import HostGone, Inbox, Outbox, standard_streams

PACKAGE_NAME = "MetaTrader5"
DEFAULT_POLL_MS = 50
POLL_MS = range(5, 201)  # a host hears of its child at least every 250 ms
# As in the log of the worker, which these lines go into.
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
logger = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Serve one terminal until the host says stop or is gone; return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.poll_ms not in POLL_MS:
        parser.error(f"--poll-ms should be from {POLL_MS[0]} to {POLL_MS[-1]}")
    incoming, outgoing = standard_streams()
    logging.basicConfig(
        level=os.environ.get("LOG_LEVEL", "INFO"), stream=sys.stderr, format=LOG_FORMAT
    )
    # Ctrl-C reaches every process of a console; the host decides when its children go.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    outbox = Outbox(outgoing)
    try:
        return _serve(incoming, outbox, options.poll_ms / 1000.0)
    except HostGone:
        return 0


def _serve(incoming: int, outbox: Outbox, poll_seconds: float) -> int:
    try:
        package = importlib.import_module(PACKAGE_NAME)
    except BaseException as error:
        outbox.send(Kind.HELLO, hello_payload(_hello("")))
        return _leave(outbox, Bye(Farewell.NO_PACKAGE, _why_no_package(error)))
    outbox.send(Kind.HELLO, hello_payload(_hello(str(getattr(package, "__version__", "unknown")))))
    inbox = Inbox(incoming, leave=lambda: os._exit(0))
    inbox.start()
    try:
        bye = Loop(package, inbox, outbox, poll_seconds).run()
    except HostGone:
        _shut_down(package)
        raise
    except Exception as error:
        logger.exception("The terminal's process failed.")
        bye = Bye(Farewell.CRASHED, f"The terminal's process failed with {type(error).__name__}.")
    _shut_down(package)
    return _leave(outbox, bye)


def _hello(package: str) -> Hello:
    return Hello(LAYOUT, os.getpid(), package, platform.python_version())


def _why_no_package(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == PACKAGE_NAME:
        return "The MetaTrader5 package is not installed on this terminal host."
    return f"The MetaTrader5 package cannot be imported ({type(error).__name__})."


def _shut_down(package: Package) -> None:
    try:
        package.shutdown()
    except Exception as error:
        logger.warning("The package did not shut down: %s.", type(error).__name__)


def _leave(outbox: Outbox, bye: Bye) -> int:
    logger.info("%s", bye.sentence)
    outbox.send(Kind.BYE, bye_payload(bye))
    return int(bye.farewell)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m accounts.terminals.mt5",
        description="Serve one MetaTrader 5 terminal to the host that started this process.",
    )
    parser.add_argument(
        "--poll-ms", type=int, default=DEFAULT_POLL_MS, help="milliseconds between two looks"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
