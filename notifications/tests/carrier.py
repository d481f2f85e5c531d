"""A transport that goes nowhere: it remembers what it was given, and fails as it is told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from notifications.delivering.letters import Letter
from notifications.delivering.transport import Credentials, Send, Transport


class Carrier(Transport):
    """Stands for the transport of this name. `on_send` is called with each letter before it counts.

    With `credentials` that name a "host", letters go to that host, else all to the same server.
    """

    label = "Carrier"
    icon = "mail"
    about = "Nowhere."
    after_a_crash = "It may arrive twice."

    def __init__(self, name: str) -> None:
        self.name = name  # type: ignore[misc]  # one class for all of them
        self.tried: list[Letter] = []
        self.sent: list[Letter] = []
        self.seen: list[Credentials] = []
        self.sessions = 0
        self.error: Exception | None = None
        self.on_send: Callable[[Letter, Credentials], None] = lambda _letter, _credentials: None

    def hint(self, credentials: Credentials) -> str:  # there is nothing to show
        return ""

    def server(self, credentials: Credentials) -> str:
        return credentials.get("host", "")

    def send(self, letter: Letter, credentials: Credentials) -> None:
        self.tried.append(letter)
        self.seen.append(credentials)
        self.on_send(letter, credentials)
        if self.error is not None:
            raise self.error
        self.sent.append(letter)

    @contextmanager
    def opened(self) -> Iterator[Send]:
        self.sessions += 1
        yield self.send

    @property
    def titles(self) -> list[str]:
        return [letter.title for letter in self.sent]
