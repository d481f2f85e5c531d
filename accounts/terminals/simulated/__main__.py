"""Run the simulated broker: ``python -m accounts.terminals.simulated --home DIR``."""

import argparse
import json
import logging
import signal
import sys
from pathlib import Path
from types import FrameType

from .books.journal import JournalError
from .prices.exports import ExportError, read_folder
from .server import DEFAULT_ZONE, TradeServer
from .service.process import BrokerService, HomeInUse, HomeLock, end_at_once

EXIT_USAGE = 2


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s broker %(levelname)s %(message)s")
    options = _options(arguments)
    try:
        lock = HomeLock(options.home)
    except (HomeInUse, OSError) as error:
        return _refusal(error)
    try:
        return _serve(options)
    except (ExportError, JournalError, ValueError, OSError) as error:
        return _refusal(error)
    finally:
        lock.release()


def _serve(options: argparse.Namespace) -> int:
    exports = read_folder(options.prices) if options.prices else None
    server = TradeServer(
        seed=options.seed,
        zone_name=options.zone,
        exports=exports,
        speed=options.speed,
        home=options.home,
        always_open=options.always_open,
        crash=end_at_once,
    )
    if options.accounts:
        open_accounts(server, options.accounts)
    service = BrokerService(server, options.home)

    def ask_to_stop(_signal: int, _frame: FrameType | None) -> None:
        service.ask_to_stop()

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)
    service.start()
    sys.stdout.write(f"broker ready on 127.0.0.1:{service.port}\n")
    sys.stdout.flush()
    service.wait()
    service.stop()
    return 1 if service.failed else 0


def open_accounts(server: TradeServer, path: Path) -> None:
    """Open the accounts that a JSON list describes, as far as they don't exist yet.

    Each entry has login, password, server and name, and may have any of `AccountTerms`.
    """
    try:
        entries = json.loads(path.read_text())
        for entry in entries:
            server.create_account(**entry)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: this is not a list of accounts ({error})") from error


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="broker", description="A simulated MetaTrader 5 broker.")
    parser.add_argument("--home", type=Path, required=True, help="folder of the books")
    parser.add_argument("--prices", type=Path, help="folder of bar or tick exports to play back")
    parser.add_argument("--speed", type=_speed, default=60.0, help="market seconds per second")
    parser.add_argument("--seed", type=int, default=1, help="seed of prices and robots")
    parser.add_argument("--accounts", type=Path, help="JSON list of accounts to open")
    parser.add_argument("--zone", default=DEFAULT_ZONE, help="the zone of the broker's clock")
    parser.add_argument(
        "--always-open",
        action="store_true",
        help="quote and trade day and night, weekends too: a demonstration must not stand still",
    )
    return parser.parse_args(arguments)


def _speed(text: str) -> float:
    speed = float(text)
    if not 0 < speed <= 3600:
        raise argparse.ArgumentTypeError("between 0 and 3600")
    return speed


def _refusal(error: Exception) -> int:
    sys.stderr.write(f"The broker cannot start: {error}\n")
    return EXIT_USAGE


if __name__ == "__main__":
    sys.exit(main())
