"""The session part of the MetaTrader5 surface: connecting, logging in, last_error.

One object is one Python process with the package loaded: one terminal, one account, one last
error, to be used from one thread.
"""

import functools
import ntpath
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from accounts.terminals.link import LinkError

from .. import constants
from ..link import (
    CODE_AUTHORIZATION_FAILED,
    CODE_CALL_FAILED,
    CODE_NO_CONNECTION,
    BrokerLink,
    own_terminal,
)
from .arguments import (
    ArgumentError,
    Parameter,
    credential,
    mixed,
    switch,
    terminal_path,
    unsigned_32,
    unsigned_64,
)
from .structure import StructSequence
from .tuples import AccountInfo, TerminalInfo

SUCCESS: Final = (constants.RES_S_OK, "Success")

DEFAULT_FOLDER: Final = "C:\\Program Files\\MetaTrader 5"
COMMON_FOLDER: Final = "C:\\ProgramData\\MetaQuotes\\Terminal\\Common"

LOGIN = Parameter("login", unsigned_64)
PASSWORD = Parameter("password", credential)
SERVER = Parameter("server", credential)
TIMEOUT = Parameter("timeout", unsigned_32)
PATH = Parameter("path", terminal_path)
PORTABLE = Parameter("portable", switch)

_Self = TypeVar("_Self", bound="Session")
_Call = ParamSpec("_Call")
_Answer = TypeVar("_Answer")
_Failure = TypeVar("_Failure")
_Row = TypeVar("_Row", bound=StructSequence)


def api(
    failure: _Failure,
) -> Callable[
    [Callable[Concatenate[_Self, _Call], _Answer]],
    Callable[Concatenate[_Self, _Call], _Answer | _Failure],
]:
    """Make a method an API function: it sets last_error and answers ``failure``, never raises."""

    def decorate(
        method: Callable[Concatenate[_Self, _Call], _Answer],
    ) -> Callable[Concatenate[_Self, _Call], _Answer | _Failure]:
        @functools.wraps(method)
        def function(
            self: _Self, /, *args: _Call.args, **kwargs: _Call.kwargs
        ) -> _Answer | _Failure:
            self._error = SUCCESS
            try:
                return method(self, *args, **kwargs)
            except (ArgumentError, LinkError) as error:
                self._error = (error.code, error.text)
                return failure

        return function

    return decorate


@dataclass(slots=True)
class Installation:
    """What a terminal keeps on disk: the account that it showed last, and saved passwords."""

    path: str = ""
    last_login: int = 0
    last_server: str = ""
    passwords: dict[tuple[int, str], str] = field(default_factory=dict, repr=False)


class Session:
    """The connection to one terminal and the account that it is logged in to."""

    def __init__(self, link: BrokerLink) -> None:
        self._link = own_terminal(link)
        self._error = SUCCESS
        self._is_open = False
        self._login: int | None = None
        self._book_symbols: set[str] = set()
        self._installations: dict[str, Installation] = {}
        self._installation = Installation()

    @api(False)
    def initialize(self, *args: Any, **kwargs: Any) -> bool:
        """initialize(path, *, login, password, server, timeout, portable) -> bool

        Close the earlier session and open one; without a login, to the terminal's last account,
        without a path, to the terminal that was used last.
        """
        given = mixed(
            args, kwargs, PATH, LOGIN, PASSWORD, SERVER, TIMEOUT, PORTABLE, keyword_only=5
        )
        self._close()
        if path := given.get("path", ""):
            self._installation = self._installations.setdefault(path.lower(), Installation(path))
        self._authorise(given.get("login", 0), given.get("password", ""), given.get("server", ""))
        self._is_open = True
        return True

    @api(False)
    def login(self, *args: Any, **kwargs: Any) -> bool:
        """login(login, password=saved, server=last, *, timeout) -> bool

        Switch the terminal to another account. Refused, it is left without any: the calls that
        follow fail with -6 and never show the earlier account as if it were the new one.
        """
        given = mixed(args, kwargs, LOGIN, PASSWORD, SERVER, TIMEOUT, keyword_only=1)
        if "login" not in given:
            raise ArgumentError
        self._require_session()
        self._authorise(given["login"], given.get("password", ""), given.get("server", ""))
        return True

    @api(True)
    def shutdown(self) -> bool:
        self._close()
        return True

    def last_error(self) -> tuple[int, str]:
        return self._error

    @api(None)
    def version(self) -> tuple[int, int, str]:
        self._require_session()
        release, build, date = self._link.call("version")
        return release, build, date

    @api(None)
    def terminal_info(self) -> TerminalInfo:
        """Say what the terminal is; the folder is that of the path given to initialize.

        The trade server keeps no installations, and callers tell their terminals apart by it.
        """
        row = dict(zip(TerminalInfo.__match_args__, self._found("terminal_info"), strict=True))
        if not row["path"]:
            folder = ntpath.dirname(self._installation.path) or DEFAULT_FOLDER
            row |= {"path": folder, "data_path": folder, "commondata_path": COMMON_FOLDER}
        return TerminalInfo(row.values())

    @api(None)
    def account_info(self) -> AccountInfo:
        return self._row(AccountInfo, "account_info")

    def _close(self) -> None:
        self._is_open = False
        self._login = None
        self._book_symbols.clear()

    def _authorise(self, login: int, password: str, server: str) -> None:
        self._login = None
        terminal = self._installation
        login = login or terminal.last_login
        server = server or terminal.last_server
        if not login:
            raise LinkError(CODE_AUTHORIZATION_FAILED)
        password = password or terminal.passwords.get((login, server), "")
        self._link.call("authorise", login, password, server)
        self._login = terminal.last_login = login
        terminal.last_server = server
        terminal.passwords[login, server] = password

    def _require_session(self) -> None:
        if not self._is_open:
            raise LinkError(CODE_NO_CONNECTION)

    def _require_account(self) -> int:
        self._require_session()
        if self._login is None:
            raise LinkError(CODE_AUTHORIZATION_FAILED)
        return self._login

    def _ask(self, method: str, *arguments: Any) -> Any:
        return self._link.call(method, self._require_account(), *arguments)

    def _found(self, method: str, *arguments: Any, missing: int = CODE_CALL_FAILED) -> Any:
        """Ask for something that the terminal answers with nothing when the call fails."""
        answer = self._ask(method, *arguments)
        if answer is None:
            raise LinkError(missing)
        return answer

    def _row(
        self,
        kind: type[_Row],
        method: str,
        *arguments: Any,
        missing: int = CODE_CALL_FAILED,
    ) -> _Row:
        return kind(self._found(method, *arguments, missing=missing))

    def _rows(self, kind: type[_Row], method: str, *arguments: Any) -> tuple[_Row, ...]:
        return tuple(map(kind, self._found(method, *arguments)))
