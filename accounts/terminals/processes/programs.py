"""What is run beside each terminal, and what must be there for it."""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from accounts.terminals.processes.folders import PROGRAM, folder_name

METATRADER5: Final = "metatrader5"
SIMULATED: Final = "simulated"
MODULES: Final = (METATRADER5, SIMULATED)
_PROJECT: Final = Path(__file__).resolve().parents[3]
# Everything else stays here: the secrets of this process are no business of a broker's program.
_PASSED_ON: Final = re.compile(
    r"PATH|PATHEXT|SYSTEMROOT|SYSTEMDRIVE|WINDIR|COMSPEC|TEMP|TMP|TMPDIR|APPDATA|LOCALAPPDATA"
    r"|PROGRAMDATA|ALLUSERSPROFILE|(COMMON)?PROGRAM(FILES|W6432).*|USERPROFILE|USERNAME|USERDOMAIN"
    r"|COMPUTERNAME|HOMEDRIVE|HOMEPATH|PUBLIC|OS|NUMBER_OF_PROCESSORS|PROCESSOR_.*|SESSIONNAME"
    r"|HOME|USER|LANG|LC_.*|TZ|DISPLAY|XAUTHORITY|XDG_RUNTIME_DIR|WINE.*|VIRTUAL_ENV|PYTHON.*"
    r"|LOG_LEVEL"
)
# One small process per terminal: numpy's own threads would only cost memory.
_FRUGAL: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}


@dataclass(frozen=True, slots=True)
class TerminalPrograms:
    """The terminals of one machine: their folders, and how their processes are started.

    ``module`` is "metatrader5", or "simulated" to try everything out against the simulated broker
    at ``broker_home``. ``prefix`` comes before the command, in tests and measurements.
    """

    home: Path
    module: str = METATRADER5
    poll_seconds: float = 0.05
    broker_home: Path | None = None
    portable: bool = True
    prefix: tuple[str, ...] = (sys.executable, "-m", "accounts.terminals.processes.launch")

    def __post_init__(self) -> None:
        if self.module not in MODULES:
            raise ValueError(f"{self.module!r} is no module; it can be {' or '.join(MODULES)}.")

    def folder(self, server: str, login: int) -> Path:
        """Return the folder of an account's terminal; raises ValueError for none that can be."""
        return self.home / folder_name(server, login)

    def problem(self, folder: Path) -> str | None:
        """Return a sentence about what is missing for a terminal, or None."""
        if self.module == METATRADER5 and not (folder / PROGRAM).is_file():
            return (
                f"There is no terminal for this account: {folder.name}{os.sep}{PROGRAM} is missing"
                " on its terminal host (bin/terminal-host makes it)."
            )
        return None

    def command(self, folder: Path) -> list[str]:
        command = [*self.prefix, "--parent", str(os.getpid()), "--folder", str(folder)]
        command += ["--poll-ms", str(round(self.poll_seconds * 1000))]
        if self.module == SIMULATED and self.broker_home is not None:
            command += ["--simulated", str(self.broker_home)]
        return command

    @property
    def working_folder(self) -> Path:
        return _PROJECT

    def environment(self) -> Mapping[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if _PASSED_ON.fullmatch(name.upper())
        }
        return {**kept, **_FRUGAL}
