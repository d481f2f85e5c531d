"""What each terminal may do: who logged in where, with which password, and what runs at all.

A terminal is known by a name of its own. Two terminals of one login may differ: one was given the
trader's password, the other the investor's.
"""

import hashlib
import hmac

from accounts.terminals.link import LinkError

from .books.books import CHANGED_ACCOUNT, Books
from .link import CODE_AUTHORIZATION_FAILED


def password_digest(login: int, password: str) -> bytes:
    """Return what the books keep of a password; the login salts it, so equal ones differ."""
    return hashlib.blake2b(password.encode(), key=str(login).encode(), digest_size=32).digest()


class Rights:
    """The sessions of all terminals. Not thread-safe: the trade server holds the lock."""

    def __init__(self, books: Books) -> None:
        self._books = books
        # By terminal and login: whether the trader's password was shown, not the investor's.
        self._sessions: dict[tuple[str, int], bool] = {}
        self._crashed: set[tuple[str, int]] = set()

    def authorise(self, terminal: str, login: int, password: str, server: str | None) -> None:
        """Log a terminal in to an account, starting it when it crashed; raise LinkError."""
        self._sessions.pop((terminal, login), None)
        self._crashed.discard((terminal, login))
        number = self._books.account_of.get(login)
        if number is None or not self._may_log_in(number, server):
            raise refused()
        accounts = self._books.accounts
        given = password_digest(login, password)
        if hmac.compare_digest(given, accounts["password"][number]):
            self._sessions[terminal, login] = True
            return
        if not hmac.compare_digest(given, accounts["investor_password"][number]):
            raise refused()
        self._sessions[terminal, login] = False
        if not accounts["investor"][number]:
            self._books.write(CHANGED_ACCOUNT, number, {"investor": True})

    def may_only_watch(self, terminal: str, account: int) -> bool:
        """Tell whether a terminal has no right to trade an account (a row of the books)."""
        accounts = self._books.accounts
        if not accounts["investor"][account]:
            return False
        return not self._sessions.get((terminal, int(accounts["login"][account])), False)

    def must_log_in(self, terminal: str, account: int) -> bool:
        """Tell whether a terminal has to log in before it is answered.

        Once somebody used an account's investor password, nobody is taken for its trader unseen:
        not even after a restart of the broker, which forgets the sessions.
        """
        accounts = self._books.accounts
        if not accounts["investor"][account]:
            return False
        return (terminal, int(accounts["login"][account])) not in self._sessions

    def crash(self, terminal: str, login: int) -> None:
        """Let a terminal be gone until somebody logs in again."""
        self._crashed.add((terminal, login))

    def has_crashed(self, terminal: str, login: int) -> bool:
        return (terminal, login) in self._crashed

    def crashed_logins(self, terminal: str) -> set[int]:
        # Terminals die without the lock, so that the set may grow meanwhile.
        return {login for name, login in tuple(self._crashed) if name == terminal}

    def _may_log_in(self, number: int, server: str | None) -> bool:
        accounts = self._books.accounts
        name = self._books.servers[int(accounts["server"][number])]
        return bool(accounts["enabled"][number]) and server in (None, "", name)


def refused() -> LinkError:
    return LinkError(CODE_AUTHORIZATION_FAILED)
