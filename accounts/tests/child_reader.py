"""A child's reader inside of the test's own process, with a clock that stands still."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from accounts.terminals.child.frames import Reading, reading_of, reading_payload
from accounts.terminals.child.reading import Identity, Reader
from accounts.terminals.simulated.package import connect
from accounts.tests.simulated_desk import PASSWORD, SERVER, Desk

TAKEN_AT = 1_795_000_000.5


class CountedPackage:
    """The simulated package, counting the calls of it."""

    def __init__(self, package: Any) -> None:
        self._package = package
        self.calls: Counter[str] = Counter()

    def replace(self, **functions: Callable[..., Any]) -> None:
        vars(self).update(functions)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(self._package, name)

        def counted(*arguments: Any, **keywords: Any) -> Any:
            self.calls[name] += 1
            return function(*arguments, **keywords)

        return counted


class OneReader:
    """Looks at one account of a desk whenever a test says so."""

    def __init__(
        self, desk: Desk, login: int = 1001, *, password: str = PASSWORD, server: str = SERVER
    ) -> None:
        self.package = CountedPackage(connect(desk.server))
        assert self.package.initialize(login=login, password=password, server=server)
        self.reader = Reader(self.package, Identity(login, server))
        self.now = 1_000.0

    def look(self, *, after_seconds: float = 0.0) -> Reading:
        self.now += after_seconds
        return reading_of(reading_payload(TAKEN_AT, self.reader.read(self.now)))
