"""The MetaTrader5 package as the child calls it: what it answers, and its errors as exceptions."""

from typing import Any

from accounts.terminals.base import TerminalError
from accounts.terminals.codes import CALL_FAILED

Package = Any  # a module without types, whose functions are those of `base.Terminal`


def ask(package: Package, function: str, *arguments: Any, **keywords: Any) -> Any:
    """Call a function of the package; raise TerminalError when it answers None or False."""
    answer = getattr(package, function)(*arguments, **keywords)
    if answer is None or answer is False:
        raise last_error(package)
    return answer


def last_error(package: Package) -> TerminalError:
    try:
        code, description = package.last_error()
        return TerminalError(int(code), str(description))
    except (TypeError, ValueError):
        return TerminalError(CALL_FAILED, "The terminal does not say what went wrong.")
