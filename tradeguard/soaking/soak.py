"""One soak from the first account to the verdict."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from django.core.management import call_command
from django.db import DatabaseError, connections
from django.utils import timezone

from accounts.models import AccountConnection
from accounts.models.connection import ConnectionState
from copytrade.models import CopyEvent, CopyOrder, CopyPosition
from risk.models import Order
from tradeguard.serving.supervisor import StartError
from tradeguard.soaking import figures
from tradeguard.soaking.cast import Cast, Casting
from tradeguard.soaking.desk import SoakDesk
from tradeguard.soaking.duplicates import done_twice
from tradeguard.soaking.ends import unended, untold
from tradeguard.soaking.holdings import held_wrongly
from tradeguard.soaking.market import Market
from tradeguard.soaking.reasons import Reasons
from tradeguard.soaking.records import Records
from tradeguard.soaking.stops import stopped_wrongly
from tradeguard.soaking.trading import Traders
from tradeguard.soaking.troubles import Troubles

_TELL_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 60.0
# So long nothing may change before all is taken to be over.
_CALM_SECONDS: Final = 8.0
_MOST_COMPLAINTS: Final = 60
_UNFORESEEN: Final = re.compile(r"Traceback \(most recent|Exception in thread|could not be copied")
_TRACEBACK: Final = "Traceback (most recent"
_LOGGED: Final = re.compile(r"\[\w+\] [\d-]+ [\d:,]+ [A-Z]+ (?P<what>.*)")
_REDIS_IS_AWAY: Final = re.compile(r"^celery\.[\w.]+: .*(network:|redis|Error \d+)")
_NUMBERS: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakOptions:
    home: Path
    broker_home: Path
    host: str
    seconds: float
    followers: int
    seed: int
    kill_seconds: float
    settle_seconds: float = 600.0
    pause_seconds: float = 0.5


@dataclass(slots=True)
class Soak:
    """Runs in the main thread; `say` gets lines for people."""

    options: SoakOptions
    say: Callable[[str], None]
    alarms: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)
    # By process, whether what it logged last is Celery's word of a Redis that is away.
    _of_redis: dict[str, bool] = field(default_factory=dict)

    def run(self) -> bool:
        """Return whether all was as it should be."""
        with self._desk() as desk:
            cast = self._opened(desk)
            market = Market(desk.broker)
            random = Random(self.options.seed)  # noqa: S311  # to be repeated, not to be secret
            traders = Traders(cast, market, random)
            troubles = Troubles(cast, desk, random, self.options.kill_seconds)
            self._trade(desk, traders, troubles)
            troubles.end()
            self.say("All faults are over; the providers wind up.")
            self._wind_up(desk, traders)
            took = self._settle(desk)
            self._judge(cast, market, troubles, took)
        return not self.complaints

    @contextmanager
    def _desk(self) -> Iterator[SoakDesk]:
        options = self.options
        desk = SoakDesk(
            options.home, options.broker_home, options.host, seed=options.seed, say=self._heard
        )
        try:
            yield desk
        finally:
            connections.close_all()
            desk.stop()

    def _opened(self, desk: SoakDesk) -> Cast:
        desk.start_servers()
        call_command("migrate", verbosity=0)
        casting = Casting(desk.broker, Random(self.options.seed), timezone.now())  # noqa: S311
        cast = casting.cast(self.options.followers)
        desk.start_worker()
        until = time.monotonic() + _CONNECT_SECONDS
        while not _all_connected(cast):
            if time.monotonic() > until:
                raise StartError("The accounts were not connected in time.")
            desk.pause(0.5)
        self.say(f"{len(cast.accounts)} accounts are connected.")
        return cast

    def _trade(self, desk: SoakDesk, traders: Traders, troubles: Troubles) -> None:
        began = time.monotonic()
        until, tell_at = began + self.options.seconds, began + _TELL_SECONDS
        troubles.begin(began)
        while (now := time.monotonic()) < until:
            desk.look()
            troubles.look()
            traders.act()
            if now >= tell_at:
                tell_at = now + _TELL_SECONDS
                self._tell(now - began, traders, troubles)
            desk.pause(troubles.random.expovariate(1 / self.options.pause_seconds))

    def _wind_up(self, desk: SoakDesk, traders: Traders) -> None:
        # What is under way at TradeGuard's own orders may still open something.
        desk.pause(2.0)
        traders.wind_up()

    def _settle(self, desk: SoakDesk) -> float:
        """Wait until nothing changes any more; return the seconds that it took, without the calm.

        After the time is up the checks say what is still open.
        """
        began = changed_at = time.monotonic()
        state = None
        while time.monotonic() < began + self.options.settle_seconds:
            desk.pause(0.5)
            present = _state()
            now = time.monotonic()
            if present != state or _is_under_way():
                state, changed_at = present, now
            elif now - changed_at >= _CALM_SECONDS:
                break
        return changed_at - began

    def _judge(self, cast: Cast, market: Market, troubles: Troubles, took: float) -> None:
        self.say(f"Settled after {took:.1f} s.")
        records = Records(cast, market)
        for line in figures.told(records):
            self.say(line)
        self.say(f"troubles {', '.join(f'{n} {name}' for name, n in troubles.done.most_common())}")
        for alarm, count in self.alarms.most_common(12):
            self.say(f"log      {count} × {alarm}")
        checks = (
            unended(records),
            untold(records),
            done_twice(records),
            held_wrongly(records),
            stopped_wrongly(records),
            Reasons(records, troubles.struck_at).wrong(),
        )
        for check in checks:
            self.complaints += list(check)
        # The next kill would hide a thread that has died: whatever was not foreseen counts.
        self.complaints += [
            f"The log says {count} times: {alarm}"
            for alarm, count in self.alarms.items()
            if _UNFORESEEN.search(alarm)
        ]
        for complaint in self.complaints[:_MOST_COMPLAINTS]:
            self.say(f"WRONG    {complaint}")
        if len(self.complaints) > _MOST_COMPLAINTS:
            self.say(f"WRONG    … and {len(self.complaints) - _MOST_COMPLAINTS} more.")

    def _tell(self, seconds: float, traders: Traders, troubles: Troubles) -> None:
        try:
            events, copies = CopyEvent.objects.count(), CopyOrder.objects.count()
            waiting = CopyOrder.objects.filter(state__in=CopyOrder.UNFINISHED).count()
        except DatabaseError as error:
            self.say(f"{seconds:5.0f} s  the database does not answer: {error}")
            return
        kills = troubles.done["worker killed"]
        self.say(
            f"{seconds:5.0f} s  {traders.done.total()} acts, {events} events, {copies} copies"
            f" ({waiting} under way), {troubles.done.total()} troubles, {kills} kills"
        )

    def _heard(self, line: str) -> None:
        """Count what the processes complain of, but for the deaths that are meant."""
        if "starting it again" in line:
            return
        process = line.partition("]")[0]
        logged = _LOGGED.match(line)
        if logged is not None:
            self._of_redis[process] = bool(_REDIS_IS_AWAY.search(logged["what"]))
        # Celery tells of a Redis that is away with the whole of its way there.
        elif self._of_redis.get(process) and _TRACEBACK in line:
            line = f"{process}] Celery's way to a Redis that is away"
        self.alarms[_NUMBERS.sub("#", line)[:160]] += 1


def _all_connected(cast: Cast) -> bool:
    connected = AccountConnection.objects.filter(state=ConnectionState.CONNECTED).count()
    return connected == len(cast.accounts)


def _state() -> object:
    rows = CopyPosition.objects.order_by("pk").values_list("pk", "state", "volume")
    return CopyEvent.objects.count(), CopyOrder.objects.count(), list(rows)


def _is_under_way() -> bool:
    return (
        CopyOrder.objects.filter(state__in=CopyOrder.UNFINISHED).exists()
        or Order.objects.unfinished().exists()
        or CopyEvent.objects.filter(planned_at=None).exists()
        or CopyPosition.objects.filter(state__in=("opening", "closing")).exists()
    )
