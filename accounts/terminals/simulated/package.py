"""The simulated broker under the name of the MetaTrader5 package, for code that imports it.

Run a program that knows nothing of the simulation against a running broker::

    python -m accounts.terminals.simulated.package --home DIR program.py [its arguments]
"""

import argparse
import runpy
import sys
import weakref
from pathlib import Path
from types import ModuleType

from . import constants
from .link import BrokerLink
from .service.client import RemoteBroker
from .service.process import ADDRESS_FILE
from .surface.module import SimulatedMetaTrader5
from .surface.tuples import RESULT_TUPLES

PACKAGE_NAME = "MetaTrader5"
_FUNCTIONS = tuple(
    name
    for kind in reversed(SimulatedMetaTrader5.__mro__)
    for name, member in vars(kind).items()
    if callable(member) and not isinstance(member, type) and not name.startswith("_")
)


class _OwnLine(SimulatedMetaTrader5):
    """A terminal whose line to the broker nobody else uses."""

    def __init__(self, link: RemoteBroker) -> None:
        super().__init__(link)
        self._line = link

    def _close(self) -> None:
        super()._close()
        self._line.close()


def connect(broker: BrokerLink | Path | str, *, timeout_seconds: float = 60.0) -> ModuleType:
    """Return a module with the surface of the MetaTrader5 package, in front of a broker.

    ``broker`` is a trade server of this process, or the home folder of a broker process (or the
    address file in it). As with the package, a module is one terminal: it has one session, one
    last_error(), and is for one thread. Every call of `connect` makes another one.
    """
    if not isinstance(broker, str | Path):
        return _module(SimulatedMetaTrader5(broker))
    link = _remote(Path(broker), timeout_seconds)
    module = _module(_OwnLine(link))
    weakref.finalize(module, link.close)
    return module


def install(broker: BrokerLink | Path | str, *, timeout_seconds: float = 60.0) -> ModuleType:
    """Let ``import MetaTrader5`` find the simulated broker in this process; return the module.

    To be called before anything imports the package: what was imported earlier stays.
    """
    module = connect(broker, timeout_seconds=timeout_seconds)
    sys.modules[PACKAGE_NAME] = module
    return module


def main(arguments: list[str] | None = None) -> None:
    """Run a program with the simulated broker installed."""
    parser = argparse.ArgumentParser(
        prog="python -m accounts.terminals.simulated.package",
        description="Run a MetaTrader5 program against the simulated broker.",
    )
    parser.add_argument("--home", type=Path, required=True, help="folder of the broker's books")
    parser.add_argument("program", type=Path, help="the Python file to run")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="what the program is given")
    options = parser.parse_args(arguments)
    if not options.program.is_file():
        parser.error(f"there is no program {options.program}")
    install(options.home)
    sys.argv = [str(options.program), *options.arguments]
    sys.path.insert(0, str(options.program.resolve().parent))
    runpy.run_path(str(options.program), run_name="__main__")


def _module(terminal: SimulatedMetaTrader5) -> ModuleType:
    module = ModuleType(PACKAGE_NAME, SimulatedMetaTrader5.__doc__)
    contents = {name: getattr(terminal, name) for name in (*_FUNCTIONS, "_RawOrder")}
    contents |= {kind.__name__: kind for kind in RESULT_TUPLES}
    contents |= constants.CONSTANTS
    contents |= {name: getattr(terminal, name) for name in ("__version__", "__author__")}
    vars(module).update(contents)
    return module


def _remote(path: Path, timeout_seconds: float) -> RemoteBroker:
    address_file = path if path.suffix == ".json" else path / ADDRESS_FILE
    return RemoteBroker(address_file, timeout_seconds=timeout_seconds)


if __name__ == "__main__":
    main()
