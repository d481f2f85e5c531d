"""One sender: works off what is due by one transport, letter by letter."""

import logging
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.views.decorators.debug import sensitive_variables

from accounts.vault.cipher import VaultError
from notifications.delivering.breaker import Passage
from notifications.delivering.transport import Send, Transport, TransportError
from notifications.services.claiming import (
    PLAN_SIZE,
    Candidate,
    Claim,
    claim_gathered,
    claim_singles,
    give_back,
    give_back_together,
    note_waiting,
    plan,
)
from notifications.services.letters import build_letter, is_test, open_credentials
from notifications.services.outcomes import (
    LONGEST_RETRY_AFTER,
    MAX_ATTEMPTS,
    WAITS_FOR_CHANNEL,
    write_failed,
    write_postponed,
    write_sent,
    write_working,
)
from notifications.services.roads import Road, breaker, pace
from notifications.services.waking import wake_sender

logger = logging.getLogger(__name__)

# So many letters are claimed at once; a sender that is killed leaves no more for later.
BATCH_SIZE: Final = 25
# After so long a sender looks anew at what is due, and gives back what it has not begun: something
# urgent may have come, or a letter may have taken its time.
PLAN_LASTS: Final = timedelta(seconds=2)
# A letter is not begun when its claim could lapse before the transport gives up.
SHORTEST_REST: Final = timedelta(minutes=1)
WAITS_FOR_SERVER = "Waits for the server, which did not answer."

# Sending takes its time, so each step asks for the time anew.
Clock = Callable[[], datetime]

# Whether this process is about to end.
stopping = threading.Event()


class Sender:
    """Sends what is due by a transport.

    A channel whose letter did not arrive rests, and so do all channels of a server that does not
    answer. Those whose servers take long have one sender at a time, and that one letter at a time.
    A process that is told to end finishes the letter at hand and gives the others back.
    """

    def __init__(self, transport: Transport, *, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock
        self._shared_server = (transport.name, "")
        self._ends_at = clock()
        self._turns: Counter[int] = Counter()
        self._sent = 0
        self._working: set[UUID] = set()
        self._resting: dict[UUID, datetime] = {}

    def run(self) -> int:
        """Work until nothing is due and return how many letters went out."""
        went_on = True
        while went_on and not stopping.is_set():
            passage = breaker.passage(self._shared_server, now=self._clock())
            if passage is Passage.CLOSED:
                note_waiting(self._transport.name, WAITS_FOR_SERVER, now=self._clock())
                break
            try:
                now = self._clock()
                slow = pace.slow(self._transport.name, now=now)
                letters = plan(self._transport.name, now=now, without=slow, turns=self._turns)
                went_on = self._work_off(letters[:1] if passage is Passage.TRIAL else letters)
                if slow:
                    went_on = self._work_slowly(slow, others_wait=went_on) or went_on
            finally:
                breaker.forget_trial(self._shared_server)
        return self._sent

    def _work_slowly(self, slow: Sequence[int], *, others_wait: bool) -> bool:
        """Send one letter to whoever of those who are slow had a turn longest ago."""
        name = self._transport.name
        if not pace.enter(name):
            return False
        try:
            letters = plan(name, now=self._clock(), only=slow)
            if letters and others_wait:
                wake_sender(name)  # for all others
            turns = {user_id: turn for turn, user_id in enumerate(slow)}
            letters.sort(key=lambda letter: turns[letter.user_id])
            return self._work_off(letters[:1])
        finally:
            pace.leave(name)

    def _work_off(self, letters: Sequence[Candidate]) -> bool:
        """Send these letters and tell whether any of them was ours to try."""
        self._resting.clear()
        if self._turns.total() > PLAN_SIZE:
            self._turns.clear()  # who comes late has no more to catch up on than that
        self._ends_at = self._clock() + PLAN_LASTS
        went_on = False
        if not letters:
            return False
        with _opened(self._transport) as send:
            for batch in _batches(letters):
                if went_on and (self._clock() > self._ends_at or self._must_pause()):
                    break
                claims = self._claim(batch)
                went_on = went_on or bool(claims)
                try:
                    self._send_each(claims, send)
                finally:
                    self._write_working()
        return went_on

    def _claim(self, batch: Sequence[Candidate]) -> list[Claim]:
        now = self._clock()
        wanted = [letter for letter in batch if letter.channel_id not in self._resting]
        singles = [letter.delivery_id for letter in wanted if letter.delivery_id is not None]
        claims = claim_singles(singles, now=now) if singles else []
        for letter in wanted:
            if letter.delivery_id is None:
                claim = claim_gathered(letter, now=now)
                claims += [] if claim is None else [claim]
        return claims

    def _send_each(self, claims: Sequence[Claim], send: Send) -> None:
        for position, claim in enumerate(claims):
            now = self._clock()
            is_late = position > 0 and now > self._ends_at
            if is_late or self._must_pause() or now > claim.until - SHORTEST_REST:
                give_back_together(claims[position:], now=now)
                return
            rests_until = self._resting.get(claim.channel_id)
            if rests_until is None:
                self._turns[claim.first.notification.user_id] += 1
                self._try(claim, send, began_at=now)
            else:
                give_back(claim, now=now, until=rests_until, because=WAITS_FOR_CHANNEL)

    def _must_pause(self) -> bool:
        return stopping.is_set() or breaker.is_closed(self._shared_server, now=self._clock())

    @sensitive_variables("credentials")
    def _try(self, claim: Claim, send: Send, *, began_at: datetime) -> None:
        if claim.first.attempts > MAX_ATTEMPTS:
            # Only a sender that died at it leaves the last attempt without a result.
            self._fail(claim, "Given up: the sender stopped while sending.")
            return
        try:
            credentials = open_credentials(claim.first.channel)
            road = self._road(claim, self._transport.server(credentials))
        except VaultError:
            self._postpone(claim, "What the channel needs cannot be opened at the moment.")
            return
        except Exception as error:
            self._note_defect(claim, error)
            return
        if not self._may_pass(claim, road):
            return
        try:
            send(build_letter(claim.deliveries, counts=claim.counts), credentials)
        except TransportError as error:
            road.note_pace(began_at=began_at, now=self._clock())
            self._note_refusal(claim, error, road)
        except Exception as error:
            road.forget_trial()
            self._note_defect(claim, error)
        else:
            now = self._clock()
            write_sent(claim, now=now)
            road.note_answer()
            road.note_pace(began_at=began_at, now=now)
            self._sent += 1
            self._working.add(claim.channel_id)

    def _road(self, claim: Claim, server: str) -> Road:
        user_id = claim.first.notification.user_id
        return Road(self._transport.name, server, user_id, claim.channel_id)

    def _may_pass(self, claim: Claim, road: Road) -> bool:
        now = self._clock()
        asked_for_test = is_test(claim.first.notification)
        until = None if asked_for_test else road.rests_until(now=now)
        because = WAITS_FOR_CHANNEL
        if until is None:
            until = road.closed_until(is_test=asked_for_test, now=now)
            because = WAITS_FOR_SERVER
        if until is None:
            return True
        self._resting[claim.channel_id] = until
        give_back(claim, now=now, until=until, because=because)
        return False

    def _note_refusal(self, claim: Claim, error: TransportError, road: Road) -> None:
        if error.was_answered:
            road.note_answer()
        else:
            road.note_silence(now=self._clock())
        if error.permanent or error.is_gone:
            self._fail(claim, str(error), is_channels_fault=True, is_gone=error.is_gone)
        elif is_test(claim.first.notification):
            # Whoever asked for it looks at it now, and can ask for another.
            self._fail(claim, str(error))
        elif claim.first.attempts >= MAX_ATTEMPTS:
            # A server that all share was away: that says nothing of this channel.
            self._fail(claim, str(error), is_channels_fault=not road.is_shared)
        else:
            self._postpone(claim, str(error), retry_after_seconds=error.retry_after_seconds)
        if error.retry_after_seconds is not None:
            self._rest(road, error.retry_after_seconds)

    def _rest(self, road: Road, seconds: float) -> None:
        """Let a channel be for as long as its server asks, also with what comes later."""
        until = self._clock() + min(timedelta(seconds=max(seconds, 0.0)), LONGEST_RETRY_AFTER)
        road.rest(until=until)
        self._resting.setdefault(road.channel_id, until)

    def _note_defect(self, claim: Claim, error: Exception) -> None:
        """Give up a letter on which our own code broke; the letters behind it go on."""
        # What the error says may hold a secret; where it happened does not.
        where = "".join(traceback.format_tb(error.__traceback__))
        logger.error("%s of a transport:\n%s", type(error).__name__, where)
        self._fail(claim, f"TradeGuard could not send it ({type(error).__name__}).")

    def _postpone(
        self, claim: Claim, error: str, *, retry_after_seconds: float | None = None
    ) -> None:
        self._resting[claim.channel_id] = write_postponed(
            claim, error, retry_after_seconds=retry_after_seconds, now=self._clock()
        )

    def _fail(
        self, claim: Claim, error: str, *, is_channels_fault: bool = False, is_gone: bool = False
    ) -> None:
        # What went out before it counts before it.
        self._write_working()
        now = self._clock()
        if write_failed(
            claim, error, is_channels_fault=is_channels_fault, is_gone=is_gone, now=now
        ):
            self._resting[claim.channel_id] = now  # the rest goes where nothing is sent

    def _write_working(self) -> None:
        write_working(self._working, now=self._clock())
        self._working.clear()


def _batches(letters: Sequence[Candidate]) -> Iterator[list[Candidate]]:
    """Cut a plan into what is claimed at once.

    What was gathered is claimed alone, and so is what a dead sender left: should it be what killed
    the sender, then it takes no others with it again.
    """
    batch: list[Candidate] = []
    for letter in letters:
        is_alone = letter.was_left or letter.delivery_id is None
        if batch and (is_alone or len(batch) == BATCH_SIZE):
            yield batch
            batch = []
        if is_alone:
            yield [letter]
        else:
            batch.append(letter)
    if batch:
        yield batch


@contextmanager
def _opened(transport: Transport) -> Iterator[Send]:
    """Share a transport's connection among letters; without one each letter makes its own."""
    session = transport.opened()
    try:
        send = session.__enter__()
    except Exception as error:  # whatever it is, the letters tell it better
        logger.warning("No shared connection by %s: %s", transport.name, type(error).__name__)
        yield transport.send
        return
    try:
        yield send
    finally:
        try:
            session.__exit__(None, None, None)
        except Exception as error:  # a bad goodbye says nothing of the letters
            logger.warning("A connection by %s closed: %s", transport.name, type(error).__name__)
