"""What every transport is: a name, what it needs to reach somebody, and a way to send a letter."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from notifications.delivering.letters import Letter


class TransportError(Exception):
    """A letter did not arrive; trying again helps unless it is `permanent`.

    `is_gone`: the channel will never work again, such as a browser's subscription that has ended.
    `was_answered`: the other side itself said so, and was not just silent. `retry_after_seconds`:
    what it asked for. The message is shown to the user and must
    hold no secret.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool,
        is_gone: bool = False,
        retry_after_seconds: float | None = None,
        was_answered: bool = False,
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.is_gone = is_gone
        self.retry_after_seconds = retry_after_seconds
        self.was_answered = was_answered or permanent or retry_after_seconds is not None


@dataclass(frozen=True, slots=True)
class CredentialField:
    """One thing that a transport needs to reach somebody.

    A secret one is never shown again. What is not `is_asked` comes from a script, not from a form.
    One that `is_made` is made by `check` when it is left empty, and shown once to whoever adds the
    channel.
    """

    name: str
    label: str
    help_text: str = ""
    is_secret: bool = True
    is_required: bool = True
    is_asked: bool = True
    is_made: bool = False
    placeholder: str = ""


Credentials = Mapping[str, str]
Send = Callable[[Letter, Credentials], None]


class Transport(ABC):
    """A way to bring letters to people; a module of `notifications.transports` has one, TRANSPORT.

    `name` is the module's. `default_minimum` is the priority from which notifications go this way
    unless the user says otherwise. `after_a_crash` tells what becomes of a letter whose sender died
    between sending it and writing that down.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    icon: ClassVar[str]
    about: ClassVar[str]
    after_a_crash: ClassVar[str]
    default_minimum: ClassVar[str] = "high"
    order: ClassVar[int] = 50
    fields: ClassVar[tuple[CredentialField, ...]] = ()

    def check(self, credentials: Credentials) -> dict[str, str]:
        """Return the credentials as they are stored.

        Raises ValidationError with the fields named. Looks at the text alone: nothing is sent.
        """
        return dict(credentials)

    @abstractmethod
    def hint(self, credentials: Credentials) -> str:
        """Return what may be shown of the credentials, up to 100 characters."""

    def server(self, credentials: Credentials) -> str:  # noqa: ARG002  # those with hosts of their own
        """Return which server the letters go to, empty when all channels share one.

        A server that does not answer is let be for a while, with all channels that go there.
        """
        return ""

    @abstractmethod
    def send(self, letter: Letter, credentials: Credentials) -> None:
        """Send one letter; return once the other side has taken it, or raise TransportError."""

    @contextmanager
    def opened(self) -> Iterator[Send]:
        """Give a `send` for several letters in a row, which may share a connection."""
        yield self.send
