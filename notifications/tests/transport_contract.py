"""What every transport keeps to; each has a test class that inherits these and says how.

The other side is as real as it can be: a mail server, an HTTP receiver, or the outermost edge of
the HTTP client for services that nobody can run.
"""

import json
import logging
import traceback
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Any, ClassVar
from uuid import UUID

import pytest
from django.core.exceptions import ValidationError

from notifications.delivering.letters import MOST_ITEMS, Item, Letter, LetterKind, Recipient
from notifications.delivering.transport import Transport, TransportError
from notifications.models import Priority
from notifications.transports import transports

# Of the columns that they are stored in.
LONGEST_NAME = 16
LONGEST_HINT = 100
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Behaviour(Enum):
    """What the other side does."""

    ACCEPTS = auto()
    IS_BUSY = auto()
    REFUSES = auto()  # this letter, for good
    IS_GONE = auto()  # every letter to this channel, for good
    IS_SILENT = auto()  # takes the letter and never answers
    IS_AWAY = auto()  # cannot be reached


def make_letter(**fields: Any) -> Letter:
    """Return a letter about one broken rule, with the given fields put in its item, too."""
    item = Item(
        id=UUID("6b1f3e9c-8a54-4d0b-9a2e-0c9c7f1d2e3a"),
        type="risk_breach",
        priority="urgent",
        title="Daily loss limit broken: Alpha 3",
        body="Alpha 3 lost 5,012.40 USD of 5,000.00 today.",
        url="https://desk.example.com/accounts/3",
        object_type="breach",
        object_id="1",
        at=AT,
    )
    item = replace(item, **{name: value for name, value in fields.items() if hasattr(item, name)})
    letter = Letter(
        id=item.id,
        kind=LetterKind.SINGLE,
        recipient=Recipient("alice", "alice@example.com", "Europe/Prague"),
        title=item.title,
        body=item.body,
        url=item.url,
        priority=item.priority,
        at=item.at,
        items=(item,),
    )
    own = {name: value for name, value in fields.items() if hasattr(letter, name)}
    return replace(letter, **own)


def make_digest(count: int = 12, **fields: Any) -> Letter:
    """Return a letter that gathers so many notices, the newest first."""
    items = tuple(
        replace(
            make_letter().items[0],
            id=UUID(int=number + 1),
            priority="urgent" if number == 0 else "medium",
            title=f"Notice {number + 1}",
            url=f"https://desk.example.com/accounts/{number + 1}",
            at=AT - timedelta(minutes=number),
        )
        for number in range(min(count, MOST_ITEMS))
    )
    letter = replace(
        make_letter(),
        id=UUID("0f0e0d0c-0b0a-4908-8706-050403020100"),
        kind=LetterKind.STORM,
        title=f"{count:,} notices within a minute",
        body="\n".join(f"{item.at:%H:%M} {item.title}" for item in items),
        url="https://desk.example.com/notifications",
        items=items,
        total=count,
    )
    return replace(letter, **fields)


class TransportContract(ABC):
    """Inherit as Test…; `other_side` yields what arrives there, one entry per letter."""

    name: ClassVar[str]
    credentials: ClassVar[Mapping[str, str]]
    secrets: ClassVar[Sequence[str]]
    garbage: ClassVar[Mapping[str, str]]
    behaviours: ClassVar[frozenset[Behaviour]] = frozenset(Behaviour)

    @abstractmethod
    def other_side(self, behaviour: Behaviour) -> AbstractContextManager[list[Any]]:
        """Have the other side behave so; a refusal may quote what it was sent."""

    def given(self) -> dict[str, str]:
        """Return credentials that reach the other side, once it is there."""
        return dict(self.credentials)

    @property
    def transport(self) -> Transport:
        return transports()[self.name]

    def fail(self, behaviour: Behaviour) -> TransportError:
        if behaviour not in self.behaviours:
            pytest.skip(f"{self.name} knows no such answer")
        with self.other_side(behaviour), pytest.raises(TransportError) as caught:
            self.transport.send(make_letter(), self.given())
        return caught.value

    def assert_no_secret(self, text: str) -> None:
        assert text
        assert [secret for secret in self.secrets if secret in text] == []

    def test_01_it_introduces_itself(self) -> None:
        transport = self.transport
        assert transport.name == self.name
        assert len(transport.name) <= LONGEST_NAME
        assert transport.default_minimum in Priority
        for sentence in (transport.about, transport.after_a_crash):
            assert sentence.endswith(".")
        assert all(field.label for field in transport.fields)

    def test_02_it_keeps_good_credentials_as_they_are(self) -> None:
        checked = self.transport.check(self.credentials)
        assert self.transport.check(checked) == checked
        assert json.loads(json.dumps(checked)) == checked

    def test_03_it_refuses_garbage_and_names_the_field(self) -> None:
        for field, value in self.garbage.items():
            with pytest.raises(ValidationError) as caught:
                self.transport.check({**self.credentials, field: value})
            assert set(caught.value.message_dict) == {field}
            others = [secret for secret in self.secrets if secret not in value]
            assert [secret for secret in others if secret in str(caught.value)] == []

    def test_04_it_asks_for_what_is_missing(self) -> None:
        for field in self.transport.fields:
            if not (field.is_required and field.is_asked):
                continue
            given = {name: text for name, text in self.credentials.items() if name != field.name}
            for incomplete in (given, {**given, field.name: "  "}):
                with pytest.raises(ValidationError) as caught:
                    self.transport.check(incomplete)
                assert field.name in caught.value.message_dict

    def test_05_it_hints_at_the_channel_and_shows_no_secret(self) -> None:
        hint = self.transport.hint(self.transport.check(self.credentials))
        assert len(hint) <= LONGEST_HINT
        assert "\n" not in hint
        assert [secret for secret in self.secrets if secret in hint] == []

    def test_06_it_sends_a_letter_once(self) -> None:
        with self.other_side(Behaviour.ACCEPTS) as arrived:
            self.transport.send(make_letter(), self.given())
            assert len(arrived) == 1

    def test_07_it_sends_a_digest_as_one(self) -> None:
        with self.other_side(Behaviour.ACCEPTS) as arrived:
            self.transport.send(make_digest(10_000), self.given())
            assert len(arrived) == 1

    @pytest.mark.parametrize("sign", ["x", "é", "🔥", "<", "&", "*", "@", "\\", " "])
    def test_08_it_sends_what_is_too_long_as_one(self, sign: str) -> None:
        letter = make_letter(title=f"A{sign * 158}Z", body=sign * 20_000)
        with self.other_side(Behaviour.ACCEPTS) as arrived:
            self.transport.send(letter, self.given())
            assert len(arrived) == 1

    @pytest.mark.parametrize("fields", [{"body": ""}, {"url": ""}, {"body": "", "url": ""}])
    def test_09_it_sends_what_says_little(self, fields: dict[str, str]) -> None:
        with self.other_side(Behaviour.ACCEPTS) as arrived:
            self.transport.send(make_letter(**fields), self.given())
            assert len(arrived) == 1

    @pytest.mark.parametrize(
        "behaviour", [Behaviour.IS_BUSY, Behaviour.IS_SILENT, Behaviour.IS_AWAY]
    )
    def test_10_it_knows_what_passes(self, behaviour: Behaviour) -> None:
        error = self.fail(behaviour)
        assert (error.permanent, error.is_gone) == (False, False)

    def test_11_it_knows_what_does_not_pass(self) -> None:
        error = self.fail(Behaviour.REFUSES)
        assert (error.permanent, error.is_gone) == (True, False)

    def test_12_it_knows_when_a_channel_is_gone(self) -> None:
        error = self.fail(Behaviour.IS_GONE)
        assert (error.permanent, error.is_gone) == (True, True)

    @pytest.mark.parametrize("behaviour", [one for one in Behaviour if one != Behaviour.ACCEPTS])
    def test_13_it_tells_nobody_a_secret(
        self, behaviour: Behaviour, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        for logger in ("apprise", "requests", "notifications"):
            caplog.set_level(logging.DEBUG, logger)

        error = self.fail(behaviour)

        self.assert_no_secret(f"{error} {error!r}")
        self.assert_no_secret("".join(traceback.format_exception(error)))
        assert [secret for secret in self.secrets if secret in caplog.text] == []
        assert len(str(error)) <= 255
        # Nor where a report would look for it.
        assert error.__cause__ is None or not self._mentions_secret(error.__cause__)
        assert error.__context__ is None or not self._mentions_secret(error.__context__)

    def _mentions_secret(self, error: BaseException) -> bool:
        return any(secret in f"{error} {error!r}" for secret in self.secrets)

    def test_14_it_sends_several_in_a_row(self) -> None:
        with self.other_side(Behaviour.ACCEPTS) as arrived:
            with self.transport.opened() as send:
                for number in range(3):
                    send(make_letter(title=f"Notice {number}"), self.given())
            assert len(arrived) == 3
