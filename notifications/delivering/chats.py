"""What the transports to chats and phones have in common."""

import json
import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.views.decorators.debug import sensitive_variables

from notifications.delivering.letters import Letter
from notifications.delivering.transport import (
    Credentials,
    Send,
    Transport,
    TransportError,
)

LONGEST_FIELD = 300
LONGEST_WAIT_SECONDS = 86_400.0
# The other side is too busy for the moment, or the way to it took too long.
_PASSING = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service said; `was_taken` is what Apprise makes of it. Header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    text: str
    was_taken: bool


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """What a plugin's `send` takes, and what joins the JSON that it makes of that."""

    arguments: Mapping[str, object]
    extra: Mapping[str, object] = field(default_factory=dict)


class ChatTransport(Transport):
    """A service that Apprise speaks to.

    `service` names Apprise's plugin; `forms` says what each field looks like, with a sentence for
    what looks otherwise.
    """

    service: ClassVar[str]
    forms: ClassVar[Mapping[str, tuple[re.Pattern[str], str]]]

    @abstractmethod
    def make(self, plugin: Callable[..., Any], credentials: Credentials) -> Any:
        """Build Apprise's plugin from checked credentials."""

    @abstractmethod
    def message(self, letter: Letter) -> ChatMessage:
        """Return what to send."""

    @abstractmethod
    def reason(self, answer: Answer) -> str:
        """Return the service's own words for its refusal."""

    @abstractmethod
    def is_gone(self, answer: Answer) -> bool:
        """Whether a refusal (4xx) means that the channel will not work again as it is."""

    def check(self, credentials: Credentials) -> dict[str, str]:
        unknown = credentials.keys() - self.forms.keys()
        errors = dict.fromkeys(unknown, "There is no such field.")
        checked: dict[str, str] = {}
        for needed in self.fields:
            form, sentence = self.forms[needed.name]
            value = credentials.get(needed.name, "")
            value = value.strip() if isinstance(value, str) else "\n"
            if not value and not needed.is_required:
                continue
            if not value:
                errors[needed.name] = "It is needed."
            elif len(value) > LONGEST_FIELD or not form.fullmatch(value):
                errors[needed.name] = sentence
            checked[needed.name] = value
        if errors:
            raise ValidationError(errors)
        return checked

    @sensitive_variables()
    def send(self, letter: Letter, credentials: Credentials) -> None:
        with self.opened() as send:
            send(letter, credentials)

    @contextmanager
    def opened(self) -> Iterator[Send]:
        # Only the processes that send import Apprise.
        from notifications.delivering import apprise_link

        with apprise_link.opened(self.service) as line:

            @sensitive_variables()
            def send(letter: Letter, credentials: Credentials) -> None:
                error: TransportError | None
                try:
                    answer = line.say(
                        lambda plugin: self.make(plugin, credentials), self.message(letter)
                    )
                except apprise_link.NoAnswer as silence:
                    error = TransportError(f"{self.label} {silence}.", permanent=False)
                except apprise_link.NotAccepted:
                    error = TransportError(
                        f"What reaches {self.label} is no longer valid: enter it anew.",
                        permanent=True,
                        is_gone=True,
                    )
                else:
                    error = None if answer.was_taken else self._refusal(answer, credentials)
                if error is not None:
                    raise error

            yield send

    def _refusal(self, answer: Answer, credentials: Credentials) -> TransportError:
        status = answer.status
        reason = " ".join(self.reason(answer).split())[:160]
        for secret in self.secrets(credentials):
            reason = reason.replace(secret, "…")
        sentence = f"{self.label} said {status}{f': {reason}' if reason else '.'}"
        if status in _PASSING or not 400 <= status < 500:
            return TransportError(
                sentence,
                permanent=False,
                retry_after_seconds=_retry_after(answer),
                was_answered=True,
            )
        return TransportError(sentence, permanent=True, is_gone=self.is_gone(answer))

    def secrets(self, credentials: Credentials) -> list[str]:
        """Return what no error may show, the longest first."""
        secret = {needed.name for needed in self.fields if needed.is_secret}
        values = [value for name, value in credentials.items() if name in secret and value]
        return sorted(values, key=len, reverse=True)


def _retry_after(answer: Answer) -> float | None:
    """Return for how long the service asks to be left alone, from its headers or its JSON."""
    said = read_json(answer.text)
    parameters = said.get("parameters")
    nested = parameters.get("retry_after") if isinstance(parameters, dict) else None
    for value in (answer.headers.get("retry-after"), said.get("retry_after"), nested):
        try:
            seconds = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            continue
        if seconds >= 0:
            return min(seconds, LONGEST_WAIT_SECONDS)
    return None


def read_json(text: str) -> dict[str, Any]:
    """Return the JSON object that a text is, or an empty one."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
